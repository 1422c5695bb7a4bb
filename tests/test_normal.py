"""The generator of thermal noise: published answers of its cipher, and jax.random's numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.dynamics.normal import normal_components, threefry2x32


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


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_numbers_are_those_of_jax_random(dtype, key):
    sites = (5, 7, 2)
    drawn = jax.jit(lambda key: jnp.stack(normal_components(key, sites, dtype)))(key)
    assert drawn.dtype == dtype
    expected = jax.random.normal(key, (3, *sites), dtype)
    # a bit set wrong moves the uniform number by at least its last place
    np.testing.assert_allclose(drawn, expected, rtol=4 * jnp.finfo(dtype).eps, atol=4 * jnp.finfo(dtype).eps)


def test_other_generators_draw_their_own_numbers():
    key = jax.random.key(1, impl="rbg")
    drawn = jnp.stack(normal_components(key, (4, 1), jnp.float64))
    np.testing.assert_array_equal(drawn, jax.random.normal(key, (3, 4, 1), jnp.float64))


def test_many_keys_at_once(key):
    keys = jax.random.split(key, 3)
    together = jax.vmap(lambda key: jnp.stack(normal_components(key, (4, 2, 1), jnp.float32)))(keys)
    alone = jnp.stack([jnp.stack(normal_components(k, (4, 2, 1), jnp.float32)) for k in keys])
    np.testing.assert_allclose(together, alone, rtol=1e-6)
