"""H of a magnet by what turns with its spins: the parts that time reversal keeps and reverses, and those of a model.

In real orbitals time reversal is i sigma_y and the complex conjugate. Of H = H_0 + sum_c H_c sigma_c it keeps the real
part of H_0 and the imaginary parts of H_c, which are spin-orbit coupling, and reverses the real parts of H_c, which are
the splitting by the magnetization, and the imaginary part of H_0, currents that spin-orbit coupling leaves behind.
"""

from typing import NamedTuple

import numpy as np

# sigma_c
_PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])

# What is left out may be so large a share of what splits.
_SHARE = 0.3


class ModelParts(NamedTuple):
    """What a model of spins on the magnetic atoms is made of; see `WannierHamiltonian.model_parts`."""

    atoms: tuple[int, ...]
    owners: tuple[int | None, ...]
    offsets: np.ndarray
    hopping: np.ndarray
    exchange: np.ndarray
    split: np.ndarray
    left_out: float
    axis: np.ndarray
    across: float
    currents: float


class Separated(NamedTuple):
    """H = `even` + `along` sigma . `axis` + what is left out, whose largest elements are `across` and `currents`.

    `even` is `(n_R, n, n)`, with spin-orbit coupling `(n_R, 2 n, 2 n)`, up and down of an orbital side by side; `along`
    `(n_R, n, n)`. `across` is the splitting perpendicular to the axis, `currents` the imaginary part of H_0.
    """

    even: np.ndarray
    along: np.ndarray
    axis: np.ndarray
    across: float
    currents: float


def main_axis(vectors: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """The axis along which the splittings on the atoms, (x, y, z) of `(3, n, n)`, are largest together; z without any.

    It points along the spin of the majority: of all atoms together, or of the largest one where they cancel.
    """
    own = np.where(owners[:, None] == owners, vectors, 0)
    squares, axes = np.linalg.eigh(np.einsum("cab,dab->cd", own, own))
    if squares[-1] == 0:
        return np.array([0.0, 0.0, 1.0])
    axis = axes[:, -1]
    # the majority is lower where its spin is along the axis
    lower = -np.einsum("c,caa->a", axis, own)
    atoms = np.array([np.sum(lower[owners == atom]) for atom in np.unique(owners)])
    total, largest = np.sum(atoms), atoms[np.argmax(np.abs(atoms))]
    axis = axis * (-1.0 if (total if abs(total) > 0.1 * np.sum(np.abs(atoms)) else largest) < 0 else 1.0)
    return np.where(np.abs(axis) < 1e-12, 0.0, axis)


def separated(pauli: np.ndarray, axis: np.ndarray) -> Separated:
    """The parts of H_0, H_x, H_y, H_z `(4, n_R, n, n)` of a magnet with spin-orbit coupling and its spins along `axis`.

    Raises `ValueError` where what is left out is more than 0.3 of the splitting along the axis.
    """
    vectors, currents = np.real(pauli[1:]), np.imag(pauli[0])
    along = np.einsum("c,crab->rab", axis, vectors)
    across = vectors - axis[:, None, None, None] * along
    kept, lost = float(np.linalg.norm(along)), float(np.sqrt(np.sum(across**2) + np.sum(currents**2)))
    sizes = tuple(float(np.max(np.abs(part), initial=0.0)) for part in (across, currents))
    if lost > _SHARE * kept:
        raise ValueError(
            f"H does not separate into a part without magnetization and a splitting along {axis.round(3).tolist()}: up "
            f"to {sizes[0]:.2g} eV of splitting across it and {sizes[1]:.2g} eV of currents are {_share(lost, kept)}. "
            "Give the axis of the spins, axis=, and real functions as orbitals, as projections are (num_iter = 0). "
            "Where the splitting has no single axis, take its parts from pauli()."
        )
    n = pauli.shape[-1]
    even = np.einsum("rab,st->rasbt", np.real(pauli[0]), np.eye(2))
    even = even + 1j * np.einsum("crab,cst->rasbt", np.imag(pauli[1:]), _PAULI)
    return Separated(even.reshape(-1, 2 * n, 2 * n), along, axis, *sizes)


def _share(lost: float, kept: float) -> str:
    return f"{lost / kept:.2g} of what splits" if kept else "all that splits"


def model_parts(found: Separated, offsets: np.ndarray, owners: np.ndarray, atoms: tuple[int, ...]) -> ModelParts:
    """M on the magnetic `atoms`, D between them, and what no spin turns; see `WannierHamiltonian.model_parts`."""
    split = -found.along
    home = ~offsets.any(-1)
    owned = np.isin(owners, atoms)
    exchange = np.where((owners[:, None] == owners) & owned, split[home][0], 0)
    split[home] -= exchange
    nobody = ~owned[:, None] & ~owned
    left_out = float(np.max(np.abs(split), axis=0, where=nobody, initial=0.0).max())
    split = np.where(nobody, 0, split)
    sublattices = tuple(atoms.index(owner) if owner in atoms else None for owner in owners.tolist())
    rest = found.axis, found.across, found.currents
    return ModelParts(atoms, sublattices, offsets, found.even, exchange, split, left_out, *rest)
