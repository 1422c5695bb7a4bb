"""Overlaps of replicas, the susceptibility of a spin glass and aging, against sums over all pairs of sites."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin import observables as ob
from tests.helpers import by_precision, frames

pytestmark = pytest.mark.users
NEAR = by_precision(1e-12, 2e-5)
LATTICES = [js.chain(5), js.kagome(3, 2), js.square(4, 3, periodic=(True, False))]


def diluted_frames(lattice, number):
    """Vacancies that all frames share."""
    occupied = js.electrons.diluted(lattice, 0.25, key=jax.random.key(3))
    found = jnp.asarray(frames(lattice, number), jnp.result_type(float))
    return jnp.where(occupied[None, ..., None], found, 0), occupied


def pair_sums(replicas, occupied):
    """(1/N) <S_i . S_j>_a <S_i . S_j>_b over the pairs of replicas, `(sites, sites)`."""
    flat = np.asarray(replicas).reshape(len(replicas), -1, 3)
    products = np.einsum("aic,ajc->aij", flat, flat)
    pairs = [products[a] * products[b] for a in range(len(flat)) for b in range(a)]
    return np.mean(pairs, axis=0) / np.sum(np.asarray(occupied))


@pytest.mark.parametrize("lattice", LATTICES, ids=lambda x: x.name)
def test_susceptibility_is_the_sum_over_pairs_of_sites(lattice):
    replicas, occupied = diluted_frames(lattice, 4)
    pairs = pair_sums(replicas, occupied)
    assert float(ob.spin_glass_susceptibility(lattice, replicas)) == pytest.approx(pairs.sum(), abs=NEAR)
    places = lattice.positions().reshape(lattice.sites, -1)
    apart = places[:, None] - places[None]
    waves = np.cos(np.einsum("...d,ijd->...ij", ob.wavevectors(lattice), apart))
    found = ob.spin_glass_structure_factor(lattice, replicas)
    np.testing.assert_allclose(found, np.einsum("...ij,ij->...", waves, pairs), atol=NEAR)


def test_overlaps_do_not_mind_a_rotation_of_one_replica():
    lattice = js.square(4)
    first, second = jnp.asarray(frames(lattice, 2), jnp.result_type(float))
    turn = jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0], first.dtype)
    q, turned = ob.replica_overlap(first, second), ob.replica_overlap(first, second @ turn)
    np.testing.assert_allclose(turned, q @ turn, atol=NEAR)
    itself = ob.replica_overlap(first, first @ turn)
    assert float(jnp.sum(itself**2)) == pytest.approx(float(jnp.sum(ob.replica_overlap(first, first) ** 2)), abs=NEAR)
    assert float(jnp.trace(ob.replica_overlap(first, first))) == pytest.approx(1, abs=NEAR)


def test_paramagnet_and_frozen_sample():
    """1 for spins that know nothing of each other; N q^2 where all replicas are one, as a whole turned."""
    lattice = js.square(12)
    spins = jnp.asarray(frames(lattice, 24), jnp.result_type(float))
    assert float(ob.spin_glass_susceptibility(lattice, spins)) == pytest.approx(1, abs=0.15)
    turns = [np.linalg.qr(np.random.default_rng(n).normal(size=(3, 3)))[0] for n in range(3)]
    frozen = jnp.stack([spins[0] @ jnp.asarray(t, spins.dtype) for t in turns])
    order = float(jnp.sum(ob.replica_overlap(spins[0], spins[0]) ** 2))
    assert order == pytest.approx(1 / 3, abs=0.02)
    assert float(ob.spin_glass_susceptibility(lattice, frozen)) == pytest.approx(144 * order, rel=1e-4)


def test_thermal_means_of_a_pair_are_squared_without_bias():
    """Two spins with J S_1 . S_2 at temperature T: <S_1 . S_2> = coth K - 1/K, K = J/T, m, so chi = 1 + m^2:
    each spin with itself has 1."""
    rng, count, strength = np.random.default_rng(5), 400, 2.0
    lattice = js.chain(2, periodic=False)
    cosine = np.log(rng.uniform(np.exp(-strength), np.exp(strength), size=count)) / strength
    first = frames(js.chain(1), count)[:, 0, 0]
    aside = np.cross(first, rng.normal(size=(count, 3)))
    aside /= np.linalg.norm(aside, axis=-1, keepdims=True)
    second = cosine[:, None] * first + np.sqrt(1 - cosine**2)[:, None] * aside
    replicas = jnp.asarray(np.stack([first, second], axis=1)[:, :, None], jnp.result_type(float))
    mean = 1 / np.tanh(strength) - 1 / strength
    assert float(ob.spin_glass_susceptibility(lattice, replicas)) == pytest.approx(1 + mean**2, abs=0.05)


@pytest.mark.parametrize("lattice", LATTICES[:2], ids=lambda x: x.name)
def test_two_time_correlation_is_the_mean_product(lattice):
    spins, occupied = diluted_frames(lattice, 5)
    flat = np.asarray(spins).reshape(5, -1)
    expected = flat @ flat.T / int(occupied.sum())
    np.testing.assert_allclose(ob.two_time_correlation(lattice, spins), expected, atol=NEAR)
    np.testing.assert_allclose(np.diag(expected), 1, atol=NEAR)


REFUSED = {
    "not two or more configurations; give": lambda x, s: ob.spin_glass_susceptibility(x, s[:1]),
    "are not two or more": lambda x, s: ob.spin_glass_structure_factor(x, s[0]),
    "stack those of a run": lambda x, s: ob.two_time_correlation(x, s[0]),
    "are of two lattices; give two of one": lambda x, s: ob.replica_overlap(s[0], s[0][:2]),
    "do not fit the chain lattice": lambda x, s: ob.two_time_correlation(x, s[:, :3]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message](js.chain(5), jnp.asarray(frames(js.chain(5), 3), jnp.result_type(float)))


def test_frames_of_different_vacancies_and_none_are_refused(key):
    lattice = js.square(4)
    spins = jnp.stack([js.random_spins(lattice, key=key)] * 2)
    first = (0,) * (spins.ndim - 2)
    with pytest.raises(ValueError, match="different vacancies; give those of one run"):
        ob.two_time_correlation(lattice, spins.at[(0, *first)].set(0.0))
    np.testing.assert_allclose(ob.two_time_correlation(lattice, spins.at[(slice(None), *first)].set(0.0)), 1.0)
    with pytest.raises(ValueError, match="no frame to correlate"):
        ob.two_time_correlation(lattice, spins[:0])
