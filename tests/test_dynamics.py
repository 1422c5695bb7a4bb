"""Spins in time: laws of precession and damping, and what the time loop promises."""

import dataclasses

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.stages.schemes import EXPLICIT, name_of
from jaxspin.classical import Exchange, GaussianPulse, Zeeman
from jaxspin.dynamics import (
    LLG,
    Clock,
    Constant,
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
from jaxspin.dynamics.checks import check_schedule, check_settings, check_state
from jaxspin.dynamics.timestep import life
from jaxspin.field import AbstractField, AbstractPotential
from jaxspin.lattice import chain, square, triangular
from jaxspin.problems import DampedLarmor, Dimer, SpinWave
from jaxspin.spins import random_spins
from tests.helpers import RUN_ROUNDING, distance, length_error

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
    assert length_error(spins) < RUN_ROUNDING


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


def test_numbers_of_numpy_are_numbers():
    lattice = chain(4)
    spins = random_spins(lattice, key=jax.random.key(0))
    settings = {"duration": 0.4, "step": 0.1, "damping": 0.2, "save_every": 0.2, "start": 0.1}
    of_numpy = {name: np.float64(value) for name, value in settings.items()}
    run, same = (simulate(Exchange(lattice, 1.0), spins, **s) for s in (of_numpy, settings))
    np.testing.assert_array_equal(run.final, same.final)


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
    assert run.times.dtype == np.float64
    assert {x.dtype for x in (run.spins, run.final, run.temperature, run.step, run.damping)} == {jnp.dtype(dtype)}
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


@pytest.mark.parametrize("damping", [0.0, 0.2])
def test_suggested_step_keeps_its_tolerance(damping):
    """The relative error of a precession, times the radians over which it adds up."""
    tolerance = 2e-3
    for height in (0.0, 0.5, 0.999):
        problem = DampedLarmor(strength=3.0, damping=damping, height=height)
        spins = problem.spins()
        step = suggest_timestep(problem.potential, spins, damping=damping, tolerance=tolerance)
        term, n = LLG(problem.potential, damping, clock=Clock(step)), jnp.array(0.0)
        after = ProjectedHeun().advance(term, n, n + 1, spins, term.contr(n, n + 1))
        error = -float(jnp.arctan2(after[0, 0, 1], after[0, 0, 0])) / (3.0 * step / (1 + damping**2)) - 1
        assert abs(error) * life(damping) < tolerance
    if damping == 0:
        # the bound is reached: the next term is smaller by theta^2
        assert error * life(damping) == pytest.approx(tolerance, rel=0.02)


def test_suggested_step_with_temperature_bounds_the_kick():
    problem = DampedLarmor(strength=1.0)
    settings = {"damping": 0.5, "tolerance": 1e-3}
    cold, hot = (suggest_timestep(problem.potential, problem.spins(), temperature=T, **settings) for T in (0.0, 3.0))
    rate, diffusion = 1 / np.sqrt(1.25), 0.5 * 3.0 / 1.25
    assert life(0.5) * (cold * rate) ** 2 == pytest.approx(6e-3)
    assert life(0.5) * (hot * rate) ** 2 + 2 * np.pi * 4 * hot * diffusion == pytest.approx(6e-3)


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
    refused("damping = -0.1 must be finite and not negative; pass zero or more", damping=-0.1)
    refused("must be finite and not negative", damping=jnp.full(lattice.shape, 0.1).at[1].set(-0.1))
    refused("must be finite and not negative", damping=float("nan"))
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
    assert check_schedule(GaussianPulse(507.3, 0.1), 0.0, 1000.0, jnp.float64) == pytest.approx(1.0)
    assert check_schedule(GaussianPulse(507.3, 0.1), 0.0, 500.0, jnp.float64) < 1e-9


def test_progress_and_lowering(key, capsys):
    lattice = chain(4)
    spins, potential = random_spins(lattice, key=key), Exchange(lattice, 1.0)
    simulate(potential, spins, duration=1.0, step=0.1, save_every=0.25, progress=diffrax.TextProgressMeter(0.3))
    jax.effects_barrier()
    assert capsys.readouterr().out.split()[-1] == "100.00%"

    def entry(spins, key):
        run = simulate(potential, spins, duration=1.0, step=0.1, save_every=0.5, temperature=0.2, key=key, throw=False)
        return run.final, relax(potential, run.final).spins

    assert jax.export.export(jax.jit(entry), platforms=["cpu", "cuda", "tpu"])(spins, key).mlir_module()


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
