"""Spins of unequal length: what is divided by it (fields), what is not (velocities), and who has to know it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Anisotropy, Exchange, GaussianPulse, Zeeman, ZeemanPulse
from jaxspin.dynamics import LLG, relax, simulate, suggest_timestep
from jaxspin.lattice import Lattice, chain
from jaxspin.observables import magnetization
from jaxspin.observables.spin_waves import spin_wave_frequencies, spin_waves
from jaxspin.spins import random_spins
from jaxspin.textures import domain_wall, ferromagnet, neel
from jaxspin.torques import SpinOrbitTorque, SpinTransferTorque


def test_a_wall_drifts_at_the_velocity_of_the_current_whatever_its_moment():
    """With nonadiabaticity = damping a texture drifts rigidly at u; a moment of 2 moved it at u/2."""
    lattice, u = chain(40, periodic=False), 0.05
    start = domain_wall(lattice, jnp.asarray(15.0), 4.0)
    field = Exchange(lattice, 1.0) + Anisotropy(1 / 32) + SpinTransferTorque(lattice, [u], 0.2)

    @jax.jit
    def moved(moment):
        run = simulate(
            field, start, duration=100.0, step=0.1, damping=0.2, save_every=100.0, moment=moment, throw=False
        )
        # the wall separates 2x spins up from the rest
        return (jnp.sum(run.final[..., 2]) - jnp.sum(start[..., 2])) / 2

    for moment in (1.0, 2.5):
        assert float(moved(moment)) == pytest.approx(u * 100, rel=0.02)


def test_fields_are_divided_term_by_term(key):
    lattice = chain(5)
    spins, moment = random_spins(lattice, key=key), jnp.linspace(0.5, 2.0, 5)[:, None]
    energy = Exchange(lattice, 1.0) + Zeeman([0.0, 0.3, 0.0]) + SpinOrbitTorque([0.0, 0.0, 1.0], 0.2)
    drift = SpinTransferTorque(lattice, [0.4], 0.1)
    expected = energy.push(spins) / moment[..., None] + drift.push(spins)
    np.testing.assert_allclose((energy + drift).rate(spins, moment=moment), expected, atol=1e-15)
    np.testing.assert_allclose(LLG(energy + drift, 0.0, moment=moment).vf(0.0, spins, None).field, expected, atol=1e-15)
    np.testing.assert_array_equal((energy + drift).rate(spins), (energy + drift).push(spins))


def test_with_its_moments_a_zeeman_field_turns_all_spins_alike(key):
    """E = - sum m h . S: the rate is h, and the equilibrium that of a dipole m h/T."""
    lattice = chain(4)
    spins, moment = random_spins(lattice, key=key), jnp.array([[1.0], [2.0], [0.5], [3.0]])
    each = jnp.broadcast_to(jnp.array([0.0, 0.1, 0.7]), spins.shape)
    for applied in (each[0, 0], each):
        field = Zeeman(applied, moment)
        np.testing.assert_allclose(field.field(spins), moment[..., None] * each, atol=1e-15)
        np.testing.assert_allclose(field.rate(spins, moment=moment), each, atol=1e-15)
    pulse = ZeemanPulse([0.0, 0.1, 0.7], GaussianPulse(0.0, 1.0), moment=2.0)
    np.testing.assert_allclose(pulse.field(spins), 2 * each, atol=1e-15)
    with pytest.raises(ValueError, match="give one number, one for each sublattice, or one a site"):
        Zeeman(each, jnp.ones(4))


def test_spin_waves_know_moments(key):
    """Those of a ferrimagnetic chain of two moments, in closed form; and the frequencies of the dynamics."""
    lattice, large = chain(8), 2.0
    moment = jnp.where(jnp.arange(8)[:, None] % 2 == 0, 1.0, large)
    field, order = Exchange(lattice, -1.0), neel(lattice)
    found = spin_wave_frequencies(field, order, moment=moment)
    # (w - 2/m_1)(w + 2/m_2) = -(4/(m_1 m_2)) cos(q/2)^2 at each q of the doubled cell
    q = 2 * np.pi * np.arange(4) / 4
    product = 4 * (1 - np.cos(q / 2) ** 2) / large
    difference = 2 * (1 / 1.0 - 1 / large)
    root = np.sqrt((difference / 2) ** 2 + product)
    np.testing.assert_allclose(
        found, np.sort(np.concatenate([root + difference / 2, root - difference / 2])), atol=1e-7
    )
    # the slowest mode of nonzero frequency turns in the dynamics as it says
    waves = spin_waves(field, order, moment=moment)
    kick = 1e-4 * np.random.default_rng(0).normal(size=order.shape) * np.array([1.0, 1.0, 0.0])
    start = (order + kick) / jnp.linalg.norm(order + kick, axis=-1, keepdims=True)
    run = simulate(field, start, duration=40.0, step=0.02, damping=0.0, moment=moment, save_every=0.2)
    turning = np.asarray(run.spins)[:-1, 2, 0]
    seen = np.fft.fft((turning[:, 0] - 1j * turning[:, 1]) * np.hanning(len(run) - 1))
    peak = abs(2 * np.pi * np.fft.fftfreq(len(run) - 1, 0.2)[np.argmax(np.abs(seen))])
    assert np.min(np.abs(np.asarray(waves.frequencies) - peak)) < 2 * np.pi / 40
    with pytest.raises(ValueError, match="moment must be positive"):
        spin_waves(field, order, moment=0.0)


def test_one_moment_for_each_sublattice_is_that_of_every_cell(key):
    ring = chain(6)
    pair = Lattice("pair", [[2.0]], [[0.0], [1.0]], (3,), (True,))
    field, of_cell = Exchange(pair, -1.0) + Anisotropy(0.1), jnp.array([1.0, 2.0])
    everywhere = jnp.broadcast_to(of_cell, pair.shape)
    spins, order = random_spins(pair, key=key), neel(ring).reshape(3, 2, 3)

    def found(moment):
        applied = (Zeeman((0.0, 0.3, 0.5), moment), ZeemanPulse((0.1, 0.0, 0.2), GaussianPulse(0.0, 1.0), moment))
        applied = (*applied, Zeeman(jnp.eye(2, 3), moment), Zeeman(0.1 * spins, moment))
        run = simulate(field, spins, duration=0.4, step=0.2, damping=0.1, moment=moment, temperature=0.1, key=key)
        yield from (term.field(spins) for term in applied)
        yield run.final
        yield suggest_timestep(field, spins, moment=moment)
        yield spin_wave_frequencies(field, order, moment=moment)
        yield magnetization(spins, moment)
        yield LLG(field, 0.1, moment=moment).vf(0.0, spins, None).field

    for one, other in zip(found(of_cell), found(everywhere), strict=True):
        np.testing.assert_array_equal(one, other)
    moved = Zeeman((0.0, 0.3, 0.5), of_cell).on(pair.resize(5))
    assert moved.field(random_spins(pair.resize(5), key=key))[4, 1].tolist() == [0.0, 0.6, 1.0]
    wrong = jnp.ones(3)
    with pytest.raises(ValueError, match=r"moment of shape \(3,\) .* or one per site, or \(2,\) for one a sublattice"):
        suggest_timestep(field, spins, moment=wrong)
    with pytest.raises(ValueError, match=r"moment of shape \(3,\) .* applied field \(2, 3\); .* each sublattice"):
        Zeeman(jnp.ones((2, 3)), wrong)
    with pytest.raises(ValueError, match=r"give \(3,\), \(2, 3\) for one a sublattice, or \(3, 2, 3\)"):
        Zeeman((0.0, 0.0, 1.0), wrong).energy(spins)


def test_one_moment_divides_all_frequencies_and_no_curvature():
    lattice = chain(6)
    field, order = Exchange(lattice, 1.0), ferromagnet(lattice)
    one, two = spin_waves(field, order), spin_waves(field, order, moment=2.0)
    np.testing.assert_allclose(two.frequencies, one.frequencies / 2, atol=1e-12)
    np.testing.assert_allclose(two.curvatures, one.curvatures, atol=1e-12)


def test_magnetization_of_moments(key):
    spins = random_spins(chain(5), key=key).at[1].set(0.0)
    moment = jnp.linspace(1.0, 3.0, 5)[:, None]
    np.testing.assert_allclose(magnetization(spins, moment), jnp.sum(moment[..., None] * spins, (0, 1)) / 4, atol=1e-15)
    np.testing.assert_allclose(magnetization(spins, 2.0), 2 * magnetization(spins), atol=1e-15)
    # where a state rests does not depend on them
    assert relax(Exchange(chain(5), 1.0), random_spins(chain(5), key=key)).converged
