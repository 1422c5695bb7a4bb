"""Currents, conductivity and Chern marker: conservation, the quantized Hall effect, and the other solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import ExactDiagonalization, ExactTrace, KernelPolynomial, SDModel, magnetic_flux
from jaxspin.observables import bond_currents, conductivity, local_chern_marker, velocity
from jaxspin.spins import random_spins
from jaxspin.textures import ferromagnet, tetrahedral

CELL = lattices.triangular(2)
METAL = {"filling": 0.3, "temperature": 0.2}


def divergence(model, currents):
    """Electrons that leave each site per unit time."""
    total = jnp.zeros(model.lattice.shape)
    for n, h in enumerate(model.hoppings):
        back = tuple(-o for o in h.bond.offset)
        total = total.at[..., h.bond.start].add(currents[..., n])
        total = total.at[..., h.bond.end].add(-model.lattice.translate(currents[..., n], back))
    return total


@pytest.mark.parametrize(
    "lattice", [lattices.triangular(4, 3, periodic=False), lattices.honeycomb(3)], ids=["open", "honeycomb"]
)
def test_currents_are_conserved_and_circulate(lattice, key):
    spins = random_spins(lattice, key=key)
    model = SDModel(lattice, 1.0, 2.0)
    exact = ExactDiagonalization(model, filling=0.3, temperature=0.1)
    currents = bond_currents(exact, spins)
    assert currents.shape == (*lattice.cells, len(model.hoppings))
    assert jnp.max(jnp.abs(currents)) > 1e-3
    np.testing.assert_allclose(divergence(model, currents), 0, atol=1e-12)
    np.testing.assert_allclose(bond_currents(exact, -spins), -currents, atol=1e-12)  # time reversal
    rho = exact.density_matrix(spins).reshape(lattice.sites, 2, lattice.sites, 2)
    numbers = np.arange(lattice.sites).reshape(lattice.shape)
    bond = model.hoppings[0].bond
    i, j = numbers[0, 0, bond.start], numbers[(*bond.offset, bond.end)]
    expected = 2 * jnp.imag(jnp.einsum("ss->", rho[j, :, i, :]))  # rho_ji = <c+_i c_j>
    assert currents[0, 0, 0] == pytest.approx(float(expected), abs=1e-12)


def test_no_current_flows_in_a_ferromagnet():
    spins = ferromagnet(CELL.resize(3))
    exact = ExactDiagonalization(SDModel(CELL.resize(3), 1.0, 2.0), **METAL)
    np.testing.assert_allclose(bond_currents(exact, spins), 0, atol=1e-13)


def test_velocity_is_the_commutator_with_position(key):
    """v = i [H, r], on an open lattice where r is a matrix."""
    lattice = lattices.honeycomb(3, 2, periodic=False)
    spins, model = random_spins(lattice, key=key), SDModel(lattice, 1.0, 2.0)
    h = model.dense(spins)
    for axis in range(2):
        r = np.repeat(lattice.positions()[..., axis].reshape(-1), 2)
        np.testing.assert_allclose(
            velocity(model, axis).dense(0 * spins),
            1j * (np.asarray(h) * r[None] - r[:, None] * np.asarray(h)),
            atol=1e-12,
        )
    with pytest.raises(ValueError, match="has axes 0 to 1, got 2; use one of them"):
        velocity(model, 2)


@pytest.mark.parametrize("filling", [0.25, 0.75])
@pytest.mark.parametrize("chirality", [1, -1])
def test_quantized_hall_conductivity_of_the_tetrahedral_state(filling, chirality):
    exact = ExactDiagonalization(SDModel(CELL, 1.0, 3.0), filling=filling, temperature=0.01)
    spins = tetrahedral(CELL, chirality=chirality)

    def along(spins, axes):
        return complex(conductivity(exact, spins, axes, broadening=1e-3, points=18))

    hall = along(spins, (0, 1))
    assert abs(hall) == pytest.approx(1, abs=1e-4)
    assert along(spins, (1, 0)) == pytest.approx(-hall, abs=1e-8)
    mirrored = tetrahedral(CELL, chirality=-chirality)
    assert along(mirrored, (0, 1)) == pytest.approx(-hall, abs=1e-8)
    assert abs(along(spins, (0, 0))) < 1e-2  # an insulator


def test_landau_level():
    """One filled Landau level for each spin: sigma_xy = -+2 e^2/h, its sign that of the field."""
    lattice = lattices.square(8)
    spins = ferromagnet(lattice)
    for quanta in (8, -8):
        model = SDModel(lattice, magnetic_flux(lattice, quanta, 1.0), 0.0)
        exact = ExactDiagonalization(model, filling=1 / 8, temperature=0.01)
        hall = conductivity(exact, spins, (0, 1), broadening=1e-3, points=4)
        assert complex(hall) == pytest.approx(-2 * np.sign(quanta), abs=1e-3)


def test_drude_weight_of_free_electrons():
    """sigma(w) = 2 pi i D/(w + i eta), D = sum_k v^2 (-df/de)/A, for J = 0."""
    t, mu, eta = 0.3, -0.5, 0.1
    k = 2 * np.pi * np.arange(64) / 64
    f = 1 / (np.exp((-2 * np.cos(k) - mu) / t) + 1)
    weight = 2 * np.sum((2 * np.sin(k)) ** 2 * f * (1 - f)) / t / 64
    exact = ExactDiagonalization(SDModel(lattices.chain(4), 1.0, 0.0), chemical_potential=mu, temperature=t)
    for omega in (0.0, 0.7):
        found = conductivity(exact, ferromagnet(lattices.chain(4)), broadening=eta, frequency=omega, points=16)
        assert complex(found) == pytest.approx(2j * np.pi * weight / (omega + 1j * eta), rel=1e-10)


@pytest.mark.parametrize(
    ("vacancy", "axes", "omega"),
    [
        (True, (0, 1), 0.5),
        pytest.param(True, (0, 0), 0.0, marks=pytest.mark.slow),
        pytest.param(False, (0, 1), 0.5, marks=pytest.mark.slow),
    ],
)
def test_conductivity_of_kernel_polynomials(vacancy, axes, omega, key):
    lattice = lattices.triangular(4)
    occupied = np.ones(lattice.shape, bool)
    occupied[1, 2] = not vacancy
    spins = jnp.where(occupied[..., None], random_spins(lattice, key=key), 0)
    model = SDModel(lattice, 1.0, 3.0, occupied=occupied)
    exact = ExactDiagonalization(model, **METAL)
    kpm = KernelPolynomial(model, **METAL, probes=ExactTrace(), tolerance=1e-10)
    expected = complex(conductivity(exact, spins, axes, broadening=0.5, frequency=omega))
    assert abs(expected) > 0.05
    found = conductivity(kpm, spins, axes, broadening=0.5, frequency=omega, order=448)
    assert complex(found) == pytest.approx(expected, abs=1e-7)
    chosen = conductivity(kpm, spins, broadening=0.5)
    assert complex(chosen) == pytest.approx(complex(conductivity(exact, spins, broadening=0.5)), rel=1e-4)


def test_chern_marker_of_the_tetrahedral_state():
    """Near the Hall conductivity inside an open sheet, zero in total, and the same by kernel polynomials."""
    lattice = lattices.triangular(12, periodic=False)
    spins = tetrahedral(lattice)
    model = SDModel(lattice, 1.0, 3.0)
    cell = ExactDiagonalization(SDModel(CELL, 1.0, 3.0), filling=0.25, temperature=0.01)
    hall = float(jnp.real(conductivity(cell, tetrahedral(CELL), (0, 1), broadening=1e-3, points=12)))
    exact = ExactDiagonalization(model, filling=0.25, temperature=1e-3)
    marker = local_chern_marker(exact, spins).reshape(12, 12)
    assert jnp.mean(marker[4:8, 4:8]) == pytest.approx(hall, abs=0.03)
    assert jnp.sum(marker) == pytest.approx(0, abs=1e-6)
    state = {"chemical_potential": exact.fermi_level(spins), "temperature": 0.1}
    warm = local_chern_marker(ExactDiagonalization(model, **state), spins, np.array([[5, 6, 0]]))
    kpm = KernelPolynomial(model, **state, tolerance=1e-9)
    np.testing.assert_allclose(local_chern_marker(kpm, spins, np.array([[5, 6, 0]])), warm, atol=1e-6)


def test_what_has_no_answer_is_refused():
    spins = tetrahedral(CELL)
    model = SDModel(CELL, 1.0, 3.0)
    exact = ExactDiagonalization(model, **METAL)
    with pytest.raises(ValueError, match="broadening must be a positive energy"):
        conductivity(exact, spins, broadening=0.0)
    with pytest.raises(ValueError, match=r"temperature > 0; give one well below the gap"):
        conductivity(ExactDiagonalization(model, filling=0.25), spins, broadening=0.1)
    with pytest.raises(ValueError, match="use points=1"):
        conductivity(KernelPolynomial(model, **METAL), spins, broadening=0.1, points=2)
    sheet = lattices.triangular(4, periodic=False)
    with pytest.raises(ValueError, match="needs periodic axes; build the lattice with periodic=True"):
        conductivity(ExactDiagonalization(SDModel(sheet), **METAL), tetrahedral(sheet), broadening=0.1)
    with pytest.raises(ValueError, match="build a 2D lattice with periodic=False"):
        local_chern_marker(exact, spins)
    with pytest.raises(ValueError, match=r"sites must be integer indices of shape \(m, 3\)"):
        local_chern_marker(ExactDiagonalization(SDModel(sheet), **METAL), tetrahedral(sheet), np.zeros((2, 2), int))


def test_lowers_for_every_platform():
    spins = jnp.asarray(tetrahedral(CELL), jnp.float32)
    kpm = KernelPolynomial(SDModel(CELL), **METAL)

    def entry(s):
        return conductivity(kpm, s, broadening=0.5, order=64), bond_currents(kpm, s)

    jax.export.export(jax.jit(entry), platforms=["cpu", "cuda", "tpu"])(spins)
