"""Snapshots for ParaView and VisIt; spins `(*cells, sublattices, 3)` at their real positions."""

import os
from pathlib import Path

import numpy as np

from jaxspin.devices.hosts import by_first_process, to_host
from jaxspin.files import refuse_existing
from jaxspin.io.ovf import in_file_order, in_space
from jaxspin.io.store import Numbers
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins


@takes_spins(host=True)
def save_vtk(
    path: str | os.PathLike,
    spins: Numbers,
    lattice: Lattice,
    *,
    title: str = "spins",
    overwrite: bool = False,
) -> Path:
    """Write one configuration as a legacy VTK file (binary, version 3.0) with the point vectors `spin`.

    One site per cell gives a structured grid, so that surfaces can be coloured and contours drawn; several
    give a point cloud with the point scalar `sublattice`. ParaView reads files numbered `spins_0001.vtk` as a
    film; a run with its times is written by `save_vtk_series`.

    Raises `ValueError` for spins of another lattice, a name that does not end in .vtk or a title of several lines,
    `FileExistsError` where the file exists and `overwrite` is not given, `FileNotFoundError` where the folder does not.

    Example:
        >>> js.io.save_vtk(tmp_path / "spins_0001.vtk", spins, lattice).name
        'spins_0001.vtk'
    """
    path, spins = Path(path), to_host(spins)
    if path.suffix != ".vtk":
        raise ValueError(f"{path.name} would not be recognized by ParaView; end the name in .vtk.")
    if "\n" in title:
        raise ValueError("the title of a VTK file is one line; leave the line breaks out.")
    by_first_process(lambda: refuse_existing(path, overwrite))
    parts = [f"# vtk DataFile Version 3.0\n{title[:250]}\nBINARY\n"]
    points, values = in_file_order(in_space(lattice), lattice), in_file_order(spins, lattice)
    sites = lattice.sites
    if lattice.sublattices == 1:
        nodes = " ".join(map(str, (*lattice.cells, 1, 1)[:3]))
        parts += [f"DATASET STRUCTURED_GRID\nDIMENSIONS {nodes}\n"]
    else:
        parts += ["DATASET POLYDATA\n"]
    parts += [f"POINTS {sites} double\n", points.astype(">f8")]
    if lattice.sublattices > 1:
        vertices = np.stack([np.ones(sites), np.arange(sites)], axis=1)
        parts += [f"VERTICES {sites} {2 * sites}\n", vertices.astype(">i4")]
    parts += [f"POINT_DATA {sites}\n"]
    if lattice.sublattices > 1:
        labels = np.tile(np.arange(lattice.sublattices), sites // lattice.sublattices)
        parts += ["SCALARS sublattice int 1\nLOOKUP_TABLE default\n", labels.astype(">i4")]
    precision = "float" if values.dtype == np.float32 else "double"
    parts += [f"VECTORS spin {precision}\n", values.astype(">f4" if precision == "float" else ">f8")]
    content = b"".join(p.encode() if isinstance(p, str) else p.tobytes() + b"\n" for p in parts)
    by_first_process(lambda: _write(path, content))
    return path


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
