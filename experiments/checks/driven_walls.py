"""Where driven walls are in time, all of a sweep in one program, and their velocities against theory."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.observables import wall_position, wall_velocity
from jaxspin.problems import DrivenWall


def drive(problems: Sequence[DrivenWall], duration: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Times `(n,)` and positions `(problems, n)` of every wall, all in one program."""
    lattice, begin = problems[0].lattice, 30.0
    fields = jax.tree.map(lambda *x: jnp.stack(x), *(problem.field for problem in problems))
    spins = jnp.stack([problem.spins(begin, jnp.float64) for problem in problems])

    @eqx.filter_jit
    @eqx.filter_vmap
    def all_at_once(field, start):
        run = js.simulate(
            field,
            start,
            duration=duration,
            step=step,
            damping=problems[0].damping,
            save_every=duration / 500,
            save=lambda t, s: wall_position(lattice, s),
            throw=False,
        )
        return run.times, run.saved

    times, positions = all_at_once(fields, spins)
    return np.asarray(times[0]), np.asarray(positions)


def speed(problem: DrivenWall, times: np.ndarray, positions: np.ndarray) -> float:
    """The mean velocity while on the track: the slope over the second half, or beyond the breakdown the advance of the
    mean position over a period, from an early period to the last whole one.
    """
    inside = (positions > 10) & (positions < problem.sites - 10)
    on_track = times[: len(times) if inside.all() else int(np.argmin(inside))]
    if not problem.breaks_down or problem.hard == 0:
        kept = jnp.arange(len(on_track))
        return float(wall_velocity(jnp.asarray(times)[kept], jnp.asarray(positions)[kept], start=on_track[-1] / 2))
    period = problem.period
    first = period / 4
    number = int((on_track[-1] - first) / period) - 1
    if number < 1:
        return float("nan")

    def mean(start):
        fine = np.linspace(start, start + period, 1001)[:-1]
        return np.interp(fine, on_track, positions[: len(on_track)]).mean()

    return float((mean(first + number * period) - mean(first)) / (number * period))


def wall_row(problem: DrivenWall, velocity: float) -> dict[str, Any]:
    return {
        "applied": problem.applied,
        "drift": problem.drift,
        "nonadiabaticity": problem.nonadiabaticity,
        "hard": problem.hard,
        "breaks down": problem.breaks_down,
        "velocity": velocity,
        "theory": problem.velocity,
    }
