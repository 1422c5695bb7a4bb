"""Temperatures that change in time: pytrees called with the time t, returning the bath temperature T(t).

Any callable of t will do; parameters held in an `eqx.Module` can be differentiated.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Number = float | int | Float[Array, ""]


class Constant(eqx.Module):
    """T(t) = `value`."""

    value: Number

    def __call__(self, t: Number) -> Float[Array, ""]:
        return jnp.asarray(self.value)


class Ramp(eqx.Module):
    """T(t) = initial + (final - initial) (t - start)/duration, constant before and after: a linear anneal."""

    initial: Number
    final: Number
    duration: Number
    start: Number = 0.0

    def __call__(self, t: Number) -> Float[Array, ""]:
        done = jnp.clip((jnp.asarray(t) - self.start) / self.duration, 0.0, 1.0)
        return self.initial + (self.final - self.initial) * done


class Quench(eqx.Module):
    """T(t) = initial for t < `time`, final from then on."""

    initial: Number
    final: Number
    time: Number = 0.0

    def __call__(self, t: Number) -> Float[Array, ""]:
        return jnp.where(jnp.asarray(t) < self.time, self.initial, self.final)


class Exponential(eqx.Module):
    """T(t) = final + (initial - final) exp(-(t - start)/decay_time), `initial` before `start`."""

    initial: Number
    final: Number
    decay_time: Number
    start: Number = 0.0

    def __call__(self, t: Number) -> Float[Array, ""]:
        elapsed = jnp.maximum(jnp.asarray(t) - self.start, 0.0)
        return self.final + (self.initial - self.final) * jnp.exp(-elapsed / self.decay_time)
