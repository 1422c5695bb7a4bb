"""The generator of thermal noise: published answers of its cipher, its formula, and the laws of its numbers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.dynamics.normal import box_muller, normal_components, threefry2x32

# Sums over independent numbers: five standard deviations, which a fixed key keeps.
SIGMAS = 5


@pytest.mark.parametrize(
    ("key", "counter", "answer"),
    [
        ((0x0, 0x0), (0x0, 0x0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers_of_threefry(key, counter, answer):
    """Salmon et al. (2011), the known-answer vectors of Random123 for threefry2x32 with 20 rounds."""
    words = [[jnp.full((1,), x, jnp.uint32) for x in pair] for pair in (key, counter)]
    drawn = threefry2x32((words[0][0], words[0][1]), (words[1][0], words[1][1]))
    assert tuple(int(x[0]) for x in drawn) == answer


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_those_of_the_formula(dtype):
    ends = np.concatenate([np.arange(64), 2**32 - 1 - np.arange(64), 2**31 + np.arange(-32, 32), 2 ** np.arange(32)])
    words = np.random.default_rng(1).integers(0, 2**32, (2, 100_000), dtype=np.uint32)
    radial = np.concatenate([ends, ends, words[0]]).astype(np.uint32)
    angular = np.concatenate([ends, ends[::-1], words[1]]).astype(np.uint32)
    found = jax.jit(box_muller, static_argnums=2)(radial, angular, dtype)
    assert found.dtype == dtype
    radius = np.sqrt(-2 * np.log1p((radial // 2 + 0.5 - 2**31) / 2**31))
    expected = radius * np.sin(np.pi * angular.astype(np.int32) / 2**32)
    assert radius.max() == pytest.approx(6.66, abs=1e-3)
    # of the result, and of u, whose relative error is that of the radius times its square
    rounding = 2 * np.finfo(dtype).eps * (radius + 1 / radius)
    assert np.all(np.abs(np.asarray(found, float) - expected) < rounding)


@pytest.fixture(scope="module")
def drawn():
    """Numbers of 16 steps, three components and 2^18 sites."""
    keys = jax.vmap(lambda n: jax.random.fold_in(jax.random.key(3), n))(np.arange(16))
    numbers = jax.jit(jax.vmap(lambda key: jnp.stack(normal_components(key, (512, 256, 2), jnp.float32))))(keys)
    return np.asarray(numbers, np.float64)


def test_moments(drawn):
    for power in range(1, 9):
        expected = 0 if power % 2 else math.prod(range(1, power, 2))
        variance = math.prod(range(1, 2 * power, 2)) - expected**2
        assert abs(np.mean(drawn**power) - expected) < SIGMAS * np.sqrt(variance / drawn.size)


def test_histogram_as_far_as_five_deviations(drawn):
    edges = np.linspace(-5, 5, 81)
    found = np.histogram(drawn, np.concatenate([[-np.inf], edges, [np.inf]]))[0]
    below = np.array([0, *(math.erfc(-x / np.sqrt(2)) / 2 for x in edges), 1])
    expected = np.diff(below) * drawn.size
    assert expected.min() > 3
    chi_square = np.sum((found - expected) ** 2 / expected)
    assert abs(chi_square - edges.size) < SIGMAS * np.sqrt(2 * edges.size)


def test_components_sites_and_steps_are_independent(drawn):
    """No correlation between the numbers, nor between their squares."""
    step, component, last = (np.roll(drawn, 1, axis) for axis in (0, 1, 4))
    along = [np.roll(drawn, 1, axis) for axis in (2, 3)]
    for other in (step, component, last, *along):
        for power, variance in ((1, 1), (2, 2)):
            a, b = (x**power - (power == 2) for x in (drawn, other))
            assert abs(np.mean(a * b)) < SIGMAS * variance / np.sqrt(drawn.size)


def test_a_number_belongs_to_its_site_and_the_key(key):
    drawn = jnp.stack(normal_components(key, (4, 3, 2), jnp.float64))
    more = jnp.stack(normal_components(key, (40,), jnp.float64))
    np.testing.assert_array_equal(drawn.reshape(3, 24), more[:, :24])
    single = jnp.stack(normal_components(key, (4, 3, 2), jnp.float32))
    np.testing.assert_allclose(single, drawn.astype(jnp.float32), rtol=0, atol=2e-6)
    other = jnp.stack(normal_components(jax.random.fold_in(key, 1), (4, 3, 2), jnp.float64))
    assert float(jnp.min(jnp.abs(other - drawn))) > 0


def test_other_generators_draw_their_own_numbers():
    key = jax.random.key(1, impl="rbg")
    drawn = jnp.stack(normal_components(key, (4, 1), jnp.float64))
    np.testing.assert_array_equal(drawn, jax.random.normal(key, (3, 4, 1), jnp.float64))


def test_many_keys_at_once(key):
    keys = jax.random.split(key, 3)
    together = jax.vmap(lambda key: jnp.stack(normal_components(key, (4, 2, 1), jnp.float32)))(keys)
    alone = jnp.stack([jnp.stack(normal_components(k, (4, 2, 1), jnp.float32)) for k in keys])
    np.testing.assert_allclose(together, alone, rtol=1e-6)
