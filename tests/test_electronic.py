"""Electron density and density of states: against the density matrix, sum rules and the other solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import ExactDiagonalization, ExactTrace, KernelPolynomial, SDModel
from jaxspin.observables import density_of_states, electron_density, local_density_of_states
from jaxspin.spins import random_spins

LATTICE = lattices.triangular(4)


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
    """Both integrate to the orbitals per site; Jackson is nearly a Gaussian of width pi a sqrt(1 - x^2)/M."""
    occupied = np.ones(LATTICE.shape, bool)
    occupied[0, 0] = not vacancy
    spins, energies = random_spins(LATTICE, key=key), jnp.linspace(-16, 13, 4001)
    system = model(key, occupied=occupied)
    exact = ExactDiagonalization(system, filling=0.3, temperature=0.1)
    kpm = KernelPolynomial(system, filling=0.3, temperature=0.1, probes=ExactTrace())
    curves = [density_of_states(solver, spins, energies, resolution=0.3) for solver in (exact, kpm)]
    for curve in curves:
        assert jnp.trapezoid(curve, energies) == pytest.approx(2 * occupied.mean(), abs=2e-3)
        assert jnp.min(curve) > -1e-6
    center, scale = kpm.scaling()
    levels = exact.levels(spins)[: int(system.orbitals())]
    width = 0.3 * jnp.sqrt(1 - ((levels - center) / scale) ** 2)[None]
    local = jnp.exp(-((energies[:, None] - levels[None]) ** 2) / (2 * width**2)) / (width * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(curves[1], local.sum(axis=1) / LATTICE.sites, atol=0.05 * float(curves[0].max()))


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
    """Its sum over the sites is the total one, and both solvers agree but for the shape of the kernel."""
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
    # the polynomials' kernels are sharper at the edges of the window: a level's peak differs, its weight does not
    assert jnp.mean(jnp.abs(local[0] - local[1])) < 0.15 * jnp.mean(local[0])
    means = [jnp.trapezoid(energies[None] * rho, energies[None], axis=1) for rho in local]
    np.testing.assert_allclose(means[0], means[1], atol=0.2)


def test_kernels_and_sites_are_checked(key):
    spins = random_spins(LATTICE, key=key)
    kpm = KernelPolynomial(model(key), filling=0.3, temperature=0.3)
    with pytest.raises(ValueError, match="choose 'jackson' or 'lorentz'"):
        density_of_states(kpm, spins, jnp.zeros(3), resolution=0.1, kernel="fejer")
    with pytest.raises(ValueError, match=r"indices of shape \(m, 3\)"):
        local_density_of_states(kpm, spins, jnp.zeros(3), np.zeros((2, 2), int), resolution=0.1)
