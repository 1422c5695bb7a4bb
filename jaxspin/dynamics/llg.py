"""The stochastic Landau-Lifshitz-Gilbert equation as a diffrax term.

(1 + a^2) dS/dt = S x (B + xi) - a S x (S x (B + xi)), Stratonovich, with <xi xi> = 2 a T delta(t - t').
Spins and fields `(*cells, sublattices, 3)`; damping a one number or `(*cells, sublattices)`, masks likewise.
"""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxspin import renamed
from jaxspin.arrays.vectors import add, cross, dot, scale, settled, subtract, where
from jaxspin.classical.sites import moments_at
from jaxspin.couplings import finite_and_not_negative, finite_and_positive, holds
from jaxspin.field import AbstractField

Spins = Float[Array, "*cells sublattices 3"]
# A mask of ones and zeros serves as one of truth values.
Mask = Bool[Array, "*cells sublattices"] | Int[Array, "*cells sublattices"]


def as_mask(frozen: Mask | None) -> Bool[Array, "*cells sublattices"] | None:
    """The mask as truth values: of integers, `~` would be the bitwise complement."""
    return None if frozen is None else jnp.asarray(frozen).astype(bool)


class Clock(eqx.Module):
    """Solver time n, counted in steps, to t = origin + step (n + last) and to the step number n + last.

    Integers are exact in single precision, where 0.05, 0.10, ... are not. With the integer `last`, the steps made
    before, a continued run has exactly the times and step numbers of the unbroken one. The default is t = n. Times in
    hbar/t. For `LLG` in a loop of your own: `simulate` makes it, and checks its numbers.

    Example:
        >>> clock = js.dynamics.Clock(step=0.1, last=5)
        >>> n = jnp.asarray(3.0)
        >>> round(float(clock.time(n)), 3), int(clock.step_number(n))
        (0.8, 8)
    """

    step: float | Float[Array, ""] = 1.0
    last: int | Int[Array, ""] = 0
    origin: float | Float[Array, ""] = 0.0

    number = renamed.attribute("Clock", "number", "step_number")

    def time(self, n: Float[Array, ""]) -> Float[Array, ""]:
        """t = origin + step (n + last), in the precision of n."""
        return jnp.asarray(self.origin + self.step * (n + jnp.asarray(self.last, n.dtype)), n.dtype)

    def step_number(self, n: Float[Array, ""]) -> Int[Array, ""]:
        """n + last, n rounded to a whole step: what selects the noise."""
        return jnp.round(n).astype(jnp.int32) + self.last


class Interval(eqx.Module):
    """The control over a step: its duration (hbar/t), and the Brownian increment of the noise or None.

    The increment has the shape of the spins and the variance of the duration in each component. What `LLG.contr` hands
    to a `Push`; a record, without checks of its own.

    Example:
        >>> interval = js.dynamics.Interval(time=jnp.asarray(0.1), wiener=None)
        >>> round(float(interval.time), 3)
        0.1
    """

    time: Float[Array, ""]
    wiener: Float[Array, "..."] | None
    # whether to refuse a spin that turns by more than half a turn in it, as in a time step
    bounded: bool = eqx.field(static=True, default=False)


class Push(eqx.Module):
    """What drives the spins at one instant; linear in the interval it acts over.

    With the impulse b = B dt + sqrt(2 a T) dW it turns every spin by w = -(b - a S x b)/(1 + a^2), so that dS
    = w x S = S x (b - a S x b)/(1 + a^2).

    What `LLG.vf` returns: `spins` and `field` B `(*cells, sublattices, 3)`, `damping` a, `strength` sqrt(2 a T) (None
    without noise), and the spins that are `moving` (None: all). Solvers read `rotation`; a record, without checks of
    its own.

    Example:
        >>> equation = js.dynamics.LLG(js.Zeeman((0.0, 0.0, 1.0)), damping=0.0)
        >>> push = equation.vf(0.0, jnp.array([[[1.0, 0.0, 0.0]]]), None)
        >>> turn = push.rotation(js.dynamics.Interval(time=jnp.asarray(0.1), wiener=None))
        >>> [round(float(w), 3) + 0.0 for w in turn[0, 0]]
        [0.0, 0.0, -0.1]
    """

    spins: Spins
    field: Spins
    damping: Float[Array, ""] | Float[Array, "*cells sublattices"]
    strength: Float[Array, ""] | Float[Array, "*cells sublattices"] | None
    moving: Bool[Array, "*cells sublattices"] | None

    def rotation(self, interval: Interval) -> Spins:
        """The rotation vector w of every spin (radians), zero where frozen.

        NaN where the field turns a spin by more than pi within a time step: such a motion is not resolved, and
        would go unnoticed by solvers that keep the spins' length.
        """
        impulse = scale(interval.time, self.field)
        if interval.bounded:
            resolved = dot(impulse, impulse) <= np.pi**2 * (1 + self.damping**2)
            impulse = where(resolved, impulse, jnp.full_like(impulse, jnp.nan))
        if interval.wiener is not None and self.strength is not None:
            impulse = add(impulse, scale(self.strength, interval.wiener))
        turn = subtract(scale(self.damping, cross(self.spins, impulse)), impulse)
        return self._where_moving(scale(1 / (1 + self.damping**2), turn), jnp.zeros_like(self.spins))

    def square_of_turn(self, interval: Interval) -> Float[Array, ""]:
        """The square of the largest angle (radians) by which the field, without noise, turns a spin that moves.

        It is the angle about the field's axis, which a rotation solver must resolve. A spin nearly along the field
        hardly moves, but counts like any other.
        """
        square = dot(self.field, self.field) * dot(self.spins, self.spins) / (1 + self.damping**2)
        square = square if self.moving is None else jnp.where(self.moving, square, 0)
        return jax.lax.stop_gradient(interval.time**2 * jnp.max(square))

    def __call__(self, interval: Interval) -> Spins:
        """The tangent displacement dS = w x S."""
        return cross(self.rotation(interval), self.spins)

    def hold(self, spins: Spins) -> Spins:
        """`spins`, with the frozen ones put back to where they were, bit for bit."""
        return self._where_moving(spins, self.spins)

    def _where_moving(self, vectors: Spins, otherwise: Spins) -> Spins:
        return vectors if self.moving is None else where(self.moving, vectors, otherwise)


class LLG(diffrax.AbstractTerm):
    """The equation above for any field, for `diffrax.diffeqsolve` with a solver of `jaxspin.dynamics`.

    `simulate` builds it for you; use it directly to write your own loop. The spins are the state; those of
    length zero (vacancies) stay zero and `frozen` ones stay where they are. Solver time counts steps of
    `clock.step`; with the default clock it is physical time. Without `noise` the temperature is zero. `key`
    feeds fields that draw random numbers: the spin solvers use `fold_in(key, step number)` throughout a step.

    A spin of length m (`moment`; hbar and the gyromagnetic ratio are 1) is turned by B/m and feels the noise of
    T/m, while `spins` and energies are those of the unit vector along it. The equilibrium does not depend on m.
    A term that is a velocity and no energy, such as `SpinTransferTorque`, is not divided by m (`AbstractField.rate`).

    Stratonovich solvers of diffrax itself, such as `diffrax.Heun`, accept the term too, but only those of
    `jaxspin.dynamics` keep the length of the spins.

    Raises `ValueError` for noise without a temperature, or the reverse, a damping that is negative or not finite, a
    moment that is not positive, and in use for a temperature or a field of another shape.

    Source: Brown, Phys. Rev. 130, 1677 (1963), doi:10.1103/PhysRev.130.1677; Garcia-Palacios and Lazaro,
    Phys. Rev. B 58, 14937 (1998), doi:10.1103/PhysRevB.58.14937, for the Stratonovich calculus.

    Example:
        >>> equation = js.dynamics.LLG(js.Zeeman((0.0, 0.0, 1.0)), damping=0.0)
        >>> push = equation.vf(0.0, jnp.array([[[1.0, 0.0, 0.0]]]), None)
        >>> push.field.tolist()
        [[[0.0, 0.0, 1.0]]]
    """

    field: AbstractField
    damping: float | Float[Array, ""] | Float[Array, "*cells sublattices"]
    temperature: Callable[..., Any] | None = None
    noise: diffrax.AbstractPath | None = None
    frozen: Bool[Array, "*cells sublattices"] | None = eqx.field(default=None, converter=as_mask)
    key: PRNGKeyArray | None = None
    clock: Clock = Clock()
    moment: float | Float[Array, ""] | Float[Array, "*cells sublattices"] | None = None

    def __check_init__(self):
        if (self.noise is None) != (self.temperature is None):
            raise ValueError("temperature and noise go together; pass StepNoise(spins, key=...) and Constant(T).")
        if not holds(finite_and_not_negative, self.damping):
            raise ValueError("damping must be finite and not negative; pass zero or more, such as 0.1.")
        if self.moment is not None and not holds(finite_and_positive, self.moment):
            raise ValueError("moment must be positive and finite; for a vacancy make the spin zero, not its moment.")

    def vf(self, t, y, args) -> Push:
        """The push at solver time t; `args` is the time at which the step began, if that differs."""
        n = jnp.asarray(t, y.dtype)
        y = settled(y)
        key = None
        if self.key is not None:
            began = n if args is None else jnp.asarray(args, y.dtype)
            key = jax.random.fold_in(self.key, self.clock.step_number(began))
        damping = jnp.asarray(self.damping, y.dtype)
        strength = None
        if self.temperature is not None:
            temperature = self.temperature(self.clock.time(n))
            if jnp.shape(temperature) != ():
                raise ValueError(
                    f"the temperature at a time has the shape {jnp.shape(temperature)}; return one number, "
                    "the same for all spins."
                )
            temperature = jnp.asarray(temperature).astype(y.dtype)
            square = 2 * damping * temperature
            hot = square > 0
            # the root has an infinite slope at zero: a schedule that ends at T = 0 would give NaN gradients
            strength = jnp.where(hot, jnp.sqrt(jnp.where(hot, square, 1)), 0)
            # no temperature at all is not T = 0: the run must not go on
            strength = jnp.where(temperature >= 0, strength, jnp.nan)
        moving = None if self.frozen is None else ~self.frozen
        moment = None if self.moment is None else moments_at(jnp.asarray(self.moment, y.dtype), y.shape[:-1])
        field = self.field.rate(y, self.clock.time(n), key=key, moment=moment)
        if jnp.shape(field) != y.shape:
            raise ValueError(
                f"{type(self.field).__name__} gave a field of shape {jnp.shape(field)} for spins of shape {y.shape}; "
                "return one vector a site, as jnp.broadcast_to(field, spins.shape) makes it."
            )
        if moment is not None and strength is not None:
            strength = strength / jnp.sqrt(moment)
        return Push(y, field, damping, strength, moving)

    def contr(self, t0, t1, **kwargs) -> Interval:
        time = jnp.asarray(t1 - t0) * jnp.asarray(self.clock.step, jnp.result_type(t0))
        if self.noise is None:
            return Interval(time, None, bounded=True)
        return Interval(time, scale(jnp.sqrt(self.clock.step), self.noise.evaluate(t0, t1, **kwargs)), bounded=True)

    def prod(self, vf: Push, control: Interval):
        return vf(control)
