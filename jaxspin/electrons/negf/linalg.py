"""Products and inverses of small complex matrices, in stacks, as fast on a CPU as its matrix product."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

_EXACT = jax.lax.Precision.HIGHEST
_SMALL = 24  # below this a solve is as fast, and compiles faster


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
    """A^-1 by an LU decomposition with pivoting.

    The triangular factors are inverted by halves, so that nearly all of the work is matrix products; a solve with n
    right sides takes three times as long on a CPU.
    """
    n = a.shape[-1]
    if n <= _SMALL:
        return jnp.linalg.inv(a)
    lu, _, permutation = jax.lax.linalg.lu(a)
    ones = jnp.eye(n, dtype=a.dtype)
    lower = _lower_inverse(jnp.tril(lu, -1) + ones)
    upper = _lower_inverse(jnp.triu(lu).T).T
    return multiply(upper, lower)[:, jnp.argsort(permutation)]


@inverse.defjvp
def _inverse_jvp(primals, tangents):
    (a,), (da,) = primals, tangents
    x = inverse(a)
    return x, -multiply(multiply(x, da), x)


def _lower_inverse(a: Array) -> Array:
    """[[A, 0], [B, C]]^-1 = [[A^-1, 0], [-C^-1 B A^-1, C^-1]]."""
    n = a.shape[-1]
    if n <= _SMALL:
        return jax.lax.linalg.triangular_solve(a, jnp.eye(n, dtype=a.dtype), left_side=True, lower=True)
    half = n // 2
    first, second = _lower_inverse(a[:half, :half]), _lower_inverse(a[half:, half:])
    corner = -multiply(multiply(second, a[half:, :half]), first)
    top = jnp.concatenate([first, jnp.zeros((half, n - half), a.dtype)], axis=1)
    return jnp.concatenate([top, jnp.concatenate([corner, second], axis=1)], axis=0)
