"""Blocks H(R) of orbitals between cells: hermiticity, matrices of a whole lattice, and blocks of each wavevector.

H_mn(R) = <0 m|H|R n>, so that (H psi)(r) = sum_R H(R) psi(r + R) and H(k) = sum_R exp(2 pi i k.R) H(R), k in reduced
coordinates. Blocks are `(vectors, n, n)`, one for each lattice vector R of a static list `offsets`.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Complex, Float, Num

from jaxspin.arrays.precision import tensordot
from jaxspin.devices.shards import Shards
from jaxspin.lattice import Lattice

Offsets = tuple[tuple[int, ...], ...]

_ROUNDING = 1e-5  # of the largest element: files have few digits


def as_offsets(offsets: Sequence[Sequence[int]] | np.ndarray, dimension: int) -> Offsets:
    """Lattice vectors as tuples; `ValueError` where they are no integers, repeat, or R comes without -R."""
    found = np.asarray(offsets)
    if found.ndim != 2 or found.shape[1] != dimension or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(
            f"offsets are integers of shape (vectors, {dimension}), got {found.dtype} {found.shape}; give one lattice "
            "vector R a row, in units of the lattice's own."
        )
    listed = tuple(tuple(int(x) for x in row) for row in found)
    known = set(listed)
    if len(known) < len(listed):
        twice = next(r for r in listed if listed.count(r) > 1)
        raise ValueError(f"the lattice vector R = {twice} is listed twice; add up its blocks and give it once.")
    alone = [r for r in listed if tuple(-x for x in r) not in known]
    if alone:
        raise ValueError(f"R = {alone[0]} is there without -R; give both, with H(-R) = H(R)^+.")
    return listed


def hermitian(name: str, offsets: Offsets, blocks: Num[Array, "vectors n n"]) -> Num[Array, "vectors n n"]:
    """The blocks with H(-R) = H(R)^+ to the last digit; `ValueError` where more than rounding is missing."""
    place = {r: i for i, r in enumerate(offsets)}
    back = np.array([place[tuple(-x for x in r)] for r in offsets])
    if not isinstance(blocks, Tracer):
        values = np.asarray(blocks)
        gap = np.abs(values - np.conj(np.swapaxes(values[back], -1, -2)))
        worst = np.unravel_index(np.argmax(gap), gap.shape)
        if not gap[worst] <= _ROUNDING * np.max(np.abs(values)):
            r, m, n = (int(x) for x in worst)
            raise ValueError(
                f"{name} is not hermitian: H(R)_mn and the conjugate of H(-R)_nm differ by up to {gap[worst]:.2g}, at "
                f"R = {offsets[r]}, m = {m}, n = {n}; give (H(R) + H(-R)^+)/2, or look for a missing conjugate."
            )
    return (blocks + jnp.conj(jnp.swapaxes(blocks[back], -1, -2))) / 2


def within(lattice: Lattice, offsets: Offsets) -> np.ndarray:
    """Which lattice vectors join two cells of the lattice: along an open axis none as long as the axis."""
    reach = np.abs(np.array(offsets))
    return np.all((reach < np.array(lattice.cells)) | np.array(lattice.periodic), axis=1)


def between_cells(
    lattice: Lattice, offsets: Offsets, blocks: Complex[Array, "vectors n n"], wavevector: Float[Array, " d"] | None
) -> Complex[Array, "cells cells n n"]:
    """The blocks between all pairs of cells; each wrap around axis a multiplies with exp(2 pi i k_a).

    What wraps onto the same pair of cells is added up.
    """
    cells, periodic = np.array(lattice.cells), np.array(lattice.periodic)
    inside = within(lattice, offsets)
    kept = np.array(offsets)[inside]
    # all vectors between cells, those that wrap modulo the lattice: a sum of blocks for each, then one look-up
    periods = tuple(int(x) for x in np.where(periodic, cells, 2 * cells - 1))
    folded = np.asarray(np.ravel_multi_index(tuple((kept % np.array(periods)).T), periods))
    sums = jnp.asarray(np.arange(np.prod(periods))[:, None] == folded[None]).astype(blocks.dtype)
    r = np.stack(np.meshgrid(*(np.arange(n) for n in lattice.cells), indexing="ij"), -1).reshape(-1, len(cells))
    twist = None
    if wavevector is not None:
        # exp(2 pi i k.(r + R - r')/L), whose exponent counts the wraps
        twist = (2j * np.pi) * (wavevector / jnp.asarray(cells, wavevector.dtype)).astype(blocks.dtype)
        sums = sums * jnp.exp(tensordot(jnp.asarray(kept, blocks.dtype), twist, axes=1))[None]
    steps = (r[None] - r[:, None]) % np.array(periods)
    index = np.asarray(np.ravel_multi_index(tuple(np.moveaxis(steps, -1, 0)), periods))
    found = tensordot(sums, blocks[np.flatnonzero(inside)], axes=1)[index]
    if twist is None:
        return found
    gauge = jnp.exp(tensordot(jnp.asarray(r, blocks.dtype), twist, axes=1))
    return found * (gauge[:, None] * jnp.conj(gauge)[None])[..., None, None]


def grid_for(lattice: Lattice, offsets: Offsets, shards: Shards | None = None) -> tuple[int, ...]:
    """Cells of a periodic lattice on which products are those of this one: wider along open axes by the reach.

    Devices that share the lattice share these cells out evenly too.
    """
    counts = [1] * lattice.dimension if shards is None else [shards.count(name) for name in shards.names]
    kept = np.abs(np.array(offsets)[within(lattice, offsets)])
    reach = np.max(kept, axis=0, initial=0)
    return tuple(
        n if periodic else -(-_smooth(n + int(far)) // count) * count
        for n, periodic, far, count in zip(lattice.cells, lattice.periodic, reach, counts, strict=True)
    )


def on_grid(
    lattice: Lattice, offsets: Offsets, blocks: Complex[Array, "vectors n n"], points: tuple[int, ...]
) -> Complex[Array, "*points n n"]:
    """H(k) at the wavevectors k_a = m_a/points_a."""
    inside = within(lattice, offsets)
    home = tuple((np.array(offsets)[inside] % np.array(points)).T)
    folded = jnp.zeros((*points, *blocks.shape[1:]), blocks.dtype).at[home].add(blocks[np.flatnonzero(inside)])
    return jnp.fft.ifftn(folded, axes=range(len(points)), norm="forward")  # exp(+2 pi i k.R), unscaled


def _smooth(n: int) -> int:
    """The next length that is fast to transform: a product of 2, 3 and 5."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


def band_edges(
    lattice: Lattice, offsets: Offsets, blocks: Complex[Array, "vectors n n"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Bounds of the energies of the blocks alone, with open edges too.

    Along a periodic axis the wavevectors are those of the lattice, and some between. Along an open one every k counts:
    the lattice is cut out of the infinite crystal, and between the points of a grid the edges are widened as in
    `jaxspin.electrons.bounds.band_edges`.
    """
    reach = np.max(np.abs(np.array(offsets)[within(lattice, offsets)]), axis=0, initial=0)
    for times in (32, 16, 8):
        points = tuple(
            n * max(1, -(-_PERIODIC // n)) if periodic else max(1, times * int(far))
            for n, periodic, far in zip(lattice.cells, lattice.periodic, reach, strict=True)
        )
        if np.prod(points) <= _POINTS:
            break
    opened = [far > 0 and not periodic for far, periodic in zip(reach, lattice.periodic, strict=True)]
    wider = np.cos(np.pi / times) ** -sum(opened)
    h = on_grid(lattice, offsets, blocks, points)
    levels = jnp.linalg.eigvalsh(h)
    low, high = jnp.min(levels), jnp.max(levels)
    middle, half = (low + high) / 2, wider * (high - low) / 2
    return middle - half, middle + half


_PERIODIC = 12
_POINTS = 2**15
