"""Networks from features `(..., n_features)` to one number a site, as Flax NNX modules."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray


class MultilayerPerceptron(nnx.Module):
    """Dense layers with SiLU between them, smooth as an energy must be; the last one starts at zero.

    `features` inputs, `hidden` layer widths, one output: `(..., features) -> (...)`.
    """

    def __init__(self, features: int, hidden: Sequence[int], *, key: PRNGKeyArray, dtype=None):
        dtype = jnp.result_type(float) if dtype is None else dtype
        rngs = nnx.Rngs(key)
        sizes = (features, *hidden)
        self.hidden = nnx.List([nnx.Linear(a, b, param_dtype=dtype, rngs=rngs) for a, b in itertools.pairwise(sizes)])
        self.output = nnx.Linear(
            sizes[-1], 1, param_dtype=dtype, rngs=rngs, use_bias=False, kernel_init=nnx.initializers.zeros_init()
        )

    def __call__(self, features: Float[Array, "*n f"]) -> Float[Array, "*n"]:
        x = features
        for layer in self.hidden:
            x = jax.nn.silu(layer(x))
        return self.output(x)[..., 0]
