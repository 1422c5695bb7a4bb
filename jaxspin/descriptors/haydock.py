"""Haydock's recursion: the local density of states as a continued fraction, and what electrons on it do.

A chain of n sites with energies a_0 .. a_n-1 and squared hoppings b_1^2 .. b_n-1^2 has at its end the same first 2n
moments as H has at an orbital. All functions treat many chains at once, coefficients along the first axis, energies in
units of a bound of |H|.

Sources: R. Haydock, V. Heine and M. J. Kelly, J. Phys. C 5, 2845 (1972), 10.1088/0022-3719/5/16/004; the nodes of its
density of states are those of Gauss: C. C. Paige, J. Inst. Math. Appl. 10, 373 (1972), 10.1093/imamat/10.3.373.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import AAA

# A squared hopping much smaller than this, in units of the squared bound of |H|, ends the chain: the orbital has no
# part in further states. Far above what rounding leaves in single precision, so that nothing is made of its noise.
_END = 1e-8
# Of the free energy in units of the temperature: the rounding of single precision.
_TOLERANCE = 3e-7

Chain = tuple[Float[Array, "n *many"], Float[Array, "n *many"]]
"""a_0 .. a_n-1, and b_1^2 .. b_n-1^2 with a zero at the end."""


def coefficients(product: Callable, first: tuple[Array, ...], steps: int) -> Float[Array, "coefficients *many"]:
    """a_0 .. a_n-1, then b_1^2 .. b_n-1^2, n = `steps`, of the real parts `first` of normed vectors, sites first.

    Lanczos' recursion, its division by a norm that vanishes made smooth: where b_k^2 falls below 1e-8 the following
    coefficients go to zero with it, and so does their part in the density of states.
    """

    def dot(a, b):
        return sum(jnp.sum(x * y, axis=0) for x, y in zip(a, b, strict=True))

    def step(carry, _):
        before, now, square = carry
        moved = product(now)
        level = dot(now, moved)
        hop = jnp.sqrt(square + jnp.asarray(_END, square.dtype))
        rest = [h - level[None] * v - hop[None] * u for h, v, u in zip(moved, now, before, strict=True)]
        square = dot(rest, rest)
        scale = jax.lax.rsqrt(square + jnp.asarray(_END, square.dtype))
        return (now, tuple(r * scale[None] for r in rest), square), (level, square)

    zero = tuple(jnp.zeros_like(part) for part in first)
    start = (zero, first, jnp.zeros_like(first[0][0]))
    _, (levels, squares) = jax.lax.scan(step, start, None, length=steps)
    return jnp.concatenate([levels, squares[:-1]])


def chain(found: Float[Array, "coefficients *many"]) -> Chain:
    """What `coefficients` returned, as energies and squared hoppings."""
    steps = (len(found) + 1) // 2
    return found[:steps], jnp.concatenate([found[steps:], jnp.zeros_like(found[:1])])


def moments(levels: Float[Array, "n *many"], squares: Float[Array, "n *many"]) -> Float[Array, "number *many"]:
    """The Chebyshev moments <0|T_k(H)|0>, k = 3 .. 2n - 1: all that the chain has in common with H beyond the mean
    energy and its square."""
    hops = jnp.sqrt(squares[:-1] + jnp.asarray(_END, squares.dtype))
    none = jnp.zeros_like(levels[:1])

    def product(vector):
        up, down = jnp.concatenate([hops * vector[1:], none]), jnp.concatenate([none, hops * vector[:-1]])
        return levels * vector + up + down

    first = jnp.zeros_like(levels).at[0].set(1)
    second = product(first)

    def step(pair, _):
        before, now = pair
        after = 2 * product(now) - before
        odd = 2 * jnp.sum(now * after, axis=0) - second[0]
        even = 2 * jnp.sum(after * after, axis=0) - 1
        return (now, after), (odd, even)

    _, (odd, even) = jax.lax.scan(step, (first, second), None, length=len(levels) - 1)
    # k = 3 .. 2n, of which the last is not one of H
    return jnp.stack([odd, even], axis=1).reshape(-1, *levels.shape[1:])[:-1]


class Poles(NamedTuple):
    """ln 2cosh(u/2) = constant + sum_p strength_p/(u^2 + place_p^2), with u = (e - mu)/T up to `reach`."""

    constant: float
    strengths: np.ndarray
    places: np.ndarray


@functools.lru_cache(maxsize=64)
def poles(reach: float) -> Poles:
    """Ten or so poles make the free energy exact to rounding, where the frequencies of Matsubara are a hundred.

    A rational function of u^2 by the algorithm AAA: Y. Nakatsukasa, O. Sete and L. N. Trefethen, SIAM J. Sci. Comput.
    40, A1494 (2018), 10.1137/16M1106122.
    """
    squares = np.concatenate([[0.0], np.geomspace(1e-4, reach**2, 800)])
    half = np.sqrt(squares) / 2
    fit = AAA(squares, np.logaddexp(half, -half), rtol=_TOLERANCE / reach, max_terms=40)
    found, residues = fit.poles(), fit.residues()
    places = np.sqrt(-found.real)
    strengths = residues.real
    constant = float(np.log(2) - np.sum(strengths / places**2))
    return Poles(constant, strengths, places)


def filled(
    levels: Float[Array, "n *many"],
    squares: Float[Array, "n *many"],
    mu: Float[Array, ""],
    temperature: float,
) -> tuple[Float[Array, "*many"], Float[Array, "*many"]]:
    """Grand potential -T <0|ln(1 + exp(-(H - mu)/T))|0> and occupation <0|f(H)|0>, in the units of H.

    With h(u) = ln 2cosh(u/2) they are (a_0 - mu)/2 - T <h> and 1/2 + T d<h>/dmu, where <h> needs the Green's function
    at mu + i T place_p alone: 1/(z - a_0 - b_1^2/(z - a_1 - ...)).
    """
    known = poles(2 / temperature)
    shape = (-1, *(1,) * (levels.ndim - 1))
    imaginary = jnp.asarray(temperature * known.places, levels.dtype).reshape(shape)
    weights = jnp.asarray(known.strengths / known.places, levels.dtype).reshape(shape)

    def step(carry, given):
        # G and its derivative, real and imaginary part
        (gr, gi), (dr, di) = carry
        level, square = given
        re, im = mu - level[None] - square[None] * gr, imaginary - square[None] * gi
        norm = 1 / (re * re + im * im)
        gr, gi = re * norm, -im * norm
        ur, ui = 1 - square[None] * dr, -square[None] * di
        sr, si = gr * gr - gi * gi, 2 * gr * gi
        return ((gr, gi), (si * ui - sr * ur, -sr * ui - si * ur)), None

    zero = jnp.zeros((len(known.places), *levels.shape[1:]), levels.dtype)
    ((_, gi), (_, di)), _ = jax.lax.scan(step, ((zero, zero), (zero, zero)), (levels, squares), reverse=True)
    t = jnp.asarray(temperature, levels.dtype)
    mean = jnp.asarray(known.constant, levels.dtype) - t * jnp.sum(weights * gi, axis=0)
    return (levels[0] - mu) / 2 - t * mean, jnp.asarray(0.5, levels.dtype) - t * t * jnp.sum(weights * di, axis=0)
