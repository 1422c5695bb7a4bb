"""How exactly matrix products are computed: as the numbers themselves, on every machine.

Left to themselves TPUs multiply in bfloat16 and recent NVIDIA chips in TF32: three digits of single precision's seven.
Invariance, conservation and the difference of two energies are lost at the third digit, so every product says EXACT.
`jnp.matmul` and the like take it as `precision=EXACT`; the functions here are for operators and sums of many.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array

EXACT = jax.lax.Precision.HIGHEST

einsum = functools.partial(jnp.einsum, precision=EXACT)
tensordot = functools.partial(jnp.tensordot, precision=EXACT)


def matmul(first: Array, *others: Array) -> Array:
    """The product of all from left to right."""
    for other in others:
        first = jnp.matmul(first, other, precision=EXACT)
    return first
