"""The pulse that switches a chirality, at a tiny size; the slope of what it does."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.gradients import switch_chirality
from experiments.gradients.chirality_pulses import SimplePulses, of_kind
from experiments.stages import Dynamics
from experiments.stages.figures import PERFECT_CHIRALITY
from experiments.stages.pulses import price_of, scaled

pytestmark = pytest.mark.usefixtures("optax_mixes_types")


def config(tmp_path, **changes):
    return switch_chirality.Config(output=tmp_path / "out", smoke=True, **changes)


def test_price(key):
    pulse = jax.random.normal(key, (4, 7, 3))
    fine = np.linspace(0, 1, 6001)
    h = [[np.interp(fine, np.linspace(0, 1, 7), p[:, a]) for a in range(3)] for p in np.asarray(pulse)]
    np.testing.assert_allclose(price_of(pulse, 50.0), 50 * np.mean(np.sum(np.square(h), 1), -1), rtol=1e-3)
    np.testing.assert_allclose(price_of(scaled(pulse, 2.0, 50.0), 50.0), 2.0)


@pytest.mark.slow
def test_slope_through_the_electrons(tmp_path, key):
    """The derivative of the chirality after the pulse by its knots, from the perfect order with its degenerate levels,
    against central differences."""
    cell = switch_chirality.smoke_size(config(tmp_path)).cell
    pulse, way = 0.5 * jax.random.normal(key, (2, 7, 3))
    slope = cell.slope(pulse)[1]
    step = 1e-4
    # the value of the same program, since compiling it takes most of the time
    above, below = (float(cell.slope(pulse + sign * step * way)[0]) for sign in (1, -1))
    assert float(jnp.sum(slope * way)) == pytest.approx((above - below) / (2 * step), rel=1e-5)


def test_a_field_without_damping_turns_all_spins_alike(tmp_path, key):
    """Larmor's theorem: only the damping lets a uniform field change a chirality."""
    tiny = switch_chirality.smoke_size(config(tmp_path, motion=Dynamics(1e-9, 1.0)))
    pulse = scaled(jax.random.normal(key, (7, 3)), 1.2, tiny.search.duration)
    chirality = tiny.cell.outcome(pulse)
    assert float(chirality) == pytest.approx(PERFECT_CHIRALITY, abs=1e-4)


def test_simple_shapes():
    search = switch_chirality.Config().search
    names, shapes = SimplePulses().shapes(search.times, 0.1)
    assert len(set(names)) == len(names) == len(shapes)
    assert bool(jnp.all(jnp.isfinite(scaled(shapes, jnp.ones(len(shapes)), search.duration))))
    kinds = of_kind(names, np.arange(len(names), 0, -1.0))
    assert set(kinds) == {"rectangular", "Gaussian", "linear carrier", "rotating carrier"}


@pytest.mark.slow
def test_run(tmp_path):
    switch_chirality.run(config(tmp_path))
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert found["price of the shaped pulse"] <= found["price of the best simple pulse"]
    assert len(found["domains"]) == 2
    assert all(np.isfinite(row["chirality"]).all() for row in found["domains"])
    assert (tmp_path / "out" / "switch_chirality.png").stat().st_size > 1000
    before = (tmp_path / "out" / "simple.npy").stat().st_mtime
    again = switch_chirality.run(config(tmp_path, resume=True))
    assert (tmp_path / "out" / "simple.npy").stat().st_mtime == before
    assert again["price of the shaped pulse"] == found["price of the shaped pulse"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"search": {"knots": 3}}, "five knots"),
        ({"search": {"iterations": 0}}, "iterations must be at least 1"),
        ({"motion": {"damping": 0.0}}, "turns all spins alike"),
        ({"search": {"below": 0.1}}, "use -0.25"),
        ({"electrons": {"lattice": "square"}}, "on a triangular lattice"),
        ({"wait": 12.0}, "multiples of 5"),
        ({"domains": {"rest": 12.0}}, "multiples of 5"),
        ({"shaping": {"tries": 0}}, "tries must be at least 1"),
    ],
)
def test_settings(change, message):
    default = switch_chirality.Config()

    def changed(name, value):
        return dataclasses.replace(getattr(default, name), **value) if isinstance(value, dict) else value

    with pytest.raises(ValueError, match=message):
        switch_chirality.Config(**{name: changed(name, value) for name, value in change.items()})
