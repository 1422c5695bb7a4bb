"""What a run writes about itself: its folder, its provenance, its configuration as JSON. No arrays."""

import dataclasses
import datetime
import functools
import importlib.metadata
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxspin.devices.hosts import by_first_process, to_host
from jaxspin.files import remove
from jaxspin.io.code import fingerprint, name_of

# In every folder that `new_folder` made, and in no other.
MARK = ".jaxspin"
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "equinox", "diffrax", "jaxspin", "numpy")


def provenance(config: Any = None, seed: int | None = None) -> dict[str, Any]:
    """What is needed to repeat a run: command, commit, versions, device, platform, date (UTC), config, seed.

    `commit` is that of the checkout the package is imported from, with "-dirty" after it where the code was
    changed since, or "unknown" for an installed wheel. Every value is plain JSON, for `save_json` or the `metadata` of
    a figure. What cannot be found out is "unknown": nothing is raised.

    Example:
        >>> sorted(js.io.provenance(config={"J": 2.0}, seed=0))
        ['command', 'commit', 'config', 'date', 'device', 'devices', 'platform', 'python', 'seed', 'versions']
    """
    devices = jax.devices()
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "commit": _commit(),
        "versions": dict(_versions()),
        "python": platform.python_version(),
        "device": devices[0].device_kind,
        "devices": len(devices),
        "platform": platform.platform(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "config": json.loads(to_json(config)),
    }


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text of dataclasses, dictionaries, paths and arrays, however nested.

    What is not finite is null: JSON has neither NaN nor infinities. A function is its name and the fingerprint of its
    code, an object without a `repr` of its own its class and what it holds, the rest its `repr`: the same in every
    process. For a file use `save_json`; arrays of any size belong into NumPy's files or a store.

    Raises `RecursionError` for what holds itself.

    Example:
        >>> js.io.to_json({"J": 2.0, "cells": (4, 4), "error": float("nan"), "field": np.zeros(3)})
        '{"J": 2.0, "cells": [4, 4], "error": null, "field": [0.0, 0.0, 0.0]}'
    """
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def save_json(path: str | os.PathLike, value: Any, *, indent: int | None = 1) -> Path:
    """Write `to_json(value)` under another name, then rename it: a kill leaves the old file, or the new one whole.

    An older file of that name is replaced; the path is returned.

    Raises `FileNotFoundError` where the folder does not exist (`new_folder` makes one).

    Example:
        >>> js.io.save_json(tmp_path / "result.json", {"charge": -1}).name
        'result.json'
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(to_json(value, indent=indent))
    partial.replace(path)
    return path


def load_json(path: str | os.PathLike) -> Any:
    """What a file holds, as plain data.

    Raises `FileNotFoundError`, or `ValueError`, naming the file and the remedy, where it is cut short or no JSON.

    Example:
        >>> path = js.io.save_json(tmp_path / "result.json", {"charge": -1})
        >>> js.io.load_json(path)
        {'charge': -1}
    """
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:  # of the text or of its encoding
        raise ValueError(
            f"{path} is damaged: it is no whole JSON ({error}); restore it from a copy, or delete it to make it again."
        ) from error


def new_folder(path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Make the folder `path` (and its parents) for a run's output, and return it.

    With `overwrite` the contents of one that this function made (it leaves a mark in it), or that holds the summary of
    a run, are removed, of no other. The working directory, the home directory and whatever contains them are never
    emptied. Of many processes the first does it.

    Raises `FileExistsError` for a file of that name, for a folder with something in it unless `overwrite`, and for one
    that is not to be emptied.

    Example:
        >>> js.io.new_folder(tmp_path / "run").is_dir()
        True
    """
    by_first_process(lambda: _new_folder(Path(path), overwrite))
    return Path(path)


def _new_folder(path: Path, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file; choose another name for the folder.")
    if path.is_dir() and any(child.name != MARK for child in path.iterdir()):
        ours = _made_here(path)
        if not overwrite:
            remedy = " or pass --overwrite (overwrite=True)" if ours else ""
            raise FileExistsError(f"{path} exists and is not empty; choose another folder{remedy}.")
        if not ours:
            raise FileExistsError(
                f"{path} was not made by jaxspin and will not be emptied; choose another folder, or delete it yourself."
            )
        for precious in (Path.cwd(), Path.home()):
            if precious.resolve().is_relative_to(path.resolve()):
                raise FileExistsError(f"{path} contains {precious} and will not be emptied; choose another folder.")
        for child in path.iterdir():
            remove(child)
    path.mkdir(parents=True, exist_ok=True)
    (path / MARK).write_text("Made by jaxspin: overwrite=True may empty this folder.\n")


def _made_here(path: Path) -> bool:
    """Whether a folder has the mark of `new_folder`, or (of older versions) a summary that says it is a run of ours."""
    if (path / MARK).is_file():
        return True
    try:
        origin = load_json(path / "summary.json")["provenance"]
        return "jaxspin" in origin["versions"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _plain(value: Any) -> Any:
    """The same as dictionaries, lists, finite numbers, text and None."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray | np.generic | jax.Array) and not isinstance(value, float):
        return _plain(to_host(value).tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str | int) else str(_plain(key)): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, set | frozenset):
        return sorted((_plain(part) for part in value), key=repr)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, types.FunctionType | types.MethodType | functools.partial) or hasattr(value, "__wrapped__"):
        return f"{name_of(value)} {fingerprint(value)}"
    if type(value).__repr__ is object.__repr__:
        return {"class": name_of(value), **_plain(getattr(value, "__dict__", {}))}
    return repr(value)


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    return tuple((name, _version(name)) for name in _PACKAGES)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # of a copy of the sources
        return "unknown"


def _commit() -> str:
    package = Path(__file__).parent
    try:
        # A wheel in somebody's checkout has that checkout's commit above it: the file itself must be tracked.
        _git(package, "ls-files", "--error-unmatch", Path(__file__).name)
        return _git(package, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()
