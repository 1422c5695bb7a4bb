"""The store of a sweep: one Zarr store with the settings as axes, written point by point, safe to kill.

It has its full size from the start. The outputs of a point are written first, its `status` last, and each file is
replaced as a whole: so all of a point is there if its status says that it is finished.
"""

import itertools
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxspin.files import explained, undamaged, undo_replacement
from jaxspin.io.records import provenance, to_json
from jaxspin.io.store import (
    check_chunks,
    every_chunk,
    is_whole,
    loaded,
    open_store,
    write_store,
)
from jaxspin.sweeps.design import Design
from jaxspin.warned import caller

if TYPE_CHECKING:
    import xarray

FORMAT = 1
PENDING, DONE, FAILED = range(3)
# Small enough to rewrite for every batch, large enough for few files.
_CHUNK_BYTES = 2**20

Spec = Mapping[str, jax.ShapeDtypeStruct]


def load_sweep(path: str | os.PathLike) -> "xarray.Dataset":
    """What a sweep has stored so far, its arrays read as they are used.

    `status` is 0 where a point is not done yet (its numbers mean nothing), 1 where it is, 2 where it failed, and
    `reason` says why. Raises `FileNotFoundError`, or `ValueError` for another kind of store.

    Example:
        >>> design = js.sweeps.grid(x=[1.0, 2.0])
        >>> results = js.sweeps.sweep(lambda x: {"y": x**2}, design, store=tmp_path / "sweep.zarr", progress=False)
        >>> js.sweeps.load_sweep(tmp_path / "sweep.zarr")["status"].values.tolist()
        [1, 1]
    """
    dataset = open_store(path)
    if "sweep" not in dataset.attrs:
        raise ValueError(f"{path} holds no sweep; a trajectory is read with load_trajectory.")
    with undamaged(path):
        stored = json.loads(dataset.attrs["sweep"])["format"]
    if stored != FORMAT:
        raise ValueError(f"{path} has format {stored}, this version reads {FORMAT}; use the jaxspin that wrote it.")
    _check_finished(Path(path), dataset)
    return dataset


def _check_finished(path: Path, dataset: "xarray.Dataset") -> None:
    """Refuse a store that lacks the file of a point that is done."""
    import zarr

    group = zarr.open_group(path, mode="r")
    if is_whole(dataset):
        for name in ("status", "reason", *map(str, dataset.coords)):
            array = group[name]
            assert isinstance(array, zarr.Array)
            check_chunks(path, name, array)
    done = np.argwhere(loaded(dataset[["status"]], path).status.values == DONE)
    depth = done.shape[1]
    for name in map(str, set(dataset.data_vars) - {"status", "reason"}):
        array = group[name]
        assert isinstance(array, zarr.Array)
        if not is_whole(dataset) and array.dtype.kind not in "fc":
            continue
        inner = [range(-(-n // c)) for n, c in zip(array.shape[depth:], array.chunks[depth:], strict=True)]
        outer = np.unique(done // np.array(array.chunks[:depth]), axis=0)
        check_chunks(path, name, array, ((*o, *i) for o in outer for i in itertools.product(*inner)))


class SweepStore:
    """Writes the points of a design as they come; made by `create` or `open`.

    One process writes a store at a time.
    """

    def __init__(self, path: Path, design: Design, status: np.ndarray, reason: np.ndarray):
        self.path, self.design = path, design
        self.status, self.reason = status, reason

    @property
    def pending(self) -> np.ndarray:
        """Which points are not done yet `(points,)`."""
        return self.status == PENDING

    @staticmethod
    def create(
        path: Path,
        design: Design,
        outputs: Spec,
        identity: Mapping[str, Any],
        dims: Mapping[str, Sequence[str]],
        *,
        overwrite: bool,
    ) -> "SweepStore":
        """An empty store; `FileExistsError` where there is one, unless `overwrite`."""
        import xarray as xr
        import zarr

        axes, shape = tuple(design.axes), design.shape
        coords: dict[str, Any] = {name: (name, _storable(axis)) for name, axis in design.axes.items()}
        for name, column in design.values.items():
            if name not in design.axes:
                coords[name] = (axes, _storable(column))
        about_status = {
            "long_name": "how far a point is",
            "flag_values": [PENDING, DONE, FAILED],
            "flag_meanings": "pending done failed",
        }
        status, reason = np.zeros(shape, np.int8), np.full(shape, "", object)
        dataset = xr.Dataset(
            {"status": (axes, status, about_status), "reason": (axes, reason, {"long_name": "why a point failed"})},
            coords=coords,
            attrs={"sweep": to_json({"format": FORMAT, **identity}), "provenance": to_json(provenance())},
        )
        whole = {name: {"chunks": shape} for name in ("status", "reason")}

        def add_outputs(folder: Path) -> None:
            for name, spec in outputs.items():
                zarr.create_array(
                    folder / name,
                    shape=(*shape, *spec.shape),
                    chunks=_chunks(shape, spec),
                    dtype=spec.dtype,
                    fill_value=blank(spec.dtype),
                    dimension_names=(*axes, *output_dims(name, spec, dims)),
                )

        write_store(dataset, path, overwrite=overwrite, encoding=whole, complete=add_outputs)
        return SweepStore(path, design, status.ravel(), reason.ravel())

    @staticmethod
    def open(path: Path, design: Design, identity: Mapping[str, Any]) -> "SweepStore | None":
        """The store of an interrupted sweep, None where there is none; `ValueError` for another's or a damaged one."""
        undo_replacement(path)
        if not path.exists():
            return None
        with load_sweep(path) as dataset:
            stored = json.loads(dataset.attrs["sweep"])
            wanted = json.loads(to_json(identity))
            _check_function(path, stored.get("function"), wanted.pop("function", None))
            other = " and ".join(name for name, value in wanted.items() if stored.get(name) != value)
            if other:
                raise ValueError(
                    f"{path} belongs to a sweep with another {other}; "
                    f"give the same {other}, choose another store, or pass overwrite=True to replace it."
                )
            checked = loaded(dataset[["status", "reason"]], path)
            status, reason = checked.status.values.ravel(), checked.reason.values.astype(object).ravel()
            for name in set(dataset.data_vars) - {"status", "reason"}:
                for part in _slabs(path, str(name)):
                    loaded(dataset[[name]].isel({next(iter(design.axes)): part}), path)
        for left in path.rglob("*.partial"):  # of a process killed while it wrote a file
            left.unlink(missing_ok=True)
        return SweepStore(path, design, status, reason)

    @property
    def outputs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and type of what a point gives, as stored."""
        known = {"status", "reason", *self.design.axes, *self.design.values}
        with load_sweep(self.path) as dataset:
            depth = len(self.design.shape)
            return {str(k): (v.shape[depth:], str(v.dtype)) for k, v in dataset.variables.items() if k not in known}

    def write(self, numbers: np.ndarray, values: Mapping[str, np.ndarray], reasons: Sequence[str]) -> None:
        """Store points: their outputs `(points, ..)`, none where there are none, and why each failed, "" if not."""
        with explained(self.path):
            for name, column in values.items():
                self._put(name, numbers, column)
            self.status[numbers] = [FAILED if reason else DONE for reason in reasons]
            if any(reasons):
                self.reason[numbers] = list(reasons)
                self._whole("reason", self.reason)
            self._whole("status", self.status)

    def _whole(self, name: str, column: np.ndarray) -> None:
        import zarr

        with every_chunk():
            zarr.open_array(self.path / name, mode="r+")[...] = column.reshape(self.design.shape)

    def _put(self, name: str, numbers: np.ndarray, column: np.ndarray) -> None:
        """Chunk by chunk, so that each file is written once."""
        import zarr

        with every_chunk():
            array = zarr.open_array(self.path / name, mode="r+")
        depth = len(self.design.shape)
        sizes = array.chunks[:depth]
        positions = np.stack(np.unravel_index(numbers, self.design.shape), axis=-1)
        chunks = positions // np.array(sizes)
        for chunk in np.unique(chunks, axis=0):
            rows = np.flatnonzero((chunks == chunk).all(axis=1))
            region = tuple(
                slice(b * c, min((b + 1) * c, n)) for b, c, n in zip(chunk, sizes, array.shape, strict=False)
            )
            content = np.asarray(array[region])
            content[tuple((positions[rows] - chunk * np.array(sizes)).T)] = column[rows]
            array[region] = content


def _check_function(path: Path, stored: Mapping[str, str] | None, given: Mapping[str, str] | None) -> None:
    """Refuse points of a function whose code has changed; stores of older versions do not name theirs."""
    if stored is None or given is None:
        return
    if stored["python"] != given["python"]:
        warnings.warn(
            f"{path} was begun by Python {stored['python']}, this is {given['python']}, and the code of the function "
            "cannot be compared; resume with the former to be sure that it is the same.",
            stacklevel=caller(),
        )
    elif stored["code"] != given["code"]:
        raise ValueError(
            f"{path} holds points of {stored['name']} as it was when the sweep began, and its code has changed; "
            "resume with the function as it was, choose another store, or pass overwrite=True to compute all anew."
        )


def blank(dtype: np.dtype) -> float | int:
    """What the store holds in place of an output: NaN, or 0 for types that have no NaN."""
    return np.nan if np.issubdtype(dtype, np.inexact) else 0


def output_dims(name: str, spec: jax.ShapeDtypeStruct, dims: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The names of the axes of an output."""
    names = tuple(dims.get(name, [f"{name}_{axis}" for axis in range(len(spec.shape))]))
    if len(names) != len(spec.shape):
        raise ValueError(f"{name} has shape {spec.shape} and the axes {names}; name each axis once in dims.")
    return names


def _chunks(shape: tuple[int, ...], spec: jax.ShapeDtypeStruct) -> tuple[int, ...]:
    """As many points a chunk, from the last axis on, as fit."""
    room = max(1, _CHUNK_BYTES // max(1, int(np.prod(spec.shape)) * spec.dtype.itemsize))
    sizes = []
    for length in reversed(shape):
        sizes.append(min(length, room))
        room = max(1, room // length)
    return (*reversed(sizes), *(max(1, n) for n in spec.shape))


def _slabs(path: Path, name: str) -> list[slice]:
    """Pieces along the first axis that together read each chunk once."""
    import zarr

    array = zarr.open_array(path / name, mode="r")
    return [slice(start, start + array.chunks[0]) for start in range(0, array.shape[0], array.chunks[0])]


def _storable(column: np.ndarray) -> np.ndarray:
    # text of fixed length has no Zarr v3 specification
    return column.astype(object) if column.dtype.kind == "U" else column
