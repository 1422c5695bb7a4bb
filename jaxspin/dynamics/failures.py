"""What is said after a run: why it failed, that its step was too long, or its time too late.

Spins `(n, *cells, sublattices, 3)`.
"""

import math
import warnings
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from jaxspin.classical.profiles import Constant
from jaxspin.dynamics.program import Settings
from jaxspin.dynamics.solvers import AbstractSpinSolver
from jaxspin.dynamics.timestep import life
from jaxspin.dynamics.trajectory import Trajectory
from jaxspin.field import AbstractField
from jaxspin.warned import caller

# A run warns where the error of the fastest motion, as `suggest_timestep` estimates it, is above this.
_LARGEST_ERROR = 0.2
# And where the bath turns a spin by more than this in a step (radians, rms): it is random after a step or two.
_LARGEST_KICK = 1.0
# The step that is advised then turns it by this.
_GOOD_KICK = 0.3


def warn_of_turns(run: Trajectory, solver: diffrax.AbstractSolver) -> None:
    """A warning where a step turned a spin so far that the solver is no longer accurate; nothing inside jit."""
    if not isinstance(solver, AbstractSpinSolver) or isinstance(run.largest_turn, Tracer):
        return
    turn, damping = float(run.largest_turn), float(np.min(np.asarray(run.damping)))
    bound = math.sqrt(_LARGEST_ERROR / (solver.phase_error * life(damping)))
    if turn > bound:
        warnings.warn(
            f"a step of {float(run.step):.3g} turned a spin by {turn:.2g} rad; {type(solver).__name__} is accurate to "
            f"{bound:.2g} rad at damping {damping:.2g}. Pass step = {float(run.step) * bound / turn / 2:.1g} or "
            "less, or leave it out to have one suggested.",
            stacklevel=caller(),
        )


def warn_of_kicks(run: Trajectory, settings: Settings) -> None:
    """A warning where the noise of a step alone, at the hottest frame, turns a spin far; nothing inside jit.

    Each of the two components across the spin has the variance 2 D h, D = a T/((1 + a^2) m).
    """
    numbers = (run.temperature, run.damping, run.step, *([] if settings.moment is None else [settings.moment]))
    if any(isinstance(x, Tracer) for x in numbers):
        return
    hottest = float(np.nanmax(np.append(np.asarray(run.temperature, float), 0.0)))
    damping = np.asarray(run.damping, float)
    moment = np.asarray(1.0 if settings.moment is None else settings.moment, float)
    step, diffusion = float(run.step), float(np.max(damping / ((1 + damping**2) * moment))) * hottest
    turn = math.sqrt(4 * diffusion * step)
    if turn > _LARGEST_KICK:
        warnings.warn(
            f"at temperature {hottest:.3g} and damping {float(np.max(damping)):.2g} the noise of a step of {step:.3g} "
            f"turns a spin by {turn:.2g} rad, so the step is too long for this temperature. Temperatures are k_B T in "
            'the unit of the energies: js.units.Units(energy="eV").temperature(300, "K") gives that of 300 K in eV. If '
            f"it is meant, pass step = {step * (_GOOD_KICK / turn) ** 2:.1g} or less, or leave it out.",
            stacklevel=caller(),
        )


def warn_of_rounded_times(run: Trajectory, settings: Settings) -> None:
    """A warning where profiles in time are handed a time rounded to a tenth of a step or more; nothing inside jit."""
    if isinstance(run.steps, Tracer) or not any(_changes(p) for p in (settings.schedule, *_profiles(settings.field))):
        return
    dtype, last = run.final.dtype, float(np.max(np.abs(run.times)))
    rounded = float(np.spacing(np.asarray(last, dtype)))
    step = float(run.times[-1] - run.times[0]) / max(int(run.steps), 1)
    if rounded > step / 10:
        warnings.warn(
            f"a profile in time at t = {last:g} is handed a time that {dtype} rounds to {rounded:.2g}, with steps of "
            f"{step:.2g}. Let the run and its profiles begin at t = 0, or pass spins in double precision.",
            stacklevel=caller(),
        )


def _profiles(field: AbstractField) -> list[Any]:
    parts = jax.tree.leaves(field, is_leaf=lambda x: hasattr(x, "profile"))
    return [x.profile for x in parts if hasattr(x, "profile")]


def _changes(profile: Any) -> bool:
    return profile is not None and not isinstance(profile, Constant)


def thrown(run: Trajectory, settings: Settings, sound: Array, bound: int | None) -> Trajectory:
    remedy = "pass a smaller step, or throw=False to look at the frames before"
    if bound is not None:
        remedy = f"pass more than max_steps = {bound} for a frame, a smaller save_every, or a fixed step"
    if any(isinstance(x, Tracer) for x in (run.finite, run.solved)):
        final = eqx.error_if(
            run.final,
            ~jnp.all(run.finite & run.solved),
            f"the spins became non-finite, a step too long or its solver did not converge; {remedy}.",
        )
        return eqx.tree_at(lambda r: r.final, run, final)
    if not np.all(np.asarray(run.finite) & np.asarray(run.solved)):
        raise RuntimeError(f"{run.result}{_fastest(run, settings, sound)}; {remedy}.")
    return run


def _fastest(run: Trajectory, settings: Settings, sound: Array) -> str:
    """Where in the last sound frame a spin turned fastest, or its field was not finite."""
    good = np.asarray(run.finite) & np.asarray(run.solved)
    temperature = np.asarray(run.temperature, float)
    wrong = np.flatnonzero(~(temperature >= 0))
    if len(wrong):
        return (
            f"; the temperature at t = {float(run.times[wrong[0]]):g} is {temperature[wrong[0]]:g}, and must be "
            "finite, zero or more"
        )
    frame = max(int(np.argmin(good)) - 1, 0)
    time = jnp.asarray(run.times[frame], sound.dtype)
    field = np.asarray(settings.field.rate(sound, time, key=settings.field_key, moment=settings.moment), float)
    where = f"at t = {float(run.times[frame]):g}"
    broken = np.argwhere(~np.isfinite(field).all(axis=-1))
    if len(broken):
        return f"; {where} the field is not finite at the site {tuple(map(int, broken[0]))}"
    rate = np.linalg.norm(field, axis=-1) / np.sqrt(1 + np.asarray(settings.damping, float) ** 2)
    site = np.unravel_index(int(np.argmax(rate)), rate.shape)
    turn = "" if np.isnan(run.step) else f", {float(rate[site] * run.step):.2g} rad a step"
    return f"; {where} the fastest spin, at the site {tuple(map(int, site))}, turns by {rate[site]:.3g} rad/time{turn}"
