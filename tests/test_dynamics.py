"""Spins in time: laws of precession, damping and noise, and what the time loop promises."""

import dataclasses

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.stages.schemes import EXPLICIT, name_of
from jaxspin.classical import Anisotropy, Exchange, GaussianPulse, Zeeman, ZeemanPulse
from jaxspin.dynamics import (
    LLG,
    Clock,
    Constant,
    DepondtMertens,
    Exponential,
    ProjectedHeun,
    ProjectedTsit5,
    Quench,
    Ramp,
    SemiImplicit,
    StepNoise,
    relax,
    simulate,
    suggest_timestep,
)
from jaxspin.dynamics.checks import check_settings, check_state
from jaxspin.dynamics.simulate import _hottest
from jaxspin.field import AbstractField, AbstractPotential
from jaxspin.lattice import chain, square, triangular
from jaxspin.problems import DampedLarmor, Dimer, SpinWave
from jaxspin.spins import random_spins, retract
from tests.runs import ROUNDING, distance, length_error

# --- the equation ---


def test_handedness():
    spins = jnp.array([[[1.0, 0.0, 0.0]]])
    push = LLG(Zeeman([0.0, 0.0, 1.0]), damping=0.0).vf(0.0, spins, None)
    rate = LLG(Zeeman([0.0, 0.0, 1.0]), damping=0.0).prod(push, LLG(Zeeman([0.0, 0.0, 1.0]), 0.0).contr(0.0, 1.0))
    np.testing.assert_allclose(rate[0, 0], [0.0, -1.0, 0.0], atol=1e-15)


def test_rate_is_the_equation(key):
    lattice, damping = square(3, 2), 0.3
    spins = random_spins(lattice, key=key)
    field = jax.random.normal(key, spins.shape)
    term = LLG(Zeeman(field), damping)
    rate = term.prod(term.vf(0.0, spins, None), term.contr(0.0, 1.0))
    torque = jnp.cross(spins, field)
    expected = (torque - damping * jnp.cross(spins, torque)) / (1 + damping**2)
    np.testing.assert_allclose(rate, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("solver", [*EXPLICIT, ProjectedTsit5()], ids=name_of)
def test_damped_precession(solver):
    problem = DampedLarmor(strength=1.0, damping=0.1, height=0.2)
    run = simulate(
        problem.potential,
        problem.spins(),
        duration=1.0,
        step=1 / 512,
        damping=0.1,
        solver=solver,
        save_every=1.0,
    )
    assert run.steps == 512
    assert distance(run.final, problem.spins(1.0)) < 1e-6
    assert run.final[0, 0, 2] > run.spins[0, 0, 0, 2]


@pytest.mark.parametrize(
    ("problem", "damping"),
    [(DampedLarmor(2.0, 0.3, 0.4), 0.3), (Dimer(coupling=1.5), 0.0), (SpinWave(12, 2, 0.5, 1.3), 0.0)],
    ids=["larmor", "dimer", "wave"],
)
def test_known_answers_solve_the_equation(problem, damping):
    t, h = 0.7, 1e-4
    term, spins = LLG(problem.potential, damping), problem.spins(t)
    rate = term.prod(term.vf(t, spins, None), term.contr(0.0, 1.0))
    slope = (problem.spins(t + h) - problem.spins(t - h)) / (2 * h)
    # h^2/6 times the third derivative, and rounding/h
    assert distance(rate, slope) < 1e-7
    assert length_error(spins) < ROUNDING


# --- noise ---


@pytest.fixture(scope="module")
def thermal():
    """A setting that shows every way a run could depend on how it was cut: noise, ramp, pulse, per-site
    damping.
    """
    lattice = square(3, 3)
    damping = jnp.linspace(0.1, 0.4, 9).reshape(lattice.shape)
    pulse = ZeemanPulse([0.5, 0.0, 0.0], GaussianPulse(1.7, 0.6, 3.0))
    potential = Exchange(lattice, 1.0) + Zeeman([0.0, 0.0, 0.5]) + pulse
    settings = {
        "step": 0.05,
        "damping": damping,
        "temperature": Ramp(1.0, 0.2, 3.0),
        "key": jax.random.key(3),
    }
    spins = random_spins(lattice, key=jax.random.key(4))
    return potential, spins, settings, simulate(potential, spins, duration=4.0, save_every=1.0, **settings)


def test_same_key_same_run(thermal):
    potential, spins, settings, run = thermal
    again = simulate(potential, spins, duration=4.0, save_every=1.0, **settings)
    assert jnp.array_equal(run.spins, again.spins)
    other = simulate(potential, spins, duration=4.0, save_every=1.0, **{**settings, "key": jax.random.key(5)})
    assert distance(run.final, other.final) > 0.1
    np.testing.assert_allclose(run.temperature, [1.0, 1 - 0.8 / 3, 1 - 1.6 / 3, 0.2, 0.2], rtol=1e-12)


def test_resumed_is_unbroken(thermal):
    potential, spins, settings, run = thermal
    half = simulate(potential, spins, duration=2.0, save_every=1.0, **settings)
    rest = simulate(potential, half.final, duration=2.0, save_every=1.0, start=half.times[-1], **settings)
    assert jnp.array_equal(half.final, run.spins[2])
    assert jnp.array_equal(rest.spins, run.spins[2:])
    assert jnp.array_equal(rest.times, run.times[2:])


def test_saving_does_not_change_the_run(thermal):
    potential, spins, settings, run = thermal
    uneven = simulate(potential, spins, duration=4.0, save_every=1.5, **settings)
    np.testing.assert_allclose(uneven.times, [0.0, 1.5, 3.0, 4.0], rtol=1e-15)
    assert jnp.array_equal(uneven.final, run.final)
    assert jnp.array_equal(uneven.spins[2], run.spins[3])


def test_fields_get_one_key_a_step():
    class Draw(AbstractField):
        def field(self, spins, t=0.0, *, key=None):
            assert key is not None
            return jnp.ones_like(spins) * jax.random.key_data(key)[..., 0].astype(spins.dtype)

    spins = random_spins(chain(4), key=jax.random.key(0))
    term = LLG(Draw(), 0.1, key=jax.random.key(1), clock=Clock(0.1, 7))
    drawn = [term.vf(jnp.array(t), spins, args).field for t, args in ((2.0, None), (3.0, 2.0), (2.5, 2.0))]
    assert distance(drawn[0], drawn[1]) == distance(drawn[0], drawn[2]) == 0
    assert distance(drawn[0], term.vf(jnp.array(3.0), spins, None).field) > 0
    resumed = LLG(Draw(), 0.1, key=jax.random.key(1), clock=Clock(0.1, 9))
    assert distance(drawn[0], resumed.vf(jnp.array(0.0), spins, None).field) == 0


def test_noise_has_the_variance_of_its_interval(key):
    spins = jnp.zeros((40, 50, 1, 3))
    noise = StepNoise(spins, key=key)
    draws = jnp.stack([noise.evaluate(jnp.array(float(n)), jnp.array(n + 1.0)) for n in range(4)])
    # 24000 normal numbers: the variance is known to 1 percent
    assert float(jnp.var(draws)) == pytest.approx(1, abs=0.04)
    correlation = jnp.corrcoef(draws.reshape(4, -1)) - jnp.eye(4)
    assert float(jnp.max(jnp.abs(correlation))) < 0.06
    shifted = StepNoise(spins, key=key, first=2).evaluate(jnp.array(1.0), jnp.array(2.0))
    assert jnp.array_equal(shifted, draws[3])
    with pytest.raises(ValueError, match=r"ask for evaluate\(t0, t1\)"):
        noise.evaluate(jnp.array(1.0))
    with pytest.raises(ValueError, match=r"use a solver of jaxspin.dynamics.solvers"):
        noise.evaluate(jnp.array(1.0), jnp.array(2.0), use_levy=True)


def test_schemes_follow_the_same_noise_as_diffrax(key):
    """Driven by one Brownian path in small steps, all schemes and diffrax's own Heun make the same
    trajectory.
    """
    dimer, step, number = Dimer(), 0.002, 500
    term = LLG(dimer.potential, 0.3, Constant(0.2), StepNoise(dimer.spins(), key=key), clock=Clock(jnp.array(step)))

    @eqx.filter_jit
    def final(solver):
        solution = diffrax.diffeqsolve(
            term, solver, 0.0, float(number), 1.0, dimer.spins(), max_steps=number + 1, throw=False
        )
        return solution.ys[0]

    reference = final(diffrax.Heun())
    assert distance(reference, dimer.spins(number * step)) > 0.1
    for solver in EXPLICIT:
        # the strong error is of order a T step for one noise, here 1e-4, times a few
        assert distance(final(solver), reference) < 3e-3


# --- derivatives ---


def outcome(x, adjoint=None):
    """A number that depends on everything a run can be differentiated by, with noise, a vacancy and a frozen spin."""
    lattice, key = chain(4), jax.random.key(7)
    turn, weight = (jax.random.normal(jax.random.key(n), (4, 1, 3)) for n in (8, 9))
    spins = random_spins(lattice, key=key).at[1].set(0.0)
    run = simulate(
        Exchange(lattice, 1.0) + Zeeman(jnp.array([0.3, 0.0, 1.0]) * x["field"]),
        retract(spins, x["angle"] * turn),
        duration=2.0,
        step=0.1,
        damping=x["damping"],
        temperature=x["temperature"],
        key=key,
        frozen=jnp.zeros(lattice.shape, bool).at[2].set(True),
        save_every=1.0,
        adjoint=adjoint,
        throw=False,
    )
    return jnp.sum(weight * (run.final + run.spins[1]))


PARAMETERS = {"field": 0.7, "damping": 0.3, "temperature": 0.4, "angle": 0.0}


def test_gradients_against_finite_differences():
    start = {name: jnp.asarray(x) for name, x in PARAMETERS.items()}
    slope = jax.jit(jax.grad(outcome))(start)
    value = jax.jit(outcome)
    h = 1e-5
    for name in start:
        up, down = ({**start, name: start[name] + sign * h} for sign in (1, -1))
        expected = (value(up) - value(down)) / (2 * h)
        assert abs(expected) > 1e-2
        # central differences: h^2 times third derivatives, and rounding/h
        assert slope[name] == pytest.approx(float(expected), rel=1e-6, abs=1e-7)


@pytest.mark.slow
def test_forward_derivatives_equal_reverse_ones():
    start = {name: jnp.asarray(x) for name, x in PARAMETERS.items()}
    slope = jax.jit(jax.grad(outcome))(start)
    along = {name: jnp.asarray(w) for name, w in zip(start, (0.3, -0.2, 0.5, 0.1), strict=True)}
    forward = jax.jit(lambda x, v: jax.jvp(lambda y: outcome(y, diffrax.ForwardMode()), (x,), (v,))[1])
    expected = sum(float(slope[name] * along[name]) for name in start)
    assert forward(start, along) == pytest.approx(expected, rel=1e-10)


# --- space ---


def test_a_mask_of_integers_is_a_mask(key):
    lattice = chain(5)
    spins, potential = random_spins(lattice, key=key), Exchange(lattice, 1.0)
    mask = jnp.zeros(lattice.shape, int).at[1].set(1)
    run = simulate(potential, spins, duration=1.0, step=0.1, frozen=mask)
    same = simulate(potential, spins, duration=1.0, step=0.1, frozen=mask.astype(bool))
    assert jnp.array_equal(run.final, same.final)
    assert jnp.array_equal(run.final[1], spins[1])
    assert LLG(potential, 0.1, frozen=mask).frozen.dtype == bool
    assert jnp.array_equal(relax(potential, spins, frozen=mask).spins[1], spins[1])


# --- time ---


def test_million_steps_are_counted_in_single_precision():
    spins = jnp.array([[[1.0, 0.0, 0.0]]], jnp.float32)
    run = simulate(Zeeman([0.0, 0.0, 0.0]), spins, duration=5e4, step=0.05, save_every=2.5e4)
    assert run.steps == 1_000_000
    np.testing.assert_array_equal(run.times, np.array([0, 2.5e4, 5e4], np.float32))
    assert jnp.array_equal(run.final, spins)


def test_single_precision_is_kept(key):
    lattice, dtype = chain(4), jnp.float32
    spins = random_spins(lattice, key=key, dtype=dtype)
    potential = Exchange(lattice, 1.0) + Zeeman([0.0, 0.0, 0.2])
    run = simulate(
        potential,
        spins,
        duration=1.0,
        damping=np.float64(0.1),
        temperature=Ramp(0.5, 0.1, 1.0),
        key=key,
        save_every=0.5,
    )
    assert {x.dtype for x in (run.spins, run.final, run.times, run.temperature, run.step, run.damping)} == {
        jnp.dtype(dtype)
    }
    relaxed = relax(potential, spins)
    assert {relaxed.spins.dtype, relaxed.energy.dtype, relaxed.max_torque.dtype} == {jnp.dtype(dtype)}
    assert relaxed.converged


def test_changing_numbers_does_not_compile_again(key):
    traces = []

    class Traced(AbstractPotential):
        strength: jax.Array

        def energy(self, spins, t=0.0, *, key=None):
            traces.append(1)
            return -self.strength * jnp.sum(spins[..., 2])

    spins = random_spins(chain(4), key=key)

    def run(strength, duration, step, damping, temperature, start):
        simulate(
            Traced(jnp.array(strength)),
            spins,
            duration=duration,
            step=step,
            damping=damping,
            temperature=Exponential(temperature, 0.1, 2.0),
            start=start,
            save_every=duration / 2,
            key=key,
        )
        return len(traces)

    first = run(1.0, 2.0, 0.1, 0.1, 0.5, 0.0)
    assert first > 0
    assert run(2.0, 3.0, 0.12, 0.3, 0.7, 1.2) == first


@pytest.mark.parametrize("height", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("damping", [0.0, 0.2])
def test_suggested_step_keeps_its_tolerance(height, damping):
    tolerance = 2e-3
    problem = DampedLarmor(strength=3.0, damping=damping, height=height)
    spins = problem.spins()
    step = suggest_timestep(problem.potential, spins, damping=damping, tolerance=tolerance)
    term, n = LLG(problem.potential, damping, clock=Clock(step)), jnp.array(0.0)
    after = ProjectedHeun().advance(term, n, n + 1, spins, term.contr(n, n + 1))
    error = -float(jnp.arctan2(after[0, 0, 1], after[0, 0, 0])) / (3.0 * step / (1 + damping**2)) - 1
    assert abs(error) < tolerance
    if damping == 0 and height > 0.99:
        # the bound is reached: the next term is smaller by theta^2
        assert error == pytest.approx(tolerance, rel=0.02)


def test_suggested_step_with_temperature_bounds_the_kick():
    problem = DampedLarmor(strength=1.0)
    settings = {"damping": 0.5, "tolerance": 1e-3}
    cold, hot = (suggest_timestep(problem.potential, problem.spins(), temperature=T, **settings) for T in (0.0, 3.0))
    rate, diffusion = 1 / np.sqrt(1.25), 0.5 * 3.0 / 1.25
    assert (cold * rate) ** 2 == pytest.approx(6e-3)
    assert (hot * rate) ** 2 + 4 * hot * diffusion == pytest.approx(6e-3)


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
    assert length_error(run.final) < ROUNDING
    assert run.steps < 400


PULSE = ZeemanPulse([2.0, 0.0, 0.0], GaussianPulse(507.0, 0.3))


@pytest.mark.parametrize(
    ("pulse", "settings"),
    [
        (PULSE, {"step": "adaptive"}),
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


def test_gradient_through_adaptive_steps_with_a_pulse():
    spins = jnp.array([[[0.0, 0.0, 1.0]]])

    def height(center):
        pulse = ZeemanPulse([2.0, 0.0, 0.0], GaussianPulse(center, 0.3))
        potential = Zeeman([0.0, 0.3, 0.5]) + pulse
        return simulate(potential, spins, duration=8.0, step="adaptive", throw=False, save_every=4.0).final[0, 0, 2]

    value, h = jax.jit(height), 1e-3
    slope = jax.jit(jax.grad(height))(jnp.array(4.0))
    assert slope == pytest.approx(float(value(4.0 + h) - value(4.0 - h)) / (2 * h), rel=1e-3)


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
    assert length_error(ys) < ROUNDING
    ys = solve(DepondtMertens(), diffrax.ConstantStepSize(), 0.07)
    # chord against arc: a sixteenth of the square of the angle, 0.14, of a step
    assert distance(ys, expected) < 3e-3
    assert length_error(ys) < ROUNDING


def test_failure_is_reported_with_its_time(key):
    class Breaks(AbstractField):
        def field(self, spins, t=0.0, *, key=None):
            return jnp.where(jnp.asarray(t) > 1.2, jnp.nan, 1.0) * jnp.ones_like(spins)

    spins = random_spins(chain(4), key=key)
    settings = {"duration": 2.0, "step": 0.1, "save_every": 0.5}
    with pytest.raises(RuntimeError, match=r"step too long after t = 1 and by t = 1\.5; .*; pass a smaller step"):
        simulate(Breaks(), spins, **settings)
    run = simulate(Breaks(), spins, throw=False, **settings)
    assert run.finite.tolist() == [True, True, True, False, False]
    assert "after t = 1" in run.result
    problem = DampedLarmor(strength=50.0)
    with pytest.raises(RuntimeError, match="more than max_steps = 20 for a frame"):
        simulate(problem.potential, problem.spins(), duration=10.0, step="adaptive", max_steps=20, save_every=10.0)


def test_refusals(key):
    lattice = chain(4)
    spins, potential = random_spins(lattice, key=key), Exchange(lattice, 1.0)

    def refused(message, spins=spins, **settings):
        with pytest.raises(ValueError, match=message):
            simulate(potential, spins, **{"duration": 1.0, "step": 0.1, **settings})

    refused(r"pass key=jax.random.key\(0\)", temperature=0.5)
    refused("pass zero or more", temperature=-0.5, key=key)
    refused("pass zero or more", temperature=float("nan"), key=key)
    refused("pass zero or more", temperature=float("inf"), key=key)
    refused("damping must be finite and not negative; pass zero or more", damping=-0.1)
    refused("damping must be finite and not negative", damping=jnp.full(lattice.shape, 0.1).at[1].set(-0.1))
    refused("damping must be finite and not negative", damping=float("nan"))
    refused("leave it out for about 100 frames", save_every=0.0)
    refused("leave it out for about 100 frames", save_every=-1.0)
    refused('pass step="adaptive" with it', max_step=0.1)
    refused("leave it out for steps of any length", max_step=0.0, step="adaptive")
    refused("thermal noise needs a fixed step; pass step=", temperature=0.5, key=key, step="adaptive")
    refused("use DepondtMertens", temperature=0.5, key=key, solver=ProjectedTsit5())
    refused(r"use ProjectedTsit5\(\), or a fixed step", solver=SemiImplicit(), step="adaptive")
    refused('pass a number, None, or "adaptive"', step="fast")
    refused("leave it out to have one suggested", step=-0.1)
    refused("duration = -1.0 must be positive", duration=-1.0)
    refused("shorten duration or raise max_steps", max_steps=9)
    refused("pass jaxspin.normalize", spins=2 * spins)
    refused("use lattice.resize", spins=random_spins(square(3, 3), key=key))
    refused("use a smaller save_every", spins=spins.astype(jnp.float32), duration=1e7, save_every=1e7)
    # with shapes checked, as here, a wrong mask does not get as far as simulate's own check
    with pytest.raises(ValueError, match="give a mask of the lattice's shape"):
        check_state(spins, lattice, jnp.zeros((3,), bool))
    with pytest.raises(ValueError, match="give one number, or one per site"):
        check_settings(lattice.shape, 1.0, 0.0, None, jnp.zeros(4), None, 0.0)
    for wrong, remedy in ((2 * spins, "pass jaxspin.normalize"), (random_spins(chain(5), key=key), "lattice.resize")):
        with pytest.raises(ValueError, match=remedy):
            relax(potential, wrong)
    noisy = LLG(potential, 0.1, Constant(1.0), StepNoise(spins, key=key))
    with pytest.raises(ValueError, match="does not take thermal noise; use DepondtMertens"):
        ProjectedTsit5().init(noisy, jnp.array(0.0), jnp.array(1.0), spins, None)
    with pytest.raises(ValueError, match="temperature and noise go together"):
        LLG(potential, 0.1, temperature=Constant(1.0))
    with pytest.raises(ValueError, match="pass step="):
        suggest_timestep(Zeeman([0.0, 0.0, 0.0]), spins)
    with pytest.raises(ValueError, match="cannot be chosen inside jit or grad; pass step="):
        jax.jit(lambda s: simulate(potential, s, duration=1.0).final)(spins)
    with pytest.raises(ValueError, match="cannot be chosen inside jit or grad; pass step="):
        jax.jit(lambda k: simulate(Exchange(lattice, k), spins, duration=1.0).final)(1.0)


def test_schedules():
    times = jnp.array([-1.0, 0.0, 1.0, 2.0, 5.0])

    def values(schedule):
        return np.array([schedule(t) for t in times])

    np.testing.assert_allclose(values(Ramp(1.0, 0.0, 2.0)), [1, 1, 0.5, 0, 0])
    np.testing.assert_allclose(values(Quench(1.0, 0.1, 1.0)), [1, 1, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(values(Exponential(1.0, 0.2, 2.0)), 0.2 + 0.8 * np.exp([0, 0, -0.5, -1, -2.5]))
    np.testing.assert_allclose(values(Constant(0.3)), 0.3)
    # of no duration: steps
    np.testing.assert_allclose(values(Ramp(1.0, 0.5, 0.0)), [1, 0.5, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(values(Exponential(1.0, 0.5, 0.0)), [1, 0.5, 0.5, 0.5, 0.5])
    slope = jax.grad(lambda final: Ramp(1.0, final, 0.0)(jnp.array(1.0)))(0.5)
    assert slope == 1


def test_a_short_heat_pulse_is_seen():
    assert _hottest(GaussianPulse(507.3, 0.1), 0.0, 1000.0, jnp.float64) == pytest.approx(1.0)
    assert _hottest(GaussianPulse(507.3, 0.1), 0.0, 500.0, jnp.float64) < 1e-9


def test_progress_and_lowering(key, capsys):
    lattice = chain(4)
    spins, potential = random_spins(lattice, key=key), Exchange(lattice, 1.0)
    simulate(potential, spins, duration=1.0, step=0.1, save_every=0.25, progress=diffrax.TextProgressMeter(0.3))
    jax.effects_barrier()
    assert capsys.readouterr().out.split()[-1] == "100.00%"

    def entry(spins, key):
        run = simulate(potential, spins, duration=1.0, step=0.1, save_every=0.5, temperature=0.2, key=key, throw=False)
        return run.final, relax(potential, run.final).spins

    for platform in ("cpu", "cuda", "tpu"):
        assert jax.export.export(jax.jit(entry), platforms=[platform])(spins, key).mlir_module()


# --- trajectories ---


def test_trajectory(key):
    lattice = triangular(4, 4)
    potential = Exchange(lattice, -1.0)
    spins = random_spins(lattice, key=key)
    settings = {"duration": 1.0, "step": 0.1, "save_every": 0.5}
    run = simulate(potential, spins, **settings)
    assert run.lattice == lattice
    assert len(run) == len(run.times) == 3
    np.testing.assert_allclose(run.magnetization(), run.spins.mean((1, 2, 3)), atol=1e-15)
    np.testing.assert_allclose(run.energy(potential), [potential.energy(s) for s in run.spins], rtol=1e-14)
    assert run.chirality().shape == run.topological_charge().shape == (3,)
    assert float(run.chirality()[-1]) == pytest.approx(float(run.final_chirality()), abs=1e-15)
    # Parseval: the mean of S(q) over the grid is the mean squared length of the spins
    np.testing.assert_allclose(run.structure_factor().mean((1, 2)), 1.0, rtol=1e-12)
    assert run.result == "successful"

    observed = simulate(potential, spins, save=lambda t, s: (t, potential.energy(s)), **settings)
    assert observed.spins is None
    np.testing.assert_allclose(observed.saved[0], run.times)
    np.testing.assert_allclose(observed.saved[1], run.energy(potential), rtol=1e-14)
    assert jnp.array_equal(observed.final, run.final)
    with pytest.raises(ValueError, match=r"read run\.saved"):
        observed.magnetization()
    with pytest.raises(ValueError, match=r"simulate\(..., lattice=lattice\)"):
        dataclasses.replace(run, lattice=None).chirality()


# --- relaxation ---


def test_relax_finds_the_ground_states(key):
    square_, triangle = square(6, 6), triangular(6, 6)
    ferromagnet = relax(Exchange(square_, 1.0) + Zeeman([0.0, 0.0, 0.1]), random_spins(square_, key=key))
    assert ferromagnet.converged
    assert float(ferromagnet.energy) / 36 == pytest.approx(-2.1, abs=1e-12)
    frustrated = relax(Exchange(triangle, -1.0), random_spins(triangle, key=key))
    assert frustrated.reason == "converged"
    # 120 degrees between neighbours: three bonds a site at -1/2
    assert float(frustrated.energy) / 36 == pytest.approx(-1.5, abs=1e-12)
    # damped dynamics needs thousands of fields for this
    assert int(frustrated.steps) < 200
    b = Exchange(triangle, -1.0).field(frustrated.spins)
    torque = float(jnp.max(jnp.linalg.norm(jnp.cross(frustrated.spins, b), axis=-1)))
    assert torque == pytest.approx(float(frustrated.max_torque), rel=1e-6)
    assert length_error(frustrated.spins) < ROUNDING


def test_relax_agrees_with_damped_dynamics(key):
    lattice = chain(5, periodic=False)
    potential = Exchange(lattice, 1.0) + Anisotropy(-0.5) + Zeeman([0.4, 0.0, 0.3])
    spins = random_spins(lattice, key=key)
    run = simulate(potential, spins, duration=200.0, step=0.1, damping=1.0, save_every=200.0)
    assert distance(relax(potential, spins, tolerance=1e-10).spins, run.final) < 1e-8


def test_relax_says_why_it_stopped(key):
    lattice = triangular(6, 6)
    potential, spins = Exchange(lattice, -1.0), random_spins(lattice, key=key)
    short = relax(potential, spins, max_steps=5)
    assert (short.reason, int(short.steps), short.converged) == ("step limit", 5, False)
    assert float(short.energy) < float(potential.energy(spins))
    single = relax(potential, spins.astype(jnp.float32), tolerance=1e-12)
    assert single.reason == "stalled"
    assert float(single.energy) / 36 == pytest.approx(-1.5, abs=1e-5)
    nothing = relax(Zeeman([0.0, 0.0, 1.0]), jnp.zeros((2, 1, 3)).at[..., 2].set(1.0))
    assert (nothing.reason, int(nothing.steps)) == ("converged", 0)
    broken = relax(Zeeman([jnp.nan, 0.0, 1.0]), spins)
    assert broken.reason == "non-finite"
    with pytest.raises(ValueError, match="leave it out for a default"):
        relax(potential, spins, tolerance=-1.0)
    with pytest.raises(ValueError, match="leave it out for a default"):
        relax(potential, spins, max_steps=0)


def test_relax_with_frozen_spins_and_vacancies(key):
    """A chain held at its ends makes the planar spiral of equal angles."""
    lattice = chain(7, periodic=False)
    spins = random_spins(lattice, key=key).at[0, 0].set(jnp.array([1.0, 0, 0])).at[5, 0].set(jnp.array([0.0, 1, 0]))
    spins = spins.at[6].set(0.0)
    frozen = jnp.zeros(lattice.shape, bool).at[0].set(True).at[5].set(True)
    result = relax(Exchange(lattice, 1.0), spins, frozen=frozen)
    assert result.converged
    assert jnp.array_equal(result.spins[frozen], spins[frozen])
    assert jnp.array_equal(result.spins[6], jnp.zeros((1, 3)))
    assert float(result.energy) == pytest.approx(-5 * np.cos(np.pi / 10), abs=1e-12)


def test_relax_without_an_energy(key):
    """A spin-transfer-like torque has no energy; the stationary state is where field and polarizer
    balance.
    """

    class Driven(AbstractField):
        def field(self, spins, t=0.0, *, key=None):
            up, along = (jnp.broadcast_to(jnp.eye(3)[axis], spins.shape) for axis in (2, 0))
            return up + 0.2 * jnp.cross(spins, along)

    result = relax(Driven(), random_spins(chain(4), key=key))
    assert result.converged
    assert jnp.isnan(result.energy)
    b = Driven().field(result.spins)
    assert distance(jnp.cross(result.spins, b), jnp.zeros_like(b)) < 1e-7
