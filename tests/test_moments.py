"""Moments of the electrons on clusters: against dense matrices, their symmetries, edges, vacancies and derivatives."""

import equinox as eqx
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.descriptors import LocalMoments
from jaxspin.descriptors.clusters import clusters, spinor_along
from jaxspin.electrons import SDModel
from jaxspin.field import AbstractPotential
from jaxspin.forcefield import BehlerParrinello, load, save
from jaxspin.lattice import chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.spins import dilute, normalize, random_spins
from jaxspin.symmetry import infinite
from jaxspin.testing import assert_invariant
from jaxspin.textures import ferromagnet, neel
from tests.laws import assert_potential

# Chebyshev recursions of order ten in double precision.
ROUNDING = 1e-12
# Central differences with a step of 1e-4 in double precision.
DIFFERENCES = 1e-6

DESCRIPTORS = {
    "chain": LocalMoments(chain(9), 1.5, hops=3, moments=8, surroundings=2, weights=True),
    "square": LocalMoments(square(5), 2.0, (1.0, -0.3), hops=1, moments=6),
    "triangular": LocalMoments(triangular(6), 3.0, hops=2, moments=8, weights=True),
    "honeycomb": LocalMoments(honeycomb(6), 1.0, hops=3, moments=6, surroundings=2, weights=True),
    "kagome": LocalMoments(kagome(6), 1.0, hops=2, moments=6),
    "cubic": LocalMoments(cubic(4), 1.0, hops=1, moments=4),
}


# of several sublattices honeycomb is left, and kagome with open edges below
DEAR = ("triangular", "kagome")


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name in DEAR else ()) for name in DESCRIPTORS])
def descriptor(request):
    return DESCRIPTORS[request.param]


def dense_moments(descriptor, spins, site):
    """<up|T_k(H/a)|up> from the Hamiltonian's matrix restricted to the sites of the cluster that exist."""
    lattice = descriptor.lattice
    cluster = clusters(infinite(lattice), descriptor.hopping, descriptor.hops)[site[-1]]
    members, sites = [], cluster.sites
    for offset, sublattice in sites:
        cell = np.array(site[:-1]) + np.array(offset)
        outside = [not p and not 0 <= n < c for n, c, p in zip(cell, lattice.cells, lattice.periodic, strict=True)]
        if not any(outside):
            place = (*(cell % lattice.cells).tolist(), sublattice)
            members.append(int(np.ravel_multi_index(place, lattice.shape)))
    full = np.array(jnp.sum(spins**2, axis=-1) > 0).reshape(-1)
    members = [m for m in members if full[m]]
    orbitals = np.ravel([(2 * m, 2 * m + 1) for m in members])
    model = SDModel(lattice, descriptor.hopping, descriptor.coupling, occupied=full.reshape(lattice.shape))
    h = np.array(model.dense(spins))[np.ix_(orbitals, orbitals)]
    bulk = clusters(infinite(lattice), descriptor.hopping, descriptor.hops)
    h /= descriptor.coupling + max(np.abs(c.hopping).sum(1).max() for c in bulk)
    x, y, z = np.array(spins[site])
    up = np.zeros(len(orbitals), complex)
    up[:2] = np.linalg.eigh(np.array([[z, x - 1j * y], [x + 1j * y, -z]]))[1][:, 1]
    levels, states = np.linalg.eigh(h)
    weights = np.abs(states.conj().T @ up) ** 2
    moments = [weights @ np.cos(k * np.arccos(levels)) for k in range(3, descriptor.moments + 3)]
    place = [np.ravel_multi_index((*((np.array(site[:-1]) + o) % lattice.cells), b), lattice.shape) for o, b in sites]
    distance = [np.searchsorted(cluster.edges, place.index(m), side="right") - 1 for m in members]
    for k in range(2, descriptor.moments // 2 + 2) if descriptor.weights else ():
        state = states @ (np.cos(k * np.arccos(levels)) * (states.conj().T @ up))
        density = np.sum(np.abs(state.reshape(-1, 2)) ** 2, axis=1)
        moments += [density[np.equal(distance, h)].sum() for h in range(descriptor.hops)]
    return np.array(moments)


def test_moments_are_those_of_the_dense_hamiltonian(descriptor, key):
    spins = random_spins(descriptor.lattice, key=key)
    features = descriptor(spins)
    assert features.shape == (*descriptor.lattice.shape, len(descriptor.labels))
    for site in [(0,) * spins[..., 0].ndim, tuple(n - 1 for n in descriptor.lattice.shape)]:
        np.testing.assert_allclose(
            features[site][: len(descriptor.labels) // (1 + descriptor.surroundings)],
            dense_moments(descriptor, spins, site),
            atol=ROUNDING,
        )


@pytest.mark.parametrize("lattice", [square(6, periodic=False), kagome(6, periodic=(True, False))])
def test_open_edges_and_vacancies_are_sites_without_orbital(lattice, key):
    descriptor = LocalMoments(lattice, 1.5, hops=2, moments=6, weights=True)
    spins = dilute(random_spins(lattice, key=key), jax.random.bernoulli(jax.random.key(3), 0.8, lattice.shape))
    features = descriptor(spins)
    empty = jnp.all(spins == 0, axis=-1)
    assert 0 < int(jnp.sum(empty)) < lattice.sites
    assert not jnp.any(features[empty][:, : descriptor.n_features // 2])
    for site in map(tuple, np.argwhere(~np.array(empty))[::7]):
        np.testing.assert_allclose(
            features[site][: len(descriptor.labels) // (1 + descriptor.surroundings)],
            dense_moments(descriptor, spins, site),
            atol=ROUNDING,
        )


def test_invariant_under_rotations_time_reversal_point_group_and_translations(descriptor, key):
    assert_invariant(descriptor, descriptor.lattice, key=key, atol=ROUNDING, per_site=True)


def test_neighbours_enter_as_the_average_of_their_moments(key):
    descriptor = DESCRIPTORS["chain"]
    features = descriptor(random_spins(descriptor.lattice, key=key))
    own, first, second = jnp.split(features, 3, axis=-1)
    for shell, found in ((1, first), (2, second)):
        expected = (jnp.roll(own, shell, 0) + jnp.roll(own, -shell, 0)) / 2
        np.testing.assert_allclose(found, expected, atol=ROUNDING)


class Curved(AbstractPotential):
    """A potential with every feature in it, not linearly."""

    descriptor: LocalMoments

    @property
    def lattice(self):
        return self.descriptor.lattice

    def energy(self, spins, t=0.0, *, key=None):
        weights = jnp.cos(jnp.arange(self.descriptor.n_features, dtype=spins.dtype))
        return jnp.sum(jnp.tanh(self.descriptor(spins) @ weights))


@eqx.filter_jit
def along_ones(potential, spins):
    """The derivative of the energy when all components grow alike, forwards."""
    return jax.jvp(lambda s: potential.energy(s), (spins,), (jnp.ones_like(spins),))[1]


@pytest.mark.parametrize("texture", ["random", "poles", "equator"])
def test_derivatives_where_the_phase_of_the_spinor_jumps(texture, key):
    """Spins at the poles and on the equator, where a spinor must change its phase: the moments must not notice."""
    lattice = square(5)
    some = jax.random.bernoulli(jax.random.key(1), 0.5, lattice.shape)[..., None]
    free = random_spins(lattice, key=key)
    pole = jnp.where(free[..., 2:] > 0, 1.0, -1.0) * jnp.array([0.0, 0.0, 1.0])[None, None, None]
    equator = normalize(free * jnp.array([1.0, 1.0, 0.0])[None, None, None])
    # amid spins that lie anyhow, so that no symmetry makes the derivative vanish
    spins = jnp.where(some, {"random": free, "poles": pole, "equator": equator}[texture], free)
    potential = Curved(LocalMoments(lattice, 1.5, hops=2, moments=6, weights=True))
    _, field = assert_potential(potential, spins, key=key, differences=DIFFERENCES)
    assert np.all(np.isfinite(field))
    np.testing.assert_allclose(along_ones(potential, spins), -np.sum(field), atol=1e-10)


def test_the_pullback_is_the_reverse_derivative(descriptor, key):
    spins = random_spins(descriptor.lattice, key=key)
    spins = dilute(spins, jax.random.bernoulli(jax.random.key(3), 0.9, descriptor.lattice.shape))
    slopes = jax.random.normal(jax.random.key(4), jax.eval_shape(descriptor.rows, spins).shape)
    parted = LocalMoments(descriptor.lattice, **descriptor.settings() | {"chunk": 7})

    @jax.jit
    def all_of_them(spins, slopes):
        (reverse,) = jax.vjp(descriptor.rows, spins)[1](slopes)
        return reverse, descriptor.pullback(spins, slopes), parted.pullback(spins, slopes)

    reverse, found, in_parts = all_of_them(spins, slopes)
    np.testing.assert_allclose(found, reverse, atol=ROUNDING)
    np.testing.assert_allclose(in_parts, found, atol=ROUNDING)


def test_spinors_point_along_the_spins(key):
    spins = jnp.concatenate([random_spins(square(4), key=key).reshape(-1, 3), jnp.eye(3), -jnp.eye(3)])
    ur, ui, dr, di = map(np.asarray, spinor_along((spins[:, 0], spins[:, 1], spins[:, 2])))
    up, down = ur + 1j * ui, dr + 1j * di
    across = 2 * up.conj() * down
    found = np.stack([across.real, across.imag, abs(up) ** 2 - abs(down) ** 2], axis=1)
    np.testing.assert_allclose(found, spins, atol=ROUNDING)


def test_chunks_change_nothing(key):
    lattice = honeycomb(7)
    spins = random_spins(lattice, key=key)
    whole = Curved(LocalMoments(lattice, 1.0, hops=2, moments=6, chunk=None))
    parted = Curved(LocalMoments(lattice, 1.0, hops=2, moments=6, chunk=11))
    np.testing.assert_allclose(parted.descriptor(spins), whole.descriptor(spins), atol=ROUNDING)
    np.testing.assert_allclose(parted.field(spins), whole.field(spins), atol=ROUNDING)


def test_another_size_of_the_lattice(key):
    """A repeated configuration has the features of the small one, and nothing else is asked of the lattice."""
    small, large = square(5), square(10)
    descriptor = LocalMoments(small, 2.0, hops=2, moments=6)
    spins = random_spins(small, key=key)
    repeated = descriptor.on(large)(jnp.tile(spins, (2, 2, 1, 1)))
    np.testing.assert_allclose(repeated, jnp.tile(descriptor(spins), (2, 2, 1, 1)), atol=ROUNDING)
    with pytest.raises(ValueError, match="make a new LocalMoments"):
        descriptor.on(triangular(6))


def test_a_force_field_of_moments_is_stored_and_read_back(tmp_path, key):
    model = BehlerParrinello(descriptor=DESCRIPTORS["square"], hidden=(4,), key=key)
    spins = random_spins(model.lattice, key=key)
    model = model.standardized(spins[None])
    model = eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: x + 0.1, model.network))
    read = load(save(tmp_path / "field", model))
    assert read.descriptor == model.descriptor
    np.testing.assert_array_equal(read.field(spins), model.field(spins))


def test_lowers_for_every_platform(key):
    descriptor = LocalMoments(square(6), 2.0, hops=2, moments=6)
    slope = jax.jit(jax.grad(lambda s: jnp.sum(jnp.sin(descriptor(s)))))
    exported = jax.export.export(slope, platforms=("cpu", "cuda", "tpu"))(random_spins(square(6), key=key))
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_neel_and_ferromagnet_differ():
    descriptor = LocalMoments(square(6), 2.0, hops=2, moments=6)
    apart = descriptor(neel(square(6))) - descriptor(ferromagnet(square(6)))
    assert float(jnp.abs(apart).max()) > 0.1


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"hops": 0}, "use hops=1"),
        ({"moments": 5}, "24 is usual"),
        ({"surroundings": -1}, "leave them out"),
        ({"hops": 3}, r"at least \(7, 7\) cells"),
    ],
)
def test_bad_settings_are_refused(options, remedy):
    with pytest.raises(ValueError, match=remedy):
        LocalMoments(square(6), 1.0, **options)
