"""How fast this machine is, measured once in a process, for estimates of what is not run."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

# Matrices of so many rows, long enough to be fast and short enough to take milliseconds; numbers beyond the caches.
_ROWS = 384
_NUMBERS = 1 << 22
_PASSES = 16


class Rates(NamedTuple):
    """Operations a second of matrix products and of eigenvectors, and bytes a second of long arrays."""

    products: float
    decompositions: float
    bytes: float

    def seconds(self, products: float, decompositions: float, moved: float | int) -> float:
        """The time of so many operations, and of moving so many bytes."""
        return products / self.products + decompositions / self.decompositions + moved / self.bytes


@functools.cache
def rates(double: bool) -> Rates:
    """Those of the first device, in one precision, of real numbers; takes about half a second."""
    dtype = jnp.float64 if double else jnp.float32
    with jax.ensure_compile_time_eval():
        matrix = jax.random.normal(jax.random.key(0), (_ROWS, _ROWS), dtype)
        long = jnp.ones(_NUMBERS, dtype)
        hermitian = (matrix + matrix.T).astype(jnp.complex128 if double else jnp.complex64)
        product = _fastest(jax.jit(lambda x: jnp.matmul(x, x, precision="highest")), matrix)
        vectors = _fastest(jax.jit(lambda x: jnp.linalg.eigh(x)[1]), hermitian)
        # in a loop, which writes where it reads: new memory costs more than to move it
        scaled = _fastest(jax.jit(lambda x: jax.lax.fori_loop(0, _PASSES, lambda n, x: 0.5 * x, x)), long)
    return Rates(2 * _ROWS**3 / product, 36 * _ROWS**3 / vectors, 2 * _PASSES * long.nbytes / scaled)


def _fastest(function: Callable[..., Any], argument: Any) -> float:
    times = []
    jax.block_until_ready(function(argument))
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(function(argument))
        times.append(time.perf_counter() - began)
    return min(times)
