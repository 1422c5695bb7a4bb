"""Exchange for other programs of spin dynamics: VAMPIRE, UppASD and Spirit, each in its own units and counting."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxspin.devices.hosts import by_first_process
from jaxspin.io.exchange import ExchangePairs, parts
from jaxspin.io.text_files import save_text
from jaxspin.units import Units

# An element in mRy below this is left out as zero.
_ZERO = 1e-12
# Cells with right angles are looked for up to this many lattice vectors.
_LONGEST = 12


def save_vampire(path: str | os.PathLike, pairs: ExchangePairs, *, overwrite: bool = False) -> Path:
    """Write VAMPIRE's unit cell file, `.ucf`, and return its path.

    VAMPIRE has E = - sum_(i < j) S_i . J_ij S_j with J in joule, and lists every pair from both ends, as this file
    does: the numbers are those of `pairs` times 1.602e-22. The exchange is "isotropic" where all J are, else
    "tensorial". Each name is a material, counted in the order of the names; moments, dampings and anisotropies belong
    into the material file (`material[1]:atomic-spin-moment`), which is yours to write.

    VAMPIRE repeats cells with right angles along x, y and z alone: `pairs.in_supercell(matrix)` makes one. With bcc
    vectors (a/2)(-1, 1, 1) and so on matrix = [[0, 1, 1], [1, 0, 1], [1, 1, 0]], with the fcc ones (a/2)(0, 1, 1) and
    so on [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]; the error names the one of your cell.

    Raises `ValueError` for a name that does not end in .ucf and for a cell without right angles along x, y and z,
    `FileExistsError` where the file exists and `overwrite` is not given, `FileNotFoundError` where the folder does not.

    Source: VAMPIRE manual 5.0, "Unit cell files", https://vampire.york.ac.uk/resources/vampire-manual.pdf; Evans et
    al., J. Phys.: Condens. Matter 26, 103202 (2014), doi:10.1088/0953-8984/26/10/103202.

    Example:
        >>> chain = js.io.ExchangePairs([0], [0], [(1, 0, 0)], [np.eye(3)], ("Fe",), np.zeros((1, 3)), 2 * np.eye(3))
        >>> js.io.save_vampire(tmp_path / "chain.ucf", chain).name
        'chain.ucf'
    """
    path, pairs = Path(path), pairs.in_home_cell()
    if path.suffix.lower() != ".ucf":
        raise ValueError(f"{path.name} is no name of a unit cell file; end it in .ucf.")
    sizes = np.diag(pairs.cell)
    if not (np.allclose(pairs.cell, np.diag(sizes), atol=1e-6) and (sizes > 0).all()):
        raise ValueError(
            f"VAMPIRE repeats cells along x, y and z alone, but the vectors are {np.round(pairs.cell, 4).tolist()}; "
            f"choose a cell with right angles by pairs.in_supercell({_right_angles(pairs.cell)})."
        )
    materials = list(dict.fromkeys(pairs.names))
    joule = Units("meV").to_energy(1.0, "J")
    isotropic = all(np.ndim(strength) == 0 for *_, strength in pairs.pairs())
    lines = ["# Unit cell size:", _row(sizes), "# Unit cell vectors:", "1 0 0", "0 1 0", "0 0 1", "# Atoms"]
    lines.append(f"{len(pairs.names)} {len(materials)}")
    for number, (name, place) in enumerate(zip(pairs.names, _reduced(pairs), strict=True)):
        lines.append(f"{number} {_row(place)} {materials.index(name)}")
    rows = pairs.both_ways()
    lines += ["# Interactions", f"{len(rows)} {'isotropic' if isotropic else 'tensorial'}"]
    for number, (i, j, r, matrix) in enumerate(rows):
        numbers = joule * (matrix[:1, 0] if isotropic else matrix.ravel())
        lines.append(f"{number} {i} {j} {' '.join(map(str, r))} {_row(numbers)}")
    return save_text(path, lines, overwrite)


def _right_angles(cell: np.ndarray) -> list[list[int]] | str:
    """The shortest integer rows whose products with `cell` lie along x, y and z, else the word "matrix"."""
    rows = []
    for along in np.linalg.inv(cell):
        smallest = np.min(np.abs(along[np.abs(along) > 1e-6 * np.max(np.abs(along))]))
        tried = (n * along / smallest for n in range(1, _LONGEST + 1))
        row = next((x for x in tried if np.allclose(x, np.round(x), atol=1e-3)), None)
        if row is None:
            return "matrix"
        rows.append(np.round(row).astype(int).tolist())
    return rows if np.linalg.det(rows) > 0 else "matrix"


def save_uppasd(folder: str | os.PathLike, pairs: ExchangePairs, *, overwrite: bool = False) -> Path:
    """Write UppASD's `posfile`, `momfile`, `jfile` and, where there are any, `dmfile` and `pdfile` into `folder`.

    UppASD has H = - sum_(i != j) [J_ij e_i . e_j + D_ij . (e_i x e_j) + e_i J^ani_ij e_j] in mRy, each pair from both
    ends: its numbers are half of those of `pairs`, in 13.606 meV. R is in lattice vectors (`maptype 2`), and all pairs
    are listed (`Sym 0`). Moments are in mu_B, directions those of `pairs.moments`. `inpsd.dat` gets the lines about the
    crystal and the names of these files; add those of your run.

    Makes the folder; returns it. Raises `ValueError` without moments, or where one is zero, `FileExistsError` where one
    of the files exists and `overwrite` is not given.

    Source: UppASD manual, "Input files", https://uppasd.github.io/UppASD-manual/input; Skubic et al., J. Phys.:
    Condens. Matter 20, 315203 (2008), doi:10.1088/0953-8984/20/31/315203.

    Example:
        >>> chain = js.io.ExchangePairs(
        ...     [0], [0], [(1, 0, 0)], [np.eye(3)], ("Fe",), np.zeros((1, 3)), 2 * np.eye(3), [(0.0, 0.0, 2.2)]
        ... )
        >>> sorted(path.name for path in js.io.save_uppasd(tmp_path / "chain", chain).iterdir())
        ['inpsd.dat', 'jfile', 'momfile', 'posfile']
    """
    folder, pairs = Path(folder), pairs.in_home_cell()
    moments, directions = _moments(pairs, "UppASD")
    sites = range(1, len(pairs.names) + 1)
    places = zip(sites, _reduced(pairs), strict=True)
    spins = zip(sites, moments, directions, strict=True)
    files = {
        "posfile": [f"{n} {n} {_row(place)}" for n, place in places],
        "momfile": [f"{n} 1 {moment:.10g} {_row(direction)}" for n, moment, direction in spins],
    }
    half_mry = Units("meV").to_energy(0.5, "mRy")
    rows = pairs.both_ways()
    strengths, vectors, rest = parts(half_mry * np.array([matrix for *_, matrix in rows]).reshape(-1, 3, 3))
    # xx, yy, zz, xy, xz, yz
    six = rest[:, [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    for name, values in (("jfile", strengths[:, None]), ("dmfile", vectors), ("pdfile", six)):
        lines = [
            f"{i + 1} {j + 1} {' '.join(map(str, r))} {_row(numbers)}"
            for (i, j, r, _), numbers in zip(rows, values, strict=True)
            if name == "jfile" or np.max(np.abs(numbers)) > _ZERO
        ]
        if lines:
            files[name] = lines
    keywords = {"posfile": "posfile", "momfile": "momfile", "exchange": "jfile", "dm": "dmfile", "pd": "pdfile"}
    first, *others = (_row(vector) for vector in pairs.cell)
    files["inpsd.dat"] = [
        "simid jaxspin",
        "ncell 12 12 12",
        "BC P P P",
        f"cell {first}",
        *(f"     {vector}" for vector in others),
        "alat 1.0e-10",
        "Sym 0",
        "maptype 2",
        *(f"{keyword} ./{name}" for keyword, name in keywords.items() if name in files),
        "Initmag 3",
    ]
    by_first_process(lambda: folder.mkdir(parents=True, exist_ok=True))
    existing = [name for name in files if (folder / name).exists()]
    if existing and not overwrite:
        raise FileExistsError(f"{folder / existing[0]} exists; choose another folder or pass overwrite=True.")
    for name, lines in files.items():
        save_text(folder / name, lines, overwrite)
    return folder


def save_spirit(
    path: str | os.PathLike, pairs: ExchangePairs, *, cells: Sequence[int] = (20, 20, 20), overwrite: bool = False
) -> Path:
    """Write Spirit's configuration of the crystal, `hamiltonian heisenberg_pairs`, and return its path.

    Spirit has H = - sum_<ij> J_ij n_i . n_j - sum_<ij> D_ij . (n_i x n_j) in meV, each pair once: the numbers are those
    of `pairs`. `cells` is the number of cells along each vector, periodic; moments are in mu_B. Add the lines of your
    run (`llg_dt` and the like).

    Raises `ValueError` for symmetric anisotropic exchange, which Spirit has not, without moments or with one that is
    zero, and for other than three `cells`; `FileExistsError` where the file exists and `overwrite` is not given,
    `FileNotFoundError` where the folder does not.

    Source: Spirit manual, "Input files", https://spirit-docs.readthedocs.io/en/latest/core/docs/Input.html; Mueller et
    al., Phys. Rev. B 99, 224414 (2019), doi:10.1103/PhysRevB.99.224414.

    Example:
        >>> chain = js.io.ExchangePairs(
        ...     [0], [0], [(1, 0, 0)], [np.eye(3)], ("Fe",), np.zeros((1, 3)), 2 * np.eye(3), [(0.0, 0.0, 2.2)]
        ... )
        >>> js.io.save_spirit(tmp_path / "chain.cfg", chain).read_text().splitlines()[-1]
        '0 0 1 0 0 1 0 0 0'
    """
    pairs = pairs.in_home_cell()
    moments, _ = _moments(pairs, "Spirit")
    if len(cells) != 3:
        raise ValueError(f"cells = {tuple(cells)} are not three numbers; give one for each vector.")
    rest = np.max(np.abs(pairs.anisotropic()), axis=(1, 2))
    if np.max(rest, initial=0.0) > 1e-9 * np.max(np.abs(pairs.matrices), initial=0.0):
        pair = int(np.argmax(rest))
        raise ValueError(
            f"pair {pair} has symmetric anisotropic exchange of {rest[pair]:.2g} meV, which Spirit has not; write it "
            "for VAMPIRE or UppASD, or give pairs without it."
        )
    lines = ["# written by jaxspin; energies in meV for each pair, lengths in Angstrom", "lattice_constant 1.0"]
    lines += ["bravais_vectors", *(_row(vector) for vector in pairs.cell)]
    lines += ["basis", str(len(pairs.names)), *(_row(place) for place in _reduced(pairs))]
    lines += [f"mu_s {_row(moments)}", f"n_basis_cells {' '.join(str(int(n)) for n in cells)}"]
    lines += ["boundary_conditions 1 1 1", "hamiltonian heisenberg_pairs", f"n_interaction_pairs {len(pairs.starts)}"]
    lines.append("i j da db dc Jij Dijx Dijy Dijz")
    vectors = pairs.dzyaloshinskii_moriya()
    for i, j, r, strength, vector in zip(
        pairs.starts, pairs.ends, pairs.offsets.tolist(), pairs.isotropic(), vectors, strict=True
    ):
        lines.append(f"{i} {j} {' '.join(map(str, r))} {_row([strength, *vector])}")
    return save_text(Path(path), lines, overwrite)


def _row(numbers: Sequence[float] | np.ndarray) -> str:
    return " ".join(f"{number + 0.0:.12g}" for number in numbers)


def _reduced(pairs: ExchangePairs) -> np.ndarray:
    """Positions in lattice vectors, rounding taken off so that none is just below 0 or at 1."""
    return np.abs(np.round(pairs.positions @ np.linalg.inv(pairs.cell), 10))


def _moments(pairs: ExchangePairs, program: str) -> tuple[np.ndarray, np.ndarray]:
    """Lengths in mu_B and directions."""
    lengths = np.zeros(1) if pairs.moments is None else np.linalg.norm(pairs.moments, axis=1)
    if pairs.moments is None or not (lengths > 0).all():
        raise ValueError(
            f"{program} needs the moment of every atom, in mu_B; give moments= with none that is zero, such as by "
            "dataclasses.replace(pairs, moments=...)."
        )
    return lengths, pairs.moments / lengths[:, None]
