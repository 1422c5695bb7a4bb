"""Spin-steps a second of the nearest-neighbour square model, every integrator, beside the memory's triad.

    python -m experiments.benchmarks.dynamics --output FILE.json

A spin-step is one spin over one time step, whatever the number of fields in it. Whole runs of `simulate` are timed, in
one program, one frame each; compilation apart; median of several runs. The cost of saving, of the progress bar and of
diffrax is measured on one size against a bare loop over the same step.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.steps import Steps
from experiments.benchmarks.timing import interleaved, timed
from experiments.stages import main_without_folder
from experiments.stages.schemes import SOLVERS, name_of
from jaxspin.dynamics import DepondtMertens, ProjectedHeun, ProjectedTsit5


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    sizes: tuple[int, ...] = (64, 256, 1024)
    """Sides of the lattices."""
    temperatures: tuple[float, ...] = (0.0, 0.1)
    """Of the bath, in units of the exchange; at zero no noise is drawn."""
    precisions: tuple[str, ...] = ("float32", "float64")
    """Of the spins."""
    step: float = 0.01
    """Time step, in units of 1/exchange."""
    damping: float = 0.1
    """Gilbert damping."""
    spin_steps: float = 2e7
    """Of each run timed: smaller lattices make more steps."""
    overhead_side: int = 256
    """Side of the lattice on which saving, progress and diffrax are measured."""
    overhead_steps: int = 2000
    """Steps of those runs; 0 leaves them out."""
    overhead_frame: int = 50
    """Steps between their frames."""
    repeats: int = 3
    """Runs timed."""

    def __post_init__(self):
        unknown = set(self.precisions) - {"float32", "float64"}
        if unknown:
            raise ValueError(f"precisions {sorted(unknown)} are unknown; use float32 and float64.")


def run(config: Config) -> dict[str, Any]:
    """One row per integrator, temperature, precision and size; triads; overheads."""
    config.check_output()
    rows, triads = [], []
    for precision in config.precisions:
        with jax.enable_x64(precision == "float64"):
            for size in config.sizes:
                triads.append(triad(size, precision, config.repeats))
                print(f"triad {size:5d} x {size:<5d} {precision} {triads[-1]['GB a second']:.1f} GB/s", flush=True)
                for temperature in config.temperatures:
                    for solver in SOLVERS:
                        if temperature == 0 or not isinstance(solver, ProjectedTsit5):
                            rows.append(timed_run(config, solver, temperature, precision, size))
    found = {"rows": rows, "triads": triads, "overheads": overheads(config) if config.overhead_steps else []}
    config.write(found)
    return found


def start(size: int, precision: str) -> tuple[js.AbstractPotential, jax.Array]:
    lattice = js.square(size)
    return js.Exchange(lattice, 1.0), js.random_spins(lattice, key=jax.random.key(size), dtype=jnp.dtype(precision))


def timed_run(config: Config, solver: Any, temperature: float, precision: str, size: int) -> dict[str, Any]:
    field, spins = start(size, precision)
    steps = max(1, round(config.spin_steps / size**2))
    run = Steps(field, solver, temperature, steps, config.step, config.damping).simulated()
    row = timed(run, (spins,), config.repeats)
    row = {
        "integrator": name_of(solver),
        "temperature": temperature,
        "precision": precision,
        "side": size,
        "steps": steps,
        **row,
        "million spin-steps a second": 1e-6 * steps * size**2 / row["median"],
    }
    print(
        f"{row['integrator']:18s} T = {temperature:<4g} {precision} {size:5d} x {size:<5d} "
        f"{row['million spin-steps a second']:8.1f} million spin-steps/s   compile {row['compile']:.1f} s",
        flush=True,
    )
    return row


def triad(size: int, precision: str, repeats: int) -> dict[str, Any]:
    """a = b + s c over arrays of the spins' shape, again and again in one program: bytes read and written."""
    shape, loops = (3, size, size), max(1, int(3e8 / size**2 / 9))
    a, b = jnp.ones(shape, precision), jnp.full(shape, 0.5, precision)

    @jax.jit
    def go(a, b):
        return jax.lax.fori_loop(0, loops, lambda _, pair: (pair[1], pair[0] + 0.5 * pair[1]), (a, b))

    median = timed(go, (a, b), repeats)["median"]
    return {"side": size, "precision": precision, "GB a second": 1e-9 * 3 * a.nbytes * loops / median}


def overheads(config: Config) -> list[dict[str, Any]]:
    """Time of a run against a bare loop over the same step, and of saving and the progress bar against without."""
    field, spins = start(config.overhead_side, "float32")
    often, rows = config.overhead_frame * config.step, []

    def mean(t, spins):
        return jnp.mean(spins, (0, 1, 2))

    for solver in (ProjectedHeun(), DepondtMertens()):
        for temperature in config.temperatures:
            steps = Steps(field, solver, temperature, config.overhead_steps, config.step, config.damping)
            runs = {
                "bare loop": steps.bare(),
                "simulate": steps.simulated(),
                "frames of observables": steps.simulated(save_every=often, save=mean),
                "frames of spins": steps.simulated(save_every=often),
                "frames and a progress bar": steps.simulated(save_every=often, progress=True),
            }
            times = interleaved(runs, spins, config.repeats)
            reference = times["bare loop"]
            row = {name: value / reference - 1 for name, value in times.items() if name != "bare loop"}
            rows.append({"integrator": name_of(solver), "temperature": temperature, "bare loop": reference, **row})
            print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
