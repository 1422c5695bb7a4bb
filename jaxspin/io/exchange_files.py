"""Exchange from files: TB2J's exchange.out, and plain lists of pairs."""

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxspin.io.exchange import LEVI_CIVITA, ExchangePairs
from jaxspin.io.text_files import TextFile
from jaxspin.warned import caller

_PAIR = re.compile(r"\s*(\S+)\s+(\S+)\s+\(\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*\)\s+(-?[\d.]+)")
_VECTOR = re.compile(r"\(([^()]*)\)\s+[\d.]+\s*$")
# In Angstrom, what the vectors of exchange.out may be off by: they have three decimals, cells of old versions too.
_LENGTH = 0.02
# In meV, what the two directions of a pair may differ by: the anisotropic part has three decimals.
_ROUNDING = 0.0025
_TB2J_REMEDY = "give the exchange.out that TB2J writes"

Row = tuple[int, int, tuple[int, ...], np.ndarray]


def read_exchange(
    path: str | os.PathLike,
    *,
    cell: Any = None,
    positions: Any = None,
    names: Sequence[str] | None = None,
    moments: Any = None,
    first_atom: int = 0,
    counted_twice: bool = False,
) -> ExchangePairs:
    """Exchange between pairs of atoms, from TB2J's `exchange.out` or a plain list; also compressed, `.gz`.

    **TB2J** has E = - sum_(i != j) [J_iso e_i . e_j + e_i J_ani e_j + D . (e_i x e_j)], each pair from both ends. Here
    every pair counts once, so that J_ij is twice its J_iso 1 + J_ani + D. The signs agree: J > 0 is ferromagnetic, and
    e the directions of the moments. Both ends of a pair are averaged, and a warning tells where they differ by more
    than their digits. Cell, magnetic atoms and their moments are in the file. The single-ion anisotropies that it may
    have are not read (a warning says so), nor are contributions of orbitals or derivatives.

    **A plain list** has lines `i j R1 R2 R3 J`, or with nine numbers for J, row by row, in meV; `#` begins a comment.
    Atoms count from `first_atom`. As for `js.Exchange` the list has each pair once, or all of them from both ends, with
    J and its transpose: a pair counts once in the energy. For numbers that belong to E = - sum_(i != j), which counts
    it twice, say `counted_twice=True`: they are doubled. Give `cell` `(3, 3)` and `positions` `(atoms, 3)` in Angstrom,
    `moments` `(atoms, 3)` in mu_B for programs that need them, and `names`, "X" unless given. Without `cell` it is a
    cube of 1 Angstrom, without `positions` all atoms are at its corner: enough for `found.pairs()` alone.

    Raises `FileNotFoundError`, and `ValueError`, with file, line and remedy, for a file that is cut short, or in
    neither form, for pairs of a site with itself, for a plain list with only some of the pairs from both ends, or
    whose two ends differ, and for `cell`, `positions` and the like beside a TB2J file.

    Source: TB2J manual, "Conventions of Heisenberg Model", https://tb2j.readthedocs.io; He, Helbig, Verstraete,
    Bousquet, Comput. Phys. Commun. 264, 107938 (2021), doi:10.1016/j.cpc.2021.107938.

    Example:
        >>> _ = (tmp_path / "pairs.txt").write_text("0 0  1 0 0  12.5 # nearest neighbours")
        >>> js.io.read_exchange(tmp_path / "pairs.txt").pairs()
        [(0, 0, (1, 0, 0), 12.5)]
    """
    file = TextFile(Path(path))
    if any(line.strip() == "Exchange:" for line in file.lines):
        if any(given is not None for given in (cell, positions, names, moments)) or first_atom or counted_twice:
            raise ValueError(f"{path} of TB2J has the crystal and its counting itself; give nothing beside its path.")
        return _read_tb2j(file)
    rows = _plain_rows(file, first_atom)
    atoms = 1 + max((max(i, j) for _, (i, j, *_) in rows), default=0)
    number = len(positions) if positions is not None else len(names) if names is not None else atoms
    if not rows or number < atoms:
        what = f"{number} positions for {atoms} atoms" if rows else "no pair"
        raise ValueError(f"{path} has {what}; give lines i j R1 R2 R3 J, atoms from {first_atom}, and every position.")
    return _made(
        _once(file, rows, 2.0 if counted_twice else 1.0),
        names or ("X",) * number,
        np.zeros((number, 3)) if positions is None else positions,
        np.eye(3) if cell is None else cell,
        moments,
    )


def _made(found: dict[tuple[int, ...], np.ndarray], *crystal: Any) -> ExchangePairs:
    keys = np.array(list(found), int).reshape(-1, 5)
    return ExchangePairs(keys[:, 0], keys[:, 1], keys[:, 2:], np.array(list(found.values())), *crystal)


def _one_way(i: int, j: int, r: tuple[int, ...], matrix: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
    """The pair from that end whose (i, j, R) comes first, and its matrix."""
    there, back = (i, j, *r), (j, i, *(-x for x in r))
    # of two ends on one sublattice the one with R ahead
    ahead = (i, j, *(-x for x in r)) <= (j, i, *r)
    return (there, matrix) if ahead else (back, matrix.T)


def _once(file: TextFile, rows: list[tuple[int, Row]], scale: float) -> dict[tuple[int, ...], np.ndarray]:
    """Each pair of a plain list once."""
    found: dict[tuple[int, ...], np.ndarray] = {}
    lines: dict[tuple[int, ...], list[int]] = {}
    for number, row in rows:
        key, matrix = _one_way(*row)
        if key in found and not np.allclose(found[key], scale * matrix, rtol=1e-6, atol=1e-9):
            raise file.wrong(
                number,
                f"J is not the transpose of that of line {lines[key][0] + 1}, its other end",
                "give one J for both",
            )
        found.setdefault(key, scale * matrix)
        lines.setdefault(key, []).append(number)
    alone = [given[0] for given in lines.values() if len(given) == 1]
    if alone and len(alone) < len(found):
        raise file.wrong(
            alone[0], "this pair is there from one end, others from both", "give all pairs once, or all from both ends"
        )
    return found


def _plain_rows(file: TextFile, first_atom: int) -> list[tuple[int, Row]]:
    """The pairs of a plain list, each with the line it is in."""
    remedy = "give lines i j R1 R2 R3 J, or with nine numbers for J, or TB2J's exchange.out"
    rows, seen = [], {}
    for number, line in enumerate(file.lines):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            i, j, *r = (int(word) for word in words[:5])
            values = np.array(words[5:], np.float64)
        except ValueError:
            raise file.wrong(number, f"{line.strip()!r} is no pair", remedy) from None
        if values.size not in (1, 9) or len(r) != 3 or not np.isfinite(values).all():
            raise file.wrong(number, f"{line.strip()!r} has {len(words)} numbers, not 6 or 14", remedy)
        if min(i, j) < first_atom:
            raise file.wrong(number, f"atom {min(i, j)} comes before the first", "give first_atom=, usually 0 or 1")
        if i == j and not any(r):
            raise file.wrong(number, f"atom {i} has exchange with itself", "give that energy as an anisotropy")
        if (i, j, *r) in seen:
            raise file.wrong(number, f"this pair is in line {seen[(i, j, *r)] + 1} already", "give each line once")
        seen[(i, j, *r)] = number
        matrix = values[0] * np.eye(3) if values.size == 1 else values.reshape(3, 3)
        rows.append((number, (i - first_atom, j - first_atom, tuple(r), matrix)))
    return rows


def _read_tb2j(file: TextFile) -> ExchangePairs:
    cell = file.table(_section(file, "Cell (Angstrom):"), 3, 3, _TB2J_REMEDY)
    labels, positions, moments = _tb2j_atoms(file)
    if any("Single Ion Anisotropy" in line for line in file.lines):
        warnings.warn(
            f"{file.path} has single-ion anisotropies, which are not read; add js.Anisotropy for them.",
            stacklevel=caller(),
        )
    pairs = _tb2j_pairs(file, labels, positions, cell)
    found: dict[tuple[int, ...], list[np.ndarray]] = {}
    for i, j, r, matrix in pairs:
        key, matrix = _one_way(i, j, r, 2 * matrix)
        found.setdefault(key, []).append(matrix)
    for (i, j, *r), matrices in found.items():
        if len(matrices) > 2:
            raise ValueError(
                f"{file.path}: the pair {labels[i]} {labels[j]} at R = {r} is there twice; {_TB2J_REMEDY}."
            )
        if len(matrices) == 1:
            warnings.warn(
                f"{file.path} has the pair {labels[i]} {labels[j]} at R = {tuple(r)} from one end only: it may be cut "
                f"short; {_TB2J_REMEDY}, or take it as it is.",
                stacklevel=caller(),
            )
        difference = np.max(np.abs(matrices[0] - matrices[-1]))
        if difference > 2 * _ROUNDING:
            warnings.warn(
                f"{file.path}: both ends of the pair {labels[i]} {labels[j]} at R = {tuple(r)} differ by "
                f"{difference / 2:.2g} meV, more than their digits; their mean is taken.",
                stacklevel=caller(),
            )
    magnetic = sorted({atom for i, j, *_ in found for atom in (i, j)})
    place = {atom: number for number, atom in enumerate(magnetic)}
    means = {(place[i], place[j], *r): np.mean(matrices, axis=0) for (i, j, *r), matrices in found.items()}
    names = tuple(labels[atom].rstrip("0123456789") for atom in magnetic)
    return _made(means, names, positions[magnetic], cell, moments[magnetic])


def _section(file: TextFile, title: str) -> int:
    """The line after a title."""
    for number, line in enumerate(file.lines):
        if line.strip() == title:
            return number + 1
    raise file.wrong(len(file.lines), f"the file ends here without {title!r}", _TB2J_REMEDY)


def _tb2j_atoms(file: TextFile) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Labels such as Fe1, positions in Angstrom, moments `(atoms, 3)` in mu_B, along z in a collinear file."""
    labels, rows = [], []
    first = _section(file, "Atoms:")
    for number, line in enumerate(file.lines[first:], first):
        words = line.split()
        if words and words[0] == "Total":
            break
        if not words or words[0].startswith(("(", "Atom")):
            continue
        if len(words) not in (6, 8):
            raise file.wrong(number, f"{line.strip()!r} is no atom", _TB2J_REMEDY)
        labels.append(words[0])
        values = _numbers(file, number, " ".join(words[1:]), len(words) - 1)
        rows.append([*values[:3], *((0.0, 0.0, values[4]) if len(words) == 6 else values[4:])])
    else:
        raise file.wrong(len(file.lines), "the file ends here, within the atoms", f"it is cut short: {_TB2J_REMEDY}")
    table = np.array(rows).reshape(-1, 6)
    return labels, table[:, :3], table[:, 3:]


def _tb2j_pairs(file: TextFile, labels: list[str], positions: np.ndarray, cell: np.ndarray) -> list[Row]:
    number_of = {label: number for number, label in enumerate(labels)}
    rows: list[Row] = []
    current: np.ndarray | None = None
    has_iso = True
    for number in range(_section(file, "Exchange:"), len(file.lines)):
        line = file.lines[number]
        if match := _PAIR.match(line):
            if not has_iso:
                raise file.wrong(number, "the pair before has no J_iso", _TB2J_REMEDY)
            one, other, *words, _ = match.groups()
            if one not in number_of or other not in number_of:
                raise file.wrong(number, f"{one} or {other} is not among the atoms {labels}", _TB2J_REMEDY)
            i, j, r = number_of[one], number_of[other], tuple(int(word) for word in words)
            _check_vector(file, number, r @ cell + positions[j] - positions[i])
            current, has_iso = np.zeros((3, 3)), False
            rows.append((i, j, r, current))
        elif current is not None and line.startswith("J_iso:"):
            current += _numbers(file, number, line.partition(":")[2], 1)[0] * np.eye(3)
            has_iso = True
        elif current is not None and re.match(r"(\[Testing!\]\s*)?DMI:", line):
            current += LEVI_CIVITA @ _numbers(file, number, line.partition(":")[2], 3)
        elif current is not None and re.match(r"(\[Testing!\]\s*)?J_ani:", line):
            text = " ".join(file.lines[number + 1 : number + 4])
            current += np.reshape(_numbers(file, number + 1, text, 9), (3, 3))
    if not rows or not has_iso:
        raise file.wrong(len(file.lines), "the file ends here, within the pairs", f"it is cut short: {_TB2J_REMEDY}")
    return rows


def _check_vector(file: TextFile, number: int, expected: np.ndarray) -> None:
    """The vector in the line must be that of R and the positions: else R counts from elsewhere."""
    if match := _VECTOR.search(file.lines[number]):
        vector = _numbers(file, number, match.group(1), 3)
        if np.max(np.abs(vector - expected)) > _LENGTH:
            raise file.wrong(
                number, f"the vector is {np.round(expected, 3).tolist()} by the cell and the atoms", _TB2J_REMEDY
            )


def _numbers(file: TextFile, number: int, text: str, count: int) -> np.ndarray:
    words = re.sub(r"[\[\](),]", " ", text).split()
    try:
        values = np.array(words, np.float64)
    except ValueError:
        values = np.zeros(0)
    if values.size != count or not np.isfinite(values).all():
        raise file.wrong(number, f"{text.strip()!r} is not {count} numbers", _TB2J_REMEDY)
    return values
