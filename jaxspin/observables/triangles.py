"""Triangles of sites in two dimensions: static tables, for one cell.

Three corners (sublattice, cell offset) each, counter-clockwise.
"""

import functools
import itertools

import numpy as np

from jaxspin.lattice import Lattice

Corner = tuple[int, tuple[int, ...]]

Triangle = tuple[Corner, Corner, Corner]

# Lengths and areas (in lattice constants) are compared to this.
_TOLERANCE = 1e-6


@functools.lru_cache(maxsize=64)
def elementary_triangles(lattice: Lattice) -> tuple[Triangle, ...]:
    """The triangles of `scalar_chirality`: the smallest isosceles ones without an obtuse angle, once a cell.

    Triangular: the 2 nearest-neighbour triangles, up and down. Kagome: likewise 2. Square: the 4 right
    triangles of a plaquette, which cover it twice and keep its symmetry. Honeycomb: the 4 second-neighbour
    triangles, two on each sublattice.

    Raises `ValueError` off two dimensions. For triangles that tile the plane once use `triangulation`.

    Example:
        >>> [len(js.observables.elementary_triangles(made)) for made in (js.triangular(4), lattice)]
        [2, 4]
    """
    candidates: list[tuple[float, Triangle]] = []
    for corners, points in _candidates(lattice):
        a, b, c = sorted(np.linalg.norm(points - np.roll(points, 1, 0), axis=1))
        near = lattice.tolerance * c
        # a right angle within the tolerance of its sides is one
        if (b - a < near or c - b < near) and c * c < a * a + b * b + 4 * near * c:
            candidates.append((a + b + c, corners))
    smallest = min(size for size, _ in candidates)
    return tuple(sorted(corners for size, corners in candidates if size <= smallest * (1 + lattice.tolerance)))


@functools.lru_cache(maxsize=64)
def triangulation(lattice: Lattice) -> tuple[Triangle, ...]:
    """Two triangles for each site that tile the plane exactly once, hexagons and squares included.

    The Delaunay triangulation, its ties (squares, hexagons) broken the same way in every cell by measuring
    distances in a slightly sheared metric.

    Raises `ValueError` off two dimensions, and for lattice vectors that are not the shortest ones.

    Source: B. Delaunay, Bull. Acad. Sci. URSS 6, 793 (1934).

    Example:
        >>> len(js.observables.triangulation(lattice)), len(js.observables.triangulation(js.honeycomb(4)))
        (2, 4)
    """
    shear = np.array([[1.0, 1.3e-3], [0.0, 1.0 + 7e-4]])
    _, sites = _neighborhood(lattice)
    sites = sites @ shear
    triangles = []
    for corners, points in _candidates(lattice):
        center, square = _circumcircle(points @ shear)
        if np.all(np.sum((sites - center) ** 2, axis=1) > square - 1e-9):
            triangles.append(corners)
    if len(triangles) != 2 * lattice.sublattices:
        raise ValueError(f"the {lattice.name} lattice was not triangulated; use its shortest lattice vectors.")
    return tuple(sorted(triangles))


@functools.lru_cache(maxsize=64)
def edges_of(lattice: Lattice) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
    """The sides of the `triangulation`, each once: (start, end, cell offset)."""
    edges: dict[tuple[int, int, tuple[int, ...]], None] = {}
    for corners in triangulation(lattice):
        for (a, n), (b, m) in zip(corners, (*corners[1:], corners[0]), strict=True):
            step = tuple(np.subtract(m, n).tolist())
            if (b, a, tuple(-x for x in step)) not in edges:
                edges[a, b, step] = None
    return tuple(edges)


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
    longest = 1.5 * max(np.linalg.norm(v) for v in lattice.vectors)
    triangles: dict[Triangle, np.ndarray] = {}
    for first in (k for k, (_, n) in enumerate(corners) if n == (0, 0)):
        near = [k for k in np.flatnonzero(np.linalg.norm(sites - sites[first], axis=1) < longest) if k != first]
        for second, third in itertools.combinations(near, 2):
            points = sites[[first, second, third]]
            area = np.linalg.det(points[1:] - points[0]) / 2
            if abs(area) < _TOLERANCE or np.linalg.norm(points[1] - points[2]) >= longest:
                continue
            order = (first, second, third) if area > 0 else (first, third, second)
            triangles[_canonical(lattice, [corners[k] for k in order])] = sites[np.array(order)]
    return list(triangles.items())


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
