"""Warnings point at the line of the user's that led to them, and refusals at what helps there."""

import re
from pathlib import Path

import pytest

import jaxspin as js


def test_a_warning_points_at_the_line_that_led_to_it(key):
    lattice = js.square(4)
    spins = js.random_spins(lattice, key=key)
    with pytest.warns(UserWarning, match="turned a spin by") as seen:
        js.simulate(js.Exchange(lattice, 1.0), spins, duration=0.6, step=0.6, damping=0.01)
    assert [w.filename for w in seen] == [__file__]


def test_no_warning_counts_functions_by_hand():
    home = Path(js.__file__).parent
    found = {p.name for p in home.rglob("*.py") if re.search(r"stacklevel=\d", p.read_text())}
    # the door's own, called by Python itself
    assert found == {"__init__.py"}


def test_a_stored_run_that_exists_says_how_to_go_on(tmp_path, key):
    lattice = js.square(4)
    settings = {"duration": 0.2, "step": 0.1, "store": tmp_path / "run.zarr"}
    js.simulate(js.Exchange(lattice, 1.0), js.random_spins(lattice, key=key), **settings)
    with pytest.raises(FileExistsError, match="resume=True"):
        js.simulate(js.Exchange(lattice, 1.0), js.random_spins(lattice, key=key), **settings)
