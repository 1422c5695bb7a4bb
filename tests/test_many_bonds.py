"""Sums over many bonds: in a loop as written out, and a program that does not grow with their number."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.classical import bonds as bond_sums
from jaxspin.observables import spin_waves

# Sums of some tens of numbers in double precision.
ROUNDING = 1e-12


def test_the_loop_equals_the_bonds_written_out(key, monkeypatch):
    """Fields, and derivatives by spins and couplings; one number a shell, one a bond, an open edge, bonds that wrap."""
    lattice = js.honeycomb(3, 2, periodic=(False, True))
    spins = js.random_spins(lattice, key=key)
    each = jax.random.normal(key, (*lattice.cells, len(lattice.shell(2))))
    exchange = js.Exchange(lattice, (0.7, each))
    antisymmetric = js.DzyaloshinskiiMoriya(lattice, each, "bulk", shell=2)

    def everything(exchange, antisymmetric, spins):
        def measure(exchange, spins):
            return jnp.sum(jnp.sin(exchange.field(spins)))

        return antisymmetric.field(spins), jax.value_and_grad(measure, argnums=(0, 1))(exchange, spins)

    found = []
    for many in (10**6, 0):
        monkeypatch.setattr(bond_sums, "_MANY", many)
        found.append(jax.jit(lambda *a: everything(*a))(exchange, antisymmetric, spins))
    for written, looped in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(looped, written, atol=ROUNDING)


def test_the_program_does_not_grow_with_the_bonds():
    lattice = js.kagome(2, 6)
    spins = js.textures.ferromagnet(lattice)

    def length(shells):
        potential = js.Exchange(lattice, (1.0,) * shells)
        return len(str(jax.make_jaxpr(lambda s: potential.field(s))(spins)))

    assert sum(len(lattice.shell(k + 1)) for k in range(29)) == 318
    # a line a shell; written out, four times as many bonds are four times as long
    assert sum(len(lattice.shell(k + 1)) for k in range(8)) < 318 / 3
    assert length(29) < 1.3 * length(8)


def test_spin_waves_of_very_many_bonds():
    """A ferromagnet of any exchange has w_k = J(0) - J(k) of the bonds, here from their sum over the lattice."""
    lattice, shells = js.chain(8), 60
    couplings = np.linspace(1, 0.2, shells)
    found = spin_waves(js.Exchange(lattice, tuple(couplings)), js.textures.ferromagnet(lattice)).frequencies
    q = 2 * np.pi * np.arange(8) / 8
    expected = [sum(2 * j * (1 - np.cos(k * n)) for n, j in enumerate(couplings, 1)) for k in q]
    np.testing.assert_allclose(found, np.sort(expected), atol=1e-6)
