"""One way to read whatever jaxspin has written."""

import os
from pathlib import Path
from typing import Any

from jaxspin import forcefield
from jaxspin.dynamics import Trajectory
from jaxspin.io.store import open_store
from jaxspin.sweeps import load_sweep
from jaxspin.training import SpinData


def load(path: str | os.PathLike) -> Any:
    """What is stored at `path`, whatever it is: the way back from `run.save`, `data.save` and `forcefield.save`.

    - a `Trajectory`, its frames in memory (`Trajectory.load(path, in_memory=False)` leaves them on disk);
    - `SpinData`, a data set or a folder of shards;
    - a force field or committee, on the lattice of its training;
    - an `xarray.Dataset` of a sweep.

        run = js.simulate(field, spins, duration=10.0, store="run.zarr")
        charges = js.load("run.zarr").topological_charge()

    Raises `FileNotFoundError` where nothing is, `ValueError` for what jaxspin did not write: read OVF files with
    `jaxspin.io.load_ovf`, arrays of many processes with `jaxspin.devices.load`.

    Example:
        >>> path = js.io.save_trajectory(tmp_path / "run.zarr", [0.0, 1.0], jnp.stack([spins, spins]), lattice)
        >>> js.load(path).times.tolist()
        [0.0, 1.0]
    """
    path = Path(path)
    if next(path.glob("shard_*.zarr"), None) is not None:
        return SpinData.load(path)
    if (path / "zarr.json").is_file():
        with open_store(path) as stored:
            names, attributes = set(map(str, stored.variables)), stored.attrs
        if "sweep" in attributes:
            return load_sweep(path)
        if "field" in names:
            return SpinData.load(path)
        if "time" in names:
            return Trajectory.load(path)
        raise ValueError(f"{path} is a Zarr store of another program; open it with xarray.open_zarr.")
    if path.is_file():
        raise ValueError(f"{path} is a file, and jaxspin writes folders; read OVF files with jaxspin.io.load_ovf.")
    return forcefield.load(path)
