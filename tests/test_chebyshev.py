"""Chebyshev moments, their quadrature, and Fermi statistics of levels and weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.arrays.columns import repeat_columns, sum_columns
from jaxspin.electrons import chebyshev, fermi
from tests.helpers import compiled
from tests.kpm_models import Matrix

ROUNDING = 1e-11  # recursions of a few hundred steps on vectors of norm one


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


def test_moments_have_the_derivatives_of_differences(key):
    real, imaginary, weights = jax.random.normal(key, (3, 6, 6)) / 20
    start = jax.lax.complex(*jax.random.normal(key, (2, 6, 2)))

    def function(x, y):
        return jnp.sum(chebyshev.moments(Matrix(jax.lax.complex(x, y)), start, 36) * weights.reshape(-1))

    assert_derivatives(function, (real, imaginary), atol=1e-7)


def test_two_moments_are_the_least(key):
    matrix = Matrix(jax.lax.complex(*jax.random.normal(key, (2, 4, 4))) / 10)
    start = jnp.eye(4, dtype=jnp.complex128)
    found, back = jax.vjp(jax.jit(lambda m: chebyshev.moments(m, start, 2)), matrix)
    np.testing.assert_allclose(found, [4, jnp.real(jnp.trace(matrix(start)))], atol=1e-14)
    np.testing.assert_allclose(back(jnp.ones(2))[0].lower, 2 * np.eye(4), atol=1e-14)  # of Tr(A + A^+)


@pytest.mark.parametrize("columns", [5, 24])
def test_sums_and_their_transpose(columns, key):
    """Several arrays at once, batched, and derivatives of both of every order."""
    arrays = tuple(jax.random.normal(key, (2, 4, 3, columns)))
    expected = [jnp.sum(x, axis=-1, keepdims=True) for x in arrays]
    for found in (sum_columns(arrays), jax.vmap(sum_columns)(arrays)):
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_allclose(x, y, atol=ROUNDING)

    def quartic(x):
        there, back = repeat_columns(tuple(expected), columns), sum_columns((x**2, x))
        return jnp.sum((there[0] * x) ** 2) + jnp.sum(repeat_columns(back, columns)[0] * x**2)

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
