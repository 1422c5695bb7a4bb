"""Zarr stores that plain xarray reads, with the lattice on board.

A scalar on the sites has the dimensions (cell_1, .., sublattice), a vector also `component` (x, y, z). Site
positions are the coordinates x, y, z; the lattice itself is JSON in the attribute `lattice`.
"""

import contextlib
import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import ArrayLike

from jaxspin.devices.hosts import by_first_process
from jaxspin.extras import check_stores
from jaxspin.files import check_folder, explained, refuse_existing, remove, replace, undamaged, undo_replacement
from jaxspin.io.records import to_json
from jaxspin.lattice import Lattice

if TYPE_CHECKING:
    import xarray
    import zarr

# Stores with this attribute have a file for every chunk, also for those that hold zeros or NaN alone.
WHOLE = "jaxspin_store"
# These are never zeros or NaN alone, so that older stores too have a file for each of their chunks.
_NEVER_BLANK = ("spins", "field")
# What may be written to a file: arrays of NumPy or JAX, numbers, nested lists.
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


def lattice_of(dataset: "xarray.Dataset") -> Lattice:
    """The lattice a trajectory or data set was stored with.

    Raises `ValueError` where the data set has no lattice: one of another program, or of a sweep.

    Example:
        >>> path = js.io.save_trajectory(tmp_path / "run.zarr", [0.0, 1.0], jnp.stack([spins, spins]), lattice)
        >>> js.io.lattice_of(js.io.load_trajectory(path)) == lattice
        True
    """
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
    dataset: "xarray.Dataset",
    path: str | os.PathLike,
    *,
    overwrite: bool = False,
    encoding: Mapping | None = None,
    complete: Callable[[Path], None] | None = None,
) -> Path:
    """Write a Zarr v3 store under another name, then rename it, so that `path` is never half a store.

    An existing store is replaced, after the new one is complete, only with `overwrite`; anything else at
    `path`, a store of another program too, never. `complete(folder)` may add to the new store before it gets its
    name. Of many processes the first writes. Raises `ValueError` for the name of a file, such as one that ends in .npz.
    """
    check_folder(Path(path))
    by_first_process(lambda: _write_store(dataset, Path(path), overwrite, encoding, complete))
    return Path(path)


def _write_store(
    dataset: "xarray.Dataset",
    path: Path,
    overwrite: bool,
    encoding: Mapping | None,
    complete: Callable[[Path], None] | None,
) -> None:
    undo_replacement(path)
    refuse_existing(path, overwrite)
    if path.exists() and not _written_here(path):
        raise FileExistsError(f"{path} is not a Zarr store of jaxspin and will not be replaced; choose another path.")
    import zarr

    partial = path.with_name(f".{path.name}.partial")
    with explained(path):
        if partial.exists():
            remove(partial)
        partial.parent.mkdir(parents=True, exist_ok=True)
        with every_chunk(), _without_consolidation_warning():
            dataset = dataset.assign_attrs({WHOLE: 1})
            dataset.to_zarr(partial, mode="w-", zarr_format=3, consolidated=True, encoding=encoding)
            if complete is not None:
                complete(partial)
                zarr.consolidate_metadata(partial)
        replace(partial, path)


def _written_here(path: Path) -> bool:
    """Whether a store has the attributes that all stores of jaxspin have."""
    try:
        about = json.loads((path / "zarr.json").read_text())["attributes"]
        return "lattice" in about or "sweep" in about
    except (OSError, ValueError, KeyError, TypeError):
        return False


def append_to_store(path: Path, start: int, variables: Mapping[str, np.ndarray]) -> None:
    """Set the arrays from `start` on along their first axis. A reader sees all of it or nothing of it.

    xarray reads the shapes from the consolidated metadata: one file, replaced atomically once the data are
    written. (xarray's own append rewrites that file before the data, so a kill in between would lose the
    store.) Of many processes the first writes.
    """
    by_first_process(lambda: _append_to_store(path, start, variables))


def _append_to_store(path: Path, start: int, variables: Mapping[str, np.ndarray]) -> None:
    import zarr

    with explained(path), every_chunk():
        for name, values in variables.items():
            with undamaged(path, name):
                array = zarr.open_array(path / name, mode="r+")
                array[start - 1]  # its chunk is read again, to be written with more
            array.resize((start + len(values), *array.shape[1:]))
            array[start:] = values
        with _without_consolidation_warning():
            zarr.consolidate_metadata(path)


def open_store(path: str | os.PathLike) -> "xarray.Dataset":
    """Open a store, its arrays of floats read as they are used, each reading by the checks of `loaded`.

    Raises `FileNotFoundError` where there is none, `ValueError` where its metadata are damaged or a chunk is missing.
    """
    path = Path(path)
    undo_replacement(path)
    if not (path / "zarr.json").is_file():
        raise FileNotFoundError(f"no Zarr store at {path}; give the folder that holds its zarr.json.")
    check_stores()
    import xarray as xr
    import zarr

    from jaxspin.io import on_disk

    with undamaged(path):
        dataset = xr.open_zarr(path, chunks=None)
        group = zarr.open_group(path, mode="r")
    for name in dataset.variables:
        array = group.get(str(name))
        if not isinstance(array, zarr.Array):
            continue
        if "sweep" not in dataset.attrs and (is_whole(dataset) or name in _NEVER_BLANK):
            check_chunks(path, str(name), array)
        if array.dtype.kind == "f" and name not in dataset.dims:
            dataset[name] = on_disk.explained(array, path, str(name), dataset.variables[name])
    return dataset


def loaded(dataset: "xarray.Dataset", path: str | os.PathLike) -> "xarray.Dataset":
    """All arrays of an open store in memory; `ValueError`, naming the array, where one is damaged on disk."""
    for name in dataset.variables:
        with undamaged(path, str(name)):
            dataset[name].load()
    return dataset


def check_chunks(path: Path, name: str, array: "zarr.Array", needed: Iterable[Sequence[int]] | None = None) -> None:
    """Raise `ValueError` where the file of a chunk is missing, which would be read as so many NaN or zeros.

    `needed` are the chunks that must be there, by their indices along each axis: all unless given.
    """
    grid = [-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True)]
    for chunk in np.ndindex(*grid) if needed is None else needed:
        key = array.metadata.encode_chunk_key(tuple(map(int, chunk)))
        if not (path / name / key).is_file():
            raise ValueError(
                f"{path} is damaged: its array {name!r} lacks the file {name}/{key}; "
                "restore it from a copy, or move it away and make it again."
            )


def is_whole(dataset: "xarray.Dataset") -> bool:
    """Whether a store has a file for every chunk that was written (older ones lack those of zeros or NaN alone)."""
    return WHOLE in dataset.attrs


def every_chunk():
    """Chunks of zeros or NaN alone are written like others, so that a missing file is damage."""
    import zarr

    return zarr.config.set({"array.write_empty_chunks": True})


@contextlib.contextmanager
def _without_consolidation_warning():
    # Consolidated metadata are the commit record of an append; zarr warns that readers other than it may
    # ignore them.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        yield
