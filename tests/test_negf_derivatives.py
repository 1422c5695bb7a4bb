"""Derivatives of driven electrons against differences, and the part of their torque that has no energy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import Crystal, ExactDiagonalization, GreensFunction, SDModel, WideBand
from jaxspin.field import AbstractField
from jaxspin.observables import curl_fraction, field_jacobian
from jaxspin.spins import random_spins, retract, tangent, tangent_frame

LATTICE = lattices.square(3, 2, periodic=(False, True))


def channel(voltage=0.8, **more):
    potential = jnp.zeros(LATTICE.shape)
    model = SDModel(LATTICE, 1.0, 1.5, potential=potential)
    leads = (Crystal("left", 1.1), WideBand("right", 0.9))
    settings = {"temperature": 0.2, "bath": 0.1, "tolerance": 1e-11, "mu": -0.5, **more}
    return GreensFunction(model, leads=leads, voltage=voltage, **settings)


@pytest.fixture(scope="module")
def spins():
    return random_spins(LATTICE, key=jax.random.key(3))


def test_gradients_are_those_of_differences(spins):
    """In spins, voltage, J, levels, hopping, and the leads' coupling and temperature: one reverse pass."""
    weights = jax.random.normal(jax.random.key(4), spins.shape)
    solver = channel()

    def parameters(p):
        return eqx.tree_at(
            lambda s: (
                s.voltage, s.model.coupling, s.model.potential, s.model.hoppings[0].amplitude, s.leads[0].hopping,
                s.leads[0].coupling, s.leads[1].coupling, s.temperature,
            ),
            solver,
            p,
        )  # fmt: skip

    def loss(s, p):
        return jnp.sum(weights * parameters(p).field(s))

    at = (
        solver.voltage, solver.model.coupling, solver.model.potential, solver.model.hoppings[0].amplitude,
        solver.leads[0].hopping, solver.leads[0].coupling, solver.leads[1].coupling, solver.temperature,
    )  # fmt: skip
    # one program for the values, too
    solve = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    value = lambda *of: float(solve(*of)[0])  # noqa: E731
    slopes = solve(spins, at)[1]
    step = 1e-4
    turns = jax.random.normal(jax.random.key(5), spins.shape)
    difference = (value(spins + step * turns, at) - value(spins - step * turns, at)) / (2 * step)
    assert float(jnp.sum(turns * slopes[0])) == pytest.approx(float(difference), abs=2e-6)
    for n, (x, slope) in enumerate(zip(at, slopes[1], strict=True)):
        turn = jnp.ones_like(x) if x.ndim < 2 else jax.random.normal(jax.random.key(6), x.shape)
        sides = [(*at[:n], x + sign * step * turn, *at[n + 1 :]) for sign in (1, -1)]
        difference = (value(spins, sides[0]) - value(spins, sides[1])) / (2 * step)
        assert abs(float(difference)) > 1e-3, n
        assert float(jnp.sum(turn * slope)) == pytest.approx(float(difference), abs=2e-6), n


def test_conductance_is_the_slope_of_the_current(spins):
    """At V = 0, where what is integrated vanishes but its slope does not: G = int dE (-f') T(E)/(2 pi)."""
    solver = channel(voltage=0.0, bath=0.0)

    def current(v):
        return eqx.tree_at(lambda s: s.voltage, solver, v).current(spins)

    slope = jax.jit(jax.grad(current))(jnp.zeros(()))
    energies = np.linspace(-7, 6, 4001)
    x = (energies + 0.5) / 0.2
    weight = 1 / (4 * 0.2 * np.cosh(x / 2) ** 2)
    expected = np.trapezoid(weight * solver.transmission(spins, jnp.asarray(energies)), energies) / (2 * np.pi)
    # the trapezoids see the square-root edges of the subbands
    assert float(slope) == pytest.approx(float(expected), rel=1e-4)


def test_curl_appears_with_the_current(spins):
    """None in equilibrium, to rounding; some under bias."""
    still, driven = (curl_fraction(channel(voltage=v, mu=0.3), spins, batch=3) for v in (0.0, 1.0))
    assert float(still) < 1e-10
    assert float(driven) > 1e-3


@pytest.mark.slow
def test_the_jacobian_is_that_of_differences_of_the_torque(spins):
    solver = channel(voltage=1.0, mu=0.3)
    jacobian = np.asarray(field_jacobian(solver, spins, batch=3))
    field = jax.jit(lambda s: solver.field(s))
    frame = tangent_frame(spins)
    step, column = 1e-4, 5  # site 2, second vector
    direction = jnp.zeros_like(spins).reshape(-1, 3).at[2].set(frame.reshape(-1, 2, 3)[2, 1]).reshape(spins.shape)
    sides = []
    for sign in (1, -1):
        moved = retract(spins, sign * step * jnp.cross(spins, direction))
        sides.append(tangent(moved, field(moved)))
    difference = jnp.sum(frame * ((sides[0] - sides[1]) / (2 * step))[..., None, :], axis=-1).reshape(-1)
    np.testing.assert_allclose(jacobian[:, column], difference, atol=1e-6)


class Twist(AbstractField):
    """B = w x S at every site about its own axis: no energy has it."""

    axes: jax.Array

    def field(self, spins, t=0.0, *, key=None):
        return jnp.cross(self.axes, spins)


def test_a_potential_has_no_curl_and_a_twist_nothing_else(spins):
    """D of w x S in the frame (e, S x e) is (S . w) times [[0, -1], [1, 0]]."""
    exact = ExactDiagonalization(SDModel(LATTICE, 1.0, 1.5), filling=0.4, temperature=0.1)
    assert float(curl_fraction(exact, spins, batch=3)) < 1e-10
    twist = Twist(jax.random.normal(jax.random.key(7), spins.shape))
    assert float(curl_fraction(twist, spins)) == pytest.approx(1.0)
    along = jnp.sum(twist.axes * spins, axis=-1).reshape(-1)
    jacobian = np.asarray(field_jacobian(twist, spins))
    np.testing.assert_allclose(jacobian[1::2, ::2], np.diag(along), atol=1e-14)
    with pytest.raises(ValueError, match="spins hold nan or inf"):
        curl_fraction(twist, spins * jnp.nan)


def test_lowering_and_single_precision():
    solver = channel(tolerance=1e-3)
    spins = random_spins(LATTICE, key=jax.random.key(3), dtype=jnp.float32)
    exported = jax.export.export(jax.jit(lambda s: solver.field(s)), platforms=["cpu", "cuda", "tpu"])(spins)
    assert exported.out_avals[0].dtype == jnp.float32
    found = solver.field(spins)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, channel(tolerance=1e-7).field(spins.astype(float)), atol=2e-3)


@pytest.mark.slow
def test_the_slope_lowers_everywhere():
    solver = channel(tolerance=1e-3)
    spins = random_spins(LATTICE, key=jax.random.key(3), dtype=jnp.float32)
    slope = jax.jit(jax.grad(lambda s: jnp.sum(solver.field(s))))
    jax.export.export(slope, platforms=["cpu", "cuda", "tpu"])(spins)
