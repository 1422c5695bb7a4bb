"""Exchange and spin waves from the electrons: a Hessian of the exact energy, and the motion it foretells.

    python -m experiments.gradients.exchange_from_electrons          # minutes on one core
    python -m experiments.gradients.exchange_from_electrons --smoke  # a smaller lattice
    python -m experiments.gradients.exchange_from_electrons --help   # every setting

Second derivatives of the free energy of the s-d model with respect to small displacements of an ordered state give the
exchange J(r) that these displacements feel, and the linear spin waves of the texture: for the ferromagnet w(q) =
J(0) - J(q), for noncollinear orders the Bogoliubov frequencies. The dynamics knows nothing of it: an undamped run from
a slightly displaced state is projected on each mode and on plain Fourier frequencies, and the frequencies found there
are set beside the foretold ones. Goldstone modes are not excited: they turn the texture as a whole, and with it the
tangents that displacements are measured along.
"""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from experiments.gradients.exchange_from_electrons_figures import draw
from experiments.gradients.spin_wave_motion import Undamped, motion
from experiments.stages import Electrons, Resumable, Texture, main, open_folder, textures_on
from jaxspin.io import provenance, save_json
from jaxspin.lattice import Lattice
from jaxspin.observables import by_distance, effective_exchange, spin_waves, tangent_hessian


class Case(eqx.Module):
    """An order and the electrons that make it."""

    texture: Texture = eqx.field(static=True)
    coupling: float = eqx.field(static=True)
    filling: float = eqx.field(static=True)


CASES = {
    "ferromagnet, J = 4, n = 0.1": Case("ferromagnet", 4.0, 0.1),
    "120 degrees, J = 4, n = 0.5": Case("one_hundred_twenty", 4.0, 0.5),
    "tetrahedral, J = 3, n = 0.25": Case("tetrahedral", 3.0, 0.25),
}


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/exchange_from_electrons")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the displacements."""
    cases: tuple[str, ...] = tuple(CASES)
    """Which orders, by name."""
    side: int = 6
    """Side of the triangular lattice: a multiple of 6 holds every order."""
    temperature: float = 0.05
    """Of the electrons."""
    undamped: Undamped = dataclasses.field(default_factory=Undamped)
    """The run whose frequencies are measured."""

    def __post_init__(self):
        unknown = sorted(set(self.cases) - set(CASES))
        if unknown or not self.cases:
            raise ValueError(f"there is no case {unknown[:1]}; choose among {', '.join(CASES)}.")


def smoke_size(config: Config) -> Config:
    """Four sites."""
    undamped = dataclasses.replace(config.undamped, steps_a_period=40, longest=800)
    return dataclasses.replace(config, side=3, cases=("ferromagnet, J = 4, n = 0.1",), undamped=undamped)


def run(config: Config) -> dict[str, Any]:
    """Exchange, spin waves and motion of every case; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    found: dict[str, Any] = {}
    with jax.enable_x64(True):
        for name in config.cases:
            print(f"--- {name}", flush=True)
            found[name] = study(config, CASES[name])
            shown = ("Goldstone modes", "stable", "minimum", "largest deviation of a frequency", "resolution")
            print({key: found[name][key] for key in shown}, flush=True)
        draw(folder / "exchange_from_electrons.png", found)
    summary = {"cases": found, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    return summary


def study(config: Config, case: Case) -> dict[str, Any]:
    """One order: J by distance, its spin waves, and their frequencies in the motion."""
    electrons = Electrons("triangular", case.coupling, case.filling, config.temperature)
    exact = electrons.exact(config.side)
    lattice = exact.lattice
    spins = textures_on(lattice, (case.texture,))[case.texture]
    waves = spin_waves(exact, spins)
    hessian = tangent_hessian(exact, spins)
    exchange = effective_exchange(lattice, hessian, spins)
    largest = float(jnp.max(waves.frequencies))
    moving = np.asarray(waves.frequencies) > 1e-4 * largest
    row: dict[str, Any] = {
        "exchange by distance": shells(lattice, exchange),
        "frequencies": waves.frequencies,
        "Goldstone modes": int(np.sum(~moving)),
        "largest frequency of a Goldstone mode": float(np.max(np.asarray(waves.frequencies)[~moving], initial=0.0)),
        "stable": waves.stable,
        "minimum": waves.minimum,
        "lowest curvature": float(waves.curvatures[0]),
    }
    if case.texture == "ferromagnet":
        # of a ferromagnet w(q) = J(0) - J(q): the spectrum without a Hessian's eigenvectors
        total = np.asarray(jnp.sum(exchange, axis=1))
        plain = np.linalg.eigvalsh(np.diag(total) - np.asarray(exchange))
        row["deviation from J(0) - J(q)"] = float(np.abs(np.sort(plain) - np.asarray(waves.frequencies)).max())
    if not waves.stable:
        return {**row, "largest deviation of a frequency": None, "resolution": None}
    return {**row, **motion(config.undamped, exact, spins, waves, moving, key=jax.random.key(config.seed))}


def shells(lattice: Lattice, exchange: jax.Array) -> list[dict[str, float]]:
    """Mean, least and greatest J_ij of the pairs at each distance."""
    found = by_distance(lattice, exchange)
    columns = {"distance": found.distance, "J": found.mean, "least": found.least, "greatest": found.greatest}
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


if __name__ == "__main__":
    main(Config, run, __doc__)
