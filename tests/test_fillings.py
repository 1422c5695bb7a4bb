"""Data of several fillings and temperatures, and learnt levels that hold the electrons of each label."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.forcefield import LearntLevels
from jaxspin.io.store import loaded, open_store, write_store
from jaxspin.training import LossScales, SpinData, evaluate, loss, loss_and_slope, predict
from jaxspin.training.electrons import couplings_of, electrons_of, sets_of
from jaxspin.training.fillings import prepared, references
from jaxspin.training.linearized import LinearizedSet

RING = js.chain(8)
FEATURES = js.LocalMoments(RING, coupling=2.0, hops=1, moments=4)
FILLINGS = (0.2, 0.3, 0.45)
TEMPERATURES = (0.1, 0.1, 0.3)
CONFIG = js.TrainConfig(steps=4, batch=3, evaluate_every=2, validation=0.25)

pytestmark = pytest.mark.usefixtures("optax_mixes_types")


def levels(filling=0.3, temperature=0.1):
    """A force field whose levels were trained, whatever to, and count from somewhere."""
    network = LearntLevels(
        FEATURES.n_features, (5,), filling=filling, temperature=temperature, levels=4, key=jax.random.key(1)
    )
    keys = iter(jax.random.split(jax.random.key(2), 100))
    network = jax.tree.map(lambda x: x + 0.3 * jax.random.normal(next(keys), x.shape, x.dtype), network)
    return js.BehlerParrinello(FEATURES, network)


def labelled(filling, temperature, count, seed, target=None):
    """Of learnt levels, which serve as a solver that is cheap."""
    spins = js.training.random_configurations(RING, count, key=jax.random.key(seed))
    target = levels() if target is None else target
    data = js.sample(target.filled(filling=filling, temperature=temperature), spins)
    return data.with_electrons(filling=filling, temperature=temperature)


@pytest.fixture(scope="module")
def mixed():
    parts = [labelled(n, t, 4, seed) for seed, (n, t) in enumerate(zip(FILLINGS, TEMPERATURES, strict=True))]
    return SpinData.concatenate(parts)


@pytest.fixture(scope="module")
def other():
    """A force field that is wrong about the data, with an origin of its levels."""
    model = levels().standardized(labelled(0.3, 0.1, 2, 5).spins, shift=0.1, scale=0.4, origin=-0.7)
    return eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: 0.8 * x, model.network))


def test_solvers_tell_the_data_their_electrons():
    model = js.SDModel(RING, coupling=2.0)
    exact = js.ExactDiagonalization(model, filling=0.25, temperature=0.1)
    data = js.sample(exact, js.training.random_configurations(RING, 2, key=jax.random.key(0)))
    np.testing.assert_allclose([data.filling, data.temperature], [[0.25] * 2, [0.1] * 2], rtol=1e-6)
    bloch = js.electrons.BlochDiagonalization(exact, points=2)
    polynomials = js.KernelPolynomial(model, filling=0.25, temperature=0.1, order=16)
    for field in (2 * exact + js.Exchange(RING, 1.0), bloch, polynomials):
        assert electrons_of(field) == pytest.approx((0.25, 0.1))
    at_fixed_level = js.ExactDiagonalization(model, chemical_potential=0.0, temperature=0.1)
    for field in (at_fixed_level, exact + at_fixed_level, js.Exchange(RING, 1.0)):
        assert electrons_of(field) == (None, None)


def test_solvers_tell_the_data_their_couplings():
    """As far as numbers tell them; `None` is no number that anything else is like."""

    def told(hopping, coupling=2.0, lattice=RING):
        return couplings_of(js.ExactDiagonalization(js.SDModel(lattice, hopping, coupling), filling=0.25))

    plain = js.ExactDiagonalization(js.SDModel(RING, coupling=2.0), filling=0.25)
    assert told(1.0) == {"hopping": (1.0,), "coupling": 2.0}
    assert told((1.0, jnp.float32(0.2)), jnp.float32(0.7)) == {"hopping": (1.0, 0.2), "coupling": 0.7}
    assert told((1.0, 0.0, -0.3, 0.0), lattice=js.square(6))["hopping"] == (1.0, 0.0, -0.3)
    assert told((js.Hopping(RING.shell(2)[0], 0.5),))["hopping"] == (0.0, 0.5)
    assert told(
        tuple(js.Hopping(b, t) for b, t in zip(js.square(6).shell(1), (1.0, 2.0), strict=True)), 2.0, js.square(6)
    ) == {
        "hopping": None,
        "coupling": 2.0,
    }
    assert told(js.electrons.rashba(js.square(6), 0.2), 2.0, js.square(6))["hopping"] is None
    assert told(1j)["hopping"] is None
    assert told(jnp.ones(8), jnp.ones((8, 1))) == {"hopping": None, "coupling": None}
    unknown = {"hopping": None, "coupling": None}
    assert couplings_of(2 * plain) == couplings_of(2 * (plain + js.Exchange(RING, 1.0))) == unknown
    assert couplings_of(plain + 2 * js.Exchange(RING, 1.0)) == told(1.0)
    assert couplings_of(plain + plain) == couplings_of(js.Exchange(RING, 1.0)) == {}


def test_sets_of_different_couplings_say_so():
    frames = js.training.random_configurations(RING, 2, key=jax.random.key(0))
    parts = [
        js.sample(js.ExactDiagonalization(js.SDModel(RING, 1.0, coupling), filling=0.25, temperature=0.1), frames)
        for coupling in (2.0, 2.0, 3.0)
    ]
    assert SpinData.concatenate(parts[:2]).attributes["params"] == {"hopping": [1.0], "coupling": 2.0}
    assert SpinData.concatenate(parts).attributes["params"] == {"hopping": [1.0], "coupling": None}


def test_electrons_are_kept_by_everything_that_keeps_data(mixed, tmp_path):
    again = SpinData.load(mixed.save(tmp_path / "data.zarr"))
    for data in (again, mixed[:], SpinData.concatenate([mixed[:5], mixed[5:]])):
        np.testing.assert_array_equal(data.filling, np.repeat(FILLINGS, 4).astype(data.filling.dtype))
        np.testing.assert_array_equal(data.temperature, np.repeat(TEMPERATURES, 4).astype(data.filling.dtype))
    held, fitted = mixed.split((4, 8), key=jax.random.key(0))
    assert sorted(np.asarray(fitted.filling).tolist() + np.asarray(held.filling).tolist()) == sorted(
        np.asarray(mixed.filling).tolist()
    )
    half = SpinData.concatenate([mixed[:2], mixed[2:4].with_electrons()])
    np.testing.assert_array_equal(np.isnan(half.filling), [False, False, True, True])


def test_older_stores_load_without_electrons(mixed, tmp_path):
    path = mixed.save(tmp_path / "data.zarr")
    with open_store(path) as stored:
        older = loaded(stored, path).drop_vars(["filling", "temperature"])
    write_store(older, tmp_path / "older.zarr", overwrite=False)
    assert np.isnan(SpinData.load(tmp_path / "older.zarr").filling).all()


@pytest.mark.parametrize(
    ("electrons", "words"),
    [
        ({"filling": [0.2, 1.5]}, r"filling of configuration 1 is 1\.5; .*half filling"),
        ({"temperature": -0.1}, "temperature of configuration 0 is -0.1; it is 0 or more"),
        ({"filling": [0.2, 0.3, 0.4]}, r"filling has shape \(3,\); give one number, or 2"),
    ],
)
def test_what_no_electrons_have_is_refused(mixed, electrons, words):
    with pytest.raises(ValueError, match=words):
        SpinData(RING, mixed.spins[:2], mixed.field[:2], **electrons)
    with pytest.raises(ValueError, match=words):
        mixed[:2].with_electrons(**electrons)


def test_every_configuration_is_judged_with_its_own_electrons(mixed, other):
    errors = evaluate(levels(), mixed)
    assert errors.torque < 1e-5
    assert errors.energy < 1e-6
    assert evaluate(levels(), mixed.with_electrons()).torque > 1e-2
    # those that do not know theirs, with the model's own
    unknown = SpinData.concatenate([mixed[:4], mixed[4:8].with_electrons(), mixed[8:]])
    assert evaluate(levels(), unknown).torque < 1e-5
    energies, fields = predict(other, mixed.spins, filling=mixed.filling, temperature=mixed.temperature)
    for k in (5, 11):
        alone = other.filled(filling=float(mixed.filling[k]), temperature=float(mixed.temperature[k]))
        energy, field = alone.energy_and_field(mixed.spins[k])
        np.testing.assert_allclose(energies[k], energy, rtol=1e-5)
        np.testing.assert_allclose(fields[k], field, atol=1e-5)
    errors = evaluate(other, mixed)
    apart = (np.asarray(energies) - np.asarray(mixed.energy)).reshape(3, 4) / 8
    assert errors.energy == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-4)
    assert errors.energy_centered == pytest.approx(np.sqrt(np.mean(np.var(apart, axis=1))), rel=1e-3)


def test_a_committee_is_judged_with_the_electrons_of_the_labels(mixed):
    committee = js.Committee([levels(), levels()])
    assert evaluate(committee, mixed).torque < 1e-5


def test_one_program_serves_all_fillings(mixed, other):
    with jax.log_compiles(False):
        traced = []

        @jax.jit
        def energy(filling):
            traced.append(filling)
            return other.filled(filling=filling).energy(mixed.spins[0])

        found = [energy(jnp.asarray(n, mixed.spins.dtype)) for n in FILLINGS]
    assert len(traced) == 1
    expected = [other.filled(filling=n).energy(mixed.spins[0]) for n in FILLINGS]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.double
def test_the_slope_in_the_filling_is_the_level_from_the_origin(mixed, other):
    def energy(n):
        return other.filled(filling=n).energy(mixed.spins[0])

    at = jnp.asarray(0.37)
    slope = jax.grad(energy)(at)
    np.testing.assert_allclose(slope, (energy(at + 1e-4) - energy(at - 1e-4)) / 2e-4, rtol=1e-6)
    without = eqx.tree_at(lambda m: m.origin, other, None).filled(filling=at)
    rows = FEATURES.rows(mixed.spins[0])
    network = without.network
    mu = network.fermi_level(network.parts(without._scaled(rows)), None, without.scale)
    np.testing.assert_allclose(slope, 2 * 8 * (without.scale * mu - 0.7), rtol=1e-6)


@pytest.mark.double
def test_slope_of_the_loss_is_that_of_the_numbers_with_and_without_stored_features(mixed, other):
    weights, frozen = eqx.partition(other.network, eqx.is_inexact_array)
    scales = LossScales.of(mixed, 0.5)
    stored = LinearizedSet.of(FEATURES, mixed.spins)

    def model_of(w):
        return eqx.tree_at(lambda m: m.network, other, eqx.combine(w, frozen))

    slopes = eqx.filter_jit(lambda known: loss_and_slope(model_of, weights, mixed, scales, 0.3, known))
    (value, slope), (stored_value, stored_slope) = slopes(None), slopes(stored)
    np.testing.assert_allclose(stored_value, value, rtol=1e-10)
    for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(stored_slope), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)

    keys = iter(jax.random.split(jax.random.key(4), 100))
    change = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape, x.dtype), weights)

    @jax.jit
    def moved(x):
        return loss(model_of(jax.tree.map(lambda a, b: a + x * b, weights, change)), mixed, scales, 0.3)

    along = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(change), strict=True))
    np.testing.assert_allclose(along, (moved(1e-5) - moved(-1e-5)) / 2e-5, rtol=1e-6)
    np.testing.assert_allclose(moved(0.0), value, rtol=1e-10)


def test_energies_are_measured_among_those_of_the_same_electrons(mixed):
    parts = np.asarray(mixed.energy).reshape(3, 4) / 8
    np.testing.assert_allclose(LossScales.of(mixed).energy, np.sqrt(np.mean(np.var(parts, axis=1))), rtol=1e-4)
    np.testing.assert_allclose(LossScales.of(mixed.with_electrons()).energy, np.std(parts), rtol=1e-4)
    assert len(sets_of(mixed.filling, mixed.temperature)[0]) == 3
    # a straight line in n is all shift and origin
    line = SpinData(RING, mixed.spins, mixed.field, 8 * (0.3 - 5.0 * 2 * np.asarray(mixed.filling)))
    np.testing.assert_allclose(references(line.with_electrons(filling=mixed.filling)), (0.3, -5.0), rtol=1e-4)
    assert references(line)[1] is None
    assert references(mixed[:4])[1] is None


def test_labels_of_one_filling_train_as_if_it_were_the_network_s_own(mixed):
    plain = js.train(levels(0.2, 0.1), mixed[:4].with_electrons(), CONFIG)
    told = js.train(levels(0.6, 0.3), mixed[:4], CONFIG)
    assert told.model.network.filling == pytest.approx(0.2)
    for a, b in zip(jax.tree.leaves(told.model), jax.tree.leaves(plain.model), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    # without levels nothing of the electrons is left, and a step is what it was
    network = js.BehlerParrinello(FEATURES, hidden=(4,))
    same, data = prepared(network, mixed[:4])
    assert same is network
    assert np.isnan([data.filling, data.temperature]).all()


def test_the_origin_of_levels_is_stored(mixed, other, tmp_path):
    js.forcefield.save(tmp_path / "model", other)
    for model in (js.forcefield.load(tmp_path / "model"), js.forcefield.load(tmp_path / "model", like=levels())):
        assert float(model.origin) == pytest.approx(-0.7)
        np.testing.assert_array_equal(model.energy(mixed.spins[0]), other.energy(mixed.spins[0]))


@pytest.mark.slow
def test_training_on_several_fillings_by_both_ways_and_stored(mixed, tmp_path):
    start = levels(0.35)
    stored, computed = (js.train(start, mixed, dataclasses.replace(CONFIG, memory=m)) for m in (4.0, 0.0))
    for a, b in zip(jax.tree.leaves(stored.model), jax.tree.leaves(computed.model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert stored.model.origin is not None
    assert stored.model.network.filling == 0.35
    js.forcefield.save(tmp_path / "model", stored.model)
    again = js.forcefield.load(tmp_path / "model")
    assert evaluate(again, mixed) == evaluate(stored.model, mixed)
    committee = js.Committee([stored.model, again])
    js.forcefield.save(tmp_path / "committee", committee)
    loaded = js.forcefield.load(tmp_path / "committee")
    assert evaluate(loaded, mixed).energy == pytest.approx(evaluate(again, mixed).energy, rel=1e-4)


def test_a_network_that_cannot_tell_electrons_apart_says_what_to_do(mixed):
    network = js.BehlerParrinello(FEATURES, hidden=(4,))
    with pytest.raises(ValueError, match=r"n = 0\.2 at T = 0\.1, .*LearntLevels; data\.with_electrons\(\) forgets"):
        js.train(network, mixed, CONFIG)
    assert js.train(network, mixed.with_electrons(), CONFIG).best_step > 0
    with pytest.raises(ValueError, match=r"leave out filling="):
        predict(network, mixed.spins, filling=0.3)
    with pytest.raises(ValueError, match="leave out fillings of 0 and 1"):
        js.train(levels(), mixed.with_electrons(filling=np.linspace(0, 0.5, 12)), CONFIG)


def test_no_electrons_and_a_descriptor_of_another_filling_are_refused(mixed):
    for filling in (0.0, 1.0):
        with pytest.raises(ValueError, match="has no electrons or no holes"):
            predict(levels(), mixed.spins, filling=filling)
    described = js.BehlerParrinello(js.descriptors.AtFilling(FEATURES, filling=0.5), hidden=(4,))
    one = mixed[:4]
    with pytest.raises(ValueError, match=r"made for a filling of 0\.5, the labels are of n = 0\.2 .*filling=0\.2"):
        js.train(described, one, CONFIG, key=jax.random.key(0))
    right = js.BehlerParrinello(js.descriptors.AtFilling(FEATURES, filling=0.2), hidden=(4,))
    assert js.train(right, one, CONFIG, key=jax.random.key(0)).model.lattice == RING
