"""The sum of site energies and its derivative, tile by tile: what a layer keeps for the way back stays in the cache.

A network that reads the lattice keeps some kilobytes a site for its derivative, a hundred times what the spins take.
Here the lattice is cut into tiles; the energies of one, and their derivative with respect to the spins in it and within
reach of it, are computed before the next one, so that memory does not grow with the lattice but for the spins.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.translation import with_edges
from jaxspin.devices.shards import Shards
from jaxspin.lattice import Lattice

# Cells of a tile in all: on CPUs some megabytes of activations, elsewhere what fills the machine.
CELLS_ON_CPU, CELLS_ELSEWHERE = 2**10, 2**18

SiteEnergies = Callable[[Array, tuple[bool, ...]], Array]
"""(rows, axes along which the cells within reach of the ends are left out) -> energies `(sublattices, *cells left)`."""


def summed(
    energies: SiteEnergies, lattice: Lattice, rows: Float[Array, "f sublattices *cells"], reach: tuple[int, ...]
) -> tuple[Float[Array, ""], Float[Array, "f sublattices *cells"]]:
    """The sum of the energies of all sites and its derivative with respect to the rows; on CPUs in smaller tiles."""
    whole = (False,) * lattice.dimension
    return jax.lax.platform_dependent(
        rows,
        cpu=lambda x: _summed(energies, lattice, x, reach, whole, CELLS_ON_CPU),
        default=lambda x: _summed(energies, lattice, x, reach, whole, CELLS_ELSEWHERE),
    )


def summed_over_shards(
    energies: SiteEnergies, shards: Shards, rows: Float[Array, "f sublattices *cells"], reach: tuple[int, ...]
) -> tuple[Float[Array, ""], Float[Array, "f sublattices *cells"]]:
    """The same where the cells are shared out: the edges are exchanged once each way."""
    margins = tuple((n, n) for n in reach)
    names = [name for name in shards.names if name is not None]
    ready = tuple(name is not None for name in shards.names)

    def local(part: Array) -> tuple[Array, Array]:
        def widened(part):
            return jnp.moveaxis(shards.widened(jnp.moveaxis(part, (0, 1), (-2, -1)), margins), (-2, -1), (0, 1))

        wide, back = jax.vjp(widened, part)
        lattice = shards.lattice.resize(*shards.cells)
        energy, slopes = jax.lax.platform_dependent(
            wide,
            cpu=lambda x: _summed(energies, lattice, x, reach, ready, CELLS_ON_CPU),
            default=lambda x: _summed(energies, lattice, x, reach, ready, CELLS_ELSEWHERE),
        )
        return jax.lax.psum(energy, names), back(slopes)[0]

    spec = shards.spec(before=2)
    return shards.run(local, (rows,), (spec,), (jax.sharding.PartitionSpec(), spec))


def energies_over_shards(
    energies: SiteEnergies, shards: Shards, rows: Float[Array, "f sublattices *cells"], reach: tuple[int, ...]
) -> Float[Array, "sublattices *cells"]:
    """The energies of all sites where the cells are shared out."""
    margins = tuple((n, n) for n in reach)
    ready = tuple(name is not None for name in shards.names)

    def local(part: Array) -> Array:
        wide = shards.widened(jnp.moveaxis(part, (0, 1), (-2, -1)), margins)
        return energies(jnp.moveaxis(wide, (-2, -1), (0, 1)), ready)

    return shards.run(local, (rows,), (shards.spec(before=2),), shards.spec(before=1))


def tile_of(cells: Sequence[int], reach: Sequence[int], most: int) -> tuple[int, ...]:
    """The sides of a tile of at most so many cells; the whole axis where its margins would make it longer."""
    sides = list(cells)
    while math.prod(sides) > most:
        longest = max(range(len(sides)), key=lambda axis: sides[axis])
        halved = -(-sides[longest] // 2)
        if halved + 2 * reach[longest] >= cells[longest]:
            break
        sides[longest] = halved
    return tuple(sides)


def _summed(
    energies: SiteEnergies,
    lattice: Lattice,
    rows: Array,
    reach: tuple[int, ...],
    ready: tuple[bool, ...],
    most: int,
) -> tuple[Array, Array]:
    """Of the cells of `lattice`; along `ready` axes the rows have their margins already."""
    sides = tile_of(lattice.cells, reach, most)
    cut = tuple(side < n for side, n in zip(sides, lattice.cells, strict=True))
    trim = tuple(a or b for a, b in zip(cut, ready, strict=True))
    if not any(cut):
        return jax.value_and_grad(lambda x: jnp.sum(energies(x, trim)))(rows)
    counts = [-(-n // side) for n, side in zip(lattice.cells, sides, strict=True)]

    def padded(x: Array) -> Array:
        for axis, n in enumerate(lattice.cells):
            if cut[axis]:
                rest = counts[axis] * sides[axis] - n
                if ready[axis]:
                    x = with_edges(x, axis + 2, 0, rest, False)
                else:
                    x = with_edges(x, axis + 2, reach[axis], reach[axis] + rest, lattice.periodic[axis])
        return x

    wide, back = jax.vjp(padded, rows)
    margins = [2 * n if t else 0 for n, t in zip(reach, trim, strict=True)]
    size = (*wide.shape[:2], *(side + margin for side, margin in zip(sides, margins, strict=True)))

    def add(number: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        energy, slopes = carry
        which = jnp.unravel_index(number, counts)
        start = [jnp.asarray(k * side, jnp.int32) for k, side in zip(which, sides, strict=True)]
        inside = jnp.ones(sides, bool)
        for axis, (first, n) in enumerate(zip(start, lattice.cells, strict=True)):
            along = (first + jnp.arange(sides[axis], dtype=jnp.int32)) < n
            inside = inside & along.reshape([-1 if k == axis else 1 for k in range(len(sides))])
        zero = jnp.zeros((), jnp.int32)
        tile = jax.lax.dynamic_slice(wide, (zero, zero, *start), size)
        part, slope = jax.value_and_grad(lambda x: jnp.sum(jnp.where(inside[None], energies(x, trim), 0)))(tile)
        slope = slope + jax.lax.dynamic_slice(slopes, (zero, zero, *start), size)
        return energy + part, jax.lax.dynamic_update_slice(slopes, slope, (zero, zero, *start))

    begin = (jnp.zeros((), rows.dtype), jnp.zeros_like(wide))
    energy, slopes = jax.lax.fori_loop(0, int(np.prod(counts)), add, begin)
    return energy, back(slopes)[0]
