"""Scalar chirality and topological charge of spins `(*cells, sublattices, 3)` in two dimensions.

Triangles are static tables, three corners (sublattice, cell offset) each, counter-clockwise, for one cell.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.field import sum_of
from jaxspin.lattice import Lattice
from jaxspin.precision import EXACT
from jaxspin.spins import takes_spins

Corner = tuple[int, tuple[int, ...]]
Triangle = tuple[Corner, Corner, Corner]

# Lengths and areas (in lattice constants) are compared to this.
_TOLERANCE = 1e-6


@functools.lru_cache(maxsize=64)
def elementary_triangles(lattice: Lattice) -> tuple[Triangle, ...]:
    """The triangles of `scalar_chirality`: the smallest isosceles ones without an obtuse angle, once a cell.

    Triangular: the 2 nearest-neighbour triangles, up and down. Kagome: likewise 2. Square: the 4 right
    triangles of a plaquette, which cover it twice and keep its symmetry. Honeycomb: the 4 second-neighbour
    triangles, two on each sublattice. Raises `ValueError` off two dimensions.
    """
    found: list[tuple[float, Triangle]] = []
    for corners, points in _candidates(lattice):
        a, b, c = sorted(np.linalg.norm(points - np.roll(points, 1, 0), axis=1))
        near = lattice.tolerance * c
        # a right angle within the tolerance of its sides is one
        if (b - a < near or c - b < near) and c * c < a * a + b * b + 4 * near * c:
            found.append((a + b + c, corners))
    smallest = min(size for size, _ in found)
    return tuple(sorted(corners for size, corners in found if size <= smallest * (1 + lattice.tolerance)))


@functools.lru_cache(maxsize=64)
def triangulation(lattice: Lattice) -> tuple[Triangle, ...]:
    """Two triangles for each site that tile the plane exactly once, hexagons and squares included.

    The Delaunay triangulation, its ties (squares, hexagons) broken the same way in every cell by measuring
    distances in a slightly sheared metric. Raises `ValueError` off two dimensions.
    """
    shear = np.array([[1.0, 1.3e-3], [0.0, 1.0 + 7e-4]])
    _, sites = _neighborhood(lattice)
    sites = sites @ shear
    chosen = []
    for corners, points in _candidates(lattice):
        center, square = _circumcircle(points @ shear)
        if np.all(np.sum((sites - center) ** 2, axis=1) > square - 1e-9):
            chosen.append(corners)
    if len(chosen) != 2 * lattice.sublattices:
        raise ValueError(f"the {lattice.name} lattice was not triangulated; use its shortest lattice vectors.")
    return tuple(sorted(chosen))


@takes_spins
@jax.jit
def scalar_chirality(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "*cells triangles"]:
    """chi = S_i . (S_j x S_k), corners counter-clockwise, on the `elementary_triangles` of every cell.

    Zero where a corner is vacant or beyond an open edge. Raises `ValueError` off two dimensions (take a
    layer).
    """
    corners = [_corner_spins(lattice, spins, t) for t in elementary_triangles(lattice)]
    return jnp.stack([_triple(*c) for c in corners], axis=-1)


@takes_spins
@jax.jit
def charge_density(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "*cells"]:
    """Topological charge of each cell, the sum over its triangles (`triangulation`) of Omega/(4 pi).

    Omega, in [-2 pi, 2 pi], is the signed solid angle of the spins at counter-clockwise corners, tan(Omega/2)
    = S_1 . (S_2 x S_3) / (1 + S_1 . S_2 + S_2 . S_3 + S_3 . S_1) (Berg & Luescher, Nucl. Phys. B 190, 412
    (1981), doi:10.1016/0550-3213(81)90568-X). Spins must have length 1; triangles with a vacancy count zero.
    """
    angles = sum_of(_solid_angle(*_corner_spins(lattice, spins, t)) for t in triangulation(lattice))
    return angles / (4 * np.pi)


@takes_spins
@jax.jit
def topological_charge(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, ""]:
    """Q = (1/4 pi) sum of solid angles: an integer on a periodic lattice without vacancies.

    A skyrmion with its core down in an up background has Q = -1. Its derivative is zero where it is an
    integer; `charge_density` says where the charge sits.
    """
    return jnp.sum(charge_density(lattice, spins))


@jax.jit
def texture_center(lattice: Lattice, weights: Float[Array, "*cells"]) -> Float[Array, " dimension"]:
    """The Cartesian centre of `weights`, such as abs(`charge_density`); it follows a moving skyrmion.

    Along a periodic axis the circular mean, which crosses the edge smoothly; along an open one the plain
    mean. A cell counts at its origin: add half a cell for `charge_density`, whose triangles fill the cell.
    """
    total = jnp.sum(weights)
    along = []
    for axis, (cells, wraps) in enumerate(zip(lattice.cells, lattice.periodic, strict=True)):
        profile = jnp.sum(weights, axis=tuple(k for k in range(lattice.dimension) if k != axis)) / total
        n = np.arange(cells)
        if wraps:
            turn = 2 * np.pi / cells * n
            c, s = (jnp.sum(profile * jnp.asarray(f, weights.dtype)) for f in (np.cos(turn), np.sin(turn)))
            along.append(jnp.mod(jnp.arctan2(s, c) * (cells / (2 * np.pi)), cells))
        else:
            along.append(jnp.sum(profile * jnp.asarray(n, weights.dtype)))
    return jnp.matmul(jnp.stack(along), jnp.asarray(lattice.vectors, weights.dtype), precision=EXACT)


def _corner_spins(lattice: Lattice, spins: Array, triangle: Triangle) -> list[Array]:
    return [lattice.translate(spins[..., b, :], offset) for b, offset in triangle]


def _triple(a: Array, b: Array, c: Array) -> Array:
    return jnp.sum(a * jnp.cross(b, c), axis=-1)


def _solid_angle(a: Array, b: Array, c: Array) -> Array:
    volume = _triple(a, b, c)
    base = 1 + sum_of(jnp.sum(x * y, axis=-1) for x, y in ((a, b), (b, c), (c, a)))
    # antiparallel corners span no definite triangle: count zero, with a finite derivative
    lost = (volume == 0) & (base == 0)
    return 2 * jnp.arctan2(volume, jnp.where(lost, 1, base))


@functools.lru_cache(maxsize=64)
def _neighborhood(lattice: Lattice) -> tuple[list[Corner], np.ndarray]:
    """Sites near the home cell, enough for every small triangle touching it, and their positions."""
    if lattice.dimension != 2:
        raise ValueError(
            f"triangles need a two-dimensional lattice, got {lattice.name}; "
            "take a layer, spins[:, :, k], on a lattice such as square."
        )
    corners = [(b, n) for n in itertools.product(range(-3, 4), repeat=2) for b in range(lattice.sublattices)]
    points = [np.array(n) @ np.array(lattice.vectors) + np.array(lattice.basis[b]) for b, n in corners]
    return corners, np.array(points)


@functools.lru_cache(maxsize=64)
def _candidates(lattice: Lattice) -> list[tuple[Triangle, np.ndarray]]:
    """Counter-clockwise triangles with short edges, one for each class under translation."""
    corners, sites = _neighborhood(lattice)
    reach = 1.5 * max(np.linalg.norm(v) for v in lattice.vectors)
    found: dict[Triangle, np.ndarray] = {}
    for first in (k for k, (_, n) in enumerate(corners) if n == (0, 0)):
        near = [k for k in np.flatnonzero(np.linalg.norm(sites - sites[first], axis=1) < reach) if k != first]
        for second, third in itertools.combinations(near, 2):
            points = sites[[first, second, third]]
            area = np.linalg.det(points[1:] - points[0]) / 2
            if abs(area) < _TOLERANCE or np.linalg.norm(points[1] - points[2]) >= reach:
                continue
            order = (first, second, third) if area > 0 else (first, third, second)
            found[_canonical(lattice, [corners[k] for k in order])] = sites[np.array(order)]
    return list(found.items())


def _canonical(lattice: Lattice, corners: list[Corner]) -> Triangle:
    """Its centroid moved to the home cell, the least corner first, the orientation kept."""
    fractions = np.array(lattice.basis) @ np.linalg.inv(np.array(lattice.vectors))
    centroid = np.mean([fractions[b] + n for b, n in corners], axis=0)
    home = np.floor(centroid + _TOLERANCE).astype(int)
    moved = [(b, tuple(int(x) for x in np.subtract(n, home))) for b, n in corners]
    start = min(range(3), key=lambda k: moved[k])
    return moved[start], moved[(start + 1) % 3], moved[(start + 2) % 3]


def _circumcircle(points: np.ndarray) -> tuple[np.ndarray, float]:
    center = np.linalg.solve(2 * (points[1:] - points[0]), np.sum(points[1:] ** 2 - points[0] ** 2, axis=1))
    return center, float(np.sum((points[0] - center) ** 2))
