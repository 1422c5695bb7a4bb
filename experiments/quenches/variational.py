"""Which of the named textures of the triangular s-d model is lowest in energy, against filling and coupling, at T = 0.

    python -m experiments.quenches.variational               # ten seconds on two cores, writes runs/variational
    python -m experiments.quenches.variational --help        # every setting

Each texture's magnetic cell (2 x 2, or 3 x 3 for 120 degrees) is diagonalized on the wavevectors of one large lattice,
for all couplings at once; the levels give the ground-state energy at every filling. It is a competition among the named
textures only: where it is close, an incommensurate or phase-separated state may win.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.stages import Output, main
from experiments.stages.checks import check_counts
from experiments.stages.phases import TEXTURES, check_side, draw_lowest, margin
from jaxspin.electrons import bloch_levels
from jaxspin.io import new_folder, provenance, save_json


@dataclasses.dataclass(frozen=True)
class Config(Output):
    """Settings of the diagram. Energies in units of the hopping."""

    output: Path = Path("runs/variational")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    side: int = 48
    """Side of the lattice whose wavevectors are used; a multiple of 6, the common magnetic cell."""
    largest_coupling: float = 6.0
    """J runs from zero (left out) to here."""
    couplings: int = 24
    """Number of values of J."""
    fillings: int = 99
    """Number of fillings between 0 and 1, both left out; 99 is a step of 0.01."""

    def __post_init__(self):
        check_side("side", self.side)
        check_counts(self, "couplings", "fillings")
        if not self.largest_coupling > 0:
            raise ValueError(f"largest_coupling must be positive, got {self.largest_coupling}; 6 shows all phases.")


def run(config: Config) -> dict[str, Any]:
    """Energies of all textures, and the lowest one, on the grid of J and filling."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    couplings = config.largest_coupling * np.arange(1, config.couplings + 1) / config.couplings
    fillings = np.arange(1, config.fillings + 1) / (config.fillings + 1)
    table = energies(config, couplings, fillings)
    draw(folder / "phases.png", couplings, fillings, table)
    names = list(TEXTURES)
    summary = {
        "couplings": couplings,
        "fillings": fillings,
        "textures": names,
        "lowest": [[names[i] for i in row] for row in table.argmin(axis=0)],
        "lead over the next in energy per site": margin(table),
        "provenance": provenance(config),
    }
    save_json(folder / "summary.json", summary, indent=None)
    return summary


def energies(config: Config, couplings: np.ndarray, fillings: np.ndarray) -> np.ndarray:
    """Ground-state energy per site, `(textures, couplings, fillings)`."""
    found = []
    with jax.enable_x64(True):
        for texture, cell in tqdm(TEXTURES.values(), desc="textures", unit="texture"):
            lattice = js.triangular(cell)
            spins = texture(lattice)

            @jax.jit
            def levels(coupling, lattice=lattice, spins=spins, points=config.side // cell):
                return bloch_levels(js.SDModel(lattice, 1.0, coupling), spins, points)

            found.append([per_site(np.asarray(levels(j)), fillings) for j in jnp.asarray(couplings)])
    return np.array(found)


def per_site(levels: np.ndarray, fillings: np.ndarray) -> np.ndarray:
    """Sum of the lowest levels per site; linear between whole numbers of electrons."""
    total = np.concatenate([[0], np.cumsum(levels)])
    return np.interp(fillings * len(levels), np.arange(len(total)), total) / (len(levels) / 2)


def draw(path: Path, couplings: np.ndarray, fillings: np.ndarray, table: np.ndarray) -> None:
    """The lowest texture as a coloured map; white where the lead is less than 1e-4 t a site."""
    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    draw_lowest(axes, fillings, couplings, table)
    axes.set(xlabel="filling $n$", ylabel="coupling $J$ ($t$)", title="Lowest named texture at $T = 0$")
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main(Config, run, __doc__)
