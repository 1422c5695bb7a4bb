"""Descriptors: invariance, what they tell apart, and that size, layout and platform do not matter."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.descriptors import Bispectrum
from jaxspin.descriptors.bispectrum import _features
from jaxspin.descriptors.invariants import invariants
from jaxspin.field import AbstractPotential
from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.spins import dilute, random_spins, retract
from jaxspin.symmetry import generate_group, transform_sites
from jaxspin.testing import assert_field_is_gradient, assert_hermitian, assert_invariant

# Third powers of sums of a hundred numbers of order one, in double precision.
INVARIANCE = 1e-10
# Central differences with a step of 1e-4 in double precision: step^2 and rounding / step.
DIFFERENCES = 1e-6

DESCRIPTORS = {
    "chain": Bispectrum(chain(7)),
    "square": Bispectrum(square(5), radius=2**0.5, bond_radius=1),
    "triangular": Bispectrum(triangular(5), radius=3**0.5, bond_radius=1),
    "honeycomb": Bispectrum(honeycomb(4), radius=1, bond_radius=0.6),
    "kagome": Bispectrum(kagome(4), radius=0.5, bond_radius=0.5),
    "cubic": Bispectrum(cubic(3), radius=1),
}

# A descriptor is a pytree without leaves: one compilation for each serves all tests.
features = jax.jit(lambda descriptor, spins: descriptor(spins))


@pytest.fixture(params=DESCRIPTORS)
def descriptor(request):
    return DESCRIPTORS[request.param]


def _bonds_only(lattice, radius):
    """Bonds to the centre alone, so that a pattern of S_z about S = z sets every variable freely."""
    return Bispectrum(lattice, radius=radius, bond_radius=0.0)


def _around_center(lattice, lengths, values):
    """Spins with S = z at the middle site and S_z = `values[n]`, by angle, on the shell at `lengths[n]`."""
    height = np.zeros(lattice.shape)
    middle = np.array(lattice.cells) // 2
    for length, row in zip(lengths, values, strict=True):
        shell = [b for b in lattice.neighbors(length + 1e-6) if abs(b.length - length) < 1e-6]
        for bond, value in zip(shell, row, strict=True):
            height[(*(middle + bond.offset), bond.end)] = value
    height[(*middle, 0)] = 1
    return jnp.stack([jnp.sqrt(1 - height**2), jnp.zeros(lattice.shape), jnp.asarray(height)], -1)


def test_invariant_under_rotations_time_reversal_point_group_and_translations(descriptor, key):
    assert_invariant(descriptor, descriptor.lattice, key=key, atol=INVARIANCE, per_site=True)


@pytest.mark.parametrize(
    ("function", "law"),
    [
        (lambda s: jnp.sum(s[..., 2] ** 2), "global spin rotation"),
        (lambda s: jnp.linalg.det(s[0, :3, 0]), "time reversal"),
        (lambda s: jnp.sum(s * jnp.roll(s, 1, 0)), "point-group element"),
        (lambda s: jnp.sum(s[2, 2] * (s[1, 2] + s[3, 2] + s[2, 1] + s[2, 3])), "translation"),
    ],
)
def test_a_broken_law_is_found_and_named(function, law, key):
    with pytest.raises(AssertionError, match=law):
        assert_invariant(function, square(5), key=key)


def test_equivalent_sublattices_see_the_same_environment_alike(key):
    """An element that exchanges the honeycomb's sublattices moves the features along with the sites."""
    descriptor = DESCRIPTORS["honeycomb"]
    lattice = descriptor.lattice
    spins = random_spins(lattice, key=key)
    # the inversion about the middle of the bond between the two sites of cell (0, 0)
    inverted = lambda x: jnp.roll(jnp.flip(x, (0, 1, 2)), (1, 1), (0, 1))  # noqa: E731
    np.testing.assert_allclose(
        features(descriptor, inverted(spins)), inverted(features(descriptor, spins)), atol=INVARIANCE
    )


def test_without_time_reversal_odd_products_appear(key):
    lattice = triangular(5)
    odd = Bispectrum(lattice, radius=1, bond_radius=1, time_reversal=False)
    assert_invariant(odd, lattice, key=key, atol=INVARIANCE, per_site=True, time_reversal=False)
    with pytest.raises(AssertionError, match="time reversal"):
        assert_invariant(odd, lattice, key=key, per_site=True)


def test_variables_are_the_dot_and_triple_products(key):
    """Against a direct evaluation from the positions in the neighbourhood."""
    descriptor = DESCRIPTORS["square"]
    lattice, around = descriptor.lattice, descriptor.neighborhood
    spins = random_spins(lattice, key=key)
    found = invariants(lattice, spins, around)[:, 0, 1, 3]
    local = jnp.stack([spins[(*((np.array([1, 3]) + n) % 5), s)] for n, s in around.sites[0]])
    bonds = [local[i] @ local[j] for orbit in around.bonds for i, j in orbit.members]
    chiralities = [jnp.linalg.det(local[jnp.array(m)]) for orbit in around.triangles for m in orbit.members]
    np.testing.assert_allclose(found, jnp.stack(bonds + chiralities), atol=INVARIANCE)
    for orbit in around.triangles:
        for i, j, k in orbit.members:
            sides = around.vectors[j] - around.vectors[i], around.vectors[k] - around.vectors[i]
            assert np.linalg.det(sides) > 0  # counter-clockwise


def test_square_plaquettes_have_four_right_triangles():
    around = Bispectrum(square(5), radius=1, bond_radius=2**0.5).neighborhood
    triangles = [m for orbit in around.triangles for m in orbit.members]
    sides = [
        sorted(np.linalg.norm(np.subtract(*around.vectors[list(p)])) for p in ((i, j), (j, k), (k, i)))
        for i, j, k in triangles
    ]
    # four plaquettes about the site, and the four triangles of nearest neighbours are shared by none
    right = [s for s in sides if np.allclose(s, [1, 1, 2**0.5])]
    assert len(right) == len(triangles) == 16


def test_locally_complete(key):
    """The features of one site fix its n spins up to a global rotation: 2 n - 3 independent directions."""
    descriptor = Bispectrum(triangular(5), radius=1, bond_radius=1)
    spins = random_spins(descriptor.lattice, key=key)
    slopes = jax.jacrev(lambda w: features(descriptor, retract(spins, w))[2, 2, 0])(jnp.zeros_like(spins))
    values = np.linalg.svd(slopes.reshape(descriptor.n_features, -1), compute_uv=False)
    number = 2 * len(descriptor.neighborhood.vectors) - 3
    assert values[number - 1] > 1e-3 * values[0]
    assert values[number] < 1e-12 * values[0]


def test_random_neighborhoods_differ(descriptor, key):
    one, other = (
        features(descriptor, random_spins(descriptor.lattice, key=k)).reshape(-1, descriptor.n_features)
        for k in jax.random.split(key)
    )
    every = np.concatenate([one, other])
    apart = np.linalg.norm(every[:, None] - every, axis=-1) + 10 * np.eye(len(every))
    assert apart.min() > 1e-3


def test_phases_tell_apart_what_powers_cannot():
    """The second shell turned against the first: equal powers, other relative phases."""
    lattice, lengths = triangular(5), (1.0, 3**0.5)
    draws = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 6))
    straight = _around_center(lattice, lengths, draws)
    turned = _around_center(lattice, lengths, [draws[0], np.roll(draws[1], 1)])
    descriptor = _bonds_only(lattice, 3**0.5)
    difference = np.abs(features(descriptor, straight) - features(descriptor, turned))[2, 2, 0]
    power = np.array(["phase" not in x and "bispectrum" not in x for x in descriptor.labels])
    assert difference[power].max() < INVARIANCE
    assert difference[["phase" in x for x in descriptor.labels]].max() > 1e-2


def test_bispectrum_ties_chiralities_to_bonds(key):
    """All chiralities turned against all bonds: powers and phases agree, triple products do not."""
    descriptor = DESCRIPTORS["triangular"]
    around = descriptor.neighborhood
    x = invariants(descriptor.lattice, random_spins(descriptor.lattice, key=key), around)[:, 0, 0, :1]
    start = sum(len(o.members) for o in around.bonds)
    turned = [x[:start]]
    for orbit in around.triangles:
        turned.append(orbit.representation[1] @ x[start : start + len(orbit.members)])
        start += len(orbit.members)
    difference = np.abs(
        _features(descriptor._table, x, True) - _features(descriptor._table, jnp.concatenate(turned), True)
    )[:, 0]
    triple = np.array(["bispectrum" in x for x in descriptor.labels])
    assert difference[~triple].max() < INVARIANCE
    assert difference[triple].max() > 1e-2


def test_ferromagnet_has_only_invariant_bonds():
    """b = 1 and chi = 0 everywhere: an orbit of n bonds has one component sqrt(n), all others vanish."""
    descriptor = DESCRIPTORS["triangular"]
    spins = jnp.broadcast_to(jnp.array([0.0, 0.6, 0.8]), (*descriptor.lattice.shape, 3))
    found = dict(zip(descriptor.labels, features(descriptor, spins)[0, 0, 0], strict=True))
    for number, orbit in enumerate(descriptor.neighborhood.bonds, 1):
        np.testing.assert_allclose(abs(found.pop(f"bond{number} A1")), len(orbit.members) ** 0.5)
    np.testing.assert_allclose(list(found.values()), 0, atol=INVARIANCE)


def test_labels_name_every_feature_once(descriptor):
    assert len(set(descriptor.labels)) == descriptor.n_features
    shape = jax.eval_shape(descriptor, jnp.zeros((*descriptor.lattice.shape, 3)))
    assert shape.shape == (*descriptor.lattice.shape, descriptor.n_features)


def test_parts_are_the_same_features_as_the_whole(key):
    lattice = triangular(5)
    spins = random_spins(lattice, key=key)
    whole = Bispectrum(lattice, radius=1, bond_radius=1)
    every = dict(zip(whole.labels, jnp.moveaxis(features(whole, spins), -1, 0), strict=True))
    for power, phases, bispectrum in ((True, False, False), (False, True, False), (False, False, True)):
        part = Bispectrum(lattice, radius=1, bond_radius=1, power=power, phases=phases, bispectrum=bispectrum)
        for label, values in zip(part.labels, jnp.moveaxis(features(part, spins), -1, 0), strict=True):
            np.testing.assert_allclose(values, every[label], atol=INVARIANCE)


class FeatureEnergy(AbstractPotential):
    descriptor: Bispectrum

    def energy(self, spins, t=0.0, *, key=None):
        weights = np.cos(np.arange(self.descriptor.n_features))
        return jnp.sum(jnp.tanh(self.descriptor(spins) @ jnp.asarray(weights, spins.dtype)))


@pytest.mark.parametrize("name", ["chain", "triangular", "kagome"])
def test_gradient_against_differences(name, key):
    descriptor = DESCRIPTORS[name]
    spins = random_spins(descriptor.lattice, key=key)
    assert_field_is_gradient(FeatureEnergy(descriptor), spins, key=key, atol=DIFFERENCES)


class Backwards(FeatureEnergy):
    def field(self, spins, t=0.0, *, key=None):
        return jax.grad(self.energy)(spins)


def test_a_wrong_sign_of_the_field_is_found(key):
    potential = Backwards(DESCRIPTORS["chain"])
    with pytest.raises(AssertionError, match="not minus the gradient"):
        assert_field_is_gradient(potential, random_spins(chain(7), key=key), key=key, atol=DIFFERENCES)


def test_hermiticity_is_told_from_its_lack(key):
    matrix = jnp.array([[1.0, 2j], [-2j, 3.0]])
    assert_hermitian(lambda x: matrix @ x, jnp.zeros(2, complex), key=key)
    with pytest.raises(AssertionError, match="not hermitian"):
        assert_hermitian(lambda x: (matrix + jnp.triu(matrix)) @ x, jnp.zeros(2, complex), key=key)


@pytest.mark.parametrize("share", [0.7, 0.0])
def test_vacancies_keep_features_and_gradients_finite(share, key):
    potential = FeatureEnergy(DESCRIPTORS["kagome"])
    lattice = potential.descriptor.lattice
    spins = dilute(random_spins(lattice, key=key), jax.random.bernoulli(key, share, lattice.shape))
    energy, field = potential.energy_and_field(spins)
    assert jnp.isfinite(energy)
    assert jnp.all(jnp.isfinite(field))


def test_precision_in_is_precision_out(key):
    descriptor = DESCRIPTORS["triangular"]
    spins = random_spins(descriptor.lattice, key=key)
    single = features(descriptor, spins.astype(jnp.float32))
    assert single.dtype == jnp.float32
    assert features(descriptor, spins).dtype == jnp.float64
    scale = jnp.max(jnp.abs(features(descriptor, spins)))
    # a hundred additions of seven digits
    np.testing.assert_allclose(single.astype(float) / scale, features(descriptor, spins) / scale, atol=2e-6)


def test_a_tiled_lattice_has_tiled_features(key):
    small = DESCRIPTORS["honeycomb"]
    large = small.on(small.lattice.resize(*(2 * n for n in small.lattice.cells)))
    spins = random_spins(small.lattice, key=key)
    tiled = features(large, jnp.tile(spins, (2, 2, 1, 1)))
    np.testing.assert_allclose(tiled, jnp.tile(features(small, spins), (2, 2, 1, 1)), atol=INVARIANCE)


def test_inside_an_open_cluster_nothing_changes(key):
    lattice = triangular(6)
    spins = random_spins(lattice, key=key)
    closed = Bispectrum(lattice, radius=1, bond_radius=1, bispectrum=False)
    opened = closed.on(triangular(6, periodic=False))
    np.testing.assert_allclose(features(opened, spins)[1:5, 1:5], features(closed, spins)[1:5, 1:5], atol=INVARIANCE)
    assert jnp.max(jnp.abs(features(opened, spins)[0, 0] - features(closed, spins)[0, 0])) > 1e-3
    # beyond the edge there is nothing: the same as vacancies around
    padded = jnp.pad(spins, ((2, 2), (2, 2), (0, 0), (0, 0)))
    np.testing.assert_allclose(
        features(opened, spins), features(closed.on(triangular(10)), padded)[2:8, 2:8], atol=INVARIANCE
    )


def test_rows_and_batches_are_the_same_features(key):
    descriptor = DESCRIPTORS["honeycomb"]
    spins = jnp.stack([random_spins(descriptor.lattice, key=k) for k in jax.random.split(key, 3)])
    looped = jnp.stack([features(descriptor, s) for s in spins])
    np.testing.assert_allclose(jax.vmap(descriptor)(spins), looped, atol=INVARIANCE)
    np.testing.assert_allclose(jnp.transpose(descriptor.rows(spins[0]), (2, 3, 1, 0)), looped[0], atol=INVARIANCE)


def test_lowers_for_every_platform():
    descriptor = DESCRIPTORS["square"]
    spins = jax.ShapeDtypeStruct((*descriptor.lattice.shape, 3), jnp.float32)
    slope = jax.jit(jax.grad(lambda s: jnp.sum(features(descriptor, s) ** 2)))
    exported = jax.export.export(slope, platforms=("cpu", "cuda", "tpu"))(spins)
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_static_and_comparable():
    descriptor = DESCRIPTORS["triangular"]
    assert not jax.tree.leaves(descriptor)
    assert hash(jax.tree.structure(descriptor)) == hash(
        jax.tree.structure(Bispectrum(triangular(5), radius=3**0.5, bond_radius=1))
    )
    assert eqx.tree_equal(descriptor, descriptor.on(triangular(8)).on(triangular(5)))


def test_impossible_settings_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"use at least \(7, 7\) cells \(lattice.resize\(7, 7\)\)"):
        Bispectrum(triangular(6, 9))
    Bispectrum(triangular(7))
    Bispectrum(triangular(2, 7, periodic=(False, True)))
    with pytest.raises(ValueError, match=r"make a new Bispectrum\(lattice\)"):
        DESCRIPTORS["square"].on(triangular(9))
    with pytest.raises(ValueError, match="use at least 1, the nearest-neighbour distance"):
        Bispectrum(square(9), radius=0.5)
    lieb = Lattice("lieb", ((2.0, 0.0), (0.0, 2.0)), ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), (6, 6), (True, True))
    with pytest.raises(ValueError, match="use a lattice whose sublattices are equivalent"):
        Bispectrum(lieb)
    with pytest.raises(ValueError, match="do not fit the square lattice"):
        DESCRIPTORS["square"](jnp.zeros((4, 4, 1, 3)))


def test_a_turned_neighborhood_is_the_same_descriptor(key):
    """One site at a time: the features at the fixed site do not change under elements of its group."""
    descriptor = DESCRIPTORS["triangular"]
    spins = random_spins(descriptor.lattice, key=key)
    sixth = generate_group([np.array([[0.5, -(0.75**0.5)], [0.75**0.5, 0.5]]), np.diag([1.0, -1.0])])
    here = features(descriptor, spins)[1, 3]
    for matrix in sixth.matrices[[1, 4, 7]]:
        moved = transform_sites(descriptor.lattice, spins, matrix, center=(1, 3))
        np.testing.assert_allclose(features(descriptor, moved)[1, 3], here, atol=INVARIANCE)
