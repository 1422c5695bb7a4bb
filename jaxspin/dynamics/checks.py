"""What `simulate` and `relax` refuse before any work: spins `(*cells, sublattices, 3)`, masks, settings.

Shapes are always checked, values only where they are known: not those of tracers.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxspin.lattice import Lattice
from jaxspin.spins import check_spins

# How far from unit length a spin may be at the start; single-precision runs drift by less.
_LENGTH_TOLERANCE = 1e-3


def check_state(spins: Array, lattice: Lattice | None, frozen: Array | None) -> None:
    """Raises `ValueError` for spins off the lattice or not of length one or zero, or a mask of another shape."""
    if lattice is not None:
        check_spins(lattice, spins)
    if frozen is not None and frozen.shape != spins.shape[:-1]:
        raise ValueError(f"frozen has shape {frozen.shape}; give a mask of the lattice's shape {spins.shape[:-1]}.")
    if not _holds(_are_unit, spins):
        raise ValueError("spins must have length one, or zero for a vacancy; pass jaxspin.normalize(spins).")


def check_settings(
    shape: tuple[int, ...],
    duration: float,
    start: float,
    save_every: float | None,
    damping: Any,
    moment: Any,
    temperature: Any,
) -> None:
    """Raises `ValueError` for times or parameters of the motion that no run on sites of this `shape` can have."""
    if not duration > 0 or not math.isfinite(duration) or not math.isfinite(start):
        raise ValueError(f"duration = {duration} must be positive and start = {start} finite; give times in hbar/t.")
    if save_every is not None and not save_every > 0:
        raise ValueError(f"save_every = {save_every} must be positive; leave it out for about 100 frames.")
    if np.shape(damping) not in ((), shape):
        raise ValueError(
            f"damping of shape {np.shape(damping)} does not fit the sites {shape}; give one number, or one per site."
        )
    if not _holds(_are_physical, damping):
        raise ValueError("damping must be finite and not negative; pass zero or more, such as 0.1.")
    if moment is not None and np.shape(moment) not in ((), shape):
        raise ValueError(
            f"moment of shape {np.shape(moment)} does not fit the sites {shape}; give one number, or one per site."
        )
    if moment is not None and not _holds(lambda m: jnp.all(jnp.isfinite(m) & (m > 0)), moment):
        raise ValueError("moment must be positive and finite; for a vacancy make the spin zero, not its moment.")
    if not callable(temperature) and not _holds(_are_physical, temperature):
        raise ValueError(f"temperature = {temperature} is not finite or negative; pass zero or more.")


def _holds(condition, values: Any) -> bool:
    if isinstance(values, Tracer):
        return True
    # evaluated even where the caller traces something else
    with jax.ensure_compile_time_eval():
        return bool(condition(jnp.asarray(values)))


def _are_unit(spins: Array):
    length = jnp.linalg.norm(spins, axis=-1)
    return jnp.all((length == 0) | (jnp.abs(length - 1) < _LENGTH_TOLERANCE))


def _are_physical(values: Array):
    return jnp.all(jnp.isfinite(values) & (values >= 0))
