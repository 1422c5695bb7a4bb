"""Pictures of a lattice by nearest points: pixels `(rows, columns)`, vectors `(2, 2)`, centres `(k, 2)`.

The colour of a pixel is that of the nearest site, triangle or wavevector, so that any lattice, direct or
reciprocal, is drawn in its true geometry without a mesh.
"""

import itertools
from typing import NamedTuple

import numpy as np

from jaxspin.lattice import Lattice
from jaxspin.observables import elementary_triangles

# Enough for print: 4 pixels a site on a lattice of 200.
_PIXELS = 800
_TOLERANCE = 1e-9

Box = tuple[float, float, float, float]


class Nearest(NamedTuple):
    """For each pixel the cell along either axis and the kind of the nearest centre."""

    first: np.ndarray
    second: np.ndarray
    kind: np.ndarray


def flatten(lattice: Lattice, array: np.ndarray, layer: int) -> tuple[Lattice, np.ndarray]:
    """Lattice and array `(*cells, ..)` in two dimensions: a chain as one row, a crystal's plane `layer`."""
    if lattice.dimension == 2:
        return lattice, array
    if lattice.dimension == 1:
        vectors = ((lattice.vectors[0][0], 0.0), (0.0, 1.0))
        basis = tuple((x, 0.0) for (x,) in lattice.basis)
        flat = Lattice(lattice.name, vectors, basis, (*lattice.cells, 1), (*lattice.periodic, False))
        return flat, array[:, None]
    vectors, basis = (tuple(v[:2] for v in group) for group in (lattice.vectors[:2], lattice.basis))
    return Lattice(lattice.name, vectors, basis, lattice.cells[:2], lattice.periodic[:2]), array[:, :, layer]


def value_centers(flat: Lattice, kinds: int) -> np.ndarray:
    """Where in the cell its `kinds` values sit: on its sites, in its middle, on its elementary triangles."""
    basis, vectors = np.array(flat.basis), np.array(flat.vectors)
    if kinds == flat.sublattices:
        return basis
    if kinds == 1:
        return basis.mean(axis=0, keepdims=True)
    triangles = elementary_triangles(flat)
    if kinds != len(triangles):
        raise ValueError(
            f"{kinds} values a cell are neither its {flat.sublattices} sites nor its {len(triangles)} "
            "triangles; plot one of them at a time, values[..., k]."
        )
    return np.array([np.mean([basis[b] + np.array(n) @ vectors for b, n in t], axis=0) for t in triangles])


def drawn_box(flat: Lattice) -> tuple[Box, bool]:
    """(left, right, bottom, top), and whether the lattice, periodic along x, is folded into it."""
    vectors = np.array(flat.vectors)
    (width, tilt), (_, height) = vectors
    if flat.periodic[0] and tilt == 0 and width > 0 and height > 0:
        left, bottom = np.mean(flat.basis, axis=0) - np.array([width, height]) / 2
        return (left, left + flat.cells[0] * width, bottom, bottom + flat.cells[1] * height), True
    points = flat.positions().reshape(-1, 2)
    margin = np.abs(vectors).max(axis=0) / 2
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    return (low[0], high[0], low[1], high[1]), False


def pixels(box: Box) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the centres of (nearly) square pixels that fill the box."""
    width, height = box[1] - box[0], box[3] - box[2]
    size = max(width, height) / _PIXELS
    columns, rows = max(1, round(width / size)), max(1, round(height / size))
    x = box[0] + (np.arange(columns) + 0.5) * width / columns
    y = box[2] + (np.arange(rows) + 0.5) * height / rows
    x, y = np.meshgrid(x, y)
    return x, y


def nearest(vectors: np.ndarray, centers: np.ndarray, x: np.ndarray, y: np.ndarray) -> Nearest:
    """The nearest of the points n_1 v_1 + n_2 v_2 + c_k to each pixel, on an infinite lattice."""
    inverse = np.linalg.inv(vectors)
    # the nearest point of a reduced lattice is a corner of the parallelogram about the pixel, of a skewed one
    # not always
    reduced = 2 * abs(vectors[0] @ vectors[1]) <= np.sum(vectors**2, axis=1).min() + _TOLERANCE
    offsets = range(2) if reduced else range(-1, 3)
    best = np.full(x.shape, np.inf)
    index = Nearest(*(np.zeros(x.shape, int) for _ in range(3)))
    for kind, (cx, cy) in enumerate(centers):
        corner = [np.floor((x - cx) * inverse[0, k] + (y - cy) * inverse[1, k]).astype(int) for k in (0, 1)]
        for step in itertools.product(offsets, repeat=2):
            n = [corner[k] + step[k] for k in (0, 1)]
            dx = n[0] * vectors[0, 0] + n[1] * vectors[1, 0] + cx - x
            dy = n[0] * vectors[0, 1] + n[1] * vectors[1, 1] + cy - y
            distance = dx * dx + dy * dy
            # ties go to the first found, on every platform
            closer = distance < best - _TOLERANCE
            best[closer] = distance[closer]
            for old, new in zip(index, (*n, np.full(x.shape, kind)), strict=True):
                old[closer] = new[closer]
    return index


def brillouin_zone(reciprocal: np.ndarray) -> np.ndarray:
    """Corners `(k, 2)`, counter-clockwise, of the points no nearer to any reciprocal vector than to zero."""
    others = np.array([n @ reciprocal for n in itertools.product(range(-2, 3), repeat=2) if any(n)])
    half = np.sum(others**2, axis=1) / 2
    corners: list[np.ndarray] = []
    for i, j in itertools.combinations(range(len(others)), 2):
        pair = others[[i, j]]
        if abs(np.linalg.det(pair)) < _TOLERANCE:
            continue
        point = np.linalg.solve(pair, half[[i, j]])
        new = all(np.linalg.norm(point - other) > 1e-6 for other in corners)
        if new and np.all(others @ point <= half + _TOLERANCE):
            corners.append(point)
    return np.array(sorted(corners, key=lambda p: np.arctan2(p[1], p[0])))


def zone_points(corners: np.ndarray) -> dict[str, np.ndarray]:
    """Gamma `(1, 2)`, and corners and edge centres of a square (M, X) or regular hexagonal (K, M) zone."""
    edges = (corners + np.roll(corners, -1, axis=0)) / 2
    points = {r"$\Gamma$": np.zeros((1, 2))}
    # a hundredth: of a zone of coordinates typed with few digits
    if all(np.ptp(radii := np.linalg.norm(group, axis=1)) < 1e-2 * radii.max() for group in (corners, edges)):
        corner, edge = ("K", "M") if len(corners) == 6 else ("M", "X")
        points |= {corner: corners, edge: edges}
    return points
