"""Currents of electrons with many orbitals an atom: those of `SDModel` with one, known Chern numbers, sum rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.benchmarks import orbitals as benchmark
from jaxspin.electrons import BlochDiagonalization, Coloring, ExactTrace, OrbitalModel
from jaxspin.electrons.hoppings import PAULI
from jaxspin.observables import (
    bond_currents,
    conductivity,
    density_of_states,
    electron_density,
    local_chern_marker,
    local_density_of_states,
    partial_density_of_states,
    velocity,
)
from jaxspin.observables.velocities import orbital_positions
from tests.helpers import distance
from tests.test_orbital_model import KINDS, OFFSETS, OWNERS, STATE, as_orbitals, cells, parts, spins_on

POSITIONS = [(0.0, 0.0), (0.5, 0.5), (0.0, 0.0), (0.2, 0.7)]
ENERGIES = jnp.linspace(-2.0, 2.0, 5)


def placed(lattice, **kind):
    """A model whose orbital without owner has a place."""
    return OrbitalModel(lattice, OWNERS, OFFSETS, **parts(**kind), potential=[0.1, -0.2, 0.0, 0.3], positions=POSITIONS)


def pair(lattice):
    """One model in both classes: complex hoppings that turn spins too."""
    rng = np.random.default_rng(0)
    spin = np.array([[1.0, 0.3j], [0.2, -0.4]])
    hoppings = [
        js.Hopping(bond, complex(*rng.normal(size=2)), spin if n == 2 else None)
        for n in (1, 2)
        for bond in lattice.shell(n)
    ]
    plain = js.SDModel(lattice, hoppings, 1.3, potential=rng.normal(size=lattice.shape))
    return plain, as_orbitals(plain)


# --- one orbital an atom ------------------------------------------------------------------------------------------


def test_one_orbital_an_atom_has_the_currents_of_the_model_of_one_orbital():
    lattice = js.honeycomb(2, 1)
    (plain, many), spins = pair(lattice), spins_on(lattice)
    k = jnp.array([0.3, 0.1])
    for axis in range(2):
        assert distance(velocity(plain, axis).dense(spins, k), velocity(many, axis).dense(spins, k)) < 1e-13
    one, other = (js.ExactDiagonalization(m, **STATE) for m in (plain, many))
    settings = {"axes": (0, 1), "broadening": 0.4, "frequency": 0.2, "points": (1, 2)}
    expected = conductivity(one, spins, **settings)
    assert abs(expected) > 0.1
    assert abs(conductivity(other, spins, **settings) - expected) < 1e-10
    assert distance(electron_density(one, spins), electron_density(other, spins)) < 1e-10
    found = [partial_density_of_states(s, spins, ENERGIES, resolution=0.4) for s in (one, other)]
    assert distance(*found) < 1e-10


@pytest.mark.slow
def test_one_orbital_an_atom_has_the_series_of_the_model_of_one_orbital():
    lattice = js.honeycomb(2, 1)
    (plain, many), spins = pair(lattice), spins_on(lattice)
    series = [js.KernelPolynomial(m, **STATE, probes=ExactTrace(), order=32, window=(-14, 14)) for m in (plain, many)]
    found = [conductivity(s, spins, (0, 1), broadening=1.0, order=64) for s in series]
    assert abs(found[0] - found[1]) < 1e-10
    assert abs(found[0]) > 0.1
    at = np.array([[1, 0, 1]])
    found = [local_density_of_states(s, spins, ENERGIES, at, resolution=1.0) for s in series]
    assert distance(*found) < 1e-10
    found = [partial_density_of_states(s, spins, ENERGIES, resolution=1.0) for s in series]
    assert distance(*found) < 1e-10


def test_one_orbital_an_atom_has_the_chern_marker_of_the_model_of_one_orbital():
    sheet = js.honeycomb(2, 2, periodic=False)
    (plain, many), spins = pair(sheet), spins_on(sheet)
    markers = [local_chern_marker(js.ExactDiagonalization(m, **STATE), spins) for m in (plain, many)]
    assert distance(*markers) < 1e-10
    assert distance(markers[0], 0) > 0.01


# --- many orbitals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS[1:], ids=str)
def test_velocity_is_the_commutator_with_position(kind):
    """v = i [H, r] on an open lattice, where r is a matrix; spin-split hoppings move with the spins."""
    lattice = cells(3, 2, periodic=False)
    model, spins = placed(lattice, **kind), spins_on(lattice)
    h = np.asarray(model.dense(spins))
    for axis in range(2):
        r = np.repeat(orbital_positions(model)[..., axis].reshape(-1), 2)
        assert distance(velocity(model, axis).dense(spins), 1j * (h * r[None] - r[:, None] * h)) < 1e-12
    assert orbital_positions(model)[1, 1, 3].tolist() == [1.2, 1.9]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[1:], ids=str)
def test_conductivity_of_kernel_polynomials(kind):
    lattice = cells(2, 1)
    model, spins = placed(lattice, **kind), spins_on(lattice)
    exact = js.ExactDiagonalization(model, **STATE)
    series = js.KernelPolynomial(model, **STATE, probes=ExactTrace(), order=128)
    settings = {"axes": (0, 1), "broadening": 0.5, "frequency": 0.1}
    expected = conductivity(exact, spins, **settings)
    assert abs(conductivity(series, spins, **settings, order=256) - expected) < 1e-5 * abs(expected)


@pytest.mark.slow
def test_chern_marker_of_kernel_polynomials():
    sheet = cells(3, 2, periodic=False)
    model, spins = placed(sheet), spins_on(sheet)
    state = {"chemical_potential": 0.1, "temperature": 0.3}
    exact = local_chern_marker(js.ExactDiagonalization(model, **state), spins)
    series = js.KernelPolynomial(model, **state, probes=ExactTrace(), order=160)
    at = np.array([[1, 0, 2], [0, 1, 3]])
    assert distance(local_chern_marker(series, spins, at), np.asarray(exact).reshape(3, 2, 4)[tuple(at.T)]) < 1e-8


def chern_insulator(lattice, mass):
    """sin k_x tau_x + sin k_y tau_y + (mass + cos k_x + cos k_y) tau_z on each atom, its spins split far apart.

    Source: Qi, Wu and Zhang, Phys. Rev. B 74, 085308 (2006), 10.1103/PhysRevB.74.085308, equation 4.
    """
    x, y, z = (PAULI[n] for n in range(3))
    there = [(x / 2j + z / 2), (y / 2j + z / 2)]
    hopping = np.stack([mass * z, there[0], there[0].conj().T, there[1], there[1].conj().T])
    offsets = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    return OrbitalModel(lattice, (0, 0), offsets, hopping, 10 * np.eye(2))


def chern_number(mass, points=12):
    """Of the lower band by the phases around plaquettes of wavevectors.

    Source: Fukui, Hatsugai and Suzuki, J. Phys. Soc. Jpn. 74, 1674 (2005), 10.1143/JPSJ.74.1674.
    """
    k = 2 * np.pi * np.arange(points) / points
    x, y, z = (PAULI[n] for n in range(3))
    h = (
        np.sin(k)[:, None, None, None] * x
        + np.sin(k)[None, :, None, None] * y
        + (mass + np.cos(k)[:, None] + np.cos(k)[None])[..., None, None] * z
    )
    state = np.linalg.eigh(h)[1][..., 0]

    def link(axis):
        return np.sum(np.conj(state) * np.roll(state, -1, axis), axis=-1)

    loop = link(0) * np.roll(link(1), -1, 0) * np.conj(np.roll(link(0), -1, 1)) * np.conj(link(1))
    return round(float(np.sum(np.angle(loop)) / (2 * np.pi)))


def test_the_hall_conductivity_is_the_chern_number():
    cell = js.square(1)
    spins = js.textures.ferromagnet(cell, dtype=float)

    numbers = []
    for mass in (-1.0, 1.0, 3.0):
        numbers.append(chern_number(mass))
        exact = js.ExactDiagonalization(chern_insulator(cell, mass), filling=0.25, temperature=0.02)
        hall = conductivity(exact, spins, (0, 1), broadening=1e-3, points=16)
        assert abs(hall - numbers[-1]) < 1e-3
    assert sorted(numbers) == [-1, 0, 1]


def test_the_chern_marker_of_a_sheet_is_the_chern_number_inside():
    sheet = js.square(10, periodic=False)
    exact = js.ExactDiagonalization(chern_insulator(sheet, 1.0), filling=0.25, temperature=1e-3)
    marker = local_chern_marker(exact, js.textures.ferromagnet(sheet, dtype=float)).reshape(10, 10, 2)
    assert abs(float(jnp.mean(marker[4:6, 4:6])) - chern_number(1.0)) < 0.05
    assert abs(float(jnp.sum(marker))) < 1e-6


# --- currents of bonds --------------------------------------------------------------------------------------------


def outwards(model, currents):
    """Electrons that leave each orbital per unit time."""
    return jnp.sum(currents, axis=(-3, -1))


def test_currents_between_orbitals_are_conserved_and_those_of_the_density_matrix():
    lattice = cells(3, 1, periodic=(False, True))
    model, spins = placed(lattice, spin_orbit=True), spins_on(lattice)
    exact = js.ExactDiagonalization(model, **STATE)
    currents = bond_currents(exact, spins)
    assert currents.shape == (3, 1, len(OFFSETS), 4, 4)
    assert distance(outwards(model, currents), 0) < 1e-12
    assert distance(currents, 0) > 0.01
    # from an end on, where one lattice vector alone joins two cells; R = (2, 0), (2, +-1) fall together
    which = [n for n, offset in enumerate(OFFSETS) if offset[0] == 2]
    h, rho = (np.asarray(x).reshape(3, 4, 2, 3, 4, 2) for x in (model.dense(spins), exact.density_matrix(spins)))
    expected = -2 * np.imag(np.einsum("manb,nbma->mn", h[0, :, :, 2], rho[2, :, :, 0]))
    assert distance(currents[0, 0, np.array(which)].sum(axis=0), expected) < 1e-12


@pytest.mark.slow
def test_one_orbital_an_atom_has_the_bond_currents_of_the_model_of_one_orbital():
    lattice = js.honeycomb(2, 1)
    (plain, many), spins = pair(lattice), spins_on(lattice)
    series = {"probes": ExactTrace(), "order": 32, "window": (-14, 14)}
    for make in (js.ExactDiagonalization, lambda m, **state: js.KernelPolynomial(m, **state, **series)):
        one, other = (bond_currents(make(m, **STATE), spins) for m in (plain, many))
        for number, h in enumerate(plain.hoppings):
            column = many.offsets.index(tuple(h.bond.offset))
            assert distance(one[..., number], other[..., column, h.bond.start, h.bond.end]) < 1e-10


# --- densities of states ------------------------------------------------------------------------------------------


def test_partial_densities_of_states_add_up():
    lattice, settings = cells(2, 1), {"resolution": 0.4}
    model, spins = placed(lattice), spins_on(lattice)
    exact = js.ExactDiagonalization(model, **STATE)
    partial = partial_density_of_states(exact, spins, ENERGIES, **settings)
    total = density_of_states(exact, spins, ENERGIES, **settings)
    assert distance(partial.sum(axis=0), lattice.sublattices * total) < 1e-12
    everywhere = np.argwhere(np.ones(model.orbital_lattice.shape, bool))
    local = local_density_of_states(exact, spins, ENERGIES, everywhere, **settings).reshape(2, 4, -1)
    assert distance(partial, local.mean(axis=0)) < 1e-12


def test_partial_densities_of_states_of_either_spin_add_up():
    """And of a ferromagnet along z up has lower levels by 2 J, in every solver."""
    cell, energies = js.chain(2), jnp.linspace(-8.0, 8.0, 65)
    exact = js.ExactDiagonalization(js.SDModel(cell, 1.0, 1.5), **STATE)
    series = js.KernelPolynomial(exact.model, **STATE, probes=ExactTrace(), order=64, window=(-6, 6))

    def found(solver, spins, spin):
        return partial_density_of_states(solver, spins, energies, resolution=0.5, spin=spin)

    for solver in (exact, BlochDiagonalization(exact, points=2), series):
        both, up, down = (found(solver, spins_on(cell), spin) for spin in (None, "up", "down"))
        assert distance(up + down, both) < 1e-12
        up, down = (found(solver, js.textures.ferromagnet(cell), spin) for spin in ("up", "down"))
        # 3 is 12 steps of the energies
        assert distance(up[:, :-12], down[:, 12:]) < 1e-3
        assert float(jnp.sum(up[0] * energies)) < 0 < float(jnp.sum(down[0] * energies))
    with pytest.raises(ValueError, match='spin = \'UP\' is none; give "up" or "down"'):
        found(exact, spins_on(cell), "UP")


@pytest.mark.slow
@pytest.mark.parametrize("probes", [ExactTrace(), Coloring(4)], ids=["exact trace", "colours"])
def test_partial_densities_of_states_of_kernel_polynomials(probes):
    lattice, settings = cells(2, 1), {"resolution": 0.4}
    model, spins = placed(lattice), spins_on(lattice)
    series = js.KernelPolynomial(model, **STATE, probes=probes, order=32)
    found = partial_density_of_states(series, spins, ENERGIES, **settings)
    total = density_of_states(series, spins, ENERGIES, **settings)
    assert distance(found.sum(axis=0), lattice.sublattices * total) < 1e-12
    if isinstance(probes, ExactTrace):
        exact = js.ExactDiagonalization(model, **STATE)
        assert distance(found, partial_density_of_states(exact, spins, ENERGIES, **settings)) < 1e-5


@pytest.mark.slow
def test_partial_densities_of_states_of_bloch_waves_and_vacancies():
    settings = {"resolution": 0.4}
    cell = cells(1, 1)
    exact, spins = js.ExactDiagonalization(placed(cell), **STATE), spins_on(cell)
    bloch = partial_density_of_states(BlochDiagonalization(exact, points=2), spins, ENERGIES, **settings)
    whole = partial_density_of_states(exact.on(cell.resize(2)), jnp.tile(spins, (2, 2, 1, 1)), ENERGIES, **settings)
    assert distance(bloch, whole) < 1e-12
    lattice = js.kagome(2, 1)
    occupied = np.ones(lattice.shape, bool)
    occupied[1, 0, 2] = False
    spins = jnp.where(occupied[..., None], spins_on(lattice), 0)
    model = js.SDModel(lattice, (1.0, -0.3), 1.3, occupied=occupied)
    for solver in (
        js.ExactDiagonalization(model, **STATE),
        js.KernelPolynomial(model, **STATE, probes=ExactTrace(), order=32),
    ):
        partial = partial_density_of_states(solver, spins, ENERGIES, **settings)
        total = density_of_states(solver, spins, ENERGIES, **settings)
        assert distance(partial.sum(axis=0), lattice.sublattices * total) < 1e-12


# --- the benchmark -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_benchmark_times_both_solvers():
    config = benchmark.Config(exact=(1,), series=(2,), order=16, dense_up_to=2, repeats=1)
    with jax.enable_x64(False):
        exact, series = benchmark.run(config)
    assert exact["spin-orbitals"] == 18
    assert (series["spin-orbitals"], series["columns"]) == (144, 18)
    for row, names in ((exact, ["label"]), (series, ["field", "product", "dense"])):
        assert all(row[name]["median"] > 0 for name in names)
    # 144 numbers in 18 columns, twelve passes of transforms and four more, and the blocks of eight wavevectors
    assert series["bytes of a product"] == 2 * 16 * 144 * 18 * 8 + 8 * 8 * 2 * 81


# --- what does not fit ----------------------------------------------------------------------------------------------


def test_orbitals_without_a_place_are_refused():
    lattice = cells(2, 2)
    model = OrbitalModel(lattice, OWNERS, OFFSETS, **parts())
    with pytest.raises(ValueError, match=r"orbital 3 has no owner, and so no position; give positions= to the model"):
        conductivity(js.ExactDiagonalization(model, **STATE), spins_on(lattice), broadening=0.1)
    with pytest.raises(ValueError, match=r"positions of shape \(4, 3\) are none of 4 orbitals; give \(4, 2\)"):
        OrbitalModel(lattice, OWNERS, OFFSETS, **parts(), positions=np.zeros((4, 3)))
    assert placed(lattice).on(cells(3, 2)).places().tolist() == [list(x) for x in POSITIONS]
    with pytest.raises(ValueError, match="has axes 0 to 1, got 2; use one of them"):
        velocity(placed(lattice), 2)
    with pytest.raises(ValueError, match="moments of samples for OrbitalModel are not there; give an SDModel"):
        js.descriptors.DisorderedMoments.of(placed(lattice), bound=9.0)
