"""Laboratory units: known numbers, there and back, and the rate of a spin in a field of one tesla."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.units import Units

EV = Units(energy="eV")


@pytest.mark.parametrize(
    ("found", "known"),
    [
        (EV.temperature(11604.518, "K"), 1.0),
        (EV.to_temperature(1.0, "K"), 11604.518),
        (EV.to_time(1.0, "fs"), 0.6582120),
        (EV.time(0.6582120, "fs"), 1.0),
        (EV.field(1.0, "T", moment=1.0), 5.788382e-5),
        (EV.field(1.0, "mT", moment=2.0), 2 * 5.788382e-8),
        (Units("meV").energy_of(1.0, "eV"), 1000.0),
        (Units("meV").energy_of(1.0, "Ry"), 13605.693),
        (Units("mRy").to_energy(1.0, "meV"), 13.605693),
        (Units("K").energy_of(1.0, "meV"), 11.604518),
        (Units("J").energy_of(1.0, "eV"), 1.602176634e-19),
        (Units(0.25).energy_of(1.0, "eV"), 4.0),
        (Units(0.25).to_time(1.0, "ps"), 4 * 6.582120e-4),
        (Units("eV", length=2.87).length_of(0.287, "nm"), 1.0),
        (Units("eV", length=2.87).to_length(2.0), 5.74),
        (Units("meV").dipole(), 0.05368151),
        (Units("eV", length=2.0).dipole(), 0.05368151e-3 / 8),
    ],
)
def test_known_numbers(found, known):
    assert found == pytest.approx(known, rel=2e-7)


def test_there_and_back():
    units = Units(energy=0.37, length=4.2)
    value = np.random.default_rng(0).uniform(1, 2, (3, 2, 2, 1, 3))
    moment = np.random.default_rng(1).uniform(1, 2, (3, 2, 2, 1))
    for unit in ("eV", "meV", "K", "J", "Ry", "mRy"):
        np.testing.assert_allclose(units.to_energy(units.energy_of(value, unit), unit), value)
        np.testing.assert_allclose(units.to_temperature(units.temperature(value, unit), unit), value)
    for unit in ("s", "ns", "ps", "fs"):
        np.testing.assert_allclose(units.to_time(units.time(value, unit), unit), value)
    for unit in ("Angstrom", "nm", "m"):
        np.testing.assert_allclose(units.to_length(units.length_of(value, unit), unit), value)
    for unit in ("T", "mT"):
        there = units.field(value, unit, moment=moment)
        np.testing.assert_allclose(units.to_field(there, unit, moment=moment), value)
        np.testing.assert_allclose(
            there[..., 1], value[..., 1] * units.field(1.0, unit, moment=moment[..., None])[..., 0]
        )


def test_types_stay():
    assert isinstance(EV.time(1.0, "ps"), float)
    single = EV.field(jnp.ones(3, jnp.float32), "T", moment=np.full((2, 1), 2.0))
    assert (single.dtype, single.shape) == (jnp.float32, (2, 1, 3))
    assert EV.field((0.0, 0.0, 5.0), "T", moment=2.2).shape == (3,)


def test_a_spin_precesses_at_28_ghz_a_tesla():
    """With its angular momentum m/2 as the moment of the run, and g = 2: a turn takes 35.72 ps."""
    moment, units = 2.2, Units("meV")
    field = js.Zeeman(units.field((0.0, 0.0, 1.0), "T", moment=moment))
    up = jnp.array([0.0, 0.0, 1.0]).reshape(1, 1, 3)
    rate = float(field.rate(up, 0.0, moment=jnp.asarray(moment / 2))[0, 0, 2])  # dS/dt = S x this
    assert units.to_time(2 * np.pi / rate, "ps") == pytest.approx(1e3 / 27.9925, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Units("erg"), "'erg' is no unit of an energy; use eV, meV, K, J, Ry, mRy"),
        (lambda: Units(0.0), r"energy = 0\.0 is no unit; give a positive number of eV"),
        (lambda: Units(float("nan")), "energy = nan is no unit"),
        (lambda: Units("eV", length=-1.0), r"length = -1\.0 is no unit; give a positive number of Angstrom"),
        (lambda: EV.time(1.0, "K"), "'K' is no unit of a time; use s, ns, ps, fs"),
        (lambda: EV.field(1.0, "Oe", moment=1.0), "'Oe' is no unit of a field; use T, mT"),
        (lambda: EV.length_of(1.0, "bohr"), "'bohr' is no unit of a length; use m, nm, Angstrom"),
    ],
)
def test_unknown_units_are_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()
