"""Fermi-Dirac statistics of levels with weights.

Both solvers meet here: exact levels e_k have weight 1 (0 at vacancies), the kernel-polynomial method gives a
quadrature of the density of states whose nodes are levels and whose weights count states.
All functions are differentiable to any order; T > 0.
"""

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


@jax.custom_jvp
def chemical_potential(levels: Levels, weights: Levels, number: Scalar, temperature: Scalar) -> Scalar:
    """mu with `electrons(levels, weights, mu, T) = number`, by bisection; differentiated as an implicit function.

    `number` is clipped a rounding error inside (0, sum of weights), where mu is finite.
    """
    levels, weights, number, temperature = map(jax.lax.stop_gradient, (levels, weights, number, temperature))
    tiny = jnp.asarray(8 * jnp.finfo(levels.dtype).eps, levels.dtype)
    filling = jnp.clip(number / jnp.sum(weights), tiny, 1 - tiny)
    target = filling * jnp.sum(weights)
    # every level is filled less (more) than on average at the lower (upper) end
    shift = temperature * jnp.log(filling / (1 - filling))
    margin = 1e-3 * (jnp.max(levels) - jnp.min(levels)) + temperature
    lower, upper = jnp.min(levels) + shift - margin, jnp.max(levels) + shift + margin
    # flip is given since its detection would put a host callback into the program; the number of electrons grows with
    # mu, and halvings down to the last bit of mu are the end whatever the tolerance
    root = optx.root_find(
        lambda mu, _: electrons(levels, weights, mu, temperature) - target,
        optx.Bisection(rtol=0.0, atol=0.0, flip=False),
        (lower + upper) / 2,
        options={"lower": lower, "upper": upper},
        max_steps=jnp.finfo(levels.dtype).nmant + 8,
        throw=False,
    )
    return root.value


@chemical_potential.defjvp
def _chemical_potential_jvp(primals, tangents):
    levels, weights, number, temperature = primals
    d_levels, d_weights, d_number, d_temperature = tangents
    mu = chemical_potential(levels, weights, number, temperature)
    _, at_fixed_mu = jax.jvp(
        lambda e, w, t: electrons(e, w, mu, t),
        (levels, weights, temperature),
        (d_levels, d_weights, d_temperature),
    )
    f = occupation(levels, mu, temperature)
    compressibility = jnp.sum(weights * f * (1 - f)) / temperature
    floor = jnp.finfo(levels.dtype).tiny
    return mu, (d_number - at_fixed_mu) / jnp.maximum(compressibility, floor)


@jax.custom_jvp
def free_energy(levels: Levels, weights: Levels, number: Scalar, temperature: Scalar) -> Scalar:
    """F = Omega(mu) + mu N_e at fixed `number` of electrons, with dF/de_k = w_k f(e_k) (mu is stationary)."""
    mu = chemical_potential(levels, weights, number, temperature)
    return grand_potential(levels, weights, mu, temperature) + mu * number


@free_energy.defjvp
def _free_energy_jvp(primals, tangents):
    levels, weights, number, temperature = primals
    d_levels, d_weights, d_number, d_temperature = tangents
    mu = chemical_potential(*primals)
    omega, d_omega = jax.jvp(
        lambda e, w, t: grand_potential(e, w, mu, t),
        (levels, weights, temperature),
        (d_levels, d_weights, d_temperature),
    )
    return omega + mu * number, d_omega + mu * d_number
