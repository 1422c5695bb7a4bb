"""The comparison of force fields for several fillings, at small size."""

import dataclasses

import pytest

import jaxspin as js
from experiments.accuracy import fillings
from experiments.accuracy.fillings_models import ALL, EACH, LEVELS, ONE
from experiments.stages import Electrons


@pytest.mark.slow
@pytest.mark.usefixtures("optax_mixes_types")
def test_every_model_is_judged_at_every_filling_and_on_a_larger_lattice(tmp_path):
    config = fillings.Config(
        electrons=Electrons("square", 2.0, 0.45, 0.2),
        fillings=(0.3, 0.45),
        unseen=0.4,
        side=4,
        large=8,
        random=4,
        quenches=1,
        held_random=1,
        quench_duration=2.0,
        quench_frames=2,
        hops=1,
        moments=4,
        hidden=(4,),
        levels=4,
        training=js.TrainConfig(steps=2, batch=2, evaluate_every=1, validation=0.3),
        most=2,
        output=tmp_path / "out",
    )
    found = fillings.run(config)
    assert [row["name"] for row in found["rows"]] == [LEVELS, ONE, EACH, ALL]
    names = ["n = 0.3", "n = 0.4", "n = 0.45", "n = 0.45, larger", "n = 0.4, larger"]
    for row in found["rows"]:
        (run,) = row["runs"]
        assert list(run["sets"]) == names
        assert [told["filling"] for told in run["trainings"]] == ([0.3, 0.45] if row["name"] == EACH else [0.45])
        assert all(("fermi level" in one) == config.has_levels(row["name"]) for one in run["sets"].values())
        assert all(0 < e["torque"] < 3 for one in run["sets"].values() for e in one["errors"].values())
    assert (tmp_path / "out" / "fillings.png").stat().st_size > 1000
    again = fillings.run(dataclasses.replace(config, resume=True))
    assert again["rows"] == found["rows"]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="another unseen"):
        fillings.Config(unseen=0.45)
    with pytest.raises(ValueError, match="half filling"):
        fillings.Config(fillings=(0.2, 1.2))
