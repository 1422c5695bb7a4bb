"""Three dimensions: spins as cones at their sites, and lattices with their bonds; vertices `(faces, corners, 3)`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxspin.io.ovf import in_space
from jaxspin.io.store import Numbers
from jaxspin.lattice import Lattice
from jaxspin.plotting.geometry import nearest_distance
from jaxspin.plotting.style import figure_of, new_figure, styled
from jaxspin.spins import takes_spins

if TYPE_CHECKING:
    import matplotlib.figure

# More cones than this hide one another, and take long to draw.
MOST_CONES = 1500
_SIDES = 10


@takes_spins(host=True, unit=True)
@styled
def plot_spins_3d(
    lattice: Lattice,
    spins: Numbers,
    *,
    elevation: float | int = 22,
    azimuth: float | int = -62,
    title: str = "",
    ax: Any = None,
) -> "matplotlib.figure.Figure":
    """Spins as cones in space, coloured by S_z, seen from `elevation` and `azimuth` (degrees); vacancies stay blank.

    For any lattice, a plane or a chain too; a cone is 0.85 of the nearest distance long. Of more than 1500 spins look
    at planes, `plot_slices`, `plot_spins(layer=...)`, or take the spins to ParaView, `jaxspin.io.save_vtk`. `ax` are
    axes in space, such as `figure.add_subplot(projection="3d")`.

    Raises `ValueError` on the shape, for more spins than that, and for axes of a plane.

    Example:
        >>> crystal = js.cubic(2)
        >>> figure = js.plotting.plot_spins_3d(crystal, js.textures.neel(crystal))
        >>> figure.axes[0].name
        '3d'
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

    values, points = np.asarray(spins, np.float64).reshape(-1, 3), in_space(lattice).reshape(-1, 3)
    here = np.any(values != 0, axis=-1)
    if here.sum() > MOST_CONES:
        raise ValueError(
            f"{here.sum()} cones hide one another; use plot_slices, or plot_texture(..., layer=0), or write a file for "
            "ParaView with jaxspin.io.save_vtk."
        )
    if ax is not None and ax.name != "3d":
        raise ValueError("cones need axes in space; give ax=figure.add_subplot(projection='3d'), or leave ax out.")
    ax = new_figure(5.0, 3.9).add_subplot(projection="3d") if ax is None else ax
    near = nearest_distance(lattice)
    scale = Normalize(-1, 1)
    faces = _cones(points[here], values[here], 0.85 * near)
    colors = np.repeat(colormaps["coolwarm"](scale(values[here][:, 2])), faces.shape[1], axis=0)
    ax.add_collection3d(Poly3DCollection(faces.reshape(-1, 3, 3), facecolors=colors, linewidths=0, shade=True))
    ax.add_collection3d(Line3DCollection(_frame(lattice), colors="0.6", linewidths=0.6))
    open_space(ax, points, near)
    ax.view_init(elev=elevation, azim=azimuth)
    ax.set(title=title)
    bar = ax.figure.colorbar(ScalarMappable(scale, "coolwarm"), ax=ax, label="$S_z$", shrink=0.55, pad=0.13)
    bar.set_ticks([-1, 0, 1])
    return figure_of(ax)


def _cones(points: np.ndarray, directions: np.ndarray, length: float) -> np.ndarray:
    """Triangles `(spins, 2 sides, 3, 3)` of cones about the points: their mantles and their bases."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    # the axis that the spin is farthest from
    help_ = np.eye(3)[np.argmin(np.abs(unit), axis=-1)]
    one = np.cross(unit, help_)
    one /= np.linalg.norm(one, axis=-1, keepdims=True)
    two = np.cross(unit, one)
    angles = 2 * np.pi * np.arange(_SIDES + 1) / _SIDES
    base = points - 0.5 * length * directions
    tip = points + 0.5 * length * directions
    size = 0.24 * length * np.linalg.norm(directions, axis=-1)[:, None, None]
    rim = base[:, None] + size * (
        np.cos(angles)[None, :, None] * one[:, None] + np.sin(angles)[None, :, None] * two[:, None]
    )

    def triangles(apex: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.stack([np.broadcast_to(apex[:, None], first.shape), first, second], axis=2)

    return np.concatenate([triangles(tip, rim[:, :-1], rim[:, 1:]), triangles(base, rim[:, 1:], rim[:, :-1])], axis=1)


def _frame(lattice: Lattice) -> np.ndarray:
    """The edges `(edges, 2, 3)` of the block of cells, from its first to its last sites."""
    vectors = np.pad(np.array(lattice.vectors), [(0, 0), (0, 3 - lattice.dimension)])
    span = vectors * (np.array(lattice.cells) - 1)[:, None]
    corners = np.array(list(np.ndindex(*(2,) * lattice.dimension)))
    edges = [
        (corner @ span, (corner + step) @ span)
        for corner in corners
        for step in np.eye(lattice.dimension, dtype=int)
        if not corner @ step
    ]
    return np.array(edges)


def open_space(ax, points: np.ndarray, near: float) -> None:
    """Equal scales along x, y and z, no walls."""
    low, high = points.min(axis=0) - near / 2, points.max(axis=0) + near / 2
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    ax.set_box_aspect(high - low, zoom=1.0)
    ax.set(xlabel="$x$  ($a$)", ylabel="$y$  ($a$)", zlabel="$z$  ($a$)")
    ax.grid(False)
    for axis, length in zip((ax.xaxis, ax.yaxis, ax.zaxis), high - low, strict=True):
        axis.pane.set_visible(False)
        axis.line.set_color("0.6")
        axis.set_major_locator(_ticks(length))


def _ticks(length: float):
    from matplotlib.ticker import MaxNLocator, NullLocator

    return MaxNLocator(4, integer=True) if length > 2 else NullLocator()
