"""Order of the triangular s-d model against filling and coupling: energies of named textures, and annealing.

    python -m experiments.quenches.phase_diagram           # a quarter of an hour on one core, writes runs/phase_diagram
    python -m experiments.quenches.phase_diagram --smoke   # a minute
    python -m experiments.quenches.phase_diagram --resume  # after a kill: no finished point is computed again
    python -m experiments.quenches.phase_diagram --help    # every setting

Two sweeps, each a Zarr store. `textures.zarr`: the free energy of ferromagnet, 120 degrees, stripe, tetrahedral and
coplanar double-Q on a fine grid, by Bloch diagonalization at a temperature of the electrons above zero.
`annealed.zarr`: spins that start at random, cooled in the field of exact diagonalization on a smaller lattice and then
let fall into a minimum; its points end at different times, and the batch is refilled as they do. The first knows only
the five states it was told, the second is told none: where the annealed state, repeated on the lattice of the
textures, lies below all five, another state wins.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.quenches.phase_diagram_annealing import Annealing, anneal
from experiments.quenches.phase_diagram_compared import compare
from experiments.quenches.phase_diagram_figures import draw
from experiments.quenches.phase_diagram_textures import energies
from experiments.stages import Resumable, main, open_folder
from experiments.stages.checks import check_counts, check_positive
from experiments.stages.phases import TEXTURES, check_side, margin
from jaxspin.io import provenance, save_json


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings of both sweeps. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/phase_diagram")
    """Folder for the stores, `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the starts and the noise of the annealing."""
    temperature: float = 0.02
    """Of the electrons, in both sweeps."""
    side: int = 24
    """Side of the lattice of the textures; a multiple of 6, the common magnetic cell."""
    largest_coupling: float = 6.0
    """J of the textures runs from zero (left out) to here."""
    couplings: int = 24
    """Number of values of J."""
    fillings: int = 39
    """Number of fillings between 0 and 1, both left out; 39 is a step of 0.025."""
    annealing: Annealing = dataclasses.field(default_factory=Annealing)
    """The second sweep."""

    def __post_init__(self):
        check_side("side", self.side)
        check_counts(self, "couplings", "fillings")
        check_positive(self, "largest_coupling", "temperature")

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Couplings and fillings of the first sweep."""
        couplings = self.largest_coupling * np.arange(1, self.couplings + 1) / self.couplings
        return couplings, np.arange(1, self.fillings + 1) / (self.fillings + 1)


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    small = {"cells": (6, 6), "couplings": (3.0,), "fillings": (0.25, 0.5)}
    return dataclasses.replace(
        config,
        side=6,
        couplings=3,
        fillings=3,
        annealing=dataclasses.replace(config.annealing, **small, cooling=2, limit=3, piece=2.0, batch=2),
    )


def run(config: Config) -> dict[str, Any]:
    """Both sweeps, the comparison and the figure; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    with jax.enable_x64(True):
        textures = energies(
            folder / "textures.zarr", *config.grid, config.side, config.temperature, config.resume
        ).load()
    with jax.enable_x64(False):
        annealed = anneal(
            folder / "annealed.zarr", config.annealing, config.temperature, config.seed, config.resume
        ).load()
    with jax.enable_x64(True):
        rows = compare(annealed, config.annealing.cells, config.side, config.temperature)
    draw(folder / "phase_diagram.png", textures, rows)
    table = textures.energy.transpose("texture", "coupling", "filling").values
    names = list(TEXTURES)
    summary = {
        "textures": names,
        "couplings": textures.coupling.values,
        "fillings": textures.filling.values,
        "lowest": [[names[i] for i in row] for row in table.argmin(axis=0)],
        "margin to the next, energy per site": np.round(margin(table), 6),
        "annealed": rows,
        "annealed and variational order agree": int(sum(r["order"] == r["lowest texture"] for r in rows)),
        "annealed below every texture": int(sum(r["above the lowest texture"] < -1e-4 for r in rows)),
        "textures made by": json.loads(textures.attrs["provenance"]),
        "annealed made by": json.loads(annealed.attrs["provenance"]),
        "provenance": provenance(config, config.seed),
    }
    save_json(folder / "summary.json", summary)
    return summary


if __name__ == "__main__":
    main(
        Config,
        run,
        __doc__,
        lambda found, _: "\n".join(
            f"J = {row['coupling']:g}, n = {row['filling']:g}: {row['order']} "
            f"({1e3 * row['above the lowest texture']:+.2f}e-3 t above {row['lowest texture']})"
            for row in found["annealed"]
        ),
    )
