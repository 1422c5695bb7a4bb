"""Wannier90's files become one record: which are there, whether they agree, and which atom owns which orbital."""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from jaxspin.io.wannier import WannierHamiltonian, adjoint, partners
from jaxspin.io.wannier90_files import Matrices, Window, read_centres, read_hr, read_tb, read_window
from jaxspin.warned import caller

_ENDINGS = ("_hr.dat.gz", "_hr.dat", "_tb.dat.gz", "_tb.dat", "_centres.xyz", ".win")
# Two atoms as near to an orbital as that, in Angstrom, may both be its owner.
_UNCLEAR = 0.05

SpinorOrder = Literal["interleaved", "blocks"]


class _Places(NamedTuple):
    """Centres of the orbitals, and names and positions of the atoms, in Angstrom."""

    centres: np.ndarray | None
    names: tuple[str, ...]
    positions: np.ndarray


def read_wannier90(
    up: str | os.PathLike,
    down: str | os.PathLike | None = None,
    *,
    spinors: SpinorOrder = "interleaved",
    owners: Sequence[int] | None = None,
) -> WannierHamiltonian:
    """The Hamiltonian of a magnet from the files of Wannier90, named by their seeds: "Fe_up" for `Fe_up_hr.dat`.

    Two seeds are the spins of a collinear magnet, in one basis of orbitals. One seed alone is a magnet with spin-orbit
    coupling, `spinors = true` in its `.win`. Of each seed are read

    - `_hr.dat`, or `_tb.dat` where there is no `_hr.dat`: H(R), in eV, divided by the degeneracies. Either may end in
      `.gz`. Both spins must list the same R. H(R) and the adjoint of H(-R) are averaged; a warning tells where they
      differ by more than the digits of the file.
    - `.win` of either seed: the cell, the atoms, the path. A `_tb.dat` has the cell itself.
    - `_centres.xyz` of either seed, or the positions in `_tb.dat`: an orbital belongs to the atom nearest to its
      centre, and is counted in the cell of that atom. Without them all orbitals belong to the only atom of the cell, or
      to `owners`, the number from 0 of the atom of each orbital.

    `spinors` is the order of the 2n orbitals of one seed: "interleaved", up, down, up, down, .., as Wannier90 makes
    them from its projections since version 2 (Quantum ESPRESSO and most others), the default; or "blocks", all up
    before all down, of VASP's interface to version 1. Where the centres show that the other is meant an error says so.

    The bands are the plain Fourier sum. Wannier90 itself may move elements between equivalent R first
    (`use_ws_distance`, the file `_wsvec.dat`): its own figures then differ a little off the mesh of the file.

    Raises `FileNotFoundError` where a file is missing, and `ValueError`, with file, line and remedy, for files that are
    cut short, of another kind, or do not belong together, and where an orbital is as near to one atom as to another.

    Source: Mostofi et al., Comput. Phys. Commun. 185, 2309 (2014), doi:10.1016/j.cpc.2014.05.003.

    Example:
        >>> iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
        >>> iron.names, iron.orbitals, round(iron.fermi_level(8.0, temperature=0.05), 3)
        (('Fe',), 9, 12.651)
    """
    seeds = [_seed(given) for given in ((up,) if down is None else (up, down))]
    files = [_matrices(seed) for seed in seeds]
    window = _window(seeds)
    if down is None and not (window and window.spinors):
        raise ValueError(
            f"{seeds[0]} has one spin only; give the seeds of both, up and down, or write spinors = true into its .win "
            "if its orbitals are spinors."
        )
    if len({file.values.shape[1] for file in files}) > 1 or files[0].offsets.shape != files[-1].offsets.shape:
        shapes = " and ".join(f"{f.file.path}: {f.values.shape[1]} orbitals, {len(f.offsets)} R" for f in files)
        raise ValueError(f"the spins differ, {shapes}; make both from one mesh with the same projections.")
    different = np.flatnonzero((files[0].offsets != files[-1].offsets).any(-1))
    if different.size:
        place, (first, second) = int(different[0]), (files[0], files[-1])
        raise second.file.wrong(
            int(second.lines[place]),
            f"R = {second.offsets[place].tolist()}, but {first.offsets[place].tolist()} in {first.file.path}",
            "make both spins from one mesh and one cell",
        )
    values = [_hermitian(file) for file in files]
    n = values[0].shape[1]
    if window and window.orbitals is not None and window.orbitals != n:
        raise ValueError(
            f"{files[0].file.path} has {n} orbitals, but num_wann = {window.orbitals} in {window.file.path}; "
            "give files of one run."
        )
    cell = window.cell if window else files[0].cell
    if cell is None:
        raise FileNotFoundError(f"{seeds[0]}.win does not exist, and the cell is in no other file; put it there.")
    every = [places for seed, file in zip(seeds, files, strict=True) if (places := _places(seed, file, window))]
    every = [places for places in every if places.centres is not None] or every
    if down is None:
        values, every = _spinors(values[0], every, spinors, files[0])
    if not every:
        raise ValueError(f"{seeds[0]} has no atoms; write the block atoms_frac or atoms_cart into its .win.")
    owned = [_owners(places, cell, values[0].shape[1], owners, seeds[0]) for places in every]
    if any((one != owned[0][0]).any() for one, _ in owned):
        raise ValueError(f"orbitals of {seeds[0]} and {seeds[-1]} belong to different atoms; give owners=.")
    places, (own, moved) = every[0], owned[0]
    atoms = places.positions[own]
    centres = atoms if places.centres is None else places.centres - moved @ cell
    offsets, blocks = _in_home_cell(files[0].offsets, values, moved)
    mixing = blocks[2] if down is None else None
    path = window.path if window else ()
    return WannierHamiltonian(
        cell, offsets, blocks[0], blocks[1], places.names, places.positions, centres, own, mixing, path
    )


def _seed(given: str | os.PathLike) -> Path:
    path = Path(given)
    for ending in _ENDINGS:
        if path.name.endswith(ending):
            return path.with_name(path.name.removesuffix(ending))
    return path


def _beside(seed: Path, ending: str) -> Path:
    return seed.with_name(seed.name + ending)


def _matrices(seed: Path) -> Matrices:
    readers: list[tuple[str, Callable[[Path], Matrices]]] = [("_hr.dat", read_hr), ("_tb.dat", read_tb)]
    for ending, read in readers:
        for path in (_beside(seed, ending), _beside(seed, ending + ".gz")):
            if path.exists():
                return read(path)
    raise FileNotFoundError(
        f"neither {seed}_hr.dat nor {seed}_tb.dat exists, also not with .gz; run Wannier90 with write_hr = true."
    )


def _window(seeds: list[Path]) -> Window | None:
    found = [read_window(path) for seed in seeds if (path := _beside(seed, ".win")).exists()]
    if len(found) == 2 and not np.allclose(found[0].cell, found[1].cell, atol=1e-5):
        raise ValueError(
            f"{found[0].file.path} and {found[1].file.path} have different cells; make both spins from one cell."
        )
    return found[0] if found else None


def _hermitian(file: Matrices) -> np.ndarray:
    try:
        back = partners(file.offsets)
    except ValueError as error:
        raise ValueError(f"{file.file.path}: {error}") from None
    other = adjoint(file.values)[back]
    errors = np.max(np.abs(file.values - other), axis=(1, 2))
    if errors.max() > file.rounding:
        worst = int(np.argmax(errors))
        warnings.warn(
            f"{file.file.path}, line {file.lines[worst] + 1}: H(R) of R = {file.offsets[worst].tolist()} differs from "
            f"the adjoint of H(-R) by {errors.max():.1e} eV, more than its digits; their mean is taken.",
            stacklevel=caller(),
        )
    return (file.values + other) / 2


def _places(seed: Path, file: Matrices, window: Window | None) -> _Places | None:
    """What this seed and the .win say of centres and atoms; None if nothing at all."""
    path = _beside(seed, "_centres.xyz")
    centres, names, positions = file.centres, (), np.zeros((0, 3))
    if path.exists():
        centres, names, positions = read_centres(path)
        if len(centres) != file.values.shape[1]:
            raise ValueError(
                f"{path} has {len(centres)} centres, but {file.file.path} {file.values.shape[1]} orbitals; give files "
                "of one run."
            )
    if window and window.names:
        names, positions = window.names, window.positions
    return _Places(centres, names, positions) if names or centres is not None else None


def _spinors(
    values: np.ndarray, every: list[_Places], order: SpinorOrder, file: Matrices
) -> tuple[list[np.ndarray], list[_Places]]:
    """up, down and mixing of 2n orbitals, and the places of n."""
    n = values.shape[1]
    if order not in ("interleaved", "blocks"):
        raise ValueError(f"spinors = {order!r} is no order; give 'interleaved' or 'blocks'.")
    if n % 2:
        raise file.file.wrong(1, f"{n} orbitals are no pairs of up and down", "set spinors = false, or give both spins")
    orders = {"interleaved": (np.arange(0, n, 2), np.arange(1, n, 2)), "blocks": np.split(np.arange(n), 2)}
    one, other = orders[order]
    halved = []
    for places in every:
        centres = places.centres
        if centres is not None:
            apart = {name: np.max(np.linalg.norm(centres[a] - centres[b], axis=1)) for name, (a, b) in orders.items()}
            better = min(apart, key=lambda name: apart[name])
            if apart[order] > 0.5 and apart[better] < 0.2:
                raise ValueError(
                    f"the orbitals of {file.file.path} are {better}: in the order {order!r} the centres of up and down "
                    f"are {apart[order]:.2f} Angstrom apart; give spinors={better!r}."
                )
            centres = (centres[one] + centres[other]) / 2
        halved.append(places._replace(centres=centres))
    blocks = [values[:, rows[:, None], columns] for rows, columns in ((one, one), (other, other), (one, other))]
    return blocks, halved


def _owners(
    places: _Places, cell: np.ndarray, orbitals: int, owners: Sequence[int] | None, seed: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The atom of each orbital, and the cell `(orbitals, 3)` in which that atom is."""
    if not places.names:
        raise ValueError(f"{seed} has no atoms; write the block atoms_frac or atoms_cart into its .win.")
    if owners is not None and np.shape(owners) != (orbitals,):
        raise ValueError(f"owners has shape {np.shape(owners)}; give the atom of each of the {orbitals} orbitals.")
    if places.centres is None:
        if owners is None and len(places.names) > 1:
            raise ValueError(
                f"which of the {len(places.names)} atoms owns which orbital of {seed} is not known; run Wannier90 with "
                "write_xyz = true, which makes _centres.xyz, or give owners=."
            )
        own = np.zeros(orbitals, int) if owners is None else np.asarray(owners, int)
        return own, np.zeros((orbitals, 3), int)
    # from every atom to every centre, by the nearest of the copies around
    apart = places.centres[:, None] - places.positions
    cells = np.round(apart @ np.linalg.inv(cell)).astype(int)
    around = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
    tried = cells[:, :, None] + around
    lengths = np.linalg.norm(apart[:, :, None] - tried @ cell, axis=-1)
    nearest = np.argmin(lengths, axis=-1)
    distances = np.min(lengths, axis=-1)
    own = np.argmin(distances, axis=1) if owners is None else np.asarray(owners, int)
    if owners is None and len(places.names) > 1:
        two = np.sort(distances, axis=1)[:, :2]
        unclear = np.flatnonzero(two[:, 1] - two[:, 0] < _UNCLEAR)
        if unclear.size:
            raise ValueError(
                f"orbital {unclear[0] + 1} of {seed} is {two[unclear[0], 0]:.2f} Angstrom from two atoms; give "
                "owners=, the atom of each orbital from 0."
            )
    rows = np.arange(orbitals)
    return own, tried[rows, own, nearest[rows, own]]


def _in_home_cell(
    offsets: np.ndarray, values: list[np.ndarray], moved: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """H(R) of orbitals that are counted in the cell of their atom: H'_ab(R) = H_ab(R - T_b + T_a), T being `moved`."""
    if not moved.any():
        return offsets, values
    shifts = moved[None, :] - moved[:, None]  # T_b - T_a
    targets = offsets[:, None, None] + shifts
    found, where = np.unique(targets.reshape(-1, 3), axis=0, return_inverse=True)
    where = where.reshape(targets.shape[:-1])
    rows, columns = np.indices(shifts.shape[:2])
    results = []
    for value in values:
        result = np.zeros((len(found), *value.shape[1:]), complex)
        result[where, rows, columns] = value
        results.append(result)
    return found, results
