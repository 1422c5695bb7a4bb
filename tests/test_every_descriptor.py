"""Laws of force fields on every kind of descriptor, alone and wrapped in others."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.descriptors import AtFilling, BetweenLeads, Bispectrum, LocalElectrons, LocalMoments, NearEnds
from jaxspin.forcefield import GeneralizedPotential
from jaxspin.lattice import chain
from jaxspin.spins import random_spins

# sums of a hundred numbers of order one, and a Fermi level found to rounding, in double precision
ROUNDING = 1e-10
# central differences with this step, in double precision
STEP, DIFFERENCES = 1e-4, 1e-6

RING, CHANNEL = chain(6), chain(6, periodic=(False,))


def electrons(lattice):
    return LocalElectrons(lattice, 2.0, filling=0.4, hops=1, steps=3, temperature=0.3)


def moments(lattice):
    return LocalMoments(lattice, 2.0, hops=1, moments=4)


DESCRIPTORS = {
    "bispectrum": Bispectrum(RING, radius=1.0, bond_radius=1.0, bispectrum=False),
    "moments": moments(RING),
    "moments along a current": LocalMoments(CHANNEL, 2.0, hops=1, moments=4, direction=(1.0,)),
    "Fermi level": AtFilling(moments(RING), filling=0.4),
    "electrons": electrons(RING),
    "moments near ends": NearEnds(moments(CHANNEL)),
    "electrons between leads, near ends": NearEnds(BetweenLeads(electrons(CHANNEL), voltage=0.5)),
}


def away_from_the_start(model):
    """Weights, feature scales and units like those of a trained model: all changed."""
    rng = np.random.default_rng(0)

    def moved(x):
        return x + jnp.asarray(rng.normal(scale=0.3, size=x.shape), x.dtype) if eqx.is_inexact_array(x) else x

    parts = lambda m: (m.conservative.network, m.conservative.mean, m.conservative.shift, m.rotor)  # noqa: E731
    return eqx.tree_at(parts, model, jax.tree.map(moved, parts(model)))


@eqx.filter_jit
def change(model, spins, direction):
    """Of E and G along a direction, by differences."""
    ends = jax.vmap(lambda h: jnp.stack(model.potentials(spins + h * direction)))(jnp.asarray([STEP, -STEP]))
    return (ends[0] - ends[1]) / (2 * STEP)


@eqx.filter_jit
def along(model, spins, direction):
    return model.potential_along(spins, direction)


# each once by itself or within another
DEAR = ("electrons", "moments near ends")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in DEAR else n for n in DESCRIPTORS])
def test_the_field_is_that_of_the_two_potentials_and_training_takes_the_same(name, key):
    """B . d = -dE/d(d) - dG/d(d x S), against differences of E and G; without G it is that of E."""
    model = away_from_the_start(GeneralizedPotential(DESCRIPTORS[name], hidden=(4,), key=jax.random.key(1)))
    spins, direction = (random_spins(model.lattice, key=k) for k in jax.random.split(key))
    for full in (model, eqx.tree_at(lambda m: m.rotor, model, jax.tree.map(jnp.zeros_like, model.rotor))):
        first, second = full.parts(spins)
        of_energy, no_turn = change(full, spins, direction)
        _, of_rotor = change(full, spins, jnp.cross(direction, spins))
        assert jnp.sum(first * direction) == pytest.approx(-float(of_energy), abs=DIFFERENCES)
        assert jnp.sum(second * direction) == pytest.approx(-float(of_rotor), abs=DIFFERENCES)
        assert abs(of_energy) > 1e-2
        assert (no_turn != 0) == (full is model)
        assert bool(jnp.any(second)) == (full is model)
        np.testing.assert_allclose(full.field(spins), first + second, atol=ROUNDING)
        slope = along(full, spins, direction)[1]
        assert slope == pytest.approx(-float(jnp.sum(direction * full.field(spins))), abs=ROUNDING)
