"""Spins by the colour of their direction: a texture `(*cells, sublattices, 3)`, planes of it, a chain in time."""

from typing import TYPE_CHECKING

import numpy as np

from jaxspin.io.store import Numbers
from jaxspin.lattice import Lattice
from jaxspin.plotting.colours import add_wheel, direction_colours
from jaxspin.plotting.geometry import Picture, count_planes, in_plane
from jaxspin.plotting.style import axes_or_new, figure_of, new_figure, styled
from jaxspin.spins import takes_spins

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

WIDTH = 3.6


@takes_spins(host=True, unit=True)
@styled
def plot_texture(
    lattice: Lattice, spins: Numbers, *, layer: int = 0, title: str = "", ax: "matplotlib.axes.Axes | None" = None
) -> "matplotlib.figure.Figure":
    """All three components of every spin in one picture: hue by the angle of (S_x, S_y), lightness by S_z.

    Every point has the colour of the nearest site, see `direction_colours`; the wheel beside it says which direction is
    which. For any size of the lattice, any number of sublattices; `layer` chooses the plane of sites of a
    three-dimensional one, from the bottom. Vacancies are grey. Single spins are easier to see in `plot_spins`.

    Raises `ValueError` on the shape, and for a layer that is not there.

    Example:
        >>> figure = js.plotting.plot_texture(lattice, spins)
        >>> figure.axes[0].images[0].get_array().shape[-1]
        4
    """
    picture = Picture(lattice, lattice.sublattices, layer)
    box = picture.box
    ax = axes_or_new(ax, WIDTH + 0.9, max(1.5, WIDTH * (box[3] - box[2]) / (box[1] - box[0]) + 0.4))
    image = direction_colours(picture.image(np.asarray(spins)))
    ax.imshow(image, extent=box, origin="lower", interpolation="nearest")
    in_plane(ax, picture.plane, title)
    if picture.flat.cells[1] == 1:
        ax.set(aspect="auto")
    add_wheel([ax])
    return figure_of(ax)


@takes_spins(host=True, unit=True)
@styled
def plot_slices(lattice: Lattice, spins: Numbers, *, count: int = 4, title: str = "") -> "matplotlib.figure.Figure":
    """`count` planes of a three-dimensional texture side by side, evenly spaced from bottom to top, as `plot_texture`.

    Each panel says which of the planes of sites it is; a lattice of fewer shows all of them. Raises `ValueError` for
    spins of another lattice, a count below 1, and off three dimensions.

    Example:
        >>> crystal = js.cubic(4)
        >>> figure = js.plotting.plot_slices(crystal, js.textures.neel(crystal), count=2)
        >>> [ax.get_title() for ax in figure.axes[:2]]
        ['plane 0 of 4', 'plane 3 of 4']
    """
    if lattice.dimension != 3:
        raise ValueError(f"a {lattice.name} lattice of {lattice.dimension} dimensions has no planes; use plot_texture.")
    if count < 1:
        raise ValueError(f"count = {count} planes show nothing; give at least 1.")
    planes = count_planes(lattice)
    chosen = np.unique(np.round(np.linspace(0, planes - 1, min(count, planes))).astype(int))
    pictures = [Picture(lattice, lattice.sublattices, int(layer)) for layer in chosen]
    boxes = np.array([picture.box for picture in pictures])
    (left, bottom), (right, top) = boxes.min(axis=0)[[0, 2]], boxes.max(axis=0)[[1, 3]]
    panel = 2.3
    figure = new_figure(panel * len(chosen) + 0.9, max(1.4, panel * (top - bottom) / (right - left)) + 0.7)
    axes = np.atleast_1d(figure.subplots(1, len(chosen), sharey=True))
    for ax, picture, layer in zip(axes, pictures, chosen, strict=True):
        image = direction_colours(picture.image(np.asarray(spins)))
        ax.imshow(image, extent=picture.box, origin="lower", interpolation="nearest")
        in_plane(ax, picture.plane, f"plane {layer} of {planes}")
        ax.set(xlim=(left, right), ylim=(bottom, top))
        if layer != chosen[0]:
            ax.set(ylabel="")
    add_wheel(list(axes))
    if title:
        figure.suptitle(title)
    return figure


@styled
def plot_kymograph(
    lattice: Lattice,
    times: Numbers,
    values: Numbers,
    label: str = "",
    *,
    cmap: str = "RdBu_r",
    title: str = "",
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.figure.Figure":
    """A chain in time: position to the right, time upwards.

    `values` are spins `(n, *cells, sublattices, 3)`, which get the colour of their direction (`direction_colours`), or
    numbers `(n, *cells, sublattices)` such as S_z, with a scale symmetric about zero. `times` `(n,)` in hbar/t need not
    be even: each frame reaches halfway to the next. Of a channel of more dimensions hand over a chain of averages.

    Raises `ValueError` for another dimension than one, and for shapes that do not fit.

    Example:
        >>> ring = js.chain(8)
        >>> run = js.simulate(js.Exchange(ring, 1.0), js.textures.spiral(ring, (np.pi / 4,)), duration=1.0, step=0.1)
        >>> figure = js.plotting.plot_kymograph(ring, run.times, run.spins[..., 2], "$S_z$")
        >>> figure.axes[0].get_ylabel()
        'time  ($\\\\hbar/t$)'
    """
    if lattice.dimension != 1:
        raise ValueError(f"a {lattice.name} lattice has {lattice.dimension} dimensions; average over all but one.")
    array, times = np.asarray(values), np.asarray(times, np.float64)
    scalar = array.shape == (*times.shape, *lattice.shape)
    if times.ndim != 1 or not (scalar or array.shape == (*times.shape, *lattice.shape, 3)):
        raise ValueError(
            f"values of shape {array.shape} do not fit times of shape {times.shape}; give "
            f"{(len(np.atleast_1d(times)), *lattice.shape)}, or three components each, one frame a time."
        )
    x = lattice.positions().reshape(-1)
    order = np.argsort(x, kind="stable")
    rows = array.reshape(len(times), lattice.sites, *array.shape[3:])[:, order]
    ax = axes_or_new(ax, WIDTH + 1.1, 3.2)
    edges = _edges(x[order]), _edges(times)
    if scalar:
        bound = float(np.nanmax(np.abs(rows))) or 1.0
        shown = ax.pcolormesh(*edges, rows, cmap=cmap, vmin=-bound, vmax=bound, rasterized=True)
        ax.figure.colorbar(shown, ax=ax, label=label, shrink=0.85)
    else:
        ax.pcolormesh(*edges, direction_colours(rows), rasterized=True)
        add_wheel([ax])
    ax.set(xlabel="$x$  ($a$)", ylabel=r"time  ($\hbar/t$)", title=title)
    return figure_of(ax)


def _edges(centers: np.ndarray) -> np.ndarray:
    """Halfway between neighbours, and as far beyond the first and the last."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    middle = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middle[0]], middle, [2 * centers[-1] - middle[-1]]])
