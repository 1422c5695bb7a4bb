"""A voltage moves the wall between an insulating antiferromagnet and a conducting ferromagnet: exact and learnt.

    python -m experiments.driven.wall_data && python -m experiments.driven.wall_learning      # first: the learnt field
    python -m experiments.driven.voltage_domain_wall       # twenty minutes on one core
    python -m experiments.driven.voltage_domain_wall --forcefield jaxspin/forcefield/weights/driven-channel
    python -m experiments.driven.voltage_domain_wall --help

The channel of `experiments.driven.wall_data`: Neel order before the left lead, a ferromagnet before the right one,
whose chemical potential is lower by V. From the same starts and with the same noise the spins follow the field of the
electrons between the leads and the learnt one, which has the voltage as an input. Compared at each voltage: the wall's
position against time, its velocity, the currents, and the profiles across it. Then the learnt field alone moves a wall
through a channel many times longer; there the exact field is computed at single frames.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.driven.voltage_domain_wall_figures import animate, draw_long, draw_motion, draw_profiles
from experiments.driven.wall_measures import measured, motion_of, profile, velocities
from experiments.driven.wall_starts import wall_start
from experiments.stages import Motion, Resumable, Timer, main, open_folder, quench, spins_of
from experiments.stages.channel import Channel
from jaxspin.forcefield import at_voltage, load
from jaxspin.io import provenance, save_json
from jaxspin.spins import tangent


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """The channel, the voltages and the runs. Times in hbar/t."""

    forcefield: Path = Path("runs/wall_learning/forcefield")
    """The learnt field."""
    output: Path = Path("runs/voltage_domain_wall")
    """Folder for runs, figures and `summary.json`; an existing one is refused."""
    channel: Channel = dataclasses.field(default_factory=Channel)
    """The electrons."""
    voltages: tuple[float, ...] = (0.8, 1.0, 1.1, 1.2)
    """At which walls are compared; 1.1 is in no training run."""
    starts: int = 2
    """Walls at each voltage."""
    duration: float = 80.0
    """Of each run."""
    settled: float = 10.0
    """From when on velocities are measured."""
    frames: int = 40
    """Kept of each run."""
    motion: Motion = dataclasses.field(default_factory=lambda: Motion(damping=0.5, step=0.5, temperature=0.001))
    """How the spins move."""
    shown: float = 1.1
    """The voltage of profiles, animation and the long channel, one of `voltages`."""
    long: int = 160
    """Cells along the long channel."""
    long_duration: float = 400.0
    """Of the run in it."""
    checked: int = 2
    """Frames of that run at which the exact field is computed."""
    seed: int = 1000
    """Of starts and noise, other than those of the data."""

    def __post_init__(self):
        if self.shown not in self.voltages:
            raise ValueError(f"shown = {self.shown:g} is none of the voltages {self.voltages}; choose one of them.")
        if min(self.starts, self.frames) < 1 or not self.duration > self.settled >= 0:
            raise ValueError("starts and frames must be at least 1, and a run longer than settled; see --help.")


def followed(config: Config, folder: Path, field: js.AbstractField, name: str, voltage: float, number: int):
    """One run from a wall, frame by frame."""
    lattice = config.channel.lattice
    start_key, noise = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), number))
    start = wall_start(lattice, 0.75 * lattice.cells[0], 1.0, key=start_key)
    path = folder / f"{name}_{voltage:.2f}_{number}.zarr"
    kept = {"duration": config.duration, "frames": config.frames, "key": noise}
    return quench(path, field, start, config.motion, **kept)


def long_run(config: Config, folder: Path, model: Any) -> dict[str, Any]:
    """A wall through the long channel, with the learnt field."""
    channel = dataclasses.replace(config.channel, length=config.long)
    learnt = at_voltage(model.on(channel.lattice), config.shown)
    start_key, noise = jax.random.split(jax.random.key(config.seed + 1))
    start = wall_start(channel.lattice, config.long - 8.0, 1.0, key=start_key).astype(jnp.float32)
    path = folder / "long.zarr"
    kept = {"duration": config.long_duration, "frames": 50, "key": noise}
    run = quench(path, learnt, start, config.motion, **kept)
    solver, errors = channel.solver(config.shown), []
    for n in np.linspace(0, len(run.times) - 1, config.checked + 1).astype(int)[1:]:
        spins = spins_of(run)[int(n)]
        exact = tangent(spins, solver.field(spins))
        errors.append(float(jnp.linalg.norm(tangent(spins, learnt.field(spins)) - exact) / jnp.linalg.norm(exact)))
    return {**motion_of(run, config.settled), "torque errors": errors}


def run(config: Config) -> dict[str, Any]:
    """All runs, the long channel, figures and the summary."""
    folder = open_folder(config)
    timer = Timer(folder)
    model: Any = load(config.forcefield)
    rows: list[dict[str, Any]] = []
    profiles: dict[str, Any] = {}
    films: dict[str, np.ndarray] = {}
    with jax.enable_x64(True):
        for voltage in config.voltages:
            exact = config.channel.exact(voltage)
            fields: dict[str, js.AbstractField] = {
                "exact": exact,
                "learnt": at_voltage(model.on(config.channel.lattice), voltage),
            }
            for number in range(config.starts):
                row: dict[str, Any] = {"voltage": voltage, "start": number}
                for name, field in fields.items():
                    with timer(name):
                        trajectory = followed(config, folder, field, name, voltage, number)
                    with timer("currents"):
                        row[name] = measured(exact, trajectory, config.settled)
                    if voltage == config.shown and number == 0:
                        films[name] = np.asarray(spins_of(trajectory))
                        profiles[name] = profile(exact, spins_of(trajectory)[len(trajectory.times) // 2])
                rows.append(row)
                print(voltage, number, *(f"{name} {row[name]['velocity']:.4f}" for name in fields), flush=True)
        with timer("long channel"):
            far = long_run(config, folder, model)
    speeds = velocities(config.voltages, rows)
    summary = {
        "velocities": speeds,
        "runs": rows,
        "profiles": profiles,
        "long channel": {"length": config.long, "voltage": config.shown, **far},
        "seconds": timer.seconds,
        "provenance": provenance(config, config.seed),
    }
    save_json(folder / "summary.json", summary)
    draw_motion(folder / "motion.png", rows, speeds)
    draw_profiles(folder / "profiles.png", config.shown, profiles)
    draw_long(folder / "long.png", far)
    animate(folder / "wall.gif", films)
    return summary


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: "\n".join(map(str, found["velocities"])))
