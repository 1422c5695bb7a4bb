"""Lattices whose arrays keep the lattice's shape.

Shapes: spins `(*cells, sublattices, 3)`, scalars on sites `(*cells, sublattices)`; a neighbour is a
translation of the whole array, so there is no neighbour table and the same code shards over devices.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Shaped

from jaxspin.translation import translate, translations

# Two lengths closer than this (in lattice constants) belong to the same shell.
_LENGTH_TOLERANCE = 1e-6


class Bond(NamedTuple):
    """From sublattice `start` in cell R to sublattice `end` in cell R + `offset`; `vector` in lattice constants."""

    start: int
    end: int
    offset: tuple[int, ...]
    vector: tuple[float, ...]

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.vector))

    def reversed(self) -> "Bond":
        return Bond(self.end, self.start, tuple(-n for n in self.offset), tuple(-x for x in self.vector))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Lattice:
    """A Bravais lattice with a basis, cut to `cells` unit cells, periodic or open along each axis.

    Site (n, b) lies at R = sum_k n_k `vectors`[k] + `basis`[b], in lattice constants. Hashable and without
    arrays, so it may be a static argument of `jax.jit`. Use `chain`, `square`, `triangular`, `honeycomb`,
    `kagome`, `cubic`, or this class for any other lattice.

    Raises `ValueError` for inconsistent dimensions or sizes below 1.
    """

    name: str
    vectors: tuple[tuple[float, ...], ...]
    basis: tuple[tuple[float, ...], ...]
    cells: tuple[int, ...]
    periodic: tuple[bool, ...]

    def __post_init__(self):
        dim = len(self.vectors)
        if any(len(v) != dim for v in (*self.vectors, *self.basis)):
            raise ValueError(f"vectors and basis must have {dim} components each; give one per lattice vector.")
        if len(self.cells) != dim or len(self.periodic) != dim:
            raise ValueError(f"cells and periodic need {dim} entries, one per lattice vector; got {self.cells}.")
        if any(int(n) != n or n < 1 for n in self.cells):
            raise ValueError(f"cells must be positive integers, got {self.cells}; use 1 for a single cell.")

    @property
    def dimension(self) -> int:
        return len(self.vectors)

    @property
    def sublattices(self) -> int:
        return len(self.basis)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(*cells, sublattices)`, the shape of a scalar on the sites."""
        return (*self.cells, self.sublattices)

    @property
    def sites(self) -> int:
        return int(np.prod(self.shape))

    def positions(self) -> np.ndarray:
        """Cartesian site positions `(*cells, sublattices, dimension)`, in lattice constants."""
        n = np.stack(np.meshgrid(*(np.arange(c) for c in self.cells), indexing="ij"), -1)
        return (n @ np.array(self.vectors))[..., None, :] + np.array(self.basis)

    def reciprocal(self) -> np.ndarray:
        """Rows b_k with a_i . b_k = 2 pi delta_ik, in inverse lattice constants."""
        return 2 * np.pi * np.linalg.inv(np.array(self.vectors)).T

    def resize(self, *cells: int) -> "Lattice":
        """The same lattice with another number of cells; one number serves every axis."""
        return dataclasses.replace(self, cells=_cells(cells, self.dimension))

    def translate(self, array: Shaped[Array, "..."], offset: Sequence[int]) -> Shaped[Array, "..."]:
        """`result[R] = array[R + offset]`: brings the neighbour at `offset` home, zero beyond an open edge.

        `array` has the cells as its leading axes. Its transpose is the translation by `-offset`, so a
        gradient costs the same as the function. On one CPU device it compiles to a `take` along each axis (4 to 6
        times faster there), elsewhere to a roll, which on a sharded axis is a collective permute. For several
        translations of the same numbers within a chain of arithmetic use `translations`.
        """
        self._check_offset(offset)
        self._check_cells(array.shape[: self.dimension], array.shape, "begin")
        if not any(offset):
            return array
        return translate(array, tuple(int(n) for n in offset), self.periodic)

    def translations(self, array: Shaped[Array, "..."], offsets: Sequence[Sequence[int]]) -> list[Shaped[Array, "..."]]:
        """`result[k][..., R] = array[..., R + offsets[k]]`: several translations of one array, zero beyond open edges.

        `array` has the cells as its trailing axes, and so numbers next to each other in memory are those of
        neighbouring cells. On one CPU device the array is written once with edges to it and every result is a
        window of that, or two, read in place by the loop that follows; elsewhere it is a roll each.
        """
        for offset in offsets:
            self._check_offset(offset)
        self._check_cells(array.shape[max(0, array.ndim - self.dimension) :], array.shape, "end")
        return translations(array, tuple(tuple(int(n) for n in offset) for offset in offsets), self.periodic)

    def _check_offset(self, offset: Sequence[int]) -> None:
        if len(offset) != self.dimension:
            raise ValueError(f"offset {tuple(offset)} needs {self.dimension} entries, one per lattice vector.")

    def _check_cells(self, found: tuple[int, ...], shape: tuple[int, ...], where: str) -> None:
        if found != self.cells:
            raise ValueError(
                f"an array of shape {shape} does not {where} with the lattice's cells {self.cells}; "
                "make it with the shape lattice.shape, or use lattice.resize(...) for another size."
            )

    @functools.lru_cache(maxsize=256)  # noqa: B019  (hashable and small; the tables are shared by every module)
    def neighbors(self, radius: float, start: int = 0) -> tuple[Bond, ...]:
        """Directed bonds from sublattice `start` to every site within `radius`, by length, then by angle."""
        a, basis = np.array(self.vectors), np.array(self.basis)
        spread = max(np.linalg.norm(x - y) for x in basis for y in basis)
        reach = np.ceil((radius + spread) * np.linalg.norm(np.linalg.inv(a), axis=0) + 1e-9).astype(int)
        found = []
        for offset in itertools.product(*(range(-r, r + 1) for r in reach)):
            for end in range(self.sublattices):
                vector = np.array(offset) @ a + basis[end] - basis[start]
                length = np.linalg.norm(vector)
                if _LENGTH_TOLERANCE < length <= radius + _LENGTH_TOLERANCE:
                    angle = np.arctan2(vector[1], vector[0]) % (2 * np.pi - 1e-9) if self.dimension > 1 else 0.0
                    key = (round(length, 6), *np.round(vector[2:], 6), round(float(angle), 6), *np.round(vector, 6))
                    bond = Bond(start, end, tuple(map(int, offset)), tuple(map(float, vector)))
                    found.append((key, bond))
        return tuple(bond for _, bond in sorted(found))

    @functools.lru_cache(maxsize=256)  # noqa: B019
    def shell(self, number: int) -> tuple[Bond, ...]:
        """The bonds of the `number`-th neighbour shell (1: nearest), each undirected bond once per cell."""
        if number < 1:
            raise ValueError(f"shells are counted from 1 (nearest neighbours), got {number}.")
        radius = 1.0
        while True:
            bonds = [b for s in range(self.sublattices) for b in self.neighbors(radius, s)]
            lengths = sorted({round(b.length, 5) for b in bonds})
            if len(lengths) >= number:
                length = lengths[number - 1]
                return tuple(b for b in bonds if abs(b.length - length) < 1e-4 and _is_canonical(b))
            radius += 1.0


def _is_canonical(bond: Bond) -> bool:
    zero = tuple(0 for _ in bond.offset)
    return bond.offset > zero or (bond.offset == zero and bond.start < bond.end)


def _cells(cells: Sequence[float | int], dimension: int) -> tuple[int, ...]:
    if len(cells) == 1:
        cells = tuple(cells) * dimension
    if len(cells) != dimension:
        raise ValueError(f"got sizes {tuple(cells)} for a {dimension}-dimensional lattice; give {dimension} or one.")
    if any(int(n) != n for n in cells):
        raise ValueError(f"cells must be whole numbers, got {tuple(cells)}; round them, such as int(4.7).")
    return tuple(int(n) for n in cells)


def _lattice(name: str, vectors, basis) -> Callable[..., Lattice]:
    dimension = len(vectors)

    def make(*cells: int, periodic: bool | Sequence[bool] = True) -> Lattice:
        along = (periodic,) * dimension if isinstance(periodic, bool) else tuple(periodic)
        return Lattice(name, vectors, basis, _cells(cells, dimension), along)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = (
        f"The {name} lattice with `cells` unit cells along each axis (one number serves all), "
        f"{len(basis)} site(s) a cell, `periodic` or open along all axes or each."
    )
    return make


_SQRT3 = 3**0.5
_TRIANGULAR = ((1.0, 0.0), (0.5, _SQRT3 / 2))

chain = _lattice("chain", ((1.0,),), ((0.0,),))
square = _lattice("square", ((1.0, 0.0), (0.0, 1.0)), ((0.0, 0.0),))
triangular = _lattice("triangular", _TRIANGULAR, ((0.0, 0.0),))
honeycomb = _lattice("honeycomb", _TRIANGULAR, ((0.0, 0.0), (0.5, _SQRT3 / 6)))
kagome = _lattice("kagome", _TRIANGULAR, ((0.0, 0.0), (0.5, 0.0), (0.25, _SQRT3 / 4)))
cubic = _lattice("cubic", ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), ((0.0, 0.0, 0.0),))
