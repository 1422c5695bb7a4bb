"""Vectors side by side along the last axis, the columns: their sum, its transpose, and groups of them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_LANES = 8  # numbers that a CPU adds side by side, before it adds up those


def in_groups(x: Array, width: int) -> Array:
    """The columns, the last axis, in groups of `width`, the last padded with zeros; the groups are the first axis."""
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % width)])
    return jnp.moveaxis(x.reshape(*x.shape[:-1], -1, width), -2, 0)


@jax.custom_vjp
def sum_columns(arrays: tuple[Float[Array, "*cells columns"], ...]) -> tuple[Float[Array, "*cells 1"], ...]:
    """The sum of each array over the last axis, which stays with length one: all of them in one pass.

    XLA on a CPU would read what is summed once for each array, and is slow to add up a short last axis.
    """
    return _sums(arrays)


def repeat_columns(
    arrays: tuple[Float[Array, "*cells 1"], ...], columns: int
) -> tuple[Float[Array, "*cells columns"], ...]:
    """Each array repeated along the last axis; the derivative by all of them together is one pass of `sum_columns`."""
    return _repeat_columns(arrays, columns)


def _repeat(arrays, columns: int) -> tuple[Array, ...]:
    return tuple(jnp.broadcast_to(x, (*x.shape[:-1], columns)) for x in arrays)


_repeat_columns = jax.custom_vjp(_repeat, nondiff_argnums=(1,))
_repeat_columns.defvjp(lambda x, n: (_repeat(x, n), None), lambda n, _, slopes: (sum_columns(slopes),))
sum_columns.defvjp(lambda x: (_sums(x), x[0].shape[-1]), lambda n, slopes: (_repeat(slopes, n),))


def _sums(arrays) -> tuple[Array, ...]:
    return jax.lax.platform_dependent(*arrays, cpu=sum_columns_on_a_cpu, default=_sums_elsewhere)


def _sums_elsewhere(*arrays) -> tuple[Array, ...]:
    return tuple(jnp.sum(x, axis=-1, keepdims=True) for x in arrays)


def sum_columns_on_a_cpu(*arrays) -> tuple[Array, ...]:
    """`sum_columns` as a CPU has it, without a derivative."""
    zeros = (jnp.zeros((), arrays[0].dtype),) * len(arrays)

    def add(a, b):
        return tuple(x + y for x, y in zip(a, b, strict=True))

    if arrays[0].shape[-1] % _LANES == 0:
        arrays = tuple(x.reshape(*x.shape[:-1], -1, _LANES) for x in arrays)
        arrays = jax.lax.reduce(arrays, zeros, add, (arrays[0].ndim - 2,))
    return tuple(x[..., None] for x in jax.lax.reduce(arrays, zeros, add, (arrays[0].ndim - 1,)))
