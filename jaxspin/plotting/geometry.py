"""Pictures of a lattice by nearest points: pixels `(rows, columns)`, vectors `(2, 2)`, centres `(k, 2)`.

The colour of a pixel is that of the nearest site, triangle or wavevector, so that any lattice, direct or
reciprocal, is drawn in its true geometry without a mesh.
"""

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxspin.lattice import Lattice
from jaxspin.observables import elementary_triangles

if TYPE_CHECKING:
    import matplotlib.axes

# Enough for print: 4 pixels a site on a lattice of 200.
_PIXELS = 800
_TOLERANCE = 1e-9

Box = tuple[float, float, float, float]


class Nearest(NamedTuple):
    """For each pixel the cell along either axis and the kind of the nearest centre."""

    first: np.ndarray
    second: np.ndarray
    kind: np.ndarray


class Plane:
    """The two dimensions of a lattice that a picture shows: a chain as one row, of a crystal one plane of sites.

    The planes of a crystal lie along its first two vectors and are counted from the bottom, `layer` among them; with
    one value a cell they are those of the cells. `lattice` is what lies in the plane, at its true distances.

    Raises `ValueError` for a layer that is not there.
    """

    def __init__(self, lattice: Lattice, kinds: int, layer: int = 0):
        self.dimension, self.rows, self.upright = lattice.dimension, None, True
        if lattice.dimension == 2:
            self.lattice = lattice
        elif lattice.dimension == 1:
            vectors = ((lattice.vectors[0][0], 0.0), (0.0, 1.0))
            basis = tuple((x, 0.0) for (x,) in lattice.basis)
            self.lattice = Lattice(lattice.name, vectors, basis, (*lattice.cells, 1), (*lattice.periodic, False))
        else:
            self.rows, self.lattice = _cut(lattice, kinds, layer)
            first, second, _ = np.array(lattice.vectors)
            self.upright = not (first[1] or first[2] or second[2])

    def take(self, array: np.ndarray) -> np.ndarray:
        """Of `(*cells, kinds, ..)` what lies in the plane, `(*plane.lattice.cells, kinds of it, ..)`."""
        if self.dimension == 2:
            return array
        if self.rows is None:
            return array[:, None]
        return np.stack([array[:, :, cell, kind] for cell, kind in self.rows], axis=2)


def _cut(lattice: Lattice, kinds: int, layer: int) -> tuple[list[tuple[int, int]], Lattice]:
    """The (cell along the third vector, kind) of the sites in a plane of a crystal, and those sites."""
    first, second, third = np.array(lattice.vectors)
    along = first / np.linalg.norm(first)
    normal = np.cross(first, second) / np.linalg.norm(np.cross(first, second))
    frame = np.array([along, np.cross(normal, along)])
    basis = np.array(lattice.basis)
    basis = basis if kinds == lattice.sublattices else basis.mean(axis=0, keepdims=True)
    points = {(n, b): point + n * third for n in range(lattice.cells[2]) for b, point in enumerate(basis)}
    found: list[tuple[float, list[tuple[int, int]]]] = []
    for row in sorted(points, key=lambda row: (round(float(points[row] @ normal), 6), row)):
        height = float(points[row] @ normal)
        if not found or height - found[-1][0] > 1e-5:
            found.append((height, []))
        found[-1][1].append(row)
    if not -len(found) <= layer < len(found):
        raise ValueError(
            f"layer = {layer} is none of the {len(found)} planes of sites of this lattice; count them from 0 to "
            f"{len(found) - 1}."
        )
    _, rows = found[layer]
    flat = Lattice(
        lattice.name,
        [frame @ v for v in (first, second)],
        [frame @ points[row] for row in rows],
        lattice.cells[:2],
        lattice.periodic[:2],
    )
    return rows, flat


def count_planes(lattice: Lattice) -> int:
    """How many planes of sites a crystal has along its third vector; 1 of what is flat."""
    if lattice.dimension < 3:
        return 1
    normal = np.cross(*np.array(lattice.vectors)[:2])
    normal = normal / np.linalg.norm(normal)
    steps = np.arange(lattice.cells[2]) * float(np.array(lattice.vectors[2]) @ normal)
    heights = np.sort(np.add.outer(steps, np.array(lattice.basis) @ normal).ravel())
    return 1 + int(np.sum(np.diff(heights) > 1e-5))


class Picture:
    """Which value each pixel shows: made once, and used for any number of arrays on one lattice.

    `box` is (left, right, bottom, top). Pixels beyond an open edge have none.
    """

    def __init__(self, lattice: Lattice, kinds: int, layer: int = 0):
        self.plane = Plane(lattice, kinds, layer)
        self.flat = flat = self.plane.lattice
        self.box, folded = drawn_box(flat)
        x, y = pixels(self.box)
        # triangles are of the plane's own lattice, sites in the plane may be fewer than those of a cell
        held = kinds if self.plane.rows is None else len(self.plane.rows)
        point = nearest(np.array(flat.vectors), value_centers(flat, held), x, y)
        along = [point.first, point.second]
        for axis, wraps in enumerate((folded, folded and flat.periodic[1])):
            along[axis] = np.mod(along[axis], flat.cells[axis]) if wraps else along[axis]
        self.inside = np.all([(n >= 0) & (n < cells) for n, cells in zip(along, flat.cells, strict=True)], axis=0)
        self._where = (*(np.where(self.inside, n, 0) for n in along), point.kind)

    def image(self, array: np.ndarray) -> np.ndarray:
        """`(rows, columns, ..)` of values `(*cells, kinds, ..)`; NaN beyond an edge."""
        shown = self.plane.take(array)[self._where].astype(float)
        shown[~self.inside] = np.nan
        return shown


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


def nearest_distance(lattice: Lattice) -> float:
    """Between two sites, 1 for a single one."""
    points, vectors, d = np.array(lattice.basis), np.array(lattice.vectors), lattice.dimension
    steps = [n for n in np.ndindex(*(5,) * d) if all(abs(k - 2) < c for k, c in zip(n, lattice.cells, strict=True))]
    others = np.concatenate([points + (np.array(n) - 2) @ vectors for n in steps])
    lengths = np.linalg.norm(others[:, None] - points[None], axis=-1)
    return float(np.min(lengths[lengths > 1e-6], initial=np.inf)) if np.any(lengths > 1e-6) else 1.0


def in_plane(ax: "matplotlib.axes.Axes", plane: Plane, title: str) -> None:
    """Axes of a picture: equal scales, and what they are, x and y or (of a tilted plane) along its first vector."""
    across = "$y$" if plane.upright else r"across $\mathbf{a}_1$"
    ax.set(aspect="equal", xlabel=("$x$" if plane.upright else r"along $\mathbf{a}_1$") + "  ($a$)", title=title)
    for side in ax.spines.values():
        side.set_visible(False)
    if plane.lattice.cells[1] == 1 and plane.dimension == 1:
        ax.set(yticks=[], ylabel="")
    else:
        ax.set(ylabel=f"{across}  ($a$)")
