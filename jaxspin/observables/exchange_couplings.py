"""Exchange between all pairs of sites of a periodic, collinear magnet: J_ab(R) on a mesh, J_ab(q), and lists."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from jaxspin.arrays.precision import matmul
from jaxspin.arrays.spinors import complex_of
from jaxspin.couplings import real
from jaxspin.lattice import Lattice

# Images of a site whose distances differ by less than this share are as near.
_EQUAL = 1e-6


class ExchangeCouplings(eqx.Module):
    """J of E = - sum_(i != j) J_ij e_i . e_j, e the unit vectors along the spins: every pair is counted twice.

    - `lattice`: its cell is the magnetic cell with all its sites as sublattices, its `cells` the mesh of R.
    - `couplings` J_ab(R), `(*cells, sublattices, sublattices)`: between site a of cell 0 and b of cell R, in the units
      of the electrons' energies. A site has none with itself. J > 0 is ferromagnetic. R is known up to the periods of
      the mesh: the nearest image is meant, and what is equally far is shared out evenly.
    - `signs`: for each sublattice 1 for a spin along z, -1 for one against it; all 1 unless given.
    - `moments` `(sublattices,)`: of each site along its own spin in mu_B, the difference of the numbers of its
      electrons with spin along and against e; 1 unless given.

    The convention is that of TB2J and of Liechtenstein et al. `js.Exchange` counts a pair once, E = - sum_<ij> J_ij
    S_i . S_j, and its J is twice this one: `pairs` has that.

    `exchange_couplings` makes one from electrons, `ExchangeCouplings.of_pairs` from a list.

    Raises `ValueError` for shapes that do not fit, an open axis, and signs other than 1 and -1.

    Example:
        >>> found = js.observables.ExchangeCouplings.of_pairs(js.chain(4), [(0, 0, (1,), 1.0)])
        >>> float(found.between(0, 0, (-1,))), found.pairs(1.0)
        (0.5, [(0, 0, (1,), 1.0)])
    """

    lattice: Lattice = eqx.field(static=True)
    couplings: Float[Array, "..."]
    signs: tuple[int, ...] = eqx.field(static=True)
    moments: Float[Array, " sublattices"]

    def __init__(
        self,
        lattice: Lattice,
        couplings: ArrayLike,
        *,
        signs: Sequence[int] | None = None,
        moments: ArrayLike | Sequence[float] | None = None,
    ):
        self.lattice = lattice
        self.couplings = real(couplings, "an exchange coupling")
        n, dtype = lattice.sublattices, self.couplings.dtype
        self.signs = (1,) * n if signs is None else tuple(int(sign) for sign in signs)
        self.moments = jnp.ones(n, dtype) if moments is None else real(moments, "a moment").astype(dtype)

    def __check_init__(self):
        n = self.lattice.sublattices
        if not all(self.lattice.periodic):
            raise ValueError("couplings between cells belong to a periodic lattice; build it with periodic=True.")
        if len(self.signs) != n or set(self.signs) - {1, -1}:
            raise ValueError(f"signs = {self.signs} do not fit {n} sublattices; give 1 or -1 for each.")
        for name, shape in (("couplings", (*self.lattice.cells, n, n)), ("moments", (n,))):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} of shape {getattr(self, name).shape} does not fit; give {shape}.")

    @classmethod
    def of_pairs(
        cls,
        lattice: Lattice,
        pairs: Sequence[tuple[int, int, Sequence[int], ArrayLike]],
        *,
        signs: Sequence[int] | None = None,
        moments: ArrayLike | Sequence[float] | None = None,
    ) -> "ExchangeCouplings":
        """The couplings of a list of (i, j, R, J), each pair once and J as in `js.Exchange`: twice that here.

        `lattice` has the mesh, wide enough that no pair reaches halfway around it. The list is that of
        `js.io.read_exchange(...).pairs()`, too.

        Raises `ValueError` for a J that is no number, and for a pair of a site with itself.
        """
        n = lattice.sublattices
        total = jnp.zeros((*lattice.cells, n, n))
        for i, j, offset, value in pairs:
            if jnp.ndim(value):
                raise ValueError(f"J of the pair {i, j, tuple(offset)} is no number; take that of isotropic().")
            if i == j and not any(offset):
                raise ValueError(f"the pair {i, j, tuple(offset)} joins a site to itself; leave it out.")
            half = real(value, "J") / 2
            there = tuple(r % c for r, c in zip(offset, lattice.cells, strict=True))
            back = tuple(-r % c for r, c in zip(offset, lattice.cells, strict=True))
            total = total.at[(*there, i, j)].add(half).at[(*back, j, i)].add(half)
        return cls(lattice, total, signs=signs, moments=moments)

    def between(self, start: int, end: int, offset: Sequence[int]) -> Float[Array, ""]:
        """J between site `start` of cell 0 and site `end` of cell `offset`, which counts pairs twice."""
        home = tuple(r % c for r, c in zip(offset, self.lattice.cells, strict=True))
        return self.couplings[(*home, start, end)]

    def total(self) -> Float[Array, "a b"]:
        """J_ab(q = 0), the sum over all R."""
        return jnp.sum(self.couplings, axis=range(self.lattice.dimension))

    def on_mesh(self) -> Complex[Array, "*cells a b"]:
        """J_ab(q) = sum_R J_ab(R) exp(2 pi i q . R) at q_a = m_a/cells_a."""
        axes = range(self.lattice.dimension)
        return jnp.fft.ifftn(self.couplings, axes=axes, norm="forward")

    def at(self, wavevectors: Float[Array | np.ndarray, "*q d"]) -> Complex[Array, "*q a b"]:
        """J_ab(q) at any reduced wavevectors, by the nearest images of R; on the mesh as `on_mesh`."""
        found, values = images(self.lattice), self.by_image()
        dtype = values.dtype
        q = jnp.asarray(wavevectors, dtype)
        flat = q.reshape(-1, q.shape[-1])
        n = self.lattice.sublattices
        place = _index(found.start * n + found.end)
        angles = 2 * np.pi * matmul(flat, jnp.asarray(found.offset.T, dtype))
        waves = jnp.exp(jax.lax.complex(jnp.zeros_like(angles), angles)) * values.astype(complex_of(dtype))[None]
        summed = jnp.zeros((len(flat), n * n), waves.dtype).at[:, place].add(waves)
        return summed.reshape(*q.shape[:-1], n, n)

    def by_image(self) -> Float[Array, " images"]:
        """J of each of `images(lattice)`, its share of the coupling."""
        found = images(self.lattice)
        n = self.lattice.sublattices
        place = _index(found.cell), _index(found.start), _index(found.end)
        return self.couplings.reshape(-1, n, n)[place] * jnp.asarray(found.share, self.couplings.dtype)

    def resized(self, *cells: int) -> "ExchangeCouplings":
        """The same couplings on a mesh of another size: a finer one interpolates J(q), without new pairs.

        Raises `ValueError` where a coupling would reach around the new mesh.
        """
        lattice = self.lattice.resize(*cells)
        if any(new < old for new, old in zip(lattice.cells, self.lattice.cells, strict=True)):
            raise ValueError(f"a mesh of {lattice.cells} is smaller than {self.lattice.cells}; compute J on it anew.")
        found, n = images(self.lattice), self.lattice.sublattices
        home = tuple(_index(axis) for axis in np.moveaxis(found.offset % np.array(lattice.cells), -1, 0))
        total = jnp.zeros((*lattice.cells, n, n), self.couplings.dtype)
        total = total.at[(*home, _index(found.start), _index(found.end))].add(self.by_image())
        return ExchangeCouplings(lattice, total, signs=self.signs, moments=self.moments)

    def pairs(self, radius: float) -> list[tuple[int, int, tuple[int, ...], float]]:
        """(i, j, R, 2 J) of every pair within `radius`, once, by distance: for `js.Exchange(lattice, pairs=...)`.

        `radius` is in lattice constants. The energy of all of them is E = - sum_<ij> (2 J_ij) S_i . S_j.
        """
        found, values = images(self.lattice), np.asarray(self.by_image())
        length = np.linalg.norm(found.vector, axis=-1)
        rows = []
        for n in np.argsort(length.round(6), kind="stable"):
            i, j, offset = int(found.start[n]), int(found.end[n]), tuple(int(r) for r in found.offset[n])
            first = (i, j, offset) >= (j, i, tuple(-r for r in offset))
            if first and 0 < length[n] <= radius * (1 + _EQUAL):
                rows.append((i, j, offset, 2 * float(values[n])))
        return rows

    def by_distance(self) -> tuple[Float[np.ndarray, " shells"], Float[np.ndarray, " shells"], np.ndarray]:
        """Distances, ascending, the mean J of the pairs at each, and how many pairs a site has there on average."""
        found, values = images(self.lattice), np.asarray(self.by_image())
        length = np.linalg.norm(found.vector, axis=-1).round(6)
        shells, which = np.unique(length, return_inverse=True)
        count = np.bincount(which, found.share)
        mean = np.bincount(which, values) / count
        return shells[1:], mean[1:], count[1:] / self.lattice.sublattices


class Images(NamedTuple):
    """For each pair of sites the nearest image, or those equally near: indices of the cell and the sites, and where.

    `cell` counts the cells of the lattice in C order; `offset` `(images, d)` is R, `vector` `(images, d)` leads from
    the one site to the other, in lattice constants; `share` adds up to 1 over the images of a pair.
    """

    cell: np.ndarray
    start: np.ndarray
    end: np.ndarray
    offset: np.ndarray
    vector: np.ndarray
    share: np.ndarray


@functools.lru_cache(maxsize=8)
def images(lattice: Lattice) -> Images:
    """The nearest images of all pairs of sites of a periodic lattice."""
    a, basis = np.array(lattice.vectors), np.array(lattice.basis)
    periods = np.array(lattice.cells)
    cells = np.stack(np.meshgrid(*(np.arange(n) for n in lattice.cells), indexing="ij"), -1).reshape(-1, len(periods))
    moves = np.array(list(itertools.product(range(-2, 3), repeat=len(periods)))) * periods
    parts: list[tuple[Any, ...]] = []
    for start, end in itertools.product(range(lattice.sublattices), repeat=2):
        between = basis[end] - basis[start]
        reduced = (cells + between @ np.linalg.inv(a)) / periods
        home = cells - np.round(reduced).astype(int) * periods
        offset = home[:, None] + moves
        length = np.linalg.norm(offset @ a + between, axis=-1)
        near = length <= length.min(axis=1, keepdims=True) * (1 + _EQUAL) + _EQUAL * 1e-3
        cell, which = np.nonzero(near)
        chosen = offset[cell, which]
        share = 1 / near.sum(axis=1)[cell]
        parts.append((cell, np.full_like(cell, start), np.full_like(cell, end), chosen, chosen @ a + between, share))
    return Images(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _index(numbers: np.ndarray) -> Array:
    """An index of one type in both precisions: JAX keeps what it made of a NumPy array that it meets again."""
    return jnp.asarray(numbers, jnp.int32)
