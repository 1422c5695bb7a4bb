"""Times, tolerances, temperatures and memory of runs at the ends of their ranges."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange, Ramp, Sinusoid, Zeeman, ZeemanPulse
from jaxspin.dynamics import memory, simulate
from jaxspin.dynamics.grid import fixed_grid
from jaxspin.lattice import chain
from jaxspin.problems import DampedLarmor
from jaxspin.spins import random_spins

SINGLE = random_spins(chain(4), key=jax.random.key(3)).astype(jnp.float32)


def test_times_late_in_a_run_in_single_precision_are_all_different():
    """17 of 51 frames had times of their own."""
    settings = {"step": 0.02, "save_every": 0.02, "temperature": 0.1, "key": jax.random.key(0)}
    run = simulate(Zeeman([0.0, 0.0, 1.0]), SINGLE, start=1e6, duration=1.0, **settings)
    np.testing.assert_allclose(run.times - 1e6, 0.02 * np.arange(51), atol=1e-9)
    # and the run goes on from its own time, with the noise of the unbroken one
    half = simulate(Zeeman([0.0, 0.0, 1.0]), SINGLE, start=1e6, duration=0.5, **settings)
    rest = simulate(Zeeman([0.0, 0.0, 1.0]), half.final, start=half.times[-1], duration=0.5, **settings)
    assert jnp.array_equal(rest.final, run.final)
    np.testing.assert_array_equal(rest.times, run.times[25:])


def test_profiles_late_in_a_run_in_single_precision_are_warned_of():
    """A wave of six radians a unit of time is off by up to half a radian at t = 1e6, and the spins by 0.1."""
    up = jnp.broadcast_to(jnp.asarray([1.0, 0.0, 0.0]), SINGLE.shape)
    settings = {"duration": 5.0, "step": 0.02, "save_every": 5.0, "damping": 0.0}

    def azimuth(start, dtype):
        # the same wave from its own start on
        wave = Sinusoid(frequency=6.0, phase=float(-6.0 * start % (2 * np.pi)))
        run = simulate(ZeemanPulse([0.0, 0.0, 1.0], wave), up.astype(dtype), start=start, **settings)
        return float(jnp.arctan2(run.final[0, 0, 1], run.final[0, 0, 0]))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = azimuth(0.0, jnp.float32)
        assert azimuth(1e4, jnp.float32) == pytest.approx(right, abs=2e-3)
        assert azimuth(1e6, jnp.float64) == pytest.approx(right, abs=1e-5)
        # nothing changes in time
        simulate(Zeeman([0.0, 0.0, 1.0]), SINGLE, start=1e6, temperature=0.1, key=jax.random.key(0), **settings)
    with pytest.warns(UserWarning, match=r"float32 rounds to 0\.062, with steps of 0\.02\. Let the run and its prof"):
        assert abs(azimuth(1e6, jnp.float32) - right) > 0.02
    cooling = Ramp(initial=1.0, final=0.5, duration=5.0, start=1e6)
    with pytest.warns(UserWarning, match="float32 rounds to"):
        simulate(Zeeman([0.0, 0.0, 1.0]), SINGLE, start=1e6, temperature=cooling, key=jax.random.key(0), **settings)


def test_a_start_between_steps_is_kept_and_a_rounded_one_is_meant():
    def first(start, **settings):
        return fixed_grid(1.0, 0.02, start, None, None, jnp.float32, **settings).times[0]

    # a millionth of the time was taken for rounding: one unit of time here
    assert first(1e6 + 0.013) == pytest.approx(1e6 + 0.013, abs=1e-9)
    single = float(np.float32(1e5 + 0.02))
    assert first(single, rounding=float(np.finfo(np.float32).eps)) == pytest.approx(1e5 + 0.02, abs=1e-9)
    with pytest.raises(ValueError, match="let the time begin later"):
        first(1e9)


def test_adaptive_steps_keep_a_tolerance_down_to_what_single_precision_resolves():
    """A free spin turning by 200 radians: 0.015 off at the old tolerance, and hardly at the finest one."""
    problem = DampedLarmor(strength=1.0, damping=0.0, height=0.3)
    spins, expected = problem.spins(dtype=jnp.float32), np.asarray(problem.spins(200.0))
    settings = {"duration": 200.0, "save_every": 100.0, "damping": 0.0, "step": "adaptive"}

    def error(**tolerance):
        run = simulate(problem.potential, spins, **settings, **tolerance)
        return float(np.max(np.abs(np.asarray(run.final, float) - expected)))

    loose, usual, fine = error(tolerance=1e-4), error(), error(tolerance=1e-6)
    assert fine < 5e-4 < usual * 5
    assert usual < loose / 4
    with pytest.raises(ValueError, match="pass a larger one, or spins in double precision"):
        error(tolerance=1e-8)
    with pytest.raises(ValueError, match='pass step="adaptive" with it, or a smaller step'):
        simulate(problem.potential, spins, duration=1.0, step=0.1, tolerance=1e-5)


def test_a_schedule_that_is_no_temperature_fails():
    """It ran at T = 0, "successful"."""
    field, settings = Zeeman([0.0, 0.0, 1.0]), {"duration": 4.0, "step": 0.05, "key": jax.random.key(0)}
    for wrong, value in ((lambda t: jnp.sqrt(1.0 - t), "nan"), (lambda t: 1.0 - t, "-")):
        with pytest.raises(ValueError, match=rf"the temperature at t = .* is {value}.*; return a finite one"):
            simulate(field, SINGLE, temperature=wrong, **settings)

    def brief(t):
        # between the times that are looked at beforehand
        return jnp.where(jnp.abs(t - 2.06) < 0.03, -0.1, 0.1)

    run = simulate(field, SINGLE, temperature=brief, throw=False, **settings)
    assert re.search(r"non-finite .* by t = 2\.[01]", run.result)
    with pytest.raises(RuntimeError, match=r"the temperature at t = 2.05 is -0.1, and must be"):
        simulate(field, SINGLE, temperature=brief, save_every=0.05, **settings)


def test_frames_are_in_memory_once():
    """They were written by the loop, and copied behind the start."""
    lattice = chain(4096)
    spins, n = random_spins(lattice, key=jax.random.key(0)), 64
    lowered = jax.jit(
        lambda s: simulate(Zeeman([0.0, 0.0, 1.0]), s, duration=float(n), step=1.0, save_every=1.0, throw=False).spins
    ).lower(spins)
    sizes = lowered.compile().memory_analysis()
    frames = (n + 1) * spins.nbytes
    assert sizes.output_size_in_bytes == pytest.approx(frames, rel=0.01)
    # beside the result: some states, no second set of frames
    assert sizes.temp_size_in_bytes < 0.5 * frames


def test_frames_that_fill_the_memory_are_warned_of(monkeypatch):
    field, settings = Exchange(chain(4), 1.0), {"duration": 1.0, "step": 0.1, "save_every": 0.1}
    # 11 frames of 4 spins in single precision
    monkeypatch.setattr(memory, "memory_of", lambda spins: 1000)
    with pytest.warns(UserWarning, match=r"11 frames take 5.28e-07 GB of the 1e-06 GB of memory; .*store="):
        simulate(field, SINGLE, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(field, SINGLE, save=lambda t, s: s[0], **settings)
        monkeypatch.undo()
        simulate(field, SINGLE, **settings)
    assert memory.memory_of(SINGLE) > 1e8
