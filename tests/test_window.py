"""Answers that are refused: spectra outside the window, tolerances out of reach, memory that a machine has not."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import Coloring, ExactDiagonalization, ExactTrace, KernelPolynomial, SDModel, tune
from jaxspin.electrons.chebyshev import expand, moments
from jaxspin.electrons.kpm import group_width
from jaxspin.observables import density_of_states, local_density_of_states
from jaxspin.spins import random_spins
from tests.helpers import compiled

STATE = {"chemical_potential": 0.0, "temperature": 0.3}


@pytest.fixture(scope="module")
def defect():
    """One site in a thousand whose level lies outside the window as its energy says: the trace does not notice."""
    lattice = lattices.chain(1024)
    spins = random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)

    def solver(v):
        potential = jnp.zeros(lattice.shape).at[7, 0].set(v)
        model = SDModel(lattice, 1.0, 1.0, potential=potential)
        return KernelPolynomial(model, **STATE, probes=Coloring(16), order=60, window=(-3.5, 7.14))

    return solver, spins


def test_one_level_outside_the_window_is_not_answered(defect):
    """Energy, field and total density of states; the same with the level inside gives numbers."""
    solver, spins = defect
    solve = compiled(lambda v: (*solver(v).energy_and_field(spins), solver(v).moments(spins, order=64)))
    inside, outside = solve(5.5), solve(6.0)
    assert all(bool(jnp.all(jnp.isfinite(x))) for x in inside)
    assert not any(bool(jnp.any(jnp.isfinite(x))) for x in outside)


@pytest.mark.parametrize(("sites", "colors", "asked", "close"), [(4096, 4, "energy", 3e-3), (64, 16, "field", 1e-3)])
def test_what_is_answered_near_the_edge_is_right(sites, colors, asked, close):
    """A level below 7.14, in the margin of one per cent above it, and beyond: as in a wide window, or NaN."""
    lattice = lattices.chain(sites)
    spins = random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)

    def solve(window, order):
        def at(v):
            model = SDModel(lattice, 1.0, 1.0, potential=jnp.zeros(lattice.shape).at[7, 0].set(v))
            solver = KernelPolynomial(model, **STATE, probes=Coloring(colors), order=order, window=window)
            return getattr(solver, asked)(spins)

        return [np.asarray(value) for value in map(compiled(at), (5.84, 5.9, 5.95, 6.0))]

    narrow, wide = solve((-3.5, 7.14), 60), solve((-3.5, 9.0), 100)
    np.testing.assert_allclose(narrow[:2], wide[:2], atol=close)
    # the trace over 4096 sites does not notice the third
    assert np.all(np.isfinite(wide))
    assert np.all(np.isnan(narrow[2:]))


def test_nor_at_a_filling_whose_level_is_sought():
    lattice = lattices.chain(8)
    spins = random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)

    def energy(v):
        model = SDModel(lattice, 1.0, 1.0, potential=jnp.zeros(lattice.shape).at[3, 0].set(v))
        solver = KernelPolynomial(
            model, filling=0.5, temperature=1.0, order=32, window=(-3.5, 7.14), probes=Coloring(4)
        )
        return solver.energy(spins)

    inside, outside = compiled(jax.vmap(energy))(jnp.array([5.0, 12.0]))
    assert jnp.isfinite(inside)
    assert jnp.isnan(outside)


def test_series_of_vectors_outside_the_window_are_not_answered():
    """The sum over T_m |start> and the moments of one vector, as the Chern marker and the local density take them."""
    levels = jnp.array([0.3, -0.9, 1.02])
    start = jnp.eye(3)
    for cut, good in ((2, True), (3, False)):
        apply = lambda x, cut=cut: levels[:cut, None] * x  # noqa: E731
        found = expand(apply, start[:cut, :cut], jnp.ones(64) / 64)
        assert bool(jnp.all(jnp.isfinite(found))) is good
        found = moments(apply, start[:cut, :cut], 64)
        assert bool(jnp.all(jnp.isfinite(found))) is good


def test_blocks_of_columns_need_not_divide_them(key):
    levels = jnp.linspace(-0.9, 0.8, 12)
    start = jax.random.normal(key, (12, 10))
    whole, parts = (moments(lambda x: levels[:, None] * x, start, 20, width=w) for w in (None, 4))
    np.testing.assert_allclose(parts, whole, atol=1e-12)


@pytest.mark.parametrize(("columns", "groups"), [(1, 1), (17, 1), (60, 4), (134, 7), (268, 14), (269, 14), (272, 14)])
def test_groups_are_few_and_alike(columns, groups):
    """268 columns took 0.74 s, and 272 of them 0.43: each group is as wide as the others, and a multiple of four."""
    width = group_width(jnp.zeros((30, 30, columns), jnp.float32))
    assert -(-columns // width) == groups
    assert groups == 1 or (width % 4 == 0 and groups * width - columns < 4 * groups)


def test_tuning_ends_and_says_what_is_reachable(key):
    lattice = lattices.chain(4)
    model = SDModel(lattice, 1.0, 1.0)
    spins = random_spins(lattice, key=key, dtype=jnp.float32)
    hot = {"chemical_potential": 0.0, "temperature": 1.0}  # few moments
    with pytest.raises(ValueError, match=r"in float32, not 1e-11.* use a tolerance above .* double precision"):
        tune(model, spins, tolerance=1e-11, key=key, **hot, probes=ExactTrace(), draws=2)
    with pytest.raises(ValueError, match=r"leaves the window -1 to 1; give a wider window"):
        tune(model, spins, tolerance=0.1, key=key, **hot, probes=ExactTrace(), window=(-1.0, 1.0), draws=2)
    for tolerance in (0.0, np.nan):
        with pytest.raises(ValueError, match=r"tolerance must be positive.*0\.01 is usual"):
            tune(model, spins, tolerance=tolerance, key=key, **STATE)
        with pytest.raises(ValueError, match=r"tolerance must be positive.*0\.01 is usual"):
            KernelPolynomial(model, **STATE, tolerance=tolerance)


def test_another_size_takes_colours_of_its_own_and_memory_is_told():
    small, large = lattices.square(4), lattices.square(128)
    model = SDModel(small, 1.0, 1.0)
    solver = KernelPolynomial(model, **STATE)
    assert isinstance(solver.probes, ExactTrace)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert solver.on(large).probes == Coloring(45)
        assert isinstance(solver.with_order(64).on(small).probes, ExactTrace)
    given = KernelPolynomial(model, **STATE, probes=ExactTrace())
    with pytest.warns(UserWarning, match=r"ExactTrace on 16384 sites takes about 34 GB .* give probes=Coloring"):
        assert isinstance(given.on(large).probes, ExactTrace)
    exact = ExactDiagonalization(model, filling=0.5)
    with pytest.warns(UserWarning, match="ExactDiagonalization of 16384 sites takes about 52 GB .* KernelPolynomial"):
        exact.on(large)


def test_local_density_outside_the_window_is_not_answered(defect):
    solver, spins = defect
    energies = jnp.linspace(-2.0, 2.0, 5, dtype=jnp.float32)
    assert jnp.all(jnp.isnan(local_density_of_states(solver(6.0), spins, energies, np.array([[7, 0]]), resolution=0.3)))
    assert jnp.all(jnp.isfinite(density_of_states(solver(5.5), spins, energies, resolution=1.0)))
