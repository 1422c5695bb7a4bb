"""Films of runs: a picture `(*cells, k)` a frame, in GIF or MP4."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from jaxspin.extras import needed_for
from jaxspin.files import refuse_existing
from jaxspin.io import whole_file
from jaxspin.plotting.colours import add_wheel, direction_colours
from jaxspin.plotting.frames import Frames
from jaxspin.plotting.geometry import Picture, in_plane
from jaxspin.plotting.style import new_figure, styled

if TYPE_CHECKING:
    import matplotlib.animation
    import matplotlib.figure
    import matplotlib.image

_WIDTH = 4.2
_DPI = 120
# A GIF counts hundredths of a second, and programs show shorter ones slower.
_FASTEST_GIF = 50


@styled
def animate(
    run: Any,
    path: str | os.PathLike,
    *,
    colour: str | Callable[[np.ndarray], Any] = "z",
    label: str = "",
    cmap: str = "RdBu_r",
    limits: tuple[float | int, float | int] | None = None,
    layer: int = 0,
    every: int = 1,
    frames_per_second: float | int = 20,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """A film of a run, one picture a frame with its time as title: `.gif`, or `.mp4` where there is ffmpeg.

    `run` is a `Trajectory` in memory or in a store, or the path of a store or of a folder of `jaxspin run`, of which
    one frame at a time is read. `every` n-th frame is shown. What is coloured at every point is that of the nearest
    site, as in `plot_map`:

    - "z": S_z, from -1 to 1;
    - "hue": the direction of the spin, as in `plot_texture`;
    - a function of the spins `(*cells, sublattices, 3)` of a frame, such as
      `lambda spins: js.observables.scalar_chirality(lattice, spins)`; it gives what `plot_map` takes. `limits` of the
      colours default to the largest absolute value of the film, on both sides of zero, for which the function is
      called twice a frame. `label` names it.

    `layer` chooses the plane of sites of a three-dimensional lattice, `cmap` the colours of all but "hue". The file
    appears once it is whole. Returns its path.

    Raises `FileExistsError` where the file exists and `overwrite` is not given, `FileNotFoundError` for .mp4 without
    ffmpeg, `ValueError` for another ending, another colour, settings that are not positive, `every` that is no whole
    number, a run without spins, and values that do not fit the lattice.

    Example:
        >>> run = js.simulate(field, spins, duration=1.0, step=0.1, save_every=0.5)
        >>> js.animate(run, tmp_path / "quench.gif", colour="hue", progress=False).name
        'quench.gif'
    """
    path = Path(path)
    if not isinstance(every, int | np.integer):
        raise ValueError(f"every = {every} is no whole number; give 1 for all frames, 2 for every second one.")
    if not every >= 1 or not frames_per_second > 0:
        raise ValueError(f"every = {every} and frames_per_second = {frames_per_second} must be positive; 1 and 20.")
    if isinstance(colour, str) and colour not in ("z", "hue"):
        raise ValueError(f"colour = {colour!r} is not known; give 'z', 'hue' or a function of the spins.")
    writer = _writer(path, frames_per_second)
    refuse_existing(path, overwrite)
    frames = Frames(run)
    shown = range(0, len(frames), int(every))
    film = _Film(frames, shown, colour, label, cmap, limits, layer)
    with whole_file(path) as partial, writer.saving(film.figure, str(partial), _DPI):
        for index in tqdm(shown, desc=path.name, unit="frame", disable=not progress):
            film.show(index)
            writer.grab_frame()
    return path


class _Film:
    """One figure whose picture and title change from frame to frame."""

    def __init__(
        self,
        frames: Frames,
        shown: Sequence[int],
        colour: str | Callable[[np.ndarray], Any],
        label: str,
        cmap: str,
        limits: tuple[float | int, float | int] | None,
        layer: int,
    ):
        self.frames, self.colour, lattice = frames, colour, frames.lattice
        first = self._values(0)
        self.picture = Picture(lattice, first.shape[lattice.dimension], layer)
        left, right, bottom, top = self.picture.box
        height = max(1.5, _WIDTH * (top - bottom) / (right - left) + 0.5)
        self.figure = new_figure(_WIDTH + 0.9, height)
        ax = self.figure.subplots()
        self.title = ax
        gaps = np.diff(frames.times[list(shown)])
        smallest = float(gaps.min()) if len(gaps) else 1.0
        self.digits = int(np.clip(np.ceil(-np.log10(smallest) + 1e-9), 0, 6))
        look: dict[str, Any] = {"extent": self.picture.box, "origin": "lower", "interpolation": "nearest"}
        if colour != "hue":
            look |= {"cmap": cmap, "clim": (-1, 1) if colour == "z" else limits or self._range(shown)}
        self.image: matplotlib.image.AxesImage = ax.imshow(self._pixels(first), **look)
        in_plane(ax, self.picture.plane, self._time(len(frames) - 1))
        if self.picture.flat.cells[1] == 1:
            ax.set(aspect="auto")
        if colour == "hue":
            add_wheel([ax])
        else:
            self.figure.colorbar(
                self.image, ax=ax, label="$S_z$" if colour == "z" and not label else label, shrink=0.85
            )
        # the place of everything is found once, or the picture would jump
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def show(self, index: int) -> None:
        self.image.set_data(self._pixels(self._values(index)))
        self.title.set_title(self._time(index))

    def _time(self, index: int) -> str:
        return f"$t$ = {self.frames.times[index]:.{self.digits}f}"

    def _values(self, index: int) -> np.ndarray:
        """What is coloured in a frame, `(*cells, kinds)` or, by hue, with three components each."""
        spins, lattice = self.frames[index], self.frames.lattice
        if not callable(self.colour):
            occupied = np.any(spins != 0, axis=-1)
            return spins if self.colour == "hue" else np.where(occupied, spins[..., 2], np.nan)
        values = np.asarray(self.colour(spins), float)
        values = values[..., None] if values.shape == lattice.cells else values
        if values.shape[:-1] != lattice.cells:
            raise ValueError(
                f"the function of the spins gives shape {values.shape}; it must give {lattice.shape} on sites, "
                f"{lattice.cells} on cells, or what scalar_chirality returns."
            )
        return values

    def _pixels(self, values: np.ndarray) -> np.ndarray:
        image = self.picture.image(values)
        return direction_colours(image) if self.colour == "hue" else image

    def _range(self, shown: Sequence[int]) -> tuple[float, float]:
        bound = max(float(np.nanmax(np.abs(self._values(index)))) for index in shown) or 1.0
        return -bound, bound


def _writer(path: Path, rate: float | int) -> "matplotlib.animation.AbstractMovieWriter":
    """What writes films of this ending, with so many frames a second."""
    with needed_for("figures"):
        import matplotlib as mpl
        from matplotlib.animation import FFMpegWriter, PillowWriter

    if path.suffix == ".gif":
        if rate > _FASTEST_GIF:
            raise ValueError(f"a GIF shows at most {_FASTEST_GIF} frames a second, not {rate:g}; use fewer, or .mp4.")
        return PillowWriter(fps=rate)  # pyright: ignore[reportArgumentType]
    if path.suffix != ".mp4":
        raise ValueError(f"{path.name} is no film that can be written; end the name in .gif or .mp4.")
    program = check_ffmpeg()
    # the style's settings are undone when the film is written
    mpl.rcParams["animation.ffmpeg_path"] = program
    return FFMpegWriter(fps=rate)  # pyright: ignore[reportArgumentType]


def check_ffmpeg() -> str:
    """The program ffmpeg, of this machine or of the package imageio-ffmpeg; `FileNotFoundError` without either."""
    with needed_for("figures"):
        import matplotlib as mpl

    program = mpl.rcParams["animation.ffmpeg_path"]
    if shutil.which(program) is not None:
        return program
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise FileNotFoundError(
            "films in .mp4 need the program ffmpeg, which was not found; install it (pip install imageio-ffmpeg "
            "brings one), or end the name in .gif."
        )
    import imageio_ffmpeg  # pyright: ignore[reportMissingImports]

    return imageio_ffmpeg.get_ffmpeg_exe()
