"""Labels: those of the potential, at their times, of configurations that are uniform, near, or no copies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange, GaussianPulse, Zeeman, ZeemanPulse
from jaxspin.dynamics import simulate
from jaxspin.lattice import chain, square
from jaxspin.spins import dilute, random_rotation, random_spins, rotate, tangent
from jaxspin.textures import stripe
from jaxspin.training import distinct, perturbed_configurations, random_configurations, sample

ROUNDING = 1e-11  # sums of a few hundred numbers of order one


def test_labels_are_those_of_the_potential():
    """Whatever the batch, a remainder included."""
    lattice = square(4)
    potential = Exchange(lattice, (1.0, -0.3)) + Zeeman([0.0, 0.1, 0.2])
    spins = random_configurations(lattice, 5, key=jax.random.key(0))
    for batch in (1, 2, 8):
        data = sample(potential, spins, source="hot", batch=batch)
        assert data.lattice == lattice
        assert data.sources == ("hot",) * 5
        assert jnp.all(data.has_energy)
        np.testing.assert_array_equal(data.run, np.arange(5))
        np.testing.assert_array_equal(data.spins, spins)
        for n in range(5):
            energy, field = potential.energy_and_field(spins[n])
            assert data.energy[n] == pytest.approx(float(energy), abs=ROUNDING)
            np.testing.assert_allclose(data.field[n], field, atol=ROUNDING)


def test_frames_of_a_trajectory_are_one_run(key):
    lattice = chain(6)
    potential = Exchange(lattice, 1.0)
    run = simulate(potential, random_spins(lattice, key=key), duration=1.0, step=0.1, save_every=0.5)
    data = sample(potential, run, source="quench")
    assert len(data) == len(run) == 3
    np.testing.assert_array_equal(data.spins, run.spins)
    np.testing.assert_array_equal(data.run, 0)
    np.testing.assert_array_equal(sample(potential, run, run=7).run, 7)
    np.testing.assert_array_equal(sample(potential, run.spins, run=7).run, 7)
    assert data.energy[0] == pytest.approx(float(potential.energy(run.spins[0])), abs=ROUNDING)


def test_frames_are_labelled_at_their_times(key):
    lattice = chain(4)
    pulse = ZeemanPulse([1.0, 0.0, 0.0], GaussianPulse(0.8, 0.3))
    potential = Exchange(lattice, 1.0) + pulse
    run = simulate(potential, random_spins(lattice, key=key), duration=1.0, step=0.1, save_every=0.25)
    data = sample(potential, run, batch=2)
    np.testing.assert_allclose(data.energy, run.energy(potential), atol=ROUNDING)
    for n, t in enumerate(run.times):
        np.testing.assert_allclose(data.field[n], potential.field(run.spins[n], t), atol=ROUNDING)
    np.testing.assert_allclose(sample(potential, run.spins).energy[-1], potential.energy(run.final), atol=ROUNDING)


def test_what_cannot_be_labelled_is_refused(key):
    lattice = chain(6)
    spins = random_spins(lattice, key=key)
    with pytest.raises(ValueError, match="label with a sum that contains the electrons or an exchange"):
        sample(Zeeman([0.0, 0.0, 1.0]), spins[None])
    potential = Exchange(lattice, 1.0)
    run = simulate(potential, spins, duration=1.0, step=0.1, save=lambda t, s: jnp.sum(s))
    with pytest.raises(ValueError, match=r"simulate without save=\.\.\., or pass the spins"):
        sample(potential, run)


def test_random_configurations_are_uniform_and_independent(key):
    spins = np.asarray(random_configurations(square(10), 20, key=key))
    assert spins.shape == (20, 10, 10, 1, 3)
    np.testing.assert_allclose(np.linalg.norm(spins, axis=-1), 1, atol=1e-14)
    flat = spins.reshape(20, -1, 3)
    error = 2000**-0.5  # of the mean of 2000 numbers of variance below one; five of them
    np.testing.assert_allclose(flat.mean(axis=(0, 1)), 0, atol=5 * error)
    np.testing.assert_allclose(np.einsum("nia,nib->ab", flat, flat) / 2000, np.eye(3) / 3, atol=5 * error)
    between = np.einsum("nia,mia->nm", flat, flat) / 100
    np.testing.assert_allclose(between, np.eye(20), atol=0.35)  # six times the rms of 1/sqrt(300)
    np.testing.assert_array_equal(spins, random_configurations(square(10), 20, key=key))
    assert random_configurations(square(3), 2, key=key, dtype=jnp.float32).dtype == jnp.float32


def test_perturbed_configurations_leave_the_texture_by_their_amplitude(key):
    """<|v|^2> = 2 a^2 for small a, v the tangential displacement; a large amplitude forgets the texture."""
    texture = stripe(square(20))
    spins = perturbed_configurations(texture, [0.0, 0.01, 0.1, 1e4], key=key)
    np.testing.assert_allclose(jnp.linalg.norm(spins, axis=-1), 1, atol=1e-14)
    np.testing.assert_allclose(spins[0], texture, atol=1e-15)
    for n, amplitude in ((1, 0.01), (2, 0.1)):
        square_ = jnp.mean(jnp.sum(tangent(texture, spins[n]) ** 2, axis=-1))
        assert square_ == pytest.approx(2 * amplitude**2, rel=0.2)  # 800 squares, and terms of order a^2
    assert abs(jnp.mean(jnp.sum(spins[3] * texture, axis=-1))) < 0.15
    assert jnp.max(jnp.abs(spins[1] - spins[2])) > 0.1
    occupied = jax.random.uniform(key, texture.shape[:-1]) > 0.3
    holes = perturbed_configurations(dilute(texture, occupied), [0.1, 0.5], key=key)
    np.testing.assert_array_equal(jnp.any(holes != 0, axis=-1), jnp.broadcast_to(occupied, holes.shape[:-1]))


def test_near_copies_are_left_out(key):
    """Turned, reversed and slightly disturbed copies go, independent ones stay; vacancies do not make spins alike."""
    lattice = square(8)
    first, second = random_configurations(lattice, 2, key=key)
    turned = rotate(first, random_rotation(key=key))
    disturbed = perturbed_configurations(second, [0.05, 0.5], key=key)
    spins = jnp.stack([first, turned, -turned, second, *disturbed, first])
    assert distinct(spins) == [0, 3, 5]
    assert distinct(spins, overlap=1.0 - 1e-12) == [0, 3, 4, 5]
    holes = jnp.broadcast_to(jnp.arange(8 * 8).reshape(lattice.shape) % 3 > 0, spins.shape[:-1])
    assert distinct(dilute(spins, holes)) == [0, 3, 5]
    with pytest.raises(ValueError, match=r"0\.99 keeps"):
        distinct(spins, overlap=0.0)
