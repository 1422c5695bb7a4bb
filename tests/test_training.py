"""Training: what is learnt, what repeats to the last bit, and why it stops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange
from jaxspin.forcefield import BehlerParrinello
from jaxspin.lattice import chain
from jaxspin.textures import ferromagnet
from jaxspin.training import (
    LossScales,
    TrainConfig,
    evaluate,
    perturbed_configurations,
    random_configurations,
    sample,
    train,
    trainer,
    until_flat,
)

pytestmark = pytest.mark.usefixtures("optax_mixes_types")


def test_an_exchange_is_learnt(ring, key):
    """Bonds are features, so the energy is linear in them: fields of unseen configurations come out right."""
    potential = Exchange(ring.lattice, 1.0)
    first, second, third = jax.random.split(key, 3)
    seen = jnp.concatenate(
        [
            random_configurations(ring.lattice, 12, key=first),
            perturbed_configurations(ferromagnet(ring.lattice), jnp.linspace(0.1, 1, 12), key=second),
        ]
    )
    model = BehlerParrinello(descriptor=ring, hidden=(16,), key=key)
    config = TrainConfig(steps=200, batch=4, learning_rate=2e-2, average=0.9, evaluate_every=100)
    learnt = train(model, sample(potential, seen), config, key=key)
    held_out = sample(potential, random_configurations(ring.lattice, 4, key=third))
    errors = evaluate(learnt.model, held_out)
    # 3 to 5 % for any seed; an untrained model has 100 %
    assert errors.torque < 0.08
    assert errors.energy < 0.03 * float(LossScales.of(sample(potential, seen)).energy)
    large = learnt.on(chain(12))
    assert large.lattice == chain(12)
    np.testing.assert_array_equal(large.mean, learnt.model.mean)


SHORT = TrainConfig(steps=25, batch=4, evaluate_every=10, learning_rate=0.02, average=0.5, validation=0.25)


@pytest.fixture(scope="module")
def unbroken(ring, ring_data):
    with jax.numpy_dtype_promotion("standard"):
        return train(BehlerParrinello(descriptor=ring, hidden=(4,)), ring_data, SHORT, key=jax.random.key(5))


def weights(learnt):
    return jax.tree.leaves(learnt.model)


def test_history_tells_every_evaluation_and_the_best_is_returned(unbroken, ring_data):
    history = unbroken.history
    assert set(history) == {"step", "loss", "torque", "energy", "seconds"}
    np.testing.assert_array_equal(history["step"], [10, 20, 25])
    assert {len(column) for column in history.values()} == {3}
    assert np.all(np.isfinite(history["loss"]))
    assert history["loss"][-1] < history["loss"][0]
    assert np.all(np.diff(history["seconds"]) >= 0)
    assert unbroken.best_step == history["step"][np.argmin(history["torque"])]
    # the weights returned are those that had this error on the part held back
    held, _ = ring_data.split((0.25, 0.75), key=jax.random.split(jax.random.key(5))[0])
    assert evaluate(unbroken.model, held).torque == pytest.approx(history["torque"].min(), rel=1e-12)


def test_killed_and_resumed_is_unbroken(unbroken, ring, ring_data, tmp_path, monkeypatch):
    """Twice the same key gives the same bits, with a kill between two checkpoints in one of them."""
    model = BehlerParrinello(descriptor=ring, hidden=(4,))
    calls = []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(trainer, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        train(model, ring_data, SHORT, key=jax.random.key(5), checkpoint=tmp_path)
    monkeypatch.undo()
    resumed = train(model, ring_data, SHORT, key=jax.random.key(5), checkpoint=tmp_path)
    for found, expected in zip(weights(resumed), weights(unbroken), strict=True):
        np.testing.assert_array_equal(found, expected)
    for name in set(unbroken.history) - {"seconds"}:
        np.testing.assert_array_equal(resumed.history[name], unbroken.history[name])
    assert resumed.best_step == unbroken.best_step
    assert np.all(np.diff(resumed.history["seconds"]) >= 0)

    # a finished run is read back, not run again
    monkeypatch.setattr(trainer, "evaluate", None)
    again = train(model, ring_data, SHORT, key=jax.random.key(5), checkpoint=tmp_path)
    for found, expected in zip(weights(again), weights(unbroken), strict=True):
        np.testing.assert_array_equal(found, expected)

    # and belongs to its config, model, data and key alone
    other_config = TrainConfig(steps=25, batch=4, evaluate_every=10, learning_rate=0.01, average=0.5, validation=0.25)
    other_model = BehlerParrinello(descriptor=ring, hidden=(5,))
    other_start = BehlerParrinello(descriptor=ring, hidden=(4,), key=jax.random.key(8))
    five = jax.random.key(5)
    for arguments, key, what in (
        ((model, ring_data, other_config), five, "config"),
        ((other_model, ring_data, SHORT), five, "model"),
        ((other_start, ring_data, SHORT), five, "initialization"),
        ((model, ring_data[:10], SHORT), five, "data"),
        # as many, and torques of the same size
        ((model, eqx.tree_at(lambda d: d.field, ring_data, -ring_data.field), SHORT), five, "data"),
        ((model, ring_data, SHORT), jax.random.key(6), "key"),
    ):
        with pytest.raises(ValueError, match=f"another .*{what}.*; choose another checkpoint folder"):
            train(*arguments, key=key, checkpoint=tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_stored(ring, ring_data, tmp_path):
    """The last checkpoint stays a good one."""
    model = BehlerParrinello(descriptor=ring, hidden=(4,))
    network = jax.tree.map(lambda x: x + jnp.nan, model.network)
    model = eqx.tree_at(lambda m: m.network, model, network)
    with pytest.raises(FloatingPointError, match="not finite at step 10; lower learning_rate or clip"):
        train(model, ring_data, SHORT, checkpoint=tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.is_dir() and p.name.isdigit()]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"evaluate_every": 0}, "evaluate_every must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"clip": -1.0}, "clip must be positive"),
        ({"energy_weight": -0.1}, "0 trains on fields alone"),
        ({"validation": 0.0}, "0.1 is usual"),
        ({"validation": 1.0}, "0.1 is usual"),
        ({"average": 1.0}, "0 switches averaging off"),
        ({"split": "runs"}, "choose by='block', by='run' or by='configuration'"),
    ],
)
def test_impossible_configs_are_refused(settings, text):
    with pytest.raises(ValueError, match=text):
        TrainConfig(**settings)


def test_other_lattices_and_too_few_data_are_refused(ring, ring_data):
    model = BehlerParrinello(descriptor=ring, hidden=(4,))
    with pytest.raises(ValueError, match=r"train model\.on\(data\.lattice\)"):
        train(model.on(chain(9)), ring_data)
    with pytest.raises(ValueError, match="sample more"):
        train(model, ring_data[:2], TrainConfig(validation=0.1))
    one_run = sample(Exchange(ring.lattice, 1.0), ring_data.spins, run=3)
    with pytest.raises(ValueError, match="sample more"):
        train(model, one_run, TrainConfig(split="run"))


def test_patience_stops_where_the_validation_error_no_longer_falls(ring, ring_data, tmp_path):
    config = TrainConfig(steps=400, batch=4, evaluate_every=2, validation=0.3, learning_rate=1.0, patience=3)
    model = BehlerParrinello(descriptor=ring, hidden=(4,))
    learnt = train(model, ring_data, config, key=jax.random.key(0), checkpoint=tmp_path / "run")
    last = int(learnt.history["step"][-1])
    assert last < 400
    assert last - learnt.best_step == 3 * 2
    again = train(model, ring_data, config, key=jax.random.key(0), checkpoint=tmp_path / "run")
    assert int(again.history["step"][-1]) == last
    with pytest.raises(ValueError, match="0 uses all steps"):
        TrainConfig(patience=-1)
    with pytest.raises(ValueError, match=r"0\.5 serves"):
        TrainConfig(balance=2.0)


@pytest.mark.parametrize(
    ("error", "most", "steps", "converged"),
    [
        (lambda n: 1 / n, 6400, 6400, False),
        (lambda n: 0.2 + 10 / n, 6400, 1600, True),  # 0.2125 at 800, 0.20625 at 1600
        (lambda n: 0.2, 6400, 200, True),
        (lambda n: 0.2, 150, 100, False),
    ],
)
def test_trainings_get_longer_until_their_curve_is_flat(error, most, steps, converged):
    tried = []

    def attempt(n):
        tried.append(n)
        return n, error(n)

    assert until_flat(attempt, 100, most=most) == (steps, steps, converged)
    assert tried == [100 * 2**k for k in range(len(tried))]
    with pytest.raises(ValueError, match=r"between 0 and 1, got 0\.0; 0\.03 is usual"):
        until_flat(attempt, 100, most=most, flat=0.0)
    with pytest.raises(ValueError, match="1000 are usual"):
        until_flat(attempt, 0, most=most)
