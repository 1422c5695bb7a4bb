"""Running the spins: `simulate` maps spins `(*cells, sublattices, 3)` to a `Trajectory` of n frames."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.dynamics.checks import check_settings, check_state
from jaxspin.dynamics.events import Condition, of_run
from jaxspin.dynamics.grid import UnitSteps, adaptive_grid, fixed_grid
from jaxspin.dynamics.llg import LLG, Clock, Mask, as_mask
from jaxspin.dynamics.noise import StepNoise
from jaxspin.dynamics.planar import PlanarSolver, PlanarTerm
from jaxspin.dynamics.schedules import Constant, Number
from jaxspin.dynamics.solvers import AbstractSpinSolver, DepondtMertens, ProjectedTsit5
from jaxspin.dynamics.timestep import suggest_timestep
from jaxspin.dynamics.trajectory import Trajectory
from jaxspin.field import AbstractField, times_of_change
from jaxspin.lattice import Lattice
from jaxspin.vectors import of_planes, planes

# Times at which a schedule is looked at for its highest temperature.
_LOOKS = 101
# How often a progress bar moves in a run, at most about.
_LOOKS_OF_METER = 50


def simulate(
    field: AbstractField,
    spins: Float[Array, "*cells sublattices 3"],
    *,
    duration: Number,
    step: Number | str | None = None,
    damping: Number | Float[Array, "*cells sublattices"] = 0.1,
    moment: Number | Float[Array, "*cells sublattices"] | None = None,
    temperature: Number | Callable[..., Any] = 0.0,
    key: PRNGKeyArray | None = None,
    solver: diffrax.AbstractSolver | None = None,
    save_every: Number | None = None,
    save: Callable[..., Any] | None = None,
    until: Condition | None = None,
    start: Number = 0.0,
    frozen: Mask | None = None,
    lattice: Lattice | None = None,
    progress: bool | diffrax.AbstractProgressMeter = False,
    adjoint: diffrax.AbstractAdjoint | None = None,
    max_steps: int | None = None,
    max_step: Number | None = None,
    throw: bool = True,
) -> Trajectory:
    """Integrate the stochastic Landau-Lifshitz-Gilbert equation (`LLG`) from `start` over `duration`.

    Time. `step` is the longest step allowed: the run makes ceil(duration/step) equal ones, so a step that
    divides the duration is used as it is. None takes `suggest_timestep` for the start and the field's
    `times_of_change`; "adaptive" controls the error (T = 0 only), stops at those times, and makes no step
    longer than `max_step`: give it where a field changes briefly without saying so. `save_every` (time;
    default: about 100 frames) is rounded to whole steps, and frames are states at the end of a step: saving
    more or less often does not change a run. The first frame is the start, the last the end.

    Temperature. A number, or a callable of time such as `Ramp`, `Quench`, `Exponential`. It needs `key`,
    which gives the noise and feeds fields that draw random numbers. The step number round(t/step) alone
    selects the draw: `simulate(field, run.final, start=10.0, ...)` with the same key and step continues the
    run exactly, if the step divides start and both durations.

    Space. `damping` and `moment` (the length of a spin, 1 unless given: it turns by B/moment) are one number
    or one per site; `frozen` spins (mask) do not move; zero-length spins stay
    zero.

    Output. `save(t, spins)` returns a pytree of arrays stored in place of the spins (`Trajectory.saved`), for
    large lattices. Memory grows with the number of frames, never with the number of steps.

    Events. `until(t, spins) -> bool`, such as `Relaxed(tolerance)`, `Leaves(observable, low, high)` or any
    function, ends the run at the first frame where it is true: it is asked once a frame, the start included,
    and not within one, so that a run that stops is the beginning of the run that does not, frame by frame;
    `save_every` is the resolution. `Trajectory.stopped` says whether it did. The frames after are not
    computed, and dropped; inside jit or grad, where shapes are fixed, they repeat the last one, and
    `Trajectory.frames` counts those before. To go on from there, simulate from `run.final`, start=run.times[-1].

    Gradients flow to the spins, the parameters of the field, damping and temperature, with the noise held
    fixed; in reverse mode, with memory for one state a frame and the root of the steps in it; for forward
    mode pass adjoint=diffrax.ForwardMode(). Inside jit or grad pass `step`, and throw=False where the program
    must do without host callbacks (`jax.export`).

    Numbers that change between calls do not compile anew; the number of frames, a doubling of the steps in
    a frame, and anything that changes a shape do.

    Raises `ValueError` for settings that cannot run and, unless `throw=False`, `RuntimeError` if spins become
    non-finite or an adaptive run needs more than `max_steps` for a frame. With a fixed step `max_steps` is
    checked beforehand.
    """
    duration, start = float(duration), float(start)
    save_every = None if save_every is None else float(save_every)
    lattice = lattice if lattice is not None else field.lattice
    check_state(spins, lattice, frozen)
    dtype = spins.dtype
    check_settings(spins.shape[:-1], duration, start, save_every, damping, moment, temperature)
    damping = jnp.asarray(damping, dtype)
    moment = None if moment is None else jnp.asarray(moment, dtype)
    noisy = callable(temperature) or isinstance(temperature, Tracer) or float(temperature) != 0
    schedule = temperature if callable(temperature) else Constant(temperature)
    schedule = jax.tree.map(lambda x: jnp.asarray(x, dtype) if _is_float(x) else x, schedule)
    if noisy and key is None:
        raise ValueError("temperature > 0 needs random numbers; pass key=jax.random.key(0), or temperature=0.")
    adaptive = step == "adaptive"
    solver = solver if solver is not None else (ProjectedTsit5() if adaptive else DepondtMertens())
    _check_solver(solver, noisy, adaptive)
    _check_longest(max_step, adaptive)
    noise_key, field_key = (None, None) if key is None else jax.random.split(key)

    changes = _times(times_of_change(field), dtype)
    if isinstance(step, str):
        if not adaptive:
            raise ValueError(f'step="{step}" is unknown; pass a number, None, or "adaptive".')
        grid = adaptive_grid(duration, start, save_every, max_steps)
        tolerance = 1e-4 if dtype == jnp.float32 else 1e-8
        longest = None if max_step is None else jnp.asarray(float(max_step) / grid.clock.step, dtype)
        controller = diffrax.PIDController(rtol=tolerance, atol=tolerance, dtmax=longest)
    else:
        if step is None:
            hottest = _hottest(schedule, start, duration, dtype) if noisy else 0.0
            looks = _within(changes, start, duration)
            step = suggest_timestep(
                field, spins, damping=damping, temperature=hottest, t=looks, key=field_key, moment=moment
            )
        grid = fixed_grid(duration, float(step), start, save_every, max_steps, dtype)
        controller = UnitSteps()

    clock = grid.clock
    if until is not None:
        until = of_run(until, field, frozen, field_key, dtype)
    settings = _Settings(
        field, schedule if noisy else None, damping, moment, as_mask(frozen), noise_key, field_key, save, until
    )
    frames, final, temperatures, finite, steps, solved, stopped, last, sound = _run(
        settings,
        spins,
        Clock(
            jnp.asarray(clock.step, dtype),
            jnp.asarray(clock.last, jnp.int32),
            jnp.asarray(clock.origin, dtype),
        ),
        jnp.asarray(grid.lengths, jnp.int32),
        changes if adaptive else None,
        solver,
        controller,
        adjoint if adjoint is not None else diffrax.RecursiveCheckpointAdjoint(),
        grid.bound,
        _meter(progress, len(grid.lengths)),
    )
    times = jnp.asarray(grid.times, dtype)
    run = Trajectory(
        times=times,
        spins=frames if save is None else None,
        saved=None if save is None else frames,
        final=final,
        finite=finite,
        temperature=temperatures,
        damping=damping,
        step=jnp.asarray(float("nan") if adaptive else clock.step, dtype),
        steps=steps,
        lattice=lattice,
        stopped=stopped,
        held=len(times) - 1 - last,
        solved=solved,
    )
    run = run if until is None else run.shortened()
    return _thrown(run, settings, sound, None if not adaptive else grid.bound) if throw else run


class _Settings(eqx.Module):
    """Everything but the state and the clock."""

    field: AbstractField
    schedule: Callable[..., Any] | None
    damping: Array
    moment: Array | None
    frozen: Array | None
    noise_key: PRNGKeyArray | None
    field_key: PRNGKeyArray | None
    save: Callable[..., Any] | None
    until: Condition | None

    def term(self, spins, clock: Clock) -> LLG:
        noise = None
        if self.schedule is not None and self.noise_key is not None:
            noise = StepNoise(spins, key=self.noise_key, first=clock.last)
        return LLG(self.field, self.damping, self.schedule, noise, self.frozen, self.field_key, clock, self.moment)

    def look(self, spins, clock: Clock):
        """What a frame stores: spins or observables, temperature, and whether the spins are finite."""
        t = clock.time(jnp.zeros((), spins.dtype))
        temperature = 0.0 if self.schedule is None else self.schedule(t)
        kept = spins if self.save is None else self.save(t, spins)
        return kept, jnp.asarray(temperature, spins.dtype), jnp.all(jnp.isfinite(spins))

    def ends(self, spins, clock: Clock) -> Array | None:
        """Whether the run stops here; None where nothing was asked."""
        if self.until is None:
            return None
        answer = jnp.asarray(self.until(clock.time(jnp.zeros((), spins.dtype)), spins))
        if answer.shape != ():
            raise ValueError(f"until gave an answer of shape {answer.shape}; reduce it to one with jnp.any or jnp.all.")
        return answer.astype(bool)


@eqx.filter_jit
def _run(settings, spins, clock, lengths, changes, solver, controller, adjoint, max_steps, meter):
    # One call of diffrax a frame, not one with save points: those check themselves through host callbacks, which
    # jax.export refuses, slow the loop sixfold, and interpolate the states.
    dtype = spins.dtype
    in_planes = isinstance(solver, AbstractSpinSolver)

    @jax.checkpoint
    def integrate(spins, length, end):
        term = settings.term(spins, end)
        solution = diffrax.diffeqsolve(
            PlanarTerm(term) if in_planes else term,
            PlanarSolver(solver) if in_planes else solver,
            # counted up to zero: diffrax rounds to the end what lies within 100 units in its last place
            # behind a barrier: in a batch XLA would move the broadcast through the hundred roundings, one a pass
            t0=-jax.lax.optimization_barrier(length).astype(dtype),
            t1=jnp.zeros((), dtype),
            dt0=None,
            y0=planes(spins) if in_planes else spins,
            stepsize_controller=_stopping_at(controller, changes, end),
            adjoint=adjoint,
            max_steps=max_steps,
            throw=False,
        )
        ys: Any = solution.ys
        steps = jnp.asarray(solution.stats["num_steps"], jnp.int32)
        return of_planes(ys[0]) if in_planes else ys[0], steps, diffrax.is_successful(solution.result)

    def advance(state, length):
        spins, last, sound, alive = state
        end = Clock(clock.step, last + length, clock.origin)
        # nothing is computed after a failure
        spins, steps, solved = jax.lax.cond(
            alive,
            lambda: integrate(spins, length, end),
            lambda: (spins, jnp.zeros((), jnp.int32), jnp.zeros((), bool)),
        )
        alive = solved & jnp.all(jnp.isfinite(spins))
        state = (spins, end.last, jnp.where(alive, spins, sound), alive)
        return state, settings.look(spins, end), settings.ends(spins, end), steps, solved

    def frame(carry, length):
        state, bar, looked, stopped = carry
        if stopped is None:
            state, found, _, steps, solved = advance(state, length)
            bar = meter.step(bar, (state[1] - clock.last).astype(dtype) / total)
            return (state, bar, None, None), (found, steps, solved, None)
        # the last frame is carried along, so that nothing is computed for those after it
        state, looked, ended, steps, solved = jax.lax.cond(
            stopped,
            lambda: (state, looked, stopped, jnp.zeros((), jnp.int32), jnp.ones((), bool)),
            lambda: advance(state, length),
        )
        bar = meter.step(bar, (state[1] - clock.last).astype(dtype) / total)
        return (state, bar, looked, ended), (looked, steps, solved, ~stopped)

    total = jnp.sum(lengths).astype(dtype)
    first, begun = settings.look(spins, clock), settings.ends(spins, clock)
    state = (spins, clock.last, spins, jnp.ones((), bool))
    start = (state, meter.init(), None if begun is None else first, begun)
    carry, (frames, steps, solved, made) = jax.lax.scan(frame, start, lengths)
    (final, _, sound, _), bar, _, stopped = carry
    meter.close(bar)
    kept, temperatures, finite = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, frames)
    stopped, made = (jnp.zeros((), bool), jnp.ones_like(lengths)) if stopped is None else (stopped, made)
    number = jnp.sum(made.astype(jnp.int32))
    solved = jnp.concatenate([jnp.ones((1,), bool), solved])
    return kept, final, temperatures, finite, jnp.sum(steps), solved, stopped, number, sound


def _times(times, dtype) -> Float[Array, " n"]:
    known = [jnp.asarray(t).astype(dtype) for t in times]
    return jax.lax.stop_gradient(jnp.stack(known)) if known else jnp.zeros((0,), dtype)


def _within(times: Float[Array, " n"], start: float, duration: float) -> Float[Array, " m"]:
    """The start, and the times; those outside the run become its ends."""
    inside = jnp.clip(times, start, start + duration)
    return jnp.concatenate([jnp.full((1,), start, times.dtype), inside])


def _stopping_at(controller, changes, end: Clock):
    """The controller, with steps that end at the times of change: a pulse in between is not jumped over."""
    if changes is None or not changes.size:
        return controller
    solver_time = (changes - end.time(jnp.zeros((), changes.dtype))) / end.step
    return diffrax.ClipStepSizeController(controller, step_ts=solver_time)


def _check_longest(max_step, adaptive):
    if max_step is None:
        return
    if not adaptive:
        raise ValueError('max_step bounds adaptive steps; pass step="adaptive" with it, or step=... alone.')
    if not float(max_step) > 0:
        raise ValueError(f"max_step = {float(max_step):g} must be positive; leave it out for steps of any length.")


def _check_solver(solver, noisy, adaptive):
    name = type(solver).__name__
    if noisy and adaptive:
        raise ValueError("thermal noise needs a fixed step; pass step=..., or temperature=0 for adaptive steps.")
    if noisy and not isinstance(solver, diffrax.AbstractStratonovichSolver):
        raise ValueError(
            f"{name} does not take thermal noise; use DepondtMertens(), SemiImplicit() or ProjectedHeun()."
        )
    if adaptive and not isinstance(solver, diffrax.AbstractAdaptiveSolver):
        raise ValueError(f"{name} does not estimate its error; use ProjectedTsit5(), or a fixed step.")


def _hottest(schedule, start, duration, dtype) -> float:
    evenly = jnp.linspace(start, start + duration, _LOOKS, dtype=dtype)
    times = jnp.concatenate([evenly, _within(_times(times_of_change(schedule), dtype), start, duration)])
    temperatures = jax.vmap(schedule)(times)
    if isinstance(temperatures, Tracer):
        raise ValueError("the step cannot be chosen inside jit or grad; pass step=... (suggest_timestep outside).")
    return float(jnp.max(temperatures))


def _meter(progress, frames: int) -> diffrax.AbstractProgressMeter:
    if isinstance(progress, diffrax.AbstractProgressMeter):
        return progress
    # a look at the host costs about a millisecond
    between = max(1, frames // _LOOKS_OF_METER)
    return diffrax.TqdmProgressMeter(refresh_steps=between) if progress else diffrax.NoProgressMeter()


def _thrown(run: Trajectory, settings: _Settings, sound: Array, bound: int | None) -> Trajectory:
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
    if not np.all(np.asarray(run.finite & run.solved)):
        raise RuntimeError(f"{run.result}{_fastest(run, settings, sound)}; {remedy}.")
    return run


def _fastest(run: Trajectory, settings: _Settings, sound: Array) -> str:
    """Where in the last sound frame a spin turned fastest, or its field was not finite."""
    good = np.asarray(run.finite) & np.asarray(run.solved)
    frame = max(int(np.argmin(good)) - 1, 0)
    field = np.asarray(settings.field.push(sound, run.times[frame], key=settings.field_key), float)
    where = f"at t = {float(run.times[frame]):g}"
    broken = np.argwhere(~np.isfinite(field).all(axis=-1))
    if len(broken):
        return f"; {where} the field is not finite at the site {tuple(map(int, broken[0]))}"
    rate = np.linalg.norm(field, axis=-1) / (1 if settings.moment is None else np.asarray(settings.moment))
    rate = rate / np.sqrt(1 + np.asarray(settings.damping, float) ** 2)
    site = np.unravel_index(int(np.argmax(rate)), rate.shape)
    turn = "" if np.isnan(run.step) else f", {float(rate[site] * run.step):.2g} rad a step"
    return f"; {where} the fastest spin, at the site {tuple(map(int, site))}, turns by {rate[site]:.3g} rad/time{turn}"


def _is_float(x) -> bool:
    return isinstance(x, float) or (eqx.is_array(x) and jnp.issubdtype(x.dtype, jnp.floating))
