"""Standard problems of spin dynamics with known answers: spin waves, walls driven by fields and currents, a skyrmion.

    python -m experiments.checks.standard_problems         # a few minutes on one core, writes runs/standard_problems
    python -m experiments.checks.standard_problems --help  # every setting

The problems and their answers are those of `jaxspin.problems`; nothing is fitted. Every sweep is one compiled run.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.checks.driven_walls import drive, speed, wall_row
from experiments.checks.standard_problems_figures import draw_skyrmion, draw_walls, draw_waves
from experiments.checks.wave_spectra import spectrum, wave_errors
from experiments.stages import Output, Timer, main
from jaxspin.io import new_folder, provenance, save_json
from jaxspin.observables import topological_charge
from jaxspin.problems import DrivenWall, IsolatedSkyrmion, SpinWaves


@dataclasses.dataclass(frozen=True)
class Config(Output):
    """Sizes and times. Energies in units of the exchange K, times in hbar/K, lengths in lattice constants."""

    output: Path = Path("runs/standard_problems")
    """Folder for `summary.json` and the figures; an existing one is refused."""
    sites: int = 64
    """Of the chains whose spin waves are measured; even."""
    side: int = 24
    """Of the square lattice whose spin waves are measured; even."""
    gap: float = 0.1
    """Easy-axis anisotropy of the spin waves."""
    seeds: int = 2
    """Random starts of each spectrum."""
    spectrum_time: float = 256.0
    """Length of the runs behind the spectra, saved every 0.25."""
    track: int = 180
    """Sites of the chain the wall moves along."""
    wall: DrivenWall = dataclasses.field(default_factory=DrivenWall)
    """Anisotropies and damping of the wall."""
    fields: tuple[float, ...] = (0.25, 0.5, 0.75, 0.9, 0.98, 1.1, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
    """In units of Walker's field."""
    field_time: float = 3000.0
    """Length of the runs in a field."""
    drifts: tuple[float, ...] = (0.01, 0.02, 0.03, 0.055, 0.0625, 0.07)
    """Drift velocities of the spin-transfer torque."""
    nonadiabaticities: tuple[float, ...] = (0.0, 0.2, 0.4, 0.8)
    """Each a curve."""
    current_time: float = 1600.0
    """Length of the runs in a current."""
    step: float = 0.2
    """Time step of the walls; a smooth wall precesses much more slowly than K."""
    skyrmion: IsolatedSkyrmion = dataclasses.field(default_factory=IsolatedSkyrmion)
    """The smallest of the skyrmions."""
    stretches: tuple[int, ...] = (1, 2, 3)
    """How much wider the others are."""

    def __post_init__(self):
        if self.sites % 2 or self.side % 2:
            raise ValueError(
                f"sites = {self.sites} and side = {self.side} must be even for a Neel order; use 64 and 24."
            )
        if min(self.fields, default=0) <= 0 or min(self.drifts, default=0) <= 0:
            raise ValueError("fields and drifts must be positive, and one at least; see --help for the defaults.")


def run(config: Config) -> dict[str, Any]:
    """All four; returns what `summary.json` holds."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    timer, origin = Timer(folder), provenance(config)
    problems = wave_problems(config)
    with timer("spin waves"):
        waves = {name: spectrum(problem, config.spectrum_time, config.seeds) for name, problem in problems.items()}
        draw_waves(folder / "spin_waves.png", problems, waves)
    with timer("wall in a field"):
        base = dataclasses.replace(config.wall, sites=config.track)
        in_field = [dataclasses.replace(base, applied=b * base.walker_field) for b in config.fields]
        field_times, field_paths = drive(in_field, config.field_time, config.step)
    with timer("wall in a current"):
        in_current = [
            dataclasses.replace(base, drift=u, nonadiabaticity=b, hard=hard)
            for b, hard in current_curves(config)
            for u in config.drifts
        ]
        current_times, current_paths = drive(in_current, config.current_time, config.step)
    measured_field = [(p, speed(p, field_times, x)) for p, x in zip(in_field, field_paths, strict=True)]
    measured_current = [(p, speed(p, current_times, x)) for p, x in zip(in_current, current_paths, strict=True)]
    draw_walls(folder / "walls.png", (field_times, field_paths), measured_field, measured_current)
    with timer("skyrmion"):
        sizes = [config.skyrmion.wider(s) for s in config.stretches]
        relaxed = [js.relax(problem.potential, problem.spins(jnp.float64), tolerance=1e-8) for problem in sizes]
        draw_skyrmion(folder / "skyrmion.png", config.stretches, sizes, relaxed)
    summary = {
        "spin waves": {name: wave_errors(problem, waves[name]) for name, problem in problems.items()},
        "wall in a field": [wall_row(*one) for one in measured_field],
        "wall in a current": [wall_row(*one) for one in measured_current],
        "skyrmion": [skyrmion_row(p, r) for p, r in zip(sizes, relaxed, strict=True)],
        "wall time in seconds": timer.seconds,
        "provenance": origin,
    }
    save_json(folder / "summary.json", summary)
    return summary


def wave_problems(config: Config) -> dict[str, SpinWaves]:
    """By the title of their panel."""
    chain, square = js.chain(config.sites), js.square(config.side)
    return {
        "ferromagnetic chain": SpinWaves(chain, 1.0, config.gap),
        "antiferromagnetic chain": SpinWaves(chain, -1.0, config.gap),
        "square antiferromagnet": SpinWaves(square, -1.0, config.gap),
    }


def current_curves(config: Config) -> list[tuple[float, float]]:
    """Nonadiabaticity and hard-axis anisotropy of every curve; the last is without a hard axis."""
    return [*((b, config.wall.hard) for b in config.nonadiabaticities), (config.nonadiabaticities[-1], 0.0)]


def skyrmion_row(problem: IsolatedSkyrmion, relaxed: Any) -> dict[str, Any]:
    return {
        "side": problem.side,
        "converged": relaxed.converged,
        "iterations": int(relaxed.steps),
        "charge": float(topological_charge(problem.lattice, relaxed.spins)),
        "energy": float(relaxed.energy) - problem.uniform_energy,
        "continuum energy": problem.continuum().energy,
        "continuum radius": problem.continuum().radius,
    }


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main(Config, run, __doc__)
