"""Laws of a potential, all from one compiled program: `jaxspin.testing` compiles four for them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxspin.spins import random_rotation, retract, rotate
from jaxspin.symmetry import point_group, transform_sites


def images(lattice, spins, key):
    """The same configuration turned, reversed, moved, and under the point group about a site of each sublattice."""
    yield rotate(spins, random_rotation(key=key, dtype=spins.dtype))
    yield -spins
    for axis in np.flatnonzero(lattice.periodic):
        yield lattice.translate(spins, [int(k == axis) for k in range(lattice.dimension)])
    for sublattice in range(lattice.sublattices):
        for element in point_group(lattice, sublattice).matrices:
            yield transform_sites(lattice, spins, element, sublattice=sublattice)


@eqx.filter_jit
def _solved(potential, many):
    return jax.lax.map(potential.energy_and_field, many)


@eqx.filter_jit
def _plain(potential, spins):
    return -jax.grad(lambda s: potential.energy(s))(spins)


def assert_potential(potential, spins, *, key, invariance=None, plain=None, differences=1e-6, step=1e-4):
    """B = -dE/dS by central differences along two turns of all spins, and E is that of all images.

    Absolute tolerances; None leaves out the images, or plain reverse mode.  Returns energy and field.
    """
    turns = jax.random.normal(key, (2, *spins.shape), spins.dtype)
    turns = turns / jnp.linalg.norm(turns)
    displaced = [retract(spins, sign * step * turn) for turn in turns for sign in (1, -1)]
    copies = [] if invariance is None else list(images(potential.lattice, spins, key))
    energies, fields = map(np.asarray, _solved(potential, jnp.stack([spins, *displaced, *copies])))
    for turn, ahead, behind in zip(np.asarray(turns), energies[1:5:2], energies[2:5:2], strict=True):
        work = -np.sum(fields[0] * np.cross(turn, np.asarray(spins)))
        np.testing.assert_allclose(work, (ahead - behind) / (2 * step), atol=differences, rtol=0)
    if invariance is not None:
        np.testing.assert_allclose(energies[5:], energies[0], atol=invariance, rtol=0)
    if plain is not None:
        np.testing.assert_allclose(fields[0], _plain(potential, spins), atol=plain)
    return energies[0], fields[0]
