"""Electron density and density of states: against the density matrix, sum rules and the other solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import ExactDiagonalization, ExactTrace, KernelPolynomial, SDModel
from jaxspin.observables import density_of_states, electron_density, local_density_of_states
from jaxspin.spins import random_spins
from jaxspin.textures import ferromagnet

LATTICE = lattices.triangular(4)
# errors of a series, in units of 1/resolution, as its docstring promises them
SERIES = {"gaussian": 1e-6, "jackson": 1e-6, "lorentz": 1e-4}


def model(key, **more):
    return SDModel(LATTICE, 1.0, 2.0, potential=jax.random.normal(key, LATTICE.shape), **more)


def test_density_is_the_diagonal_of_the_density_matrix(key):
    spins = random_spins(LATTICE, key=key)
    exact = ExactDiagonalization(model(key), filling=0.3, temperature=0.1)
    diagonal = jnp.real(jnp.diagonal(exact.density_matrix(spins))).reshape(*LATTICE.shape, 2).sum(axis=-1)
    found = electron_density(exact, spins)
    np.testing.assert_allclose(found, diagonal, atol=1e-11)
    assert jnp.sum(found) == pytest.approx(0.3 * 2 * LATTICE.sites)


def test_density_of_kernel_polynomials(key):
    spins = random_spins(LATTICE, key=key)
    state = {"filling": 0.3, "temperature": 0.3}
    exact = electron_density(ExactDiagonalization(model(key), **state), spins)
    kpm = KernelPolynomial(model(key), **state, probes=ExactTrace(), tolerance=1e-10)
    np.testing.assert_allclose(electron_density(kpm, spins), exact, atol=1e-8)


def test_density_without_site_energies_and_with_a_vacancy(key):
    occupied = np.ones(LATTICE.shape, bool)
    occupied[1, 2] = False
    solver = ExactDiagonalization(SDModel(LATTICE, 1.0, 2.0, occupied=occupied), filling=0.4, temperature=0.1)
    found = electron_density(solver, random_spins(LATTICE, key=key))
    assert found[1, 2, 0] == pytest.approx(0, abs=1e-12)
    assert jnp.sum(found) == pytest.approx(0.4 * 2 * 15)


@pytest.mark.parametrize("vacancy", [False, True])
def test_density_of_states_counts_orbitals_and_agrees(vacancy, key):
    """Both integrate to the orbitals per site, and both broaden every level alike."""
    occupied = np.ones(LATTICE.shape, bool)
    occupied[0, 0] = not vacancy
    spins, energies = random_spins(LATTICE, key=key), jnp.linspace(-16, 13, 801)
    system = model(key, occupied=occupied)
    exact = ExactDiagonalization(system, filling=0.3, temperature=0.1)
    kpm = KernelPolynomial(system, filling=0.3, temperature=0.1, probes=ExactTrace())
    curves = [density_of_states(solver, spins, energies, resolution=0.3) for solver in (exact, kpm)]
    assert jnp.trapezoid(curves[0], energies) == pytest.approx(2 * occupied.mean(), abs=1e-9)
    np.testing.assert_allclose(curves[1], curves[0], atol=SERIES["gaussian"] / 0.3)


def test_flat_band_at_the_end_of_the_window():
    """Kagome without spins: cells + 1 states a spin at 2 t, its highest energy and that of the bounds: all are counted.

    A peak has the height of a Gaussian, and 1/sin of the Chebyshev angle, which vanishes there, is not in it.
    """
    lattice = lattices.kagome(4)
    bare = SDModel(lattice, 1.0, 0.0)
    kpm = KernelPolynomial(bare, chemical_potential=1.0, temperature=0.1, probes=ExactTrace())
    spins, energies = ferromagnet(lattice), jnp.linspace(1.8, 2.2, 401)
    rho = density_of_states(kpm, spins, energies, resolution=0.1)
    weight = 2 * 17 / 48
    assert float(jnp.max(rho)) == pytest.approx(weight / 0.1 / (2 * np.pi) ** 0.5, rel=2e-3)  # and tails from below
    narrow = jnp.linspace(1.9, 2.1, 401)
    band = density_of_states(kpm, spins, narrow, resolution=0.01)
    assert jnp.trapezoid(band, narrow) == pytest.approx(weight, abs=1e-5)
    here = local_density_of_states(kpm, spins, narrow, np.array([[1, 2, 0]]), resolution=0.01)
    assert jnp.trapezoid(here[0], narrow) == pytest.approx(weight, abs=1e-5)  # all sites are alike


def test_density_of_states_has_the_mean_of_the_spectrum(key):
    spins, energies = random_spins(LATTICE, key=key), jnp.linspace(-16, 13, 4001)
    kpm = KernelPolynomial(model(key), filling=0.3, temperature=0.1, probes=ExactTrace())
    curve = density_of_states(kpm, spins, energies, resolution=0.2)
    mean = jnp.real(jnp.trace(model(key).dense(spins))) / LATTICE.sites
    assert jnp.trapezoid(energies * curve, energies) == pytest.approx(float(mean), abs=2e-3)


def test_resolution_must_be_positive(key):
    solver = ExactDiagonalization(model(key), filling=0.3)
    with pytest.raises(ValueError, match=r"0\.1 resolves most bands"):
        density_of_states(solver, random_spins(LATTICE, key=key), jnp.zeros(1), resolution=0.0)


@pytest.mark.parametrize("kernel", ["jackson", "lorentz"])
def test_local_density_of_states(kernel, key):
    """Its sum over the sites is the total one, and both solvers agree."""
    occupied = np.ones(LATTICE.shape, bool)
    occupied[0, 0] = False
    spins, energies = random_spins(LATTICE, key=key), jnp.linspace(-9, 6, 151)
    system = model(key, occupied=occupied)
    exact = ExactDiagonalization(system, filling=0.3, temperature=0.1)
    kpm = KernelPolynomial(system, filling=0.3, temperature=0.1, probes=ExactTrace())
    sites, settings = np.argwhere(np.ones(LATTICE.shape)), {"resolution": 0.3, "kernel": kernel}
    local = []
    for solver in (exact, kpm):
        local.append(local_density_of_states(solver, spins, energies, sites, **settings))
        np.testing.assert_allclose(local[-1][0], 0, atol=1e-10)
        total = density_of_states(solver, spins, energies, **settings)
        np.testing.assert_allclose(local[-1].mean(axis=0), total, atol=1e-9)
    np.testing.assert_allclose(local[1], local[0], atol=SERIES[kernel] / 0.3)


def test_kernels_and_sites_are_checked(key):
    spins = random_spins(LATTICE, key=key)
    kpm = KernelPolynomial(model(key), filling=0.3, temperature=0.3)
    with pytest.raises(ValueError, match="choose 'gaussian' or 'lorentz'"):
        density_of_states(kpm, spins, jnp.zeros(3), resolution=0.1, kernel="fejer")
    with pytest.raises(ValueError, match=r"indices of shape \(m, 3\)"):
        local_density_of_states(kpm, spins, jnp.zeros(3), np.zeros((2, 2), int), resolution=0.1)
