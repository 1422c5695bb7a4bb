"""Long runs with each force field of the package: lengths, energy without damping, a steady state with a bath.

    python -m experiments.checks.stability --minutes 12      # the cheap ones, writes runs/stability
    python -m experiments.checks.stability --resume          # the rest, or what a kill left
    python -m experiments.checks.stability --smoke           # a minute, without meaning

Two runs of each, from random spins on the smallest lattice: without damping and bath, where the energy should stay and
the integrator alone lets it drift; and with both, where the mean energies of the second and the last quarter should
agree. Fields of driven electrons have no energy: of them the lengths and the largest torque are told. First the time of
a step of each is measured, and what the whole costs is printed.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import jaxspin as js
from experiments.checks.stability_figures import draw
from experiments.stages import Resumable, main, open_folder
from experiments.stages.checks import check_counts, check_positive
from experiments.stages.schemes import SOLVERS, name_of
from experiments.stages.tables import stability_rows
from jaxspin.forcefield import GeneralizedPotential, at_voltage, pretrained_names
from jaxspin.io import load_or_make, provenance, save_json
from jaxspin.spins import tangent

KINDS = ("undamped", "bath")
_INTEGRATORS = {name_of(solver): solver for solver in SOLVERS}


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/stability")
    """Folder for the runs, `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """A hundred steps of two force fields."""
    minutes: float = 0.0
    """Leave what would take longer, by the time measured, to --resume; 0 runs everything."""
    names: tuple[str, ...] = pretrained_names()
    """Of the force fields."""
    steps: int = 100_000
    """Of each of the two runs."""
    frames: int = 400
    """Kept of each, evenly."""
    side: int = 10
    """Of the lattice; larger where the clusters of a force field ask for more."""
    integrator: str = "DepondtMertens"
    """Of both runs: the default of `simulate`, or another one that takes noise."""
    damping: float = 0.1
    """Of the runs with a bath."""
    temperature: float = 0.01
    """Of the bath."""
    voltage: float = 1.0
    """Between the leads of driven channels."""
    timed: int = 50
    """Steps by which the time of one is measured."""
    seed: int = 0
    """Of spins and noise."""

    def __post_init__(self):
        check_counts(self, "steps", "frames", "side", "timed")
        check_positive(self, "damping", "temperature")
        if unknown := set(self.names) - set(pretrained_names()):
            raise ValueError(f"no force field {', '.join(unknown)}; choose of {', '.join(pretrained_names())}.")
        if self.integrator not in _INTEGRATORS or self.integrator == "ProjectedTsit5":
            raise ValueError(f"{self.integrator} takes no noise; use DepondtMertens or SphericalMidpoint.")
        if self.frames % 16 or self.steps % self.frames:
            raise ValueError(
                "frames must be a multiple of 16, and divide the steps; use 80 frames and 4000 steps, say."
            )
        if not self.minutes >= 0:
            raise ValueError(f"minutes must not be negative, got {self.minutes}; 0 runs everything.")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    small = ("driven-channel-fast", "triangular-tetrahedral-fast")
    return dataclasses.replace(config, names=small, steps=96, frames=16, timed=4)


def run(config: Config) -> dict[str, Any]:
    """Times, then the runs, cheap ones first; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(dataclasses.replace(config, minutes=0.0))
    fields = {name: field_of(config, name) for name in config.names}
    plans = {
        name: load_or_make(folder / name / "plan.json", lambda f=field: plan(config, f))
        for name, field in fields.items()
    }
    for name, known in plans.items():
        wall, processor = known["microseconds a step"], known["microseconds of processors a step"]
        told = f"{wall:8.0f} us a step ({processor:.0f} us of processors), {_minutes(known, config):6.1f} minutes"
        print(f"{name:28s} {told}")
    print(f"the whole takes {sum(_minutes(known, config) for known in plans.values()):.0f} minutes", flush=True)

    began, rows, left = time.monotonic(), {}, []
    for name in sorted(plans, key=lambda name: plans[name]["microseconds a step"]):
        done = all((folder / name / f"{kind}.json").exists() for kind in KINDS)
        spent = (time.monotonic() - began) / 60
        if config.minutes and not done and spent + _minutes(plans[name], config) > config.minutes:
            left.append(name)
            continue
        rows[name] = plans[name] | {
            kind: load_or_make(
                folder / name / f"{kind}.json",
                lambda n=name, k=kind: measured(config, fields[n], plans[n], k, folder / n / f"{k}.zarr"),
            )
            for kind in KINDS
        }
    draw(folder / "stability.png", rows)
    for row in rows.values():
        for kind in KINDS:
            row[kind].pop("energies a site")
    summary = {"force fields": rows, "left to --resume": left, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    return summary


def _minutes(known: dict[str, Any], config: Config) -> float:
    return 2 * config.steps * known["microseconds a step"] / 6e7


def field_of(config: Config, name: str) -> js.AbstractField:
    """The force field on its smallest lattice of `config.side` cells or more; a channel has the size that it learnt."""
    model = js.pretrained(name)
    if isinstance(model, GeneralizedPotential):
        return at_voltage(model, config.voltage)
    for side in range(config.side, max(config.side, *model.lattice.cells)):
        try:
            return model.on(model.lattice.resize(side))
        except ValueError:
            continue  # smaller than its clusters
    return model


def plan(config: Config, field: js.AbstractField) -> dict[str, Any]:
    """Time steps of both runs, as `suggest_timestep` has them, and how long a step takes."""
    spins, lattice = start(config, field), lattice_of(field)
    steps = {
        "undamped": js.suggest_timestep(field, spins, damping=0.0),
        "bath": js.suggest_timestep(field, spins, damping=config.damping, temperature=config.temperature),
    }

    def some() -> tuple[float, float]:
        began = time.perf_counter(), time.process_time()
        duration = config.timed * steps["bath"]
        final = js.simulate(field, spins, duration=duration, save_every=duration, **motion(config, steps, "bath")).final
        jax.block_until_ready(final)
        return time.perf_counter() - began[0], time.process_time() - began[1]

    some()
    wall, processor = (1e6 * min(times) / config.timed for times in zip(some(), some(), strict=True))
    return {
        "lattice": f"{lattice.name} {' x '.join(map(str, lattice.cells))}",
        "steps": config.steps,
        "time step": steps,
        "microseconds a step": wall,
        "microseconds of processors a step": processor,
    }


def lattice_of(field: js.AbstractField) -> js.Lattice:
    """Where a force field lives."""
    assert field.lattice is not None
    return field.lattice


def start(config: Config, field: js.AbstractField) -> Array:
    """Random spins, the same for all force fields of a lattice."""
    return js.random_spins(lattice_of(field), key=jax.random.key(config.seed))


def motion(config: Config, steps: dict[str, float], kind: str) -> dict[str, Any]:
    """What `simulate` is told of the motion."""
    found = {"step": steps[kind], "solver": _INTEGRATORS[config.integrator], "damping": 0.0}
    if kind == "undamped":
        return found
    return found | {
        "damping": config.damping,
        "temperature": config.temperature,
        "key": jax.random.key(config.seed + 1),
    }


def measured(config: Config, field: js.AbstractField, known: dict[str, Any], kind: str, path: Path) -> dict[str, Any]:
    """One run in a store, which a kill leaves to go on from, and what is told of it."""
    steps = known["time step"]
    duration = config.steps * steps[kind]
    made = js.simulate(
        field,
        start(config, field),
        duration=duration,
        save_every=duration / config.frames,
        store=path,
        resume=True,
        throw=False,
        progress=True,
        **motion(config, steps, kind),
    )
    frames = js.load(path)
    assert isinstance(frames, js.Trajectory)
    ended = len(frames) == config.frames + 1
    length = frames.map(lambda spins: jnp.max(jnp.abs(jnp.linalg.norm(spins, axis=-1) - 1)))
    torque = frames.map(lambda spins: jnp.max(jnp.linalg.norm(tangent(spins, field.field(spins)), axis=-1)))
    found: dict[str, Any] = {
        "finite to the end": ended and bool(np.all(np.isfinite(np.asarray(torque)))) and made.result == "successful",
        "largest deviation of a length": float(jnp.max(length)),
        "largest torque": float(jnp.max(torque)),
    }
    if not isinstance(field, js.AbstractPotential):
        return found | {"energies known": False, "energies a site": None}
    energies = np.asarray(frames.energy(field), float) / lattice_of(field).sites
    told = drift(energies, duration) if kind == "undamped" else quarters(energies)
    return found | told | {"energies known": True, "energies a site": [float(f"{energy:.8g}") for energy in energies]}


def drift(energies: np.ndarray, duration: float) -> dict[str, float]:
    """How far the energy a site goes from its start, and the slope of the straight line through it in time."""
    slope = np.polyfit(np.linspace(0, duration, len(energies)), energies, 1)[0]
    return {
        "largest deviation of the energy a site": float(np.max(np.abs(energies - energies[0]))),
        "deviation at the end": float(energies[-1] - energies[0]),
        "trend, energy a site and unit of time": float(slope),
    }


def quarters(energies: np.ndarray) -> dict[str, float]:
    """Mean energies a site of the second and the last quarter, with standard errors from four blocks of each."""
    parts = np.reshape(energies[1:], (4, 4, -1)).mean(axis=2)
    found: dict[str, float] = {}
    for number, name in ((1, "second"), (3, "last")):
        found[f"energy a site, {name} quarter"] = float(parts[number].mean())
        found[f"its error, {name} quarter"] = float(parts[number].std(ddof=1) / 2)
    return found


def shown(found: dict[str, Any], _: Path) -> str:
    """The table, and what is left."""
    left = found["left to --resume"]
    return stability_rows(found) + (f"\nleft to --resume: {', '.join(left)}" if left else "")


if __name__ == "__main__":
    main(Config, run, __doc__, shown)
