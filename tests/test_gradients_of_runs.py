"""Derivatives of whole runs, by what acts on them, by the electrons and by a network."""

import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange, GaussianPulse, Zeeman, ZeemanPulse
from jaxspin.dynamics import simulate
from jaxspin.electrons import ExactDiagonalization, ExactTrace, KernelPolynomial, SDModel
from jaxspin.forcefield import BehlerParrinello
from jaxspin.lattice import chain
from jaxspin.spins import random_spins, retract
from jaxspin.textures import neel
from tests.helpers import compiled


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
    start = {name: np.asarray(x) for name, x in PARAMETERS.items()}
    # one program for the values, too
    solve = jax.jit(jax.value_and_grad(outcome))
    slope = solve(start)[1]
    h = 1e-5
    for name in start:
        up, down = (float(solve({**start, name: start[name] + sign * h})[0]) for sign in (1, -1))
        expected = (up - down) / (2 * h)
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


def test_gradient_through_adaptive_steps_with_a_pulse():
    spins = jnp.array([[[0.0, 0.0, 1.0]]])

    def height(center):
        pulse = ZeemanPulse([2.0, 0.0, 0.0], GaussianPulse(center, 0.3))
        potential = Zeeman([0.0, 0.3, 0.5]) + pulse
        return simulate(potential, spins, duration=8.0, step="adaptive", throw=False, save_every=4.0).final[0, 0, 2]

    solve, h = jax.jit(jax.value_and_grad(height)), 1e-3
    ends = [float(solve(np.asarray(center))[0]) for center in (4.0 + h, 4.0 - h)]
    assert solve(np.asarray(4.0))[1] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-3)


@functools.cache
def compiled_slope(function):
    return compiled(jax.value_and_grad(function))


def assert_slopes(function, at, directions):
    """The gradient of a scalar function of a pytree along directions, against central differences."""
    solve = compiled_slope(function)
    gradient = solve(at)[1]
    for direction in directions:
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
        found = sum(float(jnp.sum(a * b)) for a, b in pairs)
        step = 1e-4
        ends = [solve(jax.tree.map(lambda x, d, s=s: x + s * d, at, direction))[0] for s in (step, -step)]
        assert abs(found) > 1e-3
        assert found == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8)


def final_state(field, spins):
    run = simulate(field, spins, duration=0.5, step=0.1, damping=0.2, throw=False)
    return jnp.sum(run.final * jnp.asarray(np.random.default_rng(6).normal(size=spins.shape)))


@pytest.mark.slow
def test_gradient_of_a_run_with_respect_to_the_network(ring, key):
    model = BehlerParrinello(descriptor=ring, hidden=(4,), key=key)
    rng = np.random.default_rng(7)
    network, rest = eqx.partition(model.network, eqx.is_inexact_array)
    network, direction = (jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), network) for _ in range(2))
    spins = random_spins(ring.lattice, key=key)

    def outcome(network):
        return final_state(eqx.tree_at(lambda m: m.network, model, eqx.combine(network, rest)), spins)

    assert_slopes(outcome, network, [direction])


def test_gradient_of_a_run_with_respect_to_electrons_of_degenerate_levels():
    """Through diagonalization in every step: by a turn of the Neel order; by coupling, hopping, filling beside it."""
    lattice = chain(4)
    turn = 0.1 * np.random.default_rng(5).normal(size=(*lattice.shape, 3))

    def outcome(x):
        model = SDModel(lattice, x[1], x[0])
        electrons = ExactDiagonalization(model, filling=x[2], temperature=0.3)
        return final_state(electrons, retract(neel(lattice), x[3] * turn))

    # the order itself stays what it is, whatever the electrons
    assert_slopes(outcome, np.array([1.5, 1.0, 0.3, 0.0]), np.eye(4)[3:])
    assert_slopes(outcome, np.array([1.5, 1.0, 0.3, 4.0]), np.eye(4))


@pytest.mark.slow
def test_gradient_of_a_run_with_respect_to_the_electrons(key):
    """By coupling and hopping, through the kernel polynomials in every step."""
    lattice = chain(6)
    spins = random_spins(lattice, key=key)
    settings = {
        "chemical_potential": -0.5,
        "temperature": 0.3,
        "probes": ExactTrace(),
        "window": (-4.0, 4.0),
        "order": 60,
    }

    def outcome(x):
        return final_state(KernelPolynomial(SDModel(lattice, x[1], x[0]), **settings), spins)

    assert_slopes(outcome, jnp.array([1.5, 1.0]), jnp.eye(2))
