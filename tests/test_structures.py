"""Lattices from files of structures, where ASE is there; a clear word where it is not."""

import importlib.abc
import sys

import numpy as np
import pytest

import jaxspin as js

POSCAR = """FeO of a test
1.0
2.0 0.1 0.0
0.0 3.0 0.0
0.0 0.0 4.0
Fe O
2 1
Direct
0.0 0.0 0.0
0.5 0.5 0.25
0.5 0.0 0.5
"""


def test_without_ase_the_error_says_what_to_install(tmp_path, monkeypatch):
    class Missing(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name.partition(".")[0] == "ase":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.partition(".")[0] == "ase"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match=r"crystal structures need the package ase, .* pip install"):
        js.io.read_structure(tmp_path / "POSCAR", magnetic=("Fe",))


def test_magnetic_atoms_become_a_lattice(tmp_path):
    pytest.importorskip("ase", reason="an extra: jaxspin[structures]")
    path = tmp_path / "POSCAR"
    path.write_text(POSCAR)
    lattice = js.io.read_structure(path, magnetic=("Fe",), cells=(2, 3, 4))
    assert (lattice.name, lattice.shape, lattice.periodic) == ("Fe", (2, 3, 4, 2), (True,) * 3)
    np.testing.assert_allclose(lattice.vectors, [[2, 0.1, 0], [0, 3, 0], [0, 0, 4]])
    np.testing.assert_allclose(lattice.basis, [[0, 0, 0], [1.0, 1.55, 1.0]], atol=1e-9)
    assert js.io.read_structure(path, magnetic=["Fe", "O"]).sublattices == 3
    with pytest.raises(ValueError, match=r"has no Co; give magnetic= some of Fe, O\."):
        js.io.read_structure(path, magnetic=("Co",))
    with pytest.raises(ValueError, match="magnetic = 'Fe' names no elements; give a list"):
        js.io.read_structure(path, magnetic="Fe")
    with pytest.raises(FileNotFoundError, match="nothing does not exist; give a CIF"):
        js.io.read_structure(tmp_path / "nothing", magnetic=("Fe",))
    path.write_text("not a structure")
    with pytest.raises(ValueError, match=r"POSCAR is no structure that ASE reads .* give a whole CIF or POSCAR"):
        js.io.read_structure(path, magnetic=("Fe",))
