"""Products and inverses of small complex matrices, in stacks."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from jaxspin.arrays.precision import matmul


def multiply(a: Complex[Array, "n k"], b: Complex[Array, "k m"]) -> Complex[Array, "n m"]:
    """A B. Single precision goes through real products, which a CPU makes three times faster than complex ones."""
    if a.dtype == jnp.complex128:
        return matmul(a, b)
    ar, ai, br, bi = jnp.real(a), jnp.imag(a), jnp.real(b), jnp.imag(b)
    return jax.lax.complex(matmul(ar, br) - matmul(ai, bi), matmul(ar, bi) + matmul(ai, br))


def dagger(a: Complex[Array, "n m"]) -> Complex[Array, "m n"]:
    """The hermitian conjugate."""
    return jnp.conj(a.T)


@jax.custom_jvp
def inverse(a: Complex[Array, "n n"]) -> Complex[Array, "n n"]:
    """A^-1, with the derivative -A^-1 dA A^-1 as two products instead of a solve."""
    return jnp.linalg.inv(a)


@inverse.defjvp
def _inverse_jvp(primals, tangents):
    (a,), (da,) = primals, tangents
    x = inverse(a)
    return x, -multiply(multiply(x, da), x)
