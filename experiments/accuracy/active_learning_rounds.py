"""One arm of `active_learning`: what it begins with, and its rounds of training, quenching, choosing and labelling."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import jaxspin as js
from experiments.stages import Electrons, Moments, Motion, Network, Quench, Texture, textures_on
from experiments.stages.motion import quenched
from jaxspin.io import load_or_make
from jaxspin.training import SpinData, choose, perturbed_configurations, random_configurations

Arm = Literal["random", "logarithmic", "mean", "max", "relative"]
Configurations = Float[Array, "n *cells sublattices 3"]


@dataclasses.dataclass(frozen=True)
class Rounds:
    """Settings that all arms share. Energies in units of the hopping t, times in hbar/t."""

    electrons: Electrons = dataclasses.field(default_factory=lambda: Electrons("triangular", 4.0, 0.5, 0.05))
    """The model."""
    order: Texture = "one_hundred_twenty"
    """What is perturbed to begin with."""
    network: Network = dataclasses.field(default_factory=lambda: Network(Moments(hops=2, moments=16), hidden=(32, 32)))
    """Of each member."""
    motion: Motion = dataclasses.field(default_factory=Motion)
    """Of every quench."""
    quench: Quench = dataclasses.field(default_factory=lambda: Quench(side=9, duration=200.0, frames=50))
    """Every quench; the order must close around its lattice, which is that of all configurations."""
    quenches: int = 1
    """Quenches in a round: their frames are the candidates."""
    random: int = 2
    """Random configurations to begin with."""
    ordered: int = 2
    """Perturbed states of the order to begin with."""
    rounds: int = 3
    """Rounds of choosing and labelling; training follows each."""
    picks: int = 3
    """Labels added in a round."""
    overlap: float = 0.95
    """Frames more alike than this, see `jaxspin.training.choose`, are not labelled twice when chosen by spread."""
    members: int = 3
    """Force fields in a committee."""
    training: js.TrainConfig = dataclasses.field(
        default_factory=lambda: js.TrainConfig(
            steps=300, batch=4, learning_rate=4e-3, balance=0.5, evaluate_every=150, average=0.98, validation=0.2
        )
    )
    """How each member is trained."""

    def __post_init__(self):
        textures_on(self.electrons.on(self.quench.side), (self.order,))
        if self.quenches * self.quench.frames < self.picks:
            raise ValueError(
                f"{self.picks} picks of {self.quenches * self.quench.frames} frames; raise --quench.frames."
            )


def rounds(
    config: Rounds,
    held: SpinData,
    folder: Path,
    seed: int,
    arm: Arm,
    judge: Callable[[js.Committee], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """The rounds of one arm, each stored when it is done: yields their rows of the summary, with what `judge` finds.

    Arms of one seed begin alike and quench from the same spins with the same noise.
    """
    exact = config.electrons.exact(config.quench.side)
    begin_key, *keys = jax.random.split(jax.random.key(seed), config.rounds + 2)
    data = js.sample(exact, beginning(config, begin_key))
    place = folder / f"seed_{seed}" / arm
    for number, key in enumerate(keys):
        chosen, last = place / f"round_{number}.zarr", number == config.rounds

        def row(number=number, key=key, data=data, chosen=chosen, last=last):
            train_key, quench_key, choice_key = jax.random.split(key, 3)
            # all arms begin with one committee
            checkpoint = (place if number else place.parent) / f"training_{number}"
            settings: dict[str, Any] = {"members": config.members, "known": held.spins, "checkpoint": checkpoint}
            model = config.network.on(config.electrons, config.quench.side)
            committee = js.training.train_committee(model, data, config.training, key=train_key, **settings).model
            found = {"seed": seed, "arm": arm, "round": number, "labels": len(data), **judge(committee)}
            if last:
                js.forcefield.save(place / "committee", committee, metadata=found, overwrite=True)
                return found
            frames = frames_of_quenches(config, committee, config.quenches, quench_key)
            picks = picked(config, arm, committee, frames, data.spins, choice_key)
            js.sample(exact, frames[np.array(picks)]).save(chosen, overwrite=True)
            return {**found, "chosen": picks}

        yield load_or_make(place / f"round_{number}.json", row)
        if not last:
            data = SpinData.concatenate([data, SpinData.load(chosen)])


def beginning(config: Rounds, key: PRNGKeyArray) -> Configurations:
    """Random spins and perturbed states of the order."""
    random_key, ordered_key = jax.random.split(key)
    lattice = config.electrons.on(config.quench.side)
    amplitudes = jnp.linspace(0.05, 0.5, config.ordered)
    (order,) = textures_on(lattice, (config.order,)).values()
    ordered = perturbed_configurations(order, amplitudes, key=ordered_key)
    return jnp.concatenate([random_configurations(lattice, config.random, key=random_key), ordered])


def frames_of_quenches(config: Rounds, field: js.AbstractField, count: int, key: PRNGKeyArray) -> Configurations:
    """The frames of quenches from random spins, their starts left out."""
    lattice = config.electrons.on(config.quench.side)
    length = {"duration": config.quench.duration, "frames": config.quench.frames}
    keys = jax.random.split(key, count)
    return jnp.concatenate([quenched(field, lattice, config.motion, **length, key=one) for one in keys])


def picked(
    config: Rounds,
    arm: Arm,
    committee: js.Committee,
    frames: Configurations,
    known: Configurations,
    key: PRNGKeyArray,
) -> list[int]:
    """The numbers of the frames to label: at random, or by spread without those like another or a known one."""
    if arm in ("mean", "max", "relative"):
        return choose(committee, frames, config.picks, known=known, by=arm, overlap=config.overlap)
    weights = jnp.ones(len(frames))
    if arm == "logarithmic":
        weights = 1 / (1.0 + jnp.arange(len(frames)) % config.quench.frames)
    rows = jax.random.choice(key, len(frames), (config.picks,), replace=False, p=weights / jnp.sum(weights))
    return np.asarray(rows).tolist()
