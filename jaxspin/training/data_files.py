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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxspin import lattice as lattices
from jaxspin.forcefield import Committee
from jaxspin.lattice import Lattice
from jaxspin.training.dataset import SpinData
from jaxspin.training.losses import evaluate


def read(path: Path, *, lattice: Lattice | None = None, dtype=np.float32) -> tuple[SpinData, dict[str, Any]]:
    """The data of a file, in single precision unless told otherwise, and its parameters.

    `lattice`, of any size, says which kind it is where the file does not. Spins are normalized again where they are
    off by rounding. Raises `FileNotFoundError`, or `ValueError` for a file that holds something else or names another
    kind of lattice.
    """
    arrays = arrays_of(path)
    if not {"spins", "field"} <= set(arrays):
        raise ValueError(f"{path} holds {sorted(arrays)}; it needs spins and field, (n, *cells, sublattices, 3) each.")
    try:
        params = json.loads(str(arrays["params"])) if "params" in arrays else {}
    except ValueError as error:
        raise ValueError(f"{path} has params that are no JSON ({error}); write a JSON object.") from None
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


def evaluate_files(
    model: Any,
    paths: Sequence[Path],
    *,
    known: Mapping[str, Any] | None = None,
    configurations: Sequence[int] = (),
    tell: Callable[[dict[str, float | str]], None] = lambda row: None,
) -> list[dict[str, float | str]]:
    """Errors of a force field on files of `read` and data sets that `SpinData.save` wrote: one row a file and kind.

    With `known`, what `known_electrons` gives, files of other electrons are refused. `configurations` are numbers of
    those of each file that count, all unless given. `tell` is called with each row as it is there.

    Raises `ValueError` for no files, for files of other electrons, or that do not say of which, and as `read` and
    `evaluate` do: all files are looked at before the first is judged.
    """
    if not paths:
        raise ValueError("there are no data to judge the force field on; give at least one file or data set.")
    for path in paths:
        _data(path, model, known)
    rows = []
    for path in paths:
        data = _data(path, model, known)
        data = data[list(configurations)] if configurations else data
        moved = model.on(data.lattice)
        for kind in sorted(set(data.sources)):
            errors = evaluate(moved, data[np.array(data.sources) == kind])
            rows.append(
                {
                    "file": path.name,
                    "kind": kind,
                    "torque error": errors.torque,
                    "rms torque error": errors.torque_rms,
                    "energy error per site": errors.energy,
                }
            )
            tell(rows[-1])
    return rows


def _data(path: Path, model: Any, known: Mapping[str, Any] | None) -> SpinData:
    """What a file or a data set holds, on the lattice and of the electrons of the force field."""
    if path.is_dir():
        data = SpinData.load(path)
        params = {"lattice": data.lattice.name, **_electrons_in(data), **data.attributes.get("params", data.attributes)}
    else:
        data, params = read(path, lattice=model.lattice)
    if data.lattice.name != model.lattice.name:
        raise ValueError(
            f"{path} is of the {data.lattice.name} lattice, the force field of the {model.lattice.name} one; "
            "give data of the same lattice."
        )
    if known is not None:
        check_electrons(path, params, known)
    return data


def _electrons_in(data: SpinData) -> dict[str, Any]:
    """Filling and temperature that the labels have, all of them where there are several; not those unknown."""
    # with the digits of their precision, 0.1 and not 0.10000000149
    each = {n: [float(str(x)) for x in np.unique(getattr(data, n))] for n in ("filling", "temperature")}
    return {name: x[0] if len(x) == 1 else x for name, x in each.items() if not np.isnan(x).any()}


def known_electrons(model: Any, metadata: dict[str, Any]) -> dict[str, Any]:
    """The lattice and electrons a force field learnt from: what was stored beside it, and what its descriptor says."""
    electrons = {"lattice": model.lattice.name, **metadata.get("params", {})}
    inner = model.members if isinstance(model, Committee) else getattr(model, "conservative", model)
    descriptor = inner.descriptor
    while descriptor is not None:
        electrons |= {x: getattr(descriptor, x) for x in ("filling", "coupling", "hopping") if hasattr(descriptor, x)}
        descriptor = getattr(descriptor, "descriptor", None)
    # a hopping of None is not one number: unlike one that is not named, it is not 1
    return {name: value for name, value in electrons.items() if value is not None or name == "hopping"}


def same_setting(here: Any, there: Any) -> bool:
    """Whether two lattices (by the first word of each) or couplings (numbers, to single precision) are the same."""
    if isinstance(here, str) and isinstance(there, str):
        return here.replace(",", " ").split()[:1] == there.replace(",", " ").split()[:1]
    try:
        one, other = (np.atleast_1d(np.asarray(x, float)) for x in (here, there))
    except (TypeError, ValueError):
        return False
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-6, atol=1e-9)


def check_electrons(path: Path, params: dict[str, Any], known: Mapping[str, Any]) -> None:
    """`ValueError` unless the file's lattice and electrons are known to be those the force field learnt from.

    Numbers are compared as numbers. Who names no hopping has that of nearest neighbours, the unit of energy, and suits
    a hopping of 1; None says that it is not one number or a few. Of filling and temperature both must name each, or
    neither.
    """
    remedy = "choose data of the same electrons, or pass --other-electrons."
    for name in ("lattice", "hopping", "coupling", "filling", "temperature"):
        here, there = params.get(name), known.get(name)
        if name == "hopping" and _is_unit(params, known):
            continue
        if here is None and there is None and name not in ("coupling", "hopping"):
            continue
        if here is None or there is None:
            silent = str(path) if here is None else "the force field"
            if here is not None:
                remedy = f'save it with metadata={{"params": {{"{name}": ...}}}}, or pass --other-electrons.'
            raise ValueError(f"{silent} does not say for which {name} it is; {remedy}")
        if not same_setting(here, there):
            raise ValueError(f"{path} has {name} {here}, the force field was trained for {there}; {remedy}")


def _is_unit(*several: Mapping[str, Any]) -> bool:
    """Whether each names a hopping of 1, or none."""
    return all("hopping" not in params or same_setting(params["hopping"], 1.0) for params in several)


def _lattice(path: Path, params: dict[str, Any], cells: tuple[int, ...], kind: Lattice | None) -> Lattice:
    """The lattice that the file describes: its kind, the cells of its arrays, and its boundaries."""
    text = str(params.get("lattice", ""))
    words = text.replace(",", " ").split()
    if kind is not None and words and not same_setting(text, kind.name):
        raise ValueError(
            f"{path} is of the {words[0]} lattice, and {kind.name} is asked for; give data of the same lattice."
        )
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
