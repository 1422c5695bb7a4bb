"""Several arrays as one row of real numbers: a loop that carries or writes one of them compiles in a fraction."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def flattened(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Array], Callable[[Array], Any]]:
    """`function` as one row of real numbers, and the way back from a row; `arguments` are only looked at."""
    function = jax.jit(function)  # traced once for its shapes and its numbers
    leaves, tree = jax.tree.flatten(jax.eval_shape(function, *arguments))
    pairs = [jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in leaves]
    sizes = [leaf.size * (2 if pair else 1) for leaf, pair in zip(leaves, pairs, strict=True)]

    def flat(*arguments: Any) -> Array:
        rows = []
        for x in jax.tree.leaves(function(*arguments)):
            rows += [jnp.real(x).reshape(-1), jnp.imag(x).reshape(-1)] if jnp.iscomplexobj(x) else [x.reshape(-1)]
        return jnp.concatenate(rows)

    def restore(row: Array) -> Any:
        parts = jnp.split(row, np.cumsum(sizes)[:-1])
        arrays = []
        for part, leaf, pair in zip(parts, leaves, pairs, strict=True):
            whole = jax.lax.complex(*jnp.split(part, 2)) if pair else part
            arrays.append(whole.reshape(leaf.shape))
        return jax.tree.unflatten(tree, arrays)

    return flat, restore
