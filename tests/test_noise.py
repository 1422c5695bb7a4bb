"""Noise: the same key the same run, its variance, and the same path for every scheme."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.stages.schemes import EXPLICIT
from jaxspin.classical import Exchange, GaussianPulse, Zeeman, ZeemanPulse
from jaxspin.dynamics import LLG, Clock, Constant, Ramp, StepNoise, simulate
from jaxspin.field import AbstractField
from jaxspin.lattice import chain, square
from jaxspin.problems import Dimer
from jaxspin.spins import random_spins
from tests.helpers import distance


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

    @eqx.filter_jit
    def steps(solver):
        def step(n, spins):
            t = n.astype(spins.dtype)
            return solver.advance(term, t, t + 1, spins, term.contr(t, t + 1))

        return jax.lax.fori_loop(0, number, step, dimer.spins())

    for solver in EXPLICIT:
        # the strong error is of order a T step for one noise, here 1e-4, times a few
        assert distance(steps(solver), reference) < 3e-3
