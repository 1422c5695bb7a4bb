"""The Hamiltonian of a crystal in Wannier orbitals, `(n_R, n, n)` for each spin: NumPy, eV, Angstrom."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxspin.io.wannier_parts import ModelParts, Separated, main_axis, model_parts, separated
from jaxspin.lattice import Lattice

# k-points are worked through so many at a time: bounds the memory of their phases.
_CHUNK = 4096
_HERMITIAN = 1e-9

Step = tuple[str, Sequence[float | int]]


class BandPath(NamedTuple):
    """Bands along a path: k `(n_k, 3)`, `distances` `(n_k,)` in 1/Angstrom, `energies` `(channels, n_k, bands)` in eV.

    `ticks` are the distances of the points with the `labels`.

    Example:
        >>> iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
        >>> iron.bands_on_path(4).labels[:3]
        ('G', 'H', 'P')
    """

    k: np.ndarray
    distances: np.ndarray
    energies: np.ndarray
    ticks: tuple[float, ...]
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class WannierHamiltonian:
    """H(k) = sum_R exp(2 pi i k . R) H(R), k in reduced coordinates, H_ab(R) = <a in cell 0| H |b in cell R> in eV.

    - `cell`: the lattice vectors as rows, `(3, 3)`, in Angstrom.
    - `offsets`: R in lattice vectors, integers `(n_R, 3)`; every R with its -R.
    - `up`, `down`: H(R) of either spin, `(n_R, n, n)`, divided by the degeneracies.
    - `mixing`: <up| H(R) |down>, `(n_R, n, n)`, with spin-orbit coupling; None for a collinear magnet.
    - `names`, `positions`: the atoms of the cell, `(atoms, 3)` in Angstrom.
    - `centres`, `owners`: of each orbital its centre, `(n, 3)` in Angstrom, and the number of its atom, `(n,)`.
    - `path`: pieces of a path in k, each two of (label, k).

    `read_wannier90` makes it. The spin is a label here: "up" is that of the first file, whichever spin it has.

    Raises `ValueError` for shapes that do not fit, for an R without its -R, without R = 0, and where H(-R) differs from
    the adjoint of H(R) by more than 1e-9 eV.

    Example:
        >>> iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
        >>> iron.up.shape, iron.bands(np.zeros(3)).shape, iron.onsite_splitting(0).round(2)[[0, -1]].tolist()
        ((597, 9, 9), (2, 9), [-2.68, -0.46])
    """

    cell: np.ndarray
    offsets: np.ndarray
    up: np.ndarray
    down: np.ndarray
    names: tuple[str, ...]
    positions: np.ndarray
    centres: np.ndarray
    owners: np.ndarray
    mixing: np.ndarray | None = None
    path: tuple[tuple[Step, Step], ...] = ()
    unit: str = "eV"

    def __post_init__(self) -> None:
        shape = (len(self.offsets), self.orbitals, self.orbitals)
        blocks = (self.up, self.down) if self.mixing is None else (self.up, self.down, self.mixing)
        if any(block.shape != shape for block in blocks):
            raise ValueError(f"up, down and mixing are {[b.shape for b in blocks]}; give {shape} each, one H(R) an R.")
        if not all(0 <= owner < len(self.names) for owner in self.owners):
            raise ValueError(f"owners {self.owners.tolist()} are no atoms of {len(self.names)}; count from 0.")
        back = partners(self.offsets)
        if self.offsets.any(-1).all():
            raise ValueError("the cell itself, R = 0, is not in the list; give its levels too.")
        for name, block in (("up", self.up), ("down", self.down)):
            error = np.max(np.abs(block - adjoint(block)[back]), initial=0.0)
            if error > _HERMITIAN:
                raise ValueError(f"H(-R) of {name} differs from H(R)+ by {error:.1e} eV; give their mean.")

    def __repr__(self) -> str:
        kind = "up and down" if self.is_collinear else "spinors"
        sizes = f"{self.orbitals} orbitals a cell, {len(self.offsets)} vectors R"
        return f"WannierHamiltonian({' '.join(self.names)}: {sizes}, {kind}, {self.unit})"

    @property
    def orbitals(self) -> int:
        """Orbitals of a cell, each with two spins."""
        return len(self.owners)

    @property
    def is_collinear(self) -> bool:
        return self.mixing is None

    def matrix(self, k: np.ndarray) -> np.ndarray:
        """H(k), `(2, *k, n, n)` for up and down, with spin-orbit coupling `(1, *k, 2 n, 2 n)`, all up before all down.

        `k` is `(*k, 3)` in reduced coordinates.
        """
        k = np.asarray(k, np.float64)
        flat = k.reshape(-1, 3)
        blocks = [self.up, self.down] if self.mixing is None else [self.up, self.down, self.mixing]
        table = np.stack(blocks, 1).reshape(len(self.offsets), -1)
        parts = [flat[n : n + _CHUNK] for n in range(0, len(flat), _CHUNK)]
        summed = [np.exp(2j * np.pi * part @ self.offsets.T) @ table for part in parts]
        n = self.orbitals
        found = np.concatenate(summed).reshape(*k.shape[:-1], len(blocks), n, n)
        found = np.moveaxis(found, -3, 0)
        if self.mixing is None:
            return found
        up, down, mixing = found
        return np.block([[up, mixing], [adjoint(mixing), down]])[None]

    def bands(self, k: np.ndarray) -> np.ndarray:
        """Energies in eV, ascending: `(2, *k, n)` for up and down, `(1, *k, 2 n)` with spin-orbit coupling."""
        return np.linalg.eigvalsh(self.matrix(k))

    def bands_on_path(self, points: int = 60, path: Sequence[tuple[Step, Step]] | None = None) -> BandPath:
        """The bands along `path`, or the `kpoint_path` of the .win file, with `points` k-points on its longest piece.

        Raises `ValueError` without a path.
        """
        pieces = self.path if path is None else tuple(path)
        if not pieces:
            raise ValueError("there is no path; give path=[((label, k), (label, k)), ..] in reduced coordinates.")
        reciprocal = 2 * np.pi * np.linalg.inv(self.cell).T
        ends = np.array([[start[1], end[1]] for start, end in pieces], np.float64)
        lengths = np.linalg.norm((ends[:, 1] - ends[:, 0]) @ reciprocal, axis=-1)
        k, distances, ticks, labels = [], [], [0.0], [pieces[0][0][0]]
        for number, ((start, _), (end, _)) in enumerate(pieces):
            if number and labels[-1] != start:
                labels[-1] = f"{labels[-1]}|{start}"
            share = np.linspace(0, 1, max(2, round(points * lengths[number] / lengths.max())))
            k.append(ends[number, 0] + share[:, None] * (ends[number, 1] - ends[number, 0]))
            distances.append(ticks[-1] + share * lengths[number])
            ticks.append(ticks[-1] + float(lengths[number]))
            labels.append(end)
        k = np.concatenate(k)
        return BandPath(k, np.concatenate(distances), self.bands(k), tuple(ticks), tuple(labels))

    def fermi_level(self, electrons: float | int, temperature: float | int, mesh: int = 8) -> float:
        """mu in eV at which the levels of a `mesh`^3 mesh from Gamma hold so many electrons a cell, both spins counted.

        `temperature` is k_B T in eV. Raises `ValueError` for a number of electrons that no level of these bands gives.
        """
        if not 0 < electrons < 2 * self.orbitals:
            raise ValueError(f"electrons = {electrons} do not fit; give a number between 0 and {2 * self.orbitals}.")
        if not temperature > 0:
            raise ValueError(f"temperature = {temperature} is not positive; give k_B T in eV, such as 0.05.")
        levels = self.bands(k_mesh(mesh)).ravel()
        low, high = levels.min() - 50 * temperature, levels.max() + 50 * temperature
        while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
            middle = (low + high) / 2
            held = np.sum(0.5 - 0.5 * np.tanh((levels - middle) / (2 * temperature))) / mesh**3
            low, high = (middle, high) if held < electrons else (low, middle)
        return float(low + high) / 2

    def magnetic_axis(self) -> np.ndarray:
        """The axis of the spins, `(3,)`: that along which the splittings on the atoms are largest; z without mixing.

        It points along the majority spin of all atoms together, or of the atom that splits most where they cancel.
        """
        if self.mixing is None:
            return np.array([0.0, 0.0, 1.0])
        return main_axis(np.real(self.pauli()[1:, self._home]), self.owners)

    def onsite_splitting(self, atom: int) -> np.ndarray:
        """Eigenvalues in eV of (up - down) on the orbitals of an atom in one cell, ascending; along `magnetic_axis`."""
        own = np.flatnonzero(self.owners == atom)
        if self.mixing is None:
            change = (self.up - self.down)[self._home]
        else:
            change = 2 * np.einsum("c,cab->ab", self.magnetic_axis(), np.real(self.pauli()[1:, self._home]))
        return np.linalg.eigvalsh(change[np.ix_(own, own)]) if own.size else np.zeros(0)

    @property
    def _home(self) -> int:
        return int(np.flatnonzero(~self.offsets.any(-1))[0])

    def magnetic_atoms(self, threshold: float | int = 0.1) -> tuple[int, ...]:
        """The atoms of which some level splits by more than `threshold` eV."""
        largest = [np.max(np.abs(self.onsite_splitting(atom)), initial=0.0) for atom in range(len(self.names))]
        return tuple(atom for atom, value in enumerate(largest) if value > threshold)

    def pauli(self) -> np.ndarray:
        """H_0, H_x, H_y, H_z `(4, n_R, n, n)` with H(R) = H_0 + sum_c H_c sigma_c, each hermitian as H(R) is."""
        half = (self.up + self.down) / 2, (self.up - self.down) / 2
        if self.mixing is None:
            return np.stack([half[0], np.zeros_like(self.up), np.zeros_like(self.up), half[1]])
        other = adjoint(self.mixing)[partners(self.offsets)]  # <down| H(R) |up>
        return np.stack([half[0], (self.mixing + other) / 2, (self.mixing - other) * 0.5j, half[1]])

    def model_parts(
        self, magnetic: Sequence[int] | None = None, *, axis: Sequence[float | int] | np.ndarray | None = None
    ) -> ModelParts:
        """The parts of H = H_0 - sum_i S_i . sigma (x) M_i - sum_R (S_i + S_j)/2 . sigma (x) D(R), i and j the owners.

        `atoms` are the magnetic ones, `magnetic` or `magnetic_atoms()`, the sublattices of `lattice(..)`; `owners` has
        the sublattice of each orbital, None for those of other atoms. `hopping` `(n_R, n, n)` is H_0 = (up + down)/2.
        Of -(up - down)/2, `exchange` `(n, n)` is M, the blocks on one magnetic atom in one cell, and `split`
        `(n_R, n, n)` is D, the rest of what touches a magnetic atom. Where only one end has an owner, its spin turns D.
        Between two orbitals without owner no spin turns anything: that is left out, its largest element `left_out` in
        eV. With `left_out` = 0 both collinear states come back exactly: `up` for spins along z, `down` along -z.

        With spin-orbit coupling `hopping` is `(n_R, 2 n, 2 n)`: what time reversal keeps, with the coupling in it. M
        and D are the real part of sum_c e_c H_c of `pauli`, e being `axis`, `magnetic_axis()` unless given: spins along
        it have the levels of the file but for what is left out, the splitting perpendicular to the axis and the
        imaginary part of H_0, whose largest elements in eV are `across` and `currents`.

        Raises `ValueError` for atoms that are none of the cell, where no atom is magnetic, for an `axis` that is no
        vector or not asked for, and where what is left out with spin-orbit coupling is more than 0.3 of the splitting.
        """
        atoms = self.magnetic_atoms() if magnetic is None else tuple(int(atom) for atom in magnetic)
        if not atoms or not set(atoms) <= set(range(len(self.names))):
            raise ValueError(
                f"magnetic atoms {atoms} are not among 0 to {len(self.names) - 1}; name some by magnetic=."
            )
        return model_parts(self._separated(axis), self.offsets, self.owners, atoms)

    def _separated(self, axis: Sequence[float | int] | np.ndarray | None) -> Separated:
        if self.mixing is None:
            if axis is not None:
                raise ValueError("without spin-orbit coupling all axes are alike; leave out axis=.")
            return Separated((self.up + self.down) / 2, (self.up - self.down) / 2, self.magnetic_axis(), 0.0, 0.0)
        given = self.magnetic_axis() if axis is None else np.asarray(axis, np.float64)
        length = np.linalg.norm(given)
        if given.shape != (3,) or not (0 < length < np.inf):
            raise ValueError(f"axis = {axis} is no direction; give three numbers, such as (0, 0, 1).")
        return separated(self.pauli(), given / length)

    def lattice(self, cells: int | np.integer | Sequence[int], magnetic: Sequence[int] | None = None) -> Lattice:
        """The magnetic atoms as a `Lattice`, in Angstrom, periodic; `cells` is one number or three.

        Raises `ValueError` where no atom is magnetic.
        """
        atoms = list(self.magnetic_atoms() if magnetic is None else magnetic)
        if not atoms:
            raise ValueError("no atom is magnetic; name some by magnetic=.")
        name = "".join(dict.fromkeys(self.names[atom] for atom in atoms))
        sizes = (cells,) * 3 if isinstance(cells, int | np.integer) else tuple(cells)
        return Lattice(name, self.cell, self.positions[atoms], sizes, (True,) * 3)

    def truncated(
        self,
        *,
        distance: float | int | None = None,
        size: float | int | None = None,
        mesh: int = 6,
        window: tuple[float | int, float | int] = (-np.inf, np.inf),
    ) -> tuple["WannierHamiltonian", float]:
        """Without elements between centres farther apart than `distance` Angstrom, or below `size` eV in either spin.

        Also the largest error in eV of the levels that lie in the `window` of energies, on a `mesh`^3 mesh. An R with
        nothing left is dropped, R = 0 never.

        Raises `ValueError` without either of the two, and where no level lies in the window.
        """
        if distance is None and size is None:
            raise ValueError("nothing says what to drop; give distance= in Angstrom or size= in eV.")
        blocks = [self.up, self.down, *([] if self.mixing is None else [self.mixing])]
        largest = np.max(np.abs(blocks), axis=0)
        if self.mixing is not None:  # both directions of a pair stay or go together
            largest = np.maximum(largest, adjoint(largest)[partners(self.offsets)])
        vectors = self.centres + (self.offsets @ self.cell)[:, None, None] - self.centres[:, None]
        kept = np.ones(self.up.shape, bool)
        if distance is not None:
            kept &= np.linalg.norm(vectors, axis=-1) <= distance + 1e-9
        if size is not None:
            kept &= largest >= size
        stays = kept.any((1, 2)) | ~self.offsets.any(-1)
        smaller = [np.where(kept, block, 0)[stays] for block in blocks]
        mixing = None if self.mixing is None else smaller[2]
        found = dataclasses.replace(self, offsets=self.offsets[stays], up=smaller[0], down=smaller[1], mixing=mixing)
        levels = self.bands(k_mesh(mesh))
        within = (levels >= window[0]) & (levels <= window[1])
        if not within.any():
            raise ValueError(
                f"no level lies in the window {window} eV; they reach from {levels.min():.3g} to {levels.max():.3g}."
            )
        return found, float(np.max(np.abs(found.bands(k_mesh(mesh)) - levels)[within]))


def k_mesh(mesh: int) -> np.ndarray:
    """`(mesh^3, 3)`, from Gamma, in reduced coordinates."""
    return np.stack(np.meshgrid(*[np.arange(mesh) / mesh] * 3, indexing="ij"), -1).reshape(-1, 3)


def adjoint(matrices: np.ndarray) -> np.ndarray:
    """Of the last two axes."""
    return matrices.conj().swapaxes(-1, -2)


def partners(offsets: np.ndarray) -> np.ndarray:
    """The place of -R for each R; `ValueError` where it is missing or twice there."""
    places = {tuple(offset): place for place, offset in enumerate(offsets.tolist())}
    if len(places) < len(offsets):
        raise ValueError("some R is listed twice; give each once.")
    missing = [offset for offset in places if tuple(-n for n in offset) not in places]
    if missing:
        raise ValueError(f"R = {missing[0]} is listed without -R; give every R with its -R.")
    return np.array([places[tuple(-n for n in offset)] for offset in offsets.tolist()])
