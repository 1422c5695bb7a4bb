"""Configurations and fields of other programs, as NumPy files.

A file holds `spins` and `field` `(n, *cells, sublattices, 3)`; it may hold `energy` `(n,)`, `kind` `(n,)` (how each
configuration arose) and `params`, a JSON string with "lattice" (beginning with square, triangular, ...), "hopping",
"coupling", "filling" and "temperature".
"""

import json
import zipfile
from collections.abc import Callable
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
    try:
        with open(path, "rb") as stream, np.load(stream) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}; give an .npz with spins and field.") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a whole NumPy file ({error}); give an .npz with spins and field.") from error
    if not {"spins", "field"} <= set(arrays):
        raise ValueError(f"{path} holds {sorted(arrays)}; it needs spins and field, (n, *cells, sublattices, 3) each.")
    params = json.loads(str(arrays["params"])) if "params" in arrays else {}
    if not isinstance(params, dict):
        raise ValueError(f"{path} has params {params!r}; write a JSON object with lattice, hopping, coupling, ...")
    spins = arrays["spins"].astype(np.float64)
    make = (lambda *cells: lattice.resize(*cells)) if lattice is not None else _maker(path, params)
    if spins.ndim < 4:
        raise ValueError(f"{path} has spins of shape {spins.shape}; it needs (n, *cells, sublattices, 3).")
    length = np.linalg.norm(spins, axis=-1, keepdims=True)
    rounded = np.abs(length - 1) < 1e-5
    kinds = [str(k) for k in arrays["kind"]] if "kind" in arrays else "unknown"
    data = SpinData(
        make(*spins.shape[1:-2]),
        np.where(rounded, spins / np.where(rounded, length, 1), spins).astype(dtype),
        arrays["field"].astype(dtype),
        arrays["energy"].astype(dtype) if "energy" in arrays else None,
        source=kinds,
    )
    return data, params


def _maker(path: Path, params: dict[str, Any]) -> Callable[..., Lattice]:
    words = str(params.get("lattice", "")).split()
    if not words or words[0] not in _KINDS:
        raise ValueError(
            f"{path} does not say on which lattice it lives; begin params['lattice'] with one of {_KINDS}."
        )
    return getattr(lattices, words[0])


_KINDS = ("chain", "square", "triangular", "honeycomb", "kagome", "cubic")
