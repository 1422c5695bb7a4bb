"""Driven channels: against dense NumPy on the real axis, exact diagonalization and analytic currents."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad_vec

import jaxspin.lattice as lattices
from jaxspin.electrons import Crystal, ExactDiagonalization, GreensFunction, SDModel, WideBand, kinetic, rashba
from jaxspin.electrons.hoppings import PAULI
from jaxspin.observables import bond_currents, electron_density
from jaxspin.spins import random_spins

TOLERANCE = 1e-9  # of the integrals over the window; what is compared with them may be a few times off


def fermi(energy, mu, temperature):
    return 0.5 * (1 - np.tanh((energy - mu) / (2 * temperature)))


def on_the_real_axis(hamiltonian, gammas, levels):
    """rho_ij = <c+_j c_i> = sum_a int dw/(2 pi) f_a G Gamma_a G+, and the current out of each reservoir."""
    effective = hamiltonian - 0.5j * np.diag(sum(gammas))

    def integrand(energy):
        g = np.linalg.inv(energy * np.eye(len(hamiltonian)) - effective)
        pairs = list(zip(gammas, levels, strict=True))
        filled = sum(fermi(energy, *level) * (g * gamma) @ g.conj().T for gamma, level in pairs)
        spectral = 1j * (g - g.conj().T)
        out = [
            np.sum(gamma * np.real(np.diagonal(fermi(energy, *level) * spectral - filled))) for gamma, level in pairs
        ]
        return np.concatenate([filled.reshape(-1), out]) / (2 * np.pi)

    total = sum(quad_vec(integrand, *ends, epsabs=1e-10, epsrel=0)[0] for ends in ((-np.inf, -3), (-3, 3), (3, np.inf)))
    size = hamiltonian.size
    return total[:size].reshape(hamiltonian.shape), np.real(total[size:])


@pytest.fixture(scope="module")
def driven():
    """Three contacts and a bath, all with chemical potentials and temperatures of their own; spin-orbit coupling."""
    lattice = lattices.square(4, 2, periodic=False)
    key = jax.random.key(1)
    potential = jax.random.normal(key, lattice.shape)
    model = SDModel(lattice, (*kinetic(lattice, 1.0), *rashba(lattice, 0.4)), 1.3, potential=potential)
    tip = np.zeros(lattice.shape, bool)
    tip[1, 1] = tip[2, 0] = True
    leads = (WideBand("left", 0.8, temperature=0.2), WideBand("tip", 0.3, sites=tip, mu=0.9), WideBand("right", 1.1))
    solver = GreensFunction(
        model, leads=leads, voltage=1.5, mu=-0.2, temperature=0.1, bath=0.2, bath_mu=0.1, bath_temperature=0.15,
        tolerance=TOLERANCE,
    )  # fmt: skip
    spins = random_spins(lattice, key=key)
    end = np.zeros(lattice.shape)
    gammas = []
    for strength, where in ((0.8, np.s_[0]), (0.3, tip), (1.1, np.s_[-1]), (0.2, np.s_[:])):
        sites = end.copy()
        sites[where] = strength
        gammas.append(np.repeat(sites.reshape(-1), 2))
    levels = [(-0.2 + 0.75, 0.2), (0.9, 0.1), (-0.2 - 0.75, 0.1), (0.1, 0.15)]
    rho, currents = on_the_real_axis(np.asarray(model.dense(spins)), gammas, levels)
    return solver, spins, rho, currents


def test_field_and_density_are_those_of_an_integral_over_the_real_axis(driven):
    solver, spins, rho, _ = driven
    sites = np.arange(solver.lattice.sites)
    blocks = rho.reshape(len(sites), 2, len(sites), 2)[sites, :, sites, :]
    sigma = np.real(np.einsum("cab,nba->nc", PAULI, blocks)).reshape(spins.shape)
    np.testing.assert_allclose(solver.field(spins), 1.3 * sigma, atol=1e-8)
    density = np.real(np.trace(blocks, axis1=1, axis2=2)).reshape(solver.lattice.shape)
    np.testing.assert_allclose(electron_density(solver, spins), density, atol=1e-8)


def test_currents_are_those_of_an_integral_over_the_real_axis(driven):
    solver, spins, rho, currents = driven
    assert solver.terminals == ("left", "tip", "right", "bath")
    found = solver.currents(spins)
    np.testing.assert_allclose(found, currents, atol=1e-8)
    assert float(solver.current(spins, "tip")) == float(found[1])
    assert abs(currents.sum()) < 1e-8
    assert np.abs(currents).min() > 1e-3
    bonds = bond_currents(solver, spins)
    for n, hopping in enumerate(solver.model.hoppings):
        spin = np.eye(2) if hopping.spin is None else np.asarray(hopping.spin)
        for x in range(4):
            for y in range(2):
                there = (x + hopping.bond.offset[0], y + hopping.bond.offset[1])
                if max(there[0] - 3, there[1] - 1) > 0:
                    assert float(bonds[x, y, n]) == 0
                    continue
                i, j = 2 * (2 * x + y), 2 * (2 * there[0] + there[1])
                expected = 2 * np.imag(complex(hopping.amplitude) * np.sum(spin * rho[j : j + 2, i : i + 2].T))
                assert float(bonds[x, y, n]) == pytest.approx(expected, abs=1e-8)


@pytest.fixture(scope="module")
def both():
    """Hoppings over two of five cells, a triangular lattice whose leads need decimation, a vacancy; both ways."""
    lattice = lattices.triangular(5, 2, periodic=(False, False))
    occupied = np.ones(lattice.shape, bool)
    occupied[1, 1] = False
    model = SDModel(lattice, (1.0, 0.3, 0.2), 1.5, occupied=occupied)
    settings = {"leads": (Crystal("left", 0.9), WideBand("right")), "voltage": 0.8, "temperature": 0.1, "bath": 0.05}
    spins = random_spins(lattice, key=jax.random.key(20260))
    methods = ("recursive", "dense")
    return [GreensFunction(model, **settings, method=method, tolerance=1e-5) for method in methods], spins


def test_dense_and_recursive_are_one(both):
    """By energies."""
    solvers, spins = both
    energies = jnp.array([-2.3, -0.4, 0.0, 1.7])
    for measure in ("transmission", "local_density_of_states"):
        recursive, dense = (np.asarray(getattr(solver, measure)(spins, energies)) for solver in solvers)
        assert np.max(np.abs(dense)) > 0.01
        np.testing.assert_allclose(recursive, dense, atol=1e-10)
    assert solvers[0]._cut().slices == 3
    assert solvers[0]._cut().missing == 1


@pytest.mark.slow
def test_fields_of_dense_and_recursive_are_one(both):
    solvers, spins = both
    recursive, dense = (solver.field(spins) for solver in solvers)
    np.testing.assert_allclose(recursive, dense, atol=1e-10)
    assert float(jnp.max(jnp.abs(dense[1, 1]))) == 0


def test_shells_beyond_the_channel(key):
    """Two sites open, three shells: the longer hoppings begin or end nowhere."""
    lattice = lattices.chain(2, periodic=False)
    spins, energies = random_spins(lattice, key=key), jnp.array([-0.3, 1.1])
    found = [
        GreensFunction(SDModel(lattice, shells, 1.5), leads=(WideBand("left"),), temperature=0.1)
        for shells in ((1.0, 0.3, 0.2), (1.0,))
    ]
    rho = [solver.local_density_of_states(spins, energies) for solver in found]
    np.testing.assert_allclose(rho[0], rho[1], atol=1e-14)


def test_bound_states_are_filled(key):
    """A deep well between crystals against exact diagonalization of a chain so long that its ends do not matter."""
    length, reach = 4, 40
    potential = np.zeros(length)
    potential[1] = -4.0
    lattice = lattices.chain(length, periodic=False)
    spins = random_spins(lattice, key=key)
    model = SDModel(lattice, 1.0, 1.0, potential=potential[:, None])
    solver = GreensFunction(model, leads=(Crystal("left"), Crystal("right")), mu=-0.5, temperature=0.3)
    whole = lattices.chain(length + 2 * reach, periodic=False)
    pad = ((reach, reach), (0, 0))
    long = SDModel(whole, 1.0, np.pad(np.ones((length, 1)), pad), potential=np.pad(potential[:, None], pad))
    exact = ExactDiagonalization(long, chemical_potential=-0.5, temperature=0.3)
    longer = jnp.pad(spins, (*pad, (0, 0)))
    assert float(jnp.min(exact.levels(longer))) < -4
    np.testing.assert_allclose(solver.field(spins), exact.field(longer)[reach:-reach], atol=1e-8)


def test_without_leads_that_couple_it_is_the_closed_system(key):
    lattice = lattices.square(3, 2, periodic=(False, True))
    model = SDModel(lattice, 1.0, 2.0)
    spins = random_spins(lattice, key=key)
    exact = ExactDiagonalization(model, chemical_potential=-1.0, temperature=0.05)
    leads = (WideBand("left", 0.0), Crystal("right", 1.0, coupling=0.0))
    # a lead that is cut off fills nothing, whatever its chemical potential
    closed = GreensFunction(model, leads=leads, mu=-1.0, voltage=1.0, temperature=0.05, tolerance=1e-10)
    np.testing.assert_allclose(closed.density_matrix(spins), exact.density_matrix(spins), atol=1e-9)


def test_a_clean_wire_conducts_perfectly():
    """T(E) = 2 in the band, at its edges and centre, 0 outside; a bias beyond the band drives its whole width."""
    lattice = lattices.chain(5, periodic=False)
    spins = jnp.zeros((*lattice.shape, 3))
    model = SDModel(lattice, 1.0, 1.0)
    wire = GreensFunction(
        model, leads=(Crystal("left"), Crystal("right")), voltage=20.0, temperature=0.05, tolerance=1e-10
    )
    *within, low, high = wire.transmission(spins, jnp.array([-2.5, -1.9, 0.0, 1.3, 2.1, -2.0, 2.0]))
    np.testing.assert_allclose(within, [0, 2, 2, 2, 0], atol=1e-12)
    np.testing.assert_allclose([low, high], 2, atol=1e-6)
    current = float(wire.current(spins))
    assert current == pytest.approx(2 * 4 / (2 * np.pi), abs=1e-9)
    np.testing.assert_allclose(bond_currents(wire, spins)[:-1, 0], current, atol=1e-9)


def test_current_is_conserved_and_that_of_landauer(key):
    """Through every slice the same, with transverse modes whose edges lie in the window."""
    lattice = lattices.square(4, 2, periodic=(False, False))
    model = SDModel(lattice, 1.0, 1.0)
    spins = random_spins(lattice, key=key)
    solver = GreensFunction(
        model, leads=(Crystal("left"), Crystal("right", 1.2)), voltage=1.0, mu=-0.3, temperature=0.1, tolerance=1e-11,
        max_panels=1024,
    )  # fmt: skip
    assert solver.corners.size > 2
    currents = np.asarray(solver.currents(spins))
    total = currents[0]
    through = np.sum(np.asarray(bond_currents(solver, spins))[:-1, :, 0], axis=1)
    np.testing.assert_allclose(through, total, atol=1e-10)
    assert np.sum(currents[:2]) == pytest.approx(0, abs=1e-12)
    energies, weights = np.polynomial.legendre.leggauss(480)
    edges = np.unique(np.clip([-4.4, *np.asarray(solver.corners), 3.8], -4.4, 3.8))
    expected = 0.0
    for low, high in itertools.pairwise(edges):
        e = (low + high) / 2 + (high - low) / 2 * np.sin(np.pi / 2 * energies)
        step = (high - low) / 2 * np.pi / 2 * np.cos(np.pi / 2 * energies) * weights
        bias = fermi(e, 0.2, 0.1) - fermi(e, -0.8, 0.1)
        expected += np.sum(step * bias * np.asarray(solver.transmission(spins, jnp.asarray(e)))) / (2 * np.pi)
    assert total == pytest.approx(expected, abs=1e-10)


def test_what_does_not_converge_is_told(key):
    lattice = lattices.chain(12, periodic=False)
    leads = (WideBand("left", 1e-3), WideBand("right", 1e-3))
    solver = GreensFunction(
        SDModel(lattice), leads=leads, voltage=2.0, temperature=0.1, tolerance=1e-8, max_panels=12, poles=16
    )
    spins = random_spins(lattice, key=key)
    with pytest.raises(RuntimeError, match=r"an error of .* after 12 panels.*; raise max_panels, tolerance, or bath"):
        solver.field(spins)
    assert float(solver.window_error(spins)) > 1e-8
    assert np.isnan(jax.jit(lambda s: solver.field(s))(spins)).all()
