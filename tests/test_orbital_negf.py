"""Green's functions of many orbitals an atom: those of `SDModel` with one, channels of a crystal, dense = sliced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons import Crystal, MagneticCrystal, ModelCrystal, WideBand
from tests.helpers import distance
from tests.test_orbital_model import as_orbitals, cells, hermitian, model_on, spins_on

ALONG = (0.6, 0.0, 0.8)
ENERGIES = jnp.array([-0.5, 0.3])
BIASED = {"voltage": 0.5, "temperature": 0.3, "bath": 0.2, "tolerance": 1e-4, "poles": 16}


def wire(length=3):
    """Two orbitals an atom, with spin-orbit coupling and spin-split hoppings."""
    lattice, offsets = js.chain(length, periodic=False), [(0,), (1,), (-1,)]
    hopping = hermitian(1, offsets, 4, 0.5) * np.array([0.2, 1.0, 1.0])[:, None, None]
    exchange = hermitian(2, [(0,)], 2, 0.2)[0]
    return js.OrbitalModel(lattice, (0, 0), offsets, hopping, exchange, split=hermitian(3, offsets, 2, 0.1))


def ends(model, **settings):
    return [ModelCrystal(model, name, ALONG, **settings) for name in ("left", "right")]


def both_classes():
    """One channel in both classes, between a wide band and the crystal itself."""
    lattice, rng = js.honeycomb(2, 1, periodic=(False, True)), np.random.default_rng(0)
    hoppings = [js.Hopping(bond, complex(*rng.normal(size=2))) for n in (1, 2) for bond in lattice.shell(n)]
    clean = js.SDModel(lattice, hoppings, 1.3)
    device = js.SDModel(lattice, hoppings, 1.3, potential=rng.normal(size=lattice.shape))
    return [
        js.GreensFunction(make(device), leads=(WideBand("left"), ModelCrystal(make(clean), "right", ALONG)), **BIASED)
        for make in (lambda model: model, as_orbitals)
    ], spins_on(lattice)


def test_one_orbital_an_atom_has_the_transmission_of_the_model_of_one_orbital():
    solvers, spins = both_classes()
    found = [solver.transmission(spins, ENERGIES) for solver in solvers]
    assert float(jnp.min(found[0])) > 0.1
    assert distance(*found) < 1e-10


@pytest.mark.slow
def test_one_orbital_an_atom_has_the_field_of_the_model_of_one_orbital():
    solvers, spins = both_classes()
    for measure in ("field", "density", "spin_density", "currents", "density_matrix"):
        one, other = (getattr(solver, measure)(spins) for solver in solvers)
        assert distance(one, other) < 1e-10
    one, other = (solver.local_density_of_states(spins, ENERGIES) for solver in solvers)
    assert distance(one, other) < 1e-10


def channels(model, spins, energies, points=800):
    """How many bands of the chain rise through each energy: open channels of all spins."""
    one = model.on(js.chain(1))
    k = np.arange(points)[:, None] / points
    bands = np.linalg.eigvalsh(np.asarray(one.bloch(spins[:1], jnp.asarray(k))))
    return [int(np.sum((bands < e) & (np.roll(bands, -1, axis=0) >= e))) for e in np.asarray(energies)]


def test_a_crystal_between_leads_of_its_own_opens_every_channel():
    model = wire()
    spins = jnp.broadcast_to(jnp.array(ALONG), (3, 1, 3))
    energies = jnp.array([-1.5, -1.0, 0.3, 2.5])
    solver = js.GreensFunction(model, leads=ends(model), temperature=0.1, poles=16)
    expected = channels(model, spins, energies)
    assert len(set(expected)) > 2
    assert distance(solver.transmission(spins, energies), expected) < 1e-4


@pytest.mark.slow
def test_slices_are_the_dense_device():
    """Hoppings over two of five cells, so that the last slice lacks one; orbitals without a spin."""
    lattice = cells(5, 1, periodic=(False, True))
    model, spins = model_on(lattice, spin_orbit=True), spins_on(lattice)
    sliced, dense = (
        js.GreensFunction(model, leads=ends(model), method=method, **BIASED) for method in ("recursive", "dense")
    )
    assert (sliced._cut().slices, sliced._cut().missing) == (2, 1)
    assert distance(sliced.transmission(spins, ENERGIES), dense.transmission(spins, ENERGIES)) < 1e-10
    local = [solver.local_density_of_states(spins, ENERGIES) for solver in (sliced, dense)]
    assert local[0].shape == (5, 1, 4, 2)
    assert distance(*local) < 1e-10


@pytest.mark.slow
def test_the_torque_is_the_derivative_by_the_spins():
    """B = -Tr rho dH/dS of the whole density matrix; without leads that couple that of the closed system."""
    model = wire()
    spins = spins_on(model.lattice)
    driven = js.GreensFunction(model, leads=ends(model), **BIASED)
    field = driven.field(spins)
    assert distance(field, model.field_of(driven.density_matrix(spins), spins)) < 1e-6
    onsite = js.OrbitalModel(model.lattice, (0, 0), model.offsets, model.hopping, model.exchange, potential=[0.1, -0.2])
    closed = js.GreensFunction(onsite, leads=[WideBand("left", 0.0)], mu=0.1, temperature=0.3, tolerance=1e-8)
    exact = js.ExactDiagonalization(onsite, chemical_potential=0.1, temperature=0.3)
    assert distance(closed.field(spins), exact.field(spins)) < 1e-8
    assert distance(closed.density(spins), js.observables.electron_density(exact, spins)) < 1e-8


@pytest.mark.slow
def test_a_lead_of_one_orbital_is_the_crystal_with_spins():
    ladder = js.square(3, 2, periodic=(False, False))
    model, spins = js.SDModel(ladder, 1.0, 0.8), spins_on(ladder)
    spiral = np.asarray(js.random_spins(js.square(2, 2), key=jax.random.key(3)), float)
    for direction in (ALONG, spiral):
        leads = (
            [MagneticCrystal(Crystal(end), direction, exchange=0.8) for end in ("left", "right")],
            [ModelCrystal(model, end, direction, broadening=1e-9) for end in ("left", "right")],
        )
        found = [
            js.GreensFunction(model, leads=pair, temperature=0.1, poles=16).transmission(spins, ENERGIES)
            for pair in leads
        ]
        assert distance(*found) < 1e-5


def test_what_does_not_fit_is_refused():
    model = wire()
    spins = spins_on(model.lattice)
    settings = {"temperature": 0.1, "poles": 16}
    with pytest.raises(ValueError, match=r"\['left'\] have one orbital a site; take ModelCrystal\(model,"):
        js.GreensFunction(model, leads=[Crystal("left")], **settings)
    with pytest.raises(ValueError, match="with 2 orbitals a cell, the device a chain lattice with 1; give the"):
        js.GreensFunction(js.SDModel(model.lattice), leads=[ModelCrystal(model, "left", ALONG)], **settings)
    far = model_on(cells(1, 1, periodic=(False, True)))
    with pytest.raises(ValueError, match="lead 'left' reaches 2 cells; lengthen the channel to as many"):
        js.GreensFunction(far, leads=ends(far), **settings)
    with pytest.raises(ValueError, match=r"lead 'left' have shape \(2, 2, 3\); give \(period, 1, 3\), or \(3,\) for"):
        js.GreensFunction(model, leads=[ModelCrystal(model, "left", np.ones((2, 2, 3)))], **settings)
    with pytest.raises(ValueError, match=r"have shape \(4,\); give \(3,\) or \(\*cells, sublattices, 3\)"):
        ModelCrystal(model, "left", np.ones(4))
    with pytest.raises(ValueError, match="goes on beyond an end of the channel; give sites='left' or 'right'"):
        ModelCrystal(model, "top", ALONG)
    with pytest.raises(ValueError, match=r"broadening must be positive, got 0\.0; 1e-6 is near enough"):
        ModelCrystal(model, "left", ALONG, broadening=0.0)
    solver = js.GreensFunction(model, leads=[WideBand("left")], bath=0.1, **settings)
    for what, ask in (
        ("spin currents", solver.bond_spin_currents),
        ("modes", lambda _: js.electrons.WideBandModes(solver)),
        ("Hartree potentials", lambda _: js.electrons.Hartree(solver, 1.0)),
    ):
        with pytest.raises(ValueError, match=f"{what} for OrbitalModel are not there; give an SDModel"):
            ask(spins)
