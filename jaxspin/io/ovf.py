"""Snapshots in the OVF 2.0 format that OOMMF, mumax3 and Spirit read; spins `(*cells, sublattices, 3)`.

Sites are written sublattice first, then along the first lattice vector: the order the format asks for.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar, overload

import numpy as np

from jaxspin.devices.hosts import by_first_process, to_host
from jaxspin.files import refuse_existing
from jaxspin.io.records import to_json
from jaxspin.io.store import Numbers, lattice_from_json
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins

_Read = TypeVar("_Read")
# The format puts a known number before binary data, so that a reader can check the byte order.
_BINARY = {"binary 4": (np.dtype("<f4"), 1234567.0), "binary 8": (np.dtype("<f8"), 123456789012345.0)}
# Digits after which a decimal gives the same binary number back.
_DIGITS = {4: 9, 8: 17}
# A point of a file is a site when it lies this close to it, in units of the lattice vectors.
_MATCH = 1e-3
# Lengths this near to one are one: files may hold single precision, or six digits.
_UNIT = 2e-6
_MARK = "jaxspin lattice "


@takes_spins(host=True)
def save_ovf(
    path: str | os.PathLike,
    spins: Numbers,
    lattice: Lattice,
    *,
    representation: str = "binary 8",
    positions: bool = True,
    title: str = "spins",
    overwrite: bool = False,
) -> Path:
    """Write one configuration, spins `(*cells, sublattices, 3)`, positions in lattice constants.

    A lattice with one site per cell and vectors along x, y, z is a rectangular mesh, any other an irregular
    one (points with their positions). "text" and "binary 8" give back the same numbers, "binary 4" rounds to
    single precision. Spirit reads no irregular meshes: with `positions=False` every lattice is written as
    rectangular nodes, sublattices first, in Spirit's own order of sites. The lattice travels in a description
    line. Format: OOMMF User's Guide 2.1a0 (2023), section 19.3.

    Raises `ValueError` for spins of another lattice, another representation or a title of several lines,
    `FileExistsError` where the file exists and `overwrite` is not given, `FileNotFoundError` where the folder does not.

    Example:
        >>> js.io.save_ovf(tmp_path / "state.ovf", spins, lattice).name
        'state.ovf'
    """
    path, spins = Path(path), to_host(spins)
    if spins.dtype not in (np.float32, np.float64):
        spins = spins.astype(np.float64)
    if representation not in ("text", *_BINARY):
        raise ValueError(f"unknown representation {representation!r}; choose 'text', 'binary 4' or 'binary 8'.")
    if "\n" in title:
        raise ValueError("the title of an OVF file is one line; leave the line breaks out.")
    by_first_process(lambda: refuse_existing(path, overwrite))
    table, points = in_file_order(spins, lattice), in_file_order(in_space(lattice), lattice)
    rectangular = _is_rectangular(lattice) or not positions
    if not rectangular:
        table = np.concatenate([points.astype(table.dtype), table], axis=1)
    header = [
        "OOMMF OVF 2.0",
        "Segment count: 1",
        "Begin: Segment",
        "Begin: Header",
        f"Title: {title}",
        f"Desc: {_MARK}{to_json(lattice)}",
        "meshunit: a",
        "valuedim: 3",
        "valuelabels: spin_x spin_y spin_z",
        "valueunits: 1 1 1",
        *_mesh(lattice, points, rectangular),
        "End: Header",
        f"Begin: Data {representation.capitalize()}",
    ]
    by_first_process(lambda: _write(path, header, table, representation))
    return path


def _write(path: Path, header: list[str], table: np.ndarray, representation: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write("".join(f"# {line}\n" for line in header).encode())
        if representation == "text":
            np.savetxt(file, table, fmt=f"%.{_DIGITS[table.dtype.itemsize]}g")
        else:
            dtype, control = _BINARY[representation]
            file.write(np.array(control, dtype).tobytes() + table.astype(dtype).tobytes() + b"\n")
        file.write(f"# End: Data {representation.capitalize()}\n# End: Segment\n".encode())
    partial.replace(path)


def _naming_its_file(read: Callable[..., _Read]) -> Callable[..., _Read]:
    """What is wrong with a file is said with its path."""

    @functools.wraps(read)
    def reading(path: str | os.PathLike, *arguments, **named) -> _Read:
        try:
            return read(path, *arguments, **named)
        except KeyError as error:
            raise ValueError(
                f"the header of {path} lacks {error}; it is cut short or damaged: write it again."
            ) from error
        except ValueError as error:
            if str(path) in str(error):
                raise
            raise ValueError(f"{path} cannot be read: {error}") from error

    return reading


@overload
def load_ovf(path: str | os.PathLike, lattice: Lattice | None = None) -> tuple[np.ndarray, Lattice]: ...
@overload
def load_ovf(
    path: str | os.PathLike, lattice: Lattice | None = None, *, lengths: Literal[True]
) -> tuple[np.ndarray, Lattice, np.ndarray]: ...
@_naming_its_file
def load_ovf(
    path: str | os.PathLike, lattice: Lattice | None = None, *, lengths: bool = False
) -> tuple[np.ndarray, Lattice] | tuple[np.ndarray, Lattice, np.ndarray]:
    """Read the first segment of an OVF 2.0 file: `(spins, lattice)`, unit vectors, zero where the file has zero.

    With `lengths=True` the lengths `(*cells, sublattices)` in the file's units come third: other programs store
    magnetizations in A/m, and `spins * lengths[..., None]` is what the file holds.

    Files written here know their lattice. A rectangular mesh of another program becomes an open lattice
    with its first step as the lattice constant; for an irregular mesh give the `lattice`, whose sites the
    points are matched to. A lattice given must have the cells of the file. "binary 4" comes back as
    float32, the rest as float64. Raises `ValueError` for what is not such a file.

    Example:
        >>> path = js.io.save_ovf(tmp_path / "state.ovf", spins, lattice)
        >>> found, where = js.io.load_ovf(path)
        >>> bool(np.allclose(found, spins)), where == lattice
        (True, True)
    """
    content = Path(path).read_bytes()
    if not content.startswith(b"# OOMMF OVF 2.0"):
        raise ValueError(f"{path} is not an OVF 2.0 file; convert older ones with OOMMF's avf2ovf -format.")
    header, start, representation = _header(content)
    if header.get("valuedim") != "3":
        raise ValueError(f"{path} holds vectors of {header.get('valuedim')} components; give a file with valuedim: 3.")
    rectangular = header["meshtype"].lower() == "rectangular"
    nodes = tuple(int(header[f"{axis}nodes"]) for axis in "xyz") if rectangular else ()
    rows, columns = (int(np.prod(nodes)), 3) if rectangular else (int(header["pointcount"]), 6)
    table = _table(content[start:], representation, rows * columns).reshape(rows, columns)
    if lattice is None:
        lattice = _lattice(header, nodes, path)
    if rows != lattice.sites:
        raise ValueError(f"{path} holds {rows} spins, the lattice {lattice.sites}; use lattice.resize(...) to fit.")
    _check_cells(header, nodes, lattice, path)
    if rectangular:
        shape = (*reversed(lattice.cells), lattice.sublattices, 3)
        axes = (*reversed(range(lattice.dimension)), lattice.dimension, lattice.dimension + 1)
        vectors = table.reshape(shape).transpose(axes)
    else:
        vectors = _matched(table[:, :3], table[:, 3:], lattice, path)
    spins, norms = _apart(vectors)
    return (spins, lattice, norms) if lengths else (spins, lattice)


def _apart(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions and lengths; what is of length one to single precision stays the same number."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    off = (lengths > 0) & (np.abs(lengths - 1) > _UNIT)
    units = np.where(off[..., None], vectors / np.where(off, lengths, 1)[..., None], vectors)
    return units.astype(vectors.dtype), lengths.astype(vectors.dtype)


def in_space(lattice: Lattice) -> np.ndarray:
    """Site positions with three components, `(*cells, sublattices, 3)`: the missing ones are zero."""
    positions = lattice.positions()
    return np.pad(positions, [(0, 0)] * (positions.ndim - 1) + [(0, 3 - lattice.dimension)])


def in_file_order(vectors: np.ndarray, lattice: Lattice) -> np.ndarray:
    """`(*cells, sublattices, 3)` as rows `(sites, 3)`: sublattices fastest, then the first lattice vector."""
    d = lattice.dimension
    return vectors.transpose(*reversed(range(d)), d, d + 1).reshape(-1, 3)


def _is_rectangular(lattice: Lattice) -> bool:
    vectors = np.array(lattice.vectors)
    aligned = np.all(vectors == np.diag(np.abs(np.diag(vectors))))
    return lattice.sublattices == 1 and bool(aligned)


def _mesh(lattice: Lattice, points: np.ndarray, rectangular: bool) -> list[str]:
    nodes, step = np.ones(3, int), np.ones(3)
    nodes[: lattice.dimension] = lattice.cells
    nodes[0] *= lattice.sublattices
    if _is_rectangular(lattice):
        step[: lattice.dimension] = np.diag(np.array(lattice.vectors))
    elif rectangular:
        points = np.array([[0, 0, 0], nodes - 1])
    margin = step / 2 if rectangular else np.zeros(3)
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    lines = [
        f"{axis}{end}: {bound[i]!r}"
        for end, bound in (("min", low.tolist()), ("max", high.tolist()))
        for i, axis in enumerate("xyz")
    ]
    if not rectangular:
        return [*lines, "meshtype: irregular", f"pointcount: {lattice.sites}"]
    lines.append("meshtype: rectangular")
    for i, axis in enumerate("xyz"):
        lines += [
            f"{axis}base: {float(points[0, i])!r}",
            f"{axis}nodes: {nodes[i]}",
            f"{axis}stepsize: {float(step[i])!r}",
        ]
    return lines


def _header(content: bytes) -> tuple[dict[str, str], int, str]:
    """The keywords in lower case, where the data start, and how they are represented."""
    keywords, start = {}, 0
    while start < len(content):
        stop = content.find(b"\n", start)
        stop = len(content) if stop < 0 else stop
        line = content[start:stop].decode(errors="replace").lstrip("#").split("##")[0].strip()
        start = stop + 1
        name, _, value = line.partition(":")
        name, value = "".join(name.lower().split()), value.strip()
        if name == "begin" and value.lower().startswith("data"):
            return keywords, start, value.lower().removeprefix("data").strip()
        if name == "desc" and value.startswith(_MARK):
            keywords["lattice"] = value.removeprefix(_MARK)
        else:
            keywords[name] = value
    raise ValueError("the file ends before its data; write it again.")


def _table(data: bytes, representation: str, count: int) -> np.ndarray:
    if representation == "text":
        lines = data[: data.lower().find(b"# end")].decode().splitlines()
        values = np.array(" ".join(line.split("#")[0] for line in lines).split(), np.float64)
    elif representation in _BINARY:
        dtype, control = _BINARY[representation]
        if len(data) < dtype.itemsize or np.frombuffer(data, dtype, 1)[0] != control:
            raise ValueError("the control number before the data is wrong; transfer the file again, in binary mode.")
        available = min(count, len(data) // dtype.itemsize - 1)
        values = np.frombuffer(data, dtype, available, dtype.itemsize).astype(dtype.newbyteorder("="))
    else:
        raise ValueError(f"data in representation {representation!r}; write them as text, binary 4 or binary 8.")
    if len(values) != count:
        raise ValueError(f"the file holds {len(values)} numbers where its header says {count}; write it again.")
    return values


def _lattice(header: dict[str, str], nodes: tuple[int, ...], path: str | os.PathLike) -> Lattice:
    if "lattice" in header:
        return lattice_from_json(header["lattice"])
    if not nodes:
        raise ValueError(f"{path} is an irregular mesh without a lattice; pass load_ovf(path, lattice).")
    step = np.array([float(header.get(f"{axis}stepsize", 1)) for axis in "xyz"])
    dimension = 3 if nodes[2] > 1 else 2 if nodes[1] > 1 else 1
    vectors = np.diag(step[:dimension] / step[0])
    name = ("chain", "square", "cubic")[dimension - 1] if np.allclose(vectors, np.eye(dimension)) else "rectangular"
    return Lattice(
        name,
        tuple(map(tuple, vectors.tolist())),
        ((0.0,) * dimension,),
        nodes[:dimension],
        (False,) * dimension,
    )


def _check_cells(header: dict[str, str], nodes: tuple[int, ...], lattice: Lattice, path: str | os.PathLike) -> None:
    """Refuse a lattice of other cells than those the file knows, by its own lattice or by its nodes."""
    if "lattice" in header:
        stored = lattice_from_json(header["lattice"])
        if stored.shape != lattice.shape:
            raise ValueError(
                f"{path} holds a {stored.name} lattice of shape {stored.shape}, not {lattice.shape}; "
                "leave the lattice out, or pass one of that shape."
            )
    elif nodes:
        along = (lattice.cells[0] * lattice.sublattices, *lattice.cells[1:], 1, 1)[:3]
        if nodes != along:
            raise ValueError(
                f"{path} has {nodes} nodes along x, y, z, the lattice {along}; "
                "pass a lattice of those cells (those along x times the sublattices)."
            )


def _matched(points: np.ndarray, values: np.ndarray, lattice: Lattice, path: str | os.PathLike) -> np.ndarray:
    spins = np.full((*lattice.shape, 3), np.nan, values.dtype)
    inverse = np.linalg.inv(np.array(lattice.vectors))
    for sublattice, origin in enumerate(lattice.basis):
        fractions = (points[:, : lattice.dimension] - np.array(origin)) @ inverse
        cell = np.rint(fractions).astype(int)
        inside = np.all((cell >= 0) & (cell < np.array(lattice.cells)), axis=1)
        here = inside & np.all(np.abs(fractions - cell) < _MATCH, axis=1)
        spins[(*cell[here].T, sublattice)] = values[here]
    if np.isnan(spins).any():
        raise ValueError(f"the points of {path} are not the sites of the lattice; pass the one they lie on.")
    return spins
