"""Rotations of spins: matrices, and the rotation of each spin by a vector of its own."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.precision import einsum, matmul
from jaxspin.arrays.vectors import add, cross, dot, one_program, scale
from jaxspin.couplings import Numbers, holds, real
from jaxspin.spins.checks import check_vectors, takes_spins


def rotation_matrix(axis: Numbers, angle: Numbers) -> Float[Array, "3 3"]:
    """The right-handed rotation by `angle` (radians) about `axis` (any length but zero): exp(angle [axis]x).

    Raises `ValueError` for an axis that is not three finite numbers, or zero, and an angle that is not one number. For
    a rotation of its own at every spin use `retract`.

    Source: O. Rodrigues, J. Math. Pures Appl. 5, 380 (1840).

    Example:
        >>> quarter = js.spins.rotation_matrix(jnp.array([0.0, 0.0, 1.0]), jnp.pi / 2)
        >>> (jnp.round(quarter @ jnp.array([1.0, 0.0, 0.0])) + 0.0).tolist()
        [0.0, 1.0, 0.0]
    """
    axis, angle = real(axis, "axis"), real(angle, "angle")
    if axis.shape != (3,) or angle.ndim or not holds(_has_direction, axis):
        raise ValueError(
            f"axis {axis} and angle {angle} are no rotation; give three finite numbers, not all zero, and one angle in "
            "radians."
        )
    return _rotation_matrix(axis, angle.astype(axis.dtype))


def _has_direction(x: Any) -> Any:
    return (abs(x) < math.inf).all() & (x != 0).any()


@one_program
def _rotation_matrix(axis: Array, angle: Array) -> Array:
    x, y, z = axis / jnp.linalg.norm(axis)
    zero = jnp.zeros_like(x)
    cross = jnp.stack([jnp.stack([zero, -z, y]), jnp.stack([z, zero, -x]), jnp.stack([-y, x, zero])])
    return jnp.eye(3, dtype=cross.dtype) + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * matmul(cross, cross)


@functools.partial(one_program, static_argnames="dtype")
def random_rotation(*, key: PRNGKeyArray, dtype=None) -> Float[Array, "3 3"]:
    """A proper rotation, uniform (Haar) on SO(3), from a random unit quaternion: a matrix `(3, 3)` for `rotate`.

    `dtype` is JAX's own float unless given. For a given axis and angle use `rotation_matrix`.

    Source: K. Shoemake, in Graphics Gems III (1992), p. 124, doi:10.1016/B978-0-08-050755-2.50036-1.

    Example:
        >>> rotation = js.spins.random_rotation(key=jax.random.key(0))
        >>> rotation.shape, round(float(jnp.linalg.det(rotation)), 3)
        ((3, 3), 1.0)
    """
    q = jax.random.normal(key, (4,), dtype or jnp.result_type(float))
    w, x, y, z = q / jnp.linalg.norm(q)
    return jnp.stack(
        [
            jnp.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]),
            jnp.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]),
            jnp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]),
        ]
    )


@takes_spins
def rotate(spins: Float[Array, "*n 3"], rotation: Numbers) -> Float[Array, "*n 3"]:
    """The same rotation R `(3, 3)` applied to every spin, S -> R S, proper or not.

    Raises `ValueError` for spins without three components, and for a matrix of another shape or one that changes
    lengths by more than 1e-3.

    Example:
        >>> quarter = js.spins.rotation_matrix(jnp.array([1.0, 0.0, 0.0]), jnp.pi / 2)
        >>> (jnp.round(js.spins.rotate(js.textures.ferromagnet(lattice), quarter)[0, 0, 0]) + 0.0).tolist()
        [0.0, -1.0, 0.0]
    """
    matrix = real(rotation, "rotation")
    if matrix.shape != (3, 3) or not holds(_keeps_lengths, matrix):
        raise ValueError(
            f"a matrix of shape {matrix.shape} is no rotation; make one with rotation_matrix(axis, angle)."
        )
    return _rotated(spins, matrix.astype(spins.dtype))


def _keeps_lengths(x: Any) -> Any:
    return abs(x @ x.T - np.eye(3)) < 1e-3


@one_program
def _rotated(spins: Array, rotation: Array) -> Array:
    return einsum("ab,...b->...a", rotation, spins)


@takes_spins
@one_program
def retract(spins: Float[Array, "*n 3"], vectors: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """Rotate every spin by the small rotation vector w: S -> exp([w]x) S, exact and norm-preserving.

    `vectors` are rotation vectors (radians), not tangent displacements; for a displacement v in the tangent
    plane use w = S x v.

    Raises `ValueError` for spins without three components and vectors of another shape. For one rotation of all spins
    use `rotate`.

    Source: O. Rodrigues, J. Math. Pures Appl. 5, 380 (1840).

    Example:
        >>> turned = js.spins.retract(jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.0, jnp.pi / 2]))
        >>> (jnp.round(turned) + 0.0).tolist()
        [0.0, 1.0, 0.0]
    """
    check_vectors(spins, vectors)
    sinc, versine = rotation_factors(dot(vectors, vectors))
    turn = cross(vectors, spins)
    return add(spins, scale(sinc, turn), scale(versine, cross(vectors, turn)))


@one_program
def rotation_factors(square: Float[Array, "*n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """sin(x)/x and (1 - cos x)/x^2 of the `square` of x (an array of any shape), to rounding.

    By sums of additions and products, which XLA vectorizes on CPUs where it calls the sine and cosine of one number
    after another. With half the angle, h = k pi + r and abs(r) <= pi/2, they are (sin r/h) cos r and (sin r/h)^2/2:
    free of cancellation, and of the sign of (-1)^k.

    Example:
        >>> [round(float(x), 3) for x in js.spins.rotation_factors(jnp.asarray(1.0))]
        [0.841, 0.46]
    """
    dtype = square.dtype
    pi, far = np.asarray(np.pi, dtype), square > np.pi**2
    half = jnp.sqrt(jnp.where(far, square, 1)) / 2
    turns = jnp.where(far, jnp.round(half / pi), 0)
    rest = (half - turns * pi) - turns * np.asarray(np.pi - float(pi), dtype)
    ratio = jnp.where(far, rest / half, 1)
    rest = jnp.where(far, rest**2, square / 4)
    # the next terms of both series are below a unit in the last place of the largest at a right angle
    terms = 7 if dtype.itemsize <= 4 else 12
    sine = _series(rest, [(-1) ** n / math.factorial(2 * n + 1) for n in range(terms)]) * ratio
    cosine = _series(rest, [(-1) ** n / math.factorial(2 * n) for n in range(terms)])
    return sine * cosine, sine**2 / 2


def _series(x: Float[Array, "*n"], coefficients: Sequence[float]) -> Float[Array, "*n"]:
    """sum_n c_n x^n."""
    *others, last = (np.asarray(c, x.dtype) for c in coefficients)
    total = jnp.full_like(x, last)
    for c in reversed(others):
        total = total * x + c
    return total
