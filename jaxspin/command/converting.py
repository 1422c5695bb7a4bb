"""`jaxspin convert`: one configuration `(*cells, sublattices, 3)` or all frames of a run in another format."""

from pathlib import Path

import numpy as np

import jaxspin as js
from jaxspin.lattice import Lattice
from jaxspin.plotting.frames import Frames

_ONE, _ALL = (".ovf", ".vtk"), (".pvd", ".gif", ".mp4", ".zarr")


def convert(source: Path, target: Path, *, frame: int | None = None, overwrite: bool = False) -> Path:
    """Write what `source` holds as `target`, in the format of its ending; returns that path.

    A source .ovf has one configuration, a run several, of which `frame` goes into a file of one. Raises `ValueError`
    for endings that cannot be read or written, and a frame that is not there or goes into a file of all,
    `FileExistsError` where the target exists and `overwrite` is not given.
    """
    if target.suffix not in (*_ONE, *_ALL):
        raise ValueError(f"{target} cannot be written; end its name in one of {', '.join((*_ONE, *_ALL))}.")
    if target.suffix in _ALL and frame is not None:
        raise ValueError(f"{target} takes all frames; leave --frame out, or end the name in one of {', '.join(_ONE)}.")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists; choose another name, or pass --overwrite.")
    if source.suffix in (".gif", ".mp4", ".vtk", ".pvd", ".vti", ".vts", ".vtp", ".png"):
        raise ValueError(f"{source} cannot be read; give a file .ovf, or a run that jaxspin stored.")
    if source.suffix == ".ovf":
        if not source.is_file():
            raise FileNotFoundError(f"there is no file {source}; give one that is there.")
        spins, lattice = js.io.load_ovf(source)
        times, frames = np.zeros(1), spins[None]
    else:
        run = Frames(source)
        lattice, times, frames = run.lattice, run.times, run
    if target.suffix in _ONE:
        frame = -1 if frame is None else frame
        if not -len(frames) <= frame < len(frames):
            raise ValueError(f"{source} has {len(frames)} frames, none of number {frame}; give --frame from 0.")
        target.parent.mkdir(parents=True, exist_ok=True)
        return _one(target, np.asarray(frames[frame]), lattice, overwrite)
    if source.suffix == ".ovf" and target.suffix in (".gif", ".mp4"):
        raise ValueError(f"{source} has one configuration, of which there is no film; use jaxspin plot, or give a run.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".pvd":
        return js.io.save_vtk_series(target, times, frames, lattice, overwrite=overwrite, progress=True)
    if target.suffix == ".zarr":
        every = np.stack([np.asarray(frames[k]) for k in range(len(frames))])
        return js.io.save_trajectory(target, times, every, lattice, overwrite=overwrite)
    return js.plotting.animate(source, target, overwrite=overwrite)


def _one(target: Path, spins: np.ndarray, lattice: Lattice, overwrite: bool) -> Path:
    save = js.io.save_ovf if target.suffix == ".ovf" else js.io.save_vtk
    return save(target, spins, lattice, overwrite=overwrite)
