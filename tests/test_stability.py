"""The experiment of long runs: what it tells of runs whose answer is known, and that a kill changes nothing."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from experiments.checks import stability
from experiments.checks.stability import Config


class Swirl(js.AbstractField):
    """A push without an energy, of a fixed length."""

    @property
    def lattice(self):
        return js.chain(4)

    def field(self, spins, t=0.0, *, key=None):
        return 0.1 * jnp.roll(spins, 1, axis=0)


FIELDS = {"triangular-120": js.Exchange(js.chain(24), 1.0), "driven-channel-fast": Swirl()}


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(stability, "field_of", lambda config, name: FIELDS[name])
    return Config(
        output=tmp_path / "out",
        names=tuple(FIELDS),
        steps=4000,
        frames=80,
        timed=2,
        damping=0.5,
        temperature=0.5,
    )


def test_drift_and_quarters_of_known_energies():
    found = stability.drift(1.0 - 0.02 * np.linspace(0, 5, 33), 5.0)
    assert found["trend, energy a site and unit of time"] == pytest.approx(-0.02)
    assert found["largest deviation of the energy a site"] == pytest.approx(0.1)
    assert found["deviation at the end"] == pytest.approx(-0.1)
    told = stability.quarters(np.concatenate([[7.0], np.repeat([5.0, 1.0, 3.0, 2.0], 4), np.zeros(0)]))
    assert [told["energy a site, second quarter"], told["energy a site, last quarter"]] == [1.0, 2.0]
    assert told["its error, last quarter"] == 0.0
    noisy = stability.quarters(np.concatenate([[0.0], np.random.default_rng(0).normal(size=16 * 1000)]))
    # of 4000 independent numbers
    assert 0.2 < noisy["its error, second quarter"] * 4000**0.5 < 3


@pytest.mark.slow
def test_a_chain_keeps_its_energy_and_comes_to_that_of_its_temperature(config):
    found = stability.run(config)
    assert found["left to --resume"] == []
    chain = found["force fields"]["triangular-120"]
    for kind in stability.KINDS:
        assert chain[kind]["finite to the end"]
        assert chain[kind]["largest deviation of a length"] < 1e-12
    free, bath = chain["undamped"], chain["bath"]
    assert 0 < free["largest deviation of the energy a site"] < 0.05
    # M. E. Fisher, Am. J. Phys. 32, 343 (1964): -(coth(J/T) - T/J) a bond of an open chain, a long ring the same
    expected = -(1 / np.tanh(2.0) - 0.5)
    for quarter in ("second", "last"):
        error = max(bath[f"its error, {quarter} quarter"], 0.01)
        assert abs(bath[f"energy a site, {quarter} quarter"] - expected) < 5 * error
    swirl = found["force fields"]["driven-channel-fast"]
    assert not swirl["bath"]["energies known"]
    assert swirl["bath"]["largest torque"] < 0.11
    # the cheap one comes first, which of the two that is depends on the machine
    (row,) = (row for row in stability.stability_rows(found).splitlines() if "driven-channel-fast" in row)
    assert row.endswith("|  |  |  | yes |")
    assert (config.output / "stability.png").stat().st_size > 10_000


def test_what_there_is_no_time_for_is_left_and_a_killed_run_goes_on(config, monkeypatch):
    config = dataclasses.replace(config, steps=160)
    none = stability.run(dataclasses.replace(config, minutes=1e-9))
    assert sorted(none["left to --resume"]) == sorted(FIELDS)
    drift = stability.drift

    def killed(*_):
        raise KeyboardInterrupt

    resumed = dataclasses.replace(config, resume=True)
    with monkeypatch.context() as context:
        context.setattr(stability, "drift", killed)
        with pytest.raises(KeyboardInterrupt):
            stability.run(resumed)
    assert stability.drift is drift
    found = stability.run(resumed)
    whole = stability.run(dataclasses.replace(config, output=config.output.with_name("whole")))
    for kind in stability.KINDS:
        assert found["force fields"]["triangular-120"][kind] == whole["force fields"]["triangular-120"][kind]
    assert json.loads((config.output / "summary.json").read_text())["left to --resume"] == []


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no force field honeycomb; choose of double-exchange,"):
        Config(names=("honeycomb",))
    with pytest.raises(ValueError, match="ProjectedTsit5 takes no noise; use DepondtMertens or"):
        Config(integrator="ProjectedTsit5")
    with pytest.raises(ValueError, match="frames must be a multiple of 16, and divide the steps; use"):
        Config(frames=10)
