"""How chirality domains of the tetrahedral order grow after a quench, L(t) - L0 ~ t^a, with a learnt field.

    python -m experiments.quenches.coarsening --forcefield FOLDER            # 256 x 256, several seeds, hours
    python -m experiments.quenches.coarsening --forcefield FOLDER --resume   # goes on where a killed run stopped

Domains of a scalar order that is not conserved are expected to grow as t^(1/2) (Allen and Cahn); the published quench
of this model grows linearly instead: Y. Fan, S. Zhang and G.-W. Chern, Phys. Rev. B 110, 245105 (2024),
10.1103/PhysRevB.110.245105. Lengths are measured twice: between the domain walls, and by the first moment of the
chirality's structure factor.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxspin as js
from experiments.quenches.coarsening_figures import draw
from experiments.stages import (
    Electrons,
    Motion,
    Quench,
    Resumable,
    Timer,
    main,
    open_folder,
    quench,
    stored_forcefield,
)
from experiments.stages.figures import PERFECT_CHIRALITY, draw_maps, growth_or_reason
from jaxspin.io import provenance, save_json
from jaxspin.lattice import Lattice
from jaxspin.observables import Growth, domain_length, moment_length, scalar_chirality


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Resumable):
    """Settings. Times in hbar/t, lengths in lattice constants."""

    forcefield: Path
    """Folder of a force field of the tetrahedral model."""
    output: Path = Path("runs/coarsening")
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    """Of the start and the noise, one quench each."""
    large: Quench = dataclasses.field(default_factory=lambda: Quench(side=256, duration=2000.0, frames=40))
    """Each quench, frame k of n at the fraction (k/n)^3; the side is even."""
    window: tuple[float, float] = (200.0, 2000.0)
    """Times between which the exponents are fitted, after the walls have formed; frames after which a length exceeds
    a quarter of the side are left out."""
    electrons: Electrons = dataclasses.field(default_factory=Electrons)
    """What the force field must have learnt."""
    motion: Motion = dataclasses.field(default_factory=Motion)
    """Of every quench."""

    def __post_init__(self):
        if self.large.side % 2 or self.large.side < 8:
            raise ValueError(
                f"large.side = {self.large.side}: the tetrahedral order needs an even number of cells; use 256."
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} must be different, and one at least; use 0 1 2 3.")
        if not 0 < self.window[0] < self.window[1]:
            raise ValueError(f"the window {self.window} must rise from a positive time; use 200 2000.")


def run(config: Config) -> dict[str, Any]:
    """Quenches, lengths and exponents; returns what `summary.json` holds."""
    model = stored_forcefield(config.forcefield, config.electrons)
    lattice = config.electrons.on(config.large.side)
    moved = model.on(lattice)
    folder = open_folder(config)
    timer, origin = Timer(folder), provenance(config)
    rows, times = [], np.zeros(0)
    for seed in config.seeds:
        with timer(f"quench {seed}"):
            start_key, noise = jax.random.split(jax.random.key(seed))
            found = quench(
                folder / f"quench_{seed}.zarr",
                moved,
                js.random_spins(lattice, key=start_key),
                config.motion,
                duration=config.large.duration,
                frames=config.large.frames,
                spacing=3.0,
                key=noise,
            )
        rows.append(measure(lattice, found))
        times = np.asarray(found.times, float)
        if seed == config.seeds[0]:
            limits = (-PERFECT_CHIRALITY, PERFECT_CHIRALITY)
            draw_maps(
                folder / "chirality.png",
                found,
                lambda s: scalar_chirality(lattice, s),
                "scalar chirality",
                limits,
                frames=sorted({round((len(found) - 1) * share ** (1 / 3)) for share in SHOWN}),
            )
    measured = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    lengths = {name: values for name, values in measured.items() if name in LENGTHS}
    grown = {name: exponents(config, times, values) for name, values in lengths.items()}
    draw(folder / "coarsening.png", times, lengths, grown)
    summary = {
        "side": config.large.side,
        "seeds": config.seeds,
        "times": times,
        **measured,
        "growth": grown,
        "wall time in seconds": timer.seconds,
        "provenance": origin,
    }
    save_json(folder / "summary.json", summary)
    return summary


# parts of the duration at which the chirality is drawn
SHOWN = (1 / 8, 1 / 4, 1 / 2, 1)
LENGTHS = ("length between walls", "length by first moment")


def measure(lattice: Lattice, found: js.Trajectory) -> dict[str, list[float]]:
    """Both lengths and the order of every frame."""

    def look(spins):
        chirality = scalar_chirality(lattice, spins)
        return domain_length(lattice, chirality), moment_length(lattice, chirality), abs(chirality).mean()

    walls, moment, order = (np.asarray(values, float) for values in found.map(look))
    names = (*LENGTHS, "mean absolute chirality over the perfect one")
    return dict(zip(names, (walls.tolist(), moment.tolist(), (order / PERFECT_CHIRALITY).tolist()), strict=True))


def exponents(config: Config, times: np.ndarray, lengths: np.ndarray) -> dict[str, Growth | str]:
    """The exponent with L0 fitted and with L0 = 0, or why there is none."""
    grown = np.flatnonzero(lengths.max(axis=0) > config.large.side / 4)
    last = float(times[grown[0] - 1] if len(grown) and grown[0] else times[-1])
    window = (config.window[0], min(config.window[1], last))
    return {
        name: growth_or_reason(times, lengths, window, offset=offset)
        for name, offset in (("with L0", True), ("without L0", False))
    }


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: found["growth"])
