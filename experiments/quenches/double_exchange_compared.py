"""What a quench of the double-exchange model with a learnt field shares with the exact one."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.quenches.double_exchange_puddles import correlation_histogram
from experiments.quenches.double_exchange_quench_figures import BINS, draw_correlations
from experiments.stages import spins_of
from experiments.stages.figures import draw_comparison, peak_shares
from jaxspin.observables import (
    correlation_of_holes,
    electron_density,
    nearest_neighbor_correlations,
    structure_factor,
)


def compared_numbers(
    folder: Path, exact: js.ExactDiagonalization, model: js.BehlerParrinello, compared: dict[str, js.Trajectory]
) -> dict[str, Any]:
    """Correlations, structure factors and energies of a quench with the field "exact" and with the "learnt" one."""
    lattice, moved = exact.lattice, model.on(exact.lattice)
    measures = {"mean S.S": lambda s: jnp.mean(nearest_neighbor_correlations(lattice, s))}
    path = folder / "exact_against_learnt.png"
    numbers = draw_comparison(path, moved, compared, measures, "mean neighbour correlation")
    histograms, factors = {}, {}
    for name, found in compared.items():
        last = spins_of(found)[-max(1, len(found) // 4) :]
        histograms[name] = correlation_histogram(lattice, last)
        factors[name] = jnp.mean(jnp.stack([structure_factor(lattice, spins) for spins in last]), axis=0)
        shares = peak_shares(lattice, factors[name], ("Gamma", "M"), 1)
        numbers[f"{name} field: share of the structure factor"] = shares
    draw_correlations(folder / "correlations.png", lattice, histograms, factors)
    holes = jax.jit(lambda s: correlation_of_holes(lattice, s, electron_density(exact, s)))
    for name, found in compared.items():
        for when, spins in (("at the start", spins_of(found)[0]), ("at the end", found.final)):
            numbers[f"{name} field: correlation of holes with spins {when}"] = float(holes(spins))
    width = BINS[1] - BINS[0]
    difference = np.abs(histograms["exact"] - histograms["learnt"]).sum() * width / 2
    numbers["P(S.S) over the last quarter"] = histograms
    numbers["total variation between the two"] = float(difference)
    return numbers
