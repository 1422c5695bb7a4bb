"""Configurations of many kinds with exact labels, and the errors of a force field on those held out, by kind."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.stages.by_kind import errors_by_kind
from experiments.stages.checks import check_counts, check_positive
from experiments.stages.model import Electrons, Motion, Texture, textures_on
from experiments.stages.motion import frames_of, quenched
from jaxspin.training import (
    ShardWriter,
    SpinData,
    distinct,
    evaluate,
    perturbed_configurations,
    random_configurations,
)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which configurations a force field learns from. Times in hbar/t."""

    side: int = 12
    """Side of the lattice on which data are made."""
    field: Literal["exact", "kpm"] = "exact"
    """What drives the sampling runs; labels are exact either way."""
    colors: int = 16
    """Probing colours of the kernel-polynomial field (kpm)."""
    quenches: int = 10
    """Runs from random spins at the bath temperature."""
    quench_duration: float = 300.0
    """Length of each."""
    quench_frames: int = 100
    """Configurations kept of each."""
    spacing: float = 2.0
    """Frame k of n is kept at the fraction (k/n)^spacing of a quench: 1 evenly, 2 densely in the beginning."""
    hot_temperatures: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05)
    """Bath temperatures of the runs in equilibrium."""
    hot_textures: tuple[Texture, ...] = ("tetrahedral",)
    """Where these start; the temperatures go through the list in turn."""
    hot_duration: float = 60.0
    """Length of each."""
    hot_frames: int = 25
    """Configurations kept of each."""
    ordered: int = 120
    """Perturbed ordered states, of all textures together."""
    textures: tuple[Texture, ...] = ("tetrahedral", "stripe", "double_q")
    """Which orders are perturbed."""
    amplitudes: tuple[float, float] = (0.02, 0.6)
    """Least and largest standard deviation of the perturbation of each spin component."""
    random: int = 200
    """Random configurations."""
    overlap: float = 1.0
    """Frames of a run that agree with an earlier one to more than this, up to a global rotation, are left out before
    they are labelled (`jaxspin.training.distinct`); 1 keeps all."""

    def __post_init__(self):
        check_counts(self, "side", "quenches", "quench_frames", "hot_frames", "ordered", "random", "colors")
        check_positive(self, "quench_duration", "hot_duration")
        if not self.textures or not self.hot_textures:
            raise ValueError("textures and hot_textures name the orders to perturb; give at least one of each.")
        if not 0 < self.overlap <= 1:
            raise ValueError(f"overlap must be between 0 and 1, got {self.overlap}; 0.995 keeps all but near copies.")
        if not self.spacing >= 1:
            raise ValueError(f"spacing must be at least 1, got {self.spacing}; 1 keeps frames evenly, 2 early ones.")
        if not 0 < self.amplitudes[0] <= self.amplitudes[1]:
            raise ValueError(f"amplitudes must be positive and rise, got {self.amplitudes}; 0.02 0.6 is usual.")

    @property
    def quench_length(self) -> dict[str, Any]:
        """Duration and frames of a quench."""
        return {"duration": self.quench_duration, "frames": self.quench_frames, "spacing": self.spacing}

    def check(self, electrons: Electrons) -> None:
        """Raise `ValueError`, naming the size that fits, where a texture does not close around the lattice."""
        textures_on(electrons.on(self.side), (*self.textures, *self.hot_textures))


def sample(
    electrons: Electrons,
    sampling: Sampling,
    motion: Motion,
    folder: Path,
    *,
    key: jax.Array,
    resume: bool = False,
) -> SpinData:
    """Configurations of all kinds ("quench", "hot", "ordered", "random") with exact labels.

    Each run is a shard in `folder`, whole or absent: with `resume` those already there are not made again, and the
    result is that of an unbroken run. Perturbed and random states make one shard each.
    """
    sampling.check(electrons)
    lattice, exact = electrons.on(sampling.side), electrons.exact(sampling.side)
    field = exact if sampling.field == "exact" else electrons.kernel_polynomial(sampling.side, sampling.colors)
    quench_key, hot_key, ordered_key, random_key = jax.random.split(key, 4)

    def labelled(frames, source):
        return js.sample(exact, frames[np.array(_kept(frames, sampling.overlap))], source=source, run=0)

    def quench(n):
        own = jax.random.fold_in(quench_key, n)
        return labelled(quenched(field, lattice, motion, **sampling.quench_length, key=own), "quench")

    def heated(n):
        name = sampling.hot_textures[n % len(sampling.hot_textures)]
        start = textures_on(lattice, (name,))[name]
        length = {"duration": sampling.hot_duration, "frames": sampling.hot_frames}
        bath, noise = motion.at(sampling.hot_temperatures[n]), jax.random.fold_in(hot_key, n)
        return labelled(frames_of(field, start, bath, **length, key=noise), "hot")

    def perturbed():
        textures = textures_on(lattice, sampling.textures)
        amplitudes = jnp.linspace(*sampling.amplitudes, -(-sampling.ordered // len(textures)))
        keys = jax.random.split(ordered_key, len(textures))
        states = [perturbed_configurations(t, amplitudes, key=k) for t, k in zip(textures.values(), keys, strict=True)]
        return js.sample(exact, jnp.concatenate(states), source="ordered")

    def drawn():
        return js.sample(exact, random_configurations(lattice, sampling.random, key=random_key), source="random")

    jobs: list[Callable[[], SpinData]] = [lambda n=n: quench(n) for n in range(sampling.quenches)]
    jobs += [lambda n=n: heated(n) for n in range(len(sampling.hot_temperatures))]
    jobs += [perturbed, drawn]
    return _written(jobs, folder, resume)


def sample_quenches(
    field: js.AbstractField,
    electrons: Electrons,
    sampling: Sampling,
    motion: Motion,
    number: int,
    folder: Path,
    *,
    key: jax.Array,
    resume: bool = False,
) -> SpinData:
    """Configurations of `number` quenches driven by `field`, a learnt one say, with exact labels; source "learnt".

    A learnt field goes through a quench at the price of a few exact ones, and visits what it will be used for. Shards
    and `resume` as in `sample`.
    """
    exact = electrons.exact(sampling.side)

    def quench(n):
        own = jax.random.fold_in(key, n)
        found = quenched(field, exact.lattice, motion, **sampling.quench_length, key=own)
        return js.sample(exact, found[np.array(_kept(found, sampling.overlap))], source="learnt", run=0, batch=4)

    return _written([lambda n=n: quench(n) for n in range(number)], folder, resume)


def sample_random(
    electrons: Electrons, side: int, number: int, folder: Path, *, key: jax.Array, resume: bool = False
) -> SpinData:
    """Random configurations with exact labels, eight to a shard."""
    exact = electrons.exact(side)
    spins = random_configurations(exact.lattice, number, key=key)
    parts = [spins[first : first + 8] for first in range(0, number, 8)]
    return _written([lambda p=p: js.sample(exact, p, source="random", batch=1) for p in parts], folder, resume)


def _written(jobs: Sequence[Callable[[], SpinData]], folder: Path, resume: bool) -> SpinData:
    """What the jobs give, a shard each; those already in the folder are not made again."""
    writer = ShardWriter(folder, append=resume)
    for job in tqdm(jobs[writer.shards :], total=len(jobs), initial=writer.shards, desc="sampling", unit="shard"):
        writer.write(job())
    return SpinData.load(folder)


def hold_out(data: SpinData, quenches: int) -> tuple[SpinData, SpinData]:
    """What to learn from, and the first whole `quenches` with a fifth of everything that is no simulation.

    The second part is for the errors reported: its runs share nothing with those learnt from. Quenches are exact ones,
    or without any those of a force field.
    """
    sources, runs = np.array(data.sources), np.asarray(data.run)
    kind = "quench" if "quench" in data.sources else "learnt"
    present = np.unique(runs[sources == kind])
    if not 0 < quenches < len(present):
        raise ValueError(f"{quenches} of {len(present)} quenches cannot be held out; use 1, and at least two quenches.")
    held = np.isin(runs, present[:quenches])
    for name in ("ordered", "random"):
        held[np.flatnonzero(sources == name)[::5]] = True
    return data[~held], data[held]


def judge(model: js.AbstractPotential, tested: SpinData) -> dict[str, dict[str, float]]:
    """Errors on configurations never used for training or selection, by their kind and together."""
    return {"all": dataclasses.asdict(evaluate(model, tested)), **errors_by_kind(model, tested)}


def _kept(frames: jax.Array, overlap: float) -> list[int]:
    return list(range(len(frames))) if overlap == 1 else distinct(frames, overlap=overlap)
