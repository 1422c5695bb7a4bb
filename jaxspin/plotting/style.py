"""One look for all figures, and figures without windows. No arrays."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from jaxspin.extras import needed_for
from jaxspin.io import to_json

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_P = ParamSpec("_P")
_R = TypeVar("_R")

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": "cycler(color=['#20557f', '#c4562b', '#3f7f4f', '#8a5a9c', '#8c7a3a', '#555555'])",
    "xtick.direction": "in",
    "ytick.direction": "in",
    "lines.linewidth": 1.3,
    "legend.frameon": False,
}
_DPI = 200
# Where each format keeps a free text.
_TEXT_ENTRY = {"png": "Description", "svg": "Description", "pdf": "Subject"}


def styled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Draw in the package's style and leave matplotlib's own settings as they were."""

    @functools.wraps(function)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with needed_for("figures"):
            import matplotlib as mpl

        with mpl.rc_context(_STYLE):
            return function(*args, **kwargs)

    return drawn


@styled
def new_figure(width: float | int = 4, height: float | int = 3) -> "matplotlib.figure.Figure":
    """An empty figure, in inches, that belongs to no window; `figure.subplots(..)` gives axes to draw in.

    In the package's style; notebooks show it, `save_figure` writes it.

    Raises `ValueError` for sizes that are not positive numbers.

    Example:
        >>> figure = js.plotting.new_figure(width=5, height=3)
        >>> figure.get_size_inches().tolist()
        [5.0, 3.0]
    """
    from jaxspin.plotting.shown import ShownFigure

    return ShownFigure(width, height)


def axes_or_new(ax: "matplotlib.axes.Axes | None", width: float, height: float) -> "matplotlib.axes.Axes":
    """`ax`, or the axes of a new figure of this size."""
    return new_figure(width, height).subplots() if ax is None else ax


def figure_of(ax: "matplotlib.axes.Axes") -> "matplotlib.figure.Figure":
    """The figure that holds `ax`."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes were removed from their figure; draw into others.")
    return figure


def save_figure(figure: "matplotlib.figure.Figure", path: str | Path, metadata: Any = None) -> Path:
    """Write `figure` as .png, .pdf or .svg with `metadata` (such as `provenance()`) inside, as JSON text.

    A figure of the same name is replaced. Raises `ValueError` for another ending. Returns the path.

    Example:
        >>> figure = js.plotting.plot_spins(lattice, spins)
        >>> js.plotting.save_figure(figure, tmp_path / "spins.png").name
        'spins.png'
    """
    path = Path(path)
    kind = path.suffix.removeprefix(".")
    if kind not in _TEXT_ENTRY:
        raise ValueError(f"cannot write {path.name} with metadata; end the name in .png, .pdf or .svg.")
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {} if metadata is None else {_TEXT_ENTRY[kind]: to_json(metadata)}
    figure.savefig(path, dpi=_DPI, metadata=about)
    return path
