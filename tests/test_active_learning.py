"""The experiment that lets a committee choose what to label next."""

import json

import pytest

from experiments.accuracy import active_learning, active_learning_rounds
from experiments.stages import Moments, Network, Quench
from jaxspin.forcefield import Committee, load
from jaxspin.training import TrainConfig

pytestmark = pytest.mark.usefixtures("optax_mixes_types")


def tiny(output, **changes):
    training = TrainConfig(steps=4, batch=2, evaluate_every=2, validation=0.3, average=0.5)
    small = {
        "quench": Quench(side=3, duration=2.0, frames=4),
        "network": Network(Moments(hops=1, moments=4), hidden=(4,)),
        "training": training,
        "seeds": (0,),
        "arms": ("random", "logarithmic", "relative"),
        "quenches": 1,
        "test_quenches": 1,
        "random": 4,
        "ordered": 2,
        "rounds": 1,
        "picks": 2,
        "members": 2,
    }
    return active_learning.Config(output, **(small | changes))


@pytest.mark.slow
def test_active_learning_killed_and_resumed_is_unbroken(tmp_path, monkeypatch):
    summary = active_learning.run(tiny(tmp_path / "whole"))
    stored = json.loads((tmp_path / "whole" / "summary.json").read_text())
    assert stored["rounds"] == json.loads(json.dumps(summary["rounds"]))
    assert [(row["arm"], row["labels"]) for row in stored["rounds"]] == [
        ("random", 6),
        ("random", 8),
        ("logarithmic", 6),
        ("logarithmic", 8),
        ("relative", 6),
        ("relative", 8),
    ]
    # all arms begin with one committee
    assert stored["rounds"][0]["errors"] == stored["rounds"][2]["errors"] == stored["rounds"][4]["errors"]
    assert stored["torque error"]["relative"]["ratio to random"][0] == 1
    assert (tmp_path / "whole" / "active_learning.png").stat().st_size > 1000
    assert isinstance(load(tmp_path / "whole" / "seed_0" / "relative" / "committee"), Committee)

    def killed(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(active_learning_rounds, "choose", killed)
    with pytest.raises(KeyboardInterrupt):
        active_learning.run(tiny(tmp_path / "broken"))
    monkeypatch.undo()
    resumed = active_learning.run(tiny(tmp_path / "broken", resume=True))
    assert resumed["rounds"] == summary["rounds"]
    with pytest.raises(FileExistsError, match="choose another folder"):
        active_learning.run(tiny(tmp_path / "broken"))
    with pytest.raises(ValueError, match="holds other settings"):
        active_learning.run(tiny(tmp_path / "broken", resume=True, picks=1))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"quench": Quench(7, 1.0, 9)}, "multiples of 3"),
        ({"picks": 99}, "raise --quench.frames"),
        ({"seeds": ()}, "pass --seeds 0"),
    ],
)
def test_impossible_settings_are_refused(settings, text):
    with pytest.raises(ValueError, match=text):
        active_learning.Config(**settings)
