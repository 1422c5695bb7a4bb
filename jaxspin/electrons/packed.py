"""Arithmetic of electron vectors in either layout: spinors of four real arrays a site, and arrays of orbitals."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from jaxspin.arrays.precision import tensordot


def overlaps(left: Any, right: Any) -> Complex[Array, " n"]:
    """<left|right_n> of stacked vectors `right`, all columns together."""

    def dot(x, y):
        return tensordot(y.reshape(len(y), -1), x.reshape(-1), axes=1)

    if isinstance(left, jax.Array):
        return dot(jnp.conj(left), right)
    total = []
    for x, y in zip(left, right, strict=True):
        for re, im in ((0, 1), (2, 3)):
            total.append(jax.lax.complex(dot(x[re], y[re]) + dot(x[im], y[im]), dot(x[re], y[im]) - dot(x[im], y[re])))
    return functools.reduce(jnp.add, total)


def weighted(numbers: Float[Array, "*cells orbitals"], vectors: Any) -> Any:
    """Each orbital times its number."""
    if isinstance(vectors, jax.Array):
        return numbers[..., None, None].astype(vectors.dtype) * vectors
    return tuple(tuple(numbers[..., a, None] * p for p in parts) for a, parts in enumerate(vectors))


def imaginary_product(left: Any, right: Any) -> Float[Array, ""]:
    """Im <left|right>, all columns together."""
    if isinstance(left, jax.Array):
        return jnp.sum(jnp.imag(jnp.conj(left) * right))
    terms = [
        jnp.sum(u[re] * v[im] - u[im] * v[re]) for u, v in zip(left, right, strict=True) for re, im in ((0, 1), (2, 3))
    ]
    return functools.reduce(jnp.add, terms)


def orbital_alone(vectors: Any, orbital: Int[Array, ""], columns: Int[Array, " n"]) -> Any:
    """These columns of the vectors, without all other orbitals than this one of each cell."""
    if isinstance(vectors, jax.Array):
        mine = jnp.arange(vectors.shape[-3]) == orbital
        return jnp.where(mine[:, None, None], vectors[..., columns], 0)
    return tuple(
        tuple(jnp.where(orbital == a, part[..., columns], 0) for part in parts) for a, parts in enumerate(vectors)
    )
