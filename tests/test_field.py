"""Sums of fields: linear, flat, potential where every term is, and on one lattice only."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import jaxspin as js
from jaxspin.classical import Exchange, Zeeman
from jaxspin.field import AbstractField, AbstractPotential, SumField, SumPotential
from jaxspin.lattice import square
from jaxspin.spins import random_spins

ROUNDING = 1e-13


class Quartic(AbstractPotential):
    strength: Array

    def energy(self, spins, t=0.0, *, key=None):
        return self.strength * jnp.sum(spins[..., 2] ** 4)


class Swirl(AbstractField):
    """A push without an energy."""

    def field(self, spins, t=0.0, *, key=None):
        return jnp.cross(spins, jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), spins.shape))


class Noise(AbstractField):
    def field(self, spins, t=0.0, *, key=None):
        return jax.random.normal(key, spins.shape)


@pytest.fixture
def spins(key):
    return random_spins(square(3, 4), key=key)


def test_field_is_minus_the_gradient(spins):
    term = Quartic(jnp.array(0.7))
    expected = jnp.zeros_like(spins).at[..., 2].set(-4 * 0.7 * spins[..., 2] ** 3)
    assert np.allclose(term.field(spins), expected, atol=ROUNDING)
    energy, field = term.energy_and_field(spins)
    assert np.isclose(energy, term.energy(spins), atol=ROUNDING)
    assert np.allclose(field, expected, atol=ROUNDING)


def test_potentials_add_to_a_potential(spins):
    terms = (Quartic(jnp.array(0.7)), Zeeman((0.0, 0.0, 1.0)), Exchange(square(3, 4), 1.0))
    total = terms[0] + terms[1] + terms[2]
    assert isinstance(total, SumPotential)
    assert len(total.terms) == 3  # flat, not nested
    assert total.lattice == square(3, 4)
    assert np.isclose(total.energy(spins), sum(float(x.energy(spins)) for x in terms), atol=10 * ROUNDING)
    parts = terms[0].field(spins) + terms[1].field(spins) + terms[2].field(spins)
    assert np.allclose(total.field(spins), parts, atol=ROUNDING)
    assert np.allclose(total.field(spins), -jax.grad(total.energy)(spins), atol=10 * ROUNDING)
    assert isinstance((terms[0] + terms[1]) + (terms[2] + terms[0]), SumPotential)


def test_builtin_sum_works(spins):
    term = Quartic(jnp.array(0.5))
    assert np.allclose(sum([term, term]).field(spins), 2 * term.field(spins), atol=ROUNDING)
    assert sum([term]) is term
    with pytest.raises(TypeError):
        1 + term
    with pytest.raises(TypeError):
        term + 1


def test_a_field_without_energy_makes_a_sum_without_energy(spins):
    mixed = Quartic(jnp.array(0.7)) + Swirl()
    assert isinstance(mixed, SumField)
    assert not isinstance(mixed, AbstractPotential)
    expected = Quartic(jnp.array(0.7)).field(spins) + Swirl().field(spins)
    assert np.allclose(mixed.field(spins), expected, atol=ROUNDING)
    assert len((mixed + mixed).terms) == 4


class Hidden(AbstractPotential):
    """Keeps its lattice under a name of its own, and says nothing of it."""

    strength: float
    place: Any

    def energy(self, spins, t=0.0, *, key=None):
        return self.strength * jnp.sum(spins)


class HiddenStatic(Hidden):
    place: Any = eqx.field(static=True)


@pytest.mark.parametrize("kind", [Hidden, HiddenStatic])
def test_a_lattice_under_another_name_does_not_move(kind):
    small, large = square(4), square(8)
    for place in (small, [small], {"a": (large, small)}, Hidden(1.0, small)):
        term = kind(1.0, place)
        for field in (term, 2 * term, term + Zeeman((0.0, 0.0, 1.0)), Zeeman((0.0, 0.0, 1.0)) + term):
            with pytest.raises(ValueError, match=rf"{kind.__name__} does not move .*; build it anew there, or give"):
                field.on(large)
    assert kind(1.0, small).on(small).place == small
    assert kind(1.0, None).on(large).place is None


def test_different_lattices_are_refused():
    with pytest.raises(ValueError, match=r"different lattices cannot be added.*build every term on the same lattice"):
        Exchange(square(3, 4), 1.0) + Exchange(square(4, 4), 1.0)
    with pytest.raises(ValueError, match="periodic"):
        Exchange(square(3, 4), 1.0) + Exchange(square(3, 4, periodic=False), 1.0) + Swirl()
    assert (Swirl() + Zeeman((0.0, 0.0, 1.0))).lattice is None


def test_each_term_gets_its_own_key(spins, key):
    both = Noise() + Noise()
    assert np.array_equal(both.field(spins, key=key), both.field(spins, key=key))
    assert not np.allclose(both.field(spins, key=key), 2 * Noise().field(spins, key=key))


def test_sums_pass_through_jit_and_grad(spins):
    def energy(strength):
        return (Quartic(strength) + Zeeman((0.0, 1.0, 0.0))).energy(spins)

    assert np.isclose(jax.grad(energy)(jnp.array(0.3)), jnp.sum(spins[..., 2] ** 4), atol=ROUNDING)
    total = Quartic(jnp.array(0.7)) + Exchange(square(3, 4), 1.0)
    assert np.allclose(eqx.filter_jit(total.field)(spins), total.field(spins), atol=ROUNDING)
    assert np.allclose(jax.jit(lambda f, s: f.field(s))(total, spins), total.field(spins), atol=ROUNDING)
    batch = jnp.stack([spins, -spins])
    assert np.allclose(jax.vmap(total.field)(batch)[1], total.field(-spins), atol=ROUNDING)


def test_the_push_of_electrons_is_perpendicular_and_that_of_an_outer_field_is_whole(key):
    lattice = js.square(4)
    spins = js.random_spins(lattice, key=key)
    electrons = js.ExactDiagonalization(js.SDModel(lattice, 1.0, 3.0), filling=0.3, temperature=0.1)
    zeeman = js.Zeeman((0.0, 0.0, 0.5))
    perpendicular = js.spins.tangent(spins, electrons.field(spins))
    assert float(jnp.abs(electrons.field(spins) - perpendicular).max()) > 1
    np.testing.assert_allclose(electrons.push(spins), perpendicular, atol=1e-12)
    np.testing.assert_array_equal(zeeman.push(spins), zeeman.field(spins))
    np.testing.assert_allclose((electrons + zeeman).push(spins), perpendicular + zeeman.field(spins), atol=1e-12)


@pytest.mark.parametrize("solver", [js.dynamics.DepondtMertens(), js.dynamics.SemiImplicit()])
def test_the_parallel_field_of_electrons_asks_for_no_shorter_step(solver, key):
    """The parallel field, 3 t here, would turn a spin about itself by 1.5 in this step; the torque turns it by 0.1."""
    lattice = js.square(4)
    electrons = js.ExactDiagonalization(js.SDModel(lattice, 1.0, 3.0), filling=0.3, temperature=0.1)
    start = js.random_spins(lattice, key=key)
    ends = [
        js.simulate(electrons, start, duration=4.0, step=step, damping=0.5, solver=solver).final for step in (0.5, 0.05)
    ]
    assert float(jnp.abs(ends[1] - start).max()) > 0.1
    np.testing.assert_allclose(ends[0], ends[1], atol=5e-3)


def test_fields_scale_and_subtract(spins):
    quartic, exchange = Quartic(jnp.array(0.7)), Exchange(square(3, 4), 1.0)
    twice = [2.0 * exchange, exchange * 2, np.float64(2) * exchange, jnp.asarray(2) * exchange, exchange / 0.5]
    for term in [*twice, -(-2 * exchange), 3 * exchange - exchange, exchange - -exchange]:
        assert isinstance(term, AbstractPotential)
        assert term.lattice == square(3, 4)
        np.testing.assert_allclose(term.energy(spins), 2 * exchange.energy(spins), atol=10 * ROUNDING)
        for found in (term.field(spins), term.push(spins), term.energy_and_field(spins)[1], term.rate(spins)):
            np.testing.assert_allclose(found, 2 * exchange.field(spins), atol=10 * ROUNDING)
    assert isinstance(0.5 * Swirl(), AbstractField)
    assert not isinstance(0.5 * Swirl() + quartic, AbstractPotential)
    total = sum([0.5 * (quartic + exchange), -Swirl()])
    expected = 0.5 * quartic.field(spins) + 0.5 * exchange.field(spins) - Swirl().field(spins)
    np.testing.assert_allclose(total.field(spins), expected, atol=10 * ROUNDING)
    assert (2 * (2 * exchange)).term is exchange
    assert (0.5 * (exchange + Zeeman((0, 0, 1)))).on(square(5)).lattice == square(5)


def test_the_factor_of_a_field_is_a_leaf(spins):
    exchange = Exchange(square(3, 4), 1.0)
    energy = exchange.energy(spins)
    assert np.isclose(jax.grad(lambda x: (x * exchange + Zeeman((0, 0, 1))).energy(spins))(0.3), energy, atol=ROUNDING)
    assert np.isclose(eqx.filter_grad(lambda f: f.energy(spins))(2 * exchange).factor, energy, atol=ROUNDING)


def test_what_does_not_scale_a_field_is_refused():
    exchange = Exchange(square(3, 4), 1.0)
    for array in (np.ones(3), jnp.ones(3)):
        with pytest.raises(ValueError, match=r"scaled by one number, not by an array of shape \(3,\)"):
            array * exchange
    for wrong in (lambda: exchange * exchange, lambda: exchange * "2", lambda: 2 / exchange, lambda: exchange - 1):
        with pytest.raises(TypeError):
            wrong()
