"""The cards of the pretrained force fields: their numbers are those of committed files, their commands parse."""

import dataclasses
import importlib
import shlex

import pytest
import tyro

import jaxspin as js
from experiments.accuracy import cards
from experiments.stages.results import error, result, weights_errors
from jaxspin.forcefield import pretrained_names
from jaxspin.forcefield.cards import RETRAIN
from jaxspin.forcefield.pretrained import WEIGHTS
from jaxspin.io import load_json


def test_the_file_that_comes_along_is_made_of_committed_results():
    assert load_json(WEIGHTS / "cards.json") == cards.collected()
    costs = load_json(cards.COSTS)
    assert set(costs["rows"]) <= set(pretrained_names())
    assert "--measure" in costs["provenance"]["command"]


@pytest.mark.parametrize("name", ["triangular-120", "driven-channel-fast"])
def test_a_card_says_what_the_metadata_do(name):
    card, about = js.forcefield.card(name), js.forcefield.pretrained_metadata(name)
    text = str(card)
    assert text.startswith(f"### `{name}`\n")
    for kind, errors in weights_errors(name).items():
        assert card.errors[kind] == errors["torque"]
        assert f"{100 * errors['torque']:.3g} %" in text
    assert f"coupling = {about['params']['coupling']}" in text
    assert about["commit"][:12] in text
    assert all(f"**{word}" in text for word in ("Learnt from", "Errors", "Limits", "Cost", "To train", "License"))
    assert "MIT" in text


def test_the_smallest_lattice_is_the_smallest():
    card = js.forcefield.card("triangular-120")
    js.pretrained("triangular-120", js.triangular(*card.smallest))
    with pytest.raises(ValueError, match="use at least"):
        js.pretrained("triangular-120", js.triangular(card.smallest[0] - 1))


def test_a_card_tells_what_nobody_counted_or_timed():
    card = js.forcefield.card("triangular-120")
    text = str(dataclasses.replace(card, configurations=None, microseconds=None, familiar=False))
    assert "how many was not recorded" in text
    assert "not measured in a committed result" in text
    assert "It does not know where it has not learnt" in text
    assert error(result("triangular_120")["force field"]["errors"]["quench"]["torque"]) == "1.0 %"
    with pytest.raises(ValueError, match="there is no force field 'iron'; choose one of"):
        js.forcefield.card("iron")


@pytest.mark.parametrize("name", sorted(RETRAIN))
def test_the_command_that_trains_it_again_is_one_of_today(name):
    """With the network and the number of training steps that the metadata have."""
    python, flag, module, *rest = shlex.split(RETRAIN[name])
    assert (python, flag) == ("python", "-m")
    script = importlib.import_module(module)
    default = getattr(script, "DEFAULT", None)
    config = (
        tyro.cli(script.Config, args=rest) if default is None else tyro.cli(type(default), args=rest, default=default)
    )
    about = js.forcefield.pretrained_metadata(name)["config"]
    recorded = about.get("network") or about
    recorded = recorded.get("descriptor") if isinstance(recorded.get("descriptor"), dict) else recorded
    descriptor = getattr(getattr(config, "network", config), "descriptor", config)
    for setting in ("hops", "moments"):
        if setting in recorded and hasattr(descriptor, setting):
            assert getattr(descriptor, setting) == recorded[setting], setting
    assert config.training.steps == about["training"]["steps"]


def test_every_force_field_has_a_command():
    assert sorted(RETRAIN) == sorted(pretrained_names())
