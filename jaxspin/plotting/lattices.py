"""A lattice itself: its sites by sublattice, its shortest bonds and its cell; segments `(bonds, 2, dimension)`."""

from typing import TYPE_CHECKING

import numpy as np

from jaxspin.io.ovf import in_space
from jaxspin.lattice import Lattice
from jaxspin.plotting.geometry import Plane, in_plane
from jaxspin.plotting.style import axes_or_new, figure_of, new_figure, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# More cells along an axis show nothing new.
_CELLS = 6


@styled
def plot_lattice(
    lattice: Lattice, *, nth: int = 1, title: str = "", ax: "matplotlib.axes.Axes | None" = None
) -> "matplotlib.figure.Figure":
    """Sites coloured by sublattice, the bonds of the `nth` shell, and the lattice vectors as arrows.

    Of a large lattice a corner of 6 cells along each axis is drawn, of a three-dimensional one 3, in space. Bonds that
    cross a periodic edge are left out. Raises `ValueError` for a shell below 1, and for `ax` in three dimensions.

    Example:
        >>> figure = js.plotting.plot_lattice(js.kagome(4))
        >>> figure.axes[0].get_title()
        'kagome, 4 x 4 cells of 3 sites'
    """
    few = _CELLS if lattice.dimension < 3 else 3
    part = lattice.resize(*(min(few, n) for n in lattice.cells))
    sites = "1 site" if lattice.sublattices == 1 else f"{lattice.sublattices} sites"
    title = title or f"{lattice.name}, {' x '.join(map(str, lattice.cells))} cells of {sites}"
    positions = part.positions()
    segments = []
    for bond in lattice.shell(nth):
        for cell in np.ndindex(*part.cells):
            end = np.add(cell, bond.offset)
            if np.all(end >= 0) and np.all(end < part.cells):
                segments.append((positions[(*cell, bond.start)], positions[(*end, bond.end)]))
    if lattice.dimension == 3:
        if ax is not None:
            raise ValueError("a lattice of three dimensions needs axes in space; leave ax out.")
        return _in_space(part, np.array(segments).reshape(-1, 2, 3), title)
    from matplotlib.collections import LineCollection

    plane = Plane(part, part.sublattices)
    points = plane.lattice.positions()
    low, high = points.min(axis=(0, 1, 2)) - 0.5, points.max(axis=(0, 1, 2)) + 0.5
    ax = axes_or_new(ax, 3.8, max(1.2, 3.4 * (high - low)[1] / (high - low)[0] + 0.5))
    lines = np.array(segments).reshape(-1, 2, lattice.dimension)
    lines = np.pad(lines, [(0, 0), (0, 0), (0, 2 - lattice.dimension)])
    ax.add_collection(LineCollection(list(lines), colors="0.6", linewidths=1, zorder=1))
    for number in range(part.sublattices):
        ax.plot(*points[..., number, :].reshape(-1, 2).T, "o", ms=6, zorder=2)
    origin = points[0, 0, 0]
    for vector in np.array(plane.lattice.vectors)[: lattice.dimension]:
        look = {"arrowstyle": "-|>", "color": "black", "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", origin + vector, origin, arrowprops=look, zorder=3)
    in_plane(ax, plane, title)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return figure_of(ax)


def _in_space(lattice: Lattice, segments: np.ndarray, title: str) -> "matplotlib.figure.Figure":
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

    from jaxspin.plotting.solid import open_space

    figure = new_figure(4.2, 3.8)
    ax = figure.add_subplot(projection="3d")
    ax.add_collection3d(Line3DCollection(list(segments), colors="0.6", linewidths=1))
    points = in_space(lattice)
    for number in range(lattice.sublattices):
        ax.plot(*points[..., number, :].reshape(-1, 3).T, "o", ms=6)
    for vector in np.array(lattice.vectors):
        ax.quiver(*points[0, 0, 0, 0], *vector, color="black", lw=1.2, arrow_length_ratio=0.2)
    open_space(ax, points.reshape(-1, 3), 0.6)
    ax.set(title=title)
    return figure
