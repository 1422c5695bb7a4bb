"""What the benchmarks of force fields time: which fields, at equal error, and long series in proportion."""

import dataclasses
import json

import pytest

import jaxspin as js
from experiments.benchmarks import equal_error, forcefield


def test_timed_fields(tmp_path):
    output = tmp_path / "forcefield.json"
    rows = forcefield.run(
        forcefield.Config(
            output,
            sizes=(8,),
            moments=((1, 4),),
            electrons=((1, 3),),
            hidden=(4,),
            exact_up_to=8,
            kpm_up_to=8,
            repeats=1,
        )
    )
    assert [row["field"] for row in rows] == [
        "learnt, bispectrum",
        "learnt, 4 moments, 1 hops",
        "learnt, electrons, 1 hops, 3 steps",
        "kernel polynomials to 0.01",
        "kernel polynomials to 0.001",
        "exact",
    ]
    assert all(float(row["median"]) > 0 and float(row["bytes a site"]) > 0 for row in rows)
    assert json.loads(output.read_text())["rows"] == rows
    with pytest.raises(FileExistsError, match="choose another --output"):
        forcefield.run(forcefield.Config(output))


@pytest.mark.slow
def test_fields_of_equal_error(tmp_path):
    """The kernel polynomials chosen are no worse than asked, and labels ask for more vectors and moments."""
    config = equal_error.Config(
        tmp_path / "out.json",
        names=("triangular-tetrahedral-fast",),
        labels=0.1,
        compared_on=8,
        side=8,
        duration=1.0,
        repeats=1,
    )
    for row in equal_error.run(config):
        assert row["equal: error"] <= row["error"] < row["rms torque"]
        assert row["labels: error"] <= 0.1 * row["rms torque"]
        assert row["labels: vectors"] * row["labels: moments"] > row["equal: vectors"] * row["equal: moments"]
    with pytest.raises(FileExistsError, match="choose another --output"):
        equal_error.run(config)


def test_long_series_are_timed_with_fewer_moments(tmp_path, monkeypatch):
    """And in proportion: here a call takes a second for each moment."""
    solver = js.KernelPolynomial(js.SDModel(js.square(4), 1.0, 1.0), filling=0.5, temperature=0.1, order=256)
    monkeypatch.setattr(equal_error, "clock", lambda solver, lattice, repeats: float(solver.order))
    config = equal_error.Config(tmp_path / "out.json")
    assert equal_error.of_series(config, solver, solver.lattice) == (256.0, True)
    assert equal_error.of_series(dataclasses.replace(config, longest=300.0), solver, solver.lattice) == (256.0, False)
