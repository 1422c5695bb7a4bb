"""Translations of arrays by lattice vectors, as primitives that compile to what is fastest where they run.

They are primitives because the transpose of `take` is a scatter, ten times slower on CPUs than the translation it
is, and because the platform is known only at lowering. `Lattice.translate` and `Lattice.translations` call them.
"""

import functools
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

    A window is read with a fixed distance in memory, so the loop that reads it is vectorized, which a roll's seam
    in the middle of a row prevents. The barrier keeps XLA from reading through it, window by window.
    """
    before = x.ndim - len(periodic)
    cells = x.shape[before:]
    offsets = [tuple(map(_within, offset, cells, periodic)) for offset in offsets]
    below = [max(0, -min(n)) for n in zip(*offsets, strict=True)]
    above = [max(0, *n) for n in zip(*offsets, strict=True)]
    wide = x
    for axis, (low, high, wraps) in enumerate(zip(below, above, periodic, strict=True), before):
        n = x.shape[axis]
        if not low + high:
            continue
        if wraps:
            last, first = (jax.lax.slice_in_dim(wide, *part, axis=axis) for part in ((n - low, n), (0, high)))
            wide = jnp.concatenate([last, wide, first], axis)
        else:
            padding = [(0, 0, 0)] * x.ndim
            padding[axis] = (low, high, 0)
            wide = jax.lax.pad(wide, jnp.zeros((), x.dtype), padding)
    wide = jax.lax.optimization_barrier(wide)
    windows = []
    for offset in offsets:
        start = (*(0,) * before, *np.add(below, offset).tolist())
        windows.append(jax.lax.slice(wide, start, np.add(start, x.shape).tolist()))
    return windows


def _within(n: int, cells: int, wraps: bool) -> int:
    """The same translation by at most half of a periodic axis, or all of an open one."""
    if wraps:
        return (n + (cells - 1) // 2) % cells - (cells - 1) // 2
    return max(-cells, min(cells, n))


def _on_one_device(context) -> bool:
    """Whether what is lowered runs on one device, or is written for each of many by itself."""
    placed = context.module_context.axis_context
    if manual := getattr(placed, "manual_axes", None):
        return all(name in manual for name, size in placed.mesh.shape.items() if size > 1)
    return getattr(placed, "num_devices", jax.device_count()) == 1


def _lower(primitive: Primitive, on_one_cpu, elsewhere) -> None:
    several = primitive.multiple_results

    def on_cpu(context, x, **static):
        chosen = on_one_cpu if _on_one_device(context) else elsewhere
        return mlir.lower_fun(functools.partial(chosen, **static), multiple_results=several)(context, x)

    mlir.register_lowering(primitive, mlir.lower_fun(elsewhere, multiple_results=several))
    mlir.register_lowering(primitive, on_cpu, platform="cpu")


_translate_p = Primitive("translate")


def _transpose(cotangent, x, *, offset, periodic):
    if type(cotangent) is ad.Zero:
        return [ad.Zero(x.aval)]
    return [translate(cotangent, tuple(-n for n in offset), periodic)]


def _batch(arguments, axes, **static):
    (x,), (axis,) = arguments, axes
    return _translate_p.bind(jnp.moveaxis(x, axis, -1), **static), x.ndim - 1


_translate_p.def_impl(jax.jit(_translate_p.bind, static_argnames=("offset", "periodic")))
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
# with the mesh it lives on, by which fields tell how their lattice is spread
_settled_p.def_abstract_eval(lambda x: x.update(weak_type=False))
ad.deflinear2(_settled_p, lambda cotangent, x: [cotangent])
batching.defvectorized(_settled_p)
_lower(_settled_p, jax.lax.optimization_barrier, lambda x: x)
