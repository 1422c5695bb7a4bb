"""The experiment on familiarity, at a tiny size: what it ranks, and what it writes into a stored force field."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.accuracy import familiarity
from experiments.accuracy.familiarity import Config
from experiments.accuracy.familiarity_measures import ranks
from experiments.accuracy.familiarity_recipe import Recipe
from experiments.stages import Electrons, Moments, Motion, Network, Sampling

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

NAME = "triangular-120"


@pytest.fixture
def recipe(monkeypatch):
    """A force field that does nothing, on the smallest lattice with room for all textures."""
    electrons = Electrons("triangular", 4.0, 0.5, 0.1)
    sampling = Sampling(
        side=6,
        quenches=1,
        quench_duration=4.0,
        quench_frames=4,
        hot_temperatures=(0.01,),
        hot_textures=("one_hundred_twenty",),
        hot_duration=2.0,
        hot_frames=2,
        ordered=8,
        textures=("one_hundred_twenty", "ferromagnet"),
        amplitudes=(0.02, 0.1),
        random=2,
    )
    model = Network(Moments(hops=1, moments=4, weights=False, surroundings=0), hidden=(4,)).on(electrons, 6)
    made = Recipe(electrons, sampling, Motion(), model)
    monkeypatch.setattr(Recipe, "of", staticmethod(lambda name, quenches: made))
    return made


def test_ranks_of_a_measure_that_is_the_error_and_of_one_that_is_not():
    rng = np.random.default_rng(0)
    errors = {"a": rng.uniform(size=(3, 50)), "b": 10 * rng.uniform(size=(3, 50))}
    torques = {name: np.ones_like(x) for name, x in errors.items()}
    measures = {
        "itself": errors,
        "its square": {name: x**2 for name, x in errors.items()},
        "less of it": {name: -x for name, x in errors.items()},
        "noise": {name: rng.uniform(size=x.shape) for name, x in errors.items()},
    }
    found = ranks(errors, torques, measures)
    assert found["itself"] == pytest.approx({"spins": 1, "frames": 1, "frames, relative error": 1})
    assert found["its square"]["spins"] == pytest.approx(1)
    assert found["less of it"]["spins"] == pytest.approx(-1)
    # of 300 numbers: five standard errors
    assert abs(found["noise"]["spins"]) < 5 / 300**0.5


def test_a_recipe_is_that_of_the_metadata():
    recipe = Recipe.of("triangular-tetrahedral", None)
    about = js.forcefield.pretrained_metadata("triangular-tetrahedral")["config"]
    assert dataclasses.asdict(recipe.electrons) == about["electrons"]
    assert json.loads(json.dumps(dataclasses.asdict(recipe.sampling))) == about["sampling"]
    assert Recipe.of("triangular-tetrahedral", 2).sampling.quenches == 2
    with pytest.raises(ValueError, match="double-exchange has no recipe of its data; choose of triangular-120,"):
        Config(names=("double-exchange",))


@pytest.mark.slow
def test_the_whole_experiment_goes_on_and_writes_what_it_found(recipe, tmp_path):
    shelf = tmp_path / "weights"
    shelf.mkdir()
    js.forcefield.save(shelf / NAME, recipe.model, metadata={"errors": {"all": 0.5}})
    config = Config(output=tmp_path / "out", names=(NAME,), temperatures=(0.01, 0.5))
    found = familiarity.run(config)["force fields"][NAME]
    rows = {row["case"]: row for row in found["rows"]}
    assert rows["bath 0.01"]["learnt"]
    assert not rows["bath 0.5"]["learnt"]
    # it has no torque of its own
    assert all(row["torque error"] == pytest.approx(1) for row in rows.values())
    assert set(found["ranks"]) == {"features", "last hidden layer", "variance of the last layer"}
    assert (tmp_path / "out" / "familiarity.png").stat().st_size > 10_000

    def never(*_):
        raise AssertionError("made again")

    whole = dataclasses.replace(config, resume=True, store=shelf)
    Recipe.known, held = never, Recipe.known
    try:
        assert familiarity.run(whole)["force fields"][NAME] == found
    finally:
        Recipe.known = held
    stored = js.forcefield.load(shelf / NAME)
    about = js.forcefield.load_metadata(shelf / NAME)
    assert about["errors"] == {"all": 0.5}
    assert about["familiarity"]["configurations"] == found["configurations"]
    spins = js.random_spins(recipe.model.lattice, key=jax.random.key(3))
    known = jnp.asarray(familiarity.kept(tmp_path / "out" / f"{NAME}.npz", never))
    expected = recipe.model.familiar_with(known).unfamiliarity(spins)
    np.testing.assert_allclose(stored.unfamiliarity(spins), expected, rtol=1e-6)
