"""Unit spins on the sphere: made at random, diluted, and the plane perpendicular to each."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxspin.arrays import vectors
from jaxspin.arrays.vectors import cross, dot, one_program, scale, subtract
from jaxspin.lattice import Lattice
from jaxspin.spins.checks import takes_spins

normalize = takes_spins(name="a")(vectors.normalize)


@functools.partial(one_program, static_argnames="dtype")
def random_spins(lattice: Lattice, *, key: PRNGKeyArray, dtype=None) -> Float[Array, "..."]:
    """Independent spins, uniform on the sphere, of shape `(*cells, sublattices, 3)`.

    Example:
        >>> js.random_spins(lattice, key=jax.random.key(0)).shape
        (4, 4, 1, 3)
    """
    return normalize(jax.random.normal(key, (*lattice.shape, 3), dtype or jnp.result_type(float)))


@takes_spins
@one_program
def dilute(spins: Float[Array, "*n 3"], occupied: Bool[Array, "*n"]) -> Float[Array, "*n 3"]:
    """Spins with vacancies: zero where the mask `occupied` (shape of the lattice) is False.

    Example:
        >>> occupied = jnp.arange(16).reshape(lattice.shape) != 5
        >>> float(jnp.sum(js.spins.dilute(js.textures.ferromagnet(lattice), occupied)))
        15.0
    """
    return jnp.where(occupied[..., None], spins, 0)


@takes_spins
@one_program
def tangent(spins: Float[Array, "*n 3"], vectors: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """The part of `vectors` perpendicular to the spins, v - S (S . v): the only part of a field that acts.

    Example:
        >>> across = js.spins.tangent(spins, jnp.ones_like(spins))
        >>> round(float(jnp.max(jnp.abs(jnp.sum(across * spins, -1)))), 3)
        0.0
    """
    return subtract(vectors, scale(dot(spins, vectors), spins))


@takes_spins
@one_program
def tangent_frame(spins: Float[Array, "*n 3"]) -> Float[Array, "*n 2 3"]:
    """Two orthonormal vectors perpendicular to each spin, e and S x e; zero at vacancies. They jump where S_z = 1/2.

    Example:
        >>> js.spins.tangent_frame(spins).shape
        (4, 4, 1, 2, 3)
    """
    axis = jnp.where(jnp.abs(spins[..., 2:]) < 0.5, jnp.eye(3, dtype=spins.dtype)[2], jnp.eye(3, dtype=spins.dtype)[0])
    first = normalize(jnp.cross(spins, axis))
    return jnp.stack([first, jnp.cross(spins, first)], axis=-2)


@takes_spins
def torque(spins: Float[Array, "*n 3"], field: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """S x B, which is dS/dt without damping.

    Example:
        >>> js.spins.torque(jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.0, 2.0])).tolist()
        [0.0, -2.0, 0.0]
    """
    return cross(spins, field)
