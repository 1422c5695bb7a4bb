"""What the benchmarks of force fields time: which fields, at equal error, and long series in proportion."""

import dataclasses
import json

import pytest

import jaxspin as js
from experiments.benchmarks import exchanges, forcefield, frontier, series


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
def test_the_frontier(tmp_path):
    """Tuned series miss no more than asked where they were tuned, and cost more the less they miss."""
    config = frontier.Config(
        output=tmp_path / "out.json",
        cases=("triangular-metal",),
        errors=(0.6, 0.3),
        compared_on=10,
        side=10,
        duration=8.0,
        frames=2,
        random=1,
        repeats=1,
    )
    found = frontier.run(config)["triangular-metal"]
    for row in found["series"]:
        assert row["quench"] <= 1.01 * row["asked"]
    loose, tight = found["series"]
    assert tight["vectors"] * tight["moments"] > loose["vectors"] * loose["moments"]
    assert {row["name"] for row in found["learnt"]} == {"triangular-tetrahedral", "triangular-tetrahedral-fast"}
    assert all(0.1 < row["quench"] < 1.2 for row in found["learnt"])
    assert (tmp_path / "out.png").exists()
    with pytest.raises(FileExistsError, match="choose another --output"):
        frontier.run(config)
    # what is there is not measured again
    again = frontier.run(dataclasses.replace(config, resume=True))
    assert again == json.loads(config.output.read_text())["cases"]


def test_long_series_are_timed_with_fewer_moments(monkeypatch):
    """And in proportion: here a call takes a microsecond a site for each moment."""
    solver = js.KernelPolynomial(js.SDModel(js.square(4), 1.0, 1.0), filling=0.5, temperature=0.1, order=256)
    monkeypatch.setattr(series, "microseconds_a_site", lambda solver, lattice, repeats: float(solver.order))
    assert series.time_of(solver, 1, longest=200e-6 * 16) == (256.0, True)
    assert series.time_of(solver, 1, longest=300e-6 * 16) == (256.0, False)


def test_the_time_of_a_series_of_equal_error_lies_between_those_tuned():
    rows = [{"quench": 0.4, "microseconds a site": 10.0}, {"quench": 0.1, "microseconds a site": 40.0}]
    assert series.time_at(rows, 0.2) == pytest.approx(20.0)
    assert series.time_at(rows, 0.1) == pytest.approx(40.0)
    assert series.time_at(rows, 0.05) is None
    assert series.time_at(rows, 0.5) is None


def test_what_devices_hand_on_is_counted_in_the_compiled_program():
    text = """
    %a = f32[2,1,3]{2,1,0} collective-permute(%x), channel_id=1
    %b = bf16[4]{0} collective-permute-start(%y), channel_id=2
    %c = f32[] all-reduce(%z), channel_id=3
    %d = f32[8]{0} add(%z, %z)
    """
    assert exchanges.handed_on(text) == {"exchanges": 2, "bytes a device": 4 * 6 + 2 * 4, "others": {"all-reduce": 1}}
    # blocks of 2 x 4 cells: two sides of 4 and two of 2; and whole rows, whose ends face themselves
    assert exchanges.edge((8, 8), (4, 2)) == 2 * 4 + 2 * 2
    assert exchanges.edge((8, 8), (4, 1)) == 2 * 8


@pytest.mark.parametrize("options", [{"errors": ()}, {"errors": (1.5,)}, {"frames": 0}])
def test_bad_settings_of_the_frontier_are_refused(options):
    with pytest.raises(ValueError, match=r"use|at least"):
        frontier.Config(**options)
