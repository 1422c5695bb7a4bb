"""What a run will do, settled before anything is compiled: `plan_run` makes the `Plan` that `simulate` executes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arguments import check_field, check_key, told
from jaxspin.callables import by_content
from jaxspin.classical.profiles import Constant
from jaxspin.classical.sites import moments_at
from jaxspin.devices.cores import mesh_of_cores
from jaxspin.devices.meshes import shard
from jaxspin.dynamics.checks import check_adaptive, check_schedule, check_settings, check_solver, check_state
from jaxspin.dynamics.events import of_run
from jaxspin.dynamics.grid import Grid, UnitSteps, adaptive_grid, fixed_grid
from jaxspin.dynamics.llg import Clock, as_mask
from jaxspin.dynamics.program import Settings
from jaxspin.dynamics.solvers import DepondtMertens, ProjectedTsit5
from jaxspin.dynamics.timestep import NO_TRACERS, suggest_timestep
from jaxspin.field import AbstractField, times_of_change
from jaxspin.lattice import Lattice

# How often a progress bar moves in a run, at most about.
_LOOKS_OF_METER = 50


class Plan(NamedTuple):
    """The frames and steps of a run, and all that its program takes.

    `until` is the condition as it was given, `schedule` the temperature in time, also where it is zero, and `blocks`
    the mesh of cores that share out the lattice, or None.
    """

    settings: Settings
    spins: Array
    grid: Grid
    clock: Clock
    changes: Array | None
    solver: diffrax.AbstractSolver
    controller: Any
    adjoint: diffrax.AbstractAdjoint
    meter: diffrax.AbstractProgressMeter
    blocks: Any
    lattice: Lattice | None
    schedule: Callable[..., Any]
    until: Any
    adaptive: bool

    @property
    def steps(self) -> int | None:
        """How many steps of the solver; None where they are chosen on the way."""
        return None if self.adaptive else int(np.sum(self.grid.lengths))

    @property
    def frames(self) -> int:
        """How many frames, the start among them."""
        return len(self.grid.lengths) + 1

    def arguments(self, lengths: np.ndarray | None = None) -> tuple[Any, ...]:
        """Those of `run_frames`; with other `lengths` of the frames after the first, the same program."""
        lengths = self.grid.lengths if lengths is None else lengths
        placed = (self.settings, self.spins)
        if self.blocks is not None:
            assert self.lattice is not None
            placed = shard(placed, self.blocks, self.lattice)
        return (
            *placed,
            self.clock,
            jnp.asarray(np.concatenate([[0], lengths]).astype(np.int32)),
            self.changes,
            self.solver,
            self.controller,
            self.adjoint,
            self.grid.bound,
            self.meter,
        )


def plan_run(
    field: AbstractField,
    spins: Float[Array, "*cells sublattices 3"],
    *,
    duration: Any,
    step: Any,
    damping: Any,
    moment: Any,
    temperature: Any,
    key: PRNGKeyArray | None,
    solver: diffrax.AbstractSolver | None,
    save_every: Any,
    save_at: Any,
    save: Any,
    until: Any,
    start: Any,
    frozen: Any,
    lattice: Lattice | None,
    progress: Any,
    adjoint: diffrax.AbstractAdjoint | None,
    max_steps: int | None,
    max_step: Any,
    tolerance: float | None,
    store: bool,
    resume: bool,
) -> Plan:
    """The arguments of `simulate`, checked; `ValueError` for those that cannot run."""
    check_field(field, "field")
    rounding = _rounding_of(start)
    # a number of NumPy compared with a text is no bool
    adaptive = isinstance(step, str) and step == "adaptive"
    if store and (save is not None or adaptive):
        raise ValueError("a store holds spins at fixed steps; leave out save= and step='adaptive', or store=.")
    if save_at is not None and (save_every is not None or adaptive):
        raise ValueError("save_at gives the times of all frames, at fixed steps; leave out save_every= and 'adaptive'.")
    if resume and not store:
        raise ValueError("resume goes on in a store; pass store= with it.")
    duration, start = float(duration), float(start)
    save_every = None if save_every is None else float(save_every)
    lattice = lattice if lattice is not None else field.lattice
    check_key(key)
    check_state(spins, lattice, frozen)
    dtype = spins.dtype
    check_settings(spins.shape[:-1], duration, start, save_every, damping, moment, temperature)
    # a function or partial made anew for every call is the one of the call before, or each would compile
    field, temperature, save, until = (by_content(x) for x in (field, temperature, save, until))
    sizes = (
        jnp.asarray(damping, dtype),
        None if moment is None else moments_at(jnp.asarray(moment, dtype), spins.shape[:-1]),
    )
    noisy = callable(temperature) or isinstance(temperature, Tracer) or float(temperature) != 0
    schedule = temperature if callable(temperature) else Constant(temperature)
    schedule = jax.tree.map(lambda x: jnp.asarray(x, dtype) if _is_float(x) else x, schedule)
    if noisy and key is None:
        raise ValueError(
            f"temperature = {told(temperature)} needs random numbers; pass key=jax.random.key(0), or temperature=0."
        )
    solver = solver if solver is not None else (ProjectedTsit5() if adaptive else DepondtMertens())
    check_solver(solver, noisy, adaptive)
    check_adaptive(max_step, tolerance, adaptive, dtype)
    hottest = check_schedule(schedule, start, duration, dtype) if noisy else 0.0
    noise_key, field_key = (None, None) if key is None else jax.random.split(key)

    changes = _times(times_of_change(field), dtype)
    if isinstance(step, str):
        if not adaptive:
            raise ValueError(f'step="{step}" is unknown; pass a number, None, or "adaptive".')
        grid = adaptive_grid(duration, start, save_every, max_steps)
        tolerance = tolerance if tolerance is not None else (1e-5 if dtype == jnp.float32 else 1e-8)
        longest = None if max_step is None else jnp.asarray(float(max_step) / grid.clock.step, dtype)
        allowed = jnp.asarray(float(tolerance), dtype)
        controller = diffrax.PIDController(rtol=allowed, atol=allowed, dtmax=longest)
    else:
        if step is None:
            looks = _within(changes, start, duration)
            if hottest is None:
                raise ValueError(NO_TRACERS)
            step = suggest_timestep(
                field, spins, damping=sizes[0], temperature=hottest, t=looks, key=field_key, moment=sizes[1]
            )
        grid = fixed_grid(duration, float(step), start, save_every, max_steps, dtype, rounding, save_at)
        controller = UnitSteps()
    settings = Settings(
        field,
        schedule if noisy else None,
        *sizes,
        as_mask(frozen),
        noise_key,
        field_key,
        save,
        None if until is None else of_run(until, field, frozen, field_key, dtype),
    )
    clock = grid.clock
    device_clock = Clock(
        jnp.asarray(clock.step, dtype), jnp.asarray(clock.last, jnp.int32), jnp.asarray(clock.origin, dtype)
    )
    return Plan(
        settings=settings,
        spins=spins,
        grid=grid,
        clock=device_clock,
        changes=changes if adaptive else None,
        solver=solver,
        controller=controller,
        adjoint=adjoint if adjoint is not None else diffrax.RecursiveCheckpointAdjoint(),
        meter=_meter(progress, len(grid.lengths)),
        blocks=None if store else mesh_of_cores(lattice, spins, field.narrowest_block),
        lattice=lattice,
        schedule=schedule,
        until=until,
        adaptive=adaptive,
    )


def _rounding_of(time: Any) -> float:
    """How far a time may be from what was meant: what comes from a run in single precision is rounded to it."""
    dtype = getattr(time, "dtype", np.dtype(float))
    return float(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, jnp.floating) else float(np.finfo(float).eps)


def _times(times, dtype) -> Float[Array, " n"]:
    known = list(times)
    if any(isinstance(t, Tracer) for t in known):
        return jax.lax.stop_gradient(jnp.stack([jnp.asarray(t).astype(dtype) for t in known]))
    return jnp.asarray(np.array([np.asarray(t) for t in known], dtype))


def _within(times: Float[Array, " n"], start: float, duration: float) -> Float[Array, " m"]:
    """The start, and the times; those outside the run become its ends."""
    first = jnp.asarray([start], times.dtype)
    if not times.size:
        return first
    return jnp.concatenate([first, jnp.clip(times, start, start + duration)])


def _meter(progress, frames: int) -> diffrax.AbstractProgressMeter:
    if isinstance(progress, diffrax.AbstractProgressMeter):
        return progress
    # a look at the host costs about a millisecond
    between = max(1, frames // _LOOKS_OF_METER)
    return diffrax.TqdmProgressMeter(refresh_steps=between) if progress else diffrax.NoProgressMeter()


def _is_float(x) -> bool:
    return isinstance(x, float) or (eqx.is_array(x) and jnp.issubdtype(x.dtype, jnp.floating))
