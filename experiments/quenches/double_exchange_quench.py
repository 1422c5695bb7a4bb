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

import jaxspin as js
from experiments.quenches.double_exchange_compared import compared_numbers
from experiments.quenches.double_exchange_puddles import puddle_history
from experiments.quenches.double_exchange_quench_figures import draw_puddles
from experiments.stages import (
    Dynamics,
    Electrons,
    Quench,
    Resumable,
    Timer,
    beside_exact,
    main,
    open_folder,
    quench,
    stored_forcefield,
)
from experiments.stages.checks import check_positive
from experiments.stages.figures import draw_maps
from jaxspin.io import provenance, save_json
from jaxspin.observables import site_correlations


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
            motion = config.motion.at(min(config.bath_temperatures))
            compared = beside_exact(folder, config.electrons, model, motion, config.compare, config.seed)
            exact = config.electrons.exact(config.compare.side)
            summary["comparison"] = compared_numbers(folder, exact, model, compared)
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
        rows.append({"bath temperature": temperature, **puddle_history(found, config.threshold, config.window)})
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


if __name__ == "__main__":
    columns = ("bath temperature", "growth of the mean size weighted by size")
    main(Config, run, __doc__, lambda found, _: [{name: row[name] for name in columns} for row in found["quenches"]])
