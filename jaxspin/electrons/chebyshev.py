"""Chebyshev moments of a sparse operator, with a reverse pass that runs the recursion backwards.

An operator is any pytree that, called on a spinor (a pytree of arrays), returns the product; its spectrum must lie in
[-1, 1]. Memory is a few spinors, whatever the number of moments.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType
from jaxtyping import Array, Float, PyTree

from jaxspin.arrays.columns import in_groups, sum_columns_on_a_cpu
from jaxspin.arrays.precision import matmul

_ROW = 64  # products of two vectors that are added up at a time


def moments(operator, start: PyTree[Array], order: int, *, width: int | None = None) -> Float[Array, " order"]:
    """mu_m = Re <start| T_m(operator) |start>, m = 0 ... order-1, summed over columns, the last axis of `start`.

    The columns are taken `width` at a time, the last group padded with zeros (None: all at once): that takes less
    memory, and the vectors fit into a cache. A spectrum outside [-1, 1] gives NaN, even where a single site of many
    causes it: no vector may grow at any site.

    The moments come from a_m = T_m |start> by doubling, mu_2m = 2 <a_m|a_m> - mu_0, mu_2m+1 = 2 <a_m+1|a_m> - mu_1,
    with `order`/2 products. They are differentiable by the arrays in `operator`, in reverse mode, twice; `start` is a
    constant. The reverse pass takes two products a step and stores no vectors: a_m-1 = 2 H a_m - a_m+1 is as stable
    backwards as forwards.

    `order` must be even (raises `ValueError`). Source: Weisse et al., Rev. Mod. Phys. 78, 275 (2006), eqs. 36-37;
    reverse pass: Barros and Kato, Phys. Rev. B 88, 235101 (2013), section III.
    """
    check_order(order)
    if width is None:
        mu, grown = _moments(operator, start, order)
    else:
        parted = jax.tree.map(lambda x: in_groups(x, width), start)
        parts = jax.lax.map(lambda part: _moments(operator, part, order), parted)
        mu, grown = jax.tree.map(lambda x: jnp.sum(x, axis=0), parts)
    # within [-1, 1] no moment exceeds the first
    good = jnp.max(jnp.abs(mu)) <= 1.01 * mu[0]
    return mu * jnp.where(good & _held(grown, start), 1, jnp.nan).astype(mu.dtype)


def _local(spinor: PyTree[Array]) -> Array:
    """|v_i|^2 of every site, all columns together."""
    return jax.lax.stop_gradient(functools.reduce(jnp.add, [jnp.sum(x * x, axis=-1) for x in _real_parts(spinor)]))


def _held(grown: Array, start: PyTree[Array]) -> Array:
    """Whether the vectors T_m |start> are as short as they must be where the spectrum lies in [-1, 1].

    `grown` is their square at each site, summed over the columns. With a spectrum in [-1, 1], T_m makes no vector
    longer, and with random phases the square at a site is on average at most that of the start. By chance it may be
    larger: the bound is twice the value that a sum of so many squares exceeds with the probability e^-40. A level x
    outside lets the square grow as cosh(m arccosh(x))^2 on the sites of its state, however few these are.
    """
    columns = jax.tree.leaves(start)[0].shape[-1]
    chance = 2 * (1 + (80 / columns) ** 0.5 + 40 / columns)
    return jnp.max(grown) <= chance * jnp.max(_local(start))


def check_order(order: int) -> None:
    """Refuse a number of moments that is odd or below two, which the doubling in `moments` cannot give."""
    if order < 2 or order % 2:
        raise ValueError(
            f"order must be an even number of moments, at least 2, got {order}; use {max(2, order + order % 2)}."
        )


@eqx.filter_custom_vjp
def _moments(operator, start, order):
    mu, (_, end) = _forward(operator, start, order)
    return mu, _local(end)


def _forward(operator, start, order):
    first = operator(start)
    mu0, mu1 = real_product(start, start), real_product(first, start)

    def step(pair, _):
        before, now = pair
        after = _next(operator(now), before)
        own, mixed = _dots(now, after)
        return (now, after), jnp.stack([2 * own - mu0, 2 * mixed - mu1])

    # two steps a pass: the new vector takes the place of the oldest, where one step would copy what it hands on
    last, rest = jax.lax.scan(step, (start, first), None, length=order // 2 - 1, unroll=2)
    return jnp.concatenate([jnp.stack([mu0, mu1]), rest.reshape(-1)]), last


@_moments.def_fwd
def _moments_fwd(perturbed, operator, start, order):
    mu, last = _forward(operator, start, order)
    return (mu, _local(last[1])), last


@_moments.def_bwd
def _moments_bwd(last, cotangent, perturbed, operator, start, order):
    cotangent, _ = cotangent  # the squares are for the check alone
    even, odd = cotangent[0::2], cotangent[1::2]
    # derivative of the sum with respect to |a_m|^2 and to <a_m+1|a_m>
    even = (2 * even).at[0].set(even[0] - jnp.sum(even[1:]))
    odd = (2 * odd).at[0].set(odd[0] - jnp.sum(odd[1:]))
    wanted, rest = eqx.partition(operator, perturbed)

    def pull(adjoint, vectors):
        """d Re<adjoint| H |vectors> / d operator."""
        _, back = jax.vjp(lambda w: eqx.combine(w, rest)(vectors), wanted)
        return back(jax.tree.map(jnp.conj, adjoint))[0]

    # The adjoint of a_m is k_m + x_m a_m-1. With x_m = -(odd_m-1 + ... + odd_K-2) its recursion needs, beside H k_m+1,
    # only the two vectors at hand: k_m = 2 H k_m+1 - k_m+2 + 2 even_m a_m + 2 odd_m-1 a_m-1.
    shift = -jnp.cumsum(odd[-2::-1])[::-1]  # x_1 ... x_K-1
    shift = jnp.append(shift, 0)
    a_last, a_end = last  # a_(K-1), a_K with K = order/2
    slope = jax.tree.map(jnp.zeros_like, wanted)

    def step(carry, weights):
        """From a_m, a_m+1, k_m+1, k_m+2: account for a_m+1 = 2 H a_m - a_m-1, then a_m-1 and k_m."""
        now, after, adjoint, adjoint_after, slope = carry
        e, o_before, x = weights
        slope = jax.tree.map(jnp.add, slope, pull(_sum(adjoint, _scale(x, now)), now))
        before = _next(operator(now), after)
        source = _sum(_scale(2 * e, now), _scale(2 * o_before, before))
        adjoint_now = _sum(source, _next(operator(adjoint), adjoint_after))
        return (before, now, adjoint_now, adjoint, slope), None

    weights = (even[1:], odd[:-1], shift[1:])
    carry = (a_last, a_end, _scale(odd[-1], a_last), _scale(-odd[-1], a_end), slope)
    carry, _ = jax.lax.scan(jax.checkpoint(step), carry, weights, reverse=True, unroll=2)
    a_zero, _, adjoint_one, _, slope = carry
    last_slope = pull(_sum(adjoint_one, _scale(shift[0], a_zero)), a_zero)
    return jax.tree.map(lambda x, y: 2 * x + y, slope, last_slope)


def quadrature(mu: Float[Array, " order"], center, halfwidth) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Levels and weights with sum_k w_k g(e_k) = sum_m c_m mu_m, c_m the Chebyshev coefficients of any function g.

    e_k = center + halfwidth cos(theta_k), theta_k = pi (k + 1/2)/K, w_k = (mu_0 + 2 sum_m mu_m cos(m theta_k))/K with
    K = 2 order nodes. So one set of moments serves every function, temperature and chemical potential.
    """
    nodes = 2 * mu.shape[0]
    theta = np.pi * (np.arange(nodes) + 0.5) / nodes
    levels = center + halfwidth * jnp.asarray(np.cos(theta), mu.dtype)
    padded = jnp.concatenate([mu, jnp.zeros_like(mu)])
    # sum_m 2 mu_m cos(m theta_k) by a complex FFT of twice the length
    shift = jnp.asarray(np.exp(1j * np.pi * np.arange(nodes) / (2 * nodes)), np.result_type(mu.dtype, np.complex64))
    long = jnp.concatenate([padded.astype(shift.dtype) * shift, jnp.zeros(nodes, shift.dtype)])
    cosines = jnp.real(jnp.fft.ifft(long))[:nodes] * (2 * nodes)
    return levels, (2 * cosines - mu[0]) / nodes


def coefficients(
    function: Callable[[Array], Array], order: int, center: Float[Array, ""], halfwidth: Float[Array, ""]
) -> Float[Array, " order"]:
    """c_m with g(e) = sum_m c_m T_m((e - center)/halfwidth), by the quadrature of 2 `order` nodes."""
    nodes = 2 * order
    theta = np.pi * (np.arange(nodes) + 0.5) / nodes
    values = function(center + halfwidth * jnp.asarray(np.cos(theta), center.dtype))
    cosines = np.cos(np.arange(order)[:, None] * theta[None]) * np.where(np.arange(order) > 0, 2, 1)[:, None] / nodes
    return matmul(jnp.asarray(cosines, values.dtype), values)


def expand(operator, start: PyTree[Array], coefficients: Float[Array, " order"]) -> PyTree[Array]:
    """sum_m c_m T_m(operator) |start> (two terms or more); NaN if the spectrum leaves [-1, 1]. Keeps a few vectors."""
    first = operator(start)
    total = _sum(_scale(coefficients[0], start), _scale(coefficients[1], first))

    def step(carry, c):
        before, now, total = carry
        after = _next(operator(now), before)
        return (now, after, _sum(total, _scale(c, after))), None

    (_, last, total), _ = jax.lax.scan(step, (start, first, total), coefficients[2:], unroll=2)
    return held(last, start, total)


def held(last: PyTree[Array], start: PyTree[Array], result: PyTree[Array]) -> PyTree[Array]:
    """`result`, or NaN where T_m |start> = `last` shows that the spectrum leaves [-1, 1]."""
    good = _held(_local(last), start)
    return jax.tree.map(lambda x: x * jnp.where(good, 1, jnp.nan).astype(x.dtype), result)


def jackson_kernel(order: int) -> np.ndarray:
    """g_m = [(M - m + 1) cos(m q) + sin(m q) cot(q)]/(M + 1), q = pi/(M + 1): broadens to pi a/M.

    Source: Weisse et al., Rev. Mod. Phys. 78, 275 (2006), eq. 71.
    """
    m, q = np.arange(order), np.pi / (order + 1)
    return ((order - m + 1) * np.cos(m * q) + np.sin(m * q) / np.tan(q)) / (order + 1)


def order_for(temperature: float, halfwidth: float, tolerance: float) -> int:
    """Moments after which the Chebyshev series of the Fermi free energy is converged to about `tolerance`.

    The nearest singularities are at mu +- i pi T, so terms fall as exp(-m pi T/halfwidth), and M = ln(1/tolerance)
    halfwidth/(pi T) of them are enough; made even.
    """
    order = np.log(1 / tolerance) / np.arcsinh(np.pi * temperature / halfwidth)
    return max(16, 2 * int(np.ceil(order / 2)))


def filling_error(order: int, temperature: Float[Array, ""], halfwidth: Float[Array, ""]) -> Float[Array, ""]:
    """The error, in electrons an orbital, of a series of `order` terms at a given chemical potential, with rounding.

    The poles of the Fermi function at mu + i pi T (2n + 1) together give terms of (T/a)/sinh(m asinh(pi T/a)), which is
    1/(pi m) at T = 0. Eight times that is above every error measured in gaps of ordered states.
    """
    x = temperature / halfwidth
    rate = jnp.minimum(order * jnp.arcsinh(np.pi * x), 80)  # beyond, rounding is all there is
    return 8 * x / jnp.sinh(rate) + 100 * jnp.finfo(x.dtype).eps


def _dots(now, after) -> tuple[Array, Array]:
    """(<now|now>, Re <after|now>)."""
    if _on_a_mesh(jax.tree.leaves(now)[0]):
        return _dots_elsewhere(now, after)
    return jax.lax.platform_dependent(now, after, cpu=_dots_on_a_cpu, default=_dots_elsewhere)


def _dots_elsewhere(now, after) -> tuple[Array, Array]:
    return real_product(now, now), real_product(after, now)


def _dots_on_a_cpu(now, after) -> tuple[Array, Array]:
    own, mixed = [], []
    for x, y in zip(_real_parts(now), _real_parts(after), strict=True):
        if x.size % _ROW == 0:
            x, y = x.reshape(-1, _ROW), y.reshape(-1, _ROW)
        a, b = sum_columns_on_a_cpu(x * x, x * y)
        own.append(jnp.sum(a))
        mixed.append(jnp.sum(b))
    return functools.reduce(jnp.add, own), functools.reduce(jnp.add, mixed)


def _on_a_mesh(array: Array) -> bool:
    """Whether merging axes of the array could gather it from several devices."""
    mesh = jax.typeof(array).sharding.mesh
    kinds = zip(mesh.axis_names, mesh.axis_types, strict=True)
    return any(mesh.shape[name] > 1 and kind != AxisType.Manual for name, kind in kinds)


def real_product(a: PyTree[Array], b: PyTree[Array]) -> Array:
    """Re <a|b>, all columns together."""
    parts = [jnp.sum(x * y) for x, y in zip(_real_parts(a), _real_parts(b), strict=True)]
    return functools.reduce(jnp.add, parts)


def _real_parts(a) -> list[Array]:
    parts = []
    for x in jax.tree.leaves(a):
        parts += [jnp.real(x), jnp.imag(x)] if jnp.iscomplexobj(x) else [x]
    return parts


def _next(product, before):
    return jax.tree.map(lambda p, b: 2 * p - b, product, before)


def _scale(weight, a):
    return jax.tree.map(lambda x: weight.astype(x.dtype) * x, a)


def _sum(*trees):
    first, *rest = trees
    for tree in rest:
        first = jax.tree.map(jnp.add, first, tree)
    return first
