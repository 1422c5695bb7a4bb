"""The experiment of the standard problems, at the smallest size that still moves a wall."""

import json

import numpy as np
import pytest

from experiments.checks import standard_problems
from experiments.checks.driven_walls import speed
from experiments.checks.standard_problems import Config
from jaxspin.problems import DrivenWall, IsolatedSkyrmion


def test_speed_is_that_of_the_wall_while_it_is_on_the_track():
    times = np.arange(100.0)
    steady = DrivenWall(sites=60, applied=0.001)
    positions = 20 + 0.5 * times
    positions[70:] = np.nan
    assert speed(steady, times, positions) == pytest.approx(0.5)
    turning = DrivenWall(sites=200, applied=0.2)
    assert turning.breaks_down
    # sampled finely against its period of 18, which is taken three per cent wrong
    times = np.arange(0, 100, 0.25)
    swinging = 20 + 0.5 * times + np.sin(2 * np.pi * times / (1.03 * turning.period))
    assert speed(turning, times, swinging) == pytest.approx(0.5, abs=1e-3)
    assert np.isnan(speed(turning, times[:100], swinging[:100]))


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="use 64 and 24"):
        Config(sites=7)
    with pytest.raises(ValueError, match="fields and drifts must be positive"):
        Config(fields=(0.0, 1.0))


@pytest.mark.slow
def test_the_whole_experiment(tmp_path):
    config = Config(
        output=tmp_path / "out",
        sites=8,
        side=4,
        seeds=1,
        spectrum_time=32.0,
        track=80,
        fields=(0.5, 0.9, 2.0),
        field_time=400.0,
        drifts=(0.02, 0.05),
        nonadiabaticities=(0.0, 0.4),
        current_time=200.0,
        skyrmion=IsolatedSkyrmion(side=16, chirality=0.8, applied=0.6),
        stretches=(1, 2),
    )
    standard_problems.run(config)
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [round(row["charge"], 6) for row in found["skyrmion"]] == [-1, -1]
    assert len(found["wall in a field"]) == 3
    assert len(found["wall in a current"]) == 6
    rigid = found["wall in a current"][2]
    assert rigid["velocity"] == pytest.approx(rigid["theory"], rel=0.02)
    for name in ("spin_waves", "walls", "skyrmion"):
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 10_000
