"""The skyrmion crystals: the cell holds the waves that the electrons want, and phases are told apart by energy."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.quenches.skyrmion_crystal import Config, run
from experiments.quenches.skyrmion_crystal_annealing import Annealing, on_large
from experiments.quenches.skyrmion_crystal_phases import contenders, crossings, lowest
from experiments.quenches.skyrmion_crystal_relaxed import Metal, energies, relax
from experiments.quenches.skyrmion_crystal_textures import (
    STARTS,
    VECTORS,
    magnetic_cell,
    measured,
    start,
    susceptibility,
)


def test_the_cell_holds_the_waves_and_the_textures_their_charges():
    cell = magnetic_cell()
    edges = np.array(cell.vectors) * np.array(cell.cells)[:, None]
    turns = edges @ VECTORS.T / (2 * np.pi)
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-12)
    assert abs(np.linalg.det(edges)) == pytest.approx(48 * 3**0.5 / 2)
    rhombus = 6 * np.array(js.triangular(6).vectors)
    np.testing.assert_allclose(rhombus @ VECTORS[0] / (2 * np.pi), [1.0, 0.5])  # half a turn is missing
    bonds = [{round(bond.length, 9) for bond in cell.shell(n)} for n in (1, 2, 3)]
    assert bonds == [{1.0}, {round(3**0.5, 9)}, {2.0}]
    charges = {name: abs(measured(cell, start(name, 0.005, 0))["topological charge"]) for name in STARTS[:5]}
    assert charges == {"ferromagnet": 0, "conical": 0, "double-Q": 0, "triple-Q": 2, "skyrmions": 1}
    repeated = jnp.tile(start("triple-Q", 0.0, 0), (3, 3, 1, 1))
    assert abs(measured(cell.resize(12, 12), repeated)["topological charge"]) == 2
    with pytest.raises(ValueError, match="is no start; give some of ferromagnet"):
        start("bubbles", 0.0, 0)


def test_the_helix_gains_what_the_susceptibility_says():
    """Second order in J: Omega(J) - Omega(0) = - J^2 chi(Q) a site."""
    waves = {
        name: susceptibility(wave, -3.5, 0.003) for name, wave in {"Q": (1 / 6, 1 / 12), "other": (1 / 6, 0)}.items()
    }
    assert waves["Q"] > 1.2 * waves["other"]
    phases = magnetic_cell().positions() @ VECTORS[0]
    helix = {"spins": np.stack([np.cos(phases), np.sin(phases), 0 * phases], -1), "field": 0.0}
    free, bound = (energies(Metal(coupling=coupling), helix, 3, (1.0,))[0] for coupling in (0.0, 0.02))
    assert (free - bound) / 0.02**2 == pytest.approx(susceptibility((1 / 6, 1 / 12), -3.5, 1.0, 48), rel=2e-4)


def test_energies_are_those_of_the_field_that_relaxes():
    metal, spins = Metal(temperature=0.1), start("skyrmions", 0.005, 1)
    total = metal.on_cell(1) + js.Zeeman((0.0, 0.0, 0.005))
    (found,) = energies(metal, {"spins": spins, "field": 0.005}, 1, (0.1,))
    assert found == pytest.approx(float(total.energy(spins)) / 48, abs=1e-12)
    row = relax(metal, spins, 0.005, points=1, tolerance=1e-4, max_steps=3)
    assert energies(metal, row, 1, (0.1,))[0] < found
    assert row["steps"] == 3


def rows(*fields, missing=()):
    """Two phases whose energies are -B M; on the fine mesh they cross at 0.005, on the other at 0.004."""
    found = {}
    for field in fields:
        for kind, energy, moment in ((2, 0.0, 0.1), (1, 0.001, 0.3)):
            if (field, kind) not in missing:
                values = {"fine": energy - field * moment, "coarse": 0.8 * energy - field * moment}
                found[f"{kind} {field}"] = {
                    "start": "named",
                    "field": field,
                    "topological charge": -kind,
                    "magnetization": moment,
                    "shares of S(q)": [0.3] * 3,
                    "energies": {mesh: [value, value - 1.0] for mesh, value in values.items()},
                }
    return found


def test_phases_are_told_by_their_lowest_states():
    found = rows(0.0, 0.01)
    worse = {**found["2 0.0"], "energies": {"fine": [9.0, 9.0], "coarse": [9.0, 9.0]}}
    assert contenders({"worse": worse, **found}, "coarse") == found
    table = lowest(found, ["coarse", "fine"])
    assert [row["|n_sk|"] for row in table] == [2, 1]
    assert table[0]["others above it, by |n_sk|"]["1"] == pytest.approx(0.001)
    assert table[0]["change from the mesh before"] == pytest.approx(0.0002)
    assert table[0]["at the other temperatures"]["1"] == pytest.approx([0.001])
    for missing in ((), ((0.0, 1),), ((0.01, 2),)):  # interpolated, or continued by the magnetizations
        (crossing,) = crossings(rows(0.0, 0.01, missing=missing), ["coarse", "fine"])
        assert crossing["field"] == pytest.approx(0.005)
        assert crossing["change from the mesh before"] == pytest.approx(0.001)
    (crossing,) = crossings(rows(0.0, 0.01, missing=((0.0, 1), (0.01, 2))), ["coarse", "fine"])
    assert crossing["field"] is None


def test_settings_that_cannot_run_are_refused():
    for changes, remedy in (
        ({"meshes": (12,)}, "give two positive numbers or more that rise"),
        ({"starts": ("helix",)}, "'helix' is no start; give some of ferromagnet"),
        ({"fields": (0.1, 0.0)}, "give each field once, in ascending order"),
        ({"other_temperatures": (0.0,)}, "must be positive; 0.001 is low"),
    ):
        with pytest.raises(ValueError, match=remedy):
            Config(**changes)
    with pytest.raises(ValueError, match="temperature must be positive"):
        Metal(temperature=0.0)
    with pytest.raises(ValueError, match="do not hold the waves' period; use 48, 0 for none"):
        Annealing(kernel_polynomials=50)
    colder = [on_large(Annealing(kernel_polynomials=12), Metal(temperature=t)).order for t in (0.1, 0.01)]
    assert colder[1] > 5 * colder[0]


@pytest.mark.slow
def test_the_experiment_runs_and_resumes(tmp_path):
    config = Config(output=tmp_path / "out", smoke=True)
    first = run(config)
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [row["field"] for row in found["lowest"]] == [0.0, 0.012]
    assert found["lowest"][0]["|n_sk|"] == 2
    assert len(found["annealed"]) == 1
    assert (tmp_path / "out" / "skyrmion_crystal.png").stat().st_size > 10_000
    again = run(dataclasses.replace(config, resume=True))
    assert again["states"] == first["states"]
    large = dataclasses.replace(config.annealing, kernel_polynomials=12, seeds=(0,), fields=(0.0,), duration=8.0)
    metal = Metal(temperature=0.1)
    row = run(dataclasses.replace(config, output=tmp_path / "large", metal=metal, annealing=large))["annealed"][0]
    assert "energies" not in row
    assert np.isfinite(row["magnetization"])
