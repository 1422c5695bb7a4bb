"""Data to learn the torques of a driven channel from: spins that move while a current flows, and their exact fields.

    python -m experiments.driven.driven_data               # a 12 x 8 channel, an hour or so on one core
    python -m experiments.driven.driven_data --resume      # after a kill: each run is a shard, whole or absent
    python -m experiments.driven.driven_data --help

A channel open along its first axis and periodic across, between two leads in the wide-band limit, with a weak bath.
Each run starts from random spins and follows them with the field of the electrons at the full bias; its frames are
labelled by the same solver and have no energies. `data/` holds the shards (`SpinData.load` reads them all), a run
number apiece for a split by runs. `summary.json` says what there is to learn: how far the field without current is off
the torques, and how much of the field's curl two potentials can have.
"""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from tqdm import tqdm

import jaxspin as js
from experiments.stages import Motion, Resumable, Timer, frames_of, main, open_folder
from experiments.stages.channel import Channel
from jaxspin.io import provenance, save_json
from jaxspin.observables import curl_fraction, unreachable_fraction
from jaxspin.training import ShardWriter, SpinData, evaluate


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """The channel, its leads and the runs. Energies in units of the hopping, times in hbar/t."""

    output: Path = Path("runs/driven_data")
    """Folder for `data/` and `summary.json`; an existing one is refused."""
    channel: Channel = dataclasses.field(default_factory=lambda: Channel(length=12, width=8, mu=-3.2, temperature=0.02))
    """The electrons between the leads, these at mu +- V/2."""
    voltage: float = 0.2
    """Difference of the leads' chemical potentials."""
    tolerance: float = 1e-5
    """Of the density matrix, absolute."""
    runs: int = 12
    """Simulations, a shard each."""
    duration: float = 300.0
    """Length of each."""
    frames: int = 40
    """Configurations kept of each."""
    spacing: float = 1.5
    """Frame k of n is kept at the fraction (k/n)^spacing of a run: 1 evenly, 2 densely in the beginning."""
    motion: Motion = dataclasses.field(default_factory=lambda: Motion(damping=0.1, step=0.5, temperature=0.001))
    """How the spins move."""
    curls: int = 2
    """Configurations whose Jacobian is computed, the last of as many runs."""
    seed: int = 0
    """Of starts and noise."""

    def __post_init__(self):
        if min(self.runs, self.frames) < 1 or not 0 <= self.curls <= self.runs:
            raise ValueError("runs and frames must be at least 1, and curls no more than runs; see --help.")
        if not (self.duration > 0 and self.spacing >= 1):
            raise ValueError("duration must be positive and spacing at least 1; see --help for the defaults.")


def solver_of(config: Config, voltage: float) -> js.GreensFunction:
    """The electrons of the channel at a bias."""
    return config.channel.around(config.channel.model, voltage, tolerance=config.tolerance)


def followed(config: Config, solver: js.GreensFunction, number: int) -> SpinData:
    """One run from random spins, its frames labelled."""
    start_key, noise = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), number))
    start = js.random_spins(solver.lattice, key=start_key)
    length = {"duration": config.duration, "frames": config.frames, "spacing": config.spacing}
    spins = frames_of(solver, start, config.motion, key=noise, **length)
    return js.sample(solver, spins, source="driven", run=number, batch=1)


def run(config: Config) -> dict[str, Any]:
    """Make what is not there yet, then say what there is."""
    folder = open_folder(config)
    timer = Timer(folder)
    with jax.enable_x64(True):
        driven, still = solver_of(config, config.voltage), solver_of(config, 0.0)
        with timer("sampling"):
            writer = ShardWriter(folder / "data", append=config.resume)
            for number in tqdm(range(writer.shards, config.runs), desc="runs", unit="run"):
                writer.write(followed(config, driven, number))
        data = SpinData.load(folder / "data")
        with timer("curls"):
            ends = [data.spins[(n + 1) * len(data) // config.runs - 1] for n in range(config.curls)]
            measure = eqx.filter_jit(lambda s: (curl_fraction(driven, s), unreachable_fraction(driven, s)))
            curls = [tuple(float(x) for x in measure(s)) for s in ends]
        with timer("without current"):
            some = data[jnp.arange(0, len(data), max(1, len(data) // 64))]
            off = evaluate(still, some)
    summary = {
        "configurations": len(data),
        "rms torque": float(data.torque_scale),
        "torque error without current": off.torque,
        "curl": [curl for curl, _ in curls],
        "unreachable": [beyond for _, beyond in curls],
        "seconds": timer.seconds,
        "provenance": provenance(config, config.seed),
    }
    save_json(folder / "summary.json", summary)
    return summary


if __name__ == "__main__":
    columns = ("configurations", "torque error without current", "curl", "unreachable")
    main(Config, run, __doc__, lambda found, _: str({name: found[name] for name in columns}))
