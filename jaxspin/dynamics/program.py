"""The program of a run: n frames of spins `(*cells, sublattices, 3)`, one compiled loop."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxspin.arrays.vectors import of_planes, planes
from jaxspin.dynamics.events import Condition
from jaxspin.dynamics.llg import LLG, Clock
from jaxspin.dynamics.noise import StepNoise
from jaxspin.dynamics.planar import PlanarSolver, PlanarTerm
from jaxspin.dynamics.solvers import AbstractSpinSolver
from jaxspin.field import AbstractField

# The name of the loop over steps in the program, by which its cost is counted.
STEPS = "steps_of_a_run"


class Settings(eqx.Module):
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
        saved = spins if self.save is None else self.save(t, spins)
        return saved, jnp.asarray(temperature, spins.dtype), jnp.all(jnp.isfinite(spins))

    def frame(self, spins, clock: Clock):
        """The shapes of what a frame stores."""
        return spins if self.save is None else jax.eval_shape(lambda s, c: self.look(s, c)[0], spins, clock)

    def ends(self, spins, clock: Clock) -> Array | None:
        """Whether the run stops here; None where nothing was asked."""
        if self.until is None:
            return None
        answer = jnp.asarray(self.until(clock.time(jnp.zeros((), spins.dtype)), spins))
        if answer.shape != ():
            raise ValueError(f"until gave an answer of shape {answer.shape}; reduce it to one with jnp.any or jnp.all.")
        return answer.astype(bool)


class Outcome(eqx.Module):
    """What a run of n frames leaves."""

    saved: Any
    final: Array
    temperature: Array
    finite: Array
    steps: Array
    solved: Array
    stopped: Array
    # whether each frame was made, not a repetition after the event
    made: Array
    # the last state without a failure
    sound: Array
    # the largest angle by which the field turned a spin in a step; NaN where the solver does not tell
    largest_turn: Array


@eqx.filter_jit
def run_frames(settings, spins, clock, lengths, changes, solver, controller, adjoint, max_steps, meter) -> Outcome:
    """Frames after `lengths` steps each; the first length is 0, so that the start is a frame like all others.

    They are written once, where they stay: a start put before them afterwards would copy them all.
    """
    # One call of diffrax a frame, not one with save points: those check themselves through host callbacks, which
    # jax.export refuses, slow the loop sixfold, and interpolate the states.
    dtype = spins.dtype
    in_planes = isinstance(solver, AbstractSpinSolver)
    nothing = jnp.zeros((), jnp.int32), jnp.zeros((), dtype) if in_planes else jnp.full((), jnp.nan, dtype)

    @jax.checkpoint
    def integrate(spins, length, end):
        term = settings.term(spins, end)
        with jax.named_scope(STEPS):
            solution = diffrax.diffeqsolve(
                PlanarTerm(term) if in_planes else term,
                PlanarSolver(solver) if in_planes else solver,
                # counted up to zero: diffrax rounds to the end what lies within 100 units in its last place
                # behind a barrier: in a batch XLA would move the broadcast through the hundred roundings, one a pass
                t0=-jax.lax.optimization_barrier(length).astype(dtype),
                t1=jnp.zeros((), dtype),
                dt0=None,
                y0=planes(spins) if in_planes else spins,
                saveat=diffrax.SaveAt(t1=True, solver_state=in_planes),
                stepsize_controller=_stopping_at(controller, changes, end),
                adjoint=adjoint,
                max_steps=max_steps,
                throw=False,
            )
        ys: Any = solution.ys
        steps = jnp.asarray(solution.stats["num_steps"], jnp.int32)
        state: Any = solution.solver_state
        turn = jnp.sqrt(jax.lax.stop_gradient(state)) if in_planes else nothing[1]
        return of_planes(ys[0]) if in_planes else ys[0], (steps, turn), diffrax.is_successful(solution.result)

    def advance(state, length):
        spins, last, sound, alive = state
        end = Clock(clock.step, last + length, clock.origin)

        def moved():
            # nothing is computed after a failure
            return jax.lax.cond(
                alive,
                lambda: integrate(spins, length, end),
                lambda: (spins, nothing, jnp.zeros((), bool)),
            )

        # a condition of its own: it is the same for all runs of a batch, and stays a branch
        spins, done, solved = jax.lax.cond(length > 0, moved, lambda: (spins, nothing, jnp.ones((), bool)))
        alive = solved & jnp.all(jnp.isfinite(spins))
        state = (spins, end.last, jnp.where(alive, spins, sound), alive)
        return state, settings.look(spins, end), settings.ends(spins, end), done, solved

    def frame(carry, length):
        state, bar, looked, stopped = carry
        if stopped is None:
            state, looked, _, done, solved = advance(state, length)
            bar = meter.step(bar, (state[1] - clock.last).astype(dtype) / total)
            return (state, bar, None, None), (looked, done, solved, jnp.ones((), bool))
        # the last frame is carried along, so that nothing is computed for those after it
        state, looked, ended, done, solved = jax.lax.cond(
            stopped,
            lambda: (state, looked, stopped, nothing, jnp.ones((), bool)),
            lambda: advance(state, length),
        )
        bar = meter.step(bar, (state[1] - clock.last).astype(dtype) / total)
        return (state, bar, looked, ended), (looked, done, solved, ~stopped)

    total = jnp.sum(lengths).astype(dtype)
    state = (spins, clock.last, spins, jnp.ones((), bool))
    looked, begun = None, None
    if settings.until is not None:
        looked = jax.tree.map(jnp.zeros_like, jax.eval_shape(settings.look, spins, clock))
        begun = jnp.zeros((), bool)
    start = (state, meter.init(), looked, begun)
    carry, ((saved, temperatures, finite), (steps, turns), solved, made) = jax.lax.scan(frame, start, lengths)
    (final, _, sound, _), bar, _, stopped = carry
    meter.close(bar)
    stopped = jnp.zeros((), bool) if stopped is None else stopped
    return Outcome(saved, final, temperatures, finite, jnp.sum(steps), solved, stopped, made, sound, jnp.max(turns))


def _stopping_at(controller, changes, end: Clock):
    """The controller, with steps that end at the times of change: a pulse in between is not jumped over."""
    if changes is None or not changes.size:
        return controller
    solver_time = (changes - end.time(jnp.zeros((), changes.dtype))) / end.step
    return diffrax.ClipStepSizeController(controller, step_ts=solver_time)
