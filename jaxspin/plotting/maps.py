"""Pictures of spins `(*cells, sublattices, 3)`, of scalars `(*cells, k)`, and of S(q) `(*cells,)`."""

from typing import TYPE_CHECKING

import numpy as np

from jaxspin.io.store import Numbers
from jaxspin.lattice import Lattice
from jaxspin.plotting.geometry import (
    Picture,
    Plane,
    brillouin_zone,
    in_plane,
    nearest,
    nearest_distance,
    pixels,
    zone_points,
)
from jaxspin.plotting.style import axes_or_new, figure_of, styled
from jaxspin.spins import takes_spins

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_DIVERGING = (
    "RdBu",
    "coolwarm",
    "bwr",
    "seismic",
    "PuOr",
    "PiYG",
    "BrBG",
    "PRGn",
    "berlin",
    "managua",
    "vanimo",
)
_WIDTH = 3.6
# A longer chain is drawn as curves: its arrows would be specks.
_ARROWS = 30
# Differences below this many units in the last place of numbers of order one are rounding and get no colours.
_ROUNDING = 1e4
_POINTS_PER_INCH = 72


@takes_spins(host=True, unit=True)
@styled
def plot_spins(
    lattice: Lattice, spins: Numbers, *, layer: int = 0, title: str = "", ax: "matplotlib.axes.Axes | None" = None
) -> "matplotlib.figure.Figure":
    """Spins as arrows along (S_x, S_y), coloured by S_z; a dot marks each site, vacancies stay blank.

    An arrow of a unit spin in the plane is 0.87 of the nearest distance long. `layer` chooses the plane of sites of a
    three-dimensional lattice, from the bottom (arrows in space: `plot_spins_3d`). Readable up to about 40 cells a side;
    of more, see `plot_texture`. A chain of more than 30 sites gives the curves of the three components.

    Raises `ValueError` on the shape, and for a layer that is not there.

    Example:
        >>> figure = js.plotting.plot_spins(lattice, spins, title="a random state")
        >>> figure.axes[0].get_title()
        'a random state'
    """
    values = np.asarray(spins)
    plane = Plane(lattice, lattice.sublattices, layer)
    flat, values = plane.lattice, plane.take(values)
    points, values = flat.positions().reshape(-1, 2), values.reshape(-1, 3)
    if lattice.dimension == 1 and lattice.sites > _ARROWS:
        ax = axes_or_new(ax, _WIDTH + 2, 2.4)
        order = np.argsort(points[:, 0], kind="stable")
        occupied = np.any(values != 0, axis=-1, keepdims=True)
        for name, component in zip("xyz", np.where(occupied, values, np.nan)[order].T, strict=True):
            ax.plot(points[order, 0], component, ".-", ms=3, label=f"$S_{name}$")
        ax.set(xlabel="$x$  ($a$)", ylabel="spin", title=title)
        ax.legend(loc="upper right")
        return figure_of(ax)
    near = nearest_distance(flat)
    low, high = points.min(axis=0) - 0.8, points.max(axis=0) + 0.8
    width, height = high - low
    ax = axes_or_new(ax, _WIDTH + 0.9, max(1.1, _WIDTH * height / width + 0.5))
    here = np.any(values != 0, axis=-1)
    (x, y), (u, v, w) = points[here].T, values[here].T
    colours = {"cmap": "coolwarm", "clim": (-1, 1)}
    dot = (0.2 * near * _WIDTH * _POINTS_PER_INCH / max(width, height)) ** 2
    ax.scatter(x, y, s=dot, c=w, linewidths=0, **colours)
    arrows = ax.quiver(
        *(x, y, u, v, w),
        pivot="mid",
        angles="xy",
        units="xy",
        scale_units="xy",
        scale=1.15 * max(1.0, float(np.max(np.linalg.norm(values, axis=-1), initial=0))) / near,
        width=0.08 * near,
        headwidth=4,
        headlength=4,
        headaxislength=3.6,
        edgecolor="0.2",
        linewidth=0.2,
        **colours,
    )
    in_plane(ax, plane, title)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.figure.colorbar(arrows, ax=ax, label="$S_z$", shrink=0.8, ticks=[-1, 0, 1])
    return figure_of(ax)


@styled
def plot_map(
    lattice: Lattice,
    values: Numbers,
    label: str = "",
    *,
    cmap: str = "RdBu_r",
    limits: tuple[float | int, float | int] | None = None,
    layer: int = 0,
    title: str = "",
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.figure.Figure":
    """A scalar in the true geometry: every point has the colour of the nearest site, triangle or cell.

    `values` is `(*cells, sublattices)` on sites, `(*cells, triangles)` as `scalar_chirality` gives it, or
    `(*cells,)` on cells. A lattice periodic along its first vector is drawn as a rectangle: the corner of the
    parallelogram that sticks out on one side is drawn on the other. `limits` default to the range of the values,
    symmetric about zero for a diverging `cmap`, and never narrower than rounding (2e-12 in double, 1e-3 in single
    precision). Raises `ValueError` on the shape.

    Example:
        >>> figure = js.plotting.plot_map(lattice, spins[..., 2], label="S_z")
        >>> len(figure.axes)
        2
    """
    given = np.asarray(values)
    array = given[..., None] if given.shape == lattice.cells else given
    if array.shape[:-1] != lattice.cells:
        raise ValueError(
            f"values of shape {given.shape} do not fit; give {lattice.shape} on sites, {lattice.cells} on "
            "cells, or what scalar_chirality returns."
        )
    picture = Picture(lattice, array.shape[-1], layer)
    image, box, array = picture.image(array), picture.box, picture.plane.take(array)
    if limits is None:
        low, high = float(np.nanmin(array)), float(np.nanmax(array))
        floor = _ROUNDING * float(np.finfo(array.dtype if array.dtype.kind == "f" else np.float64).eps)
        bound = max(abs(low), abs(high), floor)
        if high - low < floor * max(1.0, abs(low)):
            low, high = low - floor * max(1.0, abs(low)), high + floor * max(1.0, abs(high))
        limits = (-bound, bound) if cmap.removesuffix("_r") in _DIVERGING else (low, high)
    ax = axes_or_new(ax, _WIDTH + 0.9, max(1.1, _WIDTH * (box[3] - box[2]) / (box[1] - box[0]) + 0.4))
    shown = ax.imshow(image, cmap=cmap, clim=limits, extent=box, origin="lower", interpolation="nearest")
    in_plane(ax, picture.plane, title)
    if picture.flat.cells[1] == 1:
        ax.set(aspect="auto")
    ax.figure.colorbar(shown, ax=ax, label=label, shrink=0.85)
    return figure_of(ax)


@styled
def plot_structure_factor(
    lattice: Lattice,
    factor: Numbers,
    *,
    decades: float | int = 4,
    layer: int | None = None,
    title: str = "",
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.figure.Figure":
    """S(q), logarithmic, in and around the first Brillouin zone, its outline and named points marked.

    `factor` is S(q) `(*cells,)` as `structure_factor` gives it, which repeats from zone to zone when a cell
    has one site. With more sites it does not: give the spins `(*cells, sublattices, 3)` instead, and the figure
    goes to the second zone, where their peaks may be. A chain gives a curve, three dimensions the plane of the
    `layer`-th q_3 (None: that of the highest peak), which the title names. The colours show `decades` below the highest
    peak, as far as that is above rounding. Raises `ValueError` on the shape.

    Example:
        >>> figure = js.plotting.plot_structure_factor(lattice, js.observables.structure_factor(lattice, spins))
        >>> len(figure.axes)
        2
    """
    from matplotlib.colors import LogNorm
    from matplotlib.patheffects import withStroke

    array = np.asarray(factor, np.float64)
    are_spins = array.shape == (*lattice.shape, 3)
    if not are_spins and (array.shape != lattice.cells or lattice.sublattices > 1):
        raise ValueError(
            f"a factor of shape {array.shape} does not fit; give S(q) {lattice.cells} for one site a cell, "
            f"or the spins {(*lattice.shape, 3)}."
        )
    if are_spins:
        waves = np.fft.fftn(array, axes=tuple(range(lattice.dimension)))
    else:
        waves = np.sqrt(np.maximum(array, 0) * lattice.sites)[..., None, None]
    grid = lattice.reciprocal() / np.array(lattice.cells)[:, None]

    def at(*n: np.ndarray) -> np.ndarray:
        """S at q = sum_k n_k b_k / L_k, in whichever zone."""
        q = np.stack(n, axis=-1) @ grid
        phases = np.exp(-1j * q @ np.array(lattice.basis).T)
        wave = waves[tuple(np.mod(m, cells) for m, cells in zip(n, lattice.cells, strict=True))]
        return np.sum(np.abs(np.sum(wave * phases[..., None], axis=-2)) ** 2, axis=-1) / lattice.sites

    if lattice.dimension == 1:
        n = np.arange(-lattice.cells[0], lattice.cells[0] + 1)
        curve = at(n)
        floor = max(10.0**-decades * curve.max(), 1e-12 * float(np.sum(np.abs(waves) ** 2) / lattice.sites or 1.0))
        ax = axes_or_new(ax, 4.0, 2.8)
        ax.semilogy(n * grid[0, 0] / np.pi, np.maximum(curve, floor), "o-", ms=3)
        ax.set(xlabel=r"$q$  ($\pi/a$)", ylabel="$S(q)$", title=title)
        return figure_of(ax)
    corners = brillouin_zone(lattice.reciprocal()[:2, :2])
    extent = (1.3 if lattice.sublattices == 1 else 2.3) * np.abs(corners).max(axis=0)
    powers = np.sum(np.abs(waves) ** 2, axis=(-2, -1)) / lattice.sites
    if layer is None:
        layer = int(np.argmax(powers.max(axis=(0, 1)))) if lattice.dimension == 3 else 0
    if lattice.dimension == 3:
        cut = f"cut at $q_3 = $ {layer}/{lattice.cells[2]} $b_3$"
        title = f"{title}, {cut}" if title else cut
    box = (-extent[0], extent[0], -extent[1], extent[1])
    point = nearest(grid[:2, :2], np.zeros((1, 2)), *pixels(box))
    image = at(point.first, point.second, *(np.full_like(point.kind, layer),) * (lattice.dimension - 2))
    # a transform of so many numbers is rounding below this
    rounding = 1e-12 * float(powers.sum() or 1.0)
    top = max(float(image.max()), 10 * rounding)
    floor = max(top * 10.0**-decades, rounding)
    ax = axes_or_new(ax, _WIDTH + 0.9, _WIDTH * extent[1] / extent[0] + 0.4)
    shown = ax.imshow(
        np.maximum(image, floor),
        cmap="magma",
        norm=LogNorm(floor, top),
        extent=box,
        origin="lower",
        interpolation="nearest",
    )
    ax.plot(*np.vstack([corners, corners[:1]]).T, color="w", lw=0.9, ls="--")
    # white letters with a dark rim are legible on any colour
    letters = {"color": "w", "path_effects": [withStroke(linewidth=1.8, foreground="0.15")]}
    for name, points in zone_points(corners).items() if layer == 0 else ():
        ax.plot(*points.T, ls="", marker="o", mfc="none", mec="w", ms=8, mew=0.8)
        ax.annotate(name, points[0], xytext=(6, 5), textcoords="offset points", **letters)
    ax.set(xlabel="$q_x$  ($1/a$)", ylabel="$q_y$  ($1/a$)", title=title, aspect="equal")
    ax.figure.colorbar(shown, ax=ax, label=r"$S(\mathbf{q})$", shrink=0.85)
    return figure_of(ax)
