"""Force fields on a base: what is left to learn, and the table of bases, at small size."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxspin as js
from experiments.accuracy import nested
from experiments.accuracy.nested_models import Compared, rest
from experiments.stages import Electrons
from jaxspin.training import random_configurations

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

ELECTRONS = Electrons("square", 2.0, 0.5, 0.2)
SMALL = Compared(radii=(1.0,), levels=0, clusters=((1, 4),), layers=(), hidden=(4,), base_hops=1, base_colors=4)


@pytest.fixture(scope="module")
def labelled():
    exact = ELECTRONS.exact(6)
    return js.sample(exact, random_configurations(exact.lattice, 10, key=jax.random.key(0)), source="random")


def test_what_is_left_and_the_base_make_the_labels(labelled):
    for name in ("electrons", "kernel polynomials"):
        base = dataclasses.replace(SMALL, base_moments=16).base(name, ELECTRONS, labelled.lattice)
        assert base is not None
        left = rest(labelled, base)
        assert left.torque_scale < 0.9 * labelled.torque_scale, name  # it knows something
        again = left.field + jax.vmap(base.field)(labelled.spins)
        np.testing.assert_allclose(again, labelled.field, atol=1e-5)
    assert rest(labelled, None) is labelled


@pytest.mark.slow
def test_every_network_learns_on_every_base_from_whole_runs(labelled, tmp_path):
    labelled.save(tmp_path / "data" / "shard_0.zarr")
    training = js.TrainConfig(steps=4, batch=2, evaluate_every=2, validation=0.3)
    config = nested.Config(
        data=(tmp_path / "data",),
        electrons=ELECTRONS,
        output=tmp_path / "out",
        seeds=(0,),
        training=training,
        most=8,
        **{f.name: getattr(SMALL, f.name) for f in dataclasses.fields(Compared)},
    )
    found = nested.run(config)
    names = [(row["part"], row["name"]) for row in found["rows"]]
    learnt = ["bispectrum, 1 a", "4 moments, 1 hops"]
    assert names == [
        *[("alone", name) for name in learnt],
        *[(base, name) for base in ("electrons", "kernel polynomials") for name in ("nothing learnt", *learnt)],
    ]
    assert all(0 < row["torque error"]["random"]["mean"] < 2 for row in found["rows"])
    assert found["held out"] == {"0": 2}
    assert (tmp_path / "out" / "nested.png").stat().st_size > 1000
    again = nested.run(dataclasses.replace(config, resume=True))
    assert again["rows"][0]["runs"] == found["rows"][0]["runs"]
    with pytest.raises(ValueError, match="there is no base cheap; choose of alone"):
        dataclasses.replace(config, bases=("cheap",))
