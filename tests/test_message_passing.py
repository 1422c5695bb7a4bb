"""Networks that pass messages: exact symmetries, the same by tiles, and everything a force field does."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxspin as js
from jaxspin.descriptors import LocalElectrons, LocalMoments, SpinVectors
from jaxspin.forcefield import GeneralizedPotential, MessagePassing, load, save, tiles
from jaxspin.forcefield.stencils import stencil
from jaxspin.testing import assert_field_is_gradient, assert_invariant
from tests.helpers import by_precision, compiled, distance


def working(model):
    """With weights that are not zero, so that the energy is not."""
    weights, rest = eqx.partition(model.network, eqx.is_inexact_array)
    moved = jax.tree.map(lambda x: x + 0.2 * jnp.cos(1.0 + jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), weights)
    return eqx.tree_at(lambda m: m.network, model, eqx.combine(moved, rest))


def passing(lattice, features=0, **settings):
    chosen = {"fields": 1, "layers": 2, "first_radius": None, **settings}
    return MessagePassing(lattice, features=features, key=jax.random.key(0), **chosen)


def model_on(lattice, **settings):
    return working(js.BehlerParrinello(lattice, passing(lattice, **settings)))


@pytest.mark.double
@pytest.mark.parametrize(
    "lattice", [js.triangular(5), js.kagome(3), js.honeycomb(3), js.chain(6), js.square(5, 5)], ids=lambda x: x.name
)
def test_every_symmetry_is_exact(lattice, key):
    model = model_on(lattice)
    assert_invariant(lambda s: model.site_energies(s), lattice, key=key, per_site=True)
    spins = js.random_spins(lattice, key=key)
    assert float(jnp.std(model.site_energies(spins))) > 1e-3
    assert_field_is_gradient(model, spins, key=key)


@pytest.mark.double
@pytest.mark.slow
def test_every_symmetry_of_the_cube_is_exact(key):
    lattice = js.cubic(3)
    model = model_on(lattice, first_radius=1.0)
    assert_invariant(lambda s: model.energy(s), lattice, key=key)


@pytest.mark.double
def test_a_direction_leaves_the_mirror_across_it_alone(key):
    lattice = js.square(5, 5)
    assert stencil(lattice, 1.0).order == 8
    assert stencil(lattice, 1.0, (1.0, 0.0)).order == 2
    model = model_on(lattice, direction=(1.0, 0.0))
    spins = js.random_spins(lattice, key=key)
    energy = model.energy(spins)
    across = js.symmetry.transform_sites(lattice, spins, np.diag([1.0, -1.0]))
    along = js.symmetry.transform_sites(lattice, spins, np.diag([-1.0, 1.0]))
    np.testing.assert_allclose(model.energy(across), energy, atol=1e-11)
    assert abs(float(model.energy(along) - energy)) > 1e-4


@pytest.mark.double
@pytest.mark.parametrize(
    ("lattice", "cells"),
    [
        (js.triangular(13, 8), 30),
        (js.square(13, 8, periodic=(False, True)), 30),
        (js.kagome(11, 4), 20),
        (js.chain(29), 6),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_by_tiles_it_is_the_same(lattice, cells, key, monkeypatch):
    """Tiles that do not divide the lattice, open ends and vacancies; the derivative is that of the whole energy."""
    model = model_on(lattice, first_radius=None if lattice.name == "chain" else 1.0)
    model = eqx.tree_at(lambda m: (m.shift, m.scale), model, (jnp.asarray(0.3), jnp.asarray(2.0)))
    reach = model.network.reach(lattice)
    assert tiles.tile_of(lattice.cells, reach, cells) != lattice.cells
    spins = js.random_spins(lattice, key=key)
    occupied = jax.random.uniform(jax.random.key(5), lattice.shape) > 0.1
    spins = js.spins.dilute(spins, occupied)
    energy, slope = compiled(jax.value_and_grad(lambda s: model.energy(s)))(spins)
    monkeypatch.setattr(tiles, "CELLS_ON_CPU", cells)
    by_tiles, field = compiled(lambda s: model.energy_and_field(s))(spins)
    np.testing.assert_allclose(by_tiles, energy, rtol=1e-12)
    np.testing.assert_allclose(field, -slope, atol=1e-12)
    assert not jnp.any(model.site_energies(spins)[~occupied])


@pytest.mark.double
def test_sites_without_a_spin_are_as_good_as_an_open_end(key):
    """They send nothing: a piece of a ring with vacancies on both sides is an open chain."""
    ring, piece = js.chain(15), js.chain(9, periodic=False)
    spins = js.random_spins(piece, key=key)
    around = jnp.zeros((15, 1, 3)).at[3:12].set(spins)
    model = model_on(ring)
    np.testing.assert_allclose(model.energy(around), model.on(piece).energy(spins), rtol=1e-12)
    np.testing.assert_allclose(model.field(around)[3:12], model.on(piece).field(spins), atol=1e-12)


@pytest.mark.users
def test_memory_of_a_field_does_not_grow_with_the_lattice():
    """A strip of activations and a few arrays of the spins' size, however large the lattice."""

    def needed(side):
        lattice = js.square(side)
        model = js.BehlerParrinello(lattice, passing(lattice, first_radius=1.0))
        shape = jax.ShapeDtypeStruct((*lattice.shape, 3), jnp.float32)
        program = jax.jit(lambda s: model.field(s)).lower(shape).compile()
        return program.memory_analysis().temp_size_in_bytes

    small, large = needed(64), needed(128)
    assert large - small < 16 * 3 * 4 * (128**2 - 64**2)


def test_a_field_of_one_size_serves_others(key):
    lattice = js.triangular(6)
    model = model_on(lattice)
    spins = js.random_spins(lattice, key=key)
    twice = jnp.tile(spins, (2, 2, 1, 1))
    moved = model.on(js.triangular(12))
    assert distance(moved.field(twice), jnp.tile(model.field(spins), (2, 2, 1, 1))) < by_precision(1e-12, 1e-5)


@pytest.mark.double
def test_on_cheap_electrons_it_starts_from_their_energy(key):
    lattice = js.triangular(6)
    electrons = LocalElectrons(lattice, 2.0, filling=0.3, hops=1, steps=4)
    features = SpinVectors(lattice, beside=electrons)
    model = js.BehlerParrinello(features, passing(lattice, features=electrons.n_features))
    known = js.BehlerParrinello(electrons, hidden=(2,))
    spins = js.random_spins(lattice, key=key)
    np.testing.assert_allclose(model.energy(spins), known.energy(spins), rtol=1e-12)
    np.testing.assert_allclose(model.field(spins), known.field(spins), atol=1e-11)
    several = jnp.stack([js.random_spins(lattice, key=k) for k in jax.random.split(key, 3)])
    moved = working(model.standardized(several, shift=-1.0, scale=0.2))
    np.testing.assert_array_equal(moved.mean[:3], 0)
    np.testing.assert_array_equal(moved.deviation[:3], 1)
    assert float(jnp.max(jnp.abs(moved.mean[3:]))) > 0.01
    assert_invariant(lambda s: moved.energy(s), lattice, key=key, atol=1e-9)
    assert_field_is_gradient(moved, spins, key=key)


def test_it_learns_an_exchange_field(key):
    lattice = js.square(6)
    frames = js.training.random_configurations(lattice, 12, key=key)
    data = js.sample(
        js.Exchange(
            lattice,
            1.0,
        ),
        frames,
    )
    model = js.BehlerParrinello(lattice, passing(lattice, first_radius=1.0))
    config = js.TrainConfig(steps=60, batch=4, evaluate_every=30, learning_rate=1e-2, validation=0.2, average=0.9)
    with jax.numpy_dtype_promotion("standard"):  # of optax
        learnt = js.train(model, data, config)
    assert learnt.history["torque"][-1] < 0.6
    assert learnt.history["torque"][-1] < learnt.history["torque"][0]


def test_stored_and_loaded_it_is_the_same(tmp_path, key):
    lattice = js.square(6)
    electrons = LocalMoments(lattice, 2.0, hops=1, moments=4)
    network = passing(lattice, features=electrons.n_features, direction=(1.0, 0.0))
    model = working(js.BehlerParrinello(SpinVectors(lattice, beside=electrons), network))
    loaded = load(save(tmp_path / "model", model))
    assert loaded.settings() == model.settings()
    spins = js.random_spins(lattice, key=key)
    np.testing.assert_array_equal(loaded.field(spins), model.field(spins))


def test_a_network_of_ones_own_is_stored_and_loaded_into_its_like(tmp_path, key):
    class Square(nnx.Module):
        def __init__(self, features):
            self.weights = nnx.Param(jnp.ones(features))

        def __call__(self, x):
            return jnp.sum(x**2 * self.weights[...][None], axis=-1)

    descriptor = LocalMoments(js.chain(8), 2.0, hops=1, moments=4)
    model = js.BehlerParrinello(descriptor, Square(descriptor.n_features))
    changed = eqx.tree_at(lambda m: m.network.weights, model, nnx.Param(2 * jnp.ones(descriptor.n_features)))
    path = save(tmp_path / "own", changed)
    with pytest.raises(ValueError, match="like=model"):
        load(path)
    loaded = load(path, like=model)
    spins = js.random_spins(js.chain(8), key=key)
    np.testing.assert_array_equal(loaded.field(spins), changed.field(spins))
    with pytest.raises(ValueError, match="other settings than `like`"):
        load(path, like=js.BehlerParrinello(descriptor, hidden=(3,)))


def test_precision_is_that_of_the_network(tmp_path):
    lattice = js.square(6)
    for dtype in (jnp.float32, jnp.result_type(float)):
        model = js.BehlerParrinello(lattice, passing(lattice, dtype=dtype))
        assert model.mean.dtype == dtype
        loaded = load(save(tmp_path / str(jnp.dtype(dtype)), model, overwrite=True))
        assert loaded.network.layers[0]["odd"][...].dtype == dtype


def test_committees_and_generalized_potentials_take_it(key):
    lattice = js.square(5)
    network = passing(lattice, first_radius=1.0, direction=(1.0, 0.0))
    field = GeneralizedPotential(lattice, network)
    spins = js.random_spins(lattice, key=key)
    assert distance(field.parts(spins)[1], 0) == 0  # G = 0
    turning = eqx.tree_at(lambda m: m.rotor, field, working(field.conservative).network)
    assert distance(turning.parts(spins)[1], 0) > 1e-4
    members = [working(field.conservative.redrawn(k)) for k in jax.random.split(key, 2)]
    committee = js.Committee(members)
    mean = sum(m.field(spins) for m in members) / 2
    assert distance(committee.field(spins), mean) < by_precision(1e-12, 1e-5)
    assert committee.standard_deviation(spins).shape == lattice.shape
    assert float(jnp.min(committee.standard_deviation(spins))) > 0


def test_what_does_not_fit_is_refused():
    lattice = js.square(6)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        passing(lattice, fields=0)
    with pytest.raises(ValueError, match="use at least 1"):
        passing(lattice, radius=0.5)
    with pytest.raises(ValueError, match="use at least 1"):
        passing(lattice, radius=float("nan"))
    with pytest.raises(ValueError, match="is no direction"):
        passing(lattice, direction=(0.0, 0.0))
    moments = LocalMoments(lattice, 2.0, hops=1, moments=4)
    with pytest.raises(ValueError, match=r"SpinVectors\(lattice, beside=descriptor\)"):
        js.BehlerParrinello(moments, passing(lattice))
    with pytest.raises(ValueError, match="not invariant"):
        js.BehlerParrinello(SpinVectors(lattice), js.forcefield.MultilayerPerceptron(3, (4,), key=jax.random.key(0)))
    with pytest.raises(ValueError, match="n_features = 8"):
        js.BehlerParrinello(moments, js.forcefield.MultilayerPerceptron(3, (4,), key=jax.random.key(0)))
    with pytest.raises(ValueError, match="features=8"):
        js.BehlerParrinello(SpinVectors(lattice, beside=moments), passing(lattice))
    with pytest.raises(ValueError, match="make it on this kind of lattice"):
        js.BehlerParrinello(js.kagome(4), passing(lattice))
    with pytest.raises(ValueError, match=r"use beside\.on"):
        SpinVectors(js.square(8), beside=moments)
    lieb = js.Lattice("Lieb", ((1.0, 0.0), (0.0, 1.0)), ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5)), (4, 4), (True, True))
    with pytest.raises(ValueError, match="no operation takes"):
        passing(lieb)
