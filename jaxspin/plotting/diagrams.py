"""Diagrams: numbers or names `(rows, columns)` against two parameters, and what a sweep has found."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxspin.io.store import Numbers
from jaxspin.plotting.colours import PHASES
from jaxspin.plotting.style import axes_or_new, figure_of, new_figure, styled
from jaxspin.sweeps import load_sweep

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    import xarray

_MARKERS = "osD^vP*Xhp"
# As many outputs of a sweep as fit side by side.
_PANELS = 3


@styled
def plot_phase_diagram(
    x: Numbers,
    y: Numbers,
    values: Any,
    label: str = "",
    *,
    xlabel: str = "",
    ylabel: str = "",
    names: Sequence[str] | None = None,
    colours: Sequence[str] = PHASES,
    cmap: str = "viridis",
    norm: Any = None,
    markers: tuple[Numbers, Numbers, Sequence[str]] | None = None,
    title: str = "",
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.figure.Figure":
    """A quantity, or the name of a phase, on a grid of two parameters: `values` `(len(y), len(x))`.

    Numbers get a scale of colours (`cmap`, `norm`, named `label`). Names, such as "tetrahedral", get one colour each,
    in the order of `names` (by default of the alphabet), listed beside the diagram. What is NaN, None or "" stays
    blank: points that are unknown, or where two phases are too close to tell. `markers` (x, y, labels) `(n,)` each are
    drawn over it with a marker by label, such as points of another method; a label among the `names` has its colour.

    Cells reach halfway to their neighbours. For the results of `jaxspin.sweeps.sweep` see `plot_sweep`.

    Raises `ValueError` on the shapes, for names that `names` leaves out, and for more of them than `colours`.

    Example:
        >>> orders = [["stripe", "stripe", "120 degrees"], ["stripe", "120 degrees", ""]]
        >>> figure = js.plotting.plot_phase_diagram([0.2, 0.4, 0.6], [1.0, 2.0], orders, xlabel="filling")
        >>> [text.get_text() for text in figure.axes[1].get_yticklabels()]
        ['120 degrees', 'stripe']
    """
    from matplotlib.colors import ListedColormap

    x, y, table = np.asarray(x, np.float64), np.asarray(y, np.float64), np.asarray(values)
    if x.ndim != 1 or y.ndim != 1 or table.shape != (*y.shape, *x.shape):
        raise ValueError(
            f"values of shape {table.shape} do not fit x {x.shape} and y {y.shape}; give (len(y), len(x)), a row for "
            "each y: transpose them, values.T."
        )
    ax = axes_or_new(ax, 4.6, 3.3)
    grid = {"shading": "nearest", "rasterized": True}
    if table.dtype.kind in "OUS":
        listed = _names(table, markers, names, colours)
        number = np.array([[listed.index(n) if n in listed else -1 for n in row] for row in table.tolist()])
        scale = {"cmap": ListedColormap(list(colours[: len(listed)])), "vmin": -0.5, "vmax": len(listed) - 0.5}
        shown = ax.pcolormesh(x, y, np.ma.masked_less(number, 0), **scale, **grid)
        bar = ax.figure.colorbar(shown, ax=ax, ticks=range(len(listed)), label=label)
        bar.ax.set_yticklabels(listed)
        bar.ax.tick_params(length=0)
    else:
        listed = []
        shown = ax.pcolormesh(x, y, np.ma.masked_invalid(table.astype(float)), cmap=cmap, norm=norm, **grid)
        ax.figure.colorbar(shown, ax=ax, label=label)
    if markers is not None:
        _mark(ax, markers, listed, colours)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return figure_of(ax)


def _names(table: np.ndarray, markers: Any, names: Sequence[str] | None, colours: Sequence[str]) -> list[str]:
    found = {name for name in table.ravel().tolist() if name}
    listed = sorted(found) if names is None else list(names)
    if left := sorted(found - set(listed)):
        raise ValueError(f"names leaves out {', '.join(map(repr, left))}; list every phase of the diagram.")
    if len(listed) > len(colours):
        raise ValueError(f"{len(listed)} phases have {len(colours)} colours; give more of them, colours=[...].")
    return listed


def _mark(ax: "matplotlib.axes.Axes", markers: Any, listed: list[str], colours: Sequence[str]) -> None:
    """Points with a marker by label, named in a legend below the diagram."""
    across, up, labels = (np.asarray(part) for part in markers)
    if not across.shape == up.shape == labels.shape or across.ndim != 1:
        raise ValueError(
            f"markers of shapes {across.shape}, {up.shape} and {labels.shape} do not fit; give x, y and a label "
            "of each."
        )
    order = [*(name for name in listed if name in labels), *sorted(set(labels.tolist()) - set(listed))]
    for number, name in enumerate(order):
        here = labels == name
        face = colours[listed.index(name)] if name in listed else "white"
        look = {"s": 34, "color": face, "edgecolors": "black", "linewidths": 0.8, "zorder": 3}
        ax.scatter(across[here], up[here], marker=_MARKERS[number % len(_MARKERS)], label=name or "unnamed", **look)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, fontsize=8, handletextpad=0.2)


@styled
def plot_sweep(results: Any, name: str | None = None) -> "matplotlib.figure.Figure":
    """What a sweep has found: curves against one setting, maps against two, points against settings drawn at random.

    `results` is what `jaxspin.sweeps.sweep` returns or the path of its store. Drawn are the outputs that are one number
    a point, three at most, or `name` alone. Points that are not done stay blank, those that failed are crossed. Of more
    settings than two the last two that take several values are the axes, and over the others (seeds, say) is averaged,
    which the title tells.

    Raises `ValueError` for a name that is none of the outputs that are numbers, a sweep without any, or without a
    setting of numbers, and `TypeError` for what is no sweep. Choose among settings with `results.sel(...)` first.

    Example:
        >>> design = js.sweeps.grid(x=[1.0, 2.0], y=[0.0, 0.5, 1.0])
        >>> at = dict(store=tmp_path / "sweep.zarr", progress=False)
        >>> found = js.sweeps.sweep(lambda x, y: {"z": x * y}, design, **at)
        >>> js.plotting.plot_sweep(found).axes[0].get_xlabel()
        'y'
    """
    if not hasattr(results, "data_vars"):
        results = load_sweep(results)
    if "sweep" not in results.attrs:
        raise TypeError(
            "this data set is of no sweep; give what jaxspin.sweeps.sweep returns, or the path of its store."
        )
    axes = results.status.dims
    known = [str(n) for n, found in results.data_vars.items() if found.dims == axes and found.dtype.kind in "fiub"]
    known = [n for n in known if n != "status"]
    if (name is None and not known) or (name is not None and name not in known):
        found = f"outputs of one number a point: {', '.join(known)}" if known else "no output of one number a point"
        raise ValueError(f"this sweep has {found}; return one, or draw an array yourself.")
    shown = known[:_PANELS] if name is None else [name]
    figure = new_figure(3.9 * len(shown) + 0.3, 3.0)
    for ax, output in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown, strict=True):
        (_scattered if axes == ("point",) else _gridded)(ax, results, output)
    return figure


def _gridded(ax: "matplotlib.axes.Axes", results: "xarray.Dataset", name: str) -> None:
    """A quantity on a grid of settings."""
    axes = [str(axis) for axis in results.status.dims]
    numbers = [axis for axis in axes if results[axis].dtype.kind in "fiu"]
    several = [axis for axis in numbers if results.sizes[axis] > 1] or numbers
    texts = [axis for axis in axes if axis not in numbers]
    if not several or len(texts) > 1 or (texts and len(several) > 1):
        raise ValueError(
            f"the settings {', '.join(axes)} have no plane of numbers to draw {name} on; choose values of the others "
            "first, such as results.sel(texture='stripe')."
        )
    chosen = several[-2:] if not texts else [*texts, several[-1]]
    over = [axis for axis in axes if axis not in chosen and results.sizes[axis] > 1]
    done, failed = results.status == 1, (results.status == 2).any(over)
    values = results[name].astype(float).where(done).mean([a for a in axes if a not in chosen], skipna=True)
    title = f"mean over {', '.join(over)}" if over else ""
    failed = failed.squeeze([a for a in axes if a not in chosen and a not in over], drop=True)
    if len(chosen) == 2 and not texts:
        vertical, across = chosen
        table = values.transpose(vertical, across)
        plot_phase_diagram(results[across].values, results[vertical].values, table.values, name, ax=ax)
        ax.set(xlabel=across, ylabel=vertical, title=title)
        rows, columns = np.nonzero(failed.transpose(vertical, across).values)
        ax.plot(results[across].values[columns], results[vertical].values[rows], "kx", ms=5)
        return
    across = chosen[-1]
    for text in results[texts[0]].values if texts else [None]:
        curve = values if text is None else values.sel({texts[0]: text})
        ax.plot(results[across].values, curve.values, "o-", ms=3, label=text)
        bad = (failed if text is None else failed.sel({texts[0]: text})).values
        ax.plot(results[across].values[bad], np.zeros(int(bad.sum())), "kx", ms=5, transform=ax.get_xaxis_transform())
    ax.set(xlabel=across, ylabel=name, title=title)
    if texts:
        ax.legend()


def _scattered(ax: "matplotlib.axes.Axes", results: "xarray.Dataset", name: str) -> None:
    """A quantity at points without a grid: against the one setting of numbers, or as colour against the first two."""
    settings = [
        str(n) for n, c in results.coords.items() if c.dims == ("point",) and n != "point" and c.dtype.kind in "fiu"
    ]
    if not settings:
        raise ValueError(f"the points have no setting of numbers to draw {name} against; draw it yourself.")
    done, failed = (results.status == 1).values, (results.status == 2).values
    values = results[name].values
    if len(settings) == 1:
        across = results[settings[0]].values
        ax.plot(across[done], values[done], "o", ms=4)
        ax.plot(across[failed], np.zeros(int(failed.sum())), "kx", ms=5, transform=ax.get_xaxis_transform())
        ax.set(xlabel=settings[0], ylabel=name)
        return
    across, up = (results[setting].values for setting in settings[:2])
    shown = ax.scatter(across[done], up[done], c=values[done], s=28, edgecolors="0.3", linewidths=0.4)
    ax.plot(across[failed], up[failed], "kx", ms=5)
    ax.figure.colorbar(shown, ax=ax, label=name)
    ax.set(xlabel=settings[0], ylabel=settings[1])
