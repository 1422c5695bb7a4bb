"""A first time step from the field that acts on the spins."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.field import AbstractField, Time


def suggest_timestep(
    field: AbstractField,
    spins: Float[Array, "*cells sublattices 3"],
    *,
    damping: float | int | Float[Array, "..."] = 0.1,
    temperature: float | int = 0.0,
    tolerance: float = 1e-3,
    t: Time | Float[Array, " n"] = 0.0,
    key: PRNGKeyArray | None = None,
    moment: float | int | Float[Array, "..."] | None = None,
) -> float:
    """The step h at which the fastest spin turns by theta = sqrt(6 tolerance), rms, in units of time.

    theta^2 = (h W)^2 + 4 h D, with the precession rate W = max_i |B_i|/(m sqrt(1 + a^2)), damping included, and
    the thermal diffusion of a direction, D = a T/(m (1 + a^2)); m is the `moment`, 1 unless given. A
    second-order scheme makes an error of theta^2/6 or less per radian of precession (just that for
    `ProjectedHeun` and a narrow cone about a constant field), so `tolerance` is the relative error of the
    precession frequency; the default turns by 0.08 rad. The error of thermal averages is of first order in h D.

    The field is looked at in the state given, at the time `t` or at each of several, of which the fastest
    counts: where it grows later (a quench from random spins), pass an ordered state, or take half. Raises
    `ValueError` where nothing moves, or where the spins are traced.
    """
    if isinstance(spins, Tracer):
        raise ValueError("the step cannot be chosen inside jit or grad; pass step=... (suggest_timestep outside).")
    times = jnp.atleast_1d(jnp.asarray(t, spins.dtype))
    moment = jnp.asarray(1 if moment is None else moment, spins.dtype)
    pair = _rates(field, spins, jnp.asarray(damping, spins.dtype), moment, temperature, times, key)
    if any(isinstance(x, Tracer) for x in pair):
        raise ValueError("the step cannot be chosen inside jit or grad; pass step=... (suggest_timestep outside).")
    rate, diffusion = map(float, pair)
    square = 6 * tolerance
    if not rate + diffusion > 0 or rate + diffusion == float("inf"):
        raise ValueError("the field is zero or not finite in this state, so no step follows; pass step=...")
    # the positive root of (h W)^2 + 4 h D = theta^2, in the form without cancellation
    return square / (2 * diffusion + (4 * diffusion**2 + square * rate**2) ** 0.5)


@eqx.filter_jit
def _rates(field, spins, damping, moment, temperature, times, key):
    alive = jnp.any(spins != 0, axis=-1)

    def rate(t):
        size = jnp.where(alive, jnp.linalg.norm(field.push(spins, t, key=key), axis=-1), 0)
        return jnp.max(size / (moment * jnp.sqrt(1 + damping**2)))

    return jnp.max(jax.lax.map(rate, times)), jnp.max(damping / (moment * (1 + damping**2))) * temperature
