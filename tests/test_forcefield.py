"""The learnt potential: symmetry, size, vacancies, precision, and storage that gives every bit back."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.descriptors import Bispectrum
from jaxspin.forcefield import BehlerParrinello, load, load_metadata, save
from jaxspin.forcefield.checkpoint import _check_model
from jaxspin.lattice import honeycomb, square, triangular
from jaxspin.spins import dilute, random_spins
from jaxspin.testing import assert_field_is_gradient, assert_invariant
from jaxspin.training import Learnt
from tests.helpers import compiled

INVARIANCE = 1e-10  # sums of a few hundred site energies of order one, in double precision
DIFFERENCE = 1e-6  # central differences with a step of 1e-4


DESCRIPTORS = {
    "triangular": Bispectrum(triangular(6), radius=1.0, bond_radius=1.0, bispectrum=False),
    "square": Bispectrum(square(5), radius=1.0, bond_radius=1.0),
    "honeycomb": Bispectrum(honeycomb(4), radius=1.0, bond_radius=0.6, bispectrum=False),
}


def random_model(descriptor, seed=0, dtype=None, hidden=(8, 5)):
    """A model whose weights, feature scales, shift and scale are all away from their starting values."""
    model = BehlerParrinello(descriptor=descriptor, hidden=hidden, key=jax.random.key(seed), dtype=dtype)
    rng = np.random.default_rng(seed)

    def moved(x):
        return x + jnp.asarray(rng.normal(scale=0.3, size=x.shape), x.dtype) if eqx.is_inexact_array(x) else x

    return jax.tree.map(moved, model)


# the model is an argument, so that one compilation serves all models of one shape
energy_of = compiled(lambda model, spins: model.energy(spins))
solve = compiled(lambda model, spins: model.energy_and_field(spins))


@pytest.fixture(scope="module")
def model():
    return random_model(DESCRIPTORS["triangular"])


@pytest.fixture
def spins(model, key):
    return random_spins(model.lattice, key=key)


@pytest.mark.parametrize("name", ["square", "honeycomb"])
def test_energy_is_invariant(name, key):
    """Under rotations, time reversal, the point group and translations: site by site."""
    model = random_model(DESCRIPTORS[name])
    assert_invariant(model.site_energies, model.lattice, key=key, atol=INVARIANCE, per_site=True, rotations=1)


def test_field_is_minus_the_gradient(model, spins, key):
    assert_field_is_gradient(model, spins, key=key, atol=DIFFERENCE)


def test_energy_is_the_sum_of_what_the_sites_hold(model, spins):
    energies = jax.jit(lambda s: model.site_energies(s))(spins)
    assert energies.shape == model.lattice.shape
    assert jnp.std(energies) > 0.01  # a network that saw nothing would pass every law of symmetry
    assert energy_of(model, spins) == pytest.approx(float(jnp.sum(energies)), abs=INVARIANCE)
    # one site by hand: features, standardized, through the network
    features = model.descriptor(spins)[2, 3, 0]
    by_hand = model.shift + model.scale * model.network((features - model.mean) / model.deviation)
    assert energies[2, 3, 0] == pytest.approx(float(by_hand), abs=INVARIANCE)


def test_untrained_energy_is_zero(key):
    model = BehlerParrinello(descriptor=DESCRIPTORS["triangular"])
    energy, field = solve(model, random_spins(model.lattice, key=key))
    assert energy == 0
    assert not jnp.any(field)


def test_keys_give_weights():
    """The hidden layers start at random by the key, the same for the same key."""
    first, again, other = (
        BehlerParrinello(descriptor=DESCRIPTORS["square"], hidden=(4,), key=jax.random.key(k)).network.hidden[0].kernel
        for k in (0, 0, 1)
    )
    np.testing.assert_array_equal(first[...], again[...])
    assert jnp.max(jnp.abs(first[...] - other[...])) > 0.1


def test_energy_is_extensive_and_the_field_local(model, spins):
    large = model.on(model.lattice.resize(12))
    tiled = jnp.tile(spins, (2, 2, 1, 1))
    energy, field = solve(model, spins)
    large_energy, large_field = solve(large, tiled)
    assert large_energy == pytest.approx(4 * float(energy), abs=INVARIANCE)
    np.testing.assert_allclose(large_field, jnp.tile(field, (2, 2, 1, 1)), atol=INVARIANCE)
    # what happens in one corner does not reach the other
    turned = tiled.at[0, 0, 0].multiply(-1)
    changed = jnp.any(jnp.abs(solve(large, turned)[1] - large_field) > INVARIANCE, axis=-1)
    assert changed[1, 0, 0]
    assert not jnp.any(changed[4:9, 4:9])


def test_smaller_than_its_neighbourhood_is_refused(model):
    with pytest.raises(ValueError, match=r"use at least .* cells .*lattice.resize.* or a smaller radius"):
        model.on(triangular(2))
    with pytest.raises(ValueError, match="make a new Bispectrum"):
        model.on(square(6))
    with pytest.raises(ValueError, match=r"a descriptor=\.\.\. or a lattice"):
        BehlerParrinello()
    with pytest.raises(ValueError, match=r"lattice\.resize"):
        model.energy(jnp.zeros((5, 5, 1, 3)))


def test_lattice_stands_for_its_bispectrum_and_moves_with_the_model(model):
    moved = BehlerParrinello(triangular(8)).on(triangular(9))
    assert moved.lattice == triangular(9)
    assert moved.descriptor == Bispectrum(triangular(9))


def test_vacancies_have_no_energy_and_break_nothing(model, spins, key):
    """Zero at vacancies; fields, and the gradient that training takes of them, stay finite, even without any spin."""

    @compiled
    def look(network, spins):
        def square(network):
            changed = eqx.tree_at(lambda m: m.network, model, network)
            return jnp.sum(changed.field(spins) ** 2), changed.site_energies(spins)

        return jax.value_and_grad(square, has_aux=True)(network)

    for share in (0.7, 0.0):
        occupied = jax.random.uniform(key, model.lattice.shape) < share
        (value, energies), slopes = look(model.network, dilute(spins, occupied))
        assert not jnp.any(energies[~occupied])
        assert jnp.all(energies[occupied] != 0)
        assert all(jnp.all(jnp.isfinite(x)) for x in (value, *jax.tree.leaves(slopes)))


def test_standardization_gives_features_mean_zero_and_deviation_one(key):
    model = BehlerParrinello(descriptor=DESCRIPTORS["triangular"])
    spins = jnp.stack([random_spins(model.lattice, key=k) for k in jax.random.split(key, 5)])
    scaled = model.standardized(spins, shift=-2.0, scale=0.5)
    features = np.asarray(compiled(jax.vmap(model.descriptor))(spins)).reshape(-1, model.descriptor.n_features)
    features = (features - np.asarray(scaled.mean)) / np.asarray(scaled.deviation)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-10)
    # an untrained network leaves the shift, the mean energy per site
    assert energy_of(scaled, spins[0]) == pytest.approx(-2.0 * model.lattice.sites)
    # features that never change are not blown up
    constant = model.standardized(jnp.ones((3, *model.lattice.shape, 3)) / 3**0.5)
    assert jnp.all(constant.deviation > 0.1)


@pytest.mark.parametrize(("weights", "given"), [(jnp.float32, jnp.float64), (jnp.float64, jnp.float32)])
def test_precision_is_that_of_the_spins(weights, given, key):
    model = random_model(DESCRIPTORS["triangular"], dtype=weights)
    assert {x.dtype for x in jax.tree.leaves(model) if eqx.is_inexact_array(x)} == {jnp.dtype(weights)}
    spins = random_spins(model.lattice, key=key, dtype=given)
    energy, field = solve(model, spins)
    assert energy.dtype == field.dtype == given
    np.testing.assert_allclose(field, solve(model, spins.astype(jnp.float64))[1], atol=1e-4)


def test_batches(model, key):
    spins = jnp.stack([random_spins(model.lattice, key=k) for k in jax.random.split(key, 3)])
    together = compiled(jax.vmap(model.field))(spins)
    np.testing.assert_allclose(together, jnp.stack([solve(model, s)[1] for s in spins]), atol=INVARIANCE)


def test_lowers_everywhere(key):
    model = random_model(DESCRIPTORS["triangular"], dtype=jnp.float32)
    spins = random_spins(model.lattice, key=key, dtype=jnp.float32)
    jax.export.export(jax.jit(lambda s: model.energy_and_field(s)), platforms=["cpu", "cuda", "tpu"])(spins)


# --- storage


@pytest.mark.parametrize(("name", "dtype"), [("triangular", jnp.float64), ("honeycomb", jnp.float32)])
def test_saved_and_loaded_is_the_same_to_the_last_bit(name, dtype, tmp_path, key):
    """Without being told the settings: lattice, descriptor, layers, precision."""
    model = random_model(DESCRIPTORS[name], dtype=dtype)
    assert save(tmp_path / "field", model) == tmp_path / "field"
    loaded = load(str(tmp_path / "field"))
    assert loaded.descriptor == model.descriptor
    assert loaded.hidden == model.hidden
    assert jax.tree.structure(loaded) == jax.tree.structure(model)
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(model), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    spins = random_spins(model.lattice, key=key, dtype=dtype)
    np.testing.assert_array_equal(energy_of(loaded, spins), energy_of(model, spins))


def test_a_descriptor_away_from_its_defaults_is_kept(tmp_path):
    lattice = square(7, 5, periodic=(True, False))
    descriptor = Bispectrum(lattice, 1.0, 1.5, 1.0, 2.0, power=False, bispectrum=False, time_reversal=False)
    save(tmp_path / "field", BehlerParrinello(descriptor=descriptor))
    assert load(tmp_path / "field").descriptor == descriptor


def test_double_precision_weights_load_where_only_single_is_on(model, tmp_path, spins):
    save(tmp_path / "field", model)
    with jax.enable_x64(False):
        loaded = load(tmp_path / "field")
        assert loaded.mean.dtype == jnp.float32
        energy = energy_of(loaded, jnp.asarray(np.asarray(spins), jnp.float32))
    assert energy.dtype == jnp.float32
    assert energy == pytest.approx(float(energy_of(model, spins)), rel=1e-4)


def test_metadata_are_kept(model, tmp_path):
    metadata = {"config": {"steps": 10, "rate": 1e-3, "names": ["a", "b"]}, "error": 0.1 + 0.2, "note": "ünïcode"}
    save(tmp_path / "with", model, metadata=metadata)
    assert load_metadata(tmp_path / "with") == metadata
    save(tmp_path / "without", model)
    assert load_metadata(tmp_path / "without") == {}


def test_nothing_is_overwritten_unasked(model, tmp_path):
    save(tmp_path / "field", model)
    other = random_model(DESCRIPTORS["triangular"], seed=9)
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        save(tmp_path / "field", other)
    np.testing.assert_array_equal(load(tmp_path / "field").mean, model.mean)
    save(tmp_path / "field", other, overwrite=True)
    np.testing.assert_array_equal(load(tmp_path / "field").mean, other.mean)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "draft.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="is not replaced; choose another path"):
        save(tmp_path / "thesis", model, overwrite=True)
    assert (tmp_path / "thesis" / "draft.txt").read_text() == "years of work"


def test_a_failed_save_leaves_the_old_one(model, tmp_path, monkeypatch):
    save(tmp_path / "field", model)
    other = random_model(DESCRIPTORS["triangular"], seed=9)
    with pytest.raises(TypeError, match="give plain data: dictionaries, lists, numbers and text"):
        save(tmp_path / "field", other, metadata={"a": object()}, overwrite=True)
    np.testing.assert_array_equal(load(tmp_path / "field").mean, model.mean)

    def killed(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("orbax.checkpoint.Checkpointer.save", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "field", other, overwrite=True)
    monkeypatch.undo()
    np.testing.assert_array_equal(load(tmp_path / "field").mean, model.mean)
    save(tmp_path / "field", other, overwrite=True)
    np.testing.assert_array_equal(load(tmp_path / "field").mean, other.mean)
    assert [p.name for p in tmp_path.iterdir()] == ["field"]


def test_what_training_returns_is_refused_with_the_remedy(model):
    # with types checked, as here, it does not get as far as save's own check
    with pytest.raises(TypeError, match=r"a Learnt is not a force field; pass its \.model"):
        _check_model(Learnt(model, {}, 0))
    with pytest.raises(TypeError, match=r"pass a BehlerParrinello, such as learnt\.model"):
        _check_model(3)


def test_what_is_no_force_field_is_refused(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"give the folder that forcefield\.save wrote"):
        load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("no weights")
    (tmp_path / "file").write_text("no folder")
    for name in ("empty", "foreign", "file"):
        for read in (load, load_metadata):
            with pytest.raises(ValueError, match="is not a force field of jaxspin; give the folder"):
                read(tmp_path / name)


def test_another_format_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxspin.forcefield.checkpoint._FORMAT", 99)
    save(tmp_path / "field", model)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has format 99, this version reads 1; use the jaxspin that wrote it"):
        load(tmp_path / "field")
