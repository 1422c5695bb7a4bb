"""The frames of a run wherever they are, one at a time: spins `(*cells, sublattices, 3)` at times `(n,)`."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxspin.devices.hosts import to_host
from jaxspin.dynamics import Trajectory
from jaxspin.io import lattice_of, load_trajectory
from jaxspin.lattice import Lattice

# What a run folder calls its trajectory.
_INSIDE = "trajectory.zarr"


def stored_run(path: str | os.PathLike) -> Path:
    """The store of a run: `path`, or what is in the folder that `jaxspin run` made there."""
    path = Path(path)
    return path / _INSIDE if (path / _INSIDE).is_dir() else path


class Frames:
    """Lattice and times of a run, and `frames[k]`, read from its store where it has one.

    `run` is a `Trajectory`, what `load_trajectory` returns, or the path of a store or of a folder of `jaxspin run`.
    Raises `ValueError` for a run without spins or lattice, `TypeError` for what is no run.
    """

    def __init__(self, run: Any):
        xarray = sys.modules.get("xarray")  # without it there is no data set of it
        if isinstance(run, str | os.PathLike):
            run = load_trajectory(stored_run(run))
        elif isinstance(run, Trajectory):
            if run.lattice is None or (run.spins is None and run.store is None):
                raise ValueError(
                    "the run kept no spins in memory, or no lattice; plot js.load(run.store) where it has a store, or "
                    "run.saved with plot_time_series."
                )
            run = load_trajectory(run.store) if run.spins is None and run.store is not None else run.shortened()
        elif xarray is None or not isinstance(run, xarray.Dataset) or "spins" not in run:
            raise TypeError(f"a {type(run).__name__} is no run; give what simulate returns, or the path of its store.")
        if isinstance(run, Trajectory):
            assert run.lattice is not None
            self.lattice: Lattice = run.lattice
            self.times, self._spins = np.asarray(run.times, float), run.spins
        else:
            self.lattice = lattice_of(run)
            self.times, self._spins = np.asarray(run.time.values, float), run.spins

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, index: int) -> np.ndarray:
        spins: Any = self._spins
        return to_host(spins[index] if not hasattr(spins, "values") else spins[index].values)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))
