"""Products and inverses of small complex matrices, in stacks."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

_EXACT = jax.lax.Precision.HIGHEST


def multiply(a: Complex[Array, "n k"], b: Complex[Array, "k m"]) -> Complex[Array, "n m"]:
    """A B. Single precision goes through real products, which a CPU makes three times faster than complex ones."""
    if a.dtype == jnp.complex128:
        return jnp.matmul(a, b, precision=_EXACT)
    ar, ai, br, bi = jnp.real(a), jnp.imag(a), jnp.real(b), jnp.imag(b)

    def product(x, y):
        return jnp.matmul(x, y, precision=_EXACT)

    return jax.lax.complex(product(ar, br) - product(ai, bi), product(ar, bi) + product(ai, br))


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
