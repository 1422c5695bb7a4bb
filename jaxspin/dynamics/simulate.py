"""Running the spins: `simulate` maps spins `(*cells, sublattices, 3)` to a `Trajectory` of n frames."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from jaxspin.dynamics.events import Condition
from jaxspin.dynamics.failures import thrown, warn_of_kicks, warn_of_rounded_times, warn_of_turns
from jaxspin.dynamics.llg import Mask
from jaxspin.dynamics.memory import warn_of_frames
from jaxspin.dynamics.plan import plan_run
from jaxspin.dynamics.program import run_frames
from jaxspin.dynamics.stored import describe, run_to_store
from jaxspin.dynamics.trajectory import Trajectory
from jaxspin.field import AbstractField, Spins
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins

Number = float | int | Float[Array, ""]


@takes_spins(half=False)
def simulate(
    field: AbstractField,
    spins: Float[Array, "*cells sublattices 3"],
    *,
    duration: Number,
    step: Number | str | None = None,
    damping: Number | Float[Array, "*cells sublattices"] = 0.1,
    moment: Number | Float[Array, "*cells sublattices"] | Float[Array, " sublattices"] | None = None,
    temperature: Number | Callable[..., Any] = 0.0,
    key: PRNGKeyArray | None = None,
    solver: diffrax.AbstractSolver | None = None,
    save_every: Number | None = None,
    save_at: ArrayLike | Sequence | None = None,
    save: Callable[..., Any] | None = None,
    until: Condition | None = None,
    start: Number = 0.0,
    frozen: Mask | None = None,
    lattice: Lattice | None = None,
    progress: bool | diffrax.AbstractProgressMeter = False,
    adjoint: diffrax.AbstractAdjoint | None = None,
    max_steps: int | None = None,
    max_step: Number | None = None,
    tolerance: float | None = None,
    throw: bool = True,
    store: str | os.PathLike | None = None,
    resume: bool = False,
) -> Trajectory:
    """Integrate the stochastic Landau-Lifshitz-Gilbert equation (`LLG`) from `start` over `duration`.

    Time. `step` is the longest step allowed: the run makes ceil(duration/step) equal ones, so a step that
    divides the duration is used as it is. None takes `suggest_timestep` for the start and the field's
    `times_of_change`. After the run it warns of a step that turned a spin too far for the solver
    (`Trajectory.largest_turn`): so far that the error is 0.2, where a suggested step has 0.01. Another
    warning is of noise that turns a spin by more than a radian in a step: often a temperature in kelvin, which is to
    be k_B T in the unit of the energies (`js.units.Units.temperature`).

    "adaptive" (T = 0 only) keeps the error of every step, rms over the spins, below `tolerance`: 1e-5 in single, 1e-8
    in double precision unless given; 1e-6 is the finest in single precision. Errors add up: after 1000 radians it is
    0.08 at 1e-4, and less than a quarter of that at 1e-5. Adaptive runs stop at the field's `times_of_change`. Give
    `max_step`, the longest step, where a field changes briefly without saying so.

    Frames are states at the end of a step, and `save_every` (a time; default: about 100 frames) is rounded to whole
    steps: saving more or less often does not change a run. The first frame is the start, the last one the end.
    `save_at` gives the times of the frames in between one by one, rounded to whole steps, for what slows down as it
    goes: `save_at=np.geomspace(1.0, 1000.0, 40)`. Fixed steps only.
    `Trajectory.times` are in double precision. The device counts steps, and hands fields and schedules the time in the
    precision of the spins: in single precision it is wrong by up to 0.0005 at t = 1e4 and by 0.03 at 1e6, where spins
    driven by a `Sinusoid` of frequency 6 are off by 0.1 rad. After the run it warns where a profile or a temperature
    was handed times rounded to a tenth of a step or more; let them and the run begin at t = 0.

    Temperature. A number, or a callable of time such as `Ramp`, `Quench`, `Exponential`; one that becomes negative or
    NaN fails. It needs `key`, which gives the noise and feeds fields that draw random numbers. The step number
    round(t/step) alone selects the draw: `simulate(field, run.final, start=10.0, ...)` with the same key and step
    continues the run exactly, if the step divides start and both durations.

    Space. `damping` and `moment` (the length of a spin, 1 unless given: a field turns it by B/moment, see
    `AbstractField.rate`) are one number or one per site, the moment also one for each sublattice; `frozen` spins (mask)
    do not move; zero-length spins stay zero. Energies do not know moments: give them to `Zeeman` too.

    Output. `save(t, spins)` returns a pytree of arrays stored in place of the spins (`Trajectory.saved`), for
    large lattices. Memory grows with the number of frames, never with the number of steps; before the run there is a
    warning where the frames would fill more than half of it.

    Files. `store="run.zarr"` writes the frames to a Zarr store as they are made, quick ones some at a time, and keeps
    none in memory: `run.map`, `run.energy` and the other methods of the run read them from there, and so does
    `js.load(path)` later. A run that was killed goes on with `resume=True` and the same arguments, from its last frame,
    and gives what an unbroken one gives; with a longer duration of the same step it is made longer. For fixed steps,
    outside jit.

    Events. `until(t, spins) -> bool`, such as `Relaxed(tolerance)`, `Leaves(observable, low, high)` or any
    function, ends the run at the first frame where it is true. It is asked once a frame, the start included, so
    `save_every` is its resolution, and the frames are the first ones of the run without it. `Trajectory.stopped` says
    whether the run was ended. There are no frames after that; inside jit or grad, where shapes are fixed, they repeat
    the last one, and `Trajectory.frames` counts those before. To go on, simulate from `run.final`, start=run.times[-1].

    Gradients are those by the spins, the parameters of the field, damping and temperature, with the same noise. They
    are in reverse mode, and hold one state a frame, and in one frame as many as the root of its steps; for forward
    mode pass adjoint=diffrax.ForwardMode(). Inside jit or grad pass `step`, and throw=False where the program
    must do without host callbacks (`jax.export`).

    Numbers that change between calls do not compile anew; the number of frames, a doubling of the steps in
    a frame, and anything that changes a shape do. A lambda written in the call is the same as that of the call before
    where all that it uses is equal (`jaxspin.callables.by_content`).

    Raises `FileExistsError` where the store exists and `resume` is not given, `ValueError` where it holds another run.
    Raises `ValueError` for settings that cannot run, `TypeError` for a seed as `key` or a name as `solver`, and, unless
    `throw=False`, `RuntimeError` if spins become non-finite or an adaptive run needs more than `max_steps` for a frame.
    With a fixed step `max_steps` is checked beforehand.

    Example:
        >>> run = js.simulate(field, spins, duration=2.0, step=0.1, save_every=0.5)
        >>> run.spins.shape, bool(run.energy(field)[-1] < run.energy(field)[0])
        ((5, 4, 4, 1, 3), True)
    """
    if store is not None and isinstance(spins, Tracer):
        raise ValueError("a run inside jit, vmap or grad cannot write a file; leave store= out, or run it outside.")
    plan = plan_run(
        field,
        spins,
        duration=duration,
        step=step,
        damping=damping,
        moment=moment,
        temperature=temperature,
        key=key,
        solver=solver,
        save_every=save_every,
        save_at=save_at,
        save=save,
        until=until,
        start=start,
        frozen=frozen,
        lattice=lattice,
        progress=progress,
        adjoint=adjoint,
        max_steps=max_steps,
        max_step=max_step,
        tolerance=tolerance,
        store=store is not None,
        resume=resume,
    )
    settings, grid = plan.settings, plan.grid
    if store is not None:

        def piece(spins: Spins, *, start: float, duration: float, save_every: float) -> Trajectory:
            return simulate(
                settings.field,
                spins,
                duration=duration,
                step=grid.clock.step,
                damping=damping,
                moment=moment,
                temperature=temperature,
                key=key,
                solver=plan.solver,
                save_every=save_every,
                until=until,
                start=start,
                frozen=frozen,
                lattice=plan.lattice,
                adjoint=adjoint,
                max_steps=max_steps,
                throw=throw,
            )

        about = describe(
            grid,
            settings.damping,
            *(settings.field, plan.schedule, settings.moment, frozen, plan.until, plan.solver),
            None if key is None else np.asarray(jax.random.key_data(key)),
        )
        return run_to_store(
            piece,
            spins,
            plan.lattice,
            grid,
            store,
            resume=resume,
            about=about,
            temperature=plan.schedule if settings.schedule is not None else (lambda t: 0.0),
            progress=progress is not False,
        )
    warn_of_frames(settings.frame(spins, plan.clock), plan.frames, spins)
    outcome = run_frames(*plan.arguments())
    if plan.blocks is not None:
        # on one device again, where nobody has put them: exact fields of the frames are computed once, not by all
        outcome = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)) if isinstance(x, jax.Array) else x, outcome)
    run = Trajectory(
        times=grid.times,
        spins=outcome.saved if save is None else None,
        saved=None if save is None else outcome.saved,
        final=outcome.final,
        finite=outcome.finite,
        temperature=outcome.temperature,
        damping=settings.damping,
        step=jnp.asarray(float("nan") if plan.adaptive else grid.clock.step, spins.dtype),
        steps=outcome.steps,
        lattice=plan.lattice,
        stopped=outcome.stopped,
        held=_not_made(outcome.made),
        solved=outcome.solved,
        largest_turn=outcome.largest_turn,
    )
    run = run if until is None else run.shortened()
    run = thrown(run, settings, outcome.sound, None if not plan.adaptive else grid.bound) if throw else run
    warn_of_turns(run, plan.solver)
    warn_of_kicks(run, settings)
    warn_of_rounded_times(run, settings)
    return run


def _not_made(made: Array) -> Array | int:
    if isinstance(made, Tracer):
        return len(made) - jnp.sum(made.astype(jnp.int32))
    return len(made) - int(np.sum(np.asarray(made)))
