"""Training on stored derivatives of the features: equal to training on the features themselves."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.descriptors import AtFilling, LocalElectrons, LocalMoments
from jaxspin.forcefield import BehlerParrinello
from jaxspin.spins import dilute, normalize, random_spins, tangent, tangent_frame
from jaxspin.training import LossScales, SpinData, loss_and_slope, random_configurations
from jaxspin.training.linearized import LinearizedSet

ROUNDING = 1e-11

LATTICES = {"triangular": js.triangular(6), "honeycomb": js.honeycomb(6), "chain": js.chain(8)}


def spin_data(lattice, number=3):
    spins = random_configurations(lattice, number, key=jax.random.key(0))
    spins = dilute(spins, jax.random.bernoulli(jax.random.key(1), 0.9, spins.shape[:-1]))
    exchange = js.Exchange(lattice, 0.1)
    return SpinData(lattice, spins, jax.vmap(exchange.field)(spins), jax.vmap(exchange.energy)(spins))


def curved(lattice, spins, **options):
    """A force field whose network is not trained and not linear."""
    if "steps" in options:
        descriptor = LocalElectrons(lattice, 2.0, hops=2, **options)
    else:
        filling = options.pop("filling", None)
        descriptor = LocalMoments(lattice, 2.0, hops=2, moments=6, **options)
        descriptor = descriptor if filling is None else AtFilling(descriptor, filling=filling)
    model = BehlerParrinello(descriptor=descriptor, hidden=(5,), key=jax.random.key(2))
    model = model.standardized(spins, shift=0.3, scale=0.7)
    return eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: x + 0.1, model.network))


@pytest.mark.parametrize(
    ("lattice", "options"),
    [
        ("triangular", {"weights": True}),
        ("honeycomb", {"surroundings": 0}),
        ("triangular", {"chunk": 5}),
        ("triangular", {"filling": 0.3}),
        ("honeycomb", {"filling": 0.4}),
        ("triangular", {"filling": 0.3, "steps": 4}),
        pytest.param("honeycomb", {"filling": 0.4, "steps": 4, "chunk": 5}, marks=pytest.mark.slow),
        ("chain", {"weights": True, "surroundings": 2, "chunk": 5}),
    ],
)
def test_energy_field_and_slope_are_those_of_the_model(lattice, options):
    lattice = LATTICES[lattice]
    data = spin_data(lattice)
    model = curved(lattice, data.spins, **options)
    known = LinearizedSet.of(model.descriptor, data.spins)
    size = sum(c.jacobian.nbytes for c in known.configurations)
    assert size == LinearizedSet.bytes_needed(model.descriptor, len(data), data.spins.dtype)
    one = known.configurations[1]
    energy, field = eqx.filter_jit(one.energy_and_field)(model, known.readers)
    expected_energy, expected = model.energy_and_field(data.spins[1])
    np.testing.assert_allclose(energy, expected_energy, rtol=ROUNDING)
    np.testing.assert_allclose(field, tangent(data.spins[1], expected), atol=ROUNDING)
    direction = tangent(data.spins[1], jax.random.normal(jax.random.key(3), field.shape))
    found = eqx.filter_jit(one.energy_along)(model, direction, known.members)
    np.testing.assert_allclose(found[0], expected_energy, rtol=ROUNDING)
    np.testing.assert_allclose(found[1], -jnp.sum(expected * direction), rtol=1e-9)

    weights, frozen = eqx.partition(model.network, eqx.is_inexact_array)

    def model_of(w):
        return eqx.tree_at(lambda m: m.network, model, eqx.combine(w, frozen))

    scales = LossScales.of(data, 0.5)
    slopes = eqx.filter_jit(lambda known: loss_and_slope(model_of, weights, data, scales, 0.1, known))
    (value, slope), (expected, plain) = slopes(known), slopes(None)
    np.testing.assert_allclose(value, expected, rtol=ROUNDING)
    for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_training_with_and_without_stored_derivatives_agrees():
    lattice = js.square(6)
    data = spin_data(lattice, 6)
    model = BehlerParrinello(descriptor=LocalMoments(lattice, 2.0, hops=2, moments=6), hidden=(5,))
    config = js.TrainConfig(steps=12, batch=2, evaluate_every=6, validation=0.3)
    with jax.numpy_dtype_promotion("standard"):
        stored = js.train(model, data, config)
        computed = js.train(model, data, dataclasses.replace(config, memory=0.0))
    assert stored.best_step == computed.best_step
    np.testing.assert_allclose(stored.history["loss"], computed.history["loss"], rtol=1e-9)
    np.testing.assert_allclose(stored.model.field(data.spins[0]), computed.model.field(data.spins[0]), atol=1e-9)
    assert float(jnp.abs(stored.model.field(data.spins[0])).max()) > 1e-4


def test_open_lattices_are_trained_without(key):
    lattice = js.square(6, periodic=(True, False))
    descriptor = LocalMoments(lattice, 2.0, hops=2, moments=6)
    with pytest.raises(ValueError, match="use rows and pullback"):
        descriptor.members()
    data = spin_data(lattice, 4)
    config = js.TrainConfig(steps=2, batch=2, evaluate_every=2, validation=0.3)
    with jax.numpy_dtype_promotion("standard"):
        learnt = js.train(BehlerParrinello(descriptor=descriptor, hidden=(4,)), data, config)
    assert np.isfinite(learnt.history["torque"]).all()


def test_tangent_frames_are_right_handed_and_perpendicular(key):
    spins = jnp.concatenate([random_spins(js.square(4), key=key).reshape(-1, 3), jnp.eye(3), -jnp.eye(3)])
    frames = tangent_frame(spins)
    whole = jnp.concatenate([spins[:, None], frames], axis=1)
    identity = np.broadcast_to(np.eye(3), whole.shape)
    np.testing.assert_allclose(jnp.einsum("nia,nja->nij", whole, whole), identity, atol=1e-12)
    np.testing.assert_allclose(jnp.linalg.det(whole), 1, atol=1e-12)
    assert not jnp.any(tangent_frame(jnp.zeros((2, 3))))
    assert jnp.all(jnp.isfinite(tangent_frame(normalize(spins))))
