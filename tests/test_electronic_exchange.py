"""Exchange from Bloch states against the Hessian of a large lattice, the sum over pairs of states, and differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.observables import exchange_couplings, tangent_hessian
from jaxspin.observables.electronic import spin_polarization

TEMPERATURE, MU, POINTS = 0.3, -0.4, 5
UP = jnp.array([[[0.0, 0.0, 1.0]]])


def two_orbitals(lattice):
    """Two orbitals of one atom, split by different amounts, and hoppings that are split too."""
    rng = np.random.default_rng(3)
    levels, one, level_splits, hop_splits = (rng.normal(size=(2, 2)) for _ in range(4))
    hopping = np.stack([levels + levels.T, one, one.T])
    exchange = np.eye(2) + 0.2 * (level_splits + level_splits.T)
    splits = 0.2 * np.stack([np.zeros((2, 2)), hop_splits, hop_splits.T])
    return js.OrbitalModel(lattice, (0, 0), [(0,), (1,), (-1,)], hopping, exchange, split=splits)


def bloch(model, points=POINTS, **fixed):
    fixed = fixed or {"chemical_potential": MU}
    solver = js.ExactDiagonalization(model, temperature=TEMPERATURE, **fixed)
    return js.electrons.BlochDiagonalization(solver, points=points)


def test_the_hessian_of_the_repeated_lattice_with_split_hoppings():
    model = two_orbitals(js.chain(1))
    found = exchange_couplings(bloch(model), UP, frequencies=24)
    ring = js.chain(POINTS)
    large = js.ExactDiagonalization(model.on(ring), temperature=TEMPERATURE, chemical_potential=MU)
    hessian = tangent_hessian(large, js.textures.ferromagnet(ring))
    row = -np.asarray(hessian)[0, ::2] / 2
    np.testing.assert_allclose(found.couplings[1:, 0, 0], row[1:], atol=1e-9)
    assert found.couplings[0, 0, 0] == 0
    assert abs(row[1]) > 1e-2
    # the moment of an atom is the field of a splitting of all its orbitals by one energy
    polarization = spin_polarization(large, js.textures.ferromagnet(ring))[0, :, 2]
    np.testing.assert_allclose(found.moments[0], jnp.sum(polarization), atol=1e-9)


def test_an_antiferromagnet_has_two_sublattices():
    cell, ring = js.chain(2), js.chain(6)
    model = js.SDModel(cell, coupling=1.5)
    found = exchange_couplings(bloch(model, 3, filling=0.5), js.textures.neel(cell), frequencies=24)
    assert (found.lattice.sublattices, found.signs) == (2, (1, -1))
    large = js.ExactDiagonalization(model.on(ring), temperature=TEMPERATURE, filling=0.5)
    hessian = np.asarray(tangent_hessian(large, js.textures.neel(ring))).reshape(6, 2, 6, 2)
    # the second tangent of every spin is S x e: the first is the same for up and down, or both turn over
    between = np.abs(hessian[0, 0, :, 0]) / 2
    np.testing.assert_allclose(np.abs(found.couplings[:, 0, :]).reshape(6)[1:], between[1:], atol=1e-9)
    assert found.between(0, 1, (0,)) < 0 < found.moments[1]
    np.testing.assert_allclose(found.couplings[1, 0, 1], found.couplings[-1, 1, 0], atol=1e-12)


def test_the_sum_over_pairs_of_states():
    """On the atoms alone: J(q) = sum (f - f')/(e' - e) |<n k up|M|n' k + q down>|^2, split hoppings in the states."""
    model = two_orbitals(js.chain(1))
    found = exchange_couplings(bloch(model), UP, onsite=True, frequencies=24)
    k = jnp.arange(POINTS)[:, None] / POINTS
    h = np.asarray(model.bloch(UP, k)).reshape(POINTS, 2, 2, 2, 2)
    (e_up, up), (e_down, down) = (np.linalg.eigh(h[:, :, s, :, s]) for s in (0, 1))
    f_up, f_down = (1 / (1 + np.exp((e - MU) / TEMPERATURE)) for e in (e_up, e_down))
    m = np.asarray(model.exchange)
    expected = np.zeros(POINTS)
    for q in range(POINTS):
        for here in range(POINTS):
            there = (here + q) % POINTS
            overlap = np.abs(up[here].conj().T @ m @ down[there]) ** 2
            ratio = (f_up[here][:, None] - f_down[there]) / (e_down[there] - e_up[here][:, None])
            expected[q] += np.sum(ratio * overlap) / POINTS
    # T sum_n G_up G_down = (f_up - f_down)/(e_up - e_down)
    itself = expected.mean()
    np.testing.assert_allclose(np.real(found.on_mesh()[:, 0, 0]), expected - itself, atol=1e-9)
    everything = exchange_couplings(bloch(model), UP, frequencies=24)
    assert np.max(np.abs(everything.couplings - found.couplings)) > 1e-3


def test_derivatives_by_everything():
    model = two_orbitals(js.chain(1))
    split = jnp.asarray(model.split)
    rng = np.random.default_rng(5)
    change = rng.normal(size=(2, 2))

    def nearest(x):
        """The coupling to the next cell with changed splitting, hopping, split hopping, filling and temperature."""
        symmetric = jnp.asarray(change + change.T)
        moved = eqx.tree_at(
            lambda m: (m.exchange, m.hopping, m.split),
            model,
            (
                model.exchange + x[0] * symmetric,
                model.hopping.at[0].add(x[1] * symmetric),
                split.at[1].add(x[2] * change).at[2].add(x[2] * change.T),
            ),
        )
        solver = js.ExactDiagonalization(moved, filling=0.3 + x[3], temperature=TEMPERATURE + x[4])
        electrons = js.electrons.BlochDiagonalization(solver, points=POINTS)
        return exchange_couplings(electrons, UP, frequencies=24).between(0, 0, (1,))

    step = 1e-4
    x = jnp.zeros(5)
    value = jax.jit(nearest)
    slope = jax.jit(jax.grad(nearest))(x)
    expected = [(value(x.at[n].set(step)) - value(x.at[n].set(-step))) / (2 * step) for n in range(5)]
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)
    assert np.min(np.abs(slope)) > 1e-3


def test_what_it_refuses():
    electrons = bloch(js.SDModel(js.chain(1), coupling=1.0), 3)
    solvers = electrons.solver, js.KernelPolynomial(electrons.solver.model, filling=0.5, temperature=0.3)
    for solver in solvers:
        with pytest.raises(TypeError, match=r"has no wavevectors; give .* BlochDiagonalization\(ExactDiagonalization"):
            exchange_couplings(solver, UP)
    with pytest.raises(ValueError, match="no component along z"):
        exchange_couplings(electrons, jnp.array([[[1.0, 0.0, 0.0]]]))
    with pytest.raises(Exception, match="turn the spins, or use"):
        exchange_couplings(electrons, jnp.array([[[0.6, 0.0, 0.8]]]))
    with pytest.raises(Exception, match="give more frequencies"):
        exchange_couplings(electrons, UP, frequencies=2)
    with pytest.raises(ValueError, match="close over spins"):
        jax.jit(lambda spins: exchange_couplings(electrons, spins).couplings)(UP)
