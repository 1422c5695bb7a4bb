"""Kernel polynomials against exact diagonalization, and what they refuse, hold and lower to."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.arrays.spinors import join
from jaxspin.electrons import Coloring, ExactDiagonalization, ExactTrace, KernelPolynomial, SDModel, chebyshev, fermi
from jaxspin.spins import random_spins
from jaxspin.textures import ferromagnet, neel
from tests.helpers import compiled
from tests.kpm_models import CASES, EXACT, SERIES, WARM, Matrix

ROUNDING = 1e-11  # recursions of a few hundred steps on vectors of norm one


# --- the solver against exact diagonalization


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "flux and Rashba" else n for n in CASES]
)
def test_exact_trace_equals_exact_diagonalization(name, key):
    """Energy, field, Fermi level, and the slope of the energy with every parameter of the model."""
    model, ensemble = CASES[name]
    kpm = KernelPolynomial(model, **ensemble, **WARM, probes=ExactTrace(), tolerance=SERIES)
    exact = ExactDiagonalization(model, **ensemble, **WARM)
    spins = random_spins(model.lattice, key=key)

    @compiled
    def solve(solver, spins):
        parameters, rest = eqx.partition(solver, eqx.is_inexact_array)
        energy, slopes = jax.value_and_grad(lambda p: eqx.combine(p, rest).energy(spins))(parameters)
        return energy, solver.field(spins), solver.fermi_level(spins), (slopes.model, slopes.temperature)

    energy, field, level, slopes = solve(kpm, spins)
    expected_energy, expected_field, expected_level, expected_slopes = solve(exact, spins)
    assert energy == pytest.approx(float(expected_energy), abs=EXACT)
    assert jnp.max(jnp.abs(field)) > 0.1
    np.testing.assert_allclose(field, expected_field, atol=EXACT)
    assert level == pytest.approx(float(expected_level), abs=EXACT)
    for found, expected in zip(jax.tree.leaves(slopes), jax.tree.leaves(expected_slopes), strict=True):
        np.testing.assert_allclose(found, expected, atol=10 * EXACT)


@pytest.fixture(scope="module")
def free():
    """Fixed chemical potential and exact trace, with its spins, its moments, and the exact levels."""
    model = SDModel(lattices.triangular(4), 1.0, 3.0)
    kpm = KernelPolynomial(
        model,
        chemical_potential=-3.0,
        temperature=0.2,
        probes=ExactTrace(),
        order=chebyshev.order_for(0.2, 7.6, SERIES),
    )
    spins = random_spins(model.lattice, key=jax.random.key(1))
    return kpm, spins, kpm.moments(spins), jnp.linalg.eigvalsh(model.dense(spins))


def test_error_falls_exponentially_with_the_order(free):
    """Terms fall as exp(-m asinh(pi T/a)), from the singularities of the Fermi function at mu +- i pi T."""
    kpm, _, moments, exact = free
    low, high = kpm.window
    center, halfwidth = (low + high) / 2, 1.01 * (high - low) / 2
    mu, t = kpm.chemical_potential, kpm.temperature
    expected = fermi.grand_potential(exact, jnp.ones_like(exact), mu, t)

    @jax.jit
    def error(order):
        cut = jnp.where(jnp.arange(moments.size) < order, moments, 0)
        return abs(fermi.grand_potential(*chebyshev.quadrature(cut, center, halfwidth), mu, t) - expected)

    # the terms oscillate, so the worst of a few neighbouring orders is taken
    orders = np.arange(40, 240, 20)
    worst = np.array([max(float(error(n + k)) for k in range(0, 10, 2)) for n in orders])
    rate = -np.polyfit(orders, np.log(worst), 1)[0]
    assert rate > 0.9 * np.arcsinh(np.pi * float(t / halfwidth))
    chosen = chebyshev.order_for(float(t), float(halfwidth), 1e-6)
    assert 1e-9 < error(chosen) < 1e-6 * kpm.lattice.sites


def test_one_set_of_moments_serves_many_temperatures(free):
    kpm, spins, _, exact = free
    levels, weights = kpm.spectrum(spins)
    one = jnp.ones_like(exact)
    for mu, t in itertools.product((-4.0, 0.0), (0.2, 0.7)):
        mu, t = jnp.asarray(mu), jnp.asarray(t)
        for function in (fermi.grand_potential, fermi.electrons, fermi.entropy):
            expected = function(exact, one, mu, t)
            assert function(levels, weights, mu, t) == pytest.approx(float(expected), abs=EXACT)


def test_spectral_sums(free):
    kpm, spins, _, exact = free
    levels, weights = kpm.spectrum(spins)
    assert jnp.sum(weights) == pytest.approx(exact.size, abs=EXACT)
    for function in (lambda e: e, lambda e: e**2, jnp.sin, lambda e: jnp.exp(-(e**2))):
        assert jnp.sum(weights * function(levels)) == pytest.approx(float(jnp.sum(function(exact))), abs=EXACT)


def test_result_depends_neither_on_the_window_nor_on_the_size_it_was_built_for(free, key):
    kpm, spins, _, _ = free
    settings = {"chemical_potential": -3.0, "temperature": 0.2, "probes": ExactTrace(), "tolerance": SERIES}
    wide = KernelPolynomial(kpm.model, **settings, window=(-11.0, 8.0))
    assert wide.order > kpm.order
    energy = compiled(lambda solver, spins: solver.energy(spins))
    assert energy(wide, spins) == pytest.approx(float(kpm.energy(spins)), abs=EXACT)

    small = KernelPolynomial(SDModel(lattices.chain(5), (1.0, 0.5), 1.0), **settings)
    large = small.on(lattices.chain(14))
    spins = random_spins(large.lattice, key=key)
    exact = ExactDiagonalization(large.model, chemical_potential=-3.0, temperature=0.2)
    assert energy(large, spins) == pytest.approx(float(energy(exact, spins)), abs=EXACT)
    # five sites miss the top of the band, fourteen do not: each size has a window of its own, unless one was given
    np.testing.assert_allclose(large.window, large.model.spectral_bounds())
    assert large.window[1] > small.window[1]
    given = KernelPolynomial(small.model, **settings, window=(-6, 6)).on(large.lattice)
    np.testing.assert_allclose(given.window, (-6, 6))
    uneven, ensemble = CASES["disorder, open ends"]
    with pytest.raises(ValueError, match="build a new SDModel"):
        KernelPolynomial(uneven, **ensemble, **WARM).on(lattices.chain(12))


def test_separate_sites_and_uncoupled_electrons(key):
    """Without hopping H is block-diagonal, any colouring exact, and B_i = J [f(-J) - f(J)] S_i; without J, B = 0."""
    lattice, j, t, mu = lattices.chain(8), 1.3, 0.2, 0.4
    spins = random_spins(lattice, key=key)
    solve = compiled(lambda kpm: kpm.energy_and_field(spins))

    def solver(hopping, coupling):
        return KernelPolynomial(
            SDModel(lattice, hopping, coupling),
            chemical_potential=mu,
            temperature=t,
            probes=Coloring(1),
            window=(-2.0, 2.0),
            tolerance=SERIES,
        )

    energy, field = solve(solver(0.0, j))
    upper, lower = (1 / (np.exp((e - mu) / t) + 1) for e in (j, -j))
    np.testing.assert_allclose(field, j * (lower - upper) * spins, atol=EXACT)
    expected = -t * lattice.sites * (np.log1p(np.exp((mu - j) / t)) + np.log1p(np.exp((mu + j) / t)))
    assert energy == pytest.approx(expected, abs=EXACT)
    np.testing.assert_array_equal(solve(solver(1.0, 0.0))[1], 0)


# --- derivatives of the field


@pytest.mark.parametrize(
    ("lattice", "ensemble", "against_exact"),
    [
        (lattices.chain(8), "chemical_potential", False),
        pytest.param(lattices.square(4), "filling", False, marks=pytest.mark.slow),
        pytest.param(lattices.square(4), "filling", True, marks=pytest.mark.slow),
    ],
)
def test_derivatives_of_the_field_at_degenerate_states(lattice, ensemble, against_exact):
    """Of sum w . B by spins, coupling, hopping, temperature and filling or chemical potential: reverse mode twice.

    At the ferromagnet and the Neel state, against central differences, and against the exact solver.
    """
    w, v = np.random.default_rng(0).normal(size=(2, *lattice.shape, 3))
    window = SDModel(lattice, 1.0, 3.0).spectral_bounds()
    order = chebyshev.order_for(0.3, float(window[1] - window[0]) / 2, SERIES)
    parameters = np.array([3.0, 1.0, 0.3, 0.25])

    def kpm(x, spins):
        model = SDModel(lattice, x[1], x[0])
        settings = {ensemble: x[3], "temperature": x[2], "window": window, "order": order}
        return jnp.sum(w * KernelPolynomial(model, **settings, probes=ExactTrace()).field(spins))

    def exact(x, spins):
        solver = ExactDiagonalization(SDModel(lattice, x[1], x[0]), **{ensemble: x[3]}, temperature=x[2])
        return jnp.sum(w * solver.field(spins))

    slope, expected = (compiled(jax.value_and_grad(f, (0, 1))) for f in (kpm, exact))
    for texture in (ferromagnet, neel):
        spins = texture(lattice)
        spins = np.asarray(spins)
        value, (by_parameters, by_spins) = jax.tree.map(np.asarray, slope(parameters, spins))
        if against_exact:
            expected_value, (expected_by_parameters, expected_by_spins) = expected(parameters, spins)
            assert value == pytest.approx(float(expected_value), abs=10 * EXACT)
            np.testing.assert_allclose(by_parameters, expected_by_parameters, atol=100 * EXACT)
            np.testing.assert_allclose(by_spins, expected_by_spins, atol=10 * EXACT)
            continue
        for x, s in [(row, np.zeros_like(spins)) for row in np.eye(4)] + [(np.zeros(4), v)]:
            ends = [float(slope(parameters + h * x, spins + h * s)[0]) for h in (1e-4, -1e-4)]
            found = np.sum(by_parameters * x) + np.sum(by_spins * s)
            # third derivatives are of order 1/T^2 and more
            assert found == pytest.approx((ends[0] - ends[1]) / 2e-4, abs=1e-4, rel=1e-5)


# --- moments and quadrature


def test_moments_are_those_of_the_matrix(free, key):
    """mu_m = sum_r <r|T_m(H)|r> with T_m(H) from all eigenvalues, for a colouring and for the exact trace."""
    model, ensemble = CASES["flux and Rashba"]
    spins = random_spins(model.lattice, key=key)
    kpm = KernelPolynomial(model, **ensemble, **WARM, probes=Coloring(4), order=60)
    levels, states = jnp.linalg.eigh(model.dense(spins))
    vectors = join(kpm.probes.vectors(model.lattice, key=None, dtype=spins.dtype)).reshape(levels.size, -1)
    share = jnp.sum(jnp.abs(states.conj().T @ vectors) ** 2, axis=1)
    traced, _, traced_moments, traced_levels = free
    for solver, e, weights, found in (
        (kpm, levels, share, compiled(lambda s: kpm.moments(s))(spins)),
        (traced, traced_levels, np.ones(traced_levels.size), traced_moments),
    ):
        low, high = map(float, solver.window)
        angle = np.arccos((np.asarray(e) - (low + high) / 2) / (1.01 * (high - low) / 2))
        expected = np.cos(np.arange(solver.order)[:, None] * angle) @ np.asarray(weights)
        np.testing.assert_allclose(found, expected, atol=ROUNDING)


# --- what users rely on


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"temperature": 1e-5}, "use a temperature of .* or more, pass order=... .* or use ExactDiagonalization"),
        ({"temperature": 0.0}, "use ExactDiagonalization for T = 0"),
        ({"temperature": 0.0, "order": 100}, "use ExactDiagonalization for T = 0"),
        ({"temperature": -0.1}, "must not be negative"),
        ({"temperature": 0.1, "order": 101}, "even number of moments, at least 2, got 101; use 102"),
        ({"temperature": 0.1, "order": 0}, "even number of moments, at least 2, got 0; use 2"),
        ({"temperature": 0.1, "window": (3.0, -3.0)}, "give .lowest, highest. energy"),
        ({"temperature": 0.1, "chemical_potential": 0.0}, "filling or chemical_potential fixes the electrons"),
        ({"temperature": 0.1, "filling": 1.5}, r"for half filling give filling=0\.5"),
    ],
)
def test_refusals_say_what_to_do(settings, text):
    model, _ = CASES["kagome with a vacancy"]
    with pytest.raises(ValueError, match=text):
        KernelPolynomial(model, **{"filling": 0.25} | settings)


def test_other_refusals():
    model, _ = CASES["kagome with a vacancy"]
    with pytest.raises(ValueError, match=r"build the solver outside jit, or pass order=\.\.\."):
        jax.jit(lambda t: KernelPolynomial(model, filling=0.25, temperature=t).order)(0.1)
    with pytest.raises(ValueError, match="use 8"):
        chebyshev.moments(Matrix(jnp.eye(2)), jnp.eye(2), 7)
    with pytest.raises(ValueError, match="16 to 64 are usual"):
        Coloring(0)
    kpm = KernelPolynomial(model, filling=0.25, temperature=0.3)
    with pytest.raises(ValueError, match=r"lattice\.resize"):
        kpm.energy(jnp.zeros((3, 3, 1, 3)))


def test_accepted_truncation():
    """A given order is used as it is, at any temperature above zero."""
    model, _ = CASES["kagome with a vacancy"]
    assert KernelPolynomial(model, filling=0.25, temperature=1e-5, order=64).order == 64


def test_memory_does_not_grow_with_the_order(key):
    model = SDModel(lattices.chain(1000), 1.0, 1.0)
    spins = random_spins(model.lattice, key=key)

    def memory(order):
        kpm = KernelPolynomial(model, chemical_potential=-1.0, temperature=0.1, order=order)
        return compiled(lambda s: kpm.field(s)).lower(spins).compile().memory_analysis().temp_size_in_bytes

    assert memory(1000) < 1.2 * memory(100)


def test_single_precision_stays_single(key):
    model = SDModel(lattices.chain(8), 1.0, 2.0)
    settings = {"chemical_potential": -1.0, **WARM}
    kpm = KernelPolynomial(model, **settings, probes=ExactTrace(), tolerance=1e-4)
    spins = random_spins(model.lattice, key=key, dtype=jnp.float32)
    energy, field = compiled(lambda s: kpm.energy_and_field(s))(spins)
    assert energy.dtype == field.dtype == jnp.float32
    expected, expected_field = ExactDiagonalization(model, **settings).energy_and_field(spins.astype(jnp.float64))
    # the series, 1e-4 an orbital at most, and single-precision rounding
    assert energy == pytest.approx(float(expected), abs=1e-3)
    np.testing.assert_allclose(field, expected_field, atol=1e-3)


def test_lowers_everywhere(key):
    kpm = KernelPolynomial(SDModel(lattices.triangular(4), 1.0, 3.0), filling=0.25, temperature=0.1)
    spins = random_spins(kpm.lattice, key=key, dtype=jnp.float32)
    entry = jax.jit(lambda s, k: kpm.energy_and_field(s, key=k))
    jax.export.export(entry, platforms=["cpu", "cuda", "tpu"])(spins, key)


def test_a_spectrum_outside_the_window_is_not_answered(key):
    lattice = lattices.square(4)
    spins = random_spins(lattice, key=key)
    kpm = KernelPolynomial(SDModel(lattice), chemical_potential=-1.0, temperature=0.1, window=(-2, 2))
    energy, field = kpm.energy_and_field(spins)
    assert np.isnan(energy)
    assert not np.any(np.isfinite(field))


def test_empty_and_full_bands_push_nothing(key):
    lattice = lattices.square(4)
    spins = random_spins(lattice, key=key)
    for filling in (0.0, 1.0):
        settings = {"filling": filling, "temperature": 0.1, "probes": ExactTrace(), "tolerance": SERIES}
        energy, field = KernelPolynomial(SDModel(lattice), **settings).energy_and_field(spins)
        np.testing.assert_allclose(field, 0, atol=1e-9)
        assert energy == pytest.approx(0, abs=1e-9)  # tr H = 0


def test_no_hamiltonian_and_a_single_site(key):
    lattice = lattices.chain(4)
    settings = {"filling": 0.25, "temperature": 0.1, "probes": ExactTrace(), "tolerance": SERIES}
    nothing = KernelPolynomial(SDModel(lattice, 0.0, 0.0), **settings)
    spins = random_spins(lattice, key=key)
    mixing = 8 * (0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    energy, field = nothing.energy_and_field(spins)
    assert energy == pytest.approx(0.1 * mixing, abs=1e-6)
    np.testing.assert_allclose(field, 0, atol=1e-9)
    one = lattices.chain(1, periodic=False)
    alone = KernelPolynomial(
        SDModel(one, 1.0, 0.7), chemical_potential=0.0, temperature=0.1, probes=ExactTrace(), tolerance=SERIES
    )
    spin = random_spins(one, key=key)
    np.testing.assert_allclose(alone.field(spin), 0.7 * np.tanh(0.7 / 0.2) * spin, atol=1e-8)


@pytest.mark.parametrize("solver", [KernelPolynomial, ExactDiagonalization])
def test_spins_that_are_no_numbers_are_refused(solver, key):
    lattice = lattices.square(4)
    field = solver(SDModel(lattice), filling=0.3, temperature=0.1)
    spins = random_spins(lattice, key=key).at[1, 2, 0, 0].set(jnp.nan)
    for call in (field.energy, field.field, field.fermi_level):
        with pytest.raises(ValueError, match="spins hold nan or inf"):
            call(spins)
