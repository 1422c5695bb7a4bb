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

from jaxspin.arrays.translation import settled
from jaxspin.descriptors.clusters import Spinors, backwards, overlap
from jaxspin.field import sum_of

# A squared hopping much smaller than this, in units of the squared bound of |H|, ends the chain: the orbital has no
# part in further states. Far above what rounding leaves in single precision, so that nothing is made of its noise.
_END = 1e-8
# Of the free energy, in units of the largest |e - mu|.
_TOLERANCE = 1e-8

Chain = tuple[Float[Array, "n *many"], Float[Array, "n *many"]]
"""a_0 .. a_n-1, and b_1^2 .. b_n-1^2 with a zero at the end."""


def coefficients(product: Callable, first: Spinors, steps: int) -> Float[Array, "coefficients *many"]:
    """a_0 .. a_n-1, then b_1^2 .. b_n-1^2, n = `steps`, of normed vectors `first`.

    Lanczos' recursion, its division by a norm that vanishes made smooth: where b_k^2 falls below 1e-8 the following
    coefficients go to zero with it, and so does their part in the density of states.
    """
    _, levels, squares, _ = _recursion(product, first, steps, lambda vector: None)
    return jnp.concatenate([levels, squares[:-1]])


def pullback(
    product: Callable, first: Spinors, slopes: Float[Array, "coefficients *many"], between: Callable
) -> tuple[Spinors, tuple[Array, ...]]:
    """The derivative of sum(slopes * coefficients): with respect to `first`, and sum_k between(phi_k, v_k).

    phi_k is the derivative with respect to H v_k, so `between` makes of it that with respect to a parameter of H. The
    recursion backwards, with one product a step; the vectors v_k are kept.
    """
    steps = (len(slopes) + 1) // 2
    # kept as rows: XLA on CPUs moves arrays of short axes number by number
    (last, after), levels, squares, befores = _recursion(product, first, steps, lambda vector: vector.reshape(-1))
    of_levels, of_squares = chain(slopes)
    end = jnp.asarray(_END, levels.dtype)
    # a_k, b_k, b_k+1 and the slopes of a_k and b_k+1^2 of step k
    hops = jnp.sqrt(jnp.concatenate([jnp.zeros_like(squares[:1]), squares[:-1]]) + end)
    norms = jnp.sqrt(squares + end)

    def step(given, carry):
        after, vector, next_, now, square, total = carry  # v_k+1, v_k, and derivatives by v_k+1, v_k, b_k+1^2
        (level, hop, norm, of_level, of_square), before = given
        before = before.reshape(first.shape)
        square = square + of_square - 0.5 * overlap(next_, after) / (norm * norm)
        # XLA on CPUs would compute it again for every use
        rest = settled(_wide(1 / norm) * next_ + _wide(2 * norm * square) * after)
        of_level = of_level - overlap(rest, vector)
        moved = rest + _wide(of_level) * vector
        total = tuple(t + b for t, b in zip(total, between(moved, vector), strict=True))
        # H of `moved`, H v_k = b_k+1 v_k+1 + a_k v_k + b_k v_k-1, and the same again by the slope of a_k
        parts = ((norm, after), (level, vector), (hop, before))
        now = now + product(rest) - _wide(level) * rest + sum_of(_wide(2 * of_level * f) * v for f, v in parts)
        return vector, before, now, _wide(-hop) * rest, -0.5 * overlap(rest, before) / hop, total

    zero = jnp.zeros_like(first)
    none = tuple(jnp.zeros_like(part) for part in between(zero, zero))
    start = (after, last, zero, zero, jnp.zeros_like(levels[0]), none)
    given = ((levels, hops, norms, of_levels, of_squares), befores)
    _, _, slope, *_, total = backwards(step, given, start)
    return slope, total


def _recursion(product: Callable, first: Spinors, steps: int, kept: Callable):
    """v_n-1 and v_n, the coefficients, and `kept` of v_k-1 of every step k."""

    def step(carry, _):
        before, now, square = carry
        moved = settled(product(now))
        level = overlap(now, moved)
        hop = jnp.sqrt(square + jnp.asarray(_END, square.dtype))
        rest = settled(moved - _wide(level) * now - _wide(hop) * before)
        square = overlap(rest, rest)
        after = _wide(jax.lax.rsqrt(square + jnp.asarray(_END, square.dtype))) * rest
        return (now, after, square), (level, square, kept(before))

    start = (jnp.zeros_like(first), first, jnp.zeros_like(first[0, 0, 0]))
    (*last, _), (levels, squares, vectors) = jax.lax.scan(step, start, None, length=steps)
    return last, levels, squares, vectors


def _wide(factor: Float[Array, "*many"]) -> Float[Array, "1 1 1 *many"]:
    """A factor for each chain, which multiplies vectors."""
    return factor[None, None, None]


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
    """ln 2cosh(u/2) = constant + sum_p h_p/(u^2 + s_p^2) and tanh(u/2)/2 = sum_p f_p u/(u^2 + s_p^2) for u = (e - mu)/T
    up to some reach; `places` are s_p."""

    constant: float
    h: np.ndarray
    f: np.ndarray
    places: np.ndarray


@functools.lru_cache(maxsize=64)
def poles(reach: float) -> Poles:
    """A dozen poles make the free energy exact to rounding, where the frequencies of Matsubara would be hundreds.

    Poles and h_p are those of a rational function of u^2 by the algorithm AAA, f_p the least squares on the same poles,
    to some 1e-5. Source: Y. Nakatsukasa, O. Sete and L. N. Trefethen, SIAM J. Sci. Comput. 40, A1494 (2018),
    10.1137/16M1106122.
    """
    from scipy.interpolate import AAA  # a second to import

    squares = np.concatenate([[0.0], np.geomspace(1e-4, reach**2, 1600)])
    u = np.sqrt(squares)
    fit = AAA(squares, np.logaddexp(u / 2, -u / 2), rtol=_TOLERANCE / reach, max_terms=40)
    h, places = fit.residues().real, np.sqrt(-fit.poles().real)
    columns = u[:, None] / (squares[:, None] + places**2)
    sizes = np.linalg.norm(columns, axis=0)
    f = np.linalg.lstsq(columns / sizes, np.tanh(u / 2) / 2, rcond=None)[0] / sizes
    return Poles(float(np.log(2) - np.sum(h / places**2)), h, f, places)


def filled(
    levels: Float[Array, "n *many"],
    squares: Float[Array, "n *many"],
    mu: Float[Array, "*many"],
    temperature: float,
) -> tuple[Float[Array, "*many"], Float[Array, "*many"]]:
    """Grand potential -T <0|ln(1 + exp(-(H - mu)/T))|0> and occupation <0|f(H)|0>, in the units of H.

    With h(u) = ln 2cosh(u/2) they are (a_0 - mu)/2 - T <h> and 1/2 - <tanh(u/2)>/2. Their poles need the Green's
    function at mu + i T s_p alone: G = 1/(z - a_0 - b_1^2/(z - a_1 - ...)).
    """
    known = poles(2 / temperature + 40)

    def column(values):
        return jnp.asarray(values, levels.dtype).reshape(-1, *(1,) * (levels.ndim - 1))

    imaginary = column(temperature * known.places)
    zero = jnp.zeros((len(known.places), *levels.shape[1:]), levels.dtype)

    def step(carry, given):
        (gr, gi), (level, square) = carry, given
        re, im = mu[None] - level[None] - square[None] * gr, imaginary - square[None] * gi
        norm = 1 / (re * re + im * im)
        return (re * norm, -im * norm), None

    # a loop: written out, XLA on CPUs computes parts of it many times over
    (gr, gi), _ = jax.lax.scan(step, (zero, zero), (levels, squares), reverse=True)
    t = jnp.asarray(temperature, levels.dtype)
    # 1/(u^2 + s^2) = -T Im G/s and u/(u^2 + s^2) = -T Re G
    mean = jnp.asarray(known.constant, levels.dtype) - t * jnp.sum(column(known.h / known.places) * gi, axis=0)
    half = jnp.asarray(0.5, levels.dtype)
    return half * (levels[0] - mu) - t * mean, half + t * jnp.sum(column(known.f) * gr, axis=0)
