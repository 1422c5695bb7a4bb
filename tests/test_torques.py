"""Torques of currents against the Gilbert equation, exact motions of one spin, and laws of a moving wall."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Anisotropy, Exchange, GaussianPulse, Ramp, Zeeman
from jaxspin.dynamics import LLG, simulate
from jaxspin.lattice import chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.spins import dilute, random_spins, tangent
from jaxspin.textures import domain_wall
from jaxspin.torques import SpinOrbitTorque, SpinTransferTorque, directional_derivative

LATTICES = [
    chain(6, periodic=False),
    square(4, 3, periodic=False),
    triangular(4, 4, periodic=(False, False)),
    honeycomb(3, 3, periodic=False),
    kagome(3, 3, periodic=False),
    cubic(3, 3, 3, periodic=False),
]


def rate(field, spins, damping, t=0.0):
    """dS/dt of the equation of motion."""
    term = LLG(field, damping)
    return term.prod(term.vf(t, spins, None), term.contr(0.0, 1.0))


def wall_of(lattice, width=4.0):
    return domain_wall(lattice, width=width, helicity=0.3)


# --- the gradient on the lattice ---


@pytest.mark.parametrize("lattice", LATTICES, ids=lambda x: x.name)
def test_gradient_of_a_linear_function_is_exact_at_edges_and_vacancies(lattice):
    """Wherever the neighbours present span space; elsewhere it has no part along what they do not span."""
    draw = np.random.default_rng(1)
    slope, u = draw.normal(size=(lattice.dimension, 3)), draw.normal(size=lattice.dimension)
    values = 5 + lattice.positions() @ slope
    hole = tuple(n // 2 for n in lattice.shape)
    values[hole] = 0
    found = np.array(directional_derivative(lattice, jnp.asarray(values), jnp.asarray(u)))
    assert np.all(found[hole] == 0)
    checked = 0
    for site in np.ndindex(lattice.shape):
        present = []
        for bond in lattice.neighbors(lattice.shell(1)[0].length, site[-1]):
            cell = tuple(int(n) for n in np.add(site[:-1], bond.offset))
            inside = all(0 <= n < size for n, size in zip(cell, lattice.cells, strict=True))
            if inside and (*cell, bond.end) != hole and site != hole:
                present.append(bond.vector)
        if not present:
            assert np.all(found[site] == 0)
            continue
        basis = np.linalg.svd(np.array(present), full_matrices=False)
        seen = basis[2][basis[1] > 1e-9]
        np.testing.assert_allclose(found[site], seen.T @ seen @ u @ slope, atol=1e-12)
        checked += len(seen) == lattice.dimension
    assert checked >= lattice.sites // 2


def test_gradient_is_the_centred_difference_in_the_bulk(key):
    lattice = square(5, 4)
    spins = random_spins(lattice, key=key)
    u = jax.random.normal(key, (*lattice.shape, 2))
    found = directional_derivative(lattice, spins, u)
    s = np.array(spins)
    dx, dy = ((np.roll(s, -1, axis) - np.roll(s, 1, axis)) / 2 for axis in (0, 1))
    np.testing.assert_allclose(found, u[..., :1] * dx + u[..., 1:] * dy, atol=1e-14)
    np.testing.assert_allclose(directional_derivative(lattice, spins, jnp.array([0.3, 0.0])), 0.3 * dx, atol=1e-14)


# --- spin transfer ---


def test_spin_transfer_is_the_equation_of_zhang_and_li(key):
    """The explicit rate solves the implicit Gilbert form; the torques are added to another field with +."""
    lattice, damping, beta = square(4, 4), 0.3, 0.7
    spins = random_spins(lattice, key=key)
    u = jnp.array([0.4, -0.9])
    field = Exchange(lattice, 1.3) + SpinTransferTorque(lattice, u, beta)
    found = rate(field, spins, damping)
    s = np.array(spins)
    change = 0.4 * (np.roll(s, -1, 0) - np.roll(s, 1, 0)) / 2 - 0.9 * (np.roll(s, -1, 1) - np.roll(s, 1, 1)) / 2
    change = change - s * np.sum(s * change, -1, keepdims=True)
    b = Exchange(lattice, 1.3).field(spins)
    expected = np.cross(s, b) - damping * np.cross(s, found) - change - beta * np.cross(s, change)
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_with_equal_damping_and_nonadiabaticity_a_wall_drifts_rigidly():
    lattice, width = chain(48, periodic=False), 4.0
    potential = Exchange(lattice, 1.0) + Anisotropy(1 / (2 * width**2))
    start = domain_wall(lattice, 20.0, width, helicity=0.3)
    torque = SpinTransferTorque(lattice, 0.1, 0.2)
    run = simulate(potential + torque, start, duration=50.0, step=0.1, damping=0.2, save_every=50.0)
    # the texture obeys the continuum equation up to (a/width)^2
    distance = jnp.abs(run.final - domain_wall(lattice, 25.0, width, helicity=0.3))
    assert float(jnp.max(distance)) < 0.02
    assert float(jnp.max(jnp.abs(run.final - start))) > 0.5


def test_the_adiabatic_torque_brings_in_the_moment_that_flows_through_the_ends():
    """sum_i dS_i/dt = u (S at the left end - S at the right end): spin is conserved, whatever lies between."""
    lattice, u = chain(64, periodic=False), 0.3
    change = rate(SpinTransferTorque(lattice, u), wall_of(lattice, 6.0), 0.0)
    total = np.array(jnp.sum(change, axis=(0, 1)))
    # the wall passes (2 u, 0, 0) from +z to -z; the centred difference errs by (a/width)^2/2
    np.testing.assert_allclose(total, [0, 0, 2 * u], atol=0.01 * 2 * u)


def test_drift_by_site_in_time_and_vacancies(key):
    lattice = triangular(4, 4)
    spins = dilute(random_spins(lattice, key=key), jnp.ones(lattice.shape, bool).at[1, 2].set(False))
    one = SpinTransferTorque(lattice, [0.2, -0.5], 0.1)
    each = SpinTransferTorque(lattice, np.broadcast_to([0.2, -0.5], (4, 4, 1, 2)), 0.1)
    ramped = SpinTransferTorque(lattice, [0.2, -0.5], 0.1, profile=Ramp(0.0, 1.0, 2.0, start=2.0))

    @jax.jit
    def fields(spins):
        return one.field(spins), each.field(spins), ramped.field(spins, 3.0)

    whole, by_site, half = map(np.asarray, fields(spins))
    np.testing.assert_allclose(by_site, whole, atol=1e-15)
    assert not np.any(whole[1, 2])
    np.testing.assert_allclose(half, whole / 2, atol=1e-15)
    assert [float(t) for t in (ramped + Zeeman([0.0, 0.0, 1.0])).times_of_change()] == [2.0, 4.0]
    single = fields(spins.astype(jnp.float32))[0]
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, whole, atol=1e-6)


# --- spin-orbit torque ---


def test_the_dampinglike_torque_turns_a_spin_towards_the_polarization():
    """dS_z/dt = d (1 - S_z^2) without damping: S_z = tanh(d t + artanh S_z(0))."""
    spins = jnp.array([[[0.8, 0.0, -0.6]]])
    torque = SpinOrbitTorque([0.0, 0.0, 2.0], 0.3)
    run = simulate(torque, spins, duration=5.0, step=0.02, damping=0.0, save_every=5.0)
    assert float(run.final[0, 0, 2]) == pytest.approx(np.tanh(0.3 * 5 + np.arctanh(-0.6)), abs=1e-5)
    assert float(run.final[0, 0, 1]) == pytest.approx(0.0, abs=1e-12)


def test_the_fieldlike_torque_is_that_of_a_field(key):
    spins = random_spins(chain(4), key=key)
    torque = SpinOrbitTorque([0.0, 3.0, 0.0], fieldlike=0.4, profile=GaussianPulse(1.0, 2.0))
    np.testing.assert_allclose(torque.field(spins, 1.0), Zeeman([0.0, 0.4, 0.0]).field(spins), atol=1e-15)
    assert len(torque.times_of_change()) == len(GaussianPulse(1.0, 2.0).times_of_change())


def test_a_macrospin_settles_where_the_torques_balance():
    """h z against d y: S x h z + d (y - S (S . y)) = 0 has the root S = (d/h, 0, sqrt(1 - d^2/h^2)) for d < h."""
    h, d = 1.0, 0.6
    spins = jnp.array([[[0.0, 0.6, 0.8]], [[0.0, 0.0, 1.0]]])
    field = Zeeman([0.0, 0.0, h]) + SpinOrbitTorque([0.0, 1.0, 0.0], d)
    run = simulate(field, spins, duration=100.0, step=0.1, damping=0.2, save_every=100.0)
    np.testing.assert_allclose(run.final[:, 0], [[d / h, 0.0, np.sqrt(1 - d**2 / h**2)]] * 2, atol=1e-6)


def test_a_spin_is_switched_against_the_field_above_the_threshold():
    """Antidamping, p = -z in h z: up is stable while d < damping h."""
    spins = np.array([[[0.1, 0.0, np.sqrt(0.99)]]] * 2)
    strengths = jnp.array([[0.19], [0.21]])
    field = Zeeman([0.0, 0.0, 1.0]) + SpinOrbitTorque([0.0, 0.0, -1.0], strengths)
    run = simulate(field, spins, duration=1000.0, step=0.2, damping=0.2, save_every=1000.0)
    np.testing.assert_allclose(run.final[:, 0, 2], [1.0, -1.0], atol=1e-4)


def test_bad_torques_are_refused(key):
    lattice = square(3, 3)
    spins = random_spins(lattice, key=key)
    with pytest.raises(ValueError, match=r"give a velocity \(2,\), or \(3, 3, 1, 2\) for one a site"):
        SpinTransferTorque(lattice, [1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="no three components"):
        SpinOrbitTorque([1.0, 0.0])
    with pytest.raises(ValueError, match="dampinglike of shape"):
        SpinOrbitTorque([1.0, 0.0, 0.0], jnp.ones(3)).field(spins)
    with pytest.raises(ValueError, match=r"use lattice.resize"):
        SpinTransferTorque(square(4, 4), [1.0, 0.0]).field(spins)


def test_derivatives_with_respect_to_the_currents(key):
    lattice = chain(5)
    spins = random_spins(lattice, key=key)

    @jax.jit
    def work(u, beta, d):
        field = SpinTransferTorque(lattice, u, beta) + SpinOrbitTorque([0.0, 1.0, 0.0], d)
        return jnp.sum(tangent(spins, field.push(spins)) ** 2)

    point = (jnp.array([0.3]), jnp.array(0.2), jnp.array(0.5))
    slopes = jax.jit(jax.grad(work, argnums=(0, 1, 2)))(*point)
    for n, slope in enumerate(slopes):
        up, down = (work(*(x + sign * 1e-6 if k == n else x for k, x in enumerate(point))) for sign in (1, -1))
        assert float(jnp.sum(slope)) == pytest.approx(float(up - down) / 2e-6, rel=1e-7)
