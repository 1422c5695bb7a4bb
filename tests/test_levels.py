"""Learnt levels filled to a common Fermi level: the laws of a metal, whatever the weights are."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.stages import Electrons, Messages, Moments, Network
from jaxspin.electrons import fermi
from jaxspin.forcefield import LearntLevels
from jaxspin.training import SpinData, TrainConfig


def network(features, *, filling=0.3, temperature=0.1, levels=5, key=None):
    key = jax.random.key(1) if key is None else key
    made = LearntLevels(features, (6,), filling=filling, temperature=temperature, levels=levels, key=key)
    keys = iter(jax.random.split(jax.random.key(2), 100))
    # weights that were trained, whatever to
    return jax.tree.map(lambda x: x + 0.3 * jax.random.normal(next(keys), x.shape, x.dtype), made)


@pytest.fixture(scope="module")
def model():
    features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=6)
    return js.BehlerParrinello(features, network(features.n_features))


def test_the_levels_hold_the_electrons_of_the_filling(key):
    made = network(3)
    parts = made.parts(jax.random.normal(key, (50, 3)))
    levels, weights = made.local_levels(parts)
    np.testing.assert_allclose(jnp.sum(weights, -1), 2, rtol=1e-6)
    mu = made.fermi_level(parts)
    held = fermi.electrons(levels, weights, mu, made.broadening())
    np.testing.assert_allclose(held, 2 * 0.3 * 50, rtol=1e-6)


def test_the_energy_is_the_free_energy_of_the_levels_at_the_temperature_in_units_of_the_hopping(model, key):
    """Against the ensemble that the exact solver fills, with an energy that counts as 1 of its own."""
    scaled = model.standardized(js.random_spins(model.lattice, key=key)[None], scale=0.05).filled(temperature=0.2)

    def both(spins):
        parts = scaled.network.parts(scaled._scaled(scaled.descriptor.rows(spins)))
        levels, weights = (x.ravel() for x in scaled.network.local_levels(parts))
        order = jnp.argsort(levels)
        width = float(jnp.exp(scaled.network.width[...])) * 0.05
        ensemble = js.electrons.Ensemble(filling=0.3, temperature=float(np.hypot(width, 0.2)))
        return scaled.energy(spins), ensemble.energy(0.05 * levels[order], weights[order], 16)

    own, known = zip(*(both(js.random_spins(model.lattice, key=k)) for k in jax.random.split(key)), strict=True)
    np.testing.assert_allclose(own[1] - own[0], known[1] - known[0], rtol=1e-4, atol=1e-6)
    assert abs(float(own[1] - own[0])) > 1e-4


def test_an_untrained_network_has_no_energy(key):
    made = LearntLevels(3, (4,), filling=0.2, temperature=0.3, key=key)
    np.testing.assert_allclose(made(jax.random.normal(key, (7, 3))), 0, atol=1e-6)


def test_the_energy_is_stationary_and_largest_at_the_fermi_level(key):
    made = network(3)
    parts = made.parts(jax.random.normal(key, (20, 3)))
    mu, energy = made.fermi_level(parts), jnp.sum(made.energies(parts))

    def at(mu):
        return jnp.sum(made.energies_at(parts, mu))

    np.testing.assert_allclose(at(mu), energy, rtol=1e-6)
    assert abs(float(jax.grad(at)(mu))) < 1e-4
    assert float(at(mu + 0.3)) < float(energy) > float(at(mu - 0.3))


def test_the_slope_in_the_filling_is_the_fermi_level(model, key):
    spins = js.random_spins(model.lattice, key=key)
    step = 1e-2
    up, down = (model.filled(filling=0.3 + x).energy(spins) for x in (step, -step))
    rows = model.descriptor.rows(spins)
    mu = model.network.fermi_level(model.network.parts(rows.reshape(len(rows), -1).T))
    np.testing.assert_allclose((up - down) / (2 * step), 2 * 8 * mu, rtol=2e-3)


def test_the_energy_is_extensive_and_the_field_its_slope(model, key):
    spins = js.random_spins(model.lattice, key=key)
    energy, field = model.energy_and_field(spins)
    larger = model.on(js.chain(24))
    of_larger, field_of_larger = larger.energy_and_field(jnp.tile(spins, (3, 1, 1)))
    np.testing.assert_allclose(of_larger, 3 * energy, rtol=1e-5)
    np.testing.assert_allclose(field_of_larger[:8], field, atol=1e-5)
    np.testing.assert_allclose(jnp.sum(model.site_energies(spins)), energy, rtol=1e-6)
    js.testing.assert_field_is_gradient(model, spins, key=key, atol=1e-6 if spins.dtype == jnp.float64 else 1e-2)


def test_what_is_far_away_moves_the_level(key):
    features = js.LocalMoments(js.chain(24), coupling=2.0, hops=2, moments=6)
    common = js.BehlerParrinello(features, network(features.n_features))
    spins = js.random_spins(features.lattice, key=key)
    other = spins.at[12].set(-spins[12])
    assert float(jnp.max(jnp.abs(common.field(other)[0] - common.field(spins)[0]))) > 1e-5


@pytest.mark.double
def test_derivatives_of_the_field_with_respect_to_the_weights_go_through_the_level(model, key):
    spins = js.random_spins(model.lattice, key=key)
    arrays, rest = eqx.partition(model.network, eqx.is_inexact_array)
    keys = iter(jax.random.split(key, 100))
    change = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape, x.dtype), arrays)

    @jax.jit
    def field(x):
        moved = jax.tree.map(lambda a, b: a + x * b, arrays, change)
        return eqx.tree_at(lambda m: m.network, model, eqx.combine(moved, rest)).field(spins)

    _, slope = jax.jvp(field, (0.0,), (1.0,))
    step = 1e-4
    np.testing.assert_allclose(slope, (field(step) - field(-step)) / (2 * step), atol=1e-6)


def test_vacancies_hold_no_electrons(model, key):
    spins = js.random_spins(model.lattice, key=key)
    empty = jnp.concatenate([spins, jnp.zeros_like(spins)])
    larger = model.on(js.chain(16))
    assert np.all(np.asarray(larger.site_energies(empty))[8:] == 0)
    rows = larger.descriptor.rows(empty)
    scaled = rows.reshape(len(rows), -1).T
    parts = model.network.parts(scaled)
    held = jnp.concatenate([jnp.ones(8), jnp.zeros(8)]).astype(parts.dtype)
    mu = model.network.fermi_level(parts[:8])
    np.testing.assert_allclose(model.network.fermi_level(parts, held), mu, rtol=1e-5)
    np.testing.assert_allclose(larger.energy(empty), jnp.sum(model.network(scaled[:8])), rtol=1e-5)


def test_stored_in_a_committee_and_drawn_anew_it_is_the_same(model, key, tmp_path):
    spins = js.random_spins(model.lattice, key=key)
    other = model.filled(filling=0.4, temperature=0.2)
    js.forcefield.save(tmp_path / "one", other)
    again = js.forcefield.load(tmp_path / "one")
    np.testing.assert_array_equal(again.field(spins), other.field(spins))
    members = [model.redrawn(k) for k in jax.random.split(key, 2)]
    assert members[0].network.filling == 0.3
    committee = js.Committee([model, eqx.tree_at(lambda m: m.network, model, network(model.descriptor.n_features))])
    np.testing.assert_allclose(committee.field(spins), model.field(spins), atol=1e-5)


def test_it_learns_what_is_not_a_sum_over_sites(optax_mixes_types):
    """The free energy of fixed levels that the neighbours shift: mu is the same everywhere, and no site knows it."""
    lattice = js.chain(8)
    features = js.LocalMoments(lattice, coupling=2.0, hops=1, moments=4)
    target = js.BehlerParrinello(features, network(features.n_features))
    spins = js.training.random_configurations(lattice, 30, key=jax.random.key(3))
    data: SpinData = js.sample(target, spins, progress=False)
    config = TrainConfig(steps=150, batch=6, learning_rate=2e-2, validation=0.2)
    start = js.BehlerParrinello(
        features, LearntLevels(features.n_features, (6,), filling=0.3, levels=5, key=jax.random.key(0))
    )
    learnt = js.train(start, data, config, key=jax.random.key(1), progress=False)
    assert js.training.evaluate(learnt.model, data).torque < 0.3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"filling": 0.0}, "half filling"),
        ({"filling": 1.2}, "half filling"),
        ({"filling": 0.5, "temperature": -1.0}, "ground state"),
        ({"filling": 0.5, "levels": 1}, "levels=8"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        LearntLevels(3, (4,), key=jax.random.key(0), **options)
    if "levels" not in options:
        with pytest.raises(ValueError, match=words):
            network(3).at(**options)


def test_between_leads_there_is_no_filling():
    lattice = js.square(4, 2, periodic=(False, True))
    moments = js.LocalMoments(lattice, coupling=2.0, hops=1, moments=4, wrap=True)
    between = js.descriptors.BetweenLeads(js.descriptors.NearEnds(moments), voltage=0.1)
    with pytest.raises(ValueError, match="no filling"):
        js.BehlerParrinello(between, network(between.n_features))


def test_an_experiment_asks_for_levels():
    asked = Network(Moments(hops=1, moments=4), hidden=(4,), levels=4)
    made = asked.on(Electrons("triangular", coupling=3.0, filling=0.25, temperature=0.05), 6).network
    assert isinstance(made, LearntLevels)
    assert (made.levels, made.filling, made.temperature) == (4, 0.25, 0.05)
    with pytest.raises(ValueError, match="cannot be filled in part"):
        Network(levels=1)
    with pytest.raises(ValueError, match=r"use --network\.levels 0"):
        Network(Messages(), levels=4)
