"""Runs for ParaView: one XML file of VTK a frame, spins `(*cells, sublattices, 3)`, and a collection with the times."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from tqdm import tqdm

from jaxspin.devices.hosts import by_first_process, to_host
from jaxspin.files import refuse_existing, remove, replace
from jaxspin.io.ovf import in_file_order, in_space
from jaxspin.io.store import Numbers
from jaxspin.lattice import Lattice
from jaxspin.spins import as_spins

# How much longer than one a spin may be: runs in single precision drift by less.
_ROUNDING = 1e-3
_TYPES = {"f4": "Float32", "f8": "Float64", "i4": "Int32", "i8": "Int64"}


def save_vtk_series(
    path: str | os.PathLike,
    times: Numbers,
    frames: Any,
    lattice: Lattice,
    *,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Write a run as the collection `path`, which ends in .pvd: open that in ParaView, and its clock shows the times.

    `times` `(n,)` in hbar/t, `frames` spins `(n, *cells, sublattices, 3)`, in memory or as
    `load_trajectory(path)["spins"]`, of which one frame at a time is read. The files of the frames are in a folder
    beside it, run_frames for run.pvd: image data (.vti) where the cells are boxes of one site, a structured grid (.vts)
    of other cells of one site, points (.vtp) with the scalar `sublattice` of several. Each has the point vectors
    `spin`.

    Both appear once all frames are written. Raises `ValueError` for another ending, for times that are not finite or
    do not increase, and for frames that do not fit them or have spins longer than one (NaN and zero are written).
    Raises `FileExistsError` where one of both exists and `overwrite` is not given, and always where the folder holds
    other files than frames, `FileNotFoundError` where the folder to write into does not exist. For one configuration
    use `save_vtk`. Format: VTK File Formats, Kitware (docs.vtk.org).

    Example:
        >>> js.io.save_vtk_series(tmp_path / "run.pvd", [0.0, 0.5], jnp.stack([spins, -spins]), lattice).name
        'run.pvd'
        >>> sorted(file.name for file in (tmp_path / "run_frames").iterdir())
        ['0000.vti', '0001.vti']
    """
    path, times = Path(path), np.asarray(times, np.float64)
    if path.suffix != ".pvd":
        raise ValueError(f"{path.name} would not be recognized as a collection of ParaView; end the name in .pvd.")
    if times.ndim != 1 or len(times) == 0 or len(frames) != len(times):
        raise ValueError(f"times {times.shape} do not fit {len(frames)} frames; give one time a frame, at least one.")
    if not np.all(np.isfinite(times)) or not np.all(np.diff(times) > 0):
        raise ValueError("the times are not finite or do not increase; sort the frames, or drop those stored twice.")
    folder = path.with_name(f"{path.stem}_frames")
    by_first_process(lambda: [refuse_existing(place, overwrite) for place in (path, folder)])
    by_first_process(lambda: _refuse_others(path, folder))
    partial = folder.with_name(f".{folder.name}.partial")
    by_first_process(lambda: _emptied(partial))
    try:
        names = _write_frames(partial, frames, lattice, path.name if progress else "")
    except BaseException:
        by_first_process(lambda: remove(partial))
        raise
    rows = [
        f'    <DataSet timestep="{time!r}" part="0" file={quoteattr(f"{folder.name}/{name}")}/>\n'
        for time, name in zip(times.tolist(), names, strict=True)
    ]
    text = (
        '<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">\n  <Collection>\n'
    )
    text += "".join(rows) + "  </Collection>\n</VTKFile>\n"
    by_first_process(lambda: _named(partial, folder, path, text))
    return path


def _write_frames(folder: Path, frames: Any, lattice: Lattice, title: str) -> list[str]:
    """One file a frame; returns their names."""
    names: list[str] = []
    digits = max(4, len(str(len(frames))))
    for number in tqdm(range(len(frames)), desc=title, unit="frame", disable=not title):
        frame: Any = frames[number]
        spins = as_spins(to_host(getattr(frame, "values", frame)), lattice, host=True)
        lengths = np.linalg.norm(np.asarray(spins, np.float64), axis=-1)
        if np.any(lengths > 1 + _ROUNDING):
            raise ValueError(f"frame {number} has spins longer than one; pass jaxspin.normalize(spins).")
        suffix, content = _file(spins, lattice)
        names.append(f"{number:0{digits}d}{suffix}")
        by_first_process(lambda name=names[-1], content=content: (folder / name).write_bytes(content))
    return names


def _refuse_others(path: Path, folder: Path) -> None:
    """Raise `FileExistsError` for what this module did not write: other files, a folder where a file should be."""
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder and will not be replaced; choose another path.")
    ours = not folder.exists() or (
        folder.is_dir() and all(re.fullmatch(r"\d+\.vt[isp]", file.name) for file in folder.iterdir())
    )
    if not ours:
        raise FileExistsError(f"{folder} holds other files than frames and will not be replaced; choose another path.")


def _emptied(folder: Path) -> None:
    if folder.exists():
        remove(folder)
    folder.mkdir()


def _named(partial: Path, folder: Path, path: Path, text: str) -> None:
    replace(partial, folder)
    beside = path.with_name(f".{path.name}.partial")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _file(spins: np.ndarray, lattice: Lattice) -> tuple[str, bytes]:
    """The ending and the content of the file of one frame."""
    points, values = in_file_order(in_space(lattice), lattice), in_file_order(spins, lattice)
    data = _Appended()
    vectors = f'<PointData Vectors="spin">{data.add("spin", values, 3)}'
    nodes = (*lattice.cells, 1, 1)[:3]
    extent = " ".join(f"0 {n - 1}" for n in nodes)
    if lattice.sublattices > 1:
        labels = np.tile(np.arange(lattice.sublattices), lattice.sites // lattice.sublattices)
        count = f'NumberOfPoints="{lattice.sites}" NumberOfVerts="{lattice.sites}"'
        kind, suffix, attributes, piece = "PolyData", ".vtp", "", f'{count} NumberOfLines="0" NumberOfStrips="0"'
        sites = np.arange(lattice.sites)
        body = (
            f"{vectors}{data.add('sublattice', labels, 1)}</PointData>"
            f"<Points>{data.add('points', points, 3)}</Points>"
            f"<Verts>{data.add('connectivity', sites, 1)}{data.add('offsets', sites + 1, 1)}</Verts>"
        )
    elif _boxes(lattice):
        steps = " ".join(repr(x) for x in (*np.diag(np.array(lattice.vectors)).tolist(), 1.0, 1.0)[:3])
        origin = " ".join(repr(x) for x in points[0].tolist())
        kind, suffix, piece = "ImageData", ".vti", f'Extent="{extent}"'
        attributes, body = f' WholeExtent="{extent}" Origin="{origin}" Spacing="{steps}"', f"{vectors}</PointData>"
    else:
        kind, suffix, piece = "StructuredGrid", ".vts", f'Extent="{extent}"'
        attributes = f' WholeExtent="{extent}"'
        body = f"{vectors}</PointData><Points>{data.add('points', points, 3)}</Points>"
    head = (
        f'<?xml version="1.0"?>\n<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" header_type="UInt64">\n'
        f"<{kind}{attributes}><Piece {piece}>{body}</Piece></{kind}>\n"
        '<AppendedData encoding="raw">_'
    )
    return suffix, head.encode() + b"".join(data.parts) + b"</AppendedData>\n</VTKFile>\n"


def _boxes(lattice: Lattice) -> bool:
    """Whether the cells are boxes along x, y, z."""
    vectors = np.array(lattice.vectors)
    return bool(np.all(vectors == np.diag(np.abs(np.diag(vectors)))))


class _Appended:
    """Arrays behind the XML text, each with its size before it."""

    def __init__(self):
        self.parts: Sequence[bytes] = []
        self.size = 0

    def add(self, name: str, array: np.ndarray, components: int) -> str:
        """The element that says where the array is."""
        if array.dtype.str[1:] not in _TYPES:
            array = array.astype(np.float64)
        raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
        self.parts = [*self.parts, np.array(len(raw), "<u8").tobytes(), raw]
        told = f'type="{_TYPES[array.dtype.str[1:]]}" Name="{name}" NumberOfComponents="{components}"'
        element = f'<DataArray {told} format="appended" offset="{self.size}"/>'
        self.size += 8 + len(raw)
        return element
