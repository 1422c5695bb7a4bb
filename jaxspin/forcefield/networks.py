"""Networks from features `(..., n_features)` to one number a site, as Flax NNX modules."""

import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.precision import EXACT


@functools.partial(jax.jit, static_argnames=("features", "hidden", "dtype"))
def multilayer_perceptron(
    features: int, hidden: tuple[int, ...], *, key: PRNGKeyArray, dtype=None
) -> "MultilayerPerceptron":
    """`MultilayerPerceptron`, its weights drawn in one program."""
    return MultilayerPerceptron(features, hidden, key=key, dtype=dtype)


class MultilayerPerceptron(nnx.Module):
    """Dense layers with SiLU between them, smooth as an energy must be; the last one starts at zero.

    `features` inputs, `hidden` layer widths, one output: `(..., features) -> (...)`.

    Example:
        >>> network = js.forcefield.MultilayerPerceptron(3, (4,), key=jax.random.key(0))
        >>> network(jnp.ones((5, 3))).tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(self, features: int, hidden: Sequence[int], *, key: PRNGKeyArray, dtype=None):
        dtype = jnp.result_type(float) if dtype is None else dtype
        rngs = nnx.Rngs(key)
        sizes = (features, *hidden)
        dense = functools.partial(nnx.Linear, param_dtype=dtype, precision=EXACT, rngs=rngs)
        self.hidden = nnx.List([dense(a, b) for a, b in itertools.pairwise(sizes)])
        self.output = dense(sizes[-1], 1, use_bias=False, kernel_init=nnx.initializers.zeros_init())

    def __call__(self, features: Float[Array, "*n f"]) -> Float[Array, "*n"]:
        x = features
        for layer in self.hidden:
            x = jax.nn.silu(layer(x))
        return self.output(x)[..., 0]
