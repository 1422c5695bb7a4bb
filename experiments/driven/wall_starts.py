"""Spins with a wall between an antiferromagnet and a ferromagnet, as runs of driven channels start from."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.spins import normalize


def wall_start(lattice: js.Lattice, position: float, width: float, *, key: jax.Array, tilt: float = 0.1) -> jax.Array:
    """Neel order to the left of `position` and a ferromagnet to the right, the axes at random, all spins tilted."""
    axes, tilts = jax.random.split(key)
    neel, moment = normalize(jax.random.normal(axes, (2, 3)))
    x, y = np.indices(lattice.cells)
    share = jnp.asarray((1 + np.tanh((x - position) / width)) / 2, neel.dtype)
    sign = jnp.asarray(1.0 - 2.0 * ((x + y) % 2), neel.dtype)
    spins = (1 - share)[..., None] * sign[..., None] * neel[None, None] + share[..., None] * moment[None, None]
    spins = normalize(spins)[:, :, None]
    return normalize(spins + tilt * jax.random.normal(tilts, spins.shape))
