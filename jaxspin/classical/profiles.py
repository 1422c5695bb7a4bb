"""Numbers that change in time: factors of pulses and currents, and temperatures.

Each is a pytree called with the time t (hbar/t) that returns a number; any callable of t will do. One that changes fast
should have a method `times_of_change()`, the times that adaptive steps and suggested ones must not overlook.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.couplings import finite, holds, not_negative, positive, real
from jaxspin.field import Time

# Times at which a run looks at a Gaussian pulse, in widths from its center: beyond the outermost it is below 1e-7.
_PULSE = (-6, -3, -1, 0, 1, 3, 6)


class Constant(eqx.Module):
    """`value` at all times.

    Raises `ValueError` for a value that is complex, infinite or NaN. A plain number does for
    `simulate(temperature=...)`.

    Example:
        >>> float(js.classical.Constant(0.5)(3.0))
        0.5
    """

    value: Float[Array, ""] = eqx.field(converter=real)

    def __check_init__(self):
        _check_finite(value=self.value)

    def __call__(self, t: Time) -> Float[Array, ""]:
        return self.value


class Ramp(eqx.Module):
    """initial + (final - initial) (t - start)/duration, constant before and after: a linear anneal, a switch.

    Times in hbar/t. A duration of zero makes a step.

    Raises `ValueError` for a duration below zero, and for ends that are complex or not finite.

    Example:
        >>> cooling = js.classical.Ramp(initial=1.0, final=0.0, duration=10.0)
        >>> [round(float(cooling(t)), 3) for t in (0.0, 5.0, 20.0)]
        [1.0, 0.5, 0.0]
    """

    initial: Float[Array, ""] = eqx.field(converter=real)
    final: Float[Array, ""] = eqx.field(converter=real)
    duration: Float[Array, ""] = eqx.field(converter=real)
    start: Float[Array, ""] = eqx.field(converter=real, default=0.0)

    def __check_init__(self):
        _check_finite(initial=self.initial, final=self.final)
        _check_span(duration=self.duration)

    def __call__(self, t: Time) -> Float[Array, ""]:
        elapsed = jnp.asarray(t, self.start.dtype) - self.start
        done = jnp.clip(elapsed / jnp.where(self.duration > 0, self.duration, 1), 0, 1)
        sudden = jnp.where(elapsed < 0, 0, 1)
        return self.initial + (self.final - self.initial) * jnp.where(self.duration > 0, done, sudden)

    def times_of_change(self) -> tuple[Time, ...]:
        return (self.start, self.start + self.duration)


class Quench(eqx.Module):
    """`initial` for t < `time` (hbar/t), `final` from then on.

    Raises `ValueError` for values that are complex or not finite. For a fall that takes some time use `Ramp`.

    Example:
        >>> quench = js.classical.Quench(initial=1.0, final=0.0, time=5.0)
        >>> float(quench(4.9)), float(quench(5.0))
        (1.0, 0.0)
    """

    initial: Float[Array, ""] = eqx.field(converter=real)
    final: Float[Array, ""] = eqx.field(converter=real)
    time: Float[Array, ""] = eqx.field(converter=real, default=0.0)

    def __check_init__(self):
        _check_finite(initial=self.initial, final=self.final)

    def __call__(self, t: Time) -> Float[Array, ""]:
        return jnp.where(jnp.asarray(t, self.time.dtype) < self.time, self.initial, self.final)

    def times_of_change(self) -> tuple[Time, ...]:
        return (self.time,)


class Exponential(eqx.Module):
    """final + (initial - final) exp(-(t - start)/decay_time), `initial` before `start`.

    Times in hbar/t. A decay time of zero makes a step.

    Raises `ValueError` for a decay time below zero, and for ends that are complex or not finite.

    Example:
        >>> cooling = js.classical.Exponential(initial=1.0, final=0.0, decay_time=2.0)
        >>> [round(float(cooling(t)), 3) for t in (0.0, 2.0, 4.0)]
        [1.0, 0.368, 0.135]
    """

    initial: Float[Array, ""] = eqx.field(converter=real)
    final: Float[Array, ""] = eqx.field(converter=real)
    decay_time: Float[Array, ""] = eqx.field(converter=real)
    start: Float[Array, ""] = eqx.field(converter=real, default=0.0)

    def __check_init__(self):
        _check_finite(initial=self.initial, final=self.final)
        _check_span(decay_time=self.decay_time)

    def __call__(self, t: Time) -> Float[Array, ""]:
        elapsed = jnp.asarray(t, self.start.dtype) - self.start
        left = jnp.exp(-jnp.maximum(elapsed, 0) / jnp.where(self.decay_time > 0, self.decay_time, 1))
        sudden = jnp.where(elapsed < 0, 1, 0)
        return self.final + (self.initial - self.final) * jnp.where(self.decay_time > 0, left, sudden)

    def times_of_change(self) -> tuple[Time, ...]:
        return (self.start,)


class GaussianPulse(eqx.Module):
    """exp(-(t - center)^2/(2 width^2)) cos(frequency (t - center) + phase); no oscillation by default.

    `center` and `width` in hbar/t, `frequency` in radians a unit of time, `phase` in radians.

    Raises `ValueError` for a width that is not positive, and for numbers that are complex or not finite.

    Example:
        >>> pulse = js.classical.GaussianPulse(center=5.0, width=1.0)
        >>> [round(float(pulse(t)), 3) for t in (4.0, 5.0, 6.0)]
        [0.607, 1.0, 0.607]
    """

    center: Float[Array, ""] = eqx.field(converter=real)
    width: Float[Array, ""] = eqx.field(converter=real)
    frequency: Float[Array, ""] = eqx.field(converter=real, default=0.0)
    phase: Float[Array, ""] = eqx.field(converter=real, default=0.0)

    def __check_init__(self):
        _check_finite(center=self.center, width=self.width, frequency=self.frequency, phase=self.phase)
        if not holds(positive, self.width):
            raise ValueError(f"width = {self.width} of a pulse must be positive; give its standard deviation in time.")

    def __call__(self, t: Time) -> Float[Array, ""]:
        delay = jnp.asarray(t, self.center.dtype) - self.center
        return jnp.exp(-0.5 * (delay / self.width) ** 2) * jnp.cos(self.frequency * delay + self.phase)

    def times_of_change(self) -> tuple[Time, ...]:
        """Center, flanks and tails, and the crest of the oscillation nearest to the center."""
        angle = (jnp.pi / 2 - self.phase) % jnp.pi - jnp.pi / 2
        oscillates = self.frequency != 0
        crest = jnp.where(oscillates, angle / jnp.where(oscillates, self.frequency, 1), 0)
        return (self.center + crest, *(self.center + n * self.width for n in _PULSE))


class Sinusoid(eqx.Module):
    """cos(frequency t + phase), `frequency` in radians a unit of time (hbar/t); phase -pi/2 makes a sine.

    Raises `ValueError` for numbers that are complex or not finite. For one that begins and ends use `GaussianPulse`.

    In single precision the phase is wrong by up to frequency t/1e7: by half a radian at frequency 6 and t = 1e6. Let a
    late run begin at t = 0, with the phase that the wave has then.

    Example:
        >>> wave = js.classical.Sinusoid(frequency=2.0)
        >>> [round(float(wave(t)), 3) for t in (0.0, 0.5, 1.0)]
        [1.0, 0.54, -0.416]
    """

    frequency: Float[Array, ""] = eqx.field(converter=real)
    phase: Float[Array, ""] = eqx.field(converter=real, default=0.0)

    def __check_init__(self):
        _check_finite(frequency=self.frequency, phase=self.phase)

    def __call__(self, t: Time) -> Float[Array, ""]:
        return jnp.cos(self.frequency * jnp.asarray(t, self.frequency.dtype) + self.phase)


def strength_at(profile: Callable[[Time], Float[Array, ""]], t: Time, dtype) -> Float[Array, ""]:
    """The factor of a pulse at the time t; `ValueError` where it is not one number."""
    strength = jnp.asarray(profile(t))
    if strength.shape != ():
        raise ValueError(
            f"the profile at a time has the shape {strength.shape}; return one number, a factor of the whole."
        )
    return strength.astype(dtype)


def _check_span(**spans: Float[Array, ""]) -> None:
    for name, value in spans.items():
        if not holds(not_negative, value):
            raise ValueError(f"{name} = {value} runs backwards; give zero or more, and swap initial and final.")


def _check_finite(**values: Float[Array, ""]) -> None:
    for name, value in values.items():
        if not holds(finite, value):
            raise ValueError(f"{name} = {value} is not finite; give a number.")
