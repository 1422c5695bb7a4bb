"""Trajectories on disk: times `(frames,)`, spins `(frames, *cells, sublattices, 3)`, in a Zarr store."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxspin.devices.hosts import by_first_process, to_host
from jaxspin.extras import check_stores
from jaxspin.files import undo_replacement
from jaxspin.io.records import to_json
from jaxspin.io.store import (
    Numbers,
    append_to_store,
    lattice_of,
    open_store,
    site_coordinates,
    site_dimensions,
    store_attributes,
    write_store,
)
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins

if TYPE_CHECKING:
    import xarray

# A chunk is rewritten when a frame is added to it: small enough to rewrite, large enough to read fast.
_CHUNK_BYTES = 2**22
_CHUNK_FRAMES = 64
_TIME_CHUNK = 4096


@takes_spins(host=True, batch=True)
def save_trajectory(
    path: str | os.PathLike,
    times: Numbers,
    spins: Numbers,
    lattice: Lattice,
    *,
    config: Any = None,
    attributes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Store a finished trajectory: `times` `(frames,)` in hbar/t, `spins` `(frames, *cells, sublattices, 3)`.

    Plain `xarray.open_zarr(path)` reads it, with named dimensions, site positions, units, `config` (a
    dataclass or dictionary) as JSON and `attributes` beside it. Raises `ValueError` on shapes or times that
    do not increase, `FileExistsError` where something is in the way. For frames that come one by one use
    `TrajectoryWriter`.

    Example:
        >>> js.io.save_trajectory(tmp_path / "run.zarr", [0.0, 1.0], jnp.stack([spins, spins]), lattice).name
        'run.zarr'
    """
    check_stores()
    times, spins = _checked(times, spins, lattice)
    dataset = _frames(times, spins, lattice)
    dataset = dataset.assign_coords(site_coordinates(lattice))
    dataset.attrs.update(store_attributes(lattice, config, attributes))
    frames = int(np.clip(_CHUNK_BYTES // max(1, spins[0].nbytes), 1, _CHUNK_FRAMES))
    encoding = {"spins": {"chunks": (frames, *spins.shape[1:])}, "time": {"chunks": (_TIME_CHUNK,)}}
    return write_store(dataset, path, overwrite=overwrite, encoding=encoding)


def load_trajectory(path: str | os.PathLike) -> "xarray.Dataset":
    """The trajectory at `path`: `spins` (time, cell_1, .., sublattice, component), read from disk as used.

    `lattice_of(dataset)` rebuilds the lattice. Raises `FileNotFoundError`, or `ValueError` for another kind
    of store.

    Example:
        >>> path = js.io.save_trajectory(tmp_path / "run.zarr", [0.0, 1.0], jnp.stack([spins, spins]), lattice)
        >>> dict(js.io.load_trajectory(path)["spins"].sizes)
        {'time': 2, 'cell_1': 4, 'cell_2': 4, 'sublattice': 1, 'component': 3}
    """
    dataset = open_store(path)
    if "spins" not in dataset or "time" not in dataset.coords:
        raise ValueError(f"{path} holds no trajectory; a data set is read with SpinData.load(path).")
    return dataset


class TrajectoryWriter:
    """Writes a long run as it goes: every `append` is on disk, whole, when it returns.

    A process killed while it appends leaves a store that reads as if that call had not been made. Of a run
    on many processes (`jax.distributed`) all make the writer and append the same frames, on whatever mesh; the
    first process writes. With `overwrite` the first frames replace an existing store; with `append` it is continued,
    and a new one is begun where there is none. `simulate(store=...)` does all of this.

    Raises `FileExistsError` where something is in the way and neither is given, `ValueError` where both are, or the
    store to be continued has another lattice, or another `config` than the one given.

    Example:
        >>> writer = js.io.TrajectoryWriter(tmp_path / "run.zarr", lattice)
        >>> for time in (0.0, 0.5, 1.0):
        ...     writer.append(time, spins)
        >>> js.io.load_trajectory(tmp_path / "run.zarr")["time"].values.tolist()
        [0.0, 0.5, 1.0]
    """

    def __init__(
        self,
        path: str | os.PathLike,
        lattice: Lattice,
        *,
        config: Any = None,
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        append: bool = False,
    ):
        check_stores()
        self.path, self.lattice = Path(path), lattice
        self.frames, self.last_time = 0, -np.inf
        self._config, self._attributes, self._overwrite = config, attributes, overwrite
        self._dtype: np.dtype | None = None
        undo_replacement(self.path)
        if overwrite and append:
            raise ValueError("overwrite and append exclude each other; choose one.")
        # nothing is written before all processes have looked
        exists = self.path.exists()
        if exists and append:
            self._resume()
        by_first_process(lambda: None)
        if exists and not (append or overwrite):
            raise FileExistsError(
                f"{path} exists; choose another path, or pass append=True to continue it or overwrite=True."
            )

    @takes_spins(host=True, batch=True)
    def append(self, times: Numbers, spins: Numbers) -> None:
        """Add one frame (a time, spins `(*cells, sublattices, 3)`) or several (a leading axis on both).

        A call costs some milliseconds beside the data: hand over several frames at once where they are small.
        Raises `ValueError` on shapes, precision, or times that do not increase.
        """
        if np.ndim(times) == 0:
            times, spins = np.asarray(times)[None], to_host(spins)[None]
        times, spins = _checked(times, spins, self.lattice)
        if times[0] <= self.last_time:
            raise ValueError(
                f"time {times[0]} does not come after the last stored one, {self.last_time}; "
                "continue the run from there."
            )
        if self._dtype is not None and spins.dtype != self._dtype:
            raise ValueError(f"the store holds {self._dtype} and the frames are {spins.dtype}; convert them.")
        if self.frames == 0:
            save_trajectory(
                self.path,
                times,
                spins,
                self.lattice,
                config=self._config,
                attributes=self._attributes,
                overwrite=self._overwrite,
            )
        else:
            append_to_store(self.path, self.frames, {"spins": spins, "time": times})
        self._dtype, self.frames, self.last_time = spins.dtype, self.frames + len(times), float(times[-1])

    def _resume(self) -> None:
        with load_trajectory(self.path) as stored:
            if lattice_of(stored) != self.lattice:
                raise ValueError(f"{self.path} was written on another lattice; choose another path.")
            if self._config is not None and _sorted(to_json(self._config)) != _sorted(
                stored.attrs.get("config", "null")
            ):
                raise ValueError(
                    f"{self.path} was written with another config; choose another path, or leave config out to keep "
                    "the stored one."
                )
            self.frames, self.last_time = stored.sizes["time"], float(stored.time[-1])
            self._dtype = stored.spins.dtype


def _sorted(text: str) -> str:
    """JSON text with the keys in order, so that equal dictionaries have equal texts."""
    return json.dumps(json.loads(text), sort_keys=True)


def _frames(times: np.ndarray, spins: np.ndarray, lattice: Lattice) -> "xarray.Dataset":
    import xarray as xr

    dimensions = ("time", *site_dimensions(lattice), "component")
    about_spins = {"units": "1", "long_name": "unit spin", "components": "x y z"}
    about_time = {"units": "hbar/t", "long_name": "time"}
    return xr.Dataset({"spins": (dimensions, spins, about_spins)}, coords={"time": ("time", times, about_time)})


def _checked(times: Numbers, spins: Numbers, lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    times, spins = np.asarray(times, np.float64), to_host(spins)
    if times.ndim != 1 or len(times) == 0 or spins.shape != (len(times), *lattice.shape, 3):
        raise ValueError(
            f"times {times.shape} and spins {spins.shape} are no trajectory on this lattice; "
            f"give (frames,) and (frames, {', '.join(map(str, lattice.shape))}, 3) with at least one frame."
        )
    if not np.all(np.diff(times) > 0):
        raise ValueError("the times do not increase; sort the frames, or drop those stored twice.")
    return times, spins
