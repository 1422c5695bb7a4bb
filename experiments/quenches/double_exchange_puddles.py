"""Puddles and correlations of spins in the double-exchange model."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.quenches.double_exchange_quench_figures import BINS
from experiments.stages.figures import growth_or_reason, peak_shares
from jaxspin.lattice import Lattice
from jaxspin.observables import nearest_neighbor_correlations, puddles, structure_factor


def puddles_of(lattice: Lattice, spins: jax.Array, threshold: float) -> dict[str, jax.Array]:
    """What `observables.puddles` finds, by the names of the summary."""
    found = puddles(lattice, spins, threshold)
    return {
        "number": found.regions,
        "fraction of sites": found.fraction,
        "mean size": found.mean_size,
        "mean size weighted by size": found.size_by_site,
    }


def correlation_histogram(lattice: Lattice, frames: jax.Array) -> np.ndarray:
    """P(S_i . S_j) over all nearest-neighbour bonds of the frames, a density on the bins `BINS`."""
    bonds = [np.asarray(nearest_neighbor_correlations(lattice, spins)).ravel() for spins in frames]
    return np.histogram(np.clip(np.concatenate(bonds), -1, 1), bins=BINS, density=True)[0]


def puddle_history(found: js.Trajectory, threshold: float, window: tuple[float, float]) -> dict[str, Any]:
    """Puddles of every frame, the growth of their mean size, and how the quench ends.

    Growth is fitted as size ~ t^a within the whole window and within the later half of its logarithm: an exponent
    that falls to zero is the arrest.
    """
    lattice = found.lattice
    assert lattice is not None
    history = {
        name: np.asarray(values, float)
        for name, values in found.map(lambda spins: puddles_of(lattice, spins, threshold)).items()
    }
    times, sizes = np.asarray(found.times, float), history["mean size weighted by size"]
    begin, end = window[0], min(window[1], times[-1])
    growth = {
        name: growth_or_reason(times, sizes, (first, end), offset=False)
        for name, first in (("whole window", begin), ("later half", float(np.sqrt(begin * end))))
    }
    factor = structure_factor(lattice, found.final)
    return {
        "times": times,
        "mean S.S": np.asarray(found.map(lambda spins: jnp.mean(nearest_neighbor_correlations(lattice, spins)))),
        "puddles": history,
        "growth of the mean size weighted by size": growth,
        "P(S.S) at the end": correlation_histogram(lattice, found.final[None]),
        "share of the structure factor at the end": peak_shares(lattice, factor, ("Gamma", "M")),
    }
