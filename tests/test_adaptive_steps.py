"""Adaptive steps: their tolerance, pulses that must not be jumped over, and frames between steps."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import GaussianPulse, Zeeman, ZeemanPulse
from jaxspin.dynamics import LLG, DepondtMertens, ProjectedTsit5, simulate
from jaxspin.field import AbstractField
from jaxspin.problems import DampedLarmor
from tests.helpers import RUN_ROUNDING, distance, length_error


def test_adaptive_steps():
    problem = DampedLarmor(strength=2.0, damping=0.2, height=-0.9)
    run = simulate(
        problem.potential,
        problem.spins(),
        duration=30.0,
        step="adaptive",
        damping=0.2,
        save_every=3.0,
        start=1.0,
    )
    expected = jnp.stack([problem.spins(t) for t in np.linspace(0, 30, 11)])
    np.testing.assert_allclose(run.times, 1 + np.linspace(0, 30, 11), rtol=1e-14)
    # tolerance 1e-8 a step, a few hundred steps
    assert distance(run.spins, expected) < 1e-6
    assert length_error(run.final) < RUN_ROUNDING
    assert run.steps < 400


PULSE = ZeemanPulse([2.0, 0.0, 0.0], GaussianPulse(507.0, 0.3))


@pytest.mark.parametrize(
    ("pulse", "settings"),
    [
        pytest.param(PULSE, {"step": "adaptive"}, marks=pytest.mark.slow),
        (PULSE, {"step": "adaptive", "start": -100.0, "duration": 1100.0, "save_every": 1100.0}),
        (PULSE, {}),
        (ZeemanPulse(PULSE.applied, jax.tree_util.Partial(PULSE.profile)), {"step": "adaptive", "max_step": 0.5}),
    ],
    ids=["adaptive", "one frame", "suggested", "bounded"],
)
def test_a_short_pulse_is_not_jumped_over(pulse, settings):
    spins = jnp.array([[[0.0, 0.0, 1.0]]])
    # about the pulse, whose axis the rest hardly turns
    potential = Zeeman([0.0, 0.0, 1e-3]) + PULSE
    settings = {"duration": 1000.0, "damping": 0.1, "save_every": 10.0, **settings}
    run = simulate(Zeeman([0.0, 0.0, 1e-3]) + pulse, spins, **settings)
    before = simulate(Zeeman([0.0, 0.0, 1e-3]), spins, duration=500.0, step=100.0)
    short = simulate(potential, before.final, duration=20.0, step=0.01, start=500.0)
    after = simulate(Zeeman([0.0, 0.0, 1e-3]), short.final, duration=480.0, step=1.0)
    # the suggested step turns by 0.08 rad
    assert float(run.final[0, 0, 2]) == pytest.approx(float(after.final[0, 0, 2]), abs=2e-3)
    assert float(run.final[0, 0, 2]) < 0.2


def test_times_of_change_of_sums():
    quiet, pulse = Zeeman([0.0, 0.0, 1.0]), ZeemanPulse([1.0, 0.0, 0.0], GaussianPulse(5.0, 0.5, 2.0, np.pi / 2))
    assert quiet.times_of_change() == ()
    times = (quiet + pulse + pulse).times_of_change()
    assert len(times) == 2 * len(pulse.times_of_change())
    # zero at its center, the oscillation is largest a quarter of a period beside
    peak = max(abs(float(pulse.profile(t))) for t in times)
    assert peak > 0.2
    assert {2.0, 5.0, 8.0} <= {float(t) for t in times}

    class Plain(AbstractField):
        def field(self, spins, t=0.0, *, key=None):
            return spins

    assert len((Plain() + pulse).times_of_change()) == len(pulse.times_of_change())


def test_adaptive_solver_interpolates_on_the_sphere():
    problem = DampedLarmor(strength=2.0, damping=0.2, height=-0.5)
    times = np.linspace(0.1, 2.9, 9)

    @eqx.filter_jit
    def solve(solver, controller, dt0):
        return diffrax.diffeqsolve(
            LLG(problem.potential, 0.2),
            solver,
            0.0,
            3.0,
            dt0,
            problem.spins(),
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=controller,
        ).ys

    expected = jnp.stack([problem.spins(t) for t in times])
    ys = solve(ProjectedTsit5(), diffrax.PIDController(rtol=1e-8, atol=1e-8), None)
    assert distance(ys, expected) < 1e-6
    assert length_error(ys) < RUN_ROUNDING
    ys = solve(DepondtMertens(), diffrax.ConstantStepSize(), 0.07)
    # chord against arc: a sixteenth of the square of the angle, 0.14, of a step
    assert distance(ys, expected) < 3e-3
    assert length_error(ys) < RUN_ROUNDING
