"""What a new user types wrong, and what is said: the argument, what was got, and in the end what to type.

Each line of the table has one wrong call. Three things are held, each in its own place of the message: the name of the
argument, in words of its own; what was given for it; and after the last semicolon the text to type instead.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import jaxspin as js
from jaxspin import observables as ob
from jaxspin.arguments import told

KEY = jax.random.key(0)
LATTICE, OTHER, TRACK = js.square(4), js.triangular(4), js.chain(6, periodic=False)
SPINS = js.random_spins(LATTICE, key=KEY)
FIELD = js.Exchange(LATTICE, 1.0)
MODEL = js.SDModel(LATTICE, coupling=2.0)
SOLVER = js.ExactDiagonalization(MODEL, filling=0.25, temperature=0.1)
RUN = {"duration": 1.0, "step": 0.1}
BATH = {**RUN, "damping": 0.1}
BOND = LATTICE.shell(1)[0]
DATA = js.SpinData(LATTICE, SPINS[None], SPINS[None])
NETWORK = js.BehlerParrinello(descriptor=js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4), hidden=(4,))
LEARNT: Any = js.training.Learnt(NETWORK, {}, 0)


class Wrong(NamedTuple):
    """A call, the argument that is wrong, what was given, and what to type."""

    call: Callable[[], Any]
    argument: str
    got: str
    typed: str


def run(field=FIELD, spins=SPINS, **settings):
    return lambda: js.simulate(field, spins, **{**RUN, **settings})


def solver(**constraint):
    return lambda: js.ExactDiagonalization(MODEL, **constraint)


WRONG = {
    "a run of a model": Wrong(run(MODEL), "field", "an SDModel", "js.ExactDiagonalization(model, filling=0.25"),
    "relaxing a model": Wrong(
        lambda: js.relax(MODEL, SPINS),  # pyright: ignore[reportArgumentType]
        "field",
        "an SDModel",
        "js.ExactDiagonalization(model, filling=0.25",
    ),
    "labels of a model": Wrong(
        lambda: js.sample(MODEL, SPINS[None]),  # pyright: ignore[reportArgumentType]
        "potential",
        "an SDModel",
        "js.ExactDiagonalization(model, filling=0.25",
    ),
    "a vector for a pair": Wrong(
        lambda: js.Exchange(LATTICE, pairs=[(0, 0, (1, 0), np.array([0.0, 0.0, 0.1]))]),
        "J",
        "shape (3,)",
        "for a vector D [[0, D_z, -D_y]",
    ),
    # arguments in another order, or of another kind
    "a field with a lattice": Wrong(
        lambda: js.Zeeman(LATTICE, (0.0, 0.0, 1.0)),  # pyright: ignore[reportArgumentType]
        "applied",
        "the square lattice (4, 4)",
        "js.Zeeman((0.0, 0.0, 1.0))",
    ),
    "an anisotropy with a lattice": Wrong(
        lambda: js.Anisotropy(LATTICE, 0.1),  # pyright: ignore[reportArgumentType]
        "strength",
        "the square lattice (4, 4)",
        "js.Anisotropy(0.1)",
    ),
    "J before the lattice": Wrong(lambda: js.Exchange(1.0, LATTICE), "lattice", "1.0", "js.Exchange(lattice, 1.0)"),
    "D before the lattice": Wrong(
        lambda: js.DzyaloshinskiiMoriya(0.2, LATTICE), "lattice", "0.2", "js.DzyaloshinskiiMoriya(lattice, 0.1)"
    ),
    "t before the lattice": Wrong(
        lambda: js.SDModel(1.0, LATTICE), "lattice", "1.0", "js.SDModel(lattice, 1.0, coupling=2.0)"
    ),
    "t before the bond": Wrong(lambda: js.Hopping(1.0, BOND), "bond", "1.0", "js.Hopping(lattice.shell(1)[0], 1.0)"),
    "a solver of a lattice": Wrong(
        lambda: js.ExactDiagonalization(LATTICE, filling=0.5),
        "model",
        "the square lattice (4, 4)",
        "js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), ...)",
    ),
    "moments of a lattice": Wrong(
        lambda: js.KernelPolynomial(LATTICE, filling=0.5, temperature=0.1),
        "model",
        "the square lattice (4, 4)",
        "js.KernelPolynomial(js.SDModel(lattice, coupling=2.0), ...)",
    ),
    "leads by name": Wrong(
        lambda: js.GreensFunction(js.SDModel(TRACK), leads=["left"], temperature=0.1),
        "leads",
        "'left'",
        "js.WideBand('left')",
    ),
    "spins before the field": Wrong(
        run(SPINS, FIELD), "spins", "an Exchange is a field", "give the field first, and then the spins"
    ),
    "spins before the field, at rest": Wrong(
        lambda: js.relax(SPINS, FIELD), "spins", "an Exchange is a field", "give the field first, and then the spins"
    ),
    "spins before the lattice": Wrong(
        lambda: ob.topological_charge(SPINS, LATTICE), "spins", "the square lattice (4, 4)", "shape (*lattice.shape, 3)"
    ),
    "labels of a field": Wrong(
        lambda: js.sample(SPINS[None], FIELD),
        "potential",
        "an array of shape (1, 4, 4, 1, 3)",
        "js.sample(field, configurations)",
    ),
    "random spins of a number": Wrong(
        lambda: js.random_spins(4, key=KEY), "lattice", "4", "js.random_spins(lattice, key=jax.random.key(0))"
    ),
    # keys
    "a seed for spins": Wrong(lambda: js.random_spins(LATTICE, key=7), "key", "7", "key=jax.random.key(7)"),
    "a seed for a run": Wrong(run(temperature=0.1, key=3), "key", "3", "key=jax.random.key(3)"),
    "noise without a key": Wrong(run(temperature=0.1), "temperature", "0.1", "key=jax.random.key(0), or temperature=0"),
    # shapes
    "sizes in brackets": Wrong(lambda: js.square((4, 4)), "cells", "(4, 4)", "one by one, such as 4, 4"),
    "half a cell": Wrong(lambda: js.square(4.5), "cells", "4.5", "int(4.7)"),
    "no cell": Wrong(lambda: js.square(0), "cells", "(0, 0)", "use 1 for a single cell"),
    "one number for a field": Wrong(lambda: js.Zeeman(0.5), "applied", "shape ()", "(0.0, 0.0, 1.0)"),
    "two numbers for an axis": Wrong(lambda: js.Anisotropy(0.1, (0.0, 1.0)), "axis", "shape (2,)", "(0.0, 0.0, 1.0)"),
    "spins in a row": Wrong(
        lambda: FIELD.field(SPINS.reshape(16, 3)), "spins", "(16, 3)", "reshape them, or use lattice.resize(...)"
    ),
    "spins of another size": Wrong(
        run(spins=js.random_spins(js.square(5), key=KEY)), "spins", "(5, 5, 1, 3)", "lattice.resize(...)"
    ),
    "couplings of another size": Wrong(
        lambda: js.Exchange(LATTICE, np.ones((3, 3))), "couplings", "(3, 3)", "one number, or (4, 4, 2)"
    ),
    "a mask of another size": Wrong(
        run(frozen=np.ones(4, bool)), "frozen", "(4,)", "a mask of the lattice's shape (4, 4, 1)"
    ),
    "one configuration": Wrong(lambda: js.sample(FIELD, SPINS), "spins", "(4, 4, 1, 3)", "spins[None]"),
    # numbers and their type
    "a text for J": Wrong(lambda: js.Exchange(LATTICE, "1.0"), "coupling", "'1.0'", "give one, without quotes"),
    "a text for the moments": Wrong(
        lambda: js.LocalMoments(LATTICE, "3"), "coupling", "'3'", "give one, without quotes"
    ),
    "a complex J": Wrong(lambda: js.SDModel(LATTICE, 1.0, 1j), "coupling", "complex", "pass its .real"),
    "half precision": Wrong(run(SOLVER, SPINS.astype(jnp.float16)), "spins", "float16", "spins.astype(jnp.float32)"),
    "spins of length two": Wrong(run(spins=2 * SPINS), "spins", "lengths up to 2", "jaxspin.normalize(spins)"),
    "half filling as electrons a site": Wrong(solver(filling=2), "filling", "2", "filling=0.5"),
    "no filling": Wrong(solver(temperature=0.1), "filling", "neither", "filling=0.5"),
    "filling and mu": Wrong(solver(filling=0.5, chemical_potential=0.0), "chemical_potential", "both", "filling=0.5"),
    "electrons below zero": Wrong(
        solver(filling=0.5, temperature=-0.1), "temperature", "-0.1", "use 0 for the ground state"
    ),
    "moments at zero": Wrong(
        lambda: js.KernelPolynomial(MODEL, filling=0.5, temperature=0.0),
        "temperature",
        "got 0",
        "use ExactDiagonalization for T = 0",
    ),
    "a bath below zero": Wrong(run(temperature=-0.1, key=KEY), "temperature", "-0.1", "zero or more, such as 0.01"),
    "a damping below zero": Wrong(run(damping=-0.1), "damping", "-0.1", "zero or more, such as 0.1"),
    "a step below zero": Wrong(run(step=-0.1), "step", "-0.1", "leave it out to have one suggested"),
    "a time below zero": Wrong(run(duration=-1.0), "duration", "-1.0", "give times in hbar/t"),
    "steps below zero": Wrong(lambda: js.TrainConfig(steps=-1), "steps", "-1", "TrainConfig(steps=3000), the default"),
    # names
    "a solver by name": Wrong(run(solver="heun"), "solver", "'heun'", "solver=js.dynamics.DepondtMertens()"),
    "what a training returns, evaluated": Wrong(
        lambda: js.training.evaluate(LEARNT, DATA), "model", "a Learnt", "learnt.model"
    ),
    "what a training returns, predicting": Wrong(
        lambda: js.training.predict(LEARNT, SPINS[None]), "model", "a Learnt", "learnt.model"
    ),
    "a field that cannot be trained": Wrong(
        lambda: js.train(FIELD, DATA), "model", "an Exchange", "js.BehlerParrinello(data.lattice)"
    ),
    "a tuple of arrays to learn from": Wrong(
        lambda: js.train(LEARNT.model, ([0.0], [1.0], [2.0])),
        "data",
        "([0.0], [1.0], [2.0])",
        "js.SpinData(lattice, spins",
    ),
    "a tuple of arrays to be judged on": Wrong(
        lambda: js.training.evaluate(FIELD, (1.0, 2.0)), "data", "(1.0, 2.0)", "js.SpinData(lattice, spins"
    ),
    "a tuple of arrays for scales": Wrong(
        lambda: js.training.LossScales.of((1.0, 2.0)), "data", "(1.0, 2.0)", "js.SpinData(lattice, spins"
    ),
    "labels in place of runs": Wrong(
        lambda: js.training.train_rollout(NETWORK, DATA), "data", "a SpinData", "RolloutData.sample("
    ),
    "energies alone": Wrong(lambda: js.SpinData(LATTICE, SPINS[None], None, [0.0]), "field", "None", "js.sample("),
    "data without a lattice": Wrong(
        lambda: js.SpinData(SPINS[None], SPINS[None], SPINS[None]), "lattice", "(1, 4, 4, 1, 3)", "js.SpinData(lattice"
    ),
    "a force field that is none": Wrong(lambda: js.pretrained("iron"), "force field", "'iron'", "triangular-120"),
    "a force field of another lattice": Wrong(
        lambda: js.pretrained("triangular-120", js.square(12)),
        "triangular-120",
        "the square lattice (12, 12)",
        "js.triangular(24)",
    ),
    "a lead that sits nowhere": Wrong(lambda: js.WideBand("top"), "lead", "'top'", "'left' or 'right', or give sites="),
    "a unit of no energy": Wrong(
        lambda: js.units.Units(energy="eV").temperature(300.0, "C"), "unit", "'C'", "use eV, meV, K"
    ),
    "components that are none": Wrong(
        lambda: ob.dynamical_structure_factor(LATTICE, jnp.stack([SPINS] * 4), 0.1, components="xw"),
        "components",
        "'xw'",
        "use for example 'xy'",
    ),
    "terms of two lattices": Wrong(
        lambda: FIELD + js.Exchange(js.square(5), 1.0), "fields", "square (5, 5)", "every term on the same lattice"
    ),
    "waves about no state of rest": Wrong(
        lambda: ob.spin_waves(FIELD, SPINS), "spin", "torque", "jaxspin.relax(potential, spins).spins"
    ),
    "a texture that does not fit": Wrong(
        lambda: js.textures.neel(OTHER), "lattice", "triangular", "one_hundred_twenty or stripe"
    ),
}


@pytest.fixture(autouse=True)
def as_users_have_it():
    """Without the checks of annotations, which only the tests have and which would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def lacks(message: str, wrong: Wrong) -> list[str]:
    """What of the three a message has not."""
    said, _, remedy = message.rstrip(".").rpartition("; ")
    found = {
        "the argument": re.search(rf"(?<![\w.]){re.escape(wrong.argument)}(?!\w)", said) is not None,
        "what was got": re.search(rf"(?<![\w.-]){re.escape(wrong.got)}(?!\w)", said) is not None,
        "what to type": wrong.typed in remedy,
        "one line": "\n" not in message and len(message) < 330,
    }
    return [what for what, there in found.items() if not there]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_told_what_to_type(name):
    with pytest.raises((TypeError, ValueError)) as caught:
        WRONG[name].call()
    assert not lacks(str(caught.value), WRONG[name]), str(caught.value)


def test_there_are_forty_of_them():
    assert len(WRONG) >= 40


def test_a_message_without_one_of_the_three_is_found():
    wrong = Wrong(lambda: None, "step", "-0.1", "leave it out")
    assert lacks("step = -0.1 must be positive; leave it out to have one suggested.", wrong) == []
    assert lacks("must be positive, -0.1; leave it out.", wrong) == ["the argument"]
    assert lacks("max_step = -0.1 is wrong; leave it out.", wrong) == ["the argument"]
    assert lacks("step must be positive; leave it out.", wrong) == ["what was got"]
    assert lacks("step = 0.1; leave it out.", wrong) == ["what was got"]
    assert lacks("leave it out: step = -0.1; it must be positive.", wrong) == ["what to type"]
    assert lacks("step = -0.1\n must be positive; leave it out.", wrong) == ["one line"]


@pytest.mark.parametrize(
    "call",
    [
        lambda learnt: js.simulate(learnt, js.random_spins(js.chain(8), key=KEY), **RUN),
        lambda learnt: js.relax(learnt, js.random_spins(js.chain(8), key=KEY)),
        lambda learnt: js.training.disagreement(learnt, js.random_spins(js.chain(8), key=KEY)),
    ],
)
def test_what_a_training_returns_is_no_field(call):
    committee: Any = js.training.LearntCommittee(js.Committee([NETWORK, NETWORK]), (LEARNT, LEARNT))
    for learnt in (LEARNT, committee):
        with pytest.raises(
            (AttributeError, TypeError),
            match=r"is what a training returns and has no .*; give its model, learnt\.model",
        ):
            call(learnt)
    assert not hasattr(LEARNT, "_repr_html_")


def test_a_folder_has_no_name_of_a_file(tmp_path):
    """Nobody finds his data in a folder `mine.npz`; names with a dot in them, or of no format, are names."""
    frames = SPINS[None]
    savers = {
        "end its name in .zarr": (DATA.save, lambda path: js.io.save_trajectory(path, [0.0], frames, LATTICE)),
        "leave its ending out": (
            lambda path: js.forcefield.save(path, NETWORK),
            lambda path: js.devices.save(path, {"spins": SPINS}),
            js.training.ShardWriter,
        ),
    }
    for remedy, calls in savers.items():
        for call in calls:
            for name in ("mine.npz", "mine.JSON"):
                with pytest.raises(ValueError, match=f"{name} would be a folder and no .* file; {remedy}"):
                    call(tmp_path / name)
                assert not (tmp_path / name).exists()
    assert DATA.save(tmp_path / "J3.0").is_dir()


@pytest.mark.parametrize("config", [js.TrainConfig, js.training.RolloutConfig])
def test_the_help_of_a_config_explains_every_setting(config):
    for field in dataclasses.fields(config):
        assert f"`{field.name}`: " in config.__doc__, field.name


def test_values_are_told_in_a_few_words():
    assert told(LATTICE) == "the square lattice (4, 4)"
    assert told(np.ones((2, 3))) == "an array of shape (2, 3)"
    assert (told("a"), told(FIELD), told(MODEL)) == ("'a'", "an Exchange", "an SDModel")
