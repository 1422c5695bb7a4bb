"""A time step from how fast the spins `(*cells, sublattices, 3)` turn, and how fast small waves on them turn."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.precision import tensordot
from jaxspin.arrays.vectors import add, cross, dot, normalize, scale, subtract
from jaxspin.callables import by_content
from jaxspin.classical.sites import moments_at
from jaxspin.dynamics.checks import check_motion
from jaxspin.dynamics.relax import relax
from jaxspin.field import AbstractField, Time
from jaxspin.spins import takes_spins

# Without damping errors add up for ever: then that after one turn counts.
_LONGEST_LIFE = 2 * math.pi
# Steps of `relax` towards order, one field each: damped spins come to order, and small waves are faster there.
_STEPS_DOWN = 24
# Products with the linearized motion.
_PRODUCTS = 12
# The largest turn of a spin in a difference: the rounding of a field, and its tolerance, are smaller than its change.
_SMALL = 0.02
NO_TRACERS = "the step cannot be chosen inside jit or grad; pass step=... (suggest_timestep outside)."


def life(damping: float) -> float:
    """Radians of a wave over which errors of its phase add up: 1/(e a sqrt(1 + a^2)), and a turn at most.

    A wave that turns at the rate w decays as exp(-a w t/(1 + a^2)). Its error grows with the time and decays with the
    wave, so it is largest at the lifetime of the wave, where it is e times smaller than without damping.
    """
    return min(_LONGEST_LIFE, 1 / (math.e * max(damping, 1e-12) * math.sqrt(1 + damping**2)))


@takes_spins(half=False)
def suggest_timestep(
    field: AbstractField,
    spins: Float[Array, "*cells sublattices 3"],
    *,
    damping: float | int | Float[Array, "..."] = 0.1,
    temperature: float | int = 0.0,
    tolerance: float = 0.01,
    t: Time | Float[Array, " n"] = 0.0,
    key: PRNGKeyArray | None = None,
    moment: float | int | Float[Array, "..."] | None = None,
) -> float:
    """The step h at which the fastest wave is wrong by `tolerance` of its amplitude, in units of time.

    h solves

        L (h W)^2/6 + 2 pi (4 h D)/6 = `tolerance`.

    - W is the fastest rate. A second-order scheme errs by (h W)^2/6 for every radian that such a motion turns;
      `ProjectedHeun` in a constant field and `DepondtMertens` on small waves err by just that.
    - L = 1/(e a sqrt(1 + a^2)) are the radians by which a damped wave turns before it has gone. Where that is more than
      a turn, L = 2 pi, and errors go on growing afterwards.
    - D = a T/(m (1 + a^2)) is the thermal diffusion of a direction, which never ends. The error of thermal averages is
      of first order in h D.

    With the default h W is 0.10 rad at a = 0, 0.13 at a = 0.1, 0.30 at a = 0.5. Slower waves are better by the square
    of their rate. For a quench of the s-d model to t = 96 (exact, triangular 8 x 8, J = 3, n = 0.25, a = 0.5) h is
    about 2, and the mean of 1 - S.S' against a step of 0.25 is 6e-5.

    W is the larger of two rates, both divided by sqrt(1 + a^2): max_i |B_i|/m_i, how fast spins turn now, with m the
    `moment`, 1 unless given; and the largest abs(frequency) of small displacements, that of the fastest spin wave. Near
    order no spin turns, and the waves alone bound the step. They are those about the given state and, with damping,
    about the state after 24 steps of `relax`, since waves become faster where a quench orders. An Arnoldi iteration on
    the linearized torque finds their frequency, at most a few per cent too low. All this takes 14 fields, 52 with
    damping, and holds 14 arrays of spins.

    The field is that at the time `t`; of several times, the one with the fastest spins.

    Raises `ValueError` where nothing moves, where the spins are traced, do not fit the lattice or are in half
    precision, for a tolerance that is not positive, and for a damping, temperature or moment that no run has. Inside
    `jit` pass a step of your own to `simulate`.

    Example:
        >>> 0.01 < js.suggest_timestep(field, spins, damping=0.0) < 0.1
        True
    """
    if isinstance(spins, Tracer):
        raise ValueError(NO_TRACERS)
    if not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance = {tolerance} must be positive; 0.01, one per cent of the amplitude, is usual.")
    check_motion(spins.shape[:-1], damping, moment, temperature)
    dtype = spins.dtype
    times = jnp.atleast_1d(jnp.asarray(t, dtype))
    field = by_content(field)
    sizes = (
        jnp.asarray(damping, dtype),
        None if moment is None else moments_at(jnp.asarray(moment, dtype), spins.shape[:-1]),
    )
    rates = _rates(field, spins, *sizes, times, key)
    if any(isinstance(x, Tracer) for x in rates):
        raise ValueError(NO_TRACERS)
    fastest = [float(rates[0]), largest_frequency(rates[1])]
    if np.any(np.asarray(damping) > 0) and np.isfinite(fastest).all():
        later = relax(field, spins, max_steps=_STEPS_DOWN, t=rates[2], key=key).spins
        fastest.append(largest_frequency(_rates(field, later, *sizes, rates[2][None], key)[1]))
    rate, diffusion = max(fastest), float(rates[3]) * float(temperature)
    if not rate + diffusion > 0 or rate + diffusion == float("inf"):
        raise ValueError("the field is zero or not finite in this state, so no step follows; pass step=...")
    square = 6 * tolerance / life(float(np.min(np.asarray(damping))))
    diffusion = diffusion * square * _LONGEST_LIFE / (6 * tolerance)
    # the positive root of (h W)^2 + 4 h D = theta^2, in the form without cancellation
    return square / (2 * diffusion + (4 * diffusion**2 + square * rate**2) ** 0.5)


@eqx.filter_jit
def _rates(field, spins, damping, moment, times, key) -> tuple[Array, Array, Array, Array]:
    """The fastest rate, the matrix of small displacements at its time, this time, and the largest D/T."""
    alive = dot(spins, spins)
    slower = 1 / jnp.sqrt(1 + damping**2)

    def push(spins, t):
        return scale(slower, field.rate(spins, t, key=key, moment=moment))

    turning = jax.lax.map(lambda t: jnp.max(alive * jnp.linalg.norm(push(spins, t), axis=-1)), times)
    fastest = times[jnp.argmax(turning)]
    waves = krylov(lambda s: cross(s, push(s, fastest)), spins)
    inverse = 1 if moment is None else 1 / moment
    return jnp.max(turning), waves, fastest, jnp.max(damping * inverse / (1 + damping**2))


def krylov(torque: Callable[[Array], Array], spins: Float[Array, "*n 3"]) -> Float[Array, "k k"]:
    """The derivative of `torque(spins)` along the tangents of unit spins in a Krylov space: an Arnoldi iteration.

    The extreme eigenvalues of this small matrix are those of the derivative, at most a few per cent too small. Products
    are differences over small rotations: they need no derivative of the field, and the torque is traced twice.
    """
    dtype = spins.dtype
    held = torque(spins)

    def tangent(v):
        return subtract(v, scale(dot(v, spins), spins))

    def over(v, length):
        return v / jnp.where(length > 0, length, 1)

    def advance(basis, n):
        v = basis[n]
        step = _SMALL / jnp.maximum(jnp.sqrt(jnp.max(dot(v, v))), jnp.finfo(dtype).tiny)
        new = scale(1 / step, tangent(subtract(torque(normalize(add(spins, scale(step, v)))), held)))
        column = jnp.zeros(_PRODUCTS + 1, dtype)
        # twice, as rounding leaves a part
        for _ in range(2):
            parts = tensordot(basis, new, new.ndim)
            new = new - tensordot(parts, basis, 1)
            column = column + parts
        length = jnp.sqrt(jnp.sum(dot(new, new)))
        return basis.at[n + 1].set(over(new, length)), column.at[n + 1].set(length)

    start = tangent(scale(jnp.sqrt(dot(spins, spins)), jax.random.normal(jax.random.key(0), spins.shape, dtype)))
    basis = jnp.zeros((_PRODUCTS + 1, *spins.shape), dtype).at[0].set(over(start, jnp.sqrt(jnp.sum(dot(start, start)))))
    _, columns = jax.lax.scan(advance, basis, jnp.arange(_PRODUCTS))
    return columns[:, :_PRODUCTS].T


def largest_frequency(matrix: Float[Array, "k k"]) -> float:
    """The largest abs(eigenvalue); up to a column of zeros, where the space was exhausted."""
    known = np.asarray(matrix, float)
    return float(np.max(np.abs(np.linalg.eigvals(known)))) if np.all(np.isfinite(known)) else float("inf")
