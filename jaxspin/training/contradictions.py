"""Whether energies and fields are of one convention: near frames of a run tell the sign and the unit of both."""

import warnings

import numpy as np

from jaxspin.devices.hosts import to_host
from jaxspin.training.dataset import SpinData
from jaxspin.warned import caller

# The most that a spin may turn between two frames, for dE = -B.dS to hold within a few per cent.
_NEAR = 0.3
# Of the slope, and of what the line leaves of dE.
_ALIKE = 0.05


def warn_of_contradictions(data: SpinData) -> None:
    """Warn where dE of near frames is -1 times, or 1/N times, what their fields say: -sum_i (B + B')_i/2 . (S' - S)_i.

    Both are what labels of other programs are off by: the sign of B, and energies per site. Nothing is said where fewer
    than three pairs of frames are near enough, or where no line through zero goes through all.
    """
    run, known = to_host(data.run), to_host(data.has_energy)
    pairs = np.flatnonzero((run[1:] == run[:-1]) & known[1:] & known[:-1])
    if len(pairs) < 3:
        return
    spins, field, energy = (to_host(x) for x in (data.spins, data.field, data.energy))
    expected, change = [], []
    for k in pairs:
        step = spins[k + 1].astype(float) - spins[k]
        if np.linalg.norm(step, axis=-1).max() < _NEAR:
            expected.append(-np.sum((field[k] + field[k + 1]) / 2 * step))
            change.append(float(energy[k + 1]) - float(energy[k]))
    said, found = np.array(expected), np.array(change)
    if len(said) < 3 or not said.any() or not found.any():
        return
    slope = said @ found / (said @ said)
    if np.linalg.norm(found - slope * said) > _ALIKE * np.linalg.norm(found):
        return
    sites = data.lattice.sites
    if abs(slope + 1) < _ALIKE:
        reason = "the sign of the fields is turned; give B = -dE/dS"
    elif sites > 3 and abs(slope * sites - 1) < _ALIKE:
        reason = f"the energies are those of a site; give {sites} times as much, of the whole lattice"
    else:
        return
    warnings.warn(
        f"energies change by {slope:.3g} times what the fields of {len(said)} pairs of near frames say: {reason}.",
        stacklevel=caller(),
    )
