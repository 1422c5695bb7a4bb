"""Old names keep working for one release, and say the new ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin import renamed
from jaxspin.electrons.ensemble import Filled

LATTICE = js.chain(4, periodic=False)
NEEL = js.textures.neel(LATTICE)
KEY = jax.random.key(0)


def committee():
    descriptor = js.Bispectrum(js.chain(8), radius=1.0)
    return js.Committee([js.BehlerParrinello(descriptor, key=key, hidden=(2,)) for key in jax.random.split(KEY, 2)])


def accuracy(**named):
    known = {"colours": 8, "vectors": 16, "moments": 64, "window": (-6.0, 6.0), "field": 0.8, "torque": 0.3}
    return js.electrons.Accuracy(**known, bias=0.04, **named)


def between_leads():
    return js.descriptors.BetweenLeads(js.Bispectrum(LATTICE, radius=1.0), voltage=0.5)


def near_ends():
    return js.descriptors.NearEnds(js.Bispectrum(LATTICE, radius=1.0))


FRAMES = jnp.stack([js.random_spins(js.chain(8), key=key) for key in jax.random.split(KEY, 3)])
CASES = {
    "Puddles.regions": (lambda: js.observables.puddles(LATTICE, NEEL), "number", "regions"),
    "Accuracy.standard_deviation": (lambda: accuracy(standard_deviation=0.03), "spread", "standard_deviation"),
    "Coloring.colours": (lambda: js.electrons.Coloring(5), "number", "colours"),
    "Filled.electrons": (lambda: Filled(*(jnp.asarray(float(x)) for x in range(4))), "number", "electrons"),
    "NearEnds.decays": (near_ends, "places", lambda new: new.decays()),
    "BetweenLeads.added": (between_leads, "reach", lambda new: new.added(NEEL)),
    "Clock.step_number": (lambda: js.dynamics.Clock(last=3), "number", lambda new: new.step_number(jnp.asarray(2.0))),
    "Committee.standard_deviation": (committee, "spread", lambda new: new.standard_deviation(FRAMES[0])),
}
ARGUMENTS = {"BetweenLeads.added": (NEEL,), "Clock.step_number": (jnp.asarray(2.0),)}
ARGUMENTS["Committee.standard_deviation"] = (FRAMES[0],)


@pytest.mark.parametrize("name", CASES)
def test_an_old_attribute_is_the_new_one(name):
    make, old, new = CASES[name]
    value = make()
    expected = getattr(value, new) if isinstance(new, str) else new(value)
    with pytest.warns(DeprecationWarning, match=rf"\.{old} is now {name}\.$") as told:
        found = getattr(value, old)
    assert [warning.filename for warning in told] == [__file__]
    found = found(*ARGUMENTS.get(name, ())) if callable(found) else found
    np.testing.assert_array_equal(found, expected)


KEYWORDS = [
    (js.square(4).shell, {"number": 2}, {"nth": 2}),
    (accuracy, {"spread": 0.03}, {"standard_deviation": 0.03}),
    (js.electrons.Coloring, {"number": 5}, {"colours": 5}),
    (js.sweeps.grid(x=[1.0, 2.0]).point, {"number": 1}, {"index": 1}),
    (lambda **n: js.training.random_configurations(LATTICE, key=KEY, **n), {"number": 2}, {"count": 2}),
    (lambda **n: js.training.choose(committee(), FRAMES, **n), {"number": 2}, {"count": 2}),
]


@pytest.mark.parametrize(("function", "old", "new"), KEYWORDS)
def test_an_old_argument_is_the_new_one(function, old, new):
    (name,), (renamed_to,) = old, new
    with pytest.warns(DeprecationWarning, match=rf"{name}=\.\.\.\) is now .*{renamed_to}=\.\.\.\)\.$") as told:
        found = function(**old)
    assert [warning.filename for warning in told] == [__file__]
    assert np.all(found == function(**new))


def test_both_names_at_once_are_refused():
    with (
        pytest.warns(DeprecationWarning, match="shell"),
        pytest.raises(TypeError, match=r"shell got nth, and number, its old name; give nth alone"),
    ):
        js.square(4).shell(nth=1, number=1)


def test_an_old_function_of_a_room_is_the_new_one():
    with pytest.warns(DeprecationWarning, match=r"jaxspin\.io\.kept is now jaxspin\.io\.load_or_make\.$"):
        assert js.io.kept is js.io.load_or_make
    with pytest.raises(AttributeError, match="has no attribute 'found'"):
        _ = js.io.found


def test_the_renamed_function_keeps_its_signature_and_docstring():
    @renamed.keyword("old", "new")
    def function(new: int = 1) -> int:
        """What it does."""
        return new

    assert function() == function(1) == function(new=1) == 1
    assert function.__doc__ == "What it does."
