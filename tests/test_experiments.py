"""The experiment scripts: what they compute, at a small size."""

import dataclasses
import json

import numpy as np
import pytest

import jaxspin as js
from experiments import variational


def test_variational_energies_are_those_of_the_solver():
    """Against the Bloch solver at T = 0, and the phases named in the literature."""
    config = variational.Config(side=12)
    couplings, fillings = np.array([1.0, 3.0, 4.0]), np.array([0.25, 0.5, 0.75])
    table = variational.energies(config, couplings, fillings)
    for n, (texture, cell) in enumerate(variational.TEXTURES.values()):
        lattice = js.triangular(cell)
        solver = js.ExactDiagonalization(js.SDModel(lattice, 1.0, 3.0), filling=0.25)
        expected = js.bloch_energy(solver, texture(lattice), 12 // cell)
        assert table[n, 1, 0] == pytest.approx(float(expected), abs=1e-10)
    names = np.array(list(variational.TEXTURES))[table.argmin(axis=0)]
    assert (names[:, 0] == "tetrahedral").all()
    assert (names[:, 1] == "120 degrees").all()
    assert (names[:, 2] == "ferromagnet").all()


def test_variational_run(tmp_path):
    config = variational.Config(output=tmp_path / "out", side=6, couplings=2, fillings=3)
    variational.run(config)
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert found["couplings"] == [3.0, 6.0]
    assert np.shape(found["lowest"]) == (2, 3)
    assert (tmp_path / "out" / "phases.png").stat().st_size > 1000
    with pytest.raises(FileExistsError, match="choose another folder"):
        variational.run(config)
    with pytest.raises(ValueError, match="use 12"):
        dataclasses.replace(config, side=13)
