"""Colliding neighbourhoods: the ladder of ranks, and pairs that are what they are said to be."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.accuracy import incompleteness
from experiments.accuracy.surroundings import VARIABLES, Case, Surroundings
from jaxspin.spins import random_rotation, rotate
from jaxspin.symmetry import transform_sites

CASE = Case("square", 1.5, 0.0)


def small(output, **changes):
    settings = {"cases": (CASE,), "hops": (1,), "moments": 4, "tries": 3, "steps": 60}
    return incompleteness.Config(output, **(settings | changes))


@pytest.fixture(scope="module")
def around():
    return Surroundings(CASE, hops=(1,), moments=4, coupling=3.0)


def test_values_are_those_of_the_descriptors_and_symmetric_copies_are_equal(around, key):
    """Against the descriptors on a lattice, and under an improper element, a rotation and time reversal at once."""
    spins = around.draw(key, 2)
    found, _ = around.values_and_slopes(spins)
    lattice = js.square(5)
    places = tuple(np.add(p, c) for p, c in zip(around.places, (1, 1, 0), strict=True))
    whole = jnp.zeros((*lattice.shape, 3)).at[places].set(spins[0])
    center = tuple(int(p[0]) for p in places)
    polynomials = js.Bispectrum(lattice, CASE.radius, CASE.bond_radius)
    moments = js.LocalMoments(lattice, 3.0, hops=1, moments=4, surroundings=0)
    for name, descriptor in (("+ bispectrum", polynomials), ("moments, 1 hops", moments)):
        np.testing.assert_allclose(found[0][around.sets[name]], descriptor(whole)[center], atol=1e-10)
    image = -rotate(transform_sites(lattice, whole, np.diag([1.0, -1.0]), center[:2]), random_rotation(key=key))
    moved, _ = around.values_and_slopes(jnp.stack([image[places], spins[1]]))
    variables = around.sets[VARIABLES]
    apart = around.apart(np.asarray(found)[:, variables], np.asarray(moved)[:, variables])
    np.testing.assert_allclose(apart, 0, atol=1e-10)
    crossed = around.apart(np.asarray(found)[:, variables], np.asarray(moved)[::-1, variables])
    assert crossed.min() > incompleteness.APART


def test_each_family_of_features_tells_apart_what_the_ones_before_cannot(tmp_path):
    """Eight bonds to the centre, which the spins set freely, in two orbits of four: A1 + B + E each.

    Six powers and sums leave a family of two parameters. The angle between the two E is seen by the phases, and the
    angle of both against the lattice by the bispectrum. The moments of a cluster of one hop know the sum of the
    neighbours alone: S_0 . M and M^2.
    """
    rows = incompleteness.run(small(tmp_path / "out"))["rows"]
    found = {row["set"]: row for row in rows}
    ranks = {name: row["rank"] for name, row in found.items()}
    assert ranks == {
        "bonds and chiralities": 8,
        "power": 6,
        "+ phases": 7,
        "+ bispectrum": 8,
        "moments, 1 hops": 2,
    }
    for poor, rich in (("power", "+ phases"), ("+ phases", "+ bispectrum"), ("moments, 1 hops", "power")):
        assert found[poor]["collisions"] > 0
        assert found[poor]["least distance"][poor] < incompleteness.SAME
        assert found[poor]["least distance"][rich] > 1e3 * incompleteness.SAME
    assert found["+ bispectrum"]["collisions"] == 0
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert stored["rows"] == json.loads(js.io.to_json(rows))
    assert (tmp_path / "out" / "table.md").read_text().count("\n") == 2 + len(rows)
    with pytest.raises(FileExistsError, match="choose another folder"):
        incompleteness.run(small(tmp_path / "out"))


def test_a_stored_pair_collides(around, key):
    """In the power spectrum and not in the phases, straight from the descriptor; random pairs do not."""
    rows = incompleteness.measure(around, "", small("none"), key)
    pair = next(row for row in rows if row["set"] == "power")["example"]
    values, _ = around.values_and_slopes(jnp.stack([pair["first"], pair["second"]]))
    difference = np.abs(np.asarray(values[0] - values[1]))
    phases = around.sets["+ phases"] & ~around.sets["power"]
    assert difference[around.sets["power"]].max() < 1e-9
    assert difference[phases].max() > 1e-4
    random = np.asarray(around.values_and_slopes(around.draw(key, 2))[0])
    assert np.abs(random[0] - random[1])[around.sets["power"]].max() > 1e-2


def test_searches_that_cannot_be_made(tmp_path):
    with pytest.raises(ValueError, match="at least 3 tries"):
        small(tmp_path, tries=0)
    with pytest.raises(ValueError, match="choose square"):
        small(tmp_path, cases=(Case("gyroid", 1.0, 0.0),))
    assert jax.config.jax_enable_x64
