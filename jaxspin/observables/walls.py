"""Domain walls: where one is and how fast it moves, of spins `(*cells, sublattices, 3)`."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.vectors import one_program
from jaxspin.field import sum_of
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins

# A profile is kept this many units in the last place from saturation, where artanh is infinite.
_SATURATION = 4


@takes_spins
def wall_position(
    lattice: Lattice,
    spins: Float[Array, "*cells sublattices 3"],
    *,
    axis: int = 0,
    direction: Sequence[float | int] = (0.0, 0.0, 1.0),
) -> Float[Array, ""]:
    """Where the mean of S . `direction` over a layer of cells changes sign along the open lattice `axis`.

    In lattice constants along the normal of the layers (x for axis 0 of a chain or square lattice), as
    `textures.domain_wall` counts it. Between the two layers of the steepest change of sign, artanh(S . d) is
    interpolated linearly, which is exact for the profile tanh(x/width): the position of a moving wall is smooth. Of
    several walls it finds one. NaN without a wall. Differentiable.

    Raises `ValueError` for an axis that is periodic, of a single cell, or not of the lattice, for a direction that is
    not three finite numbers or is zero, and for spins of another lattice.

    Example:
        >>> track = js.chain(12, periodic=False)
        >>> wall = js.textures.domain_wall(track, position=4.3, width=1.5)
        >>> round(float(js.observables.wall_position(track, wall)), 2)
        4.3
    """
    if not 0 <= axis < lattice.dimension or lattice.periodic[axis] or lattice.cells[axis] < 2:
        raise ValueError(
            f"axis {axis} of the {lattice.name} lattice {lattice.cells} holds no single wall; use an open axis, "
            "periodic=False, of two cells or more."
        )
    unit = np.asarray(direction, float)
    if unit.shape != (3,) or not 0 < np.linalg.norm(unit) < np.inf:
        raise ValueError(f"direction {direction} is none; give three finite numbers, not all zero, such as (0, 0, 1).")
    unit = unit / np.linalg.norm(unit)
    return _wall_position(lattice, spins, axis, tuple(map(float, unit)))


@functools.partial(one_program, static_argnums=(2, 3))
def _wall_position(lattice: Lattice, spins: Array, axis: int, unit: tuple[float, float, float]) -> Array:
    normal = lattice.reciprocal()[axis] / np.linalg.norm(lattice.reciprocal()[axis])
    along = sum_of(spins[..., k] * unit[k] for k in range(3))
    others = tuple(k for k in range(along.ndim) if k != axis)
    occupied = jnp.any(spins != 0, axis=-1).astype(spins.dtype)
    profile = jnp.sum(along, axis=others) / jnp.maximum(jnp.sum(occupied, axis=others), 1)
    limit = 1 - _SATURATION * jnp.finfo(spins.dtype).eps
    rise = jnp.arctanh(jnp.clip(profile, -limit, limit))
    changes = profile[:-1] * profile[1:] < 0
    steepness = jnp.where(changes, jnp.abs(profile[1:] - profile[:-1]), -1)
    # a site that is exactly across belongs to the wall on both sides
    steepness = jnp.where(profile[:-1] * profile[1:] == 0, jnp.abs(profile[1:] - profile[:-1]), steepness)
    # a layer without a spin is no wall
    full = jnp.sum(occupied, axis=others) > 0
    steepness = jnp.where(full[:-1] & full[1:], steepness, -1)
    n = jnp.argmax(steepness)
    before, after = rise[n], rise[n + 1]
    exists = steepness[n] > 0
    fraction = before / jnp.where(exists, before - after, 1)
    first, spacing = (
        float(x) for x in (np.mean(np.array(lattice.basis) @ normal), np.array(lattice.vectors[axis]) @ normal)
    )
    position = first + spacing * (n.astype(spins.dtype) + fraction)
    return jnp.where(exists, position, jnp.nan)


def wall_velocity(
    times: Float[Array | np.ndarray, " n"],
    positions: Float[Array, " n"],
    *,
    start: float | Float[Array | np.ndarray, ""] = -float("inf"),
) -> Float[Array, ""]:
    """The slope of the straight line fitted to `positions` at the `times` from `start` on: the mean velocity.

    In units of the positions over those of the times, lattice constants a hbar/t for `wall_position`. Of an oscillating
    wall take many periods: the slope errs by about six amplitudes over the time. NaN with fewer than two frames, or
    where a position is.

    Raises `ValueError` unless times and positions are two rows of one length.

    Example:
        >>> times = np.arange(4.0)
        >>> round(float(js.observables.wall_velocity(times, jnp.array([1.0, 1.5, 2.0, 2.5]))), 3)
        0.5
    """
    if times.ndim != 1 or positions.shape != times.shape:
        raise ValueError(
            f"positions of shape {positions.shape} do not fit times of shape {times.shape}; give one a frame, such as "
            "run.map(lambda spins: wall_position(lattice, spins))."
        )
    start = start.astype(times.dtype) if isinstance(start, jax.Array) else start
    # in the precision of the times: late ones differ by less than a float32 tells
    return _slope(times - times[0], times >= start, positions)


@one_program
def _slope(times: Array, weights: Array, positions: Array) -> Array:
    times, weights = times.astype(positions.dtype), weights.astype(positions.dtype)
    total = jnp.sum(weights)
    centred = times - jnp.sum(weights * times) / total
    return jnp.sum(weights * centred * jnp.where(weights > 0, positions, 0)) / jnp.sum(weights * centred**2)
