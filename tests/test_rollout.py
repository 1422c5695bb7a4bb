"""Training on trajectories: data, loss and gradient, and a training that repairs a known error."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxspin as js
from jaxspin.descriptors import AbstractDescriptor
from jaxspin.training import RolloutConfig, RolloutData, rollout, rollout_errors, rollout_loss, train_rollout

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

LATTICE = js.chain(4)
COUPLING = 0.8


class Bonds(AbstractDescriptor):
    """The mean S_i . S_j of the two neighbours of a site: a network linear in it is an exchange."""

    lattice: js.Lattice = eqx.field(static=True)

    @property
    def labels(self):
        return ("bond",)

    def rows(self, spins):
        ahead = jnp.sum(spins * jnp.roll(spins, -1, 0), axis=-1)
        return ((ahead + jnp.roll(ahead, 1, 0)) / 2)[None, ..., 0][:, None]

    def on(self, lattice):
        return Bonds(lattice)

    def settings(self):
        return {}


class Linear(nnx.Module):
    """E = -w sum_i G_i: an exchange w, the one number to be learnt."""

    def __init__(self, weight):
        self.weight = nnx.Param(jnp.asarray(weight, float))

    def __call__(self, features):
        return -self.weight[...] * features[..., 0]


def exchange(weight):
    model = js.BehlerParrinello(descriptor=Bonds(LATTICE))
    return eqx.tree_at(lambda m: m.network, model, Linear(weight))


@pytest.fixture(scope="module")
def data():
    starts = jnp.stack([js.random_spins(LATTICE, key=jax.random.key(n)) for n in range(4)])
    settings = {"frames": 2, "interval": 1.0, "step": 0.25, "damping": 0.05}
    return RolloutData.sample(exchange(COUPLING), starts, **settings)


def test_the_model_of_these_tests_is_an_exchange(key):
    spins = js.random_spins(LATTICE, key=key)
    np.testing.assert_allclose(
        js.spins.tangent(spins, exchange(COUPLING).field(spins)),
        js.spins.tangent(spins, js.Exchange(LATTICE, COUPLING).field(spins)),
        atol=1e-12,
    )


def test_the_reference_is_reproduced_and_another_field_is_not(data):
    assert (data.frames, data.horizon, len(data)) == (2, 8, 4)
    np.testing.assert_allclose(rollout_errors(exchange(COUPLING), data), 0, atol=1e-7)
    wrong = rollout_errors(exchange(0.5), data)
    assert np.all(np.asarray(wrong) > 0.05)
    assert wrong[1] > wrong[0]


def test_pieces_cut_from_a_run_are_those_of_the_run():
    field = js.Exchange(LATTICE, COUPLING)
    start = js.random_spins(LATTICE, key=jax.random.key(0))
    run = js.simulate(field, start, duration=3.0, step=0.25, damping=0.05, save_every=0.5)
    data = RolloutData.of([run, run], 2, stride=1)
    assert data.spins.shape == (2 * 5, 3, *LATTICE.shape, 3)
    np.testing.assert_array_equal(data.spins[3], run.spins[3:6])
    np.testing.assert_array_equal(data.run, [0] * 5 + [1] * 5)
    assert (data.interval, data.step, data.damping) == (0.5, 0.25, 0.05)
    held, fitted = data.split(0.5, key=jax.random.key(1))
    assert len(set(np.asarray(held.run)) & set(np.asarray(fitted.run))) == 0
    with pytest.raises(ValueError, match="less frames"):
        RolloutData.of([run], 7)
    with pytest.raises(ValueError, match=r"at T = 0; use RolloutData\.sample"):
        RolloutData.of([eqx.tree_at(lambda r: r.temperature, run, run.temperature + 0.1)], 2)


def test_a_noisy_reference_is_met_with_the_same_noise():
    starts = js.random_spins(LATTICE, key=jax.random.key(0))[None]
    settings = {"frames": 1, "interval": 1.0, "step": 0.25, "damping": 0.1, "temperature": 0.3}
    data = RolloutData.sample(exchange(COUPLING), starts, **settings, key=jax.random.key(5))
    found = rollout(exchange(COUPLING), data)
    np.testing.assert_allclose(found, data.spins[:, 1:], atol=1e-7)
    other = dataclasses.replace(data, keys=jax.random.split(jax.random.key(6), 1))
    assert np.abs(np.asarray(rollout(exchange(COUPLING), other) - found)).max() > 1e-2


def test_training_repairs_the_coupling_and_resumes_exactly(data, tmp_path):
    """One number is wrong by a fifth; trajectories alone tell it, and a run cut short ends at the same bits."""
    config = RolloutConfig(steps=40, batch=3, learning_rate=2e-2, evaluate_every=10, validation=0.25, average=0.5)
    learnt = train_rollout(exchange(0.96), data, config, key=jax.random.key(3), checkpoint=tmp_path / "whole")
    assert list(learnt.history) == ["step", "loss", "rollout", "torque", "seconds"]
    np.testing.assert_array_equal(learnt.history["step"], [10, 20, 30, 40])
    found = float(learnt.model.network.weight[...])
    assert found == pytest.approx(COUPLING, abs=0.02)
    assert learnt.history["rollout"].min() < 0.04

    class Killed(Exception):
        pass

    def store(manager, step, *rest, original=js.training.checkpoints.store):
        original(manager, step, *rest)
        if step == 20:
            raise Killed

    with pytest.MonkeyPatch.context() as context:
        context.setattr(js.training.checkpoints, "store", store)
        with pytest.raises(Killed):
            train_rollout(exchange(0.96), data, config, key=jax.random.key(3), checkpoint=tmp_path / "cut")
    resumed = train_rollout(exchange(0.96), data, config, key=jax.random.key(3), checkpoint=tmp_path / "cut")
    assert float(resumed.model.network.weight[...]) == found
    with pytest.raises(ValueError, match="another initialization"):
        train_rollout(exchange(0.9), data, config, key=jax.random.key(3), checkpoint=tmp_path / "cut")
    # as many that move as far
    mirrored = eqx.tree_at(lambda d: d.spins, data, -data.spins)
    with pytest.raises(ValueError, match="another data"):
        train_rollout(exchange(0.96), mirrored, config, key=jax.random.key(3), checkpoint=tmp_path / "cut")


def test_loss_of_an_observable(data):
    """The square of the spins' distance alone, or with that of the neighbours' products."""
    motion = jnp.asarray(2.0)
    model = exchange(0.5)
    found = rollout(model, data)
    plain = jnp.mean(jnp.sum((found - data.spins[:, 1:]) ** 2, axis=-1)) / 4

    def bonds(spins):
        return jnp.sum(spins * jnp.roll(spins, 1, 0), axis=-1)

    seen, expected = (jnp.sum(s * jnp.roll(s, 1, 2), axis=-1) for s in (found, data.spins[:, 1:]))
    more = jnp.mean((seen - expected) ** 2) / jnp.mean(expected**2)
    assert rollout_loss(model, data, motion) == pytest.approx(float(plain))
    both = rollout_loss(model, data, motion, observable=bonds, observable_weight=3.0)
    assert both == pytest.approx(float(plain + 3 * more))


def test_refusals(data):
    spins = data.spins
    with pytest.raises(ValueError, match="give a start and frames"):
        RolloutData(LATTICE, spins[:, :1], interval=1.0, step=0.25, damping=0.1)
    with pytest.raises(ValueError, match="does not divide the interval"):
        RolloutData(LATTICE, spins, interval=1.0, step=0.3, damping=0.1)
    with pytest.raises(ValueError, match="smaller time step"):
        RolloutData(LATTICE, spins.at[0, 1].set(jnp.nan), interval=1.0, step=0.25, damping=0.1)
    with pytest.raises(ValueError, match=r"use RolloutData\.sample"):
        RolloutData(LATTICE, spins, interval=1.0, step=0.25, damping=0.1, temperature=0.1)
    with pytest.raises(ValueError, match="numbers, one per piece"):
        RolloutData(LATTICE, spins, interval=1.0, step=0.25, damping=0.1, run=[0])
    with pytest.raises(ValueError, match="pieces of at least two"):
        data[:1].split(0.2, key=jax.random.key(0))
    longer = js.BehlerParrinello(descriptor=Bonds(js.chain(6)))
    with pytest.raises(ValueError, match=r"train model\.on"):
        train_rollout(longer, data)
    still = RolloutData(LATTICE, jnp.broadcast_to(spins[:, :1], spins.shape), interval=1.0, step=0.25, damping=0.1)
    with pytest.raises(ValueError, match="do not move"):
        train_rollout(exchange(0.5), still)
    for wrong, remedy in (
        ({"batch": 0}, "at least 1"),
        ({"field_weight": -1.0}, "0 switches it off"),
        ({"validation": 1.0}, "0.2 is usual"),
        ({"steps": 0}, r"give RolloutConfig\(steps="),
    ):
        with pytest.raises(ValueError, match=remedy):
            RolloutConfig(**wrong)
