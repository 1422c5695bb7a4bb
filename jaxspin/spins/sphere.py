"""Unit spins on the sphere: made at random, diluted, and the plane perpendicular to each."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxspin.arguments import check_key, check_lattice
from jaxspin.arrays import vectors
from jaxspin.arrays.vectors import cross, dot, one_program, scale, subtract
from jaxspin.lattice import Lattice
from jaxspin.spins.checks import check_vectors, takes_spins

normalize = takes_spins(name="a")(vectors.normalize)


def random_spins(lattice: Lattice, *, key: PRNGKeyArray, dtype=None) -> Float[Array, "..."]:
    """Independent spins, uniform on the sphere, of shape `(*cells, sublattices, 3)`.

    The state of infinite temperature, from normalized normal numbers. `dtype` is JAX's own float unless given; the
    same key gives other spins on another lattice. For several states use `jaxspin.training.random_configurations`, for
    vacancies `jaxspin.spins.dilute`.

    Raises `ValueError` for a `dtype` that is no float, `TypeError` for what is no lattice, and a number for a key.

    Source: M. E. Muller, Commun. ACM 2, 19 (1959), doi:10.1145/377939.377946.

    Example:
        >>> js.random_spins(lattice, key=jax.random.key(0)).shape
        (4, 4, 1, 3)
    """
    check_lattice(lattice, "js.random_spins(lattice, key=jax.random.key(0))")
    check_key(key)
    return _random(lattice, key=key, dtype=dtype)


@functools.partial(one_program, static_argnames="dtype")
def _random(lattice: Lattice, *, key: PRNGKeyArray, dtype=None) -> Float[Array, "..."]:
    return normalize(jax.random.normal(key, (*lattice.shape, 3), dtype or jnp.result_type(float)))


@takes_spins
@one_program
def dilute(spins: Float[Array, "*n 3"], occupied: Bool[Array, "*n"]) -> Float[Array, "*n 3"]:
    """Spins with vacancies: zero where the mask `occupied` `(*cells, sublattices)` is False.

    Raises `ValueError` for spins without three components, and a mask of another shape than the sites.

    Example:
        >>> occupied = jnp.arange(16).reshape(lattice.shape) != 5
        >>> float(jnp.sum(js.spins.dilute(js.textures.ferromagnet(lattice), occupied)))
        15.0
    """
    if occupied.shape != spins.shape[:-1]:
        raise ValueError(
            f"occupied has shape {occupied.shape}; give a mask of the lattice's shape {spins.shape[:-1]}, True where a "
            "spin is."
        )
    return jnp.where(occupied[..., None], spins, 0)


@takes_spins
@one_program
def tangent(spins: Float[Array, "*n 3"], vectors: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """The part of `vectors` perpendicular to the spins, v - S (S . v): the only part of a field that acts.

    Vectors and spins `(..., 3)` of one shape, the spins of length one or zero (there v stays). The tangential field is
    -S x (S x B), the torque turned by a right angle; the torque itself is `torque`.

    Raises `ValueError` for spins without three components and vectors of another shape.

    Example:
        >>> across = js.spins.tangent(spins, jnp.ones_like(spins))
        >>> round(float(jnp.max(jnp.abs(jnp.sum(across * spins, -1)))), 3)
        0.0
    """
    check_vectors(spins, vectors)
    return subtract(vectors, scale(dot(spins, vectors), spins))


@takes_spins
@one_program
def tangent_frame(spins: Float[Array, "*n 3"]) -> Float[Array, "*n 2 3"]:
    """Two orthonormal vectors perpendicular to each spin, e and S x e; zero at vacancies. They jump where |S_z| = 1/2.

    Spins `(..., 3)` of length one or zero give `(..., 2, 3)`; with S they are a right-handed frame. Displacements
    along them are the coordinates of `jaxspin.observables.tangent_hessian`.

    Raises `ValueError` for spins without three components.

    Example:
        >>> js.spins.tangent_frame(spins).shape
        (4, 4, 1, 2, 3)
    """
    axis = jnp.where(jnp.abs(spins[..., 2:]) < 0.5, jnp.eye(3, dtype=spins.dtype)[2], jnp.eye(3, dtype=spins.dtype)[0])
    first = normalize(jnp.cross(spins, axis))
    return jnp.stack([first, jnp.cross(spins, first)], axis=-2)


@takes_spins
def torque(spins: Float[Array, "*n 3"], field: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """S x B, which is dS/dt without damping, in energy units (hbar = 1); both `(..., 3)` of one shape.

    Raises `ValueError` for spins without three components and a field of another shape. With damping and noise use
    `jaxspin.simulate`.

    Example:
        >>> js.spins.torque(jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.0, 2.0])).tolist()
        [0.0, -2.0, 0.0]
    """
    check_vectors(spins, field, "fields")
    return cross(spins, field)
