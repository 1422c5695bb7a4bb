"""Superlattices of a lattice whose points are as far apart as possible, for the colourings of `probes`."""

import itertools
import math

import numpy as np

from jaxspin.lattice import Lattice

# Hermite's constant gamma_d: the shortest vector of a lattice is at most gamma_d^(1/2) volume^(1/d) long.
_HERMITE = {1: 1.0, 2: 2 / 3**0.5, 3: 2 ** (1 / 3)}
_EQUAL = 1.0001  # distances that differ by rounding
_GOOD = 0.97  # of the bound by volume: good enough to look no further
_MOST = 1 << 15  # matrices of one determinant that are compared; where there are more, an even selection of them


def best_superlattice(lattice: Lattice, cells: int) -> tuple[float, np.ndarray]:
    """(shortest vector, Hermite matrix) of the best superlattice with at most `cells` cells that holds the periods.

    The rows of the matrix, upper triangular, are vectors of the superlattice in cells. Of equally good superlattices it
    is the one with the fewest cells. The search goes from `cells` downwards, until no smaller volume can be better.
    """
    a = np.array(lattice.vectors)
    volume, dimension = abs(np.linalg.det(a)), lattice.dimension
    best = (0.0, np.eye(dimension, dtype=int))
    for index in range(cells, 0, -1):
        bound = (_HERMITE[dimension] ** (dimension / 2) * index * volume) ** (1 / dimension)
        if bound * _EQUAL < best[0] or best[0] > _GOOD * bound:
            break
        matrices = hermite_matrices(index, lattice)
        if not len(matrices):
            continue
        lengths = shortest(matrices @ a)
        longest = np.argmax(lengths)
        if lengths[longest] * _EQUAL > best[0]:
            best = (max(best[0], float(lengths[longest])), matrices[longest])
    return float(shortest((best[1] @ a)[None])[0]), best[1]


def hermite_matrices(index: int, lattice: Lattice) -> np.ndarray:
    """Upper triangular integer matrices `(many, d, d)` of determinant `index`, entries right of the diagonal reduced,
    whose rows span a superlattice with the lattice's periods in it."""
    dimension, above = lattice.dimension, _ABOVE[lattice.dimension]
    shapes = [(sizes, [_entries(lattice, sizes, i, j) for i, j in above]) for sizes in _diagonals(index, lattice)]
    every = -(-sum(int(np.prod([len(c) for c in choices])) for _, choices in shapes) // _MOST)
    allowed = [np.zeros((0, dimension, dimension), int)]
    for sizes, choices in shapes:
        counts = [len(c) for c in choices] or [1]
        entries = np.unravel_index(np.arange(0, np.prod(counts), every), counts)
        matrices = np.zeros((len(entries[0]), dimension, dimension), int)
        matrices[:, range(dimension), range(dimension)] = sizes
        for (i, j), values, entry in zip(above, choices, entries, strict=False):
            matrices[:, i, j] = values[entry]
        for axis, period in enumerate(lattice.cells):
            if lattice.periodic[axis]:
                matrices = matrices[_holds(matrices, axis, period)]
        allowed.append(matrices)
    return np.concatenate(allowed)


_ABOVE = {d: list(itertools.combinations(range(d), 2)) for d in (1, 2, 3)}


def _diagonals(index: int, lattice: Lattice):
    """Diagonals of determinant `index`, each entry a divisor of the period of its axis: the superlattice repeats so."""
    divisors = [n for n in range(1, index + 1) if index % n == 0]
    allowed = [
        [n for n in divisors if not closed or cells % n == 0]
        for cells, closed in zip(lattice.cells, lattice.periodic, strict=True)
    ]
    return [sizes for sizes in itertools.product(*allowed) if np.prod(sizes) == index]


def _entries(lattice: Lattice, sizes: tuple[int, ...], i: int, j: int) -> np.ndarray:
    """The entries possible in row i and column j; beside the diagonal those alone that keep the period of axis i."""
    if j > i + 1 or not lattice.periodic[i]:
        return np.arange(sizes[j])
    return np.arange(0, sizes[j], sizes[j] // math.gcd(sizes[j], lattice.cells[i] // sizes[i]))


def _holds(matrices: np.ndarray, axis: int, period: int) -> np.ndarray:
    """Whether `period` steps along `axis` are a vector of each superlattice."""
    dimension = matrices.shape[-1]
    rest = np.zeros((len(matrices), dimension), int)
    rest[:, axis] = period
    good = np.ones(len(matrices), bool)
    for k in range(axis, dimension):
        times, left = np.divmod(rest[:, k], matrices[:, k, k])
        good &= left == 0
        rest = rest - times[:, None] * matrices[:, k]
    return good


def shortest(rows: np.ndarray) -> np.ndarray:
    """The length of the shortest vector of each lattice `(many, d, d)`."""
    dimension = rows.shape[-1]
    rows = rows.astype(float)
    for _ in range(20):  # pairwise reduction, enough in two and three dimensions for a window of 2
        changed = False
        for i, j in itertools.permutations(range(dimension), 2):
            overlap = np.sum(rows[:, i] * rows[:, j], axis=1)
            steps = np.round(overlap / np.sum(rows[:, j] ** 2, axis=1))
            changed = changed or bool(np.any(steps))
            rows[:, i] -= steps[:, None] * rows[:, j]
        if not changed:
            break
    # of a vector and its negative, one
    window = np.array([v for v in itertools.product(range(-2, 3), repeat=dimension) if v > (0,) * dimension])
    lengths = np.full(len(rows), np.inf)
    for steps in window:
        lengths = np.minimum(lengths, np.sum(np.einsum("d,mde->me", steps, rows) ** 2, axis=1))
    return np.sqrt(lengths)
