"""Figures that several experiments draw, and the numbers they show."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages.motion import spins_of
from jaxspin import plotting
from jaxspin.lattice import Lattice
from jaxspin.observables import Growth, fit_growth, high_symmetry_points
from jaxspin.training import SpinData, predict

# |S_i . (S_j x S_k)| of the perfect tetrahedral state.
PERFECT_CHIRALITY = 4 / (3 * 3**0.5)


def draw_parity(path: Path, model: js.AbstractPotential, tested: SpinData) -> None:
    """Learnt against exact tangential field, together and by kind."""
    _, field = predict(model, tested.spins)
    sources = np.array(tested.sources)
    kinds = ["all", *sorted(set(tested.sources))]
    figure = plotting.new_figure(3.7 * len(kinds), 3.3)
    for ax, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        rows = np.flatnonzero((sources == kind) | (kind == "all"))
        spins = tested.spins[rows]
        exact, predicted = js.spins.tangent(spins, tested.field[rows]), js.spins.tangent(spins, field[rows])
        plotting.plot_parity(exact, predicted, "tangential field", ax=ax)
        ax.set_title(f"held out: {kind}")
    plotting.save_figure(figure, path)


def draw_comparison(
    path: Path,
    model: js.AbstractPotential,
    compared: Mapping[str, js.Trajectory],
    measures: Mapping[str, Callable[[jax.Array], jax.Array]],
    label: str,
    levels: Sequence[float] = (),
) -> dict[str, Any]:
    """Energy and order of the quenches "exact" and "learnt" against time, and how long they stay together.

    Both are measured with one energy, that of `model` on their lattice. `measures` map spins to one number, `levels`
    are drawn as lines.
    """
    lattice, times = compared["exact"].lattice, compared["exact"].times
    assert lattice is not None
    figure = plotting.new_figure(8.4, 2.9)
    left, right = figure.subplots(1, 2)
    energies, curves = {}, {}
    numbers: dict[str, Any] = {"side": lattice.cells[0]}
    for name, run in compared.items():
        energies[f"{name} field"] = np.asarray(run.energy(model)) / lattice.sites
        numbers[f"{name} field: final energy per site"] = float(energies[f"{name} field"][-1])
        for measure, function in measures.items():
            curves[f"{measure}, {name} field"] = run.map(function)
            numbers[f"{name} field: final {measure}"] = float(curves[f"{measure}, {name} field"][-1])
    together = jnp.mean(jnp.sum(spins_of(compared["exact"]) * spins_of(compared["learnt"]), axis=-1), axis=(1, 2, 3))
    apart = np.asarray(together) < 0.9
    first = int(np.argmax(apart)) if apart.any() else len(apart) - 1
    numbers["time to which the trajectories overlap by 0.9"] = float(times[first])
    plotting.plot_time_series(times, energies, "energy per site  ($t$)", ax=left)
    plotting.plot_time_series(times, curves, label, ax=right)
    for level in levels:
        right.axhline(level, color="0.6", lw=0.8)
    plotting.save_figure(figure, path)
    return numbers


def draw_maps(
    path: Path,
    run: js.Trajectory,
    values: Callable[[jax.Array], jax.Array],
    label: str,
    limits: tuple[float, float],
    *,
    cmap: str = "RdBu_r",
    frames: Sequence[int] | None = None,
) -> None:
    """What `values` gives for some of the frames, in the true geometry."""
    assert run.lattice is not None
    shown = sorted({0, len(run) // 8, len(run) // 3, len(run) - 1}) if frames is None else frames
    figure = plotting.new_figure(4.0 * len(shown), 3.4)
    for ax, frame in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        title = f"$t = {float(run.times[frame]):.0f}$"
        found = jax.jit(values)(spins_of(run)[frame])
        plotting.plot_map(run.lattice, found, label, limits=limits, cmap=cmap, title=title, ax=ax)
    plotting.save_figure(figure, path)


def growth_or_reason(
    times: np.ndarray, lengths: np.ndarray, window: tuple[float, float], *, offset: bool
) -> Growth | str:
    """What `fit_growth` finds, or why it finds nothing."""
    try:
        return fit_growth(times, lengths, window, offset=offset)
    except ValueError as error:
        return str(error)


def peak_shares(lattice: Lattice, factor: jax.Array, points: Sequence[str], reach: int = 4) -> dict[str, float]:
    """The share of sum_q S(q) within `reach` grid points of the named points of the zone.

    A perfect order has it all there; with domains of size L a peak is some 1/L wide.
    """
    grid, named = np.asarray(factor), high_symmetry_points(lattice)
    found = {}
    for point in points:
        turns = np.array(lattice.vectors) @ named[point] / (2 * np.pi)
        center = np.rint(turns * np.array(lattice.cells)).astype(int)
        rows, columns = (
            np.unique(np.arange(c - reach, c + reach + 1) % n) for c, n in zip(center, grid.shape, strict=True)
        )
        found[point] = float(grid[np.ix_(rows, columns)].sum() / grid.sum())
    return found
