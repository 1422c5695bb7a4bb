"""Laws of the sphere: norms, rotations, projections, and the uniformity of random spins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.lattice import square
from jaxspin.spins import (
    check_spins,
    dilute,
    normalize,
    random_rotation,
    random_spins,
    retract,
    rotate,
    rotation_factors,
    rotation_matrix,
    tangent,
    torque,
)
from tests.helpers import by_precision

# A handful of operations on numbers of order one, in double precision.
pytestmark = pytest.mark.users
ROUNDING = by_precision(1e-13, 1e-5)


@pytest.fixture
def spins(key):
    return random_spins(square(5, 4), key=key)


@pytest.fixture
def vectors():
    return jax.random.normal(jax.random.key(7), (5, 4, 1, 3))


def test_normalize(vectors):
    unit = normalize(vectors)
    assert np.allclose(jnp.linalg.norm(unit, axis=-1), 1, atol=ROUNDING)
    assert np.allclose(jnp.cross(unit, vectors), 0, atol=ROUNDING)
    assert np.allclose(normalize(3.7 * vectors), unit, atol=ROUNDING)
    assert np.allclose(normalize(unit), unit, atol=ROUNDING)


def test_vacancies_stay_and_have_finite_derivatives(vectors):
    occupied = jax.random.bernoulli(jax.random.key(3), 0.5, (5, 4, 1))
    holes = dilute(vectors, occupied)
    assert np.array_equal(jnp.any(holes != 0, axis=-1), occupied)
    assert np.array_equal(jnp.any(normalize(holes) != 0, axis=-1), occupied)
    slope = jax.grad(lambda s: jnp.sum(normalize(s) * vectors))(holes)
    assert np.all(np.isfinite(slope))
    assert np.all(np.where(occupied[..., None], 0, slope) == 0)
    zero = jnp.zeros_like(vectors)
    assert np.array_equal(retract(zero, vectors), zero)


def test_tangent_is_the_perpendicular_projection(spins, vectors):
    flat = tangent(spins, vectors)
    assert np.allclose(jnp.sum(flat * spins, axis=-1), 0, atol=ROUNDING)
    assert np.allclose(tangent(spins, flat), flat, atol=ROUNDING)
    assert np.allclose(torque(spins, flat), torque(spins, vectors), atol=ROUNDING)
    assert np.allclose(-torque(spins, torque(spins, vectors)), flat, atol=ROUNDING)


def test_torque_turns_clockwise_about_the_field():
    x, z = jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.0, 2.0])
    assert np.array_equal(torque(x, z), [0.0, -2.0, 0.0])


def test_rotation_matrix_is_right_handed_and_proper():
    quarter = rotation_matrix(jnp.array([0.0, 0.0, 5.0]), jnp.pi / 2)
    assert np.allclose(quarter @ jnp.array([1.0, 0.0, 0.0]), [0, 1, 0], atol=ROUNDING)
    axis, angle = jnp.array([1.0, -2.0, 0.5]), 0.83
    rotation = rotation_matrix(axis, angle)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=ROUNDING)
    assert np.isclose(jnp.linalg.det(rotation), 1, atol=ROUNDING)
    assert np.allclose(rotation @ axis, axis, atol=ROUNDING)
    assert np.isclose(jnp.trace(rotation), 1 + 2 * np.cos(angle), atol=ROUNDING)
    assert np.allclose(rotation @ rotation, rotation_matrix(axis, 2 * angle), atol=ROUNDING)


def test_rotate_keeps_products_and_chirality(spins, vectors, key):
    rotation = random_rotation(key=key)
    a, b = rotate(spins, rotation), rotate(vectors, rotation)
    assert np.allclose(jnp.sum(a * b, axis=-1), jnp.sum(spins * vectors, axis=-1), atol=10 * ROUNDING)
    assert np.allclose(jnp.cross(a, b), rotate(jnp.cross(spins, vectors), rotation), atol=10 * ROUNDING)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.999e-3, 1.001e-3, 0.4, 3.0, 7.0])
def test_retract_is_the_rotation(spins, angle):
    axis = normalize(jnp.array([0.3, -1.0, 2.0]))
    moved = retract(spins, jnp.broadcast_to(angle * axis, spins.shape))
    assert np.allclose(moved, rotate(spins, rotation_matrix(axis, angle)), atol=ROUNDING)
    assert np.allclose(jnp.linalg.norm(moved, axis=-1), 1, atol=ROUNDING)


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.double)])
def test_factors_of_a_rotation_are_right_to_rounding(dtype):
    """sin(x)/x and (1 - cos x)/x^2, and lengths kept, from no turn at all to more than six turns."""
    square = jnp.concatenate([10.0 ** jnp.linspace(-20, 0, 101), jnp.linspace(0, 40, 5001) ** 2]).astype(dtype)
    x = np.sqrt(np.asarray(square, np.longdouble))
    half = np.where(x > 0, np.sin(x / 2) / np.where(x > 0, x / 2, 1), 1)
    sinc, versine = (np.asarray(factor, np.longdouble) for factor in jax.jit(rotation_factors)(square))
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(sinc, half * np.cos(x / 2), rtol=0, atol=2 * eps)
    np.testing.assert_allclose(versine, half**2 / 2, rtol=0, atol=2 * eps)
    length = (1 - versine * x**2) ** 2 + sinc**2 * x**2
    np.testing.assert_allclose(length, 1, rtol=0, atol=5 * eps * (1 + np.max(x)))


def test_factors_of_a_rotation_differentiate():
    first = jax.grad(lambda q: rotation_factors(q)[0])
    assert np.isclose(first(0.0), -1 / 6, rtol=ROUNDING)
    assert np.isclose(jax.grad(first)(0.0), 1 / 60, rtol=ROUNDING)
    for x in (1.0, 3.0, 7.0):
        slope = (np.cos(x) / x - np.sin(x) / x**2) / (2 * x)
        assert np.isclose(first(x**2), slope, rtol=0, atol=ROUNDING)


def test_retract_returns_and_differentiates(spins, vectors):
    assert np.allclose(retract(retract(spins, vectors), -vectors), spins, atol=ROUNDING)
    # to first order S + w x S, also where the rotation is exactly zero
    _, moved = jax.jvp(lambda w: retract(spins, w), (jnp.zeros_like(vectors),), (vectors,))
    assert np.allclose(moved, jnp.cross(vectors, spins), atol=ROUNDING)
    assert np.all(np.isfinite(jax.grad(lambda w: jnp.sum(retract(spins, w) ** 3))(jnp.zeros_like(vectors))))


def test_random_spins_are_uniform(key):
    n = 100 * 100
    s = random_spins(square(100, 100), key=key).reshape(n, 3)
    five_sigma = 5 / np.sqrt(3 * n)  # a component has variance 1/3
    assert np.all(np.abs(jnp.mean(s, axis=0)) < five_sigma)
    second = s.T @ s / n
    assert np.allclose(second, np.eye(3) / 3, atol=5 * np.sqrt(4 / 45 / n))  # var(z^2) = 4/45, above var(xy)
    # Archimedes: each component is uniform on [-1, 1]; Kolmogorov-Smirnov, 1.95/sqrt(n) at 0.1 per cent
    for component in np.sort(s, axis=0).T:
        assert np.max(np.abs((component + 1) / 2 - (np.arange(n) + 0.5) / n)) < 1.95 / np.sqrt(n)
    assert np.array_equal(s, random_spins(square(100, 100), key=key).reshape(n, 3))


def test_random_rotations_are_uniform(key):
    n = 4000
    rotations = jax.vmap(lambda k: random_rotation(key=k))(jax.random.split(key, n))
    assert np.allclose(rotations @ jnp.swapaxes(rotations, 1, 2), np.eye(3), atol=10 * ROUNDING)
    assert np.allclose(jnp.linalg.det(rotations), 1, atol=10 * ROUNDING)
    assert np.all(np.abs(jnp.mean(rotations, axis=0)) < 5 / np.sqrt(3 * n))
    traces = jnp.trace(rotations, axis1=1, axis2=2)
    assert abs(jnp.mean(traces)) < 5 / np.sqrt(n)  # Haar: <tr> = 0, <tr^2> = 1
    assert abs(jnp.mean(traces**2) - 1) < 5 * np.sqrt(2 / n)  # <tr^4> = 3


def test_dtype_in_is_dtype_out(key):
    s = random_spins(square(2, 2), key=key, dtype=jnp.float32)
    w = 0.1 * s
    rotation = random_rotation(key=key, dtype=jnp.float32)
    for result in (s, normalize(s), tangent(s, w), torque(s, w), retract(s, w), rotate(s, rotation)):
        assert result.dtype == jnp.float32
    assert rotation_matrix(s[0, 0, 0], 0.3).dtype == jnp.float32


def test_check_spins_names_the_remedy(spins):
    check_spins(square(5, 4), spins)
    with pytest.raises(ValueError, match=r"needs \(4, 4, 1, 3\); reshape them, or use lattice\.resize"):
        check_spins(square(4, 4), spins)
    with pytest.raises(ValueError, match=r"convert them with spins\.astype\(float\)"):
        check_spins(square(5, 4), jnp.ones((5, 4, 1, 3), int))
