"""Parts of a long run that a kill leaves whole or not at all, so that the run can go on from them."""

import contextlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxspin.io.records import load_json, save_json


def load_or_make(path: str | os.PathLike, make: Callable[[], Any]) -> Any:
    """What the file `path` holds, or what `make` returns, written there: made once, whatever kills the run.

        rows = [load_or_make(folder / f"row_{n}.json", lambda n=n: measure(n)) for n in range(10)]
        save_json(folder / "table.json", rows)

    The ending says what: `.npy` one array, `.npz` a dictionary of arrays, anything else JSON. Folders on the way are
    made. What is returned has been read from the file both times: of JSON plain data, in which what is not finite is
    None and arrays are lists (see `to_json`), else NumPy's arrays, a number one without axes. Change the path where the
    settings of `make` change. Not for many processes at once.

    Raises `ValueError` where the file is damaged; delete it to make it again.

    Example:
        >>> path = tmp_path / "row.json"
        >>> js.io.load_or_make(path, lambda: {"charge": -1}), js.io.load_or_make(path, lambda: "not made again")
        ({'charge': -1}, {'charge': -1})
        >>> js.io.load_or_make(tmp_path / "field.npy", lambda: np.zeros(3))
        array([0., 0., 0.])
    """
    path = Path(path)
    there = path.exists()
    if not there:
        path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix not in (".npy", ".npz"):
        if not there:
            save_json(path, make(), indent=None)
        return load_json(path)
    if not there:
        made = make()
        with whole_file(path) as partial:
            np.savez(partial, **made) if path.suffix == ".npz" else np.save(partial, made)
    return _arrays(path)


def load_or_make_each(
    folder: str | os.PathLike, makers: Mapping[str, Callable[[], Any]], *, progress: bool = False
) -> dict[str, Any]:
    """What `load_or_make` gives of each of `makers`, by name: a table whose rows are made once, whatever kills the run.

        makers = {f"{T:g}": functools.partial(measure, T) for T in (0.1, 0.2, 0.3)}
        rows = load_or_make_each(folder / "rows", makers, progress=True)

    One after another, in the order given; the row `name` is the file `folder`/`name`.json. `progress` shows how many of
    them there are.

    Raises `ValueError` for names that are none of a file, before anything is made, and as `load_or_make` for a damaged
    file. For points of a sweep that is one compiled program use `jaxspin.sweeps.sweep`.

    Example:
        >>> rows = js.io.load_or_make_each(tmp_path, {"cold": lambda: {"T": 0.1}, "hot": lambda: {"T": 0.3}})
        >>> rows["hot"], sorted(path.name for path in tmp_path.iterdir())
        ({'T': 0.3}, ['cold.json', 'hot.json'])
    """
    folder = Path(folder)
    for name in makers:
        if not name or Path(name).name != name:
            raise ValueError(f"{name!r} is no name of a file; name each row by letters and digits, such as 'T=0.1'.")
    found = tqdm(makers.items(), desc=folder.name, unit="row", disable=not progress)
    return {name: load_or_make(folder / f"{name}.json", make) for name, make in found}


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Where to write a file in parts or through another library: it gets its name `path` once it is all there.

        with whole_file(folder / "fields.npz") as partial:
            np.savez(partial, field=field)

    The partial file is beside it and ends like it, for those that tell the format from the name. An error in the block
    removes it and leaves an older `path` as it was.

    Raises what the block raises, and `FileNotFoundError` where it wrote nothing there or the folder does not exist. For
    JSON use `save_json`, for a Zarr store `save_trajectory`.

    Example:
        >>> with js.io.whole_file(tmp_path / "fields.npz") as partial:
        ...     np.savez(partial, field=field.field(spins))
        >>> [path.name for path in tmp_path.iterdir()]
        ['fields.npz']
    """
    path = Path(path)
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _arrays(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            found = np.load(file)
            return found if path.suffix == ".npy" else dict(found)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is damaged: it is no whole file of arrays ({error}); restore it from a copy, or delete it to make "
            "it again."
        ) from error
