"""Conditions that end a run: when they do, that the work ends too, and that nothing else changes."""

from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange, Zeeman
from jaxspin.dynamics import Leaves, Relaxed, simulate
from jaxspin.field import AbstractField
from jaxspin.lattice import chain
from jaxspin.problems import DampedLarmor
from jaxspin.spins import random_spins

PROBLEM = DampedLarmor(strength=1.0, damping=0.3, height=-0.5)
SETTINGS = {"duration": 20.0, "step": 0.05, "damping": 0.3, "save_every": 0.5}


def height(spins):
    return spins[0, 0, 2]


def crossing(level):
    """When S_z of the problem reaches `level`."""
    a = PROBLEM.damping
    return float((np.arctanh(level) - np.arctanh(PROBLEM.height)) * (1 + a**2) / (a * PROBLEM.strength))


def test_a_run_ends_at_the_first_frame_behind_the_event_and_is_the_beginning_of_the_whole_one():
    whole = simulate(PROBLEM.potential, PROBLEM.spins(), **SETTINGS)
    run = simulate(PROBLEM.potential, PROBLEM.spins(), until=Leaves(height, high=0.4), **SETTINGS)
    expected = np.ceil(crossing(0.4) / 0.5) * 0.5
    assert 2 < expected < 10
    assert float(run.times[-1]) == expected
    assert bool(run.stopped)
    assert not bool(whole.stopped)
    assert len(run) == int(run.frames) == round(expected / 0.5) + 1
    assert int(run.steps) == round(expected / 0.05) < int(whole.steps)
    assert run.finite.shape == run.temperature.shape == (len(run),)
    assert jnp.array_equal(run.spins, whole.spins[: len(run)])
    assert jnp.array_equal(run.final, run.spins[-1])


def test_a_condition_that_never_holds_changes_nothing():
    whole = simulate(PROBLEM.potential, PROBLEM.spins(), **SETTINGS)
    run = simulate(PROBLEM.potential, PROBLEM.spins(), until=Leaves(height, low=-1.0), **SETTINGS)
    assert not bool(run.stopped)
    assert len(run) == len(whole) == 41
    assert jnp.array_equal(run.spins, whole.spins)
    # nan is neither inside nor outside: the run must not go on with it
    assert bool(Leaves(height)(0.0, jnp.full((1, 1, 3), jnp.nan)))


def test_relaxed_stops_when_the_torque_is_small():
    until = Relaxed(1e-2)
    settings = {**SETTINGS, "duration": 40.0}
    run = simulate(PROBLEM.potential, PROBLEM.spins(), until=until, **settings)
    torque = jnp.linalg.norm(run.spins[:, 0, 0, :2], axis=-1)
    assert bool(run.stopped)
    assert bool(jnp.all(torque[:-1] >= 1e-2))
    assert float(torque[-1]) < 1e-2
    again = simulate(PROBLEM.potential, run.final, until=until, **settings)
    assert len(again) == 1
    assert bool(again.stopped)
    assert int(again.steps) == 0
    assert jnp.array_equal(again.final, run.final)
    with pytest.raises(ValueError, match=r"pass Relaxed\(tolerance, field=field, frozen=frozen\)"):
        until(0.0, run.final)


def test_the_torque_on_frozen_spins_does_not_count(key):
    lattice = chain(4, periodic=False)
    spins, field = random_spins(lattice, key=key), Exchange(lattice, 1.0) + Zeeman([0.0, 0.0, 1.0])
    frozen = jnp.zeros(lattice.shape, bool).at[0].set(True)
    settings = {"duration": 200.0, "step": 0.1, "damping": 0.5, "save_every": 10.0, "frozen": frozen}
    run = simulate(field, spins, until=Relaxed(1e-3), **settings)
    assert bool(run.stopped)
    assert len(run) < 21
    assert float(jnp.linalg.norm(jnp.cross(spins, field.field(run.final))[0, 0])) > 0.1
    assert jnp.array_equal(run.final[0], spins[0])


def test_a_thermal_run_goes_on_where_it_stopped(key):
    """With any function of time and spins; the rest of the unbroken run follows bit for bit."""
    lattice = chain(3)
    spins, field = random_spins(lattice, key=key), Exchange(lattice, 1.0)
    settings = {"step": 0.125, "save_every": 1.0, "temperature": 0.3, "key": key}
    whole = simulate(field, spins, duration=8.0, **settings)
    first = simulate(field, spins, duration=8.0, until=lambda t, s: t > 2.5, **settings)
    assert float(first.times[-1]) == 3.0
    rest = simulate(field, first.final, start=float(first.times[-1]), duration=5.0, **settings)
    assert jnp.array_equal(jnp.concatenate([first.spins, rest.spins[1:]]), whole.spins)


class Counted(AbstractField):
    """Tells the host whenever it is evaluated."""

    count: Callable = eqx.field(static=True)

    def field(self, spins, t=0.0, *, key=None):
        jax.debug.callback(self.count)
        return jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0], spins.dtype), spins.shape)


def test_the_work_ends_with_the_run_inside_jit():
    counter = []
    field = Counted(lambda: counter.append(1))

    @jax.jit
    def run(spins):
        return simulate(field, spins, until=Leaves(height, high=0.4), save=lambda t, s: (t, height(s)), **SETTINGS)

    found = jax.block_until_ready(run(PROBLEM.spins()))
    jax.effects_barrier()
    number = round(np.ceil(crossing(0.4) / 0.5))
    assert len(counter) == 2 * 10 * number
    assert bool(found.stopped)
    assert int(found.frames) == number + 1 < len(found) == 41
    assert int(found.held) == 40 - number
    # the rest repeats the last frame, in every series
    for series in (found.times, *found.saved):
        assert bool(jnp.all(series[number:] == series[number]))
        assert bool(jnp.all(series[1 : number + 1] != series[:number]))
    np.testing.assert_array_equal(found.times, found.saved[0])
    short = found.shortened()
    assert len(short) == int(short.frames) == number + 1


@pytest.mark.parametrize("mode", [pytest.param("reverse", marks=pytest.mark.slow), "forward"])
def test_gradients_are_those_of_the_frames_made(mode):
    """d S_z(t*)/d B at the frame t* where the run stopped, from the exact answer."""
    adjoint = diffrax.ForwardMode() if mode == "forward" else None

    def outcome(strength):
        field = Zeeman(jnp.array([0.0, 0.0, 1.0]) * strength)
        run = simulate(field, PROBLEM.spins(), until=Leaves(height, high=0.4), adjoint=adjoint, **SETTINGS)
        return height(run.final), run.times[-1]

    take = jax.jacfwd if mode == "forward" else jax.grad
    slope, time = jax.jit(take(outcome, has_aux=True))(jnp.array(1.0))
    rate = PROBLEM.damping / (1 + PROBLEM.damping**2)
    end = np.tanh(rate * float(time) + np.arctanh(PROBLEM.height))
    assert float(time) == np.ceil(crossing(0.4) / 0.5) * 0.5
    assert float(slope) == pytest.approx((1 - end**2) * rate * float(time), rel=1e-3)


def test_adaptive_steps_progress_and_refusals(capsys):
    settings = {**SETTINGS, "step": "adaptive", "progress": diffrax.TextProgressMeter(0.1)}
    run = simulate(PROBLEM.potential, PROBLEM.spins(), until=Leaves(height, high=0.4), **settings)
    assert float(run.times[-1]) == pytest.approx(np.ceil(crossing(0.4) / 0.5) * 0.5)
    assert float(height(run.final)) == pytest.approx(float(height(PROBLEM.spins(float(run.times[-1])))), abs=1e-6)
    jax.effects_barrier()
    assert "100.00%" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"reduce it to one with jnp.any or jnp.all"):
        simulate(PROBLEM.potential, PROBLEM.spins(), until=lambda t, s: s[..., 2] > 0, **SETTINGS)
