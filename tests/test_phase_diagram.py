"""The phase diagram: known energies come out of its sweep, and states are named by what they are."""

import json

import jax
import numpy as np
import pytest

import jaxspin as js
from experiments.quenches import phase_diagram
from experiments.quenches.phase_diagram import Config, run
from experiments.quenches.phase_diagram_annealing import Annealing
from experiments.quenches.phase_diagram_textures import energies
from experiments.stages.phases import TEXTURES, classified
from jaxspin.spins import random_rotation

# Exact diagonalization by an independent program, T = 0.02, triangular 24 x 24, to four digits.
KNOWN = {
    (0.25, 3.0): (-2.5005, -2.5353, -2.5941, -2.6238, -2.6144),
    (0.5, 4.0): (-4.0190, -4.4913, -4.4465, -4.4563, -4.4542),
}


def test_the_table_of_energies_comes_out(tmp_path):
    grid = Config(largest_coupling=4.0, couplings=4, fillings=3).grid
    found = energies(tmp_path / "textures.zarr", *grid, side=24, temperature=0.02).load()
    for (filling, coupling), expected in KNOWN.items():
        values = found.energy.sel(filling=filling, coupling=coupling)
        assert values.texture.values.tolist() == list(TEXTURES)
        np.testing.assert_allclose(values, expected, atol=6e-5)
    lowest = np.array(list(TEXTURES))[found.energy.transpose("texture", "coupling", "filling").values.argmin(axis=0)]
    assert (lowest[:, 0] == "tetrahedral").all()
    assert (lowest[:, 1] == "120 degrees").all()
    assert (lowest[:, 2][1:] == "ferromagnet").all()


def test_states_are_named_by_their_order(key):
    lattice = js.triangular(6, 12)
    for name, (texture, _) in TEXTURES.items():
        turned = js.spins.rotate(texture(lattice), random_rotation(key=key))
        shaken = js.normalize(turned + 0.1 * jax.random.normal(key, turned.shape))
        assert classified(lattice, shaken)[0] == name
    for spins in (js.random_spins(lattice, key=key), js.textures.spiral(lattice, tuple(lattice.reciprocal()[0] / 6))):
        assert classified(lattice, spins)[0] == "other"


@pytest.mark.slow
def test_the_experiment_runs_resumes_and_refuses(tmp_path):
    first = run(Config(output=tmp_path / "out", smoke=True))
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert found["textures"] == list(TEXTURES)
    assert [row["why not at rest"] for row in found["annealed"]] == ["not done after 3 pieces"] * 2
    assert (tmp_path / "out" / "phase_diagram.png").stat().st_size > 10_000
    again = run(Config(output=tmp_path / "out", smoke=True, resume=True))
    assert again["annealed"] == first["annealed"]
    with pytest.raises(FileExistsError, match="not empty; choose another folder"):
        run(Config(output=tmp_path / "out", smoke=True))


def test_settings_that_cannot_run_are_refused():
    for changes, remedy in (
        ({"side": 8}, "side = 8 does not hold all magnetic cells; use 6"),
        ({"temperature": 0.0}, "temperature must be positive"),
    ):
        with pytest.raises(ValueError, match=remedy):
            Config(**changes)
    for changes, remedy in (
        ({"cells": (6, 13)}, r"annealing\.cells = 13 does not hold all magnetic cells; use 12"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"fillings": (1.5,)}, "give numbers between 0 and 1"),
        ({"cold": 0.1}, "give positive temperatures that fall"),
        ({"limit": 3}, "ends before the cooling does; use at least 20"),
    ):
        with pytest.raises(ValueError, match=remedy):
            Annealing(**changes)
    assert phase_diagram.smoke_size(Config()).annealing.cells == (6, 6)
