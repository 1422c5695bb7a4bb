"""Gradients of a run, against differences; `experiments.gradients.differences` has those of every parameter."""

import json

import jax
import jax.numpy as jnp
import pytest

import jaxspin as js
from experiments.gradients import differences
from experiments.gradients.differences_checked import PULSE, Checked
from experiments.gradients.differences_fields import cases, starts

# Compiling these takes a minute and more.
FIELDS = (
    "classical",
    "exact, fixed filling",
    "exact, fixed chemical potential",
    "kernel polynomial, fixed chemical potential",
    "kernel polynomial, fixed filling",
    "learnt, moments",
    "learnt, bispectrum",
)
# Differences of fourth order err by 1e-12 absolutely; the target is 1e-6 relative.
RELATIVE, ABSOLUTE = 1e-6, 1e-9
# At the tetrahedral order the phases of the bispectrum bend within a hundredth: the differences err by 7e-7 at half of
# 1e-3, sixteen times less at a quarter.
LENGTHS = {"learnt, bispectrum": 2.5e-4}


def test_every_field_is_looked_at(key):
    assert set(cases(key)) == set(FIELDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIELDS)
def test_gradients_of_a_run(name, key):
    """From random spins every slope is the quotient of differences; from degenerate orders too, and never infinite."""
    case = cases(key)[name]()
    checked = Checked(case, key)
    common = {"initial spins", "damping", "bath temperature", *PULSE}
    assert set(checked.parameters) == common | set(case.parameters)
    for start, spins in starts(case.lattice, key=key).items():
        for parameter, row in checked.compare(spins, key, LENGTHS.get(name, 1e-3)).items():
            if start == "random":
                assert abs(row["differences"]) > 1e-4, parameter
            assert row["slope"] == pytest.approx(row["differences"], rel=RELATIVE, abs=ABSOLUTE), (start, parameter)
        assert checked.is_finite(spins, bath_temperature=jnp.asarray(0.0)), start


def test_a_wrong_slope_is_seen(key):
    """The comparison must be able to fail: the slope of a function whose derivative is replaced by twice its value."""

    class Wrong(Checked):
        def __init__(self):
            self.parameters = {"x": jnp.asarray(0.7).astype(float), "y": jnp.ones(3)}

        def value_and_slope(self, parameters, spins):
            value = jnp.sum(spins) * parameters["x"] ** 3 + jnp.sum(parameters["y"] ** 2)
            return value, {"x": 6 * parameters["x"] ** 2 * jnp.sum(spins), "y": 2 * parameters["y"]}

    found = Wrong().compare(jnp.ones(3), key, 1e-3)
    assert found["x"]["relative deviation"] == pytest.approx(1, rel=1e-6)
    assert found["y"]["relative deviation"] < 1e-9


def test_run_and_table(tmp_path, monkeypatch):
    rows = {"x": {"slope": 1.0, "differences": 1.0, "relative deviation": 3e-9}}
    monkeypatch.setattr(Checked, "__init__", lambda self, case, key: None)
    monkeypatch.setattr(Checked, "compare", lambda self, spins, key, length: rows)
    monkeypatch.setattr(Checked, "is_finite", lambda self, spins, **changed: True)
    config = differences.Config(output=tmp_path / "out", fields=("classical", "exact, fixed filling"))
    with jax.numpy_dtype_promotion("standard"):
        differences.run(config)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["largest"]["classical"] == 3e-9
    assert "| x | 3e-09 | 3e-09 |" in (tmp_path / "out" / "table.md").read_text()
    with pytest.raises(ValueError, match="no field 'unknown'; choose among classical"):
        differences.run(differences.Config(output=tmp_path / "other", fields=("unknown",)))
    with pytest.raises(ValueError, match="1e-3 suits"):
        differences.Config(difference=0.0)


def test_a_solver_may_be_built_inside_jit():
    """With numbers that are not traced beside one that is: the temperature says whether there is a ground state."""
    lattice = js.square(2)
    spins = js.textures.neel(lattice)

    @jax.jit
    def level(coupling, filling):
        model = js.SDModel(lattice, 1.0, coupling)
        warm = js.ExactDiagonalization(model, filling=filling, temperature=0.1)
        cold = js.ExactDiagonalization(model, filling=filling)
        assert not warm.ground_state
        assert cold.ground_state
        return warm.energy(spins) - cold.energy(spins)

    model = js.SDModel(lattice, 1.0, 2.0)
    expected = [js.ExactDiagonalization(model, filling=0.5, temperature=t).energy(spins) for t in (0.1, 0.0)]
    assert level(2.0, 0.5) == pytest.approx(float(expected[0] - expected[1]), abs=1e-12)
