"""The four sublattices of the tetrahedral order: what a pulse does to their chirality, and the mode that they have."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages import Dynamics, spins_of
from experiments.stages.pulses import driven
from jaxspin.electrons import BlochDiagonalization
from jaxspin.observables import scalar_chirality

# Frames are this far apart in time, in units of hbar/t.
EVERY = 5.0


class Cell:
    """What a pulse `(knots, 3)` of some duration does to them, during it and `settle` after it.

    Its outcome is the mean chirality over `wait` after its end.
    """

    def __init__(self, field: BlochDiagonalization, motion: Dynamics, duration: float, wait: float, settle: float):
        self.field, self.motion, self.duration, self.wait = field, motion, duration, wait
        self.start = js.textures.tetrahedral(field.lattice)

        def chirality(pulse: jax.Array, spins: jax.Array, wait: float) -> jax.Array:
            run = js.simulate(
                driven(field, pulse, duration),
                spins,
                duration=duration + wait,
                step=motion.step,
                damping=motion.damping,
                save_every=EVERY,
                throw=False,
            )
            return jax.vmap(lambda s: jnp.mean(scalar_chirality(field.lattice, s)))(spins_of(run))

        def outcome(pulse, spins):
            return jnp.mean(self.after(chirality(pulse, spins, wait)))

        start = self.start
        self.history = jax.jit(lambda pulse: chirality(pulse, start, settle))
        self.outcome = lambda pulse: outcome(pulse, start)
        self.final = jax.jit(jax.vmap(self.outcome))
        self.slope = jax.jit(jax.value_and_grad(self.outcome))
        self.outcomes = jax.jit(jax.vmap(outcome, in_axes=(None, 0)))

    def after(self, chirality):
        """The part of the frames that lies in the `wait` after the pulse."""
        first = round(self.duration / EVERY)
        return chirality[first : first + round(self.wait / EVERY) + 1]

    def turned(self, pulse: jax.Array, number: int, below: float, *, key: jax.Array) -> float:
        """The share of random orientations of the order in which the pulse leaves a chirality below this."""
        keys = jax.random.split(key, number)
        frames, _ = jnp.linalg.qr(jax.vmap(lambda k: jax.random.normal(k, (3, 3)))(keys))
        frames = frames * jnp.linalg.det(frames)[:, None, None]
        found = self.outcomes(pulse, jnp.einsum("rab,...b->r...a", frames.astype(pulse.dtype), self.start))
        return float(jnp.mean(found < below))

    def twist(self, *, key: jax.Array) -> float:
        """The frequency of the one mode that the four sublattices have: the peak of its spectrum.

        The spins are let go a little off the order without damping; S_i . S_j does not see the motion of the frame.
        """
        start = self.start
        tilted = js.normalize(start + 0.01 * jax.random.normal(key, start.shape, start.dtype))
        run = js.simulate(self.field, tilted, duration=1000.0, step=self.motion.step, damping=0.0, save_every=EVERY)
        spins = np.asarray(spins_of(run), float).reshape(len(run.times), -1, 3)
        bonds = np.stack([np.sum(spins[:, i] * spins[:, j], -1) for i, j in itertools.combinations(range(4), 2)], -1)
        window = np.hanning(len(bonds))[:, None]
        power = np.sum(np.abs(np.fft.rfft((bonds - bonds.mean(0)) * window, 8 * len(bonds), axis=0)) ** 2, -1)
        frequency = 2 * np.pi * np.fft.rfftfreq(8 * len(bonds), EVERY)
        return float(frequency[np.argmax(power)])
