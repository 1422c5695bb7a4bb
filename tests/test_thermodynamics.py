"""Many temperatures from one spectrum equal one solver for each, and are consistent with each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.observables import thermodynamics

LATTICE = js.triangular(3, 4)
MODEL = js.SDModel(LATTICE, coupling=1.5)
SPINS = js.random_spins(LATTICE, key=jax.random.key(0), dtype=float)
TEMPERATURES = np.array([0.2, 0.3, 0.5])


def exact(**constraint):
    return js.ExactDiagonalization(MODEL, temperature=0.2, **constraint)


@pytest.mark.parametrize("constraint", [{"filling": 0.3}, {"chemical_potential": -1.0}])
def test_each_temperature_has_the_energy_of_a_solver_built_for_it(constraint):
    found = thermodynamics(exact(**constraint), SPINS, TEMPERATURES)
    for n, t in enumerate(TEMPERATURES):
        one = js.ExactDiagonalization(MODEL, temperature=t, **constraint)
        energy = found.free_energy if "filling" in constraint else found.grand_potential
        assert float(energy[n]) == pytest.approx(float(one.energy(SPINS)), abs=1e-10)
        assert float(found.chemical_potential[n]) == pytest.approx(float(one.fermi_level(SPINS)), abs=1e-9)
        assert float(found.electrons[n]) == pytest.approx(float(one.electrons(SPINS)), abs=1e-9)
    np.testing.assert_allclose(found.free_energy, found.energy - TEMPERATURES * found.entropy, atol=1e-9)


@pytest.mark.parametrize("constraint", [{"filling": 0.3}, {"chemical_potential": -1.0}])
def test_entropy_and_heat_are_the_slopes_in_temperature(constraint):
    """S = -dF/dT at fixed N_e, -dOmega/dT at fixed mu, C = T dS/dT: by central differences."""
    step = 1e-4
    here, up, down = (thermodynamics(exact(**constraint), SPINS, TEMPERATURES + s) for s in (0, step, -step))
    energies = [x.free_energy if "filling" in constraint else x.grand_potential for x in (up, down)]
    np.testing.assert_allclose(here.entropy, -(energies[0] - energies[1]) / (2 * step), atol=1e-5)
    np.testing.assert_allclose(here.heat_capacity, TEMPERATURES * (up.entropy - down.entropy) / (2 * step), atol=1e-4)


def test_moments_at_the_lowest_temperature_serve_all_higher_ones():
    solver = js.KernelPolynomial(MODEL, filling=0.3, temperature=0.2, tolerance=1e-9, probes=js.electrons.ExactTrace())
    fillings = np.array([0.2, 0.3, 0.6])[:, None]
    found = thermodynamics(solver, SPINS, TEMPERATURES, filling=fillings)
    expected = thermodynamics(exact(filling=0.3), SPINS, TEMPERATURES, filling=fillings)
    assert found.energy.shape == (3, 3)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    with pytest.raises(ValueError, match=r"too few for temperatures down to 0.1; build KernelPolynomial\(..., temp"):
        thermodynamics(solver, SPINS, [0.1, 1.0])


def test_a_repeated_cell_is_the_large_lattice():
    cell, large = js.square(2), js.square(6)
    solvers = [
        js.ExactDiagonalization(js.SDModel(lattice, coupling=1.0), filling=0.3, temperature=0.2)
        for lattice in (cell, large)
    ]
    bloch = js.electrons.BlochDiagonalization(solvers[0], points=3)
    one = thermodynamics(bloch, js.textures.neel(cell, dtype=float), TEMPERATURES)
    many = thermodynamics(solvers[1], js.textures.neel(large, dtype=float), TEMPERATURES)
    for name in ("energy", "entropy", "heat_capacity", "electrons"):
        np.testing.assert_allclose(9 * getattr(one, name), getattr(many, name), rtol=1e-8)


def test_bad_temperatures_and_fillings_are_refused():
    with pytest.raises(ValueError, match=r"temperatures must be positive.*0.001 is cold"):
        thermodynamics(exact(filling=0.3), SPINS, jnp.array([0.1, 0.0]))
    with pytest.raises(ValueError, match="were both given; leave one out"):
        thermodynamics(exact(filling=0.3), SPINS, 0.1, filling=0.3, chemical_potential=0.0)
    with pytest.raises(ValueError, match=r"half filling is 0\.5"):
        thermodynamics(exact(filling=0.3), SPINS, 0.1, filling=2.0)
