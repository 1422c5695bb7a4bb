"""Products and inverses of small complex matrices, in stacks."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from jaxspin.arrays.precision import matmul

# From this size on a CPU multiplies real matrices up to twice as fast as complex ones. Smaller ones gain nothing, and
# each real and imaginary part is one more loop to compile.
_LARGE = 64


def multiply(a: Complex[Array, "n k"], b: Complex[Array, "k m"]) -> Complex[Array, "n m"]:
    """A B. Spinors are summed in place; large matrices in single precision go through real products."""
    if a.shape[1] == 2:
        return a[:, :1] * b[:1] + a[:, 1:] * b[1:]
    if a.dtype == jnp.complex128 or max(*a.shape, *b.shape) < _LARGE:
        return matmul(a, b)
    ar, ai, br, bi = jnp.real(a), jnp.imag(a), jnp.real(b), jnp.imag(b)
    return jax.lax.complex(matmul(ar, br) - matmul(ai, bi), matmul(ar, bi) + matmul(ai, br))


def dagger(a: Complex[Array, "n m"]) -> Complex[Array, "m n"]:
    """The hermitian conjugate."""
    return jnp.conj(a.T)


@jax.custom_jvp
def inverse(a: Complex[Array, "n n"]) -> Complex[Array, "n n"]:
    """A^-1, with the derivative -A^-1 dA A^-1 as two products instead of a solve; of one site by Cramer's rule."""
    if a.shape != (2, 2):
        return jnp.linalg.inv(a)
    signs = jnp.asarray([[1, -1], [-1, 1]], a.dtype)
    return signs * jnp.flip(a).T / (a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0])


@inverse.defjvp
def _inverse_jvp(primals, tangents):
    (a,), (da,) = primals, tangents
    x = inverse(a)
    return x, -multiply(multiply(x, da), x)
