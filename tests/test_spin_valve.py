"""A device between two ferromagnets at an angle: transmission, current and spin current, against matched waves."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons import Crystal, MagneticCrystal
from jaxspin.electrons.negf.leads import contact
from jaxspin.electrons.negf.slices import Cut

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def direction(theta, phi=0.0):
    return np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])


def valve(lattice, theta, exchange=(0.7, 1.1), potential=None, **settings):
    leads = [
        MagneticCrystal(Crystal("left"), direction(0.0), exchange[0]),
        MagneticCrystal(Crystal("right"), direction(theta, 0.4), exchange[1]),
    ]
    model = js.SDModel(lattice, coupling=0.9, potential=potential)
    return js.GreensFunction(model, leads=leads, **{"temperature": 0.1, **settings})


def outgoing(energy, exchange, vector):
    """exp(ik) of the wave that leaves, as a matrix in spin space, and its velocity where it is open."""
    values, states = np.linalg.eigh(-exchange * np.einsum("c,cab->ab", vector, PAULI))
    cosine = -(energy - values) / 2 + 0j
    root = np.sqrt(cosine**2 - 1)
    phase = cosine + root
    phase = np.where(np.abs(phase) > 1 + 1e-12, cosine - root, phase)
    # of a pair of open waves the one that moves away, v = 2 t sin k > 0
    phase = np.where((np.abs(np.abs(phase) - 1) < 1e-12) & (phase.imag < 0), np.conj(phase), phase)
    return values, states, phase


def matched(energy, spins, coupling, potential, left, right):
    """Transmission of a chain with t = 1 from the waves themselves: psi, known outside, is solved for inside.

    Equation at each site, (E - V + J S.sigma) psi_n + psi_(n-1) + psi_(n+1) = 0; unknown are the device's psi, the
    reflected and the transmitted amplitudes.
    """
    n = len(spins)
    _, left_states, left_phase = outgoing(energy, *left)
    _, right_states, right_phase = outgoing(energy, *right)
    h = potential[:, None, None] * np.eye(2) - coupling * np.einsum("nc,cab->nab", spins, PAULI)
    a = np.zeros((n, 2, n, 2), complex)
    for k in range(n):
        a[k, :, k] = energy * np.eye(2) - h[k]
        if k:
            a[k, :, k - 1] = a[k - 1, :, k] = np.eye(2)
    # beyond the ends waves leave: psi_(-1) = P psi_0 of what is not coming in
    a[0, :, 0] += left_states @ np.diag(left_phase) @ left_states.conj().T
    a[-1, :, -1] += right_states @ np.diag(right_phase) @ right_states.conj().T
    total = 0.0
    for channel in range(2):
        if abs(abs(left_phase[channel]) - 1) > 1e-9:
            continue
        k = np.angle(left_phase[channel])
        source = np.zeros((n, 2), complex)
        # psi_(-1) = P psi_0 + (e^(-ik) - e^(ik)) incoming, its amplitude 1 at site 0
        source[0] = -(np.exp(-1j * k) - np.exp(1j * k)) * left_states[:, channel]
        psi = np.linalg.solve(a.reshape(2 * n, 2 * n), source.reshape(-1)).reshape(n, 2)
        leaving = right_states.conj().T @ psi[-1]
        open_ = np.abs(np.abs(right_phase) - 1) < 1e-9
        total += np.sum(np.abs(leaving) ** 2 * np.where(open_, np.sin(np.angle(right_phase)), 0)) / np.sin(k)
    return total


@pytest.mark.parametrize("theta", [0.0, 0.8, 2.1, np.pi])
def test_transmission_of_a_valve_is_that_of_matched_waves(theta, key):
    lattice = js.chain(3, periodic=False)
    spins, potential = js.random_spins(lattice, key=key), np.array([0.3, -0.2, 0.5])
    spins = spins.at[1].set(0)  # a spacer between two moments
    energies = np.array([-2.4, -1.0, 0.35, 1.7])
    solver = valve(lattice, theta, potential=potential[:, None], poles=8)
    expected = [
        matched(e, np.asarray(spins[:, 0]), 0.9, potential, (0.7, direction(0)), (1.1, direction(theta, 0.4)))
        for e in energies
    ]
    np.testing.assert_allclose(solver.transmission(spins, jnp.asarray(energies)), expected, atol=1e-9)


def test_a_domain_wall_of_no_width_is_a_step_for_either_spin():
    """Antiparallel leads J and -J: a step of 2 J, T = sin k sin k'/sin^2((k + k')/2) for either spin."""
    lattice, spins = js.chain(1, periodic=False), jnp.zeros((1, 1, 3))
    leads = [MagneticCrystal(Crystal(name), (0.0, 0.0, s * 0.6)) for name, s in (("left", 1.0), ("right", -1.0))]
    # the device's one site belongs to the left lead
    spins = spins.at[..., 2].set(1.0)
    solver = js.GreensFunction(js.SDModel(lattice, coupling=0.6), leads=leads, temperature=0.1, poles=8)
    energies = np.array([-1.2, 0.0, 0.9])
    k, other = np.arccos(-(energies + 0.6) / 2), np.arccos(-(energies - 0.6) / 2)
    expected = 2 * np.sin(k) * np.sin(other) / np.sin((k + other) / 2) ** 2
    np.testing.assert_allclose(solver.transmission(spins, jnp.asarray(energies)), expected, atol=1e-9)


def test_half_metals_pass_what_their_spins_share():
    """One spin alone at the energy: no site between, so T = 1 for parallel leads, none for antiparallel ones, and
    falling with the angle; the spin of a lead says nothing of the sense of turning."""
    lattice = js.chain(1, periodic=False)
    spins = jnp.zeros((1, 1, 3))

    def transmitted(theta):
        solver = valve(lattice, theta, exchange=(1.5, 1.5), potential=-1.5, poles=8)
        return float(solver.transmission(spins, jnp.array([-1.5]))[0])

    found = [transmitted(t) for t in (0.0, 0.6, 1.5, 2.6, np.pi)]
    assert found[0] == pytest.approx(1, abs=1e-9)
    assert found[-1] == pytest.approx(0, abs=1e-9)
    assert np.all(np.diff(found) < -0.004)
    assert transmitted(-0.6) == pytest.approx(found[1], abs=1e-9)


def test_spin_currents_balance_the_torques(key):
    """What more leaves a site than enters is 2 B x S there; the charge is that of the bonds, by the same route."""
    lattice = js.square(4, 2, periodic=(False, True))
    spins = js.random_spins(lattice, key=key).at[1:3].set(0)
    solver = valve(lattice, 1.2, voltage=0.7, tolerance=1e-9)
    current = np.asarray(solver.bond_spin_currents(spins))
    assert current.shape == (4, 2, 2, 3)
    (along, across), forth = ([h.bond.offset for h in solver.model.hoppings]), np.asarray(current)
    assert (along, across) == ((1, 0), (0, 1))
    sideways = forth[:, :, 1] - np.roll(forth[:, :, 1], 1, axis=1)
    lengthwise = np.diff(forth[:-1, :, 0], axis=0)  # of the sites 1, 2
    torque = 2 * np.cross(np.asarray(solver.field(spins)), np.asarray(spins))[:, :, 0]
    np.testing.assert_allclose(lengthwise + sideways[1:3], torque[1:3], atol=1e-8)


def test_a_current_of_one_spin_is_a_spin_current():
    """Ferromagnets along z: the current of sigma_z is that of the up less that of the down electrons, and of no other
    component; with the band of one spin at the window it is the charge."""
    lattice = js.chain(2, periodic=False)
    leads = [MagneticCrystal(Crystal(name), (0.0, 0.0, 1.0), 3.0) for name in ("left", "right")]
    model = js.SDModel(lattice, coupling=3.0)
    solver = js.GreensFunction(model, leads=leads, voltage=0.4, mu=-3.0, temperature=0.05)
    up = js.textures.ferromagnet(lattice)
    charge, found = float(solver.current(up)), np.asarray(solver.bond_spin_currents(up))[0, 0]
    assert charge == pytest.approx(0.4 / (2 * np.pi), abs=1e-5)
    np.testing.assert_allclose(found, [0, 0, charge], atol=1e-6)


@pytest.mark.parametrize("end", ["left", "right"])
def test_the_closed_form_is_what_decimation_finds(end):
    """Of a lead given by one direction and by the same spins, site by site; a lead without exchange is a crystal."""
    lattice = js.square(3, 2, periodic=(False, False))
    place = contact(Crystal(end), Cut(lattice, 0, 1), 0)
    vector, z = direction(0.9, 1.3), jnp.asarray(0.4 + 0.3j)

    def sigma(spins, exchange):
        lead = MagneticCrystal(Crystal(end, 0.8, potential=0.2), spins, exchange).connect(place, jnp.zeros(()))
        found, modes = eqx.filter_jit(lambda lead: lead.self_energy(z))(lead), lead.modes()
        u = np.kron(np.eye(2) if modes is None else modes, np.eye(2))
        return u @ np.asarray(found) @ u.conj().T, modes is None

    closed, plain = sigma(vector, 1.3)
    layers, decimated = sigma(np.broadcast_to(vector, (1, 2, 1, 3)), 1.3)
    assert (plain, decimated) == (False, True)
    np.testing.assert_allclose(closed, layers, atol=1e-8)
    np.testing.assert_allclose(sigma(vector, 0.0)[0], sigma(-vector, 0.0)[0], atol=1e-14)

    def element(exchange):
        lead = MagneticCrystal(Crystal(end), vector, exchange).connect(place, jnp.zeros(()))
        return jnp.real(lead.self_energy(z)[0, 1])

    element, sloped = jax.jit(element), jax.jit(jax.grad(element))
    for at in (0.0, 0.7):
        slope = (element(at + 1e-5) - element(at - 1e-5)) / 2e-5
        assert float(sloped(at)) == pytest.approx(float(slope), rel=1e-5)


def test_the_edges_of_both_spins_are_known():
    lattice = js.chain(4, periodic=False)
    lead = MagneticCrystal(Crystal("left", 0.5, potential=0.1), (0.0, 0.6, 0.8), 0.3)
    np.testing.assert_allclose(np.sort(lead.band_edges(lattice, 0, 0.0)), [-1.2, -0.6, 0.8, 1.4], atol=1e-12)
    spiral = MagneticCrystal(Crystal("left"), np.ones((2, 1, 3)), 0.3)
    assert spiral.band_edges(lattice, 0, 0.0).size == 0
