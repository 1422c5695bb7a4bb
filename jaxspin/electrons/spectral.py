"""Observables of the levels and states of H, with derivatives that hold where levels coincide.

States of equal energy are any basis of their space, and plain differentiation of `eigh` divides by zero there; every
ordered texture has such levels. Sums over whole spaces are smooth, and their derivatives are differences of smooth
functions divided by differences of energies, F[a, b] = (F(a) - F(b))/(a - b), or F' where those vanish (Daleckii and
Krein, AMS Transl. 47, 1 (1965)). Each function here is such a sum. First derivatives, by all arguments; second ones
only where no two levels coincide.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from jaxspin.arrays.precision import matmul

Parameters = tuple[Array, ...]


@jax.custom_jvp
def levels(h: Complex[Array, "*k n n"]) -> Float[Array, "*k n"]:
    """The eigenvalues of each h, ascending; derivatives are those of any sum over all that treats them alike."""
    return jnp.linalg.eigvalsh(h)


@levels.defjvp
def _levels_jvp(primals, tangents):
    energies, states = jnp.linalg.eigh(primals[0])
    return energies, jnp.real(jnp.sum(jnp.conj(states) * matmul(tangents[0], states), axis=-2))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def local_sums(
    function: Callable[..., Array], h: Complex[Array, "n n"], rows: Array, energies: Float[Array, " e"], width: Array
) -> Float[Array, "rows e"]:
    """<r|F(E - H)|r> = sum_n F(E - e_n, width) |<r|n>|^2 for orbitals `rows` and each E; F real and smooth."""
    e, states = jnp.linalg.eigh(h)
    return _peaks(function, e, states[rows], energies, width)


def _peaks(function, levels, amplitudes, energies, width):
    weights = jnp.real(amplitudes * jnp.conj(amplitudes))
    return jax.lax.map(lambda e: matmul(weights, function(e - levels, width)), energies, batch_size=_AT_ONCE).T


@local_sums.defjvp
def _local_sums_jvp(function, primals, tangents):
    h, rows, energies, width = primals
    dh, _, d_energies, d_width = tangents
    e, states = jnp.linalg.eigh(h)
    amplitudes = states[rows]
    out, direct = jax.jvp(
        lambda at, w: _peaks(function, e, amplitudes, at, w), (energies, width), (d_energies, d_width)
    )
    inside = matmul(_adjoint(states), dh, states)

    @jax.checkpoint
    def at(energy):
        ratio = divided(lambda x: function(energy - x, width), e[:, None], e[None, :], width)
        return jnp.real(jnp.sum(matmul(amplitudes, ratio.astype(dh.dtype) * inside) * jnp.conj(amplitudes), axis=1))

    return out, direct + jax.lax.map(at, energies).T


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def pair_sum(
    function: Callable[..., Array],
    h: Complex[Array, "n n"],
    left: Complex[Array, "n n"],
    right: Complex[Array, "n n"],
    smooth: Array,
    *parameters: Array,
) -> Array:
    """sum_nm F(e_n, e_m, *parameters) <n|left|m> <m|right|n>; F is smooth over the energy `smooth`."""
    e, states = jnp.linalg.eigh(h)
    a, b = (matmul(_adjoint(states), x, states) for x in (left, right))
    return jnp.sum(function(e[:, None], e[None, :], *parameters) * a * b.T)


@pair_sum.defjvp
def _pair_sum_jvp(function, primals, tangents):
    h, left, right, smooth, *parameters = primals
    dh, d_left, d_right, _, *d_parameters = tangents
    e, states = jnp.linalg.eigh(h)
    back = _adjoint(states)
    a, b, da, db, inside = (matmul(back, x, states) for x in (left, right, d_left, d_right, dh))

    def direct(a, b, *parameters):
        return jnp.sum(function(e[:, None], e[None, :], *parameters) * a * b.T)

    out, change = jax.jvp(direct, (a, b, *parameters), (da, db, *d_parameters))

    # With K_km = dH_km/(e_m - e_k) the states turn by d|m> = sum_k |k> K_km. What multiplies dH_km is, from the two
    # places of F, sum_n (F[n; k, m] a_nk b_mn + F[k, m; n] a_mn b_nk), F[] divided differences.
    def add(total, n):
        first = divided(lambda x: function(x, e[n], *parameters), e[:, None], e[None, :], smooth)
        second = divided(lambda x: function(e[n], x, *parameters), e[:, None], e[None, :], smooth)
        return total + second * a[n][:, None] * b[:, n][None, :] + first * a[:, n][None, :] * b[n][:, None], None

    slope, _ = jax.lax.scan(add, jnp.zeros_like(a), jnp.arange(e.shape[0]))
    return out, change + jnp.sum(slope * inside)


def divided(function: Callable[[Array], Array], a: Array, b: Array, smooth: Array) -> Array:
    """F[a, b], with F' at the middle where a and b are so close, over `smooth`, that the difference would cancel."""
    gap = a - b
    close = jnp.abs(gap) < smooth * jnp.finfo(gap.dtype).eps ** (1 / 3)
    middle = (a + b) / 2
    _, slope = jax.jvp(function, (middle,), (jnp.ones_like(middle),))
    quotient = (function(a) - function(b)) / jnp.where(close, 1, gap).astype(slope.dtype)
    return jnp.where(close, slope, quotient)


def _adjoint(matrix: Array) -> Array:
    return jnp.conj(jnp.swapaxes(matrix, -1, -2))


_AT_ONCE = 16
