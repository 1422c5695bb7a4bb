"""Exact runs that a force field learns from and is judged by, and how it is judged."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages import Dynamics, Texture, textures_on
from jaxspin.training import (
    RolloutData,
    SpinData,
    evaluate,
    perturbed_configurations,
    random_configurations,
    rollout_errors,
)

# Rms turn of the starts of the exact runs that show how fast the motion forgets.
TURN = 0.01


class Told(NamedTuple):
    """What a seed's trainings are told: runs, the general set, the pieces of the runs; and keys for all else."""

    runs: list[js.Trajectory]
    general: SpinData
    pieces: RolloutData
    keys: jax.Array


@dataclasses.dataclass(frozen=True)
class Runs:
    """Exact runs, of which the spins are known at intervals."""

    start: Texture | Literal["random"] = "one_hundred_twenty"
    """What runs start from: an order with every spin turned at random, or random spins."""
    amplitudes: tuple[float, float] = (0.1, 0.4)
    """Rms turns of the spins of an order at the start, spread evenly over the runs."""
    wait: float = 0.0
    """Time that a run goes on before it is looked at: a quench from random spins is learnt from at its later stage."""
    learnt: int = 6
    """Runs to learn from."""
    tests: int = 4
    """Runs to judge by."""
    motion: Dynamics = dataclasses.field(default_factory=lambda: Dynamics(damping=0.01, step=0.5))
    """Of every run."""
    horizon: int = 8
    """Steps of a rollout in training; the runs are ten times as long."""
    every: int = 8
    """Steps between frames, of the runs to learn from as well."""

    def __post_init__(self):
        if self.horizon % self.every:
            raise ValueError(f"horizon = {self.horizon} is no multiple of every = {self.every}; choose one that is.")
        if self.learnt < 3 or self.tests < 1:
            raise ValueError("give three runs to learn from and one to judge by; see --help for the defaults.")
        if not self.wait >= 0:
            raise ValueError(f"wait is a time, got {self.wait}; 0 looks at runs from their start.")

    @property
    def interval(self) -> float:
        """Time between frames."""
        return self.every * self.motion.step

    def told(self, exact: js.ExactDiagonalization, random: int, seed: int) -> Told:
        """The runs to learn from, beside so many random configurations."""
        keys = jax.random.split(jax.random.key(seed), 7)
        runs = self.followed(exact, self.starts(exact, self.learnt, key=keys[0]))
        general = js.sample(exact, random_configurations(exact.lattice, random, key=keys[4]), source="random")
        return Told(runs, general, RolloutData.of(runs, self.horizon // self.every), keys)

    def starts(self, exact: js.ExactDiagonalization, number: int, *, key: jax.Array) -> jax.Array:
        """The spins that runs start with, after the time that they are not looked at."""
        if self.start == "random":
            starts = random_configurations(exact.lattice, number, key=key)
        else:
            order = textures_on(exact.lattice, (self.start,))[self.start]
            starts = perturbed_configurations(order, jnp.linspace(*self.amplitudes, number), key=key)
        if not self.wait:
            return starts
        settings: dict[str, Any] = {"duration": self.wait, "step": self.motion.step, "damping": self.motion.damping}
        return jnp.stack([js.simulate(exact, s, save_every=self.wait, **settings).final for s in starts])

    def followed(self, exact: js.ExactDiagonalization, starts: jax.Array) -> list[js.Trajectory]:
        """Exact runs of ten horizons."""
        step, damping = self.motion.step, self.motion.damping
        length: dict[str, Any] = {"duration": 10 * self.horizon * step, "save_every": self.interval}
        return [js.simulate(exact, start, step=step, damping=damping, **length) for start in starts]

    def difference_error(self, along: SpinData) -> float:
        """Rms error, relative, of dS/dt from the frames before and after against that of the exact fields."""
        shape = (self.learnt, -1, *along.lattice.shape, 3)
        spins, field = along.spins.reshape(shape), along.field.reshape(shape)
        torque = jnp.cross(spins, field)
        rate = (torque - self.motion.damping * jnp.cross(spins, torque)) / (1 + self.motion.damping**2)
        seen = (spins[:, 2:] - spins[:, :-2]) / (2 * self.every * self.motion.step)
        off = js.spins.tangent(spins[:, 1:-1], seen) - rate[:, 1:-1]
        return float(jnp.linalg.norm(off) / jnp.linalg.norm(rate[:, 1:-1]))


def labelled(exact: js.AbstractPotential, runs: list[js.Trajectory]) -> SpinData:
    """The exact fields of the runs' frames."""
    return SpinData.concatenate([js.sample(exact, run) for run in runs])


class Judge:
    """Runs that no training has seen, random spins, and exact runs from slightly other starts."""

    def __init__(self, runs: Runs, exact: js.ExactDiagonalization, keys: jax.Array):
        starts = runs.starts(exact, runs.tests, key=keys[1])
        tests = runs.followed(exact, starts)
        near = labelled(exact, tests)
        elsewhere = js.sample(exact, random_configurations(exact.lattice, len(near), key=keys[5]), source="random")
        self.data = {
            "torque error": SpinData.concatenate([elsewhere, near]),
            "torque error, random": elsewhere,
            "torque error, runs": near,
        }
        self.long = RolloutData.of(tests, 10 * runs.horizon // runs.every)
        turned = jnp.concatenate(
            [perturbed_configurations(s, (TURN,), key=jax.random.fold_in(keys[6], n)) for n, s in enumerate(starts)]
        )
        other = RolloutData.of(runs.followed(exact, turned), self.long.frames)
        self.forgets = other.spins[:, 1:] - self.long.spins[:, 1:]
        self.times = runs.interval * np.arange(1, self.long.frames + 1)

    def errors(self, model: js.BehlerParrinello) -> dict[str, Any]:
        """Deviation against time, and torque errors."""
        deviation = rollout_errors(model, self.long)
        return {
            "deviation": deviation,
            "deviation at ten horizons": deviation[-1],
            "mean deviation over ten horizons": jnp.sqrt(jnp.mean(deviation**2)),
            **{kind: evaluate(model, data).torque for kind, data in self.data.items()},
        }

    def motion(self) -> dict[str, Any]:
        """How far the spins move, and how far the runs from other starts are off."""
        forgets = jnp.sqrt(jnp.mean(jnp.sum(self.forgets**2, axis=-1), axis=(0, *range(2, 5))))
        return {"motion": self.long.motion, "exact, other starts": forgets, "times": self.times}
