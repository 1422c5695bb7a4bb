"""Leads as objects: one of a user's own, and crystals with spins."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import AbstractLead, Crystal, GreensFunction, MagneticCrystal, SDModel, WideBand
from jaxspin.electrons.negf.leads import contact
from jaxspin.electrons.negf.slices import Cut
from jaxspin.spins import random_spins

LADDER = lattices.square(3, 2, periodic=(False, False))


class Own(AbstractLead):
    """The wide band on the two sites of an end, as a matrix."""

    gamma: float
    name: str = eqx.field(static=True, default="left")
    sites: str = eqx.field(static=True, default="left")
    mu: None = None
    temperature: None = None

    def self_energy(self, energy):
        return -0.5j * jnp.asarray(self.gamma, energy.dtype) * jnp.eye(4, dtype=energy.dtype)


def test_a_lead_of_ones_own_is_the_wide_band(key):
    settings = {"voltage": 0.8, "temperature": 0.2, "tolerance": 1e-9}
    model, spins = SDModel(LADDER, 1.0, 1.3), random_spins(LADDER, key=key)
    own = GreensFunction(model, leads=(Own(0.7), WideBand("right", 1.1)), **settings)
    wide = GreensFunction(model, leads=(WideBand("left", 0.7), WideBand("right", 1.1)), **settings)
    assert own.poles == wide.poles
    np.testing.assert_allclose(own.field(spins), wide.field(spins), atol=1e-8)
    np.testing.assert_allclose(own.currents(spins), wide.currents(spins), atol=1e-8)
    energy = jnp.asarray(0.3 + 0j)
    np.testing.assert_allclose(Own(0.7).broadening(energy), 0.7 * np.eye(4))
    np.testing.assert_allclose(WideBand("left", 0.7).broadening(energy), 0.7)


def test_a_self_energy_that_fits_no_contact_is_refused(key):
    model = SDModel(lattices.square(3, 3, periodic=(False, False)))
    solver = GreensFunction(model, leads=(Own(0.7),), temperature=0.2)
    with pytest.raises(ValueError, match=r"\(4, 4\) does not fit a contact of 3 sites; give \(6, 6\)"):
        solver.field(random_spins(solver.lattice, key=key))


def surface(end, device, lead, exchange, hopping):
    """Sigma of `lead` spins, repeated many times beyond an end of a ladder, from a long dense piece of it."""
    copies = 60
    long = lattices.square(copies * lead.shape[0], 2, periodic=(False, False))
    model = SDModel(long, hopping, exchange)
    h = np.asarray(model.dense(jnp.asarray(np.concatenate([lead] * copies))))
    z = 0.4 + 0.4j
    g = np.linalg.inv(z * np.eye(len(h)) - h)
    # the first neighbours of the device, two sites with two spins
    near = np.s_[:4] if end == "right" else np.s_[-4:]
    return z, hopping**2 * g[near, near]


@pytest.mark.parametrize("end", ["left", "right"])
def test_a_magnetic_crystal_is_a_long_piece_of_one(end, key):
    lead = np.asarray(random_spins(lattices.square(3, 2), key=key))
    found = MagneticCrystal(Crystal(end, 0.9), lead, exchange=1.7)
    z, expected = surface(end, LADDER, lead, 1.7, 0.9)
    place = contact(found, Cut(LADDER, 0, 1), 0)
    connected = found.connect(place, jnp.zeros(()))
    np.testing.assert_allclose(
        eqx.filter_jit(lambda lead, z: lead.self_energy(z))(connected, jnp.asarray(z)), expected, atol=1e-7
    )


def test_a_magnetic_crystal_without_spins_is_a_crystal_and_one_of_the_device_goes_on(key):
    """No exchange: the plain crystal. Leads that are the device's own ferromagnet: no resistance, all spins alike."""
    spins = jnp.zeros((*LADDER.shape, 3)).at[..., 2].set(1.0)
    model = SDModel(LADDER, 1.0, 0.8)
    energies = jnp.array([-1.15, 0.25])

    def transmitted(leads):
        solver = GreensFunction(model, leads=leads, temperature=0.1, poles=32)
        return solver.transmission(spins, energies)

    plain = [Crystal(name) for name in ("left", "right")]
    np.testing.assert_allclose(
        transmitted([MagneticCrystal(c, (1.0, 0.0, 0.0), exchange=0.0) for c in plain]), transmitted(plain), atol=1e-5
    )
    # subbands -J s + t_y + 2 t cos k, t_y = -+1, s = -+1: whole numbers of open channels
    centers = np.array([s * 0.8 + ty for s in (1, -1) for ty in (1, -1)])
    open_channels = np.sum(np.abs(np.asarray(energies)[:, None] - centers) < 2, axis=1)
    same = [MagneticCrystal(c, (0.0, 0.0, 1.0), exchange=0.8) for c in plain]
    np.testing.assert_allclose(transmitted(same), open_channels, atol=1e-5)


def test_the_spins_of_a_lead_have_a_slope(key):
    spins = random_spins(LADDER, key=key)

    def current(exchange):
        left = MagneticCrystal(Crystal("left"), (0.6, 0.0, 0.8), exchange=exchange)
        solver = GreensFunction(
            SDModel(LADDER, 1.0, 0.8), leads=(left, WideBand("right")), voltage=0.0, temperature=0.3, poles=24
        )
        return jnp.sum(solver.transmission(spins, jnp.array([0.2])))

    slope = jax.grad(current)(0.7)
    np.testing.assert_allclose(slope, (current(0.7 + 1e-4) - current(0.7 - 1e-4)) / 2e-4, rtol=1e-4)


def test_spins_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"have shape \(2,\); give \(3,\)"):
        MagneticCrystal(Crystal("left"), (1.0, 0.0))
    wrong = MagneticCrystal(Crystal("left"), np.ones((4, 3, 1, 3)))
    with pytest.raises(ValueError, match=r"give \(period, 2, 1, 3\), or \(3,\) for all sites"):
        GreensFunction(SDModel(LADDER), leads=(wrong,), temperature=0.1)
