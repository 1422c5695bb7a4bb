"""What a run writes about itself: its folder, its provenance, its configuration as JSON. No arrays."""

import dataclasses
import datetime
import functools
import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxspin.hosts import by_first_process, to_host

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "equinox", "diffrax", "jaxspin", "numpy")


def provenance(config: Any = None, seed: int | None = None) -> dict[str, Any]:
    """What is needed to repeat a run: command, commit, versions, device, platform, date (UTC), config, seed.

    `commit` is that of the checkout the package is imported from, with "-dirty" after it where the code was
    changed since, or "unknown" for an installed wheel. Every value is plain JSON.
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
    """JSON text of dataclasses, dictionaries, paths and arrays, however nested; the rest by its `repr`."""
    return json.dumps(value, default=_plain, indent=indent)


def new_folder(path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Make the folder `path` (and its parents) for a run's output, and return it.

    A folder with something in it is refused with `FileExistsError`; with `overwrite` that folder's contents,
    and nothing else, are removed. The working directory, the home directory and whatever contains them are
    never emptied. Of many processes the first does it.
    """
    by_first_process(lambda: _new_folder(Path(path), overwrite))
    return Path(path)


def _new_folder(path: Path, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file; choose another name for the folder.")
    if path.is_dir() and any(path.iterdir()):
        if not overwrite:
            raise FileExistsError(
                f"{path} exists and is not empty; choose another folder or pass --overwrite (overwrite=True)."
            )
        for precious in (Path.cwd(), Path.home()):
            if precious.resolve().is_relative_to(path.resolve()):
                raise FileExistsError(f"{path} contains {precious} and will not be emptied; choose another folder.")
        for child in path.iterdir():
            remove(child)
    path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Delete a file, a folder with its contents, or a link (never what the link points to)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `FileExistsError` where `path` exists and may not be replaced."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another path or pass overwrite=True.")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return to_host(value).tolist()
    return str(value) if isinstance(value, os.PathLike) else repr(value)


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    return tuple((name, importlib.metadata.version(name)) for name in _PACKAGES)


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
