"""A channel cut into slices across its open axis: H is block tridiagonal, and only its blocks are made.

Slices are at least as thick as the longest hopping. The last one may have fewer cells, and vacancies in the place of
the others. Shapes, with m sites a slice:

- arrays on sites `(*cells, sublattices, ...)` become `(slices, m, ...)`;
- the 2m orbitals of a slice are (site, spin) in C order;
- H_(n,n) are `(slices, 2m, 2m)`;
- H_(n,n+1) are `(slices, 2m, 2m)`, the last of them zero, or `(slices, 2m)` where they are diagonal.
"""

import dataclasses
import functools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.arrays.spinors import complex_of
from jaxspin.electrons.model import SDModel
from jaxspin.field import Spins
from jaxspin.lattice import Bond, Lattice


@dataclasses.dataclass(frozen=True)
class Cut:
    """Where the slices are: `axis` of the lattice, `thickness` in cells."""

    lattice: Lattice
    axis: int
    thickness: int

    @property
    def slices(self) -> int:
        return -(-self.lattice.cells[self.axis] // self.thickness)

    @property
    def missing(self) -> int:
        """Cells along the axis that the last slice lacks."""
        return self.slices * self.thickness - self.lattice.cells[self.axis]

    @property
    def sites(self) -> int:
        """Sites of a slice; the last one may have fewer."""
        return self.thickness * (self.lattice.sites // self.lattice.cells[self.axis])

    def into(self, array: Array) -> Array:
        """`(*cells, sublattices, ...)` to `(slices, sites of a slice, ...)`, zero (or False) on missing sites."""
        rest = array.shape[self.lattice.dimension + 1 :]
        return self._padded(array).reshape(self.slices, self.sites, *rest)

    def back(self, array: Array) -> Array:
        """The inverse of `into`."""
        cells = list(self.lattice.cells)
        along = cells.pop(self.axis)
        whole = array.reshape(-1, *cells, self.lattice.sublattices, *array.shape[2:])[:along]
        return jnp.moveaxis(whole, 0, self.axis)

    def full(self, occupied: Array | None) -> Array | None:
        """Where a slice has orbitals, `(slices, sites of a slice)`; None if everywhere."""
        if occupied is None and not self.missing:
            return None
        return self.into(jnp.ones(self.lattice.shape, bool) if occupied is None else occupied)

    def _padded(self, array: Array) -> Array:
        array = jnp.moveaxis(array, self.axis, 0)
        return jnp.pad(array, ((0, self.missing), *((0, 0),) * (array.ndim - 1))) if self.missing else array

    def cells_into(self, array: Array) -> Array:
        """`(*cells, ...)` to `(slices, cells of a slice, ...)`."""
        rest = array.shape[self.lattice.dimension :]
        cells = self.thickness * math.prod(self.lattice.cells) // self.lattice.cells[self.axis]
        return self._padded(array).reshape(self.slices, cells, *rest)

    def cells_back(self, array: Array) -> Array:
        """The inverse of `cells_into`."""
        cells = list(self.lattice.cells)
        along = cells.pop(self.axis)
        return jnp.moveaxis(array.reshape(-1, *cells)[:along], 0, self.axis)

    def order(self) -> np.ndarray:
        """Where each site, in C order of the lattice's shape, stands in the one slice of a whole device."""
        return np.array([self.locate(site)[1] for site in range(self.lattice.sites)])

    def locate(self, site: int) -> tuple[int, int]:
        """(slice, index within it) of the site of this index in the C order of the lattice's shape."""
        index = list(np.unravel_index(site, self.lattice.shape))
        order = [index.pop(self.axis), *index]
        cells = list(self.lattice.cells)
        shape = [cells.pop(self.axis), *cells, self.lattice.sublattices]
        flat = int(np.ravel_multi_index(tuple(order), tuple(shape)))
        return flat // self.sites, flat % self.sites


def reach(bonds: tuple[Bond, ...], axis: int) -> int:
    """How many cells along `axis` the longest hopping goes."""
    return max([1, *(abs(bond.offset[axis]) for bond in bonds)])


def cut(lattice: Lattice, bonds: tuple[Bond, ...], axis: int | None, end: int = 1) -> Cut:
    """Slices across `axis` for these bonds, see `cut_for`; a single one if `axis` is None."""
    if axis is None:
        return Cut(lattice, 0, lattice.cells[0])
    return cut_for(lattice, reach(bonds, axis), axis, end)


def cut_for(lattice: Lattice, far: int, axis: int, end: int = 1) -> Cut:
    """Slices across `axis` that cost least, inverses of all together, where hoppings reach `far` cells.

    Each is at least as thick as they reach within the lattice, and the last holds at least `end` cells.
    """
    length = lattice.cells[axis]
    thick = range(min(far, length), length + 1)
    fitting = [n for n in thick if n == length or n - (-length % n) >= end]
    return Cut(lattice, axis, min(fitting, key=lambda n: -(-length // n) * n**3))


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The ends of a bond, by site within the slice: start `i` in slice n, end `j` in slice n + `step`, of `cell`."""

    step: int
    cell: np.ndarray
    i: np.ndarray
    j: np.ndarray


@functools.lru_cache(maxsize=256)
def pairs(where: Cut, start: int, end: int, offset: tuple[int, ...]) -> tuple[Pairs, ...]:
    """The same in every slice; those with `step` +1 (-1) are missing in the last (first) one."""
    lattice, axis = where.lattice, where.axis
    cells = list(lattice.cells)
    cells[axis] = where.thickness
    r = np.stack(np.meshgrid(*(np.arange(c) for c in cells), indexing="ij"), -1).reshape(-1, len(cells))
    target = r + np.array(offset)
    step = target[:, axis] // where.thickness
    if where.slices == 1:
        whole = where.lattice.cells[axis]
        outside = (target[:, axis] < 0) | (target[:, axis] >= whole)
        step = np.where(outside & (not lattice.periodic[axis]), 2, 0)
    others = [k for k in range(len(cells)) if k != axis]
    inside = np.ones(len(r), bool)
    for k in others:
        inside &= lattice.periodic[k] | ((target[:, k] >= 0) & (target[:, k] < cells[k]))
    home = target % np.array(cells)

    def indices(points, sublattice):
        moved = [points[:, axis], *(points[:, k] for k in others)]
        flat = np.ravel_multi_index(tuple(moved), (where.thickness, *(cells[k] for k in others)))
        return flat, flat * lattice.sublattices + sublattice

    cell, i = indices(r, start)
    _, j = indices(home, end)
    groups = []
    for which in (-1, 0, 1):
        here = inside & (step == which)
        if here.any():
            groups.append(Pairs(which, cell[here], i[here], j[here]))
    return tuple(groups)


def diagonal_steps(where: Cut, model: SDModel) -> bool:
    """Whether each orbital couples to the same orbital of the next slice and to no other."""
    return all(
        p.step == 0 or (h.spin is None and bool((p.i == p.j).all()))
        for h in model.hoppings
        for p in pairs(where, *h.bond[:3])
    )


def hamiltonian(where: Cut, model: SDModel, spins: Spins) -> tuple[Array, Array]:
    """H_(n,n) and H_(n,n+1). Orbitals of vacancies are decoupled and moved above the spectrum."""
    count, m = where.slices, where.sites
    ctype = complex_of(spins.dtype)
    diagonal_only = diagonal_steps(where, model)
    within = jnp.asarray(np.arange(count) < count - 1, ctype)[:, None, None, None]  # the last slice has no next one
    # rows, columns and numbers of all terms: one sum over each compiles faster than one over each term
    inner: list[tuple[np.ndarray, np.ndarray, Array]] = []
    outer: list[tuple[np.ndarray, np.ndarray, Array]] = []
    for term in model.terms():
        block = where.cells_into(jnp.broadcast_to(term.block(ctype), (*where.lattice.cells, 2, 2)))
        for p in pairs(where, term.row, term.column, term.offset):
            if p.step == -1:
                continue  # the other direction has it
            value = block[:, p.cell] * within if p.step else block[:, p.cell]
            (outer if p.step else inner).append((*orbitals(p.i, p.j), value.reshape(count, -1)))
    sites = [jnp.broadcast_to(site.block(ctype), (*where.lattice.cells, 2, 2)) for site in model.onsite(spins)]
    local = where.into(jnp.stack(sites, axis=-3))
    inner.append((*orbitals(np.arange(m), np.arange(m)), local.reshape(count, -1)))
    rows, columns, value = _joined(inner)
    diagonal = jnp.zeros((count, 2 * m, 2 * m), ctype).at[:, rows, columns].add(value)
    upper = jnp.zeros((count, 2 * m) if diagonal_only else (count, 2 * m, 2 * m), ctype)
    if outer:
        rows, columns, value = _joined(outer)
        if diagonal_only:
            same = rows == columns
            upper = upper.at[:, rows[same]].add(value[:, same])
        else:
            upper = upper.at[:, rows, columns].add(value)
    present = where.full(model.occupied)
    if present is None:
        return diagonal, upper
    full = jnp.repeat(present, 2, axis=1)
    diagonal = jnp.where(full[:, :, None] & full[:, None, :], diagonal, 0)
    after = jnp.concatenate([full[1:], full[:1]])
    upper = jnp.where(full & after if diagonal_only else full[:, :, None] & after[:, None, :], upper, 0)
    above = jnp.where(full, 0, model.above(spins.dtype)).astype(ctype)
    return diagonal + above[:, :, None] * jnp.eye(2 * m, dtype=ctype)[None], upper


def orbitals(i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the 2x2 blocks (i, j), flattened in the C order of (pair, spin, spin)."""
    s = np.arange(2)
    rows = np.broadcast_to(2 * i[:, None, None] + s[:, None], (len(i), 2, 2)).reshape(-1)
    columns = np.broadcast_to(2 * j[:, None, None] + s[None, :], (len(j), 2, 2)).reshape(-1)
    return rows, columns


def _joined(terms: list[tuple[np.ndarray, np.ndarray, Array]]) -> tuple[np.ndarray, np.ndarray, Array]:
    rows, columns, values = zip(*terms, strict=True)
    return np.concatenate(rows), np.concatenate(columns), jnp.concatenate(values, axis=1)
