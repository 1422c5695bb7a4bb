"""The experiment of learnt fields on disordered lattices, at small size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.accuracy import disorder

SMALL = {
    "side": 4,
    "samples": 2,
    "held_out": 1,
    "configurations": 4,
    "hops": 1,
    "moments": 4,
    "hidden": (4,),
    "training": js.TrainConfig(steps=2, batch=2, evaluate_every=1, validation=0.25),
}


def test_layers_hold_each_sample_by_itself(tmp_path):
    """The fields of the stack are those of the samples, and no electron hops from one to the other."""
    config = disorder.Config(output=tmp_path / "out", **SMALL)
    model, data = disorder.labelled(config, "bonds", 2, jax.random.key(1))
    assert data.spins.shape == (4, 2, 4, 4, 1, 3)
    assert data.sources == ("random", "random", "perturbed", "perturbed")
    whole = js.ExactDiagonalization(model, chemical_potential=0.0, temperature=config.temperature)
    energy, field = jax.jit(lambda s: whole.energy_and_field(s))(data.spins[0])
    np.testing.assert_allclose(field, data.field[0], atol=1e-8)
    assert float(energy) == pytest.approx(float(data.energy[0]), abs=1e-8)


def test_settings_are_refused():
    with pytest.raises(ValueError, match="kinds are some of dilution, bonds"):
        disorder.Config(kinds=("sites",))
    with pytest.raises(ValueError, match="configurations must be at least 4"):
        disorder.Config(configurations=2)
    with pytest.raises(ValueError, match="needs an even side, got 5; use 6"):
        disorder.Config(side=5)
    with pytest.raises(ValueError, match="width between 0 and 2"):
        disorder.Config(width=3.0)


@pytest.mark.slow
def test_both_disorders_are_learnt_and_judged(tmp_path):
    with jax.numpy_dtype_promotion("standard"):
        rows = disorder.run(disorder.Config(output=tmp_path / "out", **SMALL))["rows"]
    assert [(row["disorder"], "clean" in row["descriptor"]) for row in rows] == [
        ("dilution", True),
        ("dilution", False),
        ("bonds", True),
        ("bonds", False),
    ]
    for row in rows:
        assert set(row["torque error"]) >= {"samples never seen", "samples never seen, random"}
        assert all(jnp.isfinite(error) for error in row["torque error"].values())
    assert (tmp_path / "out" / "summary.json").exists()
