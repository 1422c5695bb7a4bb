"""The field of driven electrons: E and G, the symmetry that a current leaves, and what is learnt from torques alone."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.driven import driven_data
from experiments.stages.channel import Channel
from jaxspin.classical import Exchange
from jaxspin.descriptors import Bispectrum, LocalMoments, NearEnds
from jaxspin.electrons import GreensFunction, SDModel, WideBand
from jaxspin.field import AbstractField
from jaxspin.forcefield import BehlerParrinello, GeneralizedPotential, load, save
from jaxspin.lattice import Lattice, chain, square
from jaxspin.observables import curl_fraction, unreachable_fraction
from jaxspin.spins import dilute, random_rotation, random_spins, rotate, tangent
from jaxspin.symmetry import transform_sites
from jaxspin.textures import ferromagnet
from jaxspin.training import LossScales, SpinData, TrainConfig, evaluate, loss, loss_and_slope, sample, train, trainer
from jaxspin.training.sampling import random_configurations
from tests.helpers import compiled

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

ROUNDING = 1e-10  # sums of a few hundred numbers of order one, in double precision

CHANNEL = square(5, 5, periodic=(False, True))
DESCRIPTORS = {
    "moments": NearEnds(
        LocalMoments(CHANNEL, 2.0, hops=2, moments=4, surroundings=0, direction=(1.0, 0.0)), lengths=(2.0,)
    ),
    "bispectrum": Bispectrum(
        CHANNEL, radius=1.0, bond_radius=1.0, bispectrum=False, time_reversal=False, direction=(1.0, 0.0)
    ),
}


def random_model(descriptor, dtype=None):
    """Weights, feature scales and units all away from where they start."""
    model = GeneralizedPotential(descriptor, hidden=(6,), key=jax.random.key(1), dtype=dtype)
    rng = np.random.default_rng(0)

    def moved(x):
        return x + jnp.asarray(rng.normal(scale=0.3, size=x.shape), x.dtype) if eqx.is_inexact_array(x) else x

    return jax.tree.map(moved, model)


class Drag(AbstractField):
    """-dE/dS_i - S_i x dG/dS_i by hand, of two exchanges between neighbours."""

    on: Lattice = eqx.field(static=True)
    strength: float = eqx.field(static=True, default=0.5)

    @property
    def lattice(self):
        return self.on

    def field(self, spins, t=0.0, *, key=None):
        around = self.on.translate(spins, (1,)) + self.on.translate(spins, (-1,))
        return around + self.strength * jnp.cross(spins, around)


class Gradient(AbstractField):
    """B_i = S_i+1 - S_i-1, the non-adiabatic torque of a uniform current."""

    on: Lattice = eqx.field(static=True)

    @property
    def lattice(self):
        return self.on

    def field(self, spins, t=0.0, *, key=None):
        return self.on.translate(spins, (1,)) - self.on.translate(spins, (-1,))


CONFIG = TrainConfig(steps=300, batch=6, learning_rate=1e-2, evaluate_every=100, average=0.9, validation=0.2)


# --- the field


def test_without_g_it_is_the_conservative_model(key):
    model = random_model(DESCRIPTORS["moments"])
    spins = random_spins(CHANNEL, key=key)
    made = GeneralizedPotential.of(model.conservative)
    assert made.hidden == model.hidden
    assert made.potentials(spins)[1] == 0
    energy, field = model.conservative.energy_and_field(spins)
    np.testing.assert_allclose(made.field(spins), field, atol=ROUNDING)
    assert made.potential_and_field(spins)[0] == pytest.approx(float(energy), abs=ROUNDING)


def test_field_is_made_of_the_slopes_of_two_potentials(key):
    """Against plain differentiation of E and G through the features, and its parts."""
    model = random_model(DESCRIPTORS["moments"])
    spins = random_spins(CHANNEL, key=key)
    of_e, of_g = compiled(jax.jacrev(lambda s: jnp.stack(model.potentials(s))))(spins)
    expected = -of_e - jnp.cross(spins, of_g)
    np.testing.assert_allclose(model.field(spins), expected, atol=ROUNDING)
    first, second = model.parts(spins)
    np.testing.assert_allclose(first, -of_e, atol=ROUNDING)
    assert jnp.linalg.norm(tangent(spins, first)) > 0.1
    assert jnp.linalg.norm(second) > 0.1
    np.testing.assert_allclose(jnp.sum(spins * second, axis=-1), 0, atol=ROUNDING)
    np.testing.assert_allclose(model.push(spins), tangent(spins, expected), atol=ROUNDING)
    # along a displacement: the derivative that training takes
    direction = tangent(spins, random_spins(CHANNEL, key=jax.random.key(8)))
    energy, slope = compiled(lambda s, d: model.potential_along(s, d))(spins, direction)
    assert energy == pytest.approx(float(model.potentials(spins)[0]), abs=ROUNDING)
    assert slope == pytest.approx(-float(jnp.sum(direction * expected)), abs=ROUNDING)


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_a_current_leaves_spin_rotations_and_the_mirror_across(name, key):
    model = random_model(DESCRIPTORS[name])
    spins = random_spins(CHANNEL, key=key)
    field = compiled(lambda s: model.field(s))
    expected = field(spins)
    size = jnp.linalg.norm(tangent(spins, expected))
    rotation = random_rotation(key=key)
    np.testing.assert_allclose(field(rotate(spins, rotation)), rotate(expected, rotation), atol=ROUNDING)
    across, along = np.diag([1.0, -1.0]), np.diag([-1.0, 1.0])
    moved = field(transform_sites(CHANNEL, spins, across))
    np.testing.assert_allclose(moved, transform_sites(CHANNEL, expected, across), atol=ROUNDING)
    back = transform_sites(CHANNEL, field(transform_sites(CHANNEL, spins, along)), along)
    assert jnp.linalg.norm(tangent(spins, back - expected)) > 0.05 * size
    assert jnp.linalg.norm(tangent(spins, -field(-spins) - expected)) > 0.05 * size


def test_vacancies_feel_and_break_nothing(key):
    model = random_model(DESCRIPTORS["moments"])
    occupied = jax.random.uniform(key, CHANNEL.shape) < 0.7
    spins = dilute(random_spins(CHANNEL, key=key), occupied)
    assert jnp.all(jnp.isfinite(model.field(spins)))
    assert not jnp.any(model.parts(spins)[1][~occupied])


def test_curl_comes_from_g_alone(ring, key):
    model = random_model(ring)
    spins = random_spins(ring.lattice, key=key)
    assert curl_fraction(GeneralizedPotential.of(model.conservative), spins) < ROUNDING
    assert curl_fraction(model, spins) > 0.01
    assert unreachable_fraction(model, spins) < ROUNDING


def test_what_two_potentials_cannot_describe_is_measured(key):
    """The torque of a uniform current has G only as far as neighbours are parallel; for one spin G suffices."""
    lattice = chain(6)
    spins = random_spins(lattice, key=key)
    assert unreachable_fraction(Gradient(lattice), spins) > 0.1
    assert unreachable_fraction(Gradient(lattice), spins) < curl_fraction(Gradient(lattice), spins)
    aligned = ferromagnet(lattice)
    assert curl_fraction(Gradient(lattice), aligned) == pytest.approx(1)
    assert unreachable_fraction(Gradient(lattice), aligned) < ROUNDING
    assert unreachable_fraction(Drag(lattice), spins) < ROUNDING < 0.01 < curl_fraction(Drag(lattice), spins)


def test_places_tell_the_ends_from_the_bulk(key):
    """exp(-cells to the end / length), the same for any spins, and on a longer channel too."""
    descriptor = DESCRIPTORS["moments"]
    longer = descriptor.on(CHANNEL.resize(9, 5))
    features = longer(random_spins(longer.lattice, key=key))
    assert longer.labels[-2:] == ("first end 2", "last end 2")
    x = np.arange(9)
    for column, distance in ((-2, x), (-1, 8 - x)):
        np.testing.assert_allclose(features[..., 0, column], np.exp(-distance / 2)[:, None] * np.ones(5), atol=1e-15)
    np.testing.assert_allclose(features[..., :-2], longer.descriptor(random_spins(longer.lattice, key=key)))


# --- training


def test_weights_are_differentiated_as_plain_reverse_mode_does(ring, key):
    model = random_model(ring)
    data = sample(Drag(ring.lattice), random_configurations(ring.lattice, 3, key=key))
    scales = LossScales.of(data)
    weights = eqx.filter(model.network, eqx.is_inexact_array)

    def value(w):
        return loss(trainer.with_weights(model, w), data, scales, 0.1)

    expected, slope = compiled(jax.value_and_grad(value))(weights)
    found = compiled(lambda w: loss_and_slope(lambda v: trainer.with_weights(model, v), w, data, scales, 0.1))(weights)
    assert found[0] == pytest.approx(float(expected))
    for a, b in zip(jax.tree.leaves(found[1]), jax.tree.leaves(slope), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
        assert jnp.any(b != 0)


@pytest.fixture(scope="module")
def drag_data(ring):
    spins = random_configurations(ring.lattice, 60, key=jax.random.key(5))
    return sample(Drag(ring.lattice), spins)


def test_it_learns_from_torques_alone_what_no_energy_can(ring, drag_data):
    """A field of which 0.45 of the rms torque has no energy; the labels hold no energies."""
    known, fresh = drag_data[:45], drag_data[45:]
    assert not jnp.any(known.has_energy)
    learnt = train(GeneralizedPotential(ring, hidden=(8,)), known, CONFIG)
    errors = evaluate(learnt.model, fresh)
    assert np.isnan(errors.energy)
    assert errors.torque < 0.04
    conservative = train(BehlerParrinello(descriptor=ring, hidden=(8,)), known, CONFIG)
    assert evaluate(conservative.model, fresh).torque > 0.35
    # each part is the one it should be
    spins = fresh.spins[0]
    first, second = learnt.model.parts(spins)
    around = Drag(ring.lattice, 0.0).field(spins)
    for part, expected in ((first, around), (second, 0.5 * jnp.cross(spins, around))):
        difference = tangent(spins, part - expected)
        assert jnp.linalg.norm(difference) < 0.06 * jnp.linalg.norm(tangent(spins, expected))


def test_a_conservative_field_leaves_g_at_zero(ring, key):
    data = sample(Exchange(ring.lattice, 1.0), random_configurations(ring.lattice, 45, key=key))
    learnt = train(GeneralizedPotential(ring, hidden=(8,)), data, CONFIG)
    first, second = learnt.model.parts(data.spins[0])
    error = evaluate(learnt.model, data).torque
    assert error < 0.04
    assert jnp.linalg.norm(second) < 1.5 * error * jnp.linalg.norm(tangent(data.spins[0], first))


@pytest.mark.slow
def test_a_killed_training_goes_on_exactly(ring, drag_data, tmp_path, monkeypatch):
    config = TrainConfig(steps=30, batch=4, evaluate_every=10)
    model = GeneralizedPotential(ring, hidden=(8,))
    whole = train(model, drag_data, config)
    judged = trainer.evaluate

    def killed(model, data):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return judged(model, data)

    calls: list[int] = []
    monkeypatch.setattr(trainer, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        train(model, drag_data, config, checkpoint=tmp_path / "state")
    monkeypatch.undo()
    resumed = train(model, drag_data, config, checkpoint=tmp_path / "state")
    for a, b in zip(jax.tree.leaves(whole.model), jax.tree.leaves(resumed.model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(calls) == 3


def test_driven_electrons_are_labelled_without_energies(key):
    lattice = square(3, 2, periodic=False)
    leads = (WideBand("left", 1.0), WideBand("right", 1.0))
    solver = GreensFunction(SDModel(lattice, 1.0, 1.0), leads=leads, voltage=0.3, temperature=0.2, bath=0.1)
    spins = random_configurations(lattice, 2, key=key)
    data = sample(solver, spins, source="driven")
    assert not jnp.any(data.has_energy)
    np.testing.assert_allclose(data.field[1], solver.field(spins[1]), atol=1e-9)
    errors = evaluate(solver, data)
    assert errors.torque < 1e-9
    assert np.isnan(errors.energy)


# --- storage, precision, platforms


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_saved_and_loaded_is_the_same_to_the_last_bit(name, tmp_path):
    """Kind, descriptor with its direction and ends, layers and weights, without being told."""
    model = random_model(DESCRIPTORS[name])
    save(tmp_path / "field", model)
    loaded = load(tmp_path / "field")
    assert isinstance(loaded, GeneralizedPotential)
    assert loaded.descriptor == model.descriptor
    assert loaded.hidden == model.hidden
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(model), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_precision_is_that_of_the_spins(key):
    model = random_model(DESCRIPTORS["moments"])
    spins = random_spins(CHANNEL, key=key)
    single = model.field(spins.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, model.field(spins), atol=1e-4)


def test_lowers_everywhere(key):
    model = random_model(DESCRIPTORS["moments"], dtype=jnp.float32)
    spins = random_spins(CHANNEL, key=key, dtype=jnp.float32)
    jax.export.export(jax.jit(lambda s: model.field(s)), platforms=["cpu", "cuda", "tpu"])(spins)


def test_bad_input_is_refused(key):
    model = random_model(DESCRIPTORS["moments"])
    with pytest.raises(ValueError, match=r"lattice\.resize"):
        model.field(random_spins(square(6), key=key))
    with pytest.raises(ValueError, match="spins hold nan"):
        model.field(jnp.full((*CHANNEL.shape, 3), jnp.nan))
    with pytest.raises(ValueError, match=r"has no ends; make the lattice with periodic=\(False"):
        model.on(square(7))
    with pytest.raises(ValueError, match=r"axis 1 .* has no ends"):
        NearEnds(DESCRIPTORS["bispectrum"], axis=1)
    with pytest.raises(ValueError, match=r"lengths must be positive .*\(1, 3, 9\) are usual"):
        NearEnds(DESCRIPTORS["bispectrum"], lengths=(1.0, 0.0))
    for direction in ((1.0,), (0.0, 0.0)):
        with pytest.raises(ValueError, match="is no direction on the square lattice; give 2 numbers, not all zero"):
            LocalMoments(CHANNEL, 1.0, hops=2, direction=direction)
        with pytest.raises(ValueError, match="is no direction on the square lattice; give 2 numbers, not all zero"):
            Bispectrum(CHANNEL, radius=1.0, bond_radius=1.0, direction=direction)


@pytest.mark.slow
def test_the_experiment_that_makes_data_goes_on_after_a_kill(tmp_path, monkeypatch):
    config = driven_data.Config(
        output=tmp_path / "out", tolerance=1e-4, runs=2, duration=1.0, frames=2, curls=1,
        channel=Channel(length=3, width=2, coupling=1.0, mu=-1.0, bath=0.2, temperature=0.2),
    )  # fmt: skip
    followed = driven_data.followed

    def killed(config, solver, number):
        if number == 1:
            raise KeyboardInterrupt
        return followed(config, solver, number)

    monkeypatch.setattr(driven_data, "followed", killed)
    with pytest.raises(KeyboardInterrupt):
        driven_data.run(config)
    monkeypatch.undo()
    whole = driven_data.run(dataclasses.replace(config, resume=True))
    data = SpinData.load(tmp_path / "out" / "data")
    assert len(data) == whole["configurations"] == 4
    assert len(np.unique(data.run)) == 2
    assert not jnp.any(data.has_energy)
    with jax.enable_x64(True):
        again = followed(config, driven_data.solver_of(config, config.voltage), 0)
    np.testing.assert_array_equal(again.spins, data.spins[:2])
    assert 0 < whole["unreachable"][0] < whole["curl"][0] < 1
    assert 0 < whole["torque error without current"] < 1
    with pytest.raises(ValueError, match="curls no more than runs"):
        driven_data.Config(runs=1, curls=2)
