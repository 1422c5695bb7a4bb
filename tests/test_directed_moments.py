"""Moments that know a direction, against the dense Hamiltonian and plain reverse mode."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxspin.descriptors import LocalMoments
from jaxspin.electrons import SDModel
from jaxspin.lattice import square
from jaxspin.spins import random_spins
from tests.helpers import compiled

ROUNDING = 1e-10  # sums of a few hundred numbers of order one, in double precision


def dense_directed(descriptor, spins, site):
    """<psi_k|x|psi_k>, <psi_k-1|x|psi_k> from the matrix of the whole (small, open) cluster."""
    lattice = descriptor.lattice
    h = np.array(SDModel(lattice, 1.0, descriptor.coupling).dense(spins)) / (descriptor.coupling + 4)
    unit = np.array(descriptor.direction) / np.linalg.norm(descriptor.direction)
    x = np.repeat((lattice.positions() - lattice.positions()[site]).reshape(-1, 2) @ unit, 2)
    number = np.ravel_multi_index(site, lattice.shape)
    sx, sy, sz = np.array(spins[site])
    up = np.zeros(len(h), complex)
    up[2 * number : 2 * number + 2] = np.linalg.eigh(np.array([[sz, sx - 1j * sy], [sx + 1j * sy, -sz]]))[1][:, 1]
    states = [up, h @ up]
    for _ in range(descriptor.moments // 2):
        states.append(2 * h @ states[-1] - states[-2])
    found = []
    for before, now in itertools.pairwise(states[1:]):
        between = np.vdot(before, x * now)
        found += [np.vdot(now, x * now).real, between.real, between.imag]
    return np.array(found)


def test_directed_moments_are_those_of_the_dense_hamiltonian(key):
    lattice = square(3, 2, periodic=False)
    descriptor = LocalMoments(lattice, 1.5, hops=3, moments=6, surroundings=0, direction=(3.0, 1.0))
    spins = random_spins(lattice, key=key)
    features = compiled(lambda s: descriptor(s))(spins)
    assert features.shape[-1] == len(descriptor.labels) == 6 + 9
    assert descriptor.labels[-3:] == ("dipole 4", "transition 4", "flow 4")
    for site in ((0, 0, 0), (1, 1, 0)):
        np.testing.assert_allclose(features[site][6:], dense_directed(descriptor, spins, site), atol=1e-12)
    back = compiled(lambda s: descriptor(s))(-spins)
    np.testing.assert_allclose(back[..., 6::3], features[..., 6::3], atol=1e-12)
    np.testing.assert_allclose(back[..., 8::3], -features[..., 8::3], atol=1e-12)
    assert jnp.max(jnp.abs(features[..., 8::3])) > 1e-3


def test_derivatives_of_directed_moments_are_those_of_reverse_mode(key):
    lattice = square(5)
    descriptor = LocalMoments(
        lattice, 1.5, hops=2, moments=4, surroundings=0, weights=True, direction=(1.0, 0.0), chunk=7
    )
    spins = random_spins(lattice, key=key)
    rows = compiled(lambda s: descriptor.rows(s))(spins)
    slopes = jax.random.normal(key, rows.shape)
    expected = compiled(lambda s, g: jax.vjp(descriptor.rows, s)[1](g)[0])(spins, slopes)
    found = compiled(lambda s, g: descriptor.pullback(s, g))(spins, slopes)
    np.testing.assert_allclose(found, expected, atol=ROUNDING)
    # the Jacobian along one tangent of every spin, against the same numbers
    frames = jnp.zeros((*lattice.shape, 2, 3)).at[..., 0, 0].set(1).at[..., 1, 2].set(1)
    own, jacobian, _ = compiled(lambda s: descriptor.own_and_jacobian(s, frames))(spins)
    np.testing.assert_allclose(own, rows, atol=ROUNDING)
    flat = jnp.moveaxis(slopes, 1, -1).reshape(len(slopes), -1).T
    pushes = jnp.einsum("imf,if->im", jacobian, flat).reshape(lattice.sites, -1, 2)
    summed = np.zeros((lattice.sites, 2))
    np.add.at(summed, descriptor.members(), np.asarray(pushes))
    np.testing.assert_allclose(summed, np.asarray(expected).reshape(-1, 3)[:, ::2], atol=ROUNDING)
