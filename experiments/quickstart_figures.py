"""The quickstart's figures and the numbers read off its trajectories."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages import spins_of
from jaxspin import plotting
from jaxspin.observables import domain_length, high_symmetry_points, scalar_chirality, structure_factor
from jaxspin.training import SpinData, predict

# |S_i . (S_j x S_k)| of the perfect tetrahedral state.
PERFECT_CHIRALITY = 4 / (3 * 3**0.5)


def draw(
    folder: Path, learnt: js.Learnt, tested: SpinData, compared: dict[str, js.Trajectory], large: js.Trajectory
) -> dict[str, Any]:
    """Write every figure into `folder`/figures and return what they show as numbers."""
    place = folder / "figures"
    place.mkdir(exist_ok=True)
    numbers = {
        "large quench": _large_quench(place, learnt.model, large),
        "comparison": _comparison(place, learnt.model, compared),
    }
    _parity(place, learnt.model, tested)
    plotting.save_figure(plotting.plot_training(learnt.history), place / "training.png")
    return numbers


def _parity(place: Path, model: js.BehlerParrinello, tested: SpinData) -> None:
    _, field = predict(model, tested.spins)
    sources = np.array(tested.sources)
    kinds = ["all", *sorted(set(tested.sources))]
    figure = plotting.new_figure(3.7 * len(kinds), 3.3)
    for ax, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        rows = np.flatnonzero((sources == kind) | (kind == "all"))
        spins = tested.spins[rows]
        exact, predicted = js.tangent(spins, tested.field[rows]), js.tangent(spins, field[rows])
        plotting.plot_parity(exact, predicted, "tangential field", ax=ax)
        ax.set_title(f"held out: {kind}")
    plotting.save_figure(figure, place / "parity.png")


def _comparison(place: Path, model: js.BehlerParrinello, compared: dict[str, js.Trajectory]) -> dict[str, Any]:
    lattice = compared["exact"].lattice
    assert lattice is not None
    figure = plotting.new_figure(8.4, 2.9)
    left, right = figure.subplots(1, 2)

    def local(spins):
        return jnp.mean(jnp.abs(scalar_chirality(lattice, spins)))

    judge = model.on(lattice)
    energies, chiralities, times = {}, {}, compared["exact"].times
    numbers: dict[str, Any] = {"side": lattice.cells[0]}
    for name, run in compared.items():
        # both trajectories are measured with one and the same energy
        energies[f"{name} field"] = np.asarray(run.energy(judge)) / lattice.sites
        chiralities[f"mean, {name} field"] = run.chirality()
        chiralities[f"mean of the absolute value, {name} field"] = run.map(local)
        numbers[f"{name} field: final energy per site"] = float(energies[f"{name} field"][-1])
        numbers[f"{name} field: final chirality"] = float(run.final_chirality())
    overlap = jnp.mean(jnp.sum(spins_of(compared["exact"]) * spins_of(compared["learnt"]), axis=-1), axis=(1, 2, 3))
    numbers["time to which the trajectories overlap by 0.9"] = float(times[_first(np.asarray(overlap) < 0.9)])
    plotting.plot_time_series(times, energies, "energy per site  ($t$)", ax=left)
    plotting.plot_time_series(times, chiralities, "scalar chirality", ax=right)
    right.axhline(PERFECT_CHIRALITY, color="0.6", lw=0.8)
    right.axhline(-PERFECT_CHIRALITY, color="0.6", lw=0.8)
    plotting.save_figure(figure, place / "exact_against_learnt.png")
    return numbers


def _first(where: np.ndarray) -> int:
    return int(np.argmax(where)) if where.any() else len(where) - 1


def _large_quench(place: Path, model: js.BehlerParrinello, run: js.Trajectory) -> dict[str, Any]:
    lattice = run.lattice
    assert lattice is not None
    frames = spins_of(run)
    chirality = jax.jit(lambda spins: scalar_chirality(lattice, spins))

    shown = sorted({0, len(run) // 8, len(run) // 3, len(run) - 1})
    figure = plotting.new_figure(4.0 * len(shown), 3.4)
    for ax, frame in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        plotting.plot_map(
            lattice,
            chirality(frames[frame]),
            "scalar chirality",
            limits=(-PERFECT_CHIRALITY, PERFECT_CHIRALITY),
            title=f"$t = {float(run.times[frame]):.0f}$",
            ax=ax,
        )
    plotting.save_figure(figure, place / "chirality.png")

    factor = structure_factor(lattice, run.final)
    plotting.save_figure(plotting.plot_structure_factor(lattice, factor), place / "structure_factor.png")
    plotting.save_figure(
        plotting.plot_spins(js.triangular(16), run.final[:16, :16], title="a corner of the lattice"),
        place / "spins.png",
    )

    energy = np.asarray(run.energy(model.on(lattice))) / lattice.sites
    absolute = run.map(lambda spins: jnp.mean(jnp.abs(scalar_chirality(lattice, spins))))
    mean = run.chirality()
    figure = plotting.new_figure(12.6, 2.9)
    left, middle, right = figure.subplots(1, 3)
    plotting.plot_time_series(run.times, {"": energy}, "energy per site  ($t$)", ax=left)
    plotting.plot_time_series(
        run.times, {"mean": mean, "mean of the absolute value": absolute}, "scalar chirality", ax=middle
    )
    middle.axhline(PERFECT_CHIRALITY, color="0.6", lw=0.8)
    size = run.map(lambda spins: domain_length(lattice, scalar_chirality(lattice, spins)))
    plotting.plot_time_series(run.times[1:], {"": size[1:]}, "chiral domain length  ($a$)", ax=right)
    right.set(xscale="log", yscale="log")
    plotting.save_figure(figure, place / "large_quench.png")

    final = chirality(run.final)
    signs = np.asarray(final)
    points = high_symmetry_points(lattice)
    grid = np.asarray(factor)
    half = [n // 2 for n in lattice.cells]
    peaks = {"M": grid[half[0], 0], "M'": grid[0, half[1]], "M''": grid[half[0], half[1]]}
    around = {name: float(_weight(grid, index)) for name, index in zip(peaks, _M_INDICES(half), strict=True)}
    assert set(peaks) <= set(points)
    return {
        "side": lattice.cells[0],
        "final energy per site": float(energy[-1]),
        "mean of the absolute chirality over the perfect value": float(absolute[-1]) / PERFECT_CHIRALITY,
        "fraction of triangles with positive chirality": float(np.mean(signs > 0)),
        "share of the structure factor within 4 grid points of": around,
        "chiral domain length": float(size[-1]),
    }


def _M_INDICES(half: list[int]) -> list[tuple[int, int]]:
    return [(half[0], 0), (0, half[1]), (half[0], half[1])]


def _weight(grid: np.ndarray, center: tuple[int, int], reach: int = 4) -> float:
    """The share of sum_q S(q) in a small square around one of the grid's points."""
    rows = np.arange(center[0] - reach, center[0] + reach + 1) % grid.shape[0]
    columns = np.arange(center[1] - reach, center[1] + reach + 1) % grid.shape[1]
    return grid[np.ix_(np.unique(rows), np.unique(columns))].sum() / grid.sum()
