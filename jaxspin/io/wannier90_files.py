"""The files of Wannier90, one by one: `_hr.dat`, `_tb.dat`, `.win` and `_centres.xyz`.

Formats: Wannier90 user guide, "Files" (seedname_hr.dat, seedname_tb.dat, seedname_centres.xyz, seedname.win),
https://wannier90.readthedocs.io/en/latest/user_guide/wannier90/files/
"""

import dataclasses
from pathlib import Path

import numpy as np

from jaxspin.io.text_files import TextFile, real

# Numbers in _hr.dat have six decimals, those in _tb.dat nine digits: what two roundings may differ by, in eV.
_HR_ROUNDING = 2.1e-6
_TB_ROUNDING = 4e-8
_DEGENERACIES_A_LINE = 15

Step = tuple[str, tuple[float, float, float]]


@dataclasses.dataclass(frozen=True)
class Matrices:
    """H(R) of one file, `(n_R, n, n)` in eV, divided by the degeneracies; what the file says besides."""

    file: TextFile
    offsets: np.ndarray
    values: np.ndarray
    rounding: float
    lines: np.ndarray
    cell: np.ndarray | None = None
    centres: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Window:
    """What a `.win` file says of the crystal; lengths in Angstrom, Cartesian."""

    file: TextFile
    cell: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    orbitals: int | None
    spinors: bool
    path: tuple[tuple[Step, Step], ...]


def read_hr(path: Path) -> Matrices:
    """`_hr.dat`: a comment, the number of orbitals, of R, the degeneracies, then R1 R2 R3 a b Re Im, a fastest."""
    remedy = "give the _hr.dat that Wannier90 writes with write_hr = true"
    file = TextFile(path)
    n, number, first = _header(file, 1, remedy)
    weights, first = _degeneracies(file, first, number, remedy)
    rows = file.table(first, number * n * n, 7, remedy)
    _nothing_after(file, first + len(rows), remedy)
    _check_orbitals(file, first + np.arange(len(rows)), rows[:, 3:5], n, remedy)
    blocks = rows[:, :3].reshape(number, n * n, 3)
    moved = np.flatnonzero((blocks != blocks[:, :1]).any(-1))
    if moved.size:
        raise file.wrong(first + int(moved[0]), f"R changes within the {n * n} lines of one R", remedy)
    values = (rows[:, 5] + 1j * rows[:, 6]).reshape(number, n, n).swapaxes(1, 2)
    lines = first + n * n * np.arange(number)
    return Matrices(file, _integers(file, blocks[:, 0], lines, remedy), values / weights, _HR_ROUNDING, lines)


def read_tb(path: Path) -> Matrices:
    """`_tb.dat`: a comment, the cell in Angstrom, then as `_hr.dat`, in a paragraph for each R; after it positions."""
    remedy = "give the _tb.dat that Wannier90 writes with write_tb = true"
    file = TextFile(path)
    cell = file.table(1, 3, 3, remedy)
    n, number, first = _header(file, 4, remedy)
    weights, first = _degeneracies(file, first, number, remedy)
    offsets, values, lines, centres = [], [], [], None
    length = n * n + 2
    has_positions = any(line.strip() for line in file.lines[first + number * length :])
    parts = 2 * number if has_positions else number
    for part in range(parts):
        paragraph = first + part * length
        if paragraph < len(file.lines) and file.lines[paragraph].strip():
            raise file.wrong(paragraph, "this line is blank in a _tb.dat", remedy)
        offset = file.table(paragraph + 1, 1, 3, remedy)[0]
        columns = 4 if part < number else 8
        rows = file.table(paragraph + 2, n * n, columns, remedy)
        _check_orbitals(file, paragraph + 2 + np.arange(n * n), rows[:, :2], n, remedy)
        if part < number:
            offsets.append(offset)
            lines.append(paragraph + 1)
            values.append((rows[:, 2] + 1j * rows[:, 3]).reshape(n, n).T)
        elif not offset.any():
            # <0 n| r |0 n>, of the first orbital that runs fastest
            centres = rows[:: n + 1, 2::2]
    _nothing_after(file, first + parts * length, remedy)
    where = np.array(lines)
    integers = _integers(file, np.array(offsets), where, remedy)
    return Matrices(file, integers, np.array(values) / weights, _TB_ROUNDING, where, cell, centres)


def read_window(path: Path) -> Window:
    """`.win`: the blocks unit_cell_cart, atoms_frac or atoms_cart, kpoint_path, and num_wann and spinors."""
    file = TextFile(path)
    settings: dict[str, tuple[int, str]] = {}
    blocks: dict[str, list[tuple[int, list[str]]]] = {}
    block = None
    for number, text in enumerate(file.lines):
        words = text.split("!")[0].split("#")[0].replace("=", " ").replace(":", " ").lower().split()
        plain = text.split("!")[0].split("#")[0].split()
        if not words:
            continue
        if block is None and words[0] == "begin":
            block = " ".join(words[1:])
            blocks[block] = []
        elif block is not None and words[0] == "end":
            block = None
        elif block is not None:
            blocks[block].append((number, plain))
        else:
            settings[words[0]] = (number, " ".join(words[1:]))
    if block is not None:
        raise file.wrong(len(file.lines), f"the block {block} has no end", "the file is cut short: copy it again")
    if "unit_cell_cart" not in blocks:
        raise ValueError(f"{path} has no block unit_cell_cart; give the .win with which Wannier90 ran.")
    cell = np.array([_reals(file, row, words, 3) for row, words in _in_angstrom(file, blocks["unit_cell_cart"])])
    if cell.shape != (3, 3):
        raise ValueError(f"{path}: unit_cell_cart has {len(cell)} vectors; give three.")
    cell = cell * _unit(blocks["unit_cell_cart"])
    names, positions = _atoms(file, blocks, cell)
    orbitals = None
    if "num_wann" in settings:
        row, value = settings["num_wann"]
        if not value.isdecimal():
            raise file.wrong(row, f"num_wann = {value!r} is no number", "give the number of orbitals")
        orbitals = int(value)
    spinors = settings.get("spinors", (0, "false"))[1].strip(".") in ("true", "t")
    return Window(file, cell, names, positions, orbitals, spinors, _path(file, blocks.get("kpoint_path", [])))


def read_centres(path: Path) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """`_centres.xyz`: the centres of the orbitals `(n, 3)`, then names and positions of the atoms, in Angstrom."""
    remedy = "give the _centres.xyz that Wannier90 writes with write_xyz = true"
    file = TextFile(path)
    number = file.integer(0, "the number of lines", remedy)
    rows = [line.split() for line in file.lines[2 : 2 + number]]
    if len(rows) < number:
        raise file.wrong(len(file.lines), "the file ends here, before all centres", f"it is cut short: {remedy}")
    places = np.array([_reals(file, 2 + row, words[1:], 3) for row, words in enumerate(rows)])
    is_centre = np.array([words[0] == "X" for words in rows])
    names = tuple(words[0] for words in rows if words[0] != "X")
    return places[is_centre], names, places[~is_centre]


def _header(file: TextFile, line: int, remedy: str) -> tuple[int, int, int]:
    """Numbers of orbitals and of R, and the line after them."""
    n = file.integer(line, "the number of orbitals", remedy)
    return n, file.integer(line + 1, "the number of vectors R", remedy), line + 2


def _degeneracies(file: TextFile, first: int, number: int, remedy: str) -> tuple[np.ndarray, int]:
    rows = -(-number // _DEGENERACIES_A_LINE)
    words = [word for line in file.lines[first : first + rows] for word in line.split()]
    if len(words) != number or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise file.wrong(first, f"here and below are no {number} degeneracies, 15 a line", remedy)
    return np.array(words, np.float64)[:, None, None], first + rows


def _integers(file: TextFile, offsets: np.ndarray, lines: np.ndarray, remedy: str) -> np.ndarray:
    whole = np.round(offsets).astype(int)
    fractional = np.flatnonzero((whole != offsets).any(-1))
    if fractional.size:
        raise file.wrong(int(lines[fractional[0]]), "R is not three integers", remedy)
    return whole


def _check_orbitals(file: TextFile, lines: np.ndarray, given: np.ndarray, n: int, remedy: str) -> None:
    within = np.arange(len(given)) % (n * n)
    wrong = np.flatnonzero((given != np.stack([within % n + 1, within // n + 1], -1)).any(-1))
    if wrong.size:
        row = int(wrong[0])
        pair = f"{given[row, 0]:g} {given[row, 1]:g}"
        raise file.wrong(
            int(lines[row]), f"orbitals {pair} stand where {within[row] % n + 1} {within[row] // n + 1} belong", remedy
        )


def _nothing_after(file: TextFile, line: int, remedy: str) -> None:
    for number, text in enumerate(file.lines[line:]):
        if text.strip():
            raise file.wrong(line + number, f"{text.strip()[:30]!r} follows the last element", remedy)


def _reals(file: TextFile, line: int, words: list[str], number: int) -> list[float]:
    try:
        values = [real(word) for word in words[:number]]
    except ValueError:
        values = []
    if len(values) != number:
        raise file.wrong(line, f"{' '.join(words)!r} does not begin with {number} numbers", "give them")
    return values


def _unit(rows: list[tuple[int, list[str]]]) -> float:
    """In Angstrom, of the block's numbers: its first line may say "bohr"."""
    from scipy.constants import physical_constants

    is_bohr = rows and len(rows[0][1]) == 1 and rows[0][1][0].lower() == "bohr"
    return 1e10 * physical_constants["Bohr radius"][0] if is_bohr else 1.0


def _in_angstrom(file: TextFile, rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """The rows without the one that names the unit."""
    if rows and len(rows[0][1]) == 1:
        if rows[0][1][0].lower() not in ("bohr", "ang", "angstrom"):
            raise file.wrong(rows[0][0], f"{rows[0][1][0]!r} is no unit of length", "write bohr or ang")
        return rows[1:]
    return rows


def _atoms(file: TextFile, blocks: dict, cell: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    fractional = blocks.get("atoms_frac", [])
    cartesian = blocks.get("atoms_cart", [])
    rows = fractional or _in_angstrom(file, cartesian)
    places = np.array([_reals(file, row, words[1:], 3) for row, words in rows]).reshape(-1, 3)
    return tuple(words[0] for _, words in rows), places @ cell if fractional else places * _unit(cartesian)


def _path(file: TextFile, rows: list[tuple[int, list[str]]]) -> tuple[tuple[Step, Step], ...]:
    path = []
    for row, words in rows:
        if len(words) < 8:
            raise file.wrong(
                row, f"{' '.join(words)!r} is no piece of a path", "write a label and three numbers, twice"
            )
        ends = [(words[n], tuple(_reals(file, row, words[n + 1 : n + 4], 3))) for n in (0, 4)]
        path.append(tuple(ends))
    return tuple(path)
