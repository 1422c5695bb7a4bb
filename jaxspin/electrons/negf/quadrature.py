"""Integrals over energy by bisection of panels, in a compiled program, with an error that is always told.

Each panel takes the 15 points of Gauss and Kronrod; its error is judged from the 7 points of Gauss among them as in
QUADPACK (Piessens et al., Springer 1983, 10.1007/978-3-642-61786-7), for the worst of all the numbers that are
integrated. The panels with the largest errors are halved until all errors together meet the tolerance or the panels
run out. Between given energies the variable w = c + h sin(pi u/2) is taken, which smooths square roots at both.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.arrays.precision import einsum
from jaxspin.electrons.negf.rows import flattened

_HALF_NODES = (
    0.991455371120812639206854697526329,
    0.949107912342758524526189684047851,
    0.864864423359769072789712788640926,
    0.741531185599394439863864773280788,
    0.586087235467691130294144691838259,
    0.405845151377397166906606412076961,
    0.207784955007898467600689403773245,
)
_HALF_KRONROD = (
    0.022935322010529224963732008058970,
    0.063092092629978553290700663189204,
    0.104790010322250183839876322541518,
    0.140653259715525918745189590510238,
    0.169004726639267902826583426598550,
    0.190350578064785409913256402421014,
    0.204432940075298892414161999234649,
)
_HALF_GAUSS = (
    0.129484966168869693270611432679082,
    0.279705391489276667901467771423780,
    0.381830050505118944950369775488975,
)

NODES = np.array([-x for x in _HALF_NODES] + [0.0] + list(_HALF_NODES[::-1]))
KRONROD = np.array([*_HALF_KRONROD, 0.209482141084727828012999174891714, *_HALF_KRONROD[::-1]])
GAUSS = np.zeros(15)
GAUSS[1::2] = [*_HALF_GAUSS, 0.417959183673469387755102040816327, *_HALF_GAUSS[::-1]]


class Panels(NamedTuple):
    """Rows (a, b, low, high): parts [low, high] of u in [-1, 1], between the energies a and b; `used` of them count."""

    parts: Array
    used: Array


class Integral(NamedTuple):
    """Its value (any tree of arrays), the estimate of its error, and the panels it was taken on."""

    value: Any
    error: Array
    panels: Panels


def _energies(parts: Array) -> tuple[Array, Array]:
    """(w, dw/du times half the panel) at the nodes, `(panels, 15)`."""
    a, b, low, high = (column[:, None] for column in parts.T)
    half = (high - low) / 2
    u = (low + high) / 2 + half * jnp.asarray(NODES, parts.dtype)[None]
    w = (a + b) / 2 + (b - a) / 2 * jnp.sin(np.pi / 2 * u)
    return w, (b - a) / 2 * (np.pi / 2) * jnp.cos(np.pi / 2 * u) * half


def _chunk(integrand: Callable[[Array], Array], parts: Array) -> tuple[Array, Array]:
    """Kronrod's values of some panels, `(panels, numbers)`, and their errors."""
    w, stretch = _energies(parts)
    samples = jax.vmap(integrand)(w.reshape(-1)).reshape(*w.shape, -1)
    rules = stretch[:, None] * jnp.asarray(np.stack([KRONROD, GAUSS]), stretch.dtype)[None]
    both = einsum("prk,pkn->prn", rules, samples)
    values, off = both[:, 0], jnp.abs(both[:, 0] - both[:, 1])
    width = jnp.sum(rules[:, 0], axis=1)
    mean = values / jnp.where(width == 0, 1, width)[:, None]
    deviation = einsum("pk,pkn->pn", rules[:, 0], jnp.abs(samples - mean[:, None]))
    share = jnp.minimum(1, 200 * off / jnp.where(deviation > 0, deviation, 1))
    worst = jnp.max(deviation * share**1.5, axis=1, initial=0.0)
    # a maximum may pass over NaN
    finite = jnp.isfinite(worst) & jnp.all(jnp.isfinite(values), axis=1)
    return values, jnp.where(finite, worst, jnp.inf)


def adapt(integrand: Callable[[Array], Any], edges: Array, *, tolerance: float, most: int, batch: int) -> Integral:
    """The integral from the first to the last of the ascending `edges`, at most `most` panels, `batch` at a time.

    Not to be differentiated: differentiate `repeat` on the panels found.
    """
    segments, dtype, pairs = edges.shape[0] - 1, edges.dtype, batch // 2
    first = -(-segments // batch)
    most = -(-max(most, (first + 1) * batch) // batch) * batch
    flat, restore = flattened(integrand, edges[0])
    row = np.arange(most)
    # a row a panel: its part, its error, its numbers; so that each turn reads once and writes once
    blank = np.zeros((most, 3 + jax.eval_shape(flat, edges[0]).size))
    blank[:segments, :2] = -1, 1
    segment = np.where(row < segments, row, 0)
    table = jnp.concatenate([edges[np.stack([segment, segment + 1], axis=1)], jnp.asarray(blank, dtype)], axis=1)
    few, second = (jnp.asarray(x) for x in (np.arange(batch, dtype=np.int32), np.arange(batch) >= pairs))

    def used(turn):
        return segments + pairs * jnp.maximum(turn - first, 0)

    def unfinished(state):
        turn, error, _ = state
        return (turn < first) | ((error > tolerance) & (used(turn) + pairs <= most))

    def measure(state):
        # The panels to begin with and those halved pass through one program, compiled once. Of one that is halved the
        # first half takes the place, and the second the next free row.
        turn, _, table = state
        beginning = turn < first
        _, worst = jax.lax.top_k(table[:, 4], pairs)
        source = jnp.where(beginning, turn * batch + few, jnp.concatenate([worst, worst]))
        index = jnp.where(beginning | ~second, source, used(turn) + few - pairs)
        a, b, low, high = table[source, :4].T
        middle = (low + high) / 2
        low, high = jnp.where(beginning | ~second, low, middle), jnp.where(beginning | second, high, middle)
        parts = jnp.stack([a, b, low, high], axis=1)
        values, errors = _chunk(flat, parts)
        table = table.at[index].set(jnp.concatenate([parts, errors.astype(dtype)[:, None], values], axis=1))
        return turn + 1, jnp.sum(table[:, 4]), table

    start = (jnp.asarray(0, jnp.int32), jnp.zeros((), dtype), table)
    turns, error, table = jax.lax.while_loop(unfinished, measure, start)
    return Integral(restore(jnp.sum(table, axis=0)[5:]), error, Panels(table[:, :4], used(turns)))


def repeat(integrand: Callable[[Array], Any], panels: Panels, *, batch: int) -> Any:
    """The integral on given panels, differentiable; the panels not in use cost nothing."""
    flat, restore = flattened(integrand, panels.parts[0, 0])
    start = jnp.zeros(jax.eval_shape(flat, panels.parts[0, 0]).shape, panels.parts.dtype)

    @jax.jit
    @jax.checkpoint
    def some(parts):
        return jnp.sum(_chunk(flat, parts)[0], axis=0)

    def add(total, here):
        first, parts = here
        return total + jax.lax.cond(first < panels.used, some, lambda _: start, parts), None

    first = jnp.arange(0, len(panels.parts), batch, dtype=jnp.int32)
    return restore(jax.lax.scan(add, start, (first, panels.parts.reshape(-1, batch, 4)))[0])
