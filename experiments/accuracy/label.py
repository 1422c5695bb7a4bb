"""Exact labels for random configurations and for quenches of a force field, to train a better one on.

    python -m experiments.accuracy.label --forcefield FOLDER --output runs/label
    python -m experiments.accuracy.fit --data FILE.npz --more runs/label/data

A learnt field goes through a quench at the price of a few exact ones and visits what it will be used for; what it
finds there is labelled exactly. A killed run goes on with --resume.
"""

import dataclasses
from pathlib import Path

import jax

from experiments.stages import (
    Electrons,
    Motion,
    Quench,
    Resumable,
    Sampling,
    main,
    open_folder,
    sample_quenches,
    sample_random,
    stored_forcefield,
)
from experiments.stages.checks import check_counts
from jaxspin.training import SpinData


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Resumable):
    """What to label."""

    forcefield: Path
    """Folder of the force field that drives the quenches."""
    output: Path = Path("runs/label")
    """Folder for the data; an existing one is refused."""
    seed: int = 0
    """Of every random number."""
    electrons: Electrons = dataclasses.field(default_factory=lambda: Electrons("square", 6.0, 0.485, 0.0027))
    """The model; must be that of the force field."""
    motion: Motion = dataclasses.field(default_factory=lambda: Motion(damping=0.1, step=0.5, temperature=0.0025))
    """Of the quenches."""
    quenches: int = 5
    """Quenches from random spins."""
    quench: Quench = dataclasses.field(default_factory=lambda: Quench(side=30, duration=500.0, frames=12))
    """Each of them, its frames denser in the beginning; random configurations have its side."""
    random: int = 40
    """Random configurations."""

    def __post_init__(self):
        check_counts(self, "quenches", "random")
        check_counts(self.quench, "side")


def run(config: Config) -> SpinData:
    """Labels what is not there yet; everything is in `output`/data/random and /quenches, see `load`."""
    model = stored_forcefield(config.forcefield, config.electrons).on(config.electrons.on(config.quench.side))
    folder = open_folder(config)
    sampling = Sampling(
        side=config.quench.side, quench_duration=config.quench.duration, quench_frames=config.quench.frames
    )
    key = jax.random.key(config.seed)
    drawn = sample_random(
        config.electrons, config.quench.side, config.random, folder / "data" / "random", key=key, resume=config.resume
    )
    followed = sample_quenches(
        model,
        config.electrons,
        sampling,
        config.motion,
        config.quenches,
        folder / "data" / "quenches",
        key=jax.random.fold_in(key, 1),
        resume=config.resume,
    )
    return SpinData.concatenate([drawn, followed])


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, folder: f"{len(found)} configurations are in {folder}/data")
