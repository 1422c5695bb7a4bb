"""Exact labels of a force field's quenches, training on them, and where a committee holds: at tiny sizes."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import jaxspin as js
from experiments.accuracy import fit, label, transfer
from experiments.stages import Electrons, Moments, Motion, Network, Quench, Sampling, parameters, sample
from jaxspin.training import SpinData, TrainConfig

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

ELECTRONS = Electrons("square", 2.0, 0.4, 0.2)
NETWORK = Network(Moments(hops=1, moments=4), hidden=(4,))
TRAINING = TrainConfig(steps=2, batch=2, evaluate_every=2, validation=0.3)


@pytest.mark.slow
def test_labels_are_exact_resumed_and_learnt_from(tmp_path):
    model = NETWORK.on(ELECTRONS, 4, jax.random.key(0))
    js.forcefield.save(tmp_path / "forcefield", model, metadata={"params": parameters(ELECTRONS)})
    config = label.Config(
        forcefield=tmp_path / "forcefield",
        output=tmp_path / "out",
        electrons=ELECTRONS,
        quench=Quench(side=4, duration=2.0, frames=2),
        quenches=2,
        random=9,
    )
    found = label.run(config)
    assert [found.sources.count(kind) for kind in ("random", "learnt")] == [9, 4]
    exact = ELECTRONS.exact(4)
    np.testing.assert_allclose(found.field[-1], exact.field(found.spins[-1]), atol=1e-10)
    assert len(set(np.asarray(found.run[-4:]).tolist())) == 2
    resumed = label.run(dataclasses.replace(config, resume=True))
    np.testing.assert_array_equal(resumed.spins, found.spins)
    with pytest.raises(ValueError, match=r"--electrons\.coupling"):
        label.run(dataclasses.replace(config, output=tmp_path / "b", electrons=Electrons("square", 3.0, 0.4, 0.2)))

    file = tmp_path / "data.npz"
    params = {"lattice": "square 4x4", "coupling": 2.0, "filling": 0.4, "temperature": 0.2}
    np.savez(file, spins=found.spins[:4], field=found.field[:4], params=json.dumps(params))
    settings = fit.Config(
        data=file,
        output=tmp_path / "fit",
        more=(tmp_path / "out" / "data" / "random", tmp_path / "out" / "data" / "quenches"),
        seeds=(0,),
        network=Network(Moments(hops=1, moments=4, surroundings=0), hidden=(4,)),
        training=TRAINING,
    )
    summary = fit.run(settings)
    assert len(summary["runs"][0]["held out"]) == 1
    assert np.isfinite(summary["torque error"]["unknown"]["mean"])
    SpinData(js.square(5), *2 * [js.random_spins(js.square(5), key=jax.random.key(1))[None]]).save(tmp_path / "other")
    with pytest.raises(ValueError, match="--side 4"):
        fit.run(dataclasses.replace(settings, output=tmp_path / "c", more=(tmp_path / "other",)))


@pytest.mark.slow
def test_a_committee_is_tried_where_it_was_not_trained(tmp_path):
    electrons = Electrons("triangular", 2.0, 0.5, 0.2)
    sampling = Sampling(
        side=6,
        quenches=2,
        quench_duration=2.0,
        quench_frames=2,
        hot_temperatures=(0.01,),
        hot_textures=("one_hundred_twenty",),
        hot_duration=1.0,
        hot_frames=2,
        ordered=2,
        textures=("one_hundred_twenty",),
        random=2,
    )
    sample(electrons, sampling, Motion(), tmp_path / "data", key=jax.random.key(0))
    config = transfer.Config(
        data=tmp_path / "data",
        output=tmp_path / "out",
        electrons=electrons,
        network=NETWORK,
        members=2,
        training=TRAINING,
        side=6,
        temperatures=(0.02,),
        duration=2.0,
    )
    rows = transfer.run(config)["rows"]
    assert {"held out, quench", "quench", "thermal, T = 0.02", "skyrmion", "random"} <= {r["case"] for r in rows}
    assert all(np.isfinite(r["torque error"]) and 0 <= r["unfamiliar"] <= 1 for r in rows)
    assert (tmp_path / "out" / "transfer.png").stat().st_size > 1000
    assert isinstance(js.forcefield.load(tmp_path / "out" / "committee"), js.Committee)
    with pytest.raises(ValueError, match="multiples of 3"):
        dataclasses.replace(config, side=8)
