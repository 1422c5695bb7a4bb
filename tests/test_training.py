"""Labels, losses and training: what is learnt, what repeats to the last bit, and gradients through whole runs."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Anisotropy, Exchange, GaussianPulse, Zeeman, ZeemanPulse
from jaxspin.descriptors import Bispectrum
from jaxspin.dynamics import simulate
from jaxspin.electrons import ExactTrace, KernelPolynomial, SDModel
from jaxspin.forcefield import BehlerParrinello
from jaxspin.lattice import chain, square, triangular
from jaxspin.spins import dilute, random_rotation, random_spins, rotate, tangent
from jaxspin.textures import ferromagnet, stripe
from jaxspin.training import (
    LossScales,
    SpinData,
    TrainConfig,
    distinct,
    evaluate,
    loss,
    perturbed_configurations,
    predict,
    random_configurations,
    sample,
    train,
    trainer,
)
from jaxspin.training.losses import loss_and_slope

ROUNDING = 1e-11  # sums of a few hundred numbers of order one

# each program runs a few times on a tiny lattice: most of the time would go into optimizing it
FAST = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
compiled = functools.partial(jax.jit, compiler_options=FAST)


@pytest.fixture(autouse=True)
def _optax_mixes_types():
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def ring():
    """A small descriptor whose model compiles fast."""
    return Bispectrum(chain(8), radius=1.0, bond_radius=1.0, bispectrum=False)


@pytest.fixture(scope="module")
def ring_data(ring):
    spins = random_configurations(ring.lattice, 12, key=jax.random.key(3))
    return sample(Exchange(ring.lattice, 1.0), spins)


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


# --- labels


def test_labels_are_those_of_the_potential():
    """Whatever the batch, a remainder included."""
    lattice = square(4)
    potential = Exchange(lattice, (1.0, -0.3)) + Zeeman([0.0, 0.1, 0.2])
    spins = random_configurations(lattice, 5, key=jax.random.key(0))
    for batch in (1, 2, 8):
        data = sample(potential, spins, source="hot", batch=batch)
        assert data.lattice == lattice
        assert data.sources == ("hot",) * 5
        assert jnp.all(data.has_energy)
        np.testing.assert_array_equal(data.run, np.arange(5))
        np.testing.assert_array_equal(data.spins, spins)
        for n in range(5):
            energy, field = potential.energy_and_field(spins[n])
            assert data.energy[n] == pytest.approx(float(energy), abs=ROUNDING)
            np.testing.assert_allclose(data.field[n], field, atol=ROUNDING)


def test_frames_of_a_trajectory_are_one_run(key):
    lattice = chain(6)
    potential = Exchange(lattice, 1.0)
    run = simulate(potential, random_spins(lattice, key=key), duration=1.0, step=0.1, save_every=0.5)
    data = sample(potential, run, source="quench")
    assert len(data) == len(run) == 3
    np.testing.assert_array_equal(data.spins, run.spins)
    np.testing.assert_array_equal(data.run, 0)
    np.testing.assert_array_equal(sample(potential, run, run=7).run, 7)
    np.testing.assert_array_equal(sample(potential, run.spins, run=7).run, 7)
    assert data.energy[0] == pytest.approx(float(potential.energy(run.spins[0])), abs=ROUNDING)


def test_frames_are_labelled_at_their_times(key):
    lattice = chain(4)
    pulse = ZeemanPulse([1.0, 0.0, 0.0], GaussianPulse(0.8, 0.3))
    potential = Exchange(lattice, 1.0) + pulse
    run = simulate(potential, random_spins(lattice, key=key), duration=1.0, step=0.1, save_every=0.25)
    data = sample(potential, run, batch=2)
    np.testing.assert_allclose(data.energy, run.energy(potential), atol=ROUNDING)
    for n, t in enumerate(run.times):
        np.testing.assert_allclose(data.field[n], potential.field(run.spins[n], t), atol=ROUNDING)
    np.testing.assert_allclose(sample(potential, run.spins).energy[-1], potential.energy(run.final), atol=ROUNDING)


def test_what_cannot_be_labelled_is_refused(key):
    lattice = chain(6)
    spins = random_spins(lattice, key=key)
    with pytest.raises(ValueError, match="label with a sum that contains the electrons or an exchange"):
        sample(Zeeman([0.0, 0.0, 1.0]), spins[None])
    potential = Exchange(lattice, 1.0)
    run = simulate(potential, spins, duration=1.0, step=0.5, save=lambda t, s: jnp.sum(s))
    with pytest.raises(ValueError, match=r"simulate without save=\.\.\., or pass the spins"):
        sample(potential, run)


def test_random_configurations_are_uniform_and_independent(key):
    spins = np.asarray(random_configurations(square(10), 20, key=key))
    assert spins.shape == (20, 10, 10, 1, 3)
    np.testing.assert_allclose(np.linalg.norm(spins, axis=-1), 1, atol=1e-14)
    flat = spins.reshape(20, -1, 3)
    error = 2000**-0.5  # of the mean of 2000 numbers of variance below one; five of them
    np.testing.assert_allclose(flat.mean(axis=(0, 1)), 0, atol=5 * error)
    np.testing.assert_allclose(np.einsum("nia,nib->ab", flat, flat) / 2000, np.eye(3) / 3, atol=5 * error)
    between = np.einsum("nia,mia->nm", flat, flat) / 100
    np.testing.assert_allclose(between, np.eye(20), atol=0.35)  # six times the rms of 1/sqrt(300)
    np.testing.assert_array_equal(spins, random_configurations(square(10), 20, key=key))
    assert random_configurations(square(3), 2, key=key, dtype=jnp.float32).dtype == jnp.float32


def test_perturbed_configurations_leave_the_texture_by_their_amplitude(key):
    """<|v|^2> = 2 a^2 for small a, v the tangential displacement; a large amplitude forgets the texture."""
    texture = stripe(square(20))
    spins = perturbed_configurations(texture, [0.0, 0.01, 0.1, 1e4], key=key)
    np.testing.assert_allclose(jnp.linalg.norm(spins, axis=-1), 1, atol=1e-14)
    np.testing.assert_allclose(spins[0], texture, atol=1e-15)
    for n, amplitude in ((1, 0.01), (2, 0.1)):
        square_ = jnp.mean(jnp.sum(tangent(texture, spins[n]) ** 2, axis=-1))
        assert square_ == pytest.approx(2 * amplitude**2, rel=0.2)  # 800 squares, and terms of order a^2
    assert abs(jnp.mean(jnp.sum(spins[3] * texture, axis=-1))) < 0.15
    assert jnp.max(jnp.abs(spins[1] - spins[2])) > 0.1
    occupied = jax.random.uniform(key, texture.shape[:-1]) > 0.3
    holes = perturbed_configurations(dilute(texture, occupied), [0.1, 0.5], key=key)
    np.testing.assert_array_equal(jnp.any(holes != 0, axis=-1), jnp.broadcast_to(occupied, holes.shape[:-1]))


def test_near_copies_are_left_out(key):
    """Turned, reversed and slightly disturbed copies go, independent ones stay; vacancies do not make spins alike."""
    lattice = square(8)
    first, second = random_configurations(lattice, 2, key=key)
    turned = rotate(first, random_rotation(key=key))
    disturbed = perturbed_configurations(second, [0.05, 0.5], key=key)
    spins = jnp.stack([first, turned, -turned, second, *disturbed, first])
    assert distinct(spins) == [0, 3, 5]
    assert distinct(spins, overlap=1.0 - 1e-12) == [0, 3, 4, 5]
    holes = jnp.broadcast_to(jnp.arange(8 * 8).reshape(lattice.shape) % 3 > 0, spins.shape[:-1])
    assert distinct(dilute(spins, holes)) == [0, 3, 5]
    with pytest.raises(ValueError, match=r"0\.99 keeps"):
        distinct(spins, overlap=0.0)


# --- losses


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


# --- training


def test_an_exchange_is_learnt(key):
    """Bonds are features, so the energy is linear in them: fields of unseen configurations come out right."""
    lattice = triangular(6)
    potential = Exchange(lattice, 1.0)
    first, second, third = jax.random.split(key, 3)
    seen = jnp.concatenate(
        [
            random_configurations(lattice, 12, key=first),
            perturbed_configurations(ferromagnet(lattice), jnp.linspace(0.1, 1, 12), key=second),
        ]
    )
    descriptor = Bispectrum(lattice, radius=1.0, bond_radius=1.0, bispectrum=False)
    model = BehlerParrinello(descriptor=descriptor, hidden=(16,), key=key)
    config = TrainConfig(steps=200, batch=4, learning_rate=2e-2, average=0.9, evaluate_every=100)
    learnt = train(model, sample(potential, seen), config, key=key)
    held_out = sample(potential, random_configurations(lattice, 4, key=third))
    errors = evaluate(learnt.model, held_out)
    # 3 to 5 % for any seed; an untrained model has 100 %
    assert errors.torque < 0.08
    assert errors.energy < 0.03 * float(LossScales.of(sample(potential, seen)).energy)
    large = learnt.on(triangular(9))
    assert large.lattice == triangular(9)
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
        ({"split": "runs"}, "choose split='configuration' or split='run'"),
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


# --- gradients through a run


def assert_slopes(function, at, directions):
    """The gradient of a scalar function of a pytree along directions, against central differences."""
    solve = compiled(jax.value_and_grad(function))
    gradient = solve(at)[1]
    for direction in directions:
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
        found = sum(float(jnp.sum(a * b)) for a, b in pairs)
        step = 1e-4
        ends = [solve(jax.tree.map(lambda x, d, s=s: x + s * d, at, direction))[0] for s in (step, -step)]
        assert abs(found) > 1e-3
        assert found == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8)


def final_state(field, spins):
    run = simulate(field, spins, duration=0.5, step=0.1, damping=0.2, throw=False)
    return jnp.sum(run.final * jnp.asarray(np.random.default_rng(6).normal(size=spins.shape)))


def test_gradient_of_a_run_with_respect_to_the_network(ring, key):
    model = BehlerParrinello(descriptor=ring, hidden=(4,), key=key)
    rng = np.random.default_rng(7)
    network, rest = eqx.partition(model.network, eqx.is_inexact_array)
    network, direction = (jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), network) for _ in range(2))
    spins = random_spins(ring.lattice, key=key)

    def outcome(network):
        return final_state(eqx.tree_at(lambda m: m.network, model, eqx.combine(network, rest)), spins)

    assert_slopes(outcome, network, [direction])


@pytest.mark.slow
def test_gradient_of_a_run_with_respect_to_the_electrons(key):
    """By coupling and hopping, through the kernel polynomials in every step."""
    lattice = chain(6)
    spins = random_spins(lattice, key=key)
    settings = {
        "chemical_potential": -0.5,
        "temperature": 0.3,
        "probes": ExactTrace(),
        "window": (-4.0, 4.0),
        "order": 60,
    }

    def outcome(x):
        return final_state(KernelPolynomial(SDModel(lattice, x[1], x[0]), **settings), spins)

    assert_slopes(outcome, jnp.array([1.5, 1.0]), jnp.eye(2))


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
