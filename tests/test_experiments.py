"""The experiment scripts: what they compute, at a small size."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.benchmarks import layouts
from experiments.checks import probing_peers
from experiments.quenches import variational
from jaxspin.arrays.spinors import join
from jaxspin.electrons import direct_field


def test_variational_energies_are_those_of_the_solver():
    """Against the Bloch solver at T = 0, and the phases named in the literature."""
    config = variational.Config(side=12)
    couplings, fillings = np.array([1.0, 3.0, 4.0]), np.array([0.25, 0.5, 0.75])
    table = variational.energies(config, couplings, fillings)
    for n, (texture, cell) in enumerate(variational.TEXTURES.values()):
        lattice = js.triangular(cell)
        solver = js.ExactDiagonalization(js.SDModel(lattice, 1.0, 3.0), filling=0.25)
        expected = js.electrons.bloch_energy(solver, texture(lattice), 12 // cell)
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


def test_layouts_run(tmp_path):
    """Every layout gives the same vectors, or the script fails."""
    config = layouts.Config(output=tmp_path / "layouts.json", sides=(4,), colors=2, steps=3, repeats=1)
    with jax.numpy_dtype_promotion("standard"):  # complex layouts multiply real spins
        layouts.run(config)
    rows = json.loads((tmp_path / "layouts.json").read_text())["rows"]
    assert len({row["layout"] for row in rows}) == len(rows) == 5
    assert all(row["call"]["median"] > 0 for row in rows)
    with pytest.raises(FileExistsError, match="choose another --output"):
        layouts.run(config)


def test_peers_compute_the_same_field(key):
    """Exact vectors and no kernel give the solver's own density matrix; random vectors resolve the identity."""
    lattice = js.square(4)
    solver = js.KernelPolynomial(
        js.SDModel(lattice), chemical_potential=-1.0, temperature=0.3, probes=js.electrons.ExactTrace(), tolerance=1e-8
    )
    spins = js.random_spins(lattice, key=key)
    expected = direct_field(solver, spins)
    found = probing_peers.density_field(solver, spins, solver.start(spins), jackson=False)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    blurred = probing_peers.density_field(solver, spins, solver.start(spins), jackson=True)
    assert 1e-6 < float(jnp.max(jnp.abs(blurred - expected))) < 0.1
    number = 4000
    with jax.numpy_dtype_promotion("standard"):  # phases are complex, angles real
        vectors = join(probing_peers.random_vectors(lattice, number, jax.random.key(0))).reshape(32, number)
    np.testing.assert_allclose(jnp.sum(jnp.abs(vectors) ** 2, axis=1), 1, atol=1e-12)
    product = vectors @ vectors.conj().T
    # 992 elements of size 1/sqrt(number): six standard deviations
    np.testing.assert_allclose(product, np.eye(32), atol=6 / number**0.5)
