"""Configurations and fields of other programs, as NumPy files.

A file holds `spins` and `field` `(n, *cells, sublattices, 3)`; it may hold `energy` `(n,)`, `kind` `(n,)` (how each
configuration arose), `run` `(n,)` (configurations of one simulation share a number) or `step` `(n,)` (those of one kind
at equal intervals of time are then one run), and `params`, a JSON string with "lattice", "periodic", "hopping",
"coupling", "filling" and "temperature". "lattice" begins with square, triangular, ... and may go on with its cells and
boundaries, as in "square 32x24, open along the first axis"; "periodic" says the same as [false, true]. A file that
says neither is periodic.
"""

import dataclasses
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxspin import lattice as lattices
from jaxspin.lattice import Lattice
from jaxspin.training import SpinData


def read(path: Path, *, lattice: Lattice | None = None, dtype=np.float32) -> tuple[SpinData, dict[str, Any]]:
    """The data of a file, in single precision unless told otherwise, and its parameters.

    `lattice`, of any size, says which kind it is where the file does not. Spins are normalized again where they are
    off by rounding. Raises `FileNotFoundError`, or `ValueError` for a file that holds something else.
    """
    arrays = arrays_of(path)
    if not {"spins", "field"} <= set(arrays):
        raise ValueError(f"{path} holds {sorted(arrays)}; it needs spins and field, (n, *cells, sublattices, 3) each.")
    params = json.loads(str(arrays["params"])) if "params" in arrays else {}
    if not isinstance(params, dict):
        raise ValueError(f"{path} has params {params!r}; write a JSON object with lattice, hopping, coupling, ...")
    spins = arrays["spins"].astype(np.float64)
    if spins.ndim < 4:
        raise ValueError(f"{path} has spins of shape {spins.shape}; it needs (n, *cells, sublattices, 3).")
    made = _lattice(path, params, spins.shape[1:-2], lattice)
    length = np.linalg.norm(spins, axis=-1, keepdims=True)
    rounded = np.abs(length - 1) < 1e-5
    kinds = [str(k) for k in arrays["kind"]] if "kind" in arrays else "unknown"
    data = SpinData(
        made,
        np.where(rounded, spins / np.where(rounded, length, 1), spins).astype(dtype),
        arrays["field"].astype(dtype),
        arrays["energy"].astype(dtype) if "energy" in arrays else None,
        source=kinds,
        run=_runs(arrays, len(spins)),
    )
    return data, params


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a NumPy file; `FileNotFoundError`, or `ValueError` where it is none or cut short."""
    try:
        with open(path, "rb") as stream, np.load(stream) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}; give an .npz with spins and field.") from error
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a whole NumPy file ({error}); give an .npz with spins and field.") from error


def _lattice(path: Path, params: dict[str, Any], cells: tuple[int, ...], kind: Lattice | None) -> Lattice:
    """The lattice that the file describes: its kind, the cells of its arrays, and its boundaries."""
    text = str(params.get("lattice", ""))
    words = text.replace(",", " ").split()
    if kind is None and (not words or words[0] not in _KINDS):
        raise ValueError(
            f"{path} does not say on which lattice it lives; begin params['lattice'] with one of {_KINDS}."
        )
    made = (getattr(lattices, words[0])(*cells)) if kind is None else kind.resize(*cells)
    told = re.search(r"\b\d+(x\d+)*\b", text)
    if told and "x".join(map(str, cells)) != told[0]:
        raise ValueError(
            f"{path} says {told[0]} cells and its spins have {'x'.join(map(str, cells))}; write "
            "params['lattice'] with the cells of the arrays, first axis first."
        )
    periodic = _boundaries(path, params, text, made)
    return made if periodic is None else dataclasses.replace(made, periodic=periodic)


def _boundaries(path: Path, params: dict[str, Any], text: str, made: Lattice) -> tuple[bool, ...] | None:
    """Which axes are periodic, None where the file does not say; `ValueError` for what cannot be understood."""
    remedy = f"write params['periodic'] as a list of {made.dimension} of true and false, such as [false, true]."
    if "periodic" in params:
        found = params["periodic"]
        if not isinstance(found, list) or len(found) != made.dimension or not all(isinstance(x, bool) for x in found):
            raise ValueError(f"{path} has params['periodic'] {found!r}; {remedy}")
        return tuple(found)
    closed: dict[int, bool] = {}
    rest = None
    # "open along the first axis, periodic along the second": each word until the next one
    for word, which in re.findall(r"\b(open|periodic)\b((?:(?!\bopen\b|\bperiodic\b).)*)", text.lower(), re.DOTALL):
        names = re.findall(r"[a-z]+", which)
        axes = [_AXES.index(name) for name in names if name in _AXES]
        if not axes and rest is None and set(names) <= _OF_ALL:
            rest = word == "periodic"
        elif axes and max(axes) < made.dimension and not any(axis in closed for axis in axes):
            for axis in axes:
                closed[axis] = word == "periodic"
        else:
            raise ValueError(f"{path} has boundaries that are not understood, {text!r}; {remedy}")
    if not closed and rest is None:
        return None
    # of axes that are not named, what is said of all; else they stay as the lattice has them
    return tuple(closed.get(axis, made.periodic[axis] if rest is None else rest) for axis in range(made.dimension))


def _runs(arrays: dict[str, np.ndarray], number: int) -> np.ndarray | None:
    """The run of each configuration: what the file says, or those of one kind whose steps go on evenly are one."""
    if "run" in arrays:
        return arrays["run"]
    if "step" not in arrays or "kind" not in arrays:
        return None
    run = np.arange(number)
    for kind in set(arrays["kind"].tolist()):
        here = np.flatnonzero(arrays["kind"] == kind)
        apart = np.diff(arrays["step"][here])
        if len(here) > 2 and np.all(apart == apart[0]) and kind != "random":
            run[here] = here[0]
    return run


_AXES = ("first", "second", "third")
_OF_ALL = {"boundary", "boundaries", "conditions", "in", "along", "all", "both", "axes", "directions"}
_KINDS = ("chain", "square", "triangular", "honeycomb", "kagome", "cubic")
