"""Which integrator when: measured orders of convergence, strong and weak, and drift of the energy without damping.

    python -m experiments.checks.integrators            # a few minutes on one core, writes runs/integrators

Orders: a large spin wave of a ferromagnetic chain against its exact motion (T = 0), and spins that diffuse freely,
against a run on the same noise with steps 16 times shorter and more, each spin (strong) and in the mean (weak).
Drift: a square lattice with nearest-neighbour exchange, from random spins, double precision.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.checks.diffusion import diffusion_errors
from experiments.checks.integrators_figures import draw
from experiments.stages import Resumable, Timer, main, open_folder, stored_table
from experiments.stages.results import markdown
from experiments.stages.schemes import SOLVERS, name_of
from jaxspin.dynamics import ProjectedTsit5
from jaxspin.io import provenance, save_json, to_json
from jaxspin.problems import SpinWave

# Drift per spin of VAMPIRE, Spirit and UppASD over 10^4 steps, from a random start on such a lattice, by time step.
PEERS = {
    "others, Heun": {0.01: 5e-4, 0.05: 0.2},
    "others, semi-implicit": {0.01: 3e-6, 0.05: 2.5e-3},
    "others, Depondt": {0.05: 2.5e-3},
    "others, RK4": {0.01: 3e-8, 0.05: 5e-4},
}


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Times in units of hbar over the exchange."""

    output: Path = Path("runs/integrators")
    side: int = 16
    """Side of the lattice whose energy drifts."""
    steps: int = 10000
    """Time steps of each drift."""
    step_sizes: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1)
    """Their sizes."""
    wave_steps: tuple[int, ...] = (250, 500, 1000)
    """Numbers of steps in which the spin wave turns for t = 10."""
    noise_steps: tuple[int, ...] = (4, 8, 16)
    """Numbers of steps in which the spins diffuse for t = 1."""
    walkers: int = 16384
    """Spins that diffuse."""

    def __post_init__(self):
        if len(self.wave_steps) < 2 or len(self.noise_steps) < 2:
            raise ValueError("an order needs two numbers of steps or more; leave the defaults.")
        if any(max(self.noise_steps) % n for n in self.noise_steps):
            raise ValueError(f"noise_steps {self.noise_steps} must divide the largest; use 4 8 16.")


def run(config: Config) -> dict[str, Any]:
    """Orders and drifts; returns what `summary.json` holds."""
    folder = open_folder(config)
    timer, origin = Timer(folder), provenance(config)
    with jax.enable_x64(True):
        with timer("orders"):
            found = {name_of(solver): orders(config, solver) for solver in SOLVERS}
            print(to_json(found, indent=1), flush=True)
        with timer("drift"):
            drift = {name_of(solver): drifts(config, solver) for solver in SOLVERS}
    draw(folder / "drift.png", drift, PEERS)
    (folder / "table.md").write_text(table(config, found, drift))
    summary = {
        "orders": found,
        "drift per spin": {name: {f"{h:g}": value for h, value in row.items()} for name, row in drift.items()},
        "wall time in seconds": timer.seconds,
        "provenance": origin,
    }
    save_json(folder / "summary.json", summary)
    return summary


def slope(numbers: tuple[int, ...], errors: list[float]) -> float:
    """The order p of errors that fall as numbers^-p."""
    return float(-np.polyfit(np.log(numbers), np.log(errors), 1)[0])


def orders(config: Config, solver: Any) -> dict[str, float]:
    """Deterministic, strong and weak order, as far as the solver takes noise."""
    found = {"deterministic": slope(config.wave_steps, [wave_error(solver, n) for n in config.wave_steps])}
    if not isinstance(solver, ProjectedTsit5):
        strong, weak = zip(*diffusion_errors(solver, config.noise_steps, config.walkers), strict=True)
        found |= {"strong": slope(config.noise_steps, list(strong)), "weak": slope(config.noise_steps, list(weak))}
        found["weak error at the longest step"] = weak[0]
    return found


def wave_error(solver: Any, steps: int) -> float:
    """Distance from the exact motion of a spin wave at t = 10."""
    wave = SpinWave(sites=12, mode=2, amplitude=0.5)
    run = js.simulate(
        wave.potential, wave.spins(), duration=10.0, step=10 / steps, damping=0.0, solver=solver, save_every=10.0
    )
    return float(jnp.max(jnp.abs(run.final - wave.spins(10.0))))


def drifts(config: Config, solver: Any) -> dict[float, float]:
    """Largest deviation of the energy per spin within the run, by time step; NaN where it fails."""
    lattice = js.square(config.side)
    field, spins = js.Exchange(lattice, 1.0), js.random_spins(lattice, key=jax.random.key(0))
    found = {}
    for h in config.step_sizes:
        run = js.simulate(
            field,
            spins,
            duration=config.steps * h,
            step=h,
            damping=0.0,
            solver=solver,
            save=energy_of(field),
            throw=False,
        )
        energy = np.asarray(run.saved) / lattice.sites
        found[h] = float(np.max(np.abs(energy - energy[0])))
        print(f"{name_of(solver):18s} step {h:<5g} drift of the energy per spin {found[h]:.1e}", flush=True)
    return found


def energy_of(field: js.AbstractPotential) -> Callable[..., Any]:
    return lambda t, spins: field.energy(spins, t)


def table(config: Config, found: dict[str, dict[str, float]], drift: dict[str, dict[float, float]]) -> str:
    """Both, as Markdown."""
    lines = []
    for name, row in drift.items():
        order = [f"{found[name][key]:.2f}" if key in found[name] else "" for key in ("deterministic", "strong", "weak")]
        lines.append([name, *(f"{row[h]:.1e}" for h in config.step_sizes), *order])
    for name, known in PEERS.items():
        cells = (f"{known[h]:.1e}" if h in known else "" for h in config.step_sizes)
        lines.append([f"*{name}*", *cells, "", "", ""])
    drifts = (f"drift at {h:g}" for h in config.step_sizes)
    return markdown(["integrator", *drifts, "order", "strong", "weak"], lines)


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
