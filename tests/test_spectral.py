"""Derivatives of what is made of levels and states, in ordered states, where levels coincide: against differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import ExactDiagonalization, SDModel
from jaxspin.electrons.spectral import local_sums, pair_sum
from jaxspin.observables import (
    bond_currents,
    conductivity,
    density_of_states,
    electron_density,
    local_chern_marker,
    local_density_of_states,
)
from jaxspin.spins import normalize
from jaxspin.textures import ferromagnet, neel

CLOSED, OPEN = lattices.square(4), lattices.square(4, 2, periodic=False)
ENERGIES = jnp.array([-2.7, -1.1, 0.3])
HERE = np.array([[0, 0, 0], [1, 0, 0]])


def metal(lattice, coupling, hopping):
    return ExactDiagonalization(SDModel(lattice, hopping, coupling), filling=0.4, temperature=0.05)


def of_the_closed(coupling, hopping, spins):
    """Conductivity and Hall conductivity, densities of states, densities: each with its own way to a derivative."""
    solver = metal(CLOSED, coupling, hopping)
    sigma = jnp.stack([conductivity(solver, spins, axes, broadening=0.1, frequency=0.3) for axes in ((0, 0), (0, 1))])
    kernels = ("gaussian", "lorentz")
    local = [local_density_of_states(solver, spins, ENERGIES, HERE, resolution=0.2, kernel=k) for k in kernels]
    total = density_of_states(solver, spins, ENERGIES, resolution=0.2)
    still = conductivity(solver, spins, broadening=0.1)
    parts = (jnp.real(still), jnp.real(sigma), jnp.imag(sigma), *local, total, electron_density(solver, spins))
    return jnp.concatenate([jnp.ravel(x) for x in parts])


def of_the_open(coupling, hopping, spins):
    solver = metal(OPEN, coupling, hopping)
    parts = (local_chern_marker(solver, spins), bond_currents(solver, spins), solver.fermi_level(spins))
    return jnp.concatenate([jnp.ravel(x) for x in parts])


@pytest.mark.parametrize(
    ("lattice", "measure", "both_ways"),
    [
        (CLOSED, of_the_closed, False),
        (OPEN, of_the_open, True),
        pytest.param(CLOSED, of_the_closed, True, marks=pytest.mark.slow),
    ],
    ids=["closed", "open", "closed, backwards"],
)
def test_slopes_at_degenerate_states(lattice, measure, both_ways, key):
    """By the coupling, the hopping and a turn of the spins, forwards; and the sum of all slopes backwards."""
    push, weights = jax.random.normal(key, (*lattice.shape, 3)), jax.random.normal(key, (200,))

    def at(x, spins):
        return measure(1.5 + x[0], 1.0 + x[1], normalize(spins + x[2] * push))

    @jax.jit
    def along(x, direction, spins):
        return jax.jvp(lambda y: at(y, spins), (x,), (direction,))

    def total(x, spins):
        found = at(x, spins)
        return jnp.sum(weights[: len(found)] * found)

    backwards = jax.jit(jax.grad(total))
    step, zero, weights = 1e-4, np.zeros(3), np.asarray(weights)
    for spins in (neel(lattice), ferromagnet(lattice)):
        slopes = []
        for direction in np.eye(3):
            slopes.append(along(zero, direction, spins)[1])
            sides = [np.asarray(along(sign * step * direction, direction, spins)[0]) for sign in (1, -1)]
            # third derivatives are of the order of 1/(0.05)^3
            np.testing.assert_allclose(slopes[-1], (sides[0] - sides[1]) / (2 * step), atol=2e-4, rtol=2e-5)
        if both_ways:
            expected = [np.sum(weights[: len(s)] * s) for s in np.asarray(slopes)]
            np.testing.assert_allclose(backwards(zero, spins), expected, atol=1e-7)
        if measure is of_the_closed and spins[0, 0, 0, 2] != spins[0, 1, 0, 2]:
            assert float(along(zero, np.eye(3)[0], spins)[1][0]) == pytest.approx(-0.04286, abs=1e-5)


def test_sums_over_levels_are_those_of_plain_derivatives_elsewhere(key):
    """Where no two levels coincide `eigh` itself has derivatives: of a random matrix, function and direction."""
    keys = jax.random.split(key, 5)
    h, dh, a, b = (jax.random.normal(k, (6, 6), complex) for k in keys[:4])
    h, dh = h + h.conj().T, dh + dh.conj().T
    width = jnp.array(0.7)

    def weight(e, other, width):
        return jax.lax.complex(jnp.sin(e * other) + other, jnp.cos(e - width * other**2))

    def peak(x, width):
        return jnp.exp(-((x / width) ** 2))

    def ours(h):
        return pair_sum(weight, h, a, b, width, width), local_sums(peak, h, jnp.array([1, 4]), ENERGIES, width)

    def plain(h):
        e, v = jnp.linalg.eigh(h)
        left, right = (v.conj().T @ x @ v for x in (a, b))
        local = (jnp.abs(v[jnp.array([1, 4])]) ** 2) @ peak(ENERGIES[None] - e[:, None], width)
        return jnp.sum(weight(e[:, None], e[None], width) * left * right.T), local

    found, expected = (jax.jit(lambda h, f=f: jax.jvp(f, (h,), (dh,)))(h) for f in (ours, plain))
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
