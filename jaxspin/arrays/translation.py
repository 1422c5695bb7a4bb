"""Translations of arrays by lattice vectors, as primitives that compile to what is fastest where they run.

They are primitives because the transpose of `take` is a scatter, ten times slower on CPUs than the translation it
is, and because the platform is known only at lowering. `Lattice.translate` and `Lattice.translations` call them.
"""

import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Shaped

Offset = tuple[int, ...]


def translate(x: Shaped[Array, "..."], offset: Offset, periodic: tuple[bool, ...]) -> Shaped[Array, "..."]:
    """`result[R] = x[R + offset]` of an array whose leading axes are the cells."""
    return _translate_p.bind(x, offset=offset, periodic=periodic)


def translations(
    x: Shaped[Array, "..."], offsets: tuple[Offset, ...], periodic: tuple[bool, ...]
) -> list[Shaped[Array, "..."]]:
    """`result[k][..., R] = x[..., R + offsets[k]]` of an array whose trailing axes are the cells."""
    return list(_translations_p.bind(x, offsets=offsets, periodic=periodic))


def settled(x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """`x` itself: on one CPU device written to memory, where XLA would else compute it anew for every use."""
    return _settled_p.bind(x)


def translate_by_take(x, *, offset: Offset, periodic: tuple[bool, ...]):
    """Translation by a constant-index gather along each axis: the faster form on one CPU."""
    for axis, (n, wraps) in enumerate(zip(offset, periodic, strict=True)):
        if n == 0:
            continue
        index = np.arange(x.shape[axis]) + n
        if wraps:
            x = jnp.take(x, index % x.shape[axis], axis=axis, mode="clip", unique_indices=True)
        else:
            inside = np.where((index >= 0) & (index < x.shape[axis]), index, x.shape[axis])
            x = jnp.take(x, inside, axis=axis, mode="fill", fill_value=0)
    return x


def translate_by_roll(x, *, offset: Offset, periodic: tuple[bool, ...], before: int = 0):
    """Translation by rolls (periodic axes) and pads (open axes): the form that shards without gathering.

    `before` axes precede the cells.
    """
    for axis, (n, wraps) in enumerate(zip(offset, periodic, strict=True), before):
        if n == 0:
            continue
        if wraps:
            x = jnp.roll(x, -n, axis)
        else:
            n = max(-x.shape[axis], min(x.shape[axis], n))
            padding = [(0, 0, 0)] * x.ndim
            padding[axis] = (-n, n, 0)
            x = jax.lax.pad(x, jnp.zeros((), x.dtype), padding)
    return x


def translations_by_roll(x, *, offsets: Sequence[Offset], periodic: tuple[bool, ...]):
    """A roll for each offset."""
    before = x.ndim - len(periodic)
    return [translate_by_roll(x, offset=offset, periodic=periodic, before=before) for offset in offsets]


def translations_by_windows(x, *, offsets: Sequence[Offset], periodic: tuple[bool, ...]):
    """The array with its edges around it, and a window of that for each offset.

    All numbers of a window are at the same distance in memory from those they are added to, so the loop that reads it
    is vectorized; the seam of a roll in the middle of a row would prevent that. The last axis gets no edges, which
    would take another copy: the rows lie one after another in memory, and a neighbour beyond the end of its row is
    read from a second window, one row away. The barrier makes XLA write the copy once, and not anew for each window.
    """
    if len(periodic) == 1:
        rows = translations_by_windows(x[..., None], offsets=[(*n, 0) for n in offsets], periodic=(*periodic, True))
        return [y[..., 0] for y in rows]
    before, row = x.ndim - len(periodic), x.shape[-1]
    offsets = [tuple(map(_within, offset, x.shape[before:], periodic)) for offset in offsets]
    lines = [[(*n[:-2], n[-2] * row + m) for m in _turns(n[-1], row)] for n in offsets]
    along = list(zip(*itertools.chain(*lines), strict=True))
    below, above = [max(0, -min(n)) for n in along], [max(0, *n) for n in along]
    below[-1], above[-1] = -(-below[-1] // row), -(-above[-1] // row)
    wide = x
    for axis, (low, high, wraps) in enumerate(zip(below, above, periodic, strict=False), before):
        wide = with_edges(wide, axis, low, high, wraps)
    wide = jax.lax.optimization_barrier(wide.reshape(*wide.shape[:-2], -1))
    below[-1] *= row

    def window(line: Offset):
        start = (*(0,) * before, *np.add(below, line).tolist())
        size = (*x.shape[:-2], x.shape[-2] * row)
        return jax.lax.slice(wide, start, np.add(start, size).tolist()).reshape(x.shape)

    column = jax.lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1)
    windows = []
    for (*_, n), line in zip(offsets, lines, strict=True):
        here = window(line[0])
        if n:
            beyond = column >= row - n if n > 0 else column < -n
            here = jnp.where(beyond, window(line[1]) if periodic[-1] else jnp.zeros((), x.dtype), here)
        windows.append(here)
    return windows


def _turns(n: int, row: int) -> tuple[int, ...]:
    """A translation along the rows, and that to the same column of a periodic row from the other side."""
    return (n, n - row if n > 0 else n + row) if n else (n,)


def with_edges(x, axis: int, low: int, high: int, wraps: bool):
    """The array with numbers from its other end, or zeros, before and behind it."""
    n = x.shape[axis]
    if not low + high:
        return x
    if not wraps:
        padding = [(0, 0, 0)] * x.ndim
        padding[axis] = (low, high, 0)
        return jax.lax.pad(x, jnp.zeros((), x.dtype), padding)
    if max(low, high) > n:
        return jnp.take(x, np.arange(-low, n + high) % n, axis=axis)
    last, first = (jax.lax.slice_in_dim(x, *part, axis=axis) for part in ((n - low, n), (0, high)))
    return jnp.concatenate([last, x, first], axis)


def _within(n: int, cells: int, wraps: bool) -> int:
    """The same translation by at most half of a periodic axis, or all of an open one."""
    if wraps:
        return (n + (cells - 1) // 2) % cells - (cells - 1) // 2
    return max(-cells, min(cells, n))


def _on_one_device(context) -> bool:
    """Whether what is lowered runs on one device, or is written for each of many by itself."""
    axes = context.module_context.axis_context
    if manual := getattr(axes, "manual_axes", None):
        return all(name in manual for name, size in axes.mesh.shape.items() if size > 1)
    return getattr(axes, "num_devices", jax.device_count()) == 1


def _lower(primitive: Primitive, on_one_cpu, elsewhere) -> None:
    several = primitive.multiple_results

    def on_cpu(context, x, **static):
        lowered = on_one_cpu if _on_one_device(context) else elsewhere
        return mlir.lower_fun(functools.partial(lowered, **static), multiple_results=several)(context, x)

    mlir.register_lowering(primitive, mlir.lower_fun(elsewhere, multiple_results=several))
    mlir.register_lowering(primitive, on_cpu, platform="cpu")


_translate_p = Primitive("translate")


def _transpose(cotangent, x, *, offset, periodic):
    if type(cotangent) is ad.Zero:
        return [ad.Zero(x.aval)]
    return [translate(cotangent, tuple(-n for n in offset), periodic)]


def _translate_now(x, *, offset: Offset, periodic: tuple[bool, ...]):
    """Outside jit: on one device a gather whose indices are data, so that every offset is the same program."""
    if isinstance(x, jax.Array) and len(x.devices()) > 1:
        return _translate_compiled(x, offset=offset, periodic=periodic)
    cells = x.shape[: len(offset)]
    index = [np.arange(c) + n for c, n in zip(cells, offset, strict=True)]
    inside = [p | ((i >= 0) & (i < c)) for i, c, p in zip(index, cells, periodic, strict=True)]
    return _taken(x, [i % c for i, c in zip(index, cells, strict=True)], inside)


_translate_compiled = jax.jit(
    lambda x, **static: _translate_p.bind(x, **static), static_argnames=("offset", "periodic")
)


@jax.jit
def _taken(x, index: Sequence[Array], inside: Sequence[Array]):
    for axis, (where, present) in enumerate(zip(index, inside, strict=True)):
        x = jnp.take(x, where, axis=axis, mode="clip")
        x = jnp.where(jnp.expand_dims(present, [k for k in range(x.ndim) if k != axis]), x, jnp.zeros((), x.dtype))
    return x


def _batch(arguments, axes, **static):
    (x,), (axis,) = arguments, axes
    return _translate_p.bind(jnp.moveaxis(x, axis, -1), **static), x.ndim - 1


_translate_p.def_impl(_translate_now)
_translate_p.def_abstract_eval(lambda x, **static: ShapedArray(x.shape, x.dtype))
ad.deflinear2(_translate_p, _transpose)
batching.primitive_batchers[_translate_p] = _batch
_lower(_translate_p, translate_by_take, translate_by_roll)

_translations_p = Primitive("translations")
_translations_p.multiple_results = True


def _transpose_all(cotangents, x, *, offsets, periodic):
    parts = [
        translations(cotangent, (tuple(-n for n in offset),), periodic)[0]
        for cotangent, offset in zip(cotangents, offsets, strict=True)
        if type(cotangent) is not ad.Zero
    ]
    return [functools.reduce(jnp.add, parts) if parts else ad.Zero(x.aval)]


def _batch_all(arguments, axes, **static):
    (x,), (axis,) = arguments, axes
    return _translations_p.bind(jnp.moveaxis(x, axis, 0), **static), (0,) * len(static["offsets"])


_translations_p.def_impl(jax.jit(_translations_p.bind, static_argnames=("offsets", "periodic")))
_translations_p.def_abstract_eval(lambda x, offsets, periodic: [x.update(weak_type=False)] * len(offsets))
ad.deflinear2(_translations_p, _transpose_all)
batching.primitive_batchers[_translations_p] = _batch_all
_lower(_translations_p, translations_by_windows, translations_by_roll)

_settled_p = Primitive("settled")
_settled_p.def_impl(lambda x: x)
# with the mesh it lives on, by which fields tell how their lattice is shared out
_settled_p.def_abstract_eval(lambda x: x.update(weak_type=False))
ad.deflinear2(_settled_p, lambda cotangent, x: [cotangent])
batching.defvectorized(_settled_p)
_lower(_settled_p, jax.lax.optimization_barrier, lambda x: x)
