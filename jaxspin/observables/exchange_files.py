"""Exchange that was computed, as the record that the writers for other programs take: meV, Angstrom, three axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxspin.io.exchange import ExchangePairs
from jaxspin.lattice import Lattice
from jaxspin.units import Units

# Angstrom, between the copies of a chain or a film along the axes that its lattice lacks.
_APART = 10.0


def written(
    lattice: Lattice,
    pairs: Sequence[tuple[int, int, tuple[int, ...], Any]],
    moments: np.ndarray,
    units: Units,
    names: Sequence[str] | None,
) -> ExchangePairs:
    """The `pairs` of `js.Exchange` and the moments `(sublattices, 3)`; see `ExchangeCouplings.for_files`."""
    n, dimension = lattice.sublattices, lattice.dimension
    if names is None:
        names = [lattice.name] if n == 1 else [f"{lattice.name}{site}" for site in range(1, n + 1)]
    if len(names) != n:
        raise ValueError(f"names = {tuple(names)} are not those of {n} sites; give one for each sublattice.")
    scale, length = units.to_energy(1.0, "meV"), units.to_length(1.0, "Angstrom")
    cell, positions = np.zeros((dimension, 3)), np.zeros((n, 3))
    cell[:, :dimension], positions[:, :dimension] = length * np.array(lattice.vectors), length * np.array(lattice.basis)
    return ExchangePairs(
        [pair[0] for pair in pairs],
        [pair[1] for pair in pairs],
        np.array([np.pad(pair[2], (0, 3 - dimension)) for pair in pairs]).reshape(-1, 3),
        np.array([scale * _matrix(pair[3]) for pair in pairs]).reshape(-1, 3, 3),
        names,
        positions,
        np.concatenate([cell, _APART * np.eye(3)[dimension:]]),
        moments,
    )


def _matrix(value: Any) -> np.ndarray:
    return np.asarray(value) if np.ndim(value) else float(value) * np.eye(3)
