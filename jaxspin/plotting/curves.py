"""Curves and scatter: histories and time series `(n,)`, exact against predicted values of any shape."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jaxspin.io.store import Numbers
from jaxspin.plotting.style import axes_or_new, figure_of, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# More points than this are drawn as counts.
_SCATTER = 500
_NOT_ERRORS = ("step", "seconds", "learning_rate")


@styled
def plot_parity(
    exact: Numbers,
    predicted: Numbers,
    label: str = "torque",
    *,
    unit: str = "t",
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.figure.Figure":
    """Predicted against exact values: counts on a logarithmic scale, the line of equality, the rms error.

    The error is given in `unit` and relative to rms(exact - mean). Hand over torques or tangent fields, not
    full fields, whose parallel part is not learnt. Raises `ValueError` if the shapes differ.

    Example:
        >>> figure = js.plotting.plot_parity(np.arange(9.0), np.arange(9.0) + 0.1)
        >>> figure.axes[0].get_xlabel()
        'exact torque  ($t$)'
    """
    from matplotlib.ticker import MaxNLocator

    x, y = np.asarray(exact, np.float64), np.asarray(predicted, np.float64)
    if x.shape != y.shape or x.size == 0:
        raise ValueError(f"exact {x.shape} and predicted {y.shape} differ; give two arrays of one shape.")
    x, y = x.ravel(), y.ravel()
    error, deviation = np.sqrt(np.mean((y - x) ** 2)), np.std(x)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.04 * (high - low) or 0.5
    limits = (low - margin, high + margin)
    ax = axes_or_new(ax, 4.1, 3.4)
    if x.size > _SCATTER:
        shown = ax.hexbin(x, y, gridsize=90, bins="log", mincnt=1, cmap="viridis", extent=limits * 2, lw=0.1)
        ax.figure.colorbar(shown, ax=ax, label="values per bin", shrink=0.85)
    else:
        ax.plot(x, y, "o", ms=3.5, mew=0, alpha=0.7)
    ax.plot(limits, limits, color="0.3", lw=0.8, ls="--", zorder=3)
    relative = f"\n= {100 * error / deviation:.2g} % of the spread" if deviation > 0 else ""
    ax.text(0.04, 0.96, f"rms error {error:.2g} ${unit}${relative}", transform=ax.transAxes, va="top")
    ax.set(xlabel=f"exact {label}  (${unit}$)", ylabel=f"predicted {label}  (${unit}$)")
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    return figure_of(ax)


@styled
def plot_training(
    history: Mapping[str, Numbers], *, ax: "matplotlib.axes.Axes | None" = None
) -> "matplotlib.figure.Figure":
    """Loss and errors, logarithmic, against "step" (or the number of the entry); times are left out.

    `history` is that of a `Learnt`, columns of one length by name; entries that are zero, negative or NaN are not
    drawn. `plot(learnt)` is the same.

    Raises `ValueError` for columns of different lengths, and where there is none but "step" and times.

    Example:
        >>> figure = js.plotting.plot_training({"step": [1, 2, 3], "loss": [1.0, 0.5, 0.2]})
        >>> len(figure.axes)
        1
    """
    columns = {name: np.asarray(column, np.float64) for name, column in history.items()}
    if len({column.shape for column in columns.values()}) > 1:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
        raise ValueError(f"the columns have different lengths ({shapes}); give one entry an evaluation in each.")
    if not set(columns) - set(_NOT_ERRORS):
        raise ValueError('the history has no loss and no error; give columns such as {"step": ..., "loss": ...}.')
    ax = axes_or_new(ax, 4.2, 2.9)
    for name, column in columns.items():
        if name not in _NOT_ERRORS:
            seen = np.isfinite(column) & (column > 0)
            steps = columns.get("step", np.arange(len(column)))
            ax.semilogy(steps[seen], column[seen], marker="o", ms=2.5, label=name)
    ax.set(xlabel="step", ylabel="loss, error")
    ax.legend()
    return figure_of(ax)


@styled
def plot_time_series(
    times: Numbers,
    series: Mapping[str, Numbers],
    ylabel: str = "",
    *,
    title: str = "",
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.figure.Figure":
    """Curves `(n,)` against `times` `(n,)` in hbar/t, each with its name in the legend.

    Raises `ValueError` for a curve of another length than the times. A run draws itself: `plot(run)`.

    Example:
        >>> figure = js.plotting.plot_time_series([0.0, 1.0], {"energy": [1.0, 0.5]}, "energy")
        >>> figure.axes[0].get_ylabel()
        'energy'
    """
    for name, values in series.items():
        if np.shape(values) != np.shape(times):
            raise ValueError(
                f"{name} of shape {np.shape(values)} does not fit times of shape {np.shape(times)}; give one number a "
                "frame, such as run.map(observable)."
            )
    ax = axes_or_new(ax, 4.2, 2.7)
    for line, (name, values) in zip(itertools.cycle(("-", "--", "-.", ":")), series.items(), strict=False):
        # a single point has no line
        ax.plot(np.asarray(times), np.asarray(values), line, marker="o" if np.size(values) == 1 else None, label=name)
    ax.set(xlabel=r"time  ($\hbar/t$)", ylabel=ylabel, title=title)
    ax.margins(x=0)
    if any(series):
        ax.legend()
    return figure_of(ax)
