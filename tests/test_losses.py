"""Losses and errors against those by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Anisotropy, Exchange
from jaxspin.lattice import square
from jaxspin.spins import dilute, tangent
from jaxspin.textures import ferromagnet
from jaxspin.training import LossScales, SpinData, evaluate, loss, predict, random_configurations, sample
from jaxspin.training.losses import loss_and_slope

ROUNDING = 1e-11  # sums of a few hundred numbers of order one


def diluted_data(missing=True):
    """Configurations of an anisotropic exchange with vacancies, the energy of two of them unknown."""
    lattice = square(4)
    spins = random_configurations(lattice, 5, key=jax.random.key(4))
    occupied = np.random.default_rng(0).uniform(size=lattice.shape) > 0.2
    spins = dilute(spins, jnp.broadcast_to(occupied, spins.shape[:-1]))
    potential = Exchange(lattice, 1.0) + Anisotropy(0.4, [0.0, 0.0, 1.0])
    data = sample(potential, spins)
    known = np.array([True, False, True, True, False]) if missing else np.ones(5, bool)
    field = jnp.where(jnp.asarray(occupied)[None, ..., None], data.field, 0)
    return SpinData(lattice, spins, field, data.energy, has_energy=known)


def by_hand(model, data):
    """In NumPy: tangential and full field error of each spin there is, energy error per site where known."""
    spins, occupied = np.asarray(data.spins), np.any(np.asarray(data.spins) != 0, axis=-1)
    both = [model.energy_and_field(s) for s in data.spins]
    error = np.stack([np.asarray(b) for _, b in both]) - np.asarray(data.field)
    parallel = np.sum(spins * error, axis=-1, keepdims=True)
    per_site = (np.array([float(e) for e, _ in both]) - np.asarray(data.energy)) / data.lattice.sites
    return (error - parallel * spins)[occupied], error[occupied], per_site[np.asarray(data.has_energy)]


def rms(vectors):
    return np.sqrt(np.mean(np.sum(np.atleast_2d(vectors) ** 2, axis=-1)))


def test_loss_and_errors_by_hand():
    data = diluted_data()
    model = Exchange(data.lattice, 1.3)  # too strong, and without the anisotropy
    in_plane, error, per_site = by_hand(model, data)
    scales = LossScales.of(data)
    assert scales.torque == data.torque_scale
    known = np.asarray(data.energy)[np.asarray(data.has_energy)] / data.lattice.sites
    assert scales.energy == pytest.approx(np.std(known))
    expected = rms(in_plane) ** 2 / float(scales.torque) ** 2
    by_energy = np.mean(per_site**2) / float(scales.energy) ** 2
    for weight in (0.0, 0.1, 2.0):
        assert loss(model, data, scales, weight) == pytest.approx(expected + weight * by_energy, rel=1e-12)

    found = evaluate(model, data)
    occupied = np.any(np.asarray(data.spins) != 0, axis=-1)
    labels = np.asarray(data.field)[occupied]
    torque = np.asarray(tangent(data.spins, data.field))[occupied]
    assert found.torque == pytest.approx(rms(in_plane) / rms(torque))
    assert found.torque_rms == pytest.approx(rms(in_plane))
    assert found.field == pytest.approx(rms(error) / rms(labels))
    assert found.energy == pytest.approx(np.sqrt(np.mean(per_site**2)))
    assert found.energy_centered == pytest.approx(np.std(per_site))


def test_the_right_model_has_no_error():
    data = diluted_data()
    potential = Exchange(data.lattice, 1.0) + Anisotropy(0.4, [0.0, 0.0, 1.0])
    assert loss(potential, data, LossScales.of(data), 1.0) == pytest.approx(0, abs=1e-20)
    errors = evaluate(potential, data)
    assert max(errors.torque, errors.energy, errors.field) < 1e-14


def test_parallel_fields_and_vacancies_do_not_count():
    data = diluted_data()
    model = Exchange(data.lattice, 1.3)
    scales = LossScales.of(data)
    rng = np.random.default_rng(2)
    along = 5 * rng.normal(size=data.spins.shape[:-1])[..., None] * np.asarray(data.spins)
    empty = np.where(np.any(np.asarray(data.spins) != 0, axis=-1)[..., None], 0, rng.normal(size=data.spins.shape))
    changed = SpinData(data.lattice, data.spins, data.field + along + empty, data.energy, has_energy=data.has_energy)
    assert loss(model, changed, scales, 0.5) == pytest.approx(float(loss(model, data, scales, 0.5)), rel=1e-12)
    before, after = evaluate(model, data), evaluate(model, changed)
    assert after.torque == pytest.approx(before.torque)
    assert after.torque_rms == pytest.approx(before.torque_rms)
    assert abs(after.field - before.field) > 0.1


def test_data_without_energies():
    """Only fields are compared, the gradient stays finite, and energies are reported as unknown."""
    full = diluted_data()
    data = SpinData(full.lattice, full.spins, full.field)
    scales = LossScales.of(data)
    assert scales.energy == 1

    def value(coupling, weight):
        return loss(Exchange(data.lattice, coupling), data, scales, weight)

    assert value(1.3, 2.0) == value(1.3, 0.0) > 0
    assert jnp.isfinite(jax.grad(value)(1.3, 2.0))
    errors = evaluate(Exchange(data.lattice, 1.3), data)
    assert np.isnan(errors.energy)
    assert errors.torque > 0


def test_scales_of_data_that_cannot_tell():
    """Unit scales where there is no torque and one energy; errors relative to nothing are refused."""
    lattice = square(4)
    data = sample(Exchange(lattice, 1.0), ferromagnet(lattice)[None])
    scales = LossScales.of(data)
    assert scales.torque == scales.energy == 1
    with pytest.raises(ValueError, match="add configurations away from equilibrium"):
        evaluate(Exchange(lattice, 1.0), data)


def test_slope_of_the_loss_is_its_gradient():
    """The shortcut by directional derivatives of the energy, against reverse mode over reverse mode."""
    data = diluted_data()
    scales = LossScales.of(data)

    def model_of(weights):
        return Exchange(data.lattice, weights["exchange"]) + Anisotropy(weights["anisotropy"], [0.0, 0.6, 0.8])

    weights = {"exchange": jnp.asarray(1.3), "anisotropy": jnp.asarray(-0.2)}
    value, slope = loss_and_slope(model_of, weights, data, scales, 0.7)
    expected, gradient = jax.value_and_grad(lambda w: loss(model_of(w), data, scales, 0.7))(weights)
    assert value == pytest.approx(float(expected), rel=1e-12)
    for name in weights:
        assert abs(gradient[name]) > 0.01
        assert slope[name] == pytest.approx(float(gradient[name]), rel=1e-10)


def test_predictions_are_one_by_one(ring_data):
    potential = Exchange(ring_data.lattice, 1.0)
    energy, field = predict(potential, ring_data.spins)
    np.testing.assert_allclose(energy, ring_data.energy, atol=ROUNDING)
    np.testing.assert_allclose(field, ring_data.field, atol=ROUNDING)


def test_balanced_torques_by_hand():
    """b = 1/2: each configuration weighs by torque of the set / its own torque, the weakest no more than a hundred."""
    data = diluted_data()
    torque = np.sqrt(
        [
            rms(np.asarray(tangent(s, f))[np.any(np.asarray(s) != 0, -1)]) ** 2
            for s, f in zip(data.spins, data.field, strict=True)
        ]
    )
    scales = LossScales.of(data, balance=0.5)
    np.testing.assert_allclose(scales.weights(data), float(scales.torque) / torque, rtol=1e-12)
    np.testing.assert_array_equal(LossScales.of(data).weights(data), 1)
    weak = SpinData(data.lattice, data.spins, data.field.at[0].multiply(1e-9))
    assert LossScales(scales.torque, scales.energy, 0.5).weights(weak)[0] == pytest.approx(100)
