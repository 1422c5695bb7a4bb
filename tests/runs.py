"""What several tests of runs measure."""

import jax.numpy as jnp

# a few hundred steps, each rounding by some units in the last place of a double
ROUNDING = 1e-13


def distance(a, b):
    return float(jnp.max(jnp.abs(a - b)))


def length_error(spins):
    return float(jnp.max(jnp.abs(jnp.linalg.norm(spins, axis=-1) - 1)))
