"""Figures of quenches of the triangular model, and the order they reach."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.quickstart_figures import large_quench
from experiments.stages.figures import PERFECT_CHIRALITY, draw_comparison, draw_maps, draw_parity, peak_shares
from jaxspin import plotting
from jaxspin.lattice import Lattice
from jaxspin.observables import scalar_chirality, structure_factor, vector_chirality
from jaxspin.training import SpinData

POINTS = {"tetrahedral": ("M", "M'", "M''"), "one_hundred_twenty": ("K", "K'")}


def measures(order: str, lattice: Lattice) -> dict[str, Callable[[jax.Array], jax.Array]]:
    """What is 1 in the perfect order, or +-1, as functions of the spins."""
    if order == "tetrahedral":
        return {
            "chirality": lambda s: jnp.mean(scalar_chirality(lattice, s)) / PERFECT_CHIRALITY,
            "absolute chirality": lambda s: jnp.mean(jnp.abs(scalar_chirality(lattice, s))) / PERFECT_CHIRALITY,
        }
    return {"vector chirality": lambda s: jnp.mean(vector_chirality(lattice, s))}


def draw(
    folder: Path,
    order: str,
    model: js.BehlerParrinello,
    unseen: SpinData,
    compared: dict[str, js.Trajectory],
    large: js.Trajectory,
) -> dict[str, Any]:
    """Write every figure into `folder`/figures and return what they show as numbers."""
    place = folder / "figures"
    place.mkdir(exist_ok=True)
    small, lattice = unseen.lattice, large.lattice
    assert lattice is not None
    moved = model.on(small)
    path = place / "exact_against_learnt.png"
    comparison = draw_comparison(path, moved, compared, measures(order, small), "order", (1, -1, 0))
    for name, run in compared.items():
        shares = peak_shares(small, structure_factor(small, run.final), POINTS[order], reach=0)
        comparison[f"{name} field: share of the structure factor at"] = shares
    draw_parity(place / "parity.png", moved, unseen)
    if order == "tetrahedral":
        reached = large_quench(place, model, large)
    else:
        reached = coplanar_quench(place, model, large)
    return {"comparison": comparison, "large quench": reached}


def coplanar_quench(place: Path, model: js.BehlerParrinello, run: js.Trajectory) -> dict[str, Any]:
    """Figures and numbers of a large quench into 120 degree order."""
    lattice = run.lattice
    assert lattice is not None
    local = jax.jit(lambda s: vector_chirality(lattice, s))
    draw_maps(place / "vector_chirality.png", run, local, "vector chirality", (0, 1), cmap="viridis")
    factor = structure_factor(lattice, run.final)
    plotting.save_figure(plotting.plot_structure_factor(lattice, factor), place / "structure_factor.png")
    side = min(18, lattice.cells[0])
    corner = plotting.plot_spins(lattice.resize(side, side), run.final[:side, :side], title="a corner of the lattice")
    plotting.save_figure(corner, place / "spins.png")
    energy = np.asarray(run.energy(model.on(lattice))) / lattice.sites
    order = np.asarray(run.map(lambda s: jnp.mean(local(s))))
    figure = plotting.new_figure(8.4, 2.9)
    left, right = figure.subplots(1, 2)
    plotting.plot_time_series(run.times, {"": energy}, "energy per site  ($t$)", ax=left)
    plotting.plot_time_series(run.times, {"": order}, "vector chirality", ax=right)
    plotting.save_figure(figure, place / "large_quench.png")
    return {
        "side": lattice.cells[0],
        "final energy per site": float(energy[-1]),
        "mean vector chirality": float(order[-1]),
        "fraction of triangles below half the perfect vector chirality": float(np.mean(local(run.final) < 0.5)),
        "share of the structure factor within 4 grid points of": peak_shares(
            lattice, factor, POINTS["one_hundred_twenty"]
        ),
    }
