"""What a force field knows of what it learnt from: distances against NumPy, states never seen, storage, runs."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.forcefield import BehlerParrinello, Committee, GeneralizedPotential, MessagePassing, load, save
from jaxspin.training import perturbed_configurations, random_configurations, train
from tests.helpers import counting_compilations
from tests.test_committee import RING, SHORT, random_model

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

LATTICE = RING.lattice
# an inverse of condition 1e8, in double precision
CLOSE = 1e-6


@pytest.fixture(scope="module")
def known():
    """Configurations near order, some spins missing."""
    spins = perturbed_configurations(js.textures.neel(LATTICE), jnp.linspace(0.05, 0.3, 200), key=jax.random.key(0))
    return spins.at[::3, 2].set(0.0)


@pytest.fixture(scope="module")
def model(known):
    return random_model(0).familiar_with(known)


def test_it_is_the_mahalanobis_distance_over_its_quantile(model, known):
    """As NumPy has it of all features at once, for known and for other spins."""

    def features(spins):
        found = np.stack([np.asarray(model.descriptor(s)) for s in spins])
        return (found - np.asarray(model.mean)) / np.asarray(model.deviation)

    there = np.any(np.asarray(known) != 0, axis=-1)
    learnt = features(known)[there]
    covariance = np.cov(learnt.T, bias=True)
    inverse = np.linalg.inv(covariance + 1e-8 * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))

    def distance(x):
        apart = x - learnt.mean(axis=0)
        return np.sqrt(np.einsum("...i,ij,...j->...", apart, inverse, apart))

    usual = np.quantile(distance(learnt), 0.99)
    for spins in (known[:5], random_configurations(LATTICE, 3, key=jax.random.key(1))):
        found = jax.vmap(model.unfamiliarity)(spins)
        there = np.any(np.asarray(spins) != 0, axis=-1)
        expected = np.where(there, distance(features(spins)) / usual, 0)
        np.testing.assert_allclose(found, expected, rtol=CLOSE, atol=CLOSE)
        share = (expected > 1).sum(axis=(1, 2)) / there.sum(axis=(1, 2))
        np.testing.assert_allclose(jax.vmap(model.unfamiliar)(spins), share)
    # over all that it knows, by its definition
    beyond = (np.asarray(jax.vmap(model.unfamiliarity)(known)) > 1).sum() / np.any(np.asarray(known) != 0, -1).sum()
    assert beyond == pytest.approx(0.01, abs=1e-3)


def test_it_tells_what_it_knows_from_what_it_does_not(model):
    near = perturbed_configurations(js.textures.neel(LATTICE), [0.1, 0.2], key=jax.random.key(7))
    far = {
        "random": random_configurations(LATTICE, 2, key=jax.random.key(8)),
        "other order": perturbed_configurations(js.textures.ferromagnet(LATTICE), [0.1, 0.2], key=jax.random.key(9)),
    }
    assert max(float(model.unfamiliar(s)) for s in near) < 0.2
    for name, spins in far.items():
        assert min(float(model.unfamiliar(s)) for s in spins) > 0.7, name


def test_it_belongs_to_sites_and_not_to_sizes(model, known):
    spins = known[1]
    large = model.on(js.chain(16))
    np.testing.assert_allclose(
        large.unfamiliarity(jnp.concatenate([spins, spins])), jnp.tile(model.unfamiliarity(spins), (2, 1)), atol=CLOSE
    )
    assert np.all(np.asarray(model.unfamiliarity(known[0]))[2] == 0)
    single = spins.astype(jnp.float32)
    assert model.unfamiliarity(single).dtype == model.unfamiliar(single).dtype == jnp.float32
    assert float(model.unfamiliar(jnp.zeros_like(spins))) == 0
    others = known[2]
    with counting_compilations() as compilations:
        model.unfamiliar(others)
    assert compilations == []


def test_the_fields_are_as_without_it(model, known):
    plain = random_model(0)
    np.testing.assert_array_equal(model.field(known[0]), plain.field(known[0]))


@pytest.mark.parametrize("kind", ["one", "committee", "generalized"])
def test_stored_and_read_it_is_the_same_and_older_files_have_none(kind, known, tmp_path):
    def made(familiar):
        models = [random_model(n) for n in range(2)]
        models = [m.familiar_with(known) for m in models] if familiar else models
        if kind == "committee":
            return Committee(models).calibrated(known)
        return models[0] if kind == "one" else GeneralizedPotential.of(models[0], hidden=(3,))

    spins = random_configurations(LATTICE, 1, key=jax.random.key(2))[0]
    given, without = made(True), made(False)
    save(tmp_path / "with", given)
    save(tmp_path / "without", without)
    assert "familiarity" not in str(without.settings())
    for like in (None, given, without):
        read = load(tmp_path / "with", like=like)
        for one, other in zip(jax.tree.leaves(read), jax.tree.leaves(given), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(read.unfamiliarity(spins), given.unfamiliarity(spins))
        read = load(tmp_path / "without", like=like)
        assert len(jax.tree.leaves(read)) == len(jax.tree.leaves(without))


def test_training_keeps_what_it_learnt_from(ring_data, tmp_path):
    learnt = train(BehlerParrinello(descriptor=RING, hidden=(4,)), ring_data, SHORT, checkpoint=tmp_path / "a").model
    held, fitted = ring_data.split((0.25, 0.75), key=jax.random.split(jax.random.key(0))[0], by=SHORT.split)
    known, expected, other = (m.familiarity for m in (learnt, *map(learnt.familiar_with, (fitted.spins, held.spins))))
    assert known is not None
    assert expected is not None
    assert other is not None
    np.testing.assert_array_equal(known.whitening, expected.whitening)
    assert float(expected.usual) != float(other.usual)
    # trained on, it knows the new set, and its checkpoint is still found
    again = train(learnt, ring_data, SHORT, checkpoint=tmp_path / "b").model
    resumed = train(learnt, ring_data, SHORT, checkpoint=tmp_path / "b").model
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    driven = train(GeneralizedPotential(RING, hidden=(4,)), ring_data, SHORT).model
    assert driven.unfamiliar(ring_data.spins[0]) <= 0.25
    passing = BehlerParrinello(LATTICE, MessagePassing(LATTICE, fields=1, layers=1, key=jax.random.key(0)))
    assert train(passing, ring_data, SHORT).model.familiarity is None


def test_what_nothing_is_known_of_is_refused_with_the_remedy(model, known):
    with pytest.raises(ValueError, match=r"does not know what it learnt from; use model\.familiar_with\(spins\)"):
        random_model(0).unfamiliarity(known[0])
    assert model.redrawn(jax.random.key(0)).familiarity is None
    assert model.standardized(known).familiarity is None
    passing = BehlerParrinello(LATTICE, MessagePassing(LATTICE, fields=1, layers=1, key=jax.random.key(0)))
    for call in (passing.unfamiliar, lambda spins: passing.familiar_with(spins[None])):
        with pytest.raises(ValueError, match=r"MessagePassing reads spins and no features of a site .* committee"):
            call(known[0])
    with pytest.raises(ValueError, match="member 1 has another familiarity than the first"):
        Committee([model, random_model(1)])


def test_one_state_alone_is_known_and_nothing_else():
    order = js.textures.ferromagnet(LATTICE)
    model = random_model(0).familiar_with(order[None])
    assert np.all(np.isfinite(model.unfamiliarity(order)))
    assert float(model.unfamiliar(js.random_spins(LATTICE, key=jax.random.key(0)))) == 1


def test_a_run_that_leaves_what_is_known_is_told_of(model, known, tmp_path):
    start = js.textures.neel(LATTICE)
    field = js.Exchange(LATTICE, -1.0)
    settings = {"step": 0.05, "damping": 0.1, "temperature": 3.0, "key": jax.random.key(0), "save_every": 0.5}
    run = js.simulate(field, start, duration=5.0, **settings)
    assert run.spins is not None
    shares = np.array([float(model.unfamiliar(s)) for s in run.spins])
    assert shares[0] == 0
    first = int(np.flatnonzero(shares > 0.1)[0])
    told = rf"{100 * shares[first]:.0f} % of them at t = {run.times[first]:g},.* where 1 % is usual\. Label some"
    with pytest.warns(UserWarning, match=told):
        np.testing.assert_allclose(run.unfamiliar(model), shares)
    stored = js.simulate(field, start, duration=5.0, store=tmp_path / "run.zarr", **settings)
    with pytest.warns(UserWarning, match=told):
        np.testing.assert_allclose(stored.unfamiliar(model), shares)
    ended = js.simulate(field, start, duration=5.0, until=lambda t, spins: model.unfamiliar(spins) > 0.1, **settings)
    assert bool(ended.stopped)
    assert ended.frames == first + 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        still = js.simulate(field, start, duration=1.0, step=0.1, damping=0.1)
        assert np.all(np.asarray(still.unfamiliar(model)) == 0)
    with pytest.raises(TypeError, match="a SumPotential learnt from no configurations; give a BehlerParrinello"):
        run.unfamiliar(model + field)
    with pytest.raises(ValueError, match="does not know what it learnt from"):
        run.unfamiliar(random_model(0))
