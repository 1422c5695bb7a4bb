"""Spins that diffuse freely, each on one Brownian path at coarse and fine steps: errors of an integrator with noise."""

from collections.abc import Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import jaxspin as js
from jaxspin.dynamics import LLG, Clock, Constant


class Refined(diffrax.AbstractPath):
    """A Brownian path known on a fine grid, for steps that are `stride` of its cells long."""

    increments: Float[Array, "n ..."]
    stride: int = eqx.field(static=True)
    t0 = 0.0
    t1 = np.inf

    def evaluate(self, t0, t1=None, left=True):
        cells = jax.lax.dynamic_slice_in_dim(
            self.increments, jnp.round(t0).astype(jnp.int32) * self.stride, self.stride
        )
        # in units of the coarse step
        return jnp.sum(cells, axis=0) / np.sqrt(self.stride)


def diffusion_errors(solver: Any, numbers: Sequence[int], walkers: int) -> list[tuple[float, float]]:
    """(rms distance from the finely resolved path, distance of the mean from it) at t = 1, for every number of steps.

    The mean is compared on the same noise: only the difference fluctuates.
    """
    lattice, cells = js.chain(walkers), 16 * max(numbers)
    spins = jnp.zeros((*lattice.shape, 3)).at[..., 2].set(1.0)
    increments = jax.random.normal(jax.random.key(0), (cells, *spins.shape))
    damping, temperature = jnp.asarray(0.5), Constant(jnp.asarray(0.5))

    @eqx.filter_jit
    def final(steps: int, spins: Array, increments: Array) -> Array:
        noise = Refined(increments, cells // steps)
        term = LLG(js.Zeeman([0.0, 0.0, 0.0]), damping, temperature, noise, clock=Clock(jnp.asarray(1 / steps)))

        def step(number, spins):
            n = number.astype(spins.dtype)
            return solver.advance(term, n, n + 1, spins, term.contr(n, n + 1))

        return jax.lax.fori_loop(0, steps, step, spins)

    fine = final(cells, spins, increments)
    differences = [final(steps, spins, increments) - fine for steps in numbers]
    return [
        (float(jnp.sqrt(jnp.mean(jnp.sum(d**2, axis=-1)))), float(jnp.abs(jnp.mean(d[..., 2])))) for d in differences
    ]
