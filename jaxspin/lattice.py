"""Lattices whose arrays keep the lattice's shape.

Shapes: spins `(*cells, sublattices, 3)`, scalars on sites `(*cells, sublattices)`; a neighbour is a
translation of the whole array, so there is no neighbour table and the same code shards over devices.
"""

import dataclasses
import functools
import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Shaped

from jaxspin import renamed
from jaxspin.arrays.translation import translate, translations
from jaxspin.warned import caller

# Two shells whose lengths differ by less than so many tolerances are warned of: they may be meant as one.
_FEW = 5


class Bond(NamedTuple):
    """From sublattice `start` in cell R to sublattice `end` in cell R + `offset`; `vector` in the lattice's lengths.

    `length` is that of the vector, `reversed()` the same bond from its other end. Take bonds from `Lattice.shell` and
    `Lattice.neighbors`: a bond made by hand is not checked.
    """

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

    Site (n, b) lies at R = sum_k n_k `vectors`[k] + `basis`[b], in a unit of length of your own: lattice constants in
    `chain`, `square` and the like, Angstrom in lattices of `js.io`. Every distance, radius and position is in that
    unit. Hashable and without arrays, so it may be a static argument of `jax.jit`. Use `chain`, `square`, `triangular`,
    `honeycomb`, `kagome`, `cubic`, or this class for any other lattice. Lists and arrays are kept as tuples.

    Lengths that differ by less than the share `tolerance` are one length, in shells and in radii: coordinates may be
    typed with three digits or more. Only what knows the lattice's rotations (descriptors) asks for all digits.

    Every bond of a cell exists in every cell. Along a periodic axis of one or two cells a site is its own neighbour, or
    has the same neighbour on both sides, and every such bond counts: energies are those of the texture repeated without
    end. `wraps_onto_itself` says whether a lattice has such bonds.

    Raises `ValueError` for inconsistent dimensions, sizes below 1 or no integers, coordinates that are not finite,
    vectors in one plane, two sites in one place, entries of `periodic` that are no booleans, or a tolerance that is no
    small share.

    Example:
        >>> vectors, basis = [[1, 0], [0, 2]], [[0, 0]]
        >>> rectangle = js.Lattice("rectangle", vectors, basis, cells=[3, 4], periodic=[True, False])
        >>> rectangle.shape, len(rectangle.shell(1)), rectangle.resize(6).cells
        ((3, 4, 1), 1, (6, 6))
    """

    name: str
    vectors: tuple[tuple[float, ...], ...]
    basis: tuple[tuple[float, ...], ...]
    cells: tuple[int, ...]
    periodic: tuple[bool, ...]
    tolerance: float = 1e-3

    def __init__(self, name: str, vectors: Any, basis: Any, cells: Any, periodic: Any, tolerance: float = 1e-3):
        given = (("vectors", vectors, _finite), ("basis", basis, _finite), ("cells", cells, _integer))
        for field, value, kind in (*given, ("periodic", periodic, _bool)):
            object.__setattr__(self, field, _plain(field, value, kind))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "tolerance", float(tolerance))
        dim = len(self.vectors)
        if any(len(v) != dim for v in (*self.vectors, *self.basis)):
            raise ValueError(f"vectors and basis must have {dim} components each; give one per lattice vector.")
        if len(self.cells) != dim or len(self.periodic) != dim:
            raise ValueError(f"cells and periodic need {dim} entries, one per lattice vector; got {self.cells}.")
        if any(n < 1 for n in self.cells):
            raise ValueError(f"cells must be positive integers, got {self.cells}; use 1 for a single cell.")
        if not 0 < self.tolerance < 0.1:
            raise ValueError(f"tolerance is a share of a length, got {self.tolerance}; 0.001 is usual.")
        size = np.prod(np.linalg.norm(self.vectors, axis=1))
        if not abs(np.linalg.det(np.array(self.vectors))) > 1e-6 * size:
            raise ValueError(f"the vectors {self.vectors} span no cell; give {dim} that are linearly independent.")
        reduced = np.array(self.basis) @ np.linalg.inv(np.array(self.vectors))
        for one, other in itertools.combinations(range(len(reduced)), 2):
            apart = reduced[one] - reduced[other]
            if np.max(np.abs(apart - np.round(apart))) < 1e-6:
                raise ValueError(f"sublattices {one} and {other} lie in one place; leave out one of them.")

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
        """Cartesian site positions `(*cells, sublattices, dimension)`, in the unit of the vectors."""
        n = np.stack(np.meshgrid(*(np.arange(c) for c in self.cells), indexing="ij"), -1)
        return (n @ np.array(self.vectors))[..., None, :] + np.array(self.basis)

    def reciprocal(self) -> np.ndarray:
        """Rows b_k with a_i . b_k = 2 pi delta_ik, in one over the unit of the vectors."""
        return 2 * np.pi * np.linalg.inv(np.array(self.vectors)).T

    def resize(self, *cells: int) -> "Lattice":
        """The same lattice with another number of cells; one number serves every axis.

        Raises `ValueError` for sizes that are no positive integers, or not as many as axes.
        """
        return dataclasses.replace(self, cells=_cells(cells, self.dimension))

    def translate(self, array: Shaped[Array, "..."], offset: Sequence[int]) -> Shaped[Array, "..."]:
        """`result[R] = array[R + offset]`: brings the neighbour at `offset` home, zero beyond an open edge.

        `array` has the cells as its leading axes. Its transpose is the translation by `-offset`, so a
        gradient costs the same as the function. On one CPU device it compiles to a `take` along each axis (4 to 6
        times faster there), elsewhere to a roll, which on a sharded axis is a collective permute. For several
        translations of the same numbers within a chain of arithmetic use `translations`.

        Raises `ValueError` for an array that does not begin with the cells, or another number of entries than axes.
        """
        self._check_offset(offset)
        self._check_cells(array.shape[: self.dimension], array.shape, "begin")
        if not any(offset):
            return array
        return translate(array, tuple(int(n) for n in offset), self.periodic)

    def translations(self, array: Shaped[Array, "..."], offsets: Sequence[Sequence[int]]) -> list[Shaped[Array, "..."]]:
        """`result[k][..., R] = array[..., R + offsets[k]]`: several translations of one array, zero beyond open edges.

        `array` has the cells as its trailing axes, so that neighbouring cells are neighbours in memory. On one CPU
        device the array is written once, with edges around it. Every result is a window of that, or two, which the loop
        that uses it reads in place. Elsewhere each is a roll.

        Raises `ValueError` for an array that does not end with the cells, or another number of entries than axes.
        """
        for offset in offsets:
            self._check_offset(offset)
        self._check_cells(array.shape[max(0, array.ndim - self.dimension) :], array.shape, "end")
        return translations(array, tuple(tuple(int(n) for n in offset) for offset in offsets), self.periodic)

    def is_kind_of(self, other: "Lattice") -> bool:
        """Whether the other is the same but for its size and its boundaries: vectors and basis to `tolerance`."""
        return len(self.basis) == len(other.basis) and all(
            np.shape(a) == np.shape(b) and np.allclose(a, b, atol=self.tolerance)
            for a, b in ((self.vectors, other.vectors), (self.basis, other.basis))
        )

    def check_kind(self, other: "Lattice") -> None:
        """Refuse a lattice of another kind than this one: raises `ValueError`."""
        if not self.is_kind_of(other):
            raise ValueError(
                f"the {other.name} lattice with vectors {other.vectors} and basis {other.basis} is not of the kind of "
                f"the {self.name} lattice, {self.vectors} and {self.basis}; use lattice.resize(...) of the same."
            )

    def _check_offset(self, offset: Sequence[int]) -> None:
        if len(offset) != self.dimension:
            raise ValueError(f"offset {tuple(offset)} needs {self.dimension} entries, one per lattice vector.")

    def _check_cells(self, cells: tuple[int, ...], shape: tuple[int, ...], where: str) -> None:
        if cells != self.cells:
            raise ValueError(
                f"an array of shape {shape} does not {where} with the lattice's cells {self.cells}; "
                "make it with the shape lattice.shape, or use lattice.resize(...) for another size."
            )

    def wraps_onto_itself(self, radius: float) -> bool:
        """Whether some site has two bonds within `radius` to one and the same site, or one to itself.

        That is so along periodic axes of few cells: of one or two for nearest neighbours. Energies there count every
        such bond. Ask before you compare small lattices with large ones, or with programs that count pairs of sites.
        Raises `ValueError` for a radius that is negative or not finite.
        """
        for start in range(self.sublattices):
            ends = [
                (
                    b.end,
                    tuple(
                        n % c if wraps else n for n, c, wraps in zip(b.offset, self.cells, self.periodic, strict=True)
                    ),
                )
                for b in self.neighbors(radius, start)
                if all(wraps or abs(n) < c for n, c, wraps in zip(b.offset, self.cells, self.periodic, strict=True))
            ]
            if len(set(ends)) < len(ends) or (start, (0,) * self.dimension) in ends:
                return True
        return False

    @functools.lru_cache(maxsize=256)  # noqa: B019  (hashable and small; the tables are shared by every module)
    def neighbors(self, radius: float, start: int = 0) -> tuple[Bond, ...]:
        """Directed bonds from sublattice `start` to every site within `radius`, by length, then by angle.

        `radius` is widened by the share `tolerance`, and lengths no farther apart than that count as one. Every bond is
        listed from both of its ends: for sums over bonds (`Hopping`) take `shell`, which lists each once.

        Raises `ValueError` for a radius that is negative or not finite, and a sublattice that the lattice does not
        have.
        """
        if not 0 <= radius < np.inf:
            raise ValueError(f"radius = {radius} holds no neighbours; give a finite length, 1.0 for nearest ones.")
        if not 0 <= start < self.sublattices:
            raise ValueError(
                f"the {self.name} lattice has no sublattice {start}; count from 0 to {self.sublattices - 1}."
            )
        a, basis = np.array(self.vectors), np.array(self.basis)
        radius = radius * (1 + self.tolerance)
        extent = max(np.linalg.norm(x - y) for x in basis for y in basis)
        reach = np.ceil((radius + extent) * np.linalg.norm(np.linalg.inv(a), axis=0) + 1e-9).astype(int)
        bonds = []
        for offset in itertools.product(*(range(-r, r + 1) for r in reach)):
            for end in range(self.sublattices):
                if end == start and not any(offset):
                    continue
                vector = np.array(offset) @ a + basis[end] - basis[start]
                if np.linalg.norm(vector) <= radius:
                    bonds.append(Bond(start, end, tuple(map(int, offset)), tuple(map(float, vector))))
        ranks = self._ranks([bond.length for bond in bonds])

        def order(item: tuple[int, Bond]):
            rank, vector = item[0], np.array(item[1].vector)
            angle = np.arctan2(vector[1], vector[0]) % (2 * np.pi - 1e-9) if self.dimension > 1 else 0.0
            return rank, *np.round(vector[2:], 6), round(float(angle), 6), *np.round(vector, 6)

        return tuple(bond for _, bond in sorted(zip(ranks, bonds, strict=True), key=order))

    @renamed.keyword("number", "nth")
    @functools.lru_cache(maxsize=256)  # noqa: B019
    def shell(self, nth: int) -> tuple[Bond, ...]:
        """The bonds of the `nth` neighbour shell (1: nearest), each undirected bond once per cell.

        Lengths no farther apart than the share `tolerance` are one shell. Warns where another shell is closer than five
        times that, as happens with coordinates typed with too few digits. For all bonds within a radius, from both of
        their ends, use `neighbors`.

        Raises `ValueError` for a number below 1, or that is no integer.
        """
        if not isinstance(nth, int | np.integer) or nth < 1:
            raise ValueError(f"shells are counted from 1 (nearest neighbours), got {nth}; give a positive integer.")
        step = min(float(np.linalg.norm(v)) for v in self.vectors)
        for radius in (step * (n + 1.1) for n in itertools.count()):
            bonds = [b for s in range(self.sublattices) for b in self.neighbors(radius, s)]
            ranks = self._ranks([b.length for b in bonds])
            lengths = [
                min(b.length for b, r in zip(bonds, ranks, strict=True) if r == rank) for rank in sorted(set(ranks))
            ]
            # a shell near this radius may not be complete
            if len(lengths) < nth or lengths[nth - 1] * (1 + _FEW * self.tolerance) > radius:
                continue
            self._warn_of_close(nth, lengths)
            return tuple(b for b, r in zip(bonds, ranks, strict=True) if r == nth - 1 and _is_canonical(b))
        raise AssertionError  # the radii never end

    def _ranks(self, lengths: Sequence[float]) -> list[int]:
        """The shell of each length, counted from 0."""
        ranks, first, rank = {}, 0.0, -1
        for length in sorted(set(lengths)):
            if rank < 0 or length > first * (1 + self.tolerance):
                first, rank = length, rank + 1
            ranks[length] = rank
        return [ranks[length] for length in lengths]

    def _warn_of_close(self, nth: int, lengths: Sequence[float]) -> None:
        for low in (nth - 2, nth - 1):
            if low < 0 or low + 1 >= len(lengths):
                continue
            one, other = lengths[low], lengths[low + 1]
            if other < one * (1 + _FEW * self.tolerance):
                warnings.warn(
                    f"shells {low + 1} and {low + 2} of the {self.name} lattice, at {one:.6g} and {other:.6g}, differ "
                    f"by {other / one - 1:.1g}, little more than the tolerance {self.tolerance:g} within which lengths "
                    "are one; type the coordinates with more digits, such as 3**0.5 / 2, or give the Lattice another "
                    "tolerance=...: a larger one joins the shells, a smaller one keeps them apart.",
                    stacklevel=caller(),
                )


def _plain(field: str, value, kind):
    """Numbers in tuples (of tuples, for vectors) whatever they came in; `ValueError` where they are none."""
    rows = kind is _finite
    try:
        return tuple(tuple(kind(x) for x in row) for row in value) if rows else tuple(kind(x) for x in value)
    except (TypeError, ValueError):
        shape = (
            "one row of numbers each, such as ((1.0, 0.0), (0.0, 1.0))"
            if rows
            else "one " + kind.__name__.strip("_") + " an axis"
        )
        raise ValueError(f"{field} = {value!r} is not what a Lattice takes; give {shape}.") from None


def _finite(x) -> float:
    if not np.isfinite(float(x)):
        raise ValueError
    return float(x)


def _bool(x) -> bool:
    if not isinstance(x, bool | np.bool_):
        raise ValueError
    return bool(x)


def _integer(n) -> int:
    if int(n) != n:
        raise ValueError
    return int(n)


def check_bonds(bonds: Sequence[Bond]) -> None:
    """Refuse a bond given together with its reverse: raises `ValueError`. A sum over bonds would count it twice."""
    known = {(b.start, b.end, b.offset) for b in bonds}
    for bond in bonds:
        back = bond.reversed()
        if (back.start, back.end, back.offset) in known:
            raise ValueError(
                f"the bond from sublattice {bond.start} to {bond.end} at {bond.offset} is given in both directions and "
                "would count twice; give each once, as lattice.shell(nth) lists them (lattice.neighbors lists both)."
            )


def _is_canonical(bond: Bond) -> bool:
    zero = tuple(0 for _ in bond.offset)
    return bond.offset > zero or (bond.offset == zero and bond.start < bond.end)


def _cells(cells: Sequence[float | int], dimension: int) -> tuple[int, ...]:
    if len(cells) == 1:
        cells = tuple(cells) * dimension
    if len(cells) != dimension:
        raise ValueError(f"got sizes {tuple(cells)} for a {dimension}-dimensional lattice; give {dimension} or one.")
    if any(np.ndim(n) for n in cells):
        raise ValueError(
            f"cells must be whole numbers, got {cells[0]} as the first; give them one by one, such as 4, 4."
        )
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
        f"{len(basis)} site(s) a cell, `periodic` or open along all axes or each. Lengths are in lattice "
        "constants; raises `ValueError` for sizes that are no whole numbers, or not as many as axes.\n\n"
        f"Example:\n    >>> js.{name}(4).shape, js.{name}(4, periodic=False).periodic\n"
        f"    {((*(4,) * dimension, len(basis)), (False,) * dimension)}\n"
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
