"""Temperatures that change in time: pytrees called with the time t, returning the bath temperature T(t).

Any callable of t will do; parameters held in an `eqx.Module` can be differentiated. Those here refuse temperatures that
are negative, infinite or no number, where they are known: `ValueError`. One that changes fast may
have a method `times_of_change()`, the times not to be overlooked where the highest temperature is sought.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.couplings import holds, plain

Number = float | int | Float[Array, ""]


class Constant(eqx.Module):
    """T(t) = `value`."""

    value: Number = eqx.field(converter=plain)

    def __check_init__(self):
        _check(value=self.value)

    def __call__(self, t: Number) -> Float[Array, ""]:
        return jnp.asarray(self.value)


class Ramp(eqx.Module):
    """T(t) = initial + (final - initial) (t - start)/duration, constant before and after: a linear anneal.

    A duration of zero makes a step.
    """

    initial: Number = eqx.field(converter=plain)
    final: Number = eqx.field(converter=plain)
    duration: Number = eqx.field(converter=plain)
    start: Number = eqx.field(converter=plain, default=0.0)

    def __check_init__(self):
        _check(initial=self.initial, final=self.final)
        _check_span(duration=self.duration)

    def __call__(self, t: Number) -> Float[Array, ""]:
        elapsed, duration = jnp.asarray(t) - self.start, jnp.asarray(self.duration)
        done = jnp.clip(elapsed / jnp.where(duration > 0, duration, 1), 0, 1)
        sudden = jnp.where(elapsed < 0, 0, 1)
        return self.initial + (self.final - self.initial) * jnp.where(duration > 0, done, sudden)

    def times_of_change(self) -> tuple[Number, ...]:
        return (self.start, self.start + self.duration)


class Quench(eqx.Module):
    """T(t) = initial for t < `time`, final from then on."""

    initial: Number = eqx.field(converter=plain)
    final: Number = eqx.field(converter=plain)
    time: Number = eqx.field(converter=plain, default=0.0)

    def __check_init__(self):
        _check(initial=self.initial, final=self.final)

    def __call__(self, t: Number) -> Float[Array, ""]:
        return jnp.where(jnp.asarray(t) < self.time, self.initial, self.final)

    def times_of_change(self) -> tuple[Number, ...]:
        return (self.time,)


class Exponential(eqx.Module):
    """T(t) = final + (initial - final) exp(-(t - start)/decay_time), `initial` before `start`.

    A decay time of zero makes a step.
    """

    initial: Number = eqx.field(converter=plain)
    final: Number = eqx.field(converter=plain)
    decay_time: Number = eqx.field(converter=plain)
    start: Number = eqx.field(converter=plain, default=0.0)

    def __check_init__(self):
        _check(initial=self.initial, final=self.final)
        _check_span(decay_time=self.decay_time)

    def __call__(self, t: Number) -> Float[Array, ""]:
        elapsed, decay = jnp.asarray(t) - self.start, jnp.asarray(self.decay_time)
        left = jnp.exp(-jnp.maximum(elapsed, 0) / jnp.where(decay > 0, decay, 1))
        sudden = jnp.where(elapsed < 0, 1, 0)
        return self.final + (self.initial - self.final) * jnp.where(decay > 0, left, sudden)

    def times_of_change(self) -> tuple[Number, ...]:
        return (self.start,)


def _check(**temperatures: Number) -> None:
    for name, value in temperatures.items():
        if not holds(lambda x: jnp.isfinite(x) & (x >= 0), value):
            raise ValueError(f"{name} = {value} is no temperature; give a finite number, zero or more.")


def _check_span(**spans: Number) -> None:
    for name, value in spans.items():
        if not holds(lambda x: x >= 0, value):
            raise ValueError(f"{name} = {value} runs backwards; give zero or more, and swap initial and final.")
