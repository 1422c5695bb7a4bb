"""Arithmetic on arrays of 3-vectors `(..., 3)`, one component after another.

Every function takes its arguments apart and stacks its result. XLA cancels a stack against the taking apart that
follows, so a chain of these becomes one loop over numbers that lie next to each other; written with operators on the
whole arrays, the same loop would jump from component to component and not be vectorized (three to five times slower
on CPUs for a step of the dynamics).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxspin.arrays.translation import settled as _settled

# a function called outside jit is one program instead of one for every operation, and inside jit no call
one_program = functools.partial(jax.jit, inline=True)

Vectors = Float[Array, "*#n 3"]
Scalars = Float[Array, "*#n"] | float


@one_program
def components(a: Vectors) -> tuple[Array, Array, Array]:
    """(x, y, z), each of shape `(...,)`."""
    return a[..., 0], a[..., 1], a[..., 2]


@one_program
def stacked(parts: Sequence[Array]) -> Vectors:
    """The vectors with these components."""
    return jnp.stack(parts, axis=-1)


@one_program
def planes(a: Vectors) -> Float[Array, "3 *n"]:
    """The components one after another in memory: what a loop over sites reads and writes fastest."""
    return jnp.stack(components(a))


@one_program
def of_planes(parts: Float[Array, "3 *n"]) -> Vectors:
    """The vectors with these components."""
    return stacked((parts[0], parts[1], parts[2]))


def settled(a: Vectors) -> Vectors:
    """The same vectors, written to memory where XLA on CPUs would compute all three components anew for each use."""
    return of_planes(_settled(planes(a)))


@one_program
def cross(a: Vectors, b: Vectors) -> Vectors:
    """a x b."""
    (ax, ay, az), (bx, by, bz) = components(a), components(b)
    return stacked((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx))


@one_program
def dot(a: Vectors, b: Vectors) -> Float[Array, "*n"]:
    """a . b."""
    (ax, ay, az), (bx, by, bz) = components(a), components(b)
    return ax * bx + ay * by + az * bz


@one_program
def scale(factor: Scalars, a: Vectors) -> Vectors:
    """Each vector times its own number, or all times one."""
    return stacked([factor * x for x in components(a)])


@one_program
def add(first: Vectors, *others: Vectors) -> Vectors:
    """The sum of all."""
    parts = components(first)
    for other in others:
        parts = tuple(x + y for x, y in zip(parts, components(other), strict=True))
    return stacked(parts)


@one_program
def subtract(a: Vectors, b: Vectors) -> Vectors:
    """a - b."""
    return stacked([x - y for x, y in zip(components(a), components(b), strict=True)])


@one_program
def where(condition: Bool[Array, "*#n"], a: Vectors, b: Vectors) -> Vectors:
    """The vectors of `a` where the condition holds, those of `b` elsewhere."""
    return stacked([jnp.where(condition, x, y) for x, y in zip(components(a), components(b), strict=True)])


@one_program
def normalize(a: Vectors) -> Vectors:
    """a / |a|, and zero where a is zero; its derivative at zero is zero.

    `(..., 3)` to the same shape. Right for every length that the dtype holds: where the square would over- or
    underflow, the vector is divided by its largest component first. That does not change the result, so the derivative
    leaves it out. NaN and infinity stay.

    Raises `ValueError` for complex numbers and for an array without three components.

    Example:
        >>> [round(float(x), 3) for x in js.normalize(jnp.array([3.0, 0.0, 4.0]))]
        [0.6, 0.0, 0.8]
    """
    parts = components(a)
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, map(jnp.abs, parts)))
    low, high = (np.sqrt(x).astype(largest.dtype) for x in _range(largest.dtype))
    unusual = (largest != 0) & ((largest < low) | (largest > high))
    divisor = jnp.where(unusual, largest, 1)
    parts = [x / divisor for x in parts]
    square = parts[0] * parts[0] + parts[1] * parts[1] + parts[2] * parts[2]
    empty = square == 0
    inverse = jax.lax.rsqrt(jnp.where(empty, 1, square))
    return stacked([jnp.where(empty, 0, x * inverse) for x in parts])


def _range(dtype) -> tuple[float, float]:
    """Squares that may be added up without loss."""
    limits = jnp.finfo(dtype)
    return float(limits.tiny) / float(limits.eps), float(limits.max) / 4
