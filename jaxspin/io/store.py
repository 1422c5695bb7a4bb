"""Zarr stores that plain xarray reads, with the lattice on board.

A scalar on the sites has the dimensions (cell_1, .., sublattice), a vector also `component` (x, y, z). Site
positions are the coordinates x, y, z; the lattice itself is JSON in the attribute `lattice`.
"""

import contextlib
import errno
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from jaxtyping import ArrayLike

from jaxspin.hosts import by_first_process
from jaxspin.io.records import refuse_existing, remove, to_json
from jaxspin.lattice import Lattice

# What is converted to NumPy on its way to a file: arrays of NumPy or JAX, numbers, nested lists.
Numbers = ArrayLike | Sequence


def site_dimensions(lattice: Lattice) -> tuple[str, ...]:
    """("cell_1", .., "sublattice"), the names of the axes of a scalar on the sites."""
    return (*(f"cell_{axis + 1}" for axis in range(lattice.dimension)), "sublattice")


def site_coordinates(lattice: Lattice) -> dict[str, tuple]:
    """The positions x, y, z as coordinates on the sites, in lattice constants."""
    positions = lattice.positions()
    return {
        name: (
            site_dimensions(lattice),
            positions[..., axis],
            {"units": "a", "long_name": f"site position {name}"},
        )
        for axis, name in enumerate("xyz"[: lattice.dimension])
    }


def store_attributes(lattice: Lattice, config: Any, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Lattice and config as JSON text, beside the user's own: text and numbers as such, the rest as JSON."""
    own = {
        name: value if isinstance(value, str | int | float) else to_json(value)
        for name, value in (attributes or {}).items()
    }
    return {**own, "lattice": to_json(lattice), "config": to_json(config)}


def lattice_of(dataset: xr.Dataset) -> Lattice:
    """The lattice a trajectory or data set was stored with; `ValueError` where the attribute is missing."""
    if "lattice" not in dataset.attrs:
        raise ValueError("the data set has no attribute 'lattice'; open one written by save_trajectory or SpinData.")
    return lattice_from_json(dataset.attrs["lattice"])


def lattice_from_json(text: str) -> Lattice:
    """The inverse of `to_json(lattice)`."""
    stored = json.loads(text)
    return Lattice(
        name=stored["name"],
        vectors=tuple(map(tuple, stored["vectors"])),
        basis=tuple(map(tuple, stored["basis"])),
        cells=tuple(stored["cells"]),
        periodic=tuple(stored["periodic"]),
    )


def write_store(
    dataset: xr.Dataset,
    path: str | os.PathLike,
    *,
    overwrite: bool = False,
    encoding: Mapping | None = None,
    complete: Callable[[Path], None] | None = None,
) -> Path:
    """Write a Zarr v3 store under another name, then rename it, so that `path` is never half a store.

    An existing store is replaced, after the new one is complete, only with `overwrite`; anything else at
    `path` never. `complete(folder)` may add to the new store before it gets its name. Of many processes the
    first writes.
    """
    by_first_process(lambda: _write_store(dataset, Path(path), overwrite, encoding, complete))
    return Path(path)


def _write_store(
    dataset: xr.Dataset,
    path: Path,
    overwrite: bool,
    encoding: Mapping | None,
    complete: Callable[[Path], None] | None,
) -> None:
    undo_replacement(path)
    refuse_existing(path, overwrite)
    if path.exists() and not (path / "zarr.json").is_file():
        raise FileExistsError(f"{path} is not a Zarr store and will not be replaced; choose another path.")
    partial = path.with_name(f".{path.name}.partial")
    with explained(path):
        if partial.exists():
            remove(partial)
        partial.parent.mkdir(parents=True, exist_ok=True)
        with _without_consolidation_warning():
            dataset.to_zarr(partial, mode="w-", zarr_format=3, consolidated=True, encoding=encoding)
            if complete is not None:
                complete(partial)
                zarr.consolidate_metadata(partial)
        replace(partial, path)


def replace(new: Path, path: Path) -> None:
    """Give a complete folder the name `path`; what bore it goes after that.

    Folders cannot change places in one step: killed in between, the old one is beside its name, from where
    `undo_replacement` takes it back.
    """
    old = _replaced(path)
    if not path.exists():
        new.rename(path)
        return
    if old.exists():
        remove(old)
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    remove(old)


def undo_replacement(path: Path) -> None:
    """Give the old folder its name back where a process was killed before the new one had it."""
    old = _replaced(path)
    if not path.exists() and old.is_dir():
        with contextlib.suppress(FileNotFoundError):  # another reader was faster
            old.rename(path)


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


@contextlib.contextmanager
def explained(path: Path):
    """An error of the file system says what it means for `path`."""
    remedies = {
        errno.ENOSPC: "free some space and go on, or choose a path on another disk",
        errno.EDQUOT: "free some space and go on, or choose a path on another disk",
        errno.EFBIG: "raise the limit of the file size (ulimit -f) and go on",
        errno.EROFS: "choose a path that can be written to",
        errno.EACCES: "choose a path that can be written to, or change its permissions",
        errno.EPERM: "choose a path that can be written to, or change its permissions",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in remedies:
            raise
        raise type(error)(
            error.errno,
            f"{path} could not be written ({os.strerror(error.errno)}), what is stored is as it was; "
            f"{remedies[error.errno]}",
        ) from error


def append_to_store(path: Path, start: int, variables: Mapping[str, np.ndarray]) -> None:
    """Set the arrays from `start` on along their first axis. A reader sees all of it or nothing of it.

    xarray reads the shapes from the consolidated metadata: one file, replaced atomically once the data are
    written. (xarray's own append rewrites that file before the data, so a kill in between would lose the
    store.) Of many processes the first writes.
    """
    by_first_process(lambda: _append_to_store(path, start, variables))


def _append_to_store(path: Path, start: int, variables: Mapping[str, np.ndarray]) -> None:
    with explained(path):
        for name, values in variables.items():
            array = zarr.open_array(path / name, mode="r+")
            array.resize((start + len(values), *array.shape[1:]))
            array[start:] = values
        with _without_consolidation_warning():
            zarr.consolidate_metadata(path)


def open_store(path: str | os.PathLike) -> xr.Dataset:
    """Open a store, its arrays read as they are used; `FileNotFoundError` where there is none."""
    path = Path(path)
    undo_replacement(path)
    if not (path / "zarr.json").is_file():
        raise FileNotFoundError(f"no Zarr store at {path}; give the folder that holds its zarr.json.")
    return xr.open_zarr(path, chunks=None)


def loaded(dataset: xr.Dataset, path: str | os.PathLike) -> xr.Dataset:
    """All arrays of an open store in memory; `ValueError`, naming the array, where one is damaged on disk."""
    for name in dataset.variables:
        try:
            dataset[name].load()
        except Exception as error:  # each codec has its own
            raise ValueError(
                f"{path} is damaged: its array {name!r} cannot be read ({type(error).__name__}: {error}); "
                "restore it from a copy, or move it away and make it again."
            ) from error
    return dataset


@contextlib.contextmanager
def _without_consolidation_warning():
    # Consolidated metadata are the commit record of an append; zarr warns that readers other than it may
    # ignore them.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        yield
