"""The quickstart's figures and the numbers read off its trajectories."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages.figures import PERFECT_CHIRALITY, draw_comparison, draw_maps, draw_parity, peak_shares
from jaxspin import plotting
from jaxspin.observables import domain_length, scalar_chirality, structure_factor
from jaxspin.training import SpinData


def draw(
    folder: Path, learnt: js.training.Learnt, tested: SpinData, compared: dict[str, js.Trajectory], large: js.Trajectory
) -> dict[str, Any]:
    """Write every figure into `folder`/figures and return what they show as numbers."""
    place = folder / "figures"
    place.mkdir(exist_ok=True)
    lattice = compared["exact"].lattice
    assert lattice is not None
    measures = {
        "chirality": lambda spins: jnp.mean(scalar_chirality(lattice, spins)),
        "mean of the absolute chirality": lambda spins: jnp.mean(jnp.abs(scalar_chirality(lattice, spins))),
    }
    levels = (PERFECT_CHIRALITY, -PERFECT_CHIRALITY)
    model = learnt.model.on(lattice)
    path = place / "exact_against_learnt.png"
    numbers = {
        "large quench": large_quench(place, learnt.model, large),
        "comparison": draw_comparison(path, model, compared, measures, "scalar chirality", levels),
    }
    draw_parity(place / "parity.png", learnt.model, tested)
    plotting.save_figure(plotting.plot_training(learnt.history), place / "training.png")
    return numbers


def large_quench(place: Path, model: js.BehlerParrinello, run: js.Trajectory) -> dict[str, Any]:
    """Figures and numbers of a large quench into chirality domains."""
    lattice = run.lattice
    assert lattice is not None
    limits = (-PERFECT_CHIRALITY, PERFECT_CHIRALITY)
    draw_maps(place / "chirality.png", run, lambda s: scalar_chirality(lattice, s), "scalar chirality", limits)
    factor = structure_factor(lattice, run.final)
    plotting.save_figure(plotting.plot_structure_factor(lattice, factor), place / "structure_factor.png")
    corner = run.final[:16, :16]
    plotting.save_figure(
        plotting.plot_spins(js.triangular(*corner.shape[:2]), corner, title="a corner of the lattice"),
        place / "spins.png",
    )

    energy = np.asarray(run.energy(model.on(lattice))) / lattice.sites
    absolute = run.map(lambda spins: jnp.mean(jnp.abs(scalar_chirality(lattice, spins))))
    figure = plotting.new_figure(12.6, 2.9)
    left, middle, right = figure.subplots(1, 3)
    plotting.plot_time_series(run.times, {"": energy}, "energy per site  ($t$)", ax=left)
    series = {"mean": run.chirality(), "mean of the absolute value": absolute}
    plotting.plot_time_series(run.times, series, "scalar chirality", ax=middle)
    middle.axhline(PERFECT_CHIRALITY, color="0.6", lw=0.8)
    size = run.map(lambda spins: domain_length(lattice, scalar_chirality(lattice, spins)))
    plotting.plot_time_series(run.times[1:], {"": size[1:]}, "chiral domain length  ($a$)", ax=right)
    right.set(xscale="log", yscale="log")
    plotting.save_figure(figure, place / "large_quench.png")
    return {
        "side": lattice.cells[0],
        "final energy per site": float(energy[-1]),
        "mean of the absolute chirality over the perfect value": float(absolute[-1]) / PERFECT_CHIRALITY,
        "fraction of triangles with positive chirality": float(np.mean(scalar_chirality(lattice, run.final) > 0)),
        "share of the structure factor within 4 grid points of": peak_shares(lattice, factor, ("M", "M'", "M''")),
        "chiral domain length": float(size[-1]),
    }
