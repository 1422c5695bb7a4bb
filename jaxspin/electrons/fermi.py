"""Fermi-Dirac statistics of levels with weights.

Both solvers meet here: exact levels e_k have weight 1 (0 at vacancies), the kernel-polynomial method gives a
quadrature of the density of states whose nodes are levels and whose weights count states.
All functions are differentiable to any order; T > 0.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

Levels = Float[Array, "*k"]
Scalar = Float[Array, ""]


def occupation(levels: Levels, mu: Scalar, temperature: Scalar) -> Levels:
    """f(e) = 1 / (exp((e - mu)/T) + 1)."""
    return jax.nn.sigmoid((mu - levels) / temperature)


def grand_potential(levels: Levels, weights: Levels, mu: Scalar, temperature: Scalar) -> Scalar:
    """Omega = -T sum_k w_k ln(1 + exp(-(e_k - mu)/T)), in units of the hopping."""
    return -temperature * jnp.sum(weights * jax.nn.softplus((mu - levels) / temperature))


def entropy(levels: Levels, weights: Levels, mu: Scalar, temperature: Scalar) -> Scalar:
    """S = -dOmega/dT = sum_k w_k [ln(1 + exp(-x)) + x f], x = (e_k - mu)/T."""
    x = (levels - mu) / temperature
    return jnp.sum(weights * (jax.nn.softplus(-x) + x * jax.nn.sigmoid(-x)))


def electrons(levels: Levels, weights: Levels, mu: Scalar, temperature: Scalar) -> Scalar:
    """N_e = sum_k w_k f(e_k)."""
    return jnp.sum(weights * occupation(levels, mu, temperature))


def shares(levels: Levels, weights: Levels, mu: Scalar, temperature: Scalar) -> tuple[Levels, Scalar]:
    """The share of each level in dN_e/dmu, and dN_e/dmu itself: p_k ~ w_k f_k (1 - f_k), 1 together.

    From logarithms, so that they are right deep in a gap, where f or 1 - f underflow. dN_e/dmu is kept large enough to
    divide by. `weights` must not be negative.
    """
    x = (mu - levels) / temperature
    logs = jax.nn.log_sigmoid(x) + jax.nn.log_sigmoid(-x)
    largest = jax.lax.stop_gradient(jnp.max(jnp.where(weights > 0, logs, -jnp.inf)))
    # linear in the weights; a level without weight may lie anywhere
    each = weights * jnp.exp(jnp.minimum(logs - largest, 50))
    total = jnp.sum(each)
    floor = 1e4 * jnp.finfo(levels.dtype).tiny * jnp.sum(weights)
    return each / total, jnp.maximum(total * jnp.exp(largest), floor) / temperature


@jax.custom_jvp
def chemical_potential(levels: Levels, weights: Levels, count: Scalar, temperature: Scalar) -> Scalar:
    """mu with `electrons(levels, weights, mu, T) = count`, by bisection; differentiated as an implicit function.

    Electrons above the Fermi sea are balanced against holes in it, in logarithms: in a gap both are exponentially few,
    and mu is as well determined as in a metal (at T -> 0 the middle of the gap). A `count` within rounding of a full
    sea is one. `weights` must not be negative; for those of a truncated series there is `resolved_potential`. `count`
    is clipped a rounding error inside (0, sum of weights), where mu is finite.
    """
    levels, weights, count, temperature = map(jax.lax.stop_gradient, (levels, weights, count, temperature))
    order = jnp.argsort(levels.reshape(-1))
    levels, weights = levels.reshape(-1)[order], weights.reshape(-1)[order]
    target, lower, upper = _bracket(levels, weights, count, temperature)
    sea = jnp.concatenate([jnp.zeros(1, weights.dtype), jnp.cumsum(weights)])
    full = jnp.argmin(jnp.abs(target - sea))
    rest = target - sea[full]
    inside = (sea[full] > 0) & (sea[full] < sea[-1])
    rest = jnp.where(inside & (jnp.abs(rest) <= 32 * jnp.finfo(levels.dtype).eps * sea[-1]), 0, rest)
    below = jnp.arange(levels.shape[0]) < full
    lower_band, upper_band = jnp.where(below, weights, 0), jnp.where(below, 0, weights)

    def balance(mu, _):
        x = (mu - levels) / temperature
        above = jax.nn.logsumexp(jax.nn.log_sigmoid(x), b=upper_band)
        holes = jax.nn.logsumexp(jax.nn.log_sigmoid(-x), b=lower_band)
        return jnp.logaddexp(above, _log(-rest)) - jnp.logaddexp(holes, _log(rest))

    return _bisect(balance, lower, upper)


@chemical_potential.defjvp
def _chemical_potential_jvp(primals, tangents):
    levels, weights, count, temperature = primals
    d_levels, d_weights, d_count, d_temperature = tangents
    mu = chemical_potential(levels, weights, count, temperature)
    share, compressibility = shares(levels, weights, mu, temperature)
    moved = d_levels + (mu - levels) / temperature * d_temperature
    d_count = d_count - jnp.sum(d_weights * occupation(levels, mu, temperature))
    return mu, jnp.sum(share * moved) + d_count / compressibility


def resolved_potential(
    levels: Levels, weights: Levels, count: Scalar, temperature: Scalar, resolution: Scalar
) -> Scalar:
    """mu of a density of states that counts electrons to `resolution` only: midway between the two chemical potentials
    at which `count` - and + `resolution` electrons are counted.

    In a gap the populations are exponentials of mu, below what a truncated series resolves, and the middle is the
    balance of electrons and holes; in a metal it is the solution up to the square of `resolution`. `weights` may be
    negative. Differentiable to any order.
    """
    total = jax.lax.stop_gradient(jnp.sum(weights))
    off = jnp.minimum(resolution, jnp.minimum(count, total - count) / 2)
    return (
        crossing(levels, weights, count - off, temperature) + crossing(levels, weights, count + off, temperature)
    ) / 2


@jax.custom_jvp
def crossing(levels: Levels, weights: Levels, count: Scalar, temperature: Scalar) -> Scalar:
    """A mu with `electrons(levels, weights, mu, T) = count`."""
    levels, weights, count, temperature = map(jax.lax.stop_gradient, (levels, weights, count, temperature))
    target, lower, upper = _bracket(levels, weights, count, temperature)
    return _bisect(lambda mu, _: electrons(levels, weights, mu, temperature) - target, lower, upper)


@crossing.defjvp
def _crossing_jvp(primals, tangents):
    levels, weights, count, temperature = primals
    d_levels, d_weights, d_count, d_temperature = tangents
    mu = crossing(levels, weights, count, temperature)
    _, at_fixed_mu = jax.jvp(
        lambda e, w, t: electrons(e, w, mu, t), (levels, weights, temperature), (d_levels, d_weights, d_temperature)
    )
    f = occupation(levels, mu, temperature)
    compressibility = jnp.sum(weights * f * (1 - f)) / temperature
    floor = jnp.finfo(levels.dtype).eps * jnp.sum(weights) / temperature
    return mu, (d_count - at_fixed_mu) / jnp.maximum(compressibility, floor)


def _log(x: Array) -> Array:
    """The logarithm, minus infinity for what is not positive, with a derivative there."""
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1)), -jnp.inf)


def _bracket(levels: Levels, weights: Levels, count: Scalar, temperature: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """`count` where mu is finite, and bounds of mu: at them every level is less (more) occupied than on average."""
    tiny = jnp.asarray(8 * jnp.finfo(levels.dtype).eps, levels.dtype)
    filling = jnp.clip(count / jnp.sum(weights), tiny, 1 - tiny)
    shift = temperature * jnp.log(filling / (1 - filling))
    margin = 1e-3 * (jnp.max(levels) - jnp.min(levels)) + temperature
    return filling * jnp.sum(weights), jnp.min(levels) + shift - margin, jnp.max(levels) + shift + margin


def _bisect(increasing: Callable, lower: Scalar, upper: Scalar) -> Scalar:
    # with flip given, optimistix needs no host callback to detect it; it halves down to the last bit of mu
    return optx.root_find(
        increasing,
        optx.Bisection(rtol=0.0, atol=0.0, flip=False),
        (lower + upper) / 2,
        options={"lower": lower, "upper": upper},
        max_steps=jnp.finfo(lower.dtype).nmant + 8,
        throw=False,
    ).value


def free_energy(levels: Levels, weights: Levels, count: Scalar, temperature: Scalar) -> Scalar:
    """F = Omega(mu) + mu N_e at fixed `count` of electrons, with dF/de_k = w_k f(e_k) (mu is stationary)."""
    mu = chemical_potential(levels, weights, count, temperature)
    return free_energy_at(levels, weights, mu, count, temperature)


@jax.custom_jvp
def free_energy_at(levels: Levels, weights: Levels, mu: Scalar, count: Scalar, temperature: Scalar) -> Scalar:
    """F = Omega(mu) + mu N_e for the chemical potential `mu` of `count` electrons, where it is stationary in mu."""
    return grand_potential(levels, weights, mu, temperature) + mu * count


@free_energy_at.defjvp
def _free_energy_at_jvp(primals, tangents):
    levels, weights, mu, count, temperature = primals
    d_levels, d_weights, _, d_count, d_temperature = tangents
    omega, d_omega = jax.jvp(
        lambda e, w, t: grand_potential(e, w, mu, t),
        (levels, weights, temperature),
        (d_levels, d_weights, d_temperature),
    )
    return omega + mu * count, d_omega + mu * d_count
