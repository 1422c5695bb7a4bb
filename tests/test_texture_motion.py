"""The velocity of textures that cross the edges, against a motion that is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.observables import charge_density, texture_center, texture_path, texture_velocity
from tests.helpers import by_precision

pytestmark = pytest.mark.users
TIMES = np.linspace(0.0, 12.0, 25)


@pytest.mark.parametrize("lattice", [js.square(10, 8), js.triangular(10, 8)], ids=lambda x: x.name)
def test_a_skyrmion_that_is_moved_has_the_velocity_it_is_moved_with(lattice):
    """By one cell a frame along (2, -1), round the torus more than once."""
    skyrmion = js.textures.skyrmion(lattice, 2.0, center=tuple(lattice.positions()[5, 4, 0]))
    frames = jnp.stack([jnp.roll(skyrmion, (2 * n, -n), axis=(0, 1)) for n in range(25)])
    centers = jax.lax.map(lambda s: texture_center(lattice, charge_density(lattice, s)), frames)
    step = np.array([2.0, -1.0]) @ np.array(lattice.vectors)
    close = by_precision(1e-9, 1e-3)
    np.testing.assert_allclose(texture_velocity(lattice, TIMES, centers), step / 0.5, atol=close)
    moved = np.arange(25)[:, None] * step
    path = texture_path(lattice, centers)
    np.testing.assert_allclose(path - path[:1], moved, atol=10 * close)
    assert np.abs(np.diff(np.asarray(centers), axis=0)).max() > 5  # what the path has not


def test_only_periodic_axes_are_unrolled_and_the_start_counts():
    lattice = js.square(10, 10, periodic=(True, False))
    x = jnp.stack([(0.7 * TIMES) % 10, 9 - 0.5 * jnp.asarray(TIMES)], axis=1)
    np.testing.assert_allclose(texture_velocity(lattice, TIMES, x), [0.7, -0.5], atol=by_precision(1e-12, 1e-5))
    far = jnp.array([[1.0, 1.0], [1.0, 8.0]])
    np.testing.assert_allclose(texture_path(lattice, far), far)
    bent = x.at[:8].set(x[8])
    late = texture_velocity(lattice, TIMES, bent, start=4.0)
    np.testing.assert_allclose(late, [0.7, -0.5], atol=by_precision(1e-12, 1e-5))


def test_frames_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"centers of shape \(5, 3\) are no path; give \(n, 2\)"):
        texture_path(js.square(4), jnp.ones((5, 3)))
    with pytest.raises(ValueError, match=r"times of shape \(3,\) do not fit 2 centers; give those of the frames"):
        texture_velocity(js.square(4), np.ones(3), jnp.ones((2, 2)))
