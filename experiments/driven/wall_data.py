"""Data to learn how a voltage moves a wall: runs of a narrow channel at several voltages, and their exact fields.

    python -m experiments.driven.wall_data                 # a 16 x 4 channel, ten minutes on one core
    python -m experiments.driven.wall_data --resume        # after a kill: each run is a shard, whole or absent
    python -m experiments.driven.wall_data --output runs/wall_data_64 --channel.length 64 --positions 0.15 0.9 \\
        --forcefield jaxspin/forcefield/weights/driven-channel --frames 12 --walls 6 --quenches 0
    python -m experiments.driven.wall_data --help

The channel is open along its first axis and periodic across. Its left lead and its bath are kept at the chemical
potential `mu`, inside the gap of the Neel state (J = 3.8, one electron a site); the right lead is lowered by the
voltage V, draws electrons out and makes a ferromagnetic metal before it. A wall between the two moves to the left
above a threshold. Runs start from such walls, with their axes, position, width and tilts at random, or from random
spins ("quench"), and follow the field of the electrons between the leads; in channels too long for that they follow a
learnt field (`--forcefield`), and the exact one is computed at the frames kept. `data/` holds the shards, the source of
each "wall 1.00" with the voltage, and "held out ..." for those not to be trained on.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

import jaxspin as js
from experiments.driven.wall_starts import wall_start
from experiments.stages import Motion, Resumable, Timer, frames_of, main, open_folder
from experiments.stages.channel import Channel
from jaxspin.forcefield import at_voltage, load
from jaxspin.io import provenance, save_json
from jaxspin.spins import normalize
from jaxspin.training import ShardWriter, SpinData


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """The channel, the voltages and the runs. Times in hbar/t."""

    output: Path = Path("runs/wall_data")
    """Folder for `data/` and `summary.json`; an existing one is refused."""
    channel: Channel = dataclasses.field(default_factory=Channel)
    """The electrons between the leads, the right one at mu - V."""
    voltages: tuple[float, ...] = (0.8, 1.0, 1.2, 1.4)
    """To learn from."""
    walls: int = 3
    """Runs from a wall at each voltage."""
    quenches: int = 1
    """Runs from random spins at each voltage."""
    still: int = 1
    """Runs of each kind without a voltage."""
    held_voltages: tuple[float, ...] = (0.8, 1.0, 1.1, 1.2, 1.4)
    """Of the runs held out, one from a wall at each; a voltage that is not in `voltages` is learnt by nobody."""
    duration: float = 80.0
    """Length of each run."""
    frames: int = 40
    """Configurations kept of each."""
    positions: tuple[float, float] = (0.55, 0.8)
    """Range of the walls' positions at the start, in units of the length."""
    forcefield: Path | None = None
    """Moves the spins instead of the exact field, which is computed at the frames kept alone."""
    motion: Motion = dataclasses.field(default_factory=lambda: Motion(damping=0.5, step=0.5, temperature=0.001))
    """How the spins move."""
    seed: int = 0
    """Of starts and noise."""

    def __post_init__(self):
        if min(self.walls, self.frames) < 1 or min(self.quenches, self.still) < 0:
            raise ValueError("walls and frames must be at least 1, quenches and still not negative; see --help.")
        if not self.voltages or not self.duration > 0:
            raise ValueError("give at least one voltage and a positive duration; see --help for the defaults.")
        if not 0 <= self.positions[0] <= self.positions[1] <= 1:
            raise ValueError(
                f"positions holds two fractions of the length, rising, got {self.positions}; (0.55, 0.8) is usual."
            )


def plan(config: Config) -> list[tuple[str, float]]:
    """The kind and the voltage of every run; the kinds are mixed, so that the first shards already serve."""
    rounds = [("wall", v, n) for v in config.voltages for n in range(config.walls)]
    rounds += [("quench", v, n) for v in config.voltages for n in range(config.quenches)]
    rounds += [(kind, 0.0, n) for kind in ("wall", "quench") for n in range(config.still)]
    rounds += [("held out wall", v, 0) for v in config.held_voltages]
    return [(kind, v) for kind, v, _ in sorted(rounds, key=lambda r: r[2])]


def start_of(config: Config, kind: str, key: jax.Array) -> jax.Array:
    """Spins to begin with."""
    lattice, (one, two, three) = config.channel.lattice, jax.random.split(key, 3)
    if kind == "quench":
        return js.random_spins(lattice, key=one)
    position = lattice.cells[0] * jax.random.uniform(one, minval=config.positions[0], maxval=config.positions[1])
    width = jax.random.uniform(two, minval=0.5, maxval=2.0)
    return wall_start(lattice, float(position), float(width), key=three)


def followed(config: Config, kind: str, voltage: float, number: int) -> SpinData:
    """One run, its frames labelled."""
    start_key, noise = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), number))
    exact, start = config.channel.exact(voltage), start_of(config, kind, start_key)
    field: js.AbstractField = exact
    if config.forcefield is not None:
        learnt: Any = load(config.forcefield)
        field, start = at_voltage(learnt.on(exact.lattice), voltage), start.astype(jnp.float32)
    spins = frames_of(
        field, start, config.motion, duration=config.duration, frames=config.frames, spacing=1.3, key=noise
    )
    # labels in double precision, whatever moved the spins
    labelled = normalize(spins.astype(float))
    return js.sample(exact, labelled, source=f"{kind} {voltage:.2f}", run=number, batch=1)


def voltage_of(source: str) -> float:
    """The voltage in the source of a configuration."""
    return float(source.rsplit(" ", 1)[-1])


def run(config: Config) -> dict[str, Any]:
    """Make what is not there yet, then say what there is."""
    if config.forcefield is not None:
        load(config.forcefield)  # a wrong path is refused before there is a folder
    folder = open_folder(config)
    timer = Timer(folder)
    todo = plan(config)
    with jax.enable_x64(True), timer("sampling"):
        writer = ShardWriter(folder / "data", append=config.resume)
        for number in tqdm(range(writer.shards, len(todo)), desc="runs", unit="run"):
            writer.write(followed(config, *todo[number], number))
        data = SpinData.load(folder / "data")
        scale = float(data.torque_scale)
    summary = {
        "configurations": len(data),
        "rms torque": scale,
        "runs": [f"{kind} {voltage:.2f}" for kind, voltage in todo],
        "seconds": timer.seconds,
        "provenance": provenance(config, config.seed),
    }
    save_json(folder / "summary.json", summary)
    return summary


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: str({"configurations": found["configurations"]}))
