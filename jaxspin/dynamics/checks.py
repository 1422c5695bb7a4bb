"""What `simulate` and `relax` refuse before any work: spins `(*cells, sublattices, 3)`, masks, settings.

Shapes are always checked, values only where they are known: not those of tracers.
"""

import math
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxspin.arguments import told
from jaxspin.classical.sites import check_moments
from jaxspin.couplings import finite_and_not_negative, finite_and_positive, holds, real
from jaxspin.field import times_of_change
from jaxspin.lattice import Lattice
from jaxspin.spins import check_spins

# How far from unit length a spin may be at the start; single-precision runs drift by less.
_LENGTH_TOLERANCE = 1e-3
# At how many times a schedule is looked at beforehand, beside its times of change.
_LOOKS = 33
# The finest tolerance of adaptive steps, in units in the last place: below, rounding is taken for an error.
_FINEST = 8


def check_state(spins: Array, lattice: Lattice | None, frozen: Array | None) -> None:
    """Raises `ValueError` for spins off the lattice or not of length one or zero, or a mask of another shape."""
    if lattice is not None:
        check_spins(lattice, spins)
    if frozen is not None and frozen.shape != spins.shape[:-1]:
        raise ValueError(f"frozen has shape {frozen.shape}; give a mask of the lattice's shape {spins.shape[:-1]}.")
    if not holds(_are_unit, spins):
        longest = float(jnp.sqrt(jnp.max(jnp.sum(jnp.square(spins), axis=-1))))
        raise ValueError(
            f"spins must have length one, or zero for a vacancy, got lengths up to {longest:.4g}; pass "
            "jaxspin.normalize(spins)."
        )


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
    check_motion(shape, damping, moment, temperature)


def check_motion(shape: tuple[int, ...], damping: Any, moment: Any, temperature: Any) -> None:
    """Raises `ValueError` for parameters of the motion that spins on sites of this `shape` cannot have."""
    for name, value in (("damping", damping), ("moment", moment), ("temperature", temperature)):
        if value is not None and not callable(value):
            real(value, name)
    if np.shape(damping) not in ((), shape):
        raise ValueError(
            f"damping of shape {np.shape(damping)} does not fit the sites {shape}; give one number, or one per site."
        )
    if not holds(finite_and_not_negative, damping):
        raise ValueError(f"damping = {told(damping)} must be finite and not negative; pass zero or more, such as 0.1.")
    if moment is not None:
        check_moments(moment, shape)
    if moment is not None and not holds(finite_and_positive, moment):
        raise ValueError(
            f"moment = {told(moment)} must be positive and finite; for a vacancy make the spin zero, not its moment."
        )
    if not callable(temperature) and not holds(finite_and_not_negative, temperature):
        raise ValueError(f"temperature = {temperature} is not finite or negative; pass zero or more, such as 0.01.")


def check_adaptive(max_step: Any, tolerance: Any, adaptive: bool, dtype: Any) -> None:
    """Raises `ValueError` for bounds of adaptive steps that are not positive, cannot be met, or have no such steps."""
    if not adaptive:
        if max_step is not None:
            raise ValueError('max_step bounds adaptive steps; pass step="adaptive" with it, or step=... alone.')
        if tolerance is not None:
            raise ValueError('tolerance is that of adaptive steps; pass step="adaptive" with it, or a smaller step.')
        return
    if max_step is not None and not float(max_step) > 0:
        raise ValueError(f"max_step = {float(max_step):g} must be positive; leave it out for steps of any length.")
    smallest = _FINEST * float(jnp.finfo(dtype).eps)
    if tolerance is not None and not smallest <= float(tolerance) < 1:
        raise ValueError(
            f"tolerance = {float(tolerance):g} is not between {smallest:.1g}, what {dtype} resolves, and 1; "
            "pass a larger one, or spins in double precision."
        )


def check_schedule(schedule: Callable[[Any], Any], start: float, duration: float, dtype: Any) -> float | None:
    """The highest temperature met at some times of the run; None where it is traced.

    Raises `ValueError` where the schedule gives another shape than one number, or a value that is no temperature.
    """
    end = start + duration
    times = [*np.linspace(start, end, _LOOKS), *(t for t in times_of_change(schedule))]
    temperatures = []
    for t in times:
        if isinstance(t, Tracer):
            return None
        time = float(np.clip(float(t), start, end))
        temperature = _at(schedule, jnp.asarray(time, dtype))
        if jnp.shape(temperature) != ():
            raise ValueError(
                f"the temperature at t = {time:g} has the shape {jnp.shape(temperature)}; return one number, the same "
                "for all spins."
            )
        if isinstance(temperature, Tracer):
            return None
        if not 0 <= float(temperature) < math.inf:
            raise ValueError(
                f"the temperature at t = {time:g} is {float(temperature):g}; return a finite one, zero or more, at "
                "every time of the run."
            )
        temperatures.append(float(temperature))
    return max(temperatures)


@eqx.filter_jit
def _at(schedule: Callable[[Any], Any], t: Array) -> Any:
    return schedule(t)


def check_solver(solver, noisy, adaptive):
    name = type(solver).__name__
    if not isinstance(solver, diffrax.AbstractSolver):
        raise TypeError(f"solver = {told(solver)} is no integrator; pass solver=js.dynamics.DepondtMertens().")
    if noisy and adaptive:
        raise ValueError("thermal noise needs a fixed step; pass step=..., or temperature=0 for adaptive steps.")
    if noisy and not isinstance(solver, diffrax.AbstractStratonovichSolver):
        raise ValueError(
            f"{name} does not take thermal noise; use DepondtMertens(), SemiImplicit() or ProjectedHeun()."
        )
    if adaptive and not isinstance(solver, diffrax.AbstractAdaptiveSolver):
        raise ValueError(f"{name} does not estimate its error; use ProjectedTsit5(), or a fixed step.")


def _are_unit(spins: Any) -> Any:
    square = (spins * spins).sum(axis=-1)
    return (square == 0) | (abs(square - 1) < 2 * _LENGTH_TOLERANCE)
