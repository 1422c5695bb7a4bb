"""Observables take unit spins, or averages of them: a magnetization in A/m of another program is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin import observables, plotting

LATTICE = js.square(4)
EXACT = js.ExactDiagonalization(js.SDModel(LATTICE, 1.0, 1.0), filling=0.5, temperature=0.1)
EXCHANGE = js.Exchange(LATTICE, 1.0)
ENERGIES = np.linspace(-4.0, 4.0, 3)
CALLS = {
    "scalar_chirality": lambda s: observables.scalar_chirality(LATTICE, s),
    "vector_chirality": lambda s: observables.vector_chirality(LATTICE, s),
    "topological_charge": lambda s: observables.topological_charge(LATTICE, s),
    "charge_density": lambda s: observables.charge_density(LATTICE, s),
    "structure_factor": lambda s: observables.structure_factor(LATTICE, s),
    "structure_factor_at": lambda s: observables.structure_factor_at(LATTICE, s, jnp.ones((1, 2))),
    "correlation_function": lambda s: observables.correlation_function(LATTICE, s),
    "correlation_length": lambda s: observables.correlation_length(LATTICE, s),
    "dynamical_structure_factor": lambda s: observables.dynamical_structure_factor(LATTICE, jnp.stack([s] * 8), 0.1),
    "magnetization": observables.magnetization,
    "sublattice_magnetization": lambda s: observables.sublattice_magnetization(LATTICE, s, (2, 2)),
    "nearest_neighbor_correlations": lambda s: observables.nearest_neighbor_correlations(LATTICE, s),
    "electron_density": lambda s: observables.electron_density(EXACT, s),
    "density_of_states": lambda s: observables.density_of_states(EXACT, s, ENERGIES, resolution=0.5),
    "bond_currents": lambda s: observables.bond_currents(EXACT, s),
    "spin_waves": lambda s: observables.spin_waves(EXCHANGE, s),
    "field_jacobian": lambda s: observables.field_jacobian(EXCHANGE, s),
    "plot_spins": lambda s: plotting.plot_spins(LATTICE, s),
}


@pytest.mark.parametrize("name", CALLS)
def test_spins_in_other_units_are_refused(name):
    spins = js.random_spins(LATTICE, key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"one has length 800.*; use jaxspin\.normalize\(spins\)"):
        CALLS[name](800.0 * spins)


def test_averages_are_shorter_and_have_a_structure_factor():
    spins = js.random_spins(LATTICE, key=jax.random.key(0))
    whole = observables.structure_factor(LATTICE, spins)
    np.testing.assert_allclose(observables.structure_factor(LATTICE, 0.5 * spins), 0.25 * whole, rtol=1e-6)
    # a charge is of directions
    with pytest.raises(ValueError, match=r"one has length 0\.5"):
        observables.topological_charge(LATTICE, 0.5 * spins)


def test_they_are_looked_at_while_something_else_is_traced():
    spins = js.random_spins(LATTICE, key=jax.random.key(0))
    total = jax.jit(lambda x: x * jnp.sum(observables.scalar_chirality(LATTICE, spins)))
    assert jnp.isfinite(total(jnp.ones(())))
    long = 800.0 * spins
    with pytest.raises(ValueError, match="one has length 800"):
        jax.jit(lambda x: x * jnp.sum(observables.scalar_chirality(LATTICE, long)))(jnp.ones(()))
