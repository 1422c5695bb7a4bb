"""Probing vectors for traces: one random-phase vector for each colour of sites and each spin.

The error of the estimate of Tr g(H) is made of g_ij between sites i and j of equal colour; these are far apart, so that
it is small.
"""

import abc
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from jaxspin import renamed
from jaxspin.arrays.spinors import Spinor
from jaxspin.electrons.superlattices import best_superlattice
from jaxspin.lattice import Lattice


class AbstractProbes(eqx.Module):
    """A choice of vectors r for traces, Tr g(H) = average of sum_r r^+ g(H) r: the average of sum_r r r^+ is 1.

    Every site has a colour, and a vector holds random phases on the sites of one colour for one spin. Subclass it with
    `colors` for a choice of your own; `Coloring` and `ExactTrace` are there.

    Example:
        >>> class Rows(js.electrons.AbstractProbes):
        ...     def colors(self, lattice):
        ...         return np.broadcast_to(np.arange(lattice.cells[0])[:, None, None], lattice.shape)
        >>> parts = Rows().vectors(lattice, key=None, dtype=jnp.float32)[0]
        >>> len(parts), parts[0].shape
        (4, (4, 4, 8))
    """

    @abc.abstractmethod
    def colors(self, lattice: Lattice) -> np.ndarray:
        """The colour 0, 1, ... of each site, an integer array `(*cells, sublattices)`."""

    def filling_error(self, lattice: Lattice) -> float:
        """The error, in electrons an orbital, that the random phases make at a given chemical potential.

        With c colours it is two and a half times the standard deviation in the hardest case, a metal,
        0.6 c^(-(d+2)/2d)/sqrt(2N): the number of electrons is a sum over 2N orbitals, each with the error of a field
        in `colors_for`. It is zero where every site has its own colour.
        """
        count, d = int(self.colors(lattice).max()) + 1, lattice.dimension
        if count == lattice.sites:
            return 0.0
        return 1.5 * count ** (-(d + 2) / (2 * d)) / (2 * lattice.sites) ** 0.5

    def vectors(self, lattice: Lattice, *, key: PRNGKeyArray | None, dtype) -> Spinor:
        """The vectors as a spinor with two columns (spin up, spin down) for each colour.

        Without a key the phases are the same in every call, so that energy and field belong together.
        """
        colors = self.colors(lattice)
        count = int(colors.max()) + 1
        key = jax.random.key(0) if key is None else key
        angle = jax.random.uniform(key, lattice.shape, dtype, maxval=2 * np.pi)
        spinor = []
        for a in range(lattice.sublattices):
            own = jnp.asarray(colors[..., a, None] == np.arange(count))
            re, im = (jnp.where(own, part(angle)[..., a, None], 0) for part in (jnp.cos, jnp.sin))
            empty = jnp.zeros_like(re)
            columns = ((re, empty), (im, empty), (empty, re), (empty, im))
            spinor.append(tuple(jnp.concatenate(pair, -1) for pair in columns))
        return tuple(spinor)


class ExactTrace(AbstractProbes):
    """Every site a colour of its own: the trace without sampling error, in time quadratic in the number of sites.

    For small lattices and tests; `Coloring` is linear.

    Example:
        >>> int(js.electrons.ExactTrace().colors(lattice).max()) + 1
        16
    """

    def colors(self, lattice: Lattice) -> np.ndarray:
        return np.arange(lattice.sites).reshape(lattice.shape)


class Coloring(AbstractProbes):
    """At most `colours` of them (at least one a sublattice), equal ones as far apart as possible: linear in the sites.

    In the hardest case, a metal at T = 0 in d dimensions, the error of the field falls as colours^(-(d+2)/2d); it falls
    exponentially where g_ij decays exponentially. `ExactTrace` has no error.

    Raises `ValueError` for fewer than one colour.
    Source: Wang, Chern, Batista and Barros, J. Chem. Phys. 148, 094107 (2018), 10.1063/1.5017741.

    Example:
        >>> js.electrons.Coloring(4).colors(lattice)[:, :, 0].tolist()
        [[0, 1, 2, 3], [2, 3, 0, 1], [0, 1, 2, 3], [2, 3, 0, 1]]
    """

    colours: int = eqx.field(static=True)

    number = renamed.attribute("Coloring", "number", "colours")

    @renamed.keyword("number", "colours")
    def __init__(self, colours: int = 16):
        if colours < 1:
            raise ValueError(f"the number of colours must be at least 1, got {colours}; 16 to 64 are usual.")
        self.colours = colours

    def colors(self, lattice: Lattice) -> np.ndarray:
        if self.colours >= lattice.sites:
            return ExactTrace().colors(lattice)
        return _coloring(lattice, self.colours)


def colors_for(tolerance: float, coupling: float, dimension: int) -> int:
    """Colours with which the rms error of a site's field is about `tolerance` in the hardest case, a metal.

    From error = 0.45 |J| colours^(-(d+2)/2d), with the factor measured for random spins at T = 0.05 on the square
    (J = 1) and triangular lattice (J = 3). Hot, gapped and ordered systems are several times better. Lattices whose
    sides fit no good colouring are up to one and a half times worse; `tune` measures that.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}; 0.01 is usual.")
    return max(1, int(np.ceil((0.45 * coupling / tolerance) ** (2 * dimension / (dimension + 2)))))


@functools.lru_cache(maxsize=64)
def _coloring(lattice: Lattice, count: int) -> np.ndarray:
    """The coset colouring by the best superlattice that fits the periodic axes, or a greedy one where none is good."""
    cells = max(1, count // lattice.sublattices)
    distance, hermite = best_superlattice(lattice, cells)
    volume = abs(np.linalg.det(np.array(lattice.vectors)))
    ideal = (cells * volume) ** (1 / lattice.dimension)
    if distance < 0.75 * ideal:
        colors = _greediest(lattice, (distance, 1.1 * ideal), count)
        if colors is not None:
            return colors
    n = np.stack(np.meshgrid(*(np.arange(c) for c in lattice.cells), indexing="ij"), -1)
    for axis in range(lattice.dimension):  # reduce modulo the rows of the triangular matrix
        n = n - (n[..., axis] // hermite[axis, axis])[..., None] * hermite[axis]
    sizes = np.diagonal(hermite)
    cell = np.asarray(np.ravel_multi_index(tuple(np.moveaxis(n, -1, 0)), tuple(sizes)))
    return cell[..., None] * lattice.sublattices + np.arange(lattice.sublattices)


def _greediest(lattice: Lattice, between: tuple[float, float], count: int) -> np.ndarray | None:
    """The greedy colouring of the largest distance in this range that `count` colours allow: by halvings."""
    bonds = [b for a in range(lattice.sublattices) for b in lattice.neighbors(between[1], a)]
    lengths = np.unique(np.round([b.length for b in bonds], 5))
    lengths = lengths[lengths > between[0]]
    best, low, high = None, 0, len(lengths) - 1
    while low <= high:
        middle = (low + high + 1) // 2
        colors = _greedy(lattice, lengths[middle], count)
        if colors is None:
            high = middle - 1
        else:
            best, low = colors, middle + 1
    return best


def _greedy(lattice: Lattice, distance: float, count: int) -> np.ndarray | None:
    """First-fit colouring with equal colours at least `distance` apart, None if it takes more than `count`."""
    strides = np.cumprod([lattice.sublattices, *lattice.cells[:0:-1]])[::-1]
    beyond = lattice.sites  # stands for sites beyond an edge
    # the index of a neighbour is a sum of one entry for each axis
    tables: list[list[np.ndarray]] = []
    for a in range(lattice.sublattices):
        bonds = lattice.neighbors(distance * (1 - 2 * lattice.tolerance), a)
        offsets = np.array([b.offset for b in bonds], int).reshape(-1, lattice.dimension)
        tables.append([])
        for axis, (n, closed) in enumerate(zip(lattice.cells, lattice.periodic, strict=True)):
            there = np.arange(n)[:, None] + offsets[None, :, axis]
            inside = (there >= 0) & (there < n) | closed
            tables[a].append(np.where(inside, there % n * strides[axis], beyond))
        tables[a][0] = tables[a][0] + np.array([b.end for b in bonds], int)
    # no colour yet counts as the last one; the one before, which is one too many, is never taken
    colors = np.full(lattice.sites + 1, count + 1)
    taken = np.zeros(count + 2, bool)
    for site, (*cell, a) in enumerate(np.ndindex(*lattice.shape)):
        near = sum(table[n] for table, n in zip(tables[a], cell, strict=True))
        here = colors[np.minimum(near, beyond)]
        taken[here] = True
        color = int(np.argmin(taken))
        taken[here] = False
        if color >= count:
            return None
        colors[site] = color
    return colors[:-1].reshape(lattice.shape)
