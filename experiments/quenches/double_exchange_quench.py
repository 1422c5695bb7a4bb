"""Quench of the lightly doped double-exchange model with a learnt field: metallic puddles in an antiferromagnet.

    python -m experiments.quenches.double_exchange_quench --forcefield FOLDER
    python -m experiments.quenches.double_exchange_quench --forcefield FOLDER --resume   # after a kill

The force field is one that `experiments.accuracy.fit` trained.

Square lattice, J = 6, n = 0.485. Holes gather in ferromagnetic puddles, where they move freely, and leave the rest to
Neel order; the puddles stop growing early. A site belongs to a puddle where the mean of S_i . S_j over its neighbours
exceeds a threshold. Source: P. Zhang and G.-W. Chern, Phys. Rev. Lett. 127, 146401 (2021),
10.1103/PhysRevLett.127.146401.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.quenches.double_exchange_quench_figures import BINS, draw_correlations, draw_puddles
from experiments.stages import (
    Dynamics,
    Electrons,
    Quench,
    Resumable,
    Timer,
    compare,
    main,
    open_folder,
    quench,
    spins_of,
    stored_forcefield,
)
from experiments.stages.checks import check_positive
from experiments.stages.figures import draw_comparison, draw_maps, growth_or_reason, peak_shares
from jaxspin.io import provenance, save_json
from jaxspin.lattice import Lattice
from jaxspin.observables import (
    correlation_of_holes,
    electron_density,
    nearest_neighbor_correlations,
    puddles,
    site_correlations,
    structure_factor,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    forcefield: Path
    """Folder of a force field of this model."""
    output: Path = Path("runs/double_exchange_quench")
    seed: int = 0
    """Of every random number."""
    electrons: Electrons = dataclasses.field(
        default_factory=lambda: Electrons("square", coupling=6.0, filling=0.485, temperature=0.0027)
    )
    """The model."""
    motion: Dynamics = dataclasses.field(default_factory=lambda: Dynamics(damping=0.1, step=0.5))
    """Of every run."""
    bath_temperatures: tuple[float, ...] = (0.0025, 0.01, 0.022)
    """Temperatures of the spins, one large quench each."""

    large: Quench = dataclasses.field(default_factory=lambda: Quench(side=128, duration=3000.0, frames=40))
    """Each large quench, its frames denser in the beginning; the side is even."""
    threshold: float = 0.5
    """Mean neighbour correlation above which a site belongs to a puddle."""
    window: tuple[float, float] = (30.0, 3000.0)
    """Times between which the growth of the puddles is fitted."""

    compare: Quench = dataclasses.field(default_factory=lambda: Quench(side=20, duration=100.0, frames=20))
    """With both fields at the lowest bath temperature, where an exact field takes seconds; side 0 leaves that out."""

    def __post_init__(self):
        if self.electrons.lattice != "square":
            raise ValueError(f"the quench is on the square lattice, got {self.electrons.lattice}; use square.")
        for name, side in {"large.side": self.large.side, "compare.side": self.compare.side}.items():
            if side % 2:
                raise ValueError(f"{name} = {side}: Neel order needs an even number; use {side + 1}.")
        check_positive(self.large, "side")
        if not -1 < self.threshold < 1:
            raise ValueError(f"threshold compares with S_i . S_j, got {self.threshold}; use 0.5.")
        if not self.bath_temperatures:
            raise ValueError("no bath temperature is given; use --bath-temperatures 0.0025.")
        for temperature in self.bath_temperatures:
            self.motion.at(temperature)


def run(config: Config) -> dict[str, Any]:
    """Comparison and large quenches; returns what `summary.json` holds."""
    model = stored_forcefield(config.forcefield, config.electrons)
    lattice = config.electrons.on(config.large.side)
    moved = model.on(lattice)
    if config.compare.side:
        model.on(config.electrons.on(config.compare.side))  # fails early
    folder = open_folder(config)
    timer, origin = Timer(folder), provenance(config, config.seed)
    summary: dict[str, Any] = {}
    if config.compare.side:
        with timer("comparison"):
            summary["comparison"] = beside_exact(config, model, folder)
    rows = []
    for number, temperature in enumerate(config.bath_temperatures):
        with timer(f"quench at {temperature:g}"):
            start_key, noise = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), number))
            found = quench(
                folder / f"quench_{temperature:g}.zarr",
                moved,
                js.random_spins(lattice, key=start_key),
                config.motion.at(temperature),
                duration=config.large.duration,
                frames=config.large.frames,
                spacing=2.0,
                key=noise,
            )
        rows.append({"bath temperature": temperature, **puddle_history(config, found)})
        draw_maps(
            folder / f"puddles_{temperature:g}.png",
            found,
            lambda s: site_correlations(lattice, s)[..., None],
            r"mean $\mathbf{S}_i\cdot\mathbf{S}_j$ over neighbours",
            (-1, 1),
        )
    draw_puddles(folder / "puddles.png", rows)
    summary |= {"quenches": rows, "wall time in seconds": timer.seconds, "provenance": origin}
    save_json(folder / "summary.json", summary)
    return summary


# --- what is measured -----------------------------------------------------------------------------------------------


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


def puddle_history(config: Config, found: js.Trajectory) -> dict[str, Any]:
    """Puddles of every frame, the growth of their mean size, and how the quench ends.

    Growth is fitted as size ~ t^a within the whole window and within the later half of its logarithm: an exponent
    that falls to zero is the arrest.
    """
    lattice = found.lattice
    assert lattice is not None
    history = {
        name: np.asarray(values, float)
        for name, values in found.map(lambda spins: puddles_of(lattice, spins, config.threshold)).items()
    }
    times, sizes = np.asarray(found.times, float), history["mean size weighted by size"]
    begin, end = config.window[0], min(config.window[1], times[-1])
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


def beside_exact(config: Config, model: js.BehlerParrinello, folder: Path) -> dict[str, Any]:
    """One quench with the exact and with the learnt field: correlations, structure factors, energies."""
    exact = config.electrons.exact(config.compare.side)
    lattice, motion = exact.lattice, config.motion.at(min(config.bath_temperatures))
    moved = model.on(lattice)
    compared = compare(
        folder,
        {"exact": exact, "learnt": moved},
        js.random_spins(lattice, key=jax.random.key(config.seed + 2)),
        motion,
        duration=config.compare.duration,
        frames=config.compare.frames,
        key=jax.random.key(config.seed + 3),
    )
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


if __name__ == "__main__":
    columns = ("bath temperature", "growth of the mean size weighted by size")
    main(Config, run, __doc__, lambda found, _: [{name: row[name] for name in columns} for row in found["quenches"]])
