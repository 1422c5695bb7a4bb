"""Relaxation: ground states, why it stopped, and spins that do not move."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Anisotropy, Exchange, Zeeman
from jaxspin.dynamics import relax, simulate
from jaxspin.field import AbstractField, AbstractPotential
from jaxspin.lattice import chain, square, triangular
from jaxspin.spins import random_spins
from tests.helpers import RUN_ROUNDING, distance, length_error


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
    assert length_error(frustrated.spins) < RUN_ROUNDING


def test_relax_agrees_with_damped_dynamics(key):
    lattice = chain(5, periodic=False)
    potential = Exchange(lattice, 1.0) + Anisotropy(-0.5) + Zeeman([0.4, 0.0, 0.3])
    spins = random_spins(lattice, key=key)
    run = simulate(potential, spins, duration=200.0, step=0.1, damping=1.0, save_every=200.0)
    assert distance(relax(potential, spins, tolerance=1e-10).spins, run.final) < 1e-8


class RootOfNothing(AbstractPotential):
    """An energy that is no number."""

    def energy(self, spins, t=0.0, *, key=None):
        return jnp.sqrt(-1.0 - jnp.sum(spins * spins))


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
    broken = relax(RootOfNothing(), spins)
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
