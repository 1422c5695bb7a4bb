"""Probing vectors for traces: one random-phase vector for each colour of sites and each spin.

Sites of equal colour are far apart, so that what the estimate of Tr g(H) mixes up, g_ij between equal colours, is
small.
"""

import abc
import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from jaxspin.electrons.model import Spinor
from jaxspin.lattice import Lattice


class AbstractProbes(eqx.Module):
    """A choice of vectors r with the average of r r^+ the identity."""

    @abc.abstractmethod
    def colors(self, lattice: Lattice) -> np.ndarray:
        """The colour 0, 1, ... of each site, an integer array `(*cells, sublattices)`."""

    def vectors(self, lattice: Lattice, *, key: PRNGKeyArray | None, dtype) -> Spinor:
        """The vectors as a spinor with two columns (spin up, spin down) for each colour.

        Without a key the phases are the same in every call, so that energy and field belong together.
        """
        colors = self.colors(lattice)
        number = int(colors.max()) + 1
        key = jax.random.key(0) if key is None else key
        angle = jax.random.uniform(key, lattice.shape, dtype, maxval=2 * np.pi)
        spinor = []
        for a in range(lattice.sublattices):
            own = jnp.asarray(colors[..., a, None] == np.arange(number))
            re, im = (jnp.where(own, part(angle)[..., a, None], 0) for part in (jnp.cos, jnp.sin))
            empty = jnp.zeros_like(re)
            columns = ((re, empty), (im, empty), (empty, re), (empty, im))
            spinor.append(tuple(jnp.concatenate(pair, -1) for pair in columns))
        return tuple(spinor)


class ExactTrace(AbstractProbes):
    """Every site a colour of its own: the trace without sampling error, quadratic in the number of sites."""

    def colors(self, lattice: Lattice) -> np.ndarray:
        return np.arange(lattice.sites).reshape(lattice.shape)


class Coloring(AbstractProbes):
    """At most `number` colours (one a sublattice if fewer), equal ones as far apart as possible: linear in the sites.

    The error of the field falls as number^(-(d+2)/2d) in the hardest case, a metal at T = 0 in d dimensions, and
    exponentially where g_ij decays exponentially. Source: Wang, Chern, Batista and Barros, J. Chem. Phys. 148, 094107
    (2018), 10.1063/1.5017741.
    """

    number: int = eqx.field(static=True)

    def __init__(self, number: int = 16):
        if number < 1:
            raise ValueError(f"the number of colours must be at least 1, got {number}; 16 to 64 are usual.")
        self.number = number

    def colors(self, lattice: Lattice) -> np.ndarray:
        if self.number >= lattice.sites:
            return ExactTrace().colors(lattice)
        return _coloring(lattice, self.number)


def colors_for(tolerance: float, coupling: float, dimension: int) -> int:
    """Colours with which the rms error of a site's field is about `tolerance` in the hardest case, a metal.

    From error = 0.45 |J| number^(-(d+2)/2d), whose factor holds for random spins at T = 0.05 on the square (J = 1) and
    triangular lattice (J = 3); hot, gapped and ordered systems are several times better. Sides that no good colouring
    divides are up to one and a half times worse, which `tune` sees.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}; 0.01 is usual.")
    return max(1, int(np.ceil((0.45 * coupling / tolerance) ** (2 * dimension / (dimension + 2)))))


@functools.lru_cache(maxsize=64)
def _coloring(lattice: Lattice, number: int) -> np.ndarray:
    """The coset colouring by the best superlattice that fits the periodic axes, or a greedy one where none is good."""
    cells = max(1, number // lattice.sublattices)
    distance, hermite = _best_superlattice(lattice, cells)
    volume = abs(np.linalg.det(np.array(lattice.vectors)))
    ideal = (cells * volume) ** (1 / lattice.dimension)
    if distance < 0.75 * ideal:
        lengths = {round(b.length, 5) for a in range(lattice.sublattices) for b in lattice.neighbors(1.1 * ideal, a)}
        for length in sorted((x for x in lengths if x > distance), reverse=True):
            colors = _greedy(lattice, length, number)
            if colors is not None:
                return colors
    n = np.stack(np.meshgrid(*(np.arange(c) for c in lattice.cells), indexing="ij"), -1)
    for axis in range(lattice.dimension):  # reduce modulo the rows of the triangular matrix
        n = n - (n[..., axis] // hermite[axis, axis])[..., None] * hermite[axis]
    sizes = np.diagonal(hermite)
    cell = np.asarray(np.ravel_multi_index(tuple(np.moveaxis(n, -1, 0)), tuple(sizes)))
    return cell[..., None] * lattice.sublattices + np.arange(lattice.sublattices)


def _best_superlattice(lattice: Lattice, cells: int) -> tuple[float, np.ndarray]:
    """(shortest vector, Hermite matrix) of the best superlattice with at most `cells` cells that holds the periods."""
    a = np.array(lattice.vectors)
    window = np.array([v for v in itertools.product(range(-2, 3), repeat=lattice.dimension) if any(v)])
    best = (0.0, np.eye(lattice.dimension, dtype=int))
    for index in range(1, cells + 1):
        for hermite in _hermite_matrices(index, lattice.dimension):
            if not all(
                _holds(hermite.tolist(), axis, lattice.cells[axis])
                for axis in range(lattice.dimension)
                if lattice.periodic[axis]
            ):
                continue
            shortest = _shortest(hermite @ a, window)
            if shortest > best[0] * 1.0001:
                best = (shortest, hermite)
    return best


def _holds(hermite: list[list[int]], axis: int, period: int) -> bool:
    """Whether `period` steps along `axis` are a vector of the superlattice; lists, since thousands are tried."""
    rest = [0] * len(hermite)
    rest[axis] = period
    for k in range(axis, len(hermite)):
        times, left = divmod(rest[k], hermite[k][k])
        if left:
            return False
        rest = [r - times * h for r, h in zip(rest, hermite[k], strict=True)]
    return True


def _shortest(rows: np.ndarray, window: np.ndarray) -> float:
    for _ in range(20):  # pairwise reduction, enough in two and three dimensions for a window of 2
        changed = False
        for i, j in itertools.permutations(range(len(rows)), 2):
            steps = np.round(rows[i] @ rows[j] / (rows[j] @ rows[j]))
            if steps:
                rows = rows.copy()
                rows[i] -= steps * rows[j]
                changed = True
        if not changed:
            break
    return float(np.min(np.linalg.norm(window @ rows, axis=1)))


def _hermite_matrices(index: int, dimension: int):
    """All upper triangular integer matrices of determinant `index`, entries right of the diagonal reduced."""
    if dimension == 1:
        yield np.array([[index]])
        return
    for first in (d for d in range(1, index + 1) if index % d == 0):
        for rest in _hermite_matrices(index // first, dimension - 1):
            for shift in itertools.product(*(range(n) for n in np.diagonal(rest))):
                matrix = np.zeros((dimension, dimension), int)
                matrix[0, 0], matrix[0, 1:], matrix[1:, 1:] = first, shift, rest
                yield matrix


def _greedy(lattice: Lattice, distance: float, number: int) -> np.ndarray | None:
    """First-fit colouring with equal colours at least `distance` apart, None if it takes more than `number`."""
    shape, dimension = lattice.shape, lattice.dimension
    colors = np.full(shape, -1)
    reach = {a: lattice.neighbors(distance * (1 - 2 * lattice.tolerance), a) for a in range(lattice.sublattices)}
    offsets = {a: np.array([b.offset for b in bonds], int).reshape(-1, dimension) for a, bonds in reach.items()}
    ends = {a: np.array([b.end for b in bonds], int) for a, bonds in reach.items()}
    cells, periodic = np.array(lattice.cells), np.array(lattice.periodic)
    for site in np.ndindex(*shape):
        cell, a = np.array(site[:-1]), site[-1]
        target = cell + offsets[a]
        inside = np.all(((target >= 0) & (target < cells)) | periodic, axis=1)
        target = target[inside] % cells
        near = set(colors[(*target.T, ends[a][inside])].tolist())
        color = 0
        while color in near:
            color += 1
        if color == number:
            return None
        colors[site] = color
    return colors
