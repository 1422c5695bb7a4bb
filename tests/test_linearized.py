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
from jaxspin.training.trainer import linearized

ROUNDING = 1e-11

LATTICES = {"triangular": js.triangular(6), "honeycomb": js.honeycomb(6), "chain": js.chain(10)}
SLOW = pytest.mark.slow


def spin_data(lattice, number=2):
    spins = random_configurations(lattice, number, key=jax.random.key(0))
    spins = dilute(spins, jax.random.bernoulli(jax.random.key(1), 0.9, spins.shape[:-1]))
    exchange = js.Exchange(lattice, 0.1)
    return SpinData(lattice, spins, jax.vmap(exchange.field)(spins), jax.vmap(exchange.energy)(spins))


def curved(lattice, **options):
    """A force field whose network is not trained and not linear."""
    options = {"hopping": 1.0, "hops": 2} | options
    if "steps" in options:
        descriptor = LocalElectrons(lattice, 2.0, **options)
    else:
        filling = options.pop("filling", None)
        descriptor = LocalMoments(lattice, 2.0, moments=6, **options)
        descriptor = descriptor if filling is None else AtFilling(descriptor, filling=filling)
    model = BehlerParrinello(descriptor=descriptor, hidden=(5,), key=jax.random.key(2))
    rng = np.random.default_rng(0)
    units = [jnp.asarray(x) for x in (rng.normal(size=model.mean.shape), rng.uniform(0.2, 0.5, model.mean.shape))]
    model = eqx.tree_at(lambda m: (m.mean, m.deviation), model, units)
    return eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: x + 0.1, model.network))


# hopping by two shells of a chain makes triangles, as on the triangular lattice
TRIANGLES = {"hopping": (1.0, 0.4), "hops": 1}


CASES = {
    "moments": ("chain", {"weights": True, "surroundings": 2, "chunk": 5}),
    "level": ("chain", {"filling": 0.3, **TRIANGLES}),
    "sublattices": ("honeycomb", {"filling": 0.4, "surroundings": 0}),
    "electrons": ("chain", {"filling": 0.3, "steps": 3, "surroundings": 0, **TRIANGLES}),
}
MORE = [
    ("triangular", {"weights": True}),
    ("honeycomb", {"surroundings": 0}),
    ("triangular", {"chunk": 5}),
    ("triangular", {"filling": 0.3}),
    ("triangular", {"filling": 0.3, "steps": 4}),
    ("honeycomb", {"filling": 0.4, "steps": 4, "chunk": 5}),
]
SLOWER = [pytest.param(*case, marks=SLOW) for case in MORE]


@pytest.mark.parametrize(("lattice", "options"), [*CASES.values(), *SLOWER])
def test_energy_field_and_change_are_those_of_the_model(lattice, options):
    lattice = LATTICES[lattice]
    data = spin_data(lattice)
    model = curved(lattice, **options)
    known = LinearizedSet.of(model.descriptor, data.spins)
    size = sum(c.jacobian.nbytes for c in known.configurations)
    assert size == LinearizedSet.bytes_needed(model.descriptor, len(data), data.spins.dtype)
    direction = tangent(data.spins[1], jax.random.normal(jax.random.key(3), data.spins[1].shape))
    one = known.configurations[1]

    @eqx.filter_jit
    def of_one(model, one, known):
        return one.energy_and_field(model, known.readers), one.energy_along(model, direction, known.members)

    (energy, field), along = of_one(model, one, known)
    expected_energy, expected = model.energy_and_field(data.spins[1])
    np.testing.assert_allclose(energy, expected_energy, rtol=ROUNDING)
    np.testing.assert_allclose(field, tangent(data.spins[1], expected), atol=ROUNDING)
    np.testing.assert_allclose(along[0], expected_energy, rtol=ROUNDING)
    np.testing.assert_allclose(along[1], -np.sum(np.asarray(expected) * np.asarray(direction)), rtol=1e-9)


# the slope is made of energies, fields and changes, whatever the descriptor
@pytest.mark.parametrize(("lattice", "options"), [CASES["moments"], *SLOWER])
def test_slope_of_the_loss_is_that_of_the_model(lattice, options):
    lattice = LATTICES[lattice]
    data = spin_data(lattice)
    model = curved(lattice, **options)
    known = LinearizedSet.of(model.descriptor, data.spins)
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
    lattice = js.chain(8)
    data = spin_data(lattice, 6)
    model = BehlerParrinello(descriptor=LocalMoments(lattice, 2.0, hops=1, moments=4), hidden=(5,))
    config = js.TrainConfig(steps=12, batch=2, evaluate_every=6, validation=0.3)
    with jax.numpy_dtype_promotion("standard"):
        stored = js.train(model, data, config)
        computed = js.train(model, data, dataclasses.replace(config, memory=0.0))
    assert stored.best_step == computed.best_step
    np.testing.assert_allclose(stored.history["loss"], computed.history["loss"], rtol=1e-9)
    field = stored.model.field(data.spins[0])
    np.testing.assert_allclose(field, computed.model.field(data.spins[0]), atol=1e-9)
    assert float(jnp.abs(field).max()) > 1e-4


def test_open_lattices_are_trained_without():
    """As with `memory=0`."""
    for periodic in (False, True):
        lattice = js.chain(6, periodic=(periodic,))
        model = BehlerParrinello(descriptor=LocalMoments(lattice, 2.0, hops=1, moments=4), hidden=(4,))
        data = spin_data(lattice)
        assert (linearized(model, data, 4.0, False) is not None) == periodic
        assert linearized(model, data, 0.0, False) is None
        if not periodic:
            with pytest.raises(ValueError, match="use rows and pullback"):
                model.descriptor.members()


def test_tangent_frames_are_right_handed_and_perpendicular(key):
    spins = jnp.concatenate([random_spins(js.square(4), key=key).reshape(-1, 3), jnp.eye(3), -jnp.eye(3)])
    framed = jax.jit(tangent_frame)
    whole = np.concatenate([np.asarray(spins)[:, None], np.asarray(framed(spins))], axis=1)
    identity = np.broadcast_to(np.eye(3), whole.shape)
    np.testing.assert_allclose(np.einsum("nia,nja->nij", whole, whole), identity, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(whole), 1, atol=1e-12)
    assert not np.any(framed(jnp.zeros((2, 3))))
    assert np.all(np.isfinite(framed(normalize(spins))))
