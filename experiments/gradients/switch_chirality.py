"""The cheapest pulse that turns a chiral magnet into its mirror image: shaped by gradients through the electrons.

    python -m experiments.gradients.switch_chirality            # minutes on one core, writes runs/switch_chirality
    python -m experiments.gradients.switch_chirality --smoke    # a minute
    python -m experiments.gradients.switch_chirality --help     # every setting

Four sublattices of a triangular s-d metal at n = 1/4 start along the corners of a tetrahedron, the chirality of every
triangle +4/(3 sqrt3). A uniform field h(t) of three components acts for a given time, at the price of the integral of
h^2, and the chirality is to end at the opposite sign, which costs the same energy. The field pushes through the damping
alone: without it, the energy of the electrons being invariant under rotations of all spins, a uniform field turns them
all alike (Larmor). Its first order moves only the magnetization and the frame; the one mode of finite frequency that
the four sublattices have, the twist towards the coplanar states between the two chiralities, is driven by its square.

The simple pulses are rectangular ones and Gaussians with or without a carrier, over a grid of widths, directions to the
four spins and frequencies in units of that mode's; the shaped one has a free value at every knot, improved by Adam
along the gradient of the chirality after the pulse, taken through the dynamics and the exact electrons. The search is
done on the magnetic cell with `points`^2 wavevectors, which is exactly the lattice of 2 `points` sites a side as long
as every cell does the same. Whether every cell does is then seen on that lattice itself, from tilted spins in a bath.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.gradients.chirality_cell import EVERY, Cell
from experiments.gradients.chirality_domains import Domains, domains
from experiments.gradients.chirality_pulses import Shaping, SimplePulses, of_kind, searched
from experiments.gradients.switch_chirality_figures import draw
from experiments.stages import Dynamics, Electrons, Resumable, main, open_folder
from experiments.stages.figures import PERFECT_CHIRALITY
from experiments.stages.pulse_search import Search
from jaxspin.electrons import BlochDiagonalization
from jaxspin.io import provenance, save_json


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/switch_chirality")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the noise in the search, of the tilts and of the bath."""
    electrons: Electrons = dataclasses.field(default_factory=Electrons)
    """The model, on the triangular lattice."""
    points: int = 5
    """Wavevectors along each axis: magnetic cells a side of the lattice that the search stands for."""
    motion: Dynamics = dataclasses.field(default_factory=lambda: Dynamics(damping=0.1, step=1.0))
    """Of the spins; half this step changes the chirality after a pulse by less than 0.01."""
    search: Search = dataclasses.field(
        default_factory=lambda: Search(knots=51, below=-0.25, iterations=60, rate=0.01, noise=0.02, bisections=3)
    )
    """What switches is the mean chirality over `wait`: a motion that still passes between both signs averages to about
    zero. A larger rate leaves the neighbourhood of what switches, where slopes are large, and does not come back."""
    wait: float = 50.0
    """Time after it over which the chirality is averaged: most of a period of the twist."""
    settle: float = 600.0
    """Time after it in which the cell comes to rest."""
    simple: SimplePulses = dataclasses.field(default_factory=SimplePulses)
    """The simple pulses."""
    shaping: Shaping = dataclasses.field(default_factory=Shaping)
    """How the others are shaped."""
    rotations: int = 64
    """Random orientations of the order, to which the pulse is not fitted."""
    domains: Domains = dataclasses.field(default_factory=Domains)
    """The runs in the large lattice."""

    def __post_init__(self):
        if self.points < 2 or self.electrons.lattice != "triangular":
            raise ValueError("the order repeats on a triangular lattice of two points at least; see --help.")
        if not self.motion.damping > 0:
            raise ValueError("without damping a uniform field turns all spins alike; use 0.1.")
        # at the size of the smoke test nothing switches in time: there any motion counts
        if not -PERFECT_CHIRALITY < self.search.below < (PERFECT_CHIRALITY if self.smoke else 0):
            raise ValueError("search.below lies between the chirality -0.77 of the mirror image and 0; use -0.25.")
        for time in (self.search.duration, self.wait, self.settle, self.domains.rest):
            if not time > 0 or abs(time / EVERY - round(time / EVERY)) > 1e-6:
                raise ValueError(f"duration, wait, settle and rest must be multiples of {EVERY:g}, got {time}.")

    @property
    def cell(self) -> Cell:
        """The four sublattices, in the field of the electrons over the repeated cell."""
        field = BlochDiagonalization(self.electrons.exact(2), self.points, even=True)
        return Cell(field, self.motion, self.search.duration, self.wait, self.settle)


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    small = dataclasses.replace
    return small(
        config,
        points=3,
        search=small(config.search, duration=30.0, knots=7, below=0.6, iterations=2, bisections=1),
        wait=10.0,
        settle=50.0,
        simple=SimplePulses(widths=(20.0,), gaussians=(30.0,), frequencies=(0.5,), prices=(2.0, 50.0, 4)),
        shaping=small(config.shaping, begin=1, tries=1),
        rotations=2,
        domains=small(config.domains, factors=(1.0,), starts=1, rest=5.0),
    )


def run(config: Config) -> dict[str, Any]:
    """The least prices, the pulses that reach them and what they do; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder, key, duration = open_folder(config), jax.random.key(config.seed), config.search.duration
    cell = config.cell
    resonance = cell.twist(key=key)
    print(f"the twist has frequency {resonance:.4f}", flush=True)
    found = searched(folder, cell, config.search, config.simple, config.shaping, resonance, key=key)
    pulses = found.pulses(duration)
    chirality = {name: np.asarray(cell.history(pulse)) for name, pulse in pulses.items()}
    turned = {
        name: cell.turned(pulses[name], config.rotations, config.search.below, key=key)
        for name in ("shaped", "best simple")
    }
    lattice = config.electrons.exact(2 * config.points)
    summary = {
        **found.told(),
        "simple pulses": len(found.names),
        "of which switch": int(np.sum(np.isfinite(found.prices))),
        "cheapest of each kind": of_kind(found.names, found.prices),
        "frequency of the twist": resonance,
        "largest field": {name: float(jnp.max(jnp.linalg.norm(p, axis=-1))) for name, p in pulses.items()},
        "chirality after the pulse": {name: float(np.mean(cell.after(c))) for name, c in chirality.items()},
        "chirality at rest": {name: float(c[-1]) for name, c in chirality.items()},
        "random orientations that switch": turned,
        "domains": domains(config.domains, folder, lattice, config.motion, duration, pulses, key=key),
        "prices of simple pulses": dict(zip(found.names, found.prices.tolist(), strict=True)),
        "provenance": provenance(config, config.seed),
    }
    draw(folder / "switch_chirality.png", (duration, EVERY), pulses, chirality, summary)
    save_json(folder / "summary.json", summary)
    return summary


if __name__ == "__main__":
    main(Config, run, __doc__)
