"""Energies and fields of different conventions are found in near frames of a run, and consistent ones never are."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.training.contradictions import warn_of_contradictions

LATTICE = js.square(4)
FIELD = js.Exchange(LATTICE, (1.0, -0.3)) + js.Zeeman((0.0, 0.1, 0.2))


def frames(turn, count=6, seed=0):
    """A walk whose steps turn each spin by about `turn`."""
    spins, walk = js.random_spins(LATTICE, key=jax.random.key(seed)), []
    for key in jax.random.split(jax.random.key(seed + 1), count):
        walk.append(spins)
        spins = js.spins.normalize(spins + turn * jax.random.normal(key, spins.shape))
    return jnp.stack(walk)


def said(data):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warn_of_contradictions(data)
    return " ".join(str(one.message) for one in found)


def labels(turn=0.05, sign=1.0, unit=1.0, run=None, seed=0):
    data = js.sample(FIELD, frames(turn, seed=seed))
    runs = np.zeros(len(data), int) if run is None else run
    return js.SpinData(LATTICE, data.spins, sign * data.field, unit * data.energy, run=runs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("turn", [1e-4, 0.01, 0.05, 1.0])
def test_consistent_labels_are_left_alone(turn, seed):
    assert said(labels(turn, seed=seed)) == ""


def test_the_two_mistakes_are_named():
    assert "the sign of the fields is turned; give B = -dE/dS" in said(labels(sign=-1.0))
    assert "give 16 times as much, of the whole lattice" in said(labels(unit=1 / 16))


def test_nothing_is_said_of_what_cannot_tell():
    wrong = labels(sign=-1.0)
    for data in (wrong[:3], labels(sign=-1.0, run=np.arange(6)), labels(1.0, sign=-1.0)):
        assert said(data) == ""
    bare = js.SpinData(LATTICE, wrong.spins, wrong.field, run=np.zeros(6, int))
    noise = js.SpinData(
        LATTICE, wrong.spins, wrong.field, np.random.default_rng(0).normal(size=6), run=np.zeros(6, int)
    )
    assert said(bare) == said(noise) == ""
    twice = labels(unit=2.0)  # another unit, or pairs counted twice: not sure enough to be told
    assert said(twice) == ""


def test_training_warns():
    ring = js.chain(8)
    data = js.sample(
        js.Exchange(ring, 1.0),
        js.simulate(
            js.Exchange(ring, 1.0),
            js.random_spins(ring, key=jax.random.key(0)),
            duration=1.0,
            step=0.05,
            damping=0.3,
            save_every=0.1,
        ),
    )
    wrong = js.SpinData(ring, data.spins, -data.field, data.energy, run=data.run)
    model = js.BehlerParrinello(descriptor=js.LocalMoments(ring, coupling=2.0, hops=1, moments=2), hidden=(2,))
    with pytest.raises(UserWarning, match="the sign of the fields is turned"):  # warnings are errors in tests
        js.train(model, wrong, js.TrainConfig(steps=1, validation=0.2))
