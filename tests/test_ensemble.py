"""The ensemble that all solvers fill their levels with."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.electrons import Ensemble, ExactDiagonalization, ExactTrace, KernelPolynomial, SDModel
from jaxspin.lattice import chain
from jaxspin.spins import random_spins

LEVELS = jnp.array([-2.0, -1.0, -1.0, 0.5, 1.5, 2.0])
ONES = jnp.ones(6)


@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_fixed_filling_and_fixed_chemical_potential_fill_the_same(temperature):
    canonical = Ensemble(filling=0.5, temperature=temperature)
    free, mu, number, occupations = canonical.fill(LEVELS, ONES, 6)
    grand = Ensemble(chemical_potential=mu, temperature=temperature).fill(LEVELS, ONES, 6)
    assert canonical.ground_state == (temperature == 0)
    np.testing.assert_allclose(number, 3.0)
    np.testing.assert_allclose(jnp.sum(occupations), 3.0, atol=1e-12)
    np.testing.assert_allclose(grand.occupations, occupations, atol=1e-12)
    np.testing.assert_allclose(free, grand.energy + mu * number, atol=1e-12)


def test_a_degenerate_level_is_shared_and_zero_temperature_is_the_limit():
    cold = Ensemble(filling=2 / 6).fill(LEVELS, ONES, 6)
    np.testing.assert_allclose(cold.occupations, [1.0, 0.5, 0.5, 0.0, 0.0, 0.0])
    warm = Ensemble(filling=2 / 6, temperature=1e-3).fill(LEVELS, ONES, 6)
    np.testing.assert_allclose(warm.occupations, cold.occupations, atol=1e-12)


def test_energies_have_derivatives_by_all_that_is_given():
    """dF/dn = mu 2N, dOmega/dmu = -N_e, dE/dT = -S, and the same by differences."""

    def energy(ensemble):
        return ensemble.energy(LEVELS, ONES, 6)

    for given in ({"filling": 0.4}, {"chemical_potential": -0.3}):
        ensemble = Ensemble(**given, temperature=0.4)
        slope = eqx.filter_grad(energy)(ensemble)
        filled = ensemble.fill(LEVELS, ONES, 6)
        expected = 6 * filled.mu if ensemble.fixed_filling else -filled.electrons
        np.testing.assert_allclose(slope.filling if ensemble.fixed_filling else slope.chemical_potential, expected)
        sides = [energy(Ensemble(**given, temperature=0.4 + h)) for h in (1e-5, -1e-5)]
        np.testing.assert_allclose(slope.temperature, (sides[0] - sides[1]) / 2e-5, atol=1e-8)


@pytest.mark.parametrize("kind", [ExactDiagonalization, KernelPolynomial])
def test_solvers_show_their_ensemble_and_have_slopes_in_it(kind):
    lattice = chain(4)
    extra = {"probes": ExactTrace(), "tolerance": 1e-8} if kind is KernelPolynomial else {}
    solver = kind(SDModel(lattice), filling=0.3, temperature=0.5, **extra)
    assert float(solver.filling) == 0.3
    assert solver.chemical_potential is None
    assert float(solver.temperature) == 0.5
    spins = random_spins(lattice, key=jax.random.key(0))
    slope = eqx.filter_grad(lambda s: s.energy(spins))(solver).ensemble.filling
    moved = eqx.tree_at(lambda s: s.ensemble.filling, solver, jnp.asarray(0.3 + 1e-4))
    np.testing.assert_allclose((moved.energy(spins) - solver.energy(spins)) / 1e-4, slope, rtol=1e-3)


def test_what_fills_nothing_is_refused():
    with pytest.raises(ValueError, match="filling or chemical_potential fixes the electrons"):
        Ensemble(temperature=0.1)
    with pytest.raises(ValueError, match=r"got 2\.0; for half filling give filling=0\.5"):
        Ensemble(filling=2.0)
    with pytest.raises(ValueError, match="use 0 for the ground state"):
        Ensemble(filling=0.5, temperature=-1.0)
