"""The Fermi level: in a gap the balance of electrons and holes, in every precision and for every solver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import (
    BlochDiagonalization,
    Coloring,
    ExactDiagonalization,
    ExactTrace,
    KernelPolynomial,
    SDModel,
    fermi,
)
from jaxspin.spins import normalize, random_spins
from jaxspin.textures import ferromagnet, neel, tetrahedral
from tests.helpers import compiled

PRECISIONS = [jnp.float64, jnp.float32]


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_two_bands_have_the_level_of_the_law_of_mass_action(dtype):
    """mu = (E_v + E_c)/2 + (T/2) ln(Z_v/Z_c), and its slopes, down to populations that no number holds."""
    e = jnp.asarray([1.5, -2.0], dtype)
    states = jnp.asarray([12.0, 4.0], dtype)  # of the upper band, which is empty, and the lower one, full

    def level(e, t, number):
        levels = jnp.repeat(e, 2)
        weights = jnp.repeat(states, 2) * jnp.asarray([0.25, 0.75, 0.5, 0.5], dtype)
        return fermi.chemical_potential(levels, weights, number, t)

    slope = compiled(jax.value_and_grad(level, (0, 1, 2)))
    for t in (0.3, 0.05, 0.02, 1e-3):
        found, (by_e, by_t, by_number) = slope(e, jnp.asarray(t, dtype), jnp.asarray(4.0, dtype))
        rounding = 20 * float(jnp.finfo(dtype).eps)
        tails = np.exp(-3.5 / 2 / t)
        assert found == pytest.approx(-0.25 + t / 2 * np.log(4 / 12), abs=rounding + tails)
        np.testing.assert_allclose(by_e, 0.5, atol=rounding / t + 10 * tails / t)
        assert by_t == pytest.approx(np.log(4 / 12) / 2, abs=rounding / t**2 + 20 * tails / t)
        assert 0 < by_number < jnp.inf
    if dtype == jnp.float32:  # a filled sea within rounding
        number = jnp.asarray(4 * (1 + 2e-7), dtype)
        assert level(e, jnp.asarray(0.02, dtype), number) == pytest.approx(-0.25 + 0.01 * np.log(4 / 12), abs=1e-5)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_half_filling_has_its_level_at_zero(dtype):
    """Free chain, and Neel order with a gap of 6 t: mu = 0, dF/dn = 2N mu = 0 and dmu/dJ = 0 at every temperature."""
    cases = [(lattices.chain(8), 0.0, ferromagnet), (lattices.square(4), 3.0, neel)]
    for lattice, coupling, texture in cases:
        spins = texture(lattice).astype(dtype)

        @compiled
        def slopes(t, lattice=lattice, coupling=coupling, spins=spins):
            def solver(j, n):
                return ExactDiagonalization(SDModel(lattice, 1.0, j), filling=n, temperature=t)

            energy = jax.grad(lambda n: solver(coupling, n).energy(spins))(0.5)
            level, by_coupling = jax.value_and_grad(lambda j: solver(j, 0.5).fermi_level(spins))(coupling)
            return level, by_coupling, energy / (2 * lattice.sites)

        for t in (0.5, 0.05, 0.02, 2e-3):
            found = slopes(t)
            np.testing.assert_allclose(found, 0, atol=1e-12 if dtype == jnp.float64 else 1e-4)
    ground = ExactDiagonalization(SDModel(lattice, 1.0, 3.0), filling=0.5)
    assert ground.fermi_level(spins) == pytest.approx(0, abs=1e-5)


def test_the_cell_of_a_texture_has_the_level_too():
    """Two weights of k points in 3 x 3, whose sum is rounded."""
    cell = lattices.square(2)
    spins = neel(cell).astype(jnp.float32)

    def energy(n):
        solver = ExactDiagonalization(SDModel(cell, 1.0, 3.0), filling=n, temperature=0.02)
        return BlochDiagonalization(solver, points=3, even=True).energy(spins)

    assert compiled(jax.grad(energy))(0.5) / 8 == pytest.approx(0, abs=1e-4)


@pytest.fixture(scope="module")
def tetrahedra():
    """A gap of 2 t at quarter filling that no symmetry centres, a little disordered, and its exact level and slopes."""
    lattice = lattices.triangular(4)
    spins = normalize(tetrahedral(lattice) + 0.02 * random_spins(lattice, key=jax.random.key(3)))

    def level(solver, *x):
        j, n, t = x
        settings = {} if solver is ExactDiagonalization else {"window": (-9.2, 6.2), "order": 300}
        probes = {} if solver is ExactDiagonalization else {"probes": ExactTrace()}
        return solver(SDModel(lattice, 1.0, j), filling=n, temperature=t, **settings, **probes).fermi_level(spins)

    slope = jax.value_and_grad(level, (1, 3))
    found = [compiled(lambda t, s=s: slope(s, 3.0, 0.25, t)) for s in (ExactDiagonalization, KernelPolynomial)]
    return lattice, spins, [f(0.05) for f in found]


def test_kernel_polynomials_balance_electrons_and_holes(tetrahedra):
    """As far as the series resolves them: to a tenth of T, where it counts to 1e-5 and the populations are 1e-9."""
    lattice, spins, ((exact, exact_slopes), (found, slopes)) = tetrahedra
    assert found == pytest.approx(float(exact), abs=0.01)
    assert slopes[0] == pytest.approx(float(exact_slopes[0]), abs=0.15)
    assert jnp.isfinite(slopes[1])
    # what random phases add to the count of electrons does not move the level out of the gap
    kpm = KernelPolynomial(
        SDModel(lattice, 1.0, 3.0), filling=0.25, temperature=0.05, probes=Coloring(4), order=200, window=(-9.2, 6.2)
    )
    levels = compiled(jax.vmap(lambda k: kpm.fermi_level(spins, key=k)))(jax.random.split(jax.random.key(0), 8))
    np.testing.assert_allclose(levels, exact, atol=0.3)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_kernel_polynomials_at_half_filling(dtype):
    """dF/dn = 2N mu holds for what the series makes of F, in the gap and in a metal."""
    lattice = lattices.square(4)
    spins = neel(lattice).astype(dtype)

    @compiled
    def slope(n):
        def energy(n):
            model = SDModel(lattice, 1.0, 3.0)
            kpm = KernelPolynomial(model, filling=n, temperature=0.05, probes=ExactTrace(), order=200)
            return kpm.energy(spins), kpm.fermi_level(spins)

        (_, level), slope = jax.value_and_grad(energy, has_aux=True)(n)
        return level, slope / (2 * lattice.sites)

    np.testing.assert_allclose(slope(0.5), 0, atol=1e-10 if dtype == jnp.float64 else 2e-3)
    level, by_filling = slope(0.3)
    assert by_filling == pytest.approx(float(level), abs=5e-3)
