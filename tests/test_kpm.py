"""Kernel polynomials: moments, Fermi statistics, colourings, and the solver against exact diagonalization."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import (
    Coloring,
    ExactDiagonalization,
    ExactTrace,
    KernelPolynomial,
    SDModel,
    chebyshev,
    fermi,
    kinetic,
    magnetic_flux,
    rashba,
)
from jaxspin.electrons.model import join
from jaxspin.spins import random_spins, retract, tangent
from jaxspin.textures import ferromagnet, neel

SERIES = 1e-13  # the series is cut where its terms are this small
EXACT = 1e-8  # a hundred levels, the last terms of the series, and mu to the last bits
ROUNDING = 1e-11  # recursions of a few hundred steps on vectors of norm one
DIFFERENCE = 1e-6  # central differences with step 1e-4 of energies of order 100

# each program runs a few times on a tiny lattice: most of the time would go into optimizing it
FAST = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
compiled = functools.partial(jax.jit, compiler_options=FAST)


def _diluted():
    lattice = lattices.kagome(2)
    occupied = np.ones(lattice.shape, bool)
    occupied[1, 0, 2] = False
    return SDModel(lattice, 1.0, 2.0, occupied=occupied)


def _with_flux():
    lattice = lattices.square(4)
    return SDModel(lattice, (*magnetic_flux(lattice, 3, 1.0), *rashba(lattice, 0.4)), 1.5)


def _disordered():
    lattice = lattices.chain(9, periodic=False)
    coupling, potential = np.random.default_rng(3).uniform(size=(2, *lattice.shape))
    return SDModel(lattice, kinetic(lattice, 1.0, 0.2 + 0.3j), 1 + coupling, potential=potential)


CASES = {
    "kagome with a vacancy": (_diluted(), {"filling": 0.6}),
    "flux and Rashba": (_with_flux(), {"chemical_potential": -0.7}),
    "disorder, open ends": (_disordered(), {"filling": 0.35}),
}
WARM = {"temperature": 0.3}


def assert_derivatives(function, arguments, atol):
    """First and second derivatives of a scalar, by reverse mode, against central differences along two directions."""
    rng = np.random.default_rng(5)
    first, second = ([jnp.asarray(rng.normal(size=x.shape)) for x in arguments] for _ in range(2))

    def inner(a, b):
        return sum((jnp.sum(x * y) for x, y in zip(a, b, strict=True)), jnp.zeros(()))

    def along(*arguments):
        value, slopes = jax.value_and_grad(function, range(len(arguments)))(*arguments)
        return inner(slopes, second), (value, inner(slopes, first))

    solve = compiled(jax.value_and_grad(along, range(len(arguments)), has_aux=True))

    def moved(step):
        (slope, (value, _)), _ = solve(*(x + step * v for x, v in zip(arguments, first, strict=True)))
        return np.array([value, slope])

    (_, (_, slope)), slopes = solve(*arguments)
    step = 1e-5
    found = [slope, inner(slopes, first)]
    np.testing.assert_allclose(found, (moved(step) - moved(-step)) / (2 * step), atol=atol, rtol=1e-6)


# --- the solver against exact diagonalization


@pytest.mark.parametrize("name", CASES)
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


# --- probing


def test_field_is_the_gradient_of_the_probing_estimate(key):
    """At fixed phases, whatever the estimate's error, and however few the moments."""
    model, ensemble = CASES["disorder, open ends"]
    kpm = KernelPolynomial(model, **ensemble, temperature=0.2, probes=Coloring(4), order=40)
    solve = compiled(lambda s: kpm.energy_and_field(s, key=key))
    spins = random_spins(model.lattice, key=key)
    step, field = 1e-4, solve(spins)[1]
    for turn in jnp.asarray(np.random.default_rng(0).normal(size=(3, *spins.shape))):
        work = -jnp.sum(field * jnp.cross(turn, spins))
        change = solve(retract(spins, step * turn))[0] - solve(retract(spins, -step * turn))[0]
        assert work == pytest.approx(float(change / (2 * step)), abs=DIFFERENCE)


@pytest.fixture(scope="module")
def probing():
    """A crude estimate at fixed chemical potential, and its field as a function of spins and key."""
    model = SDModel(lattices.chain(8), 1.0, 1.0)
    kpm = KernelPolynomial(model, chemical_potential=-0.5, temperature=0.3, probes=Coloring(2), tolerance=1e-6)
    return kpm, random_spins(model.lattice, key=jax.random.key(2)), compiled(lambda s, k: kpm.field(s, key=k))


def test_keys_choose_the_phases(probing, key):
    kpm, spins, field = probing
    first, second = jax.random.split(key)
    np.testing.assert_array_equal(field(spins, first), field(spins, first))
    assert jnp.max(jnp.abs(field(spins, first) - field(spins, second))) > 1e-3
    solve = compiled(lambda s: (kpm.energy(s), *kpm.energy_and_field(s)))
    energy, energy_too, always = solve(spins)
    np.testing.assert_array_equal(solve(spins)[2], always)
    assert energy == pytest.approx(float(energy_too), rel=1e-12)
    assert jnp.max(jnp.abs(field(spins, first) - always)) > 1e-3


def test_fresh_keys_are_unbiased(probing, key):
    """At fixed chemical potential the estimate is linear in the moments, so its mean is the exact field.

    Batched over keys, which must not change anything either.
    """
    kpm, spins, field = probing
    exact = ExactDiagonalization(kpm.model, chemical_potential=-0.5, temperature=0.3)
    number = 400
    keys = jax.random.split(key, number)
    fields = compiled(jax.vmap(lambda k: kpm.field(spins, key=k)))(keys)
    np.testing.assert_allclose(fields[3], field(spins, keys[3]), atol=ROUNDING)
    fields = tangent(jnp.broadcast_to(spins, fields.shape), fields)
    spread = jnp.std(fields, axis=0)
    assert jnp.sqrt(jnp.mean(spread**2)) > 0.01  # the phases matter
    deviation = (jnp.mean(fields, axis=0) - tangent(spins, exact.field(spins))) / (spread / number**0.5)
    # 24 components of unit variance, not all independent: their rms lies within 0.5 of 1 but for one seed in hundreds
    assert 0.5 < jnp.sqrt(jnp.mean(deviation**2)) < 1.5


def test_more_colours_less_error(key):
    """At least as number^(-(d+2)/2d) = 1/number in two dimensions, the law of the hardest case."""
    model = SDModel(lattices.square(12), 1.0, 1.0)
    settings = {"chemical_potential": -0.5, **WARM}
    spins = random_spins(model.lattice, key=key)
    expected = tangent(spins, ExactDiagonalization(model, **settings).field(spins))
    errors = []
    for number in (4, 16):
        kpm = KernelPolynomial(model, **settings, probes=Coloring(number))
        assert kpm.probes.colors(model.lattice).max() + 1 == number
        field = compiled(lambda s, kpm=kpm: kpm.field(s))(spins)
        errors.append(jnp.sqrt(jnp.mean((tangent(spins, field) - expected) ** 2)))
    assert errors[1] < errors[0] / 4


# --- derivatives of the field


def test_derivatives_of_the_field_at_degenerate_states():
    """Of sum w . B by spins, coupling, hopping, temperature and filling: reverse mode twice.

    Against the exact solver at the ferromagnet and the Neel state, and against central differences.
    """
    lattice = lattices.square(4)
    w, v = np.random.default_rng(0).normal(size=(2, *lattice.shape, 3))
    window = SDModel(lattice, 1.0, 3.0).spectral_bounds()
    order = chebyshev.order_for(0.3, float(window[1] - window[0]) / 2, SERIES)
    parameters = jnp.array([3.0, 1.0, 0.3, 0.25])

    def kpm(x, spins):
        model = SDModel(lattice, x[1], x[0])
        settings = {"filling": x[3], "temperature": x[2], "window": window, "order": order}
        return jnp.sum(w * KernelPolynomial(model, **settings, probes=ExactTrace()).field(spins))

    def exact(x, spins):
        solver = ExactDiagonalization(SDModel(lattice, x[1], x[0]), filling=x[3], temperature=x[2])
        return jnp.sum(w * solver.field(spins))

    slope, expected = (compiled(jax.value_and_grad(f, (0, 1))) for f in (kpm, exact))
    for texture in (ferromagnet, neel):
        spins = texture(lattice)
        value, (by_parameters, by_spins) = slope(parameters, spins)
        expected_value, (expected_by_parameters, expected_by_spins) = expected(parameters, spins)
        assert value == pytest.approx(float(expected_value), abs=10 * EXACT)
        np.testing.assert_allclose(by_parameters, expected_by_parameters, atol=100 * EXACT)
        np.testing.assert_allclose(by_spins, expected_by_spins, atol=10 * EXACT)

    step = 1e-4
    directions = [(row, jnp.zeros_like(spins)) for row in jnp.eye(4)] + [(jnp.zeros(4), jnp.asarray(v))]
    for x, s in directions:
        change = slope(parameters + step * x, spins + step * s)[0] - slope(parameters - step * x, spins - step * s)[0]
        found = jnp.sum(by_parameters * x) + jnp.sum(by_spins * s)
        # third derivatives are of order 1/T^2 and more
        assert found == pytest.approx(float(change / (2 * step)), abs=1e-4, rel=1e-5)


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


class _Matrix(eqx.Module):
    """A hermitian matrix, as the simplest operator."""

    lower: jax.Array

    def __call__(self, vectors):
        return (self.lower + self.lower.conj().T) @ vectors


def test_moments_have_the_derivatives_of_differences(key):
    real, imaginary, weights = jax.random.normal(key, (3, 6, 6)) / 20
    start = jax.lax.complex(*jax.random.normal(key, (2, 6, 2)))

    def function(x, y):
        return jnp.sum(chebyshev.moments(_Matrix(jax.lax.complex(x, y)), start, 36) * weights.reshape(-1))

    assert_derivatives(function, (real, imaginary), atol=1e-7)


def test_two_moments_are_the_least(key):
    matrix = _Matrix(jax.lax.complex(*jax.random.normal(key, (2, 4, 4))) / 10)
    start = jnp.eye(4, dtype=jnp.complex128)
    found, back = jax.vjp(jax.jit(lambda m: chebyshev.moments(m, start, 2)), matrix)
    np.testing.assert_allclose(found, [4, jnp.real(jnp.trace(matrix(start)))], atol=1e-14)
    np.testing.assert_allclose(back(jnp.ones(2))[0].lower, 2 * np.eye(4), atol=1e-14)  # of Tr(A + A^+)


@pytest.mark.parametrize("columns", [5, 24])
def test_sums_and_their_transpose(columns, key):
    """Several arrays at once, batched, and derivatives of both of every order."""
    arrays = tuple(jax.random.normal(key, (2, 4, 3, columns)))
    expected = [jnp.sum(x, axis=-1, keepdims=True) for x in arrays]
    for found in (chebyshev.sums(arrays), jax.vmap(chebyshev.sums)(arrays)):
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_allclose(x, y, atol=ROUNDING)

    def quartic(x):
        there, back = chebyshev.spread(tuple(expected), columns), chebyshev.sums((x**2, x))
        return jnp.sum((there[0] * x) ** 2) + jnp.sum(chebyshev.spread(back, columns)[0] * x**2)

    def plain(x):
        return jnp.sum((expected[0] * x) ** 2) + jnp.sum(jnp.sum(x**2, axis=-1, keepdims=True) * x**2)

    for _ in range(3):
        np.testing.assert_allclose(*compiled(lambda x, f=quartic, g=plain: (f(x), g(x)))(arrays[0]), rtol=1e-12)
        quartic, plain = (lambda x, f=f: jnp.sum(jnp.sin(x) * jax.grad(f)(x)) for f in (quartic, plain))


def test_quadrature_gives_the_moments_back(key):
    """sum_k w_k T_m(x_k) = mu_m below the order and 0 above: so sum_k w_k g(e_k) = sum_m c_m mu_m."""
    order = 12
    mu = jax.random.normal(key, (order,))
    levels, weights = chebyshev.quadrature(mu, -1.5, 4.0)
    assert levels.shape == weights.shape == (2 * order,)
    x = (np.asarray(levels) + 1.5) / 4
    powers = np.polynomial.chebyshev.chebvander(x, 2 * order - 1).T
    np.testing.assert_allclose(powers @ weights, np.pad(mu, (0, order)), atol=1e-13)
    g = np.polynomial.chebyshev.chebinterpolate(lambda x: np.exp(4 * x - 1.5), 2 * order - 1)
    assert np.exp(levels) @ weights == pytest.approx(float(g[:order] @ mu), abs=1e-9)


# --- Fermi statistics


@pytest.fixture
def gas():
    """Levels with weights, some of them zero; number and temperature."""
    rng = np.random.default_rng(1)
    weights = rng.uniform(size=20) * (rng.uniform(size=20) > 0.2)
    return jnp.asarray(rng.normal(size=20)), jnp.asarray(weights), jnp.asarray(0.3 * weights.sum()), jnp.asarray(0.15)


@pytest.mark.parametrize("function", [fermi.chemical_potential, fermi.free_energy], ids=lambda x: x.__name__)
def test_derivatives_at_fixed_number(function, gas):
    """By levels, weights, number and temperature."""
    assert_derivatives(function, gas, atol=1e-7)


def test_thermodynamics(gas):
    """dF/de_k = w_k f_k, dF/dN = mu, -dF/dT = S, -dOmega/dmu = N, S = 0 at T = 0 and ln 2 a level at T = infinity."""
    levels, weights, number, t = gas
    mu = fermi.chemical_potential(*gas)
    assert fermi.electrons(levels, weights, mu, t) == pytest.approx(float(number), abs=1e-13)
    by_level, by_weight, by_number, by_temperature = jax.grad(fermi.free_energy, argnums=(0, 1, 2, 3))(*gas)
    np.testing.assert_allclose(by_level, weights * fermi.occupation(levels, mu, t), atol=1e-14)
    np.testing.assert_allclose(by_weight, -t * jnp.log1p(jnp.exp((mu - levels) / t)), atol=1e-13)
    assert by_number == pytest.approx(float(mu), abs=1e-14)
    assert by_temperature == pytest.approx(-float(fermi.entropy(levels, weights, mu, t)), abs=1e-13)
    assert jax.grad(fermi.grand_potential, 2)(levels, weights, mu, t) == pytest.approx(-float(number), abs=1e-13)
    assert fermi.entropy(levels, weights, mu, jnp.asarray(1e-5)) == pytest.approx(0, abs=1e-12)
    hot = fermi.entropy(levels, weights, mu, jnp.asarray(1e7))
    assert hot == pytest.approx(float(jnp.log(2.0) * jnp.sum(weights)), abs=1e-6)


@pytest.mark.parametrize("filling", [0.0, 1e-12, 1e-3, 0.999, 1 - 1e-12, 1.0])
@pytest.mark.parametrize("temperature", [1e-4, 0.2, 50.0])
def test_nearly_empty_and_full(filling, temperature, gas):
    """mu and all derivatives stay finite, F tends to 0 and to the sum of all levels."""
    levels, weights, _, _ = gas
    arguments = (levels, weights, filling * jnp.sum(weights), jnp.asarray(temperature))
    mu, energy, slopes, number = fill(*arguments)
    assert number == pytest.approx(float(arguments[2]), abs=2e-13)
    assert all(jnp.all(jnp.isfinite(x)) for x in (mu, *slopes))
    if min(filling, 1 - filling) < 1e-10:
        expected = jnp.sum(weights * levels) if filling > 0.5 else 0.0
        assert energy == pytest.approx(float(expected), abs=1e-9 * (1 + temperature))


@compiled
def fill(levels, weights, number, temperature):
    mu = fermi.chemical_potential(levels, weights, number, temperature)
    energy, slopes = jax.value_and_grad(fermi.free_energy, (0, 1, 2, 3))(levels, weights, number, temperature)
    return mu, energy, slopes, fermi.electrons(levels, weights, mu, temperature)


# --- colourings

# Even, odd and prime sizes, all lattices, open and periodic edges.
COLORED = [
    lattices.chain(7),
    lattices.chain(16),
    lattices.chain(13, periodic=False),
    lattices.square(7),
    lattices.square(6, 9),
    lattices.square(7, 11, periodic=(True, False)),
    lattices.triangular(12),
    lattices.triangular(13, 7),
    lattices.triangular(9, periodic=False),
    lattices.honeycomb(5),
    lattices.kagome(7),
    lattices.cubic(4),
    lattices.cubic(5),
]


def shortest_distance(lattice, colors):
    """Between any two sites of one colour, periodic images included, a site's own images left out."""
    positions = lattice.positions().reshape(-1, lattice.dimension)
    periods = np.diag(lattice.cells) @ np.array(lattice.vectors)
    same = (colors.ravel()[:, None] == colors.ravel()) & ~np.eye(len(positions), dtype=bool)
    apart = positions[:, None] - positions
    wraps = itertools.product(*((-1, 0, 1) if p else (0,) for p in lattice.periodic))
    lengths = [np.linalg.norm(apart + np.array(wrap) @ periods, axis=-1) for wrap in wraps]
    return np.min(np.where(same, lengths, np.inf))


@pytest.mark.parametrize("lattice", COLORED, ids=lambda x: f"{x.name} {x.cells}")
@pytest.mark.parametrize("number", [1, 9, 16, 30])
def test_equal_colours_are_far_apart(lattice, number):
    """Every colour is used, at most `number` of them, and equal ones keep most of the distance of an ideal packing."""
    colors = Coloring(number).colors(lattice)
    assert colors.shape == lattice.shape
    used = np.unique(colors)
    np.testing.assert_array_equal(used, np.arange(len(used)))
    assert len(used) <= max(number, lattice.sublattices)
    volume = abs(np.linalg.det(np.array(lattice.vectors)))
    ideal = (max(1, number // lattice.sublattices) * volume) ** (1 / lattice.dimension)
    # the worst are odd tori, which no good superlattice divides
    assert shortest_distance(lattice, colors) >= 0.6 * ideal


@pytest.mark.parametrize(("number", "distance"), [(4, 2.0), (9, 3.0), (16, 4.0), (36, 6.0)])
def test_fitting_lattices_get_the_densest_packing(number, distance):
    lattice = lattices.triangular(12)
    assert shortest_distance(lattice, Coloring(number).colors(lattice)) == pytest.approx(distance)


def test_enough_colours_are_the_exact_trace():
    lattice = lattices.kagome(2)
    for number in (12, 50):
        np.testing.assert_array_equal(np.sort(Coloring(number).colors(lattice).ravel()), np.arange(12))


@pytest.mark.parametrize("probes", [ExactTrace(), Coloring(4)], ids=["exact", "coloring"])
def test_probing_vectors_resolve_the_identity(probes, key):
    """|r_i| = 1 on the sites of one colour and spin, zero elsewhere: each orbital in one column."""
    lattice = lattices.kagome(3)
    vectors = join(probes.vectors(lattice, key=key, dtype=jnp.float64)).reshape(2 * lattice.sites, -1)
    np.testing.assert_allclose(jnp.sum(jnp.abs(vectors) ** 2, axis=1), 1, atol=1e-14)
    assert jnp.all(jnp.sum(vectors != 0, axis=1) == 1)
    colors = np.repeat(probes.colors(lattice).ravel(), 2)
    product = vectors @ vectors.conj().T
    spin = np.tile([0, 1], lattice.sites)
    expected = (colors[:, None] == colors) & (spin[:, None] == spin)
    np.testing.assert_array_equal(jnp.abs(product) > 0.5, expected)


# --- what users rely on


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"temperature": 1e-5}, "use a temperature above .* pass order=... .* or use ExactDiagonalization"),
        ({"temperature": 0.0}, "use ExactDiagonalization for T = 0"),
        ({"temperature": 0.0, "order": 100}, "use ExactDiagonalization for T = 0"),
        ({"temperature": -0.1}, "must not be negative"),
        ({"temperature": 0.1, "order": 101}, "even number of moments, at least 2, got 101; use 102"),
        ({"temperature": 0.1, "order": 0}, "even number of moments, at least 2, got 0; use 2"),
        ({"temperature": 0.1, "window": (3.0, -3.0)}, "give .lowest, highest. energy"),
        ({"temperature": 0.1, "chemical_potential": 0.0}, "exactly one of filling"),
        ({"temperature": 0.1, "filling": 1.5}, "half filling is 0.5"),
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
        chebyshev.moments(_Matrix(jnp.eye(2)), jnp.eye(2), 7)
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
        kpm = KernelPolynomial(model, filling=0.3, temperature=0.1, order=order)
        return compiled(lambda s: kpm.field(s)).lower(spins).compile().memory_analysis().temp_size_in_bytes

    assert memory(1000) < 1.2 * memory(100)


def test_single_precision_stays_single(key):
    model = SDModel(lattices.chain(8), 1.0, 2.0)
    settings = {"filling": 0.3, **WARM}
    kpm = KernelPolynomial(model, **settings, probes=ExactTrace(), tolerance=1e-4)
    spins = random_spins(model.lattice, key=key, dtype=jnp.float32)
    energy, field = compiled(lambda s: kpm.energy_and_field(s))(spins)
    assert energy.dtype == field.dtype == jnp.float32
    expected, expected_field = ExactDiagonalization(model, **settings).energy_and_field(spins.astype(jnp.float64))
    # the series, 1e-4 an orbital at most, and single-precision rounding
    assert energy == pytest.approx(float(expected), abs=1e-3)
    np.testing.assert_allclose(field, expected_field, atol=1e-3)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowers_everywhere(platform, key):
    kpm = KernelPolynomial(SDModel(lattices.triangular(4), 1.0, 3.0), filling=0.25, temperature=0.1)
    spins = random_spins(kpm.lattice, key=key, dtype=jnp.float32)
    entry = jax.jit(lambda s, k: kpm.energy_and_field(s, key=k))
    jax.export.export(entry, platforms=[platform])(spins, key)


def test_a_spectrum_outside_the_window_is_not_answered(key):
    lattice = lattices.square(4)
    spins = random_spins(lattice, key=key)
    kpm = KernelPolynomial(SDModel(lattice), filling=0.3, temperature=0.1, window=(-2, 2))
    assert jnp.isnan(kpm.energy(spins))
    assert not jnp.any(jnp.isfinite(kpm.field(spins)))


@pytest.mark.parametrize("filling", [0.0, 1.0])
def test_empty_and_full_bands_push_nothing(filling, key):
    lattice = lattices.square(4)
    spins = random_spins(lattice, key=key)
    kpm = KernelPolynomial(SDModel(lattice), filling=filling, temperature=0.1, probes=ExactTrace(), tolerance=SERIES)
    np.testing.assert_allclose(kpm.field(spins), 0, atol=1e-9)
    assert kpm.energy(spins) == pytest.approx(0, abs=1e-9)  # tr H = 0


def test_no_hamiltonian_and_a_single_site(key):
    lattice = lattices.chain(4)
    settings = {"filling": 0.25, "temperature": 0.1, "probes": ExactTrace(), "tolerance": SERIES}
    nothing = KernelPolynomial(SDModel(lattice, 0.0, 0.0), **settings)
    spins = random_spins(lattice, key=key)
    mixing = 8 * (0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert nothing.energy(spins) == pytest.approx(0.1 * mixing, abs=1e-6)
    np.testing.assert_allclose(nothing.field(spins), 0, atol=1e-9)
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
