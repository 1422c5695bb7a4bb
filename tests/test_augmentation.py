"""Copies of the data under the symmetries of the energy teach a force field nothing: they are the same data to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.descriptors import AbstractDescriptor
from jaxspin.lattice import Lattice
from jaxspin.spins import random_rotation, rotate
from jaxspin.symmetry import point_group, transform_sites
from jaxspin.training import SpinData, evaluate, random_configurations

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

LATTICE = js.square(5)
# Adam divides each slope by its own size, which turns the rounding of small ones into more: some 1e-8 was seen.
ROUNDING = 1e-6


class RightBond(AbstractDescriptor):
    """S_i . S_right: blind to spin rotations and time reversal, but not to quarter turns of the lattice."""

    lattice: Lattice

    labels = ("right",)

    def rows(self, spins):
        return jnp.sum(spins * self.lattice.translate(spins, (1, 0)), axis=-1)[None, :, :, 0][:, None]

    def on(self, lattice):
        return RightBond(lattice)


class Height(RightBond):
    """S_z^2: blind to the lattice and time reversal, but not to spin rotations."""

    labels = ("height",)

    def rows(self, spins):
        return spins[None, None, :, :, 0, 2] ** 2


class Chirality(RightBond):
    """S_i . (S_right x S_up), the sum over the corners of all squares: odd under time reversal and mirrors."""

    labels = ("chirality",)

    def rows(self, spins):
        right, up = (self.lattice.translate(spins, offset) for offset in ((1, 0), (0, 1)))
        return jnp.sum(spins * jnp.cross(right, up), axis=-1)[None, :, :, 0][:, None]


DESCRIPTORS = {
    "bispectrum": js.Bispectrum(LATTICE, 1.0, 1.0),
    "moments": js.LocalMoments(LATTICE, 2.0, hops=1, moments=4),
}
BROKEN = {"right bond": RightBond(LATTICE), "height": Height(LATTICE), "chirality": Chirality(LATTICE)}


def data(spins, field, energy):
    return SpinData(LATTICE, spins, field, energy)


@pytest.fixture(scope="module")
def sets():
    """Ten configurations with their fields, and each of them under its own random symmetry."""
    model = js.ExactDiagonalization(js.SDModel(LATTICE), filling=0.4, temperature=0.3)
    spins = random_configurations(LATTICE, 10, key=jax.random.key(0))
    energy, field = jax.jit(jax.vmap(model.energy_and_field))(spins)
    rng, elements = np.random.default_rng(0), point_group(LATTICE).matrices

    def moved(number, vectors):
        turn = random_rotation(key=jax.random.key(number))
        turned = transform_sites(LATTICE, rotate(vectors, turn), elements[choice[number]], center=sites[number])
        return turned * (-1.0) ** number

    choice, sites = rng.integers(1, len(elements), len(spins)), rng.integers(0, 5, (len(spins), 2)).tolist()
    images = [jnp.stack([moved(n, v) for n, v in enumerate(vectors)]) for vectors in (spins, field)]
    # the solver has the symmetries too
    np.testing.assert_allclose(model.field(images[0][3]), images[1][3], atol=1e-10)
    return data(spins, field, energy), data(*images, energy)


def learn_from_both(sets, descriptor, key):
    """Weights and held-out errors from the first eight configurations, as they are and transformed."""
    training = js.TrainConfig(steps=6, batch=3, learning_rate=1e-2, evaluate_every=3, validation=0.25)
    for part in sets:
        model = js.BehlerParrinello(descriptor=descriptor, hidden=(4,), key=key)
        learnt = js.train(model, part[:8], training, key=key).model
        yield np.concatenate([np.ravel(x) for x in jax.tree.leaves(learnt)]), learnt


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_transformed_data_give_the_same_force_field(name, sets, key):
    (weights, learnt), (others, _) = learn_from_both(sets, DESCRIPTORS[name], key)
    assert np.abs(weights).max() > 0.1
    np.testing.assert_allclose(others, weights, atol=ROUNDING, rtol=ROUNDING)
    errors, moved = (evaluate(learnt, part[8:]) for part in sets)
    for field in ("torque", "field", "energy"):
        assert getattr(moved, field) == pytest.approx(getattr(errors, field), rel=ROUNDING)


@pytest.mark.parametrize("name", BROKEN)
def test_a_feature_without_the_symmetries_learns_something_else(name, sets, key):
    """So that the law above can fail: one for each kind of symmetry."""
    (weights, learnt), (others, _) = learn_from_both(sets, BROKEN[name], key)
    assert np.abs(others - weights).max() > 1e-3
    errors, moved = (evaluate(learnt, part[8:]) for part in sets)
    assert abs(errors.torque - moved.torque) > 1e-5
