"""Lattices from files of crystal structures, read by ASE."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxspin.extras import needed_for
from jaxspin.lattice import Lattice


def read_structure(
    path: str | os.PathLike, *, magnetic: Sequence[str], cells: int | Sequence[int] = 1, tolerance: float = 1e-3
) -> Lattice:
    """The magnetic atoms of a crystal, from a CIF, a POSCAR or any other file that ASE reads; lengths in Angstrom.

    `magnetic` names the elements whose atoms have spins, such as ("Fe",); the others are left out. `cells` is one
    number or three; every axis is periodic. `tolerance` is that of the `Lattice`. ASE is an extra:
    `pip install "jaxspin[structures]"`.

    Raises `ModuleNotFoundError` without ASE, `FileNotFoundError`, and `ValueError` for a file that ASE does not read,
    for one without a cell, and for an element that is not in it.

    Source: Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017), doi:10.1088/1361-648X/aa680e.

    Example:
        >>> read = js.io.read_structure  # js.io.read_structure("Fe.cif", magnetic=("Fe",), cells=8)
    """
    with needed_for("crystal structures"):
        from ase.io import read  # pyright: ignore[reportMissingImports]
    if isinstance(magnetic, str) or not magnetic:
        raise ValueError(f"magnetic = {magnetic!r} names no elements; give a list, such as ('Fe',).")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a CIF, a POSCAR or another file that ASE reads.")
    try:
        atoms = read(path)
    except Exception as error:  # each format has its own
        raise ValueError(
            f"{path} is no structure that ASE reads ({type(error).__name__}: {error}); give a whole CIF or POSCAR."
        ) from error
    names = atoms.get_chemical_symbols()
    if missing := sorted(set(magnetic) - set(names)):
        raise ValueError(f"{path} has no {', '.join(missing)}; give magnetic= some of {', '.join(sorted(set(names)))}.")
    cell = np.array(atoms.cell[:])
    if not abs(np.linalg.det(cell)) > 0:
        raise ValueError(f"{path} has no cell of three vectors; give the file of a crystal.")
    basis = atoms.get_positions()[[name in magnetic for name in names]]
    sizes = (cells,) * 3 if isinstance(cells, int) else tuple(cells)
    return Lattice("".join(magnetic), cell, basis, sizes, (True,) * 3, tolerance)
