"""The experiments that differentiate runs, each at a tiny size."""

import json

import numpy as np
import pytest

from experiments.gradients import exchange_from_electrons, recover_parameters, rollout_training, switch
from experiments.gradients.least_price import least_price
from experiments.gradients.rollout_runs import Runs
from experiments.gradients.spin_wave_motion import Undamped
from experiments.stages.pulse_search import Search

pytestmark = pytest.mark.usefixtures("optax_mixes_types")


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.slow
def test_recovery(tmp_path):
    recover_parameters.run(recover_parameters.Config(output=tmp_path / "out", smoke=True))
    found = summary(tmp_path / "out")
    assert found["starts that reach 1 %"] in (0, 1)
    np.testing.assert_allclose(found["fits"][0]["found"], [3.0, 0.25], rtol=0.3)
    assert (tmp_path / "out" / "recover_parameters.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="between 0 and 1"):
        recover_parameters.Config(starts=((3.0, 1.5),))


@pytest.mark.slow
def test_exchange(tmp_path):
    exchange_from_electrons.run(exchange_from_electrons.Config(output=tmp_path / "out", smoke=True))
    (found,) = summary(tmp_path / "out")["cases"].values()
    assert found["stable"]
    assert found["Goldstone modes"] == 1
    assert found["largest deviation of a frequency"] < found["resolution"]
    with pytest.raises(ValueError, match="choose among ferromagnet"):
        exchange_from_electrons.Config(cases=("spiral",))
    with pytest.raises(ValueError, match="is not small; use 1e-3"):
        Undamped(amplitude=0.1)


@pytest.mark.slow
def test_switch(tmp_path):
    switch.run(switch.Config(output=tmp_path / "out", smoke=True))
    found = summary(tmp_path / "out")
    assert found["price of the shaped pulse"] <= found["price of the best simple pulse"]
    # no pulse beats the path of least price of the single spin that this magnet is at this size
    assert found["price of the shaped pulse"] > 0.95 * found["least price of one spin in this time"]
    with pytest.raises(ValueError, match="five knots"):
        switch.Config(search=Search(knots=3))


def test_least_price():
    """Without damping the spin turns evenly: price (theta/T)^2 T; with time to spare it is 4 a K."""
    assert least_price(0.1, 1e-6, duration=50.0, below=0.0) == pytest.approx((np.pi / 2) ** 2 / 50, rel=1e-3)
    assert least_price(0.1, 0.1, duration=1000.0, below=0.0) == pytest.approx(4 * 0.1 * 0.1, rel=1e-2)


@pytest.mark.slow
def test_rollout_training(tmp_path):
    rollout_training.run(rollout_training.Config(output=tmp_path / "out", smoke=True))
    found = summary(tmp_path / "out")
    assert found["memory"][0]["checkpointed"] < found["memory"][0]["direct adjoint"]
    for other in ("at first", "more fields", "runs labelled"):
        assert set(found[f"rollouts over {other}"]) >= {
            "deviation at ten horizons",
            "torque error",
            "torque error, runs",
        }
    row = found["seeds"]["0"]
    assert set(rollout_training.ARMS) == set(found["told"]) <= set(row)
    assert len(row["times"]) == len(row["exact, other starts"]) == len(row["rollouts"]["deviation"])
    with pytest.raises(ValueError, match="no multiple of every"):
        Runs(horizon=5)
