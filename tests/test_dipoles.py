"""The dipole-dipole interaction: sums over pairs, energies known from the literature, demagnetizing factors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.classical import DipoleDipole
from jaxspin.classical.dipole_sums import dipole_kernel

# Sums of some tens of numbers of order ten in double precision, after transforms.
ROUNDING = 1e-11
# An oblique lattice of two atoms, open along two axes, and its other boundaries.
OBLIQUE = ([[1.0, 0.2, 0], [0.3, 1, 0], [0, 0.1, 1.3]], [[0, 0, 0], [0.4, 0.3, 0.2]])
BOUNDARIES = [(False, True, False), (True, True, False), (False, True, True), (True, True, True)]


def oblique(*periodic, cells=(2, 2, 2)):
    return js.Lattice("oblique", *OBLIQUE, cells, periodic)


@jax.jit
def both_of(term, spins):
    return term.energy_and_field(spins)


def uniform(lattice, direction):
    return jnp.broadcast_to(jnp.asarray(direction), (*lattice.shape, 3))


def sum_over_pairs(lattice, spins, repeats=((0.0, 0.0, 0.0),)):
    points, spins = lattice.positions().reshape(-1, 3), np.asarray(spins).reshape(-1, 3)
    total = 0.0
    for image in repeats:
        r = points[None] - points[:, None] + image
        distance = np.linalg.norm(r, axis=-1)
        distance[distance == 0] = np.inf
        along = np.einsum("ija,ia->ij", r, spins) * np.einsum("ija,ja->ij", r, spins)
        total += np.sum(spins @ spins.T / distance**3 - 3 * along / distance**5) / 2
    return total


def test_open_lattices_are_sums_over_pairs_with_a_moment_at_every_site(key):
    lattice = oblique(False, False, False, cells=(2, 3, 1))
    spins, moments = js.random_spins(lattice, key=key), 1 + 0.1 * np.arange(lattice.sites).reshape(lattice.shape)
    moments[0, 1, 0, 1] = 0
    energy, field = both_of(DipoleDipole(lattice, 0.7, moments), spins)
    lengths = moments[..., None] * np.asarray(spins)
    assert np.isclose(energy, 0.7 * sum_over_pairs(lattice, lengths), atol=ROUNDING)
    # linear in every spin
    one = lengths.copy()
    one[1, 2, 0, 0] = 0
    without = 0.7 * sum_over_pairs(lattice, one)
    assert np.isclose(energy - without, -np.sum(field[1, 2, 0, 0] * spins[1, 2, 0, 0]), atol=ROUNDING)
    # one a sublattice, and a spin that is missing
    by_atom = both_of(DipoleDipole(lattice, 0.7, [1.0, 2.0]), spins)[0]
    assert np.isclose(
        by_atom, 0.7 * sum_over_pairs(lattice, np.asarray(spins) * np.array([[1.0], [2.0]])), atol=ROUNDING
    )
    hole = jnp.asarray(one / np.where(moments == 0, 1, moments)[..., None])
    assert np.isclose(both_of(DipoleDipole(lattice, 0.7, moments), hole)[0], without, atol=ROUNDING)


@pytest.mark.parametrize("periodic", BOUNDARIES)
def test_where_ewalds_sum_is_split_does_not_matter(periodic):
    lattice = oblique(*periodic, cells=(2, 3, 1))
    one, other = (dipole_kernel.__wrapped__(lattice, split) for split in (0.4, 0.9))
    np.testing.assert_allclose(one, other, atol=1e-12)
    assert np.abs(one).max() > 1


def test_a_wire_is_the_sum_over_its_images(key):
    lattice = oblique(False, True, False)
    spins, period = js.random_spins(lattice, key=key), 2 * np.array(OBLIQUE[0][1])
    images = sum_over_pairs(lattice, spins, [n * period for n in range(-300, 301)])
    # what lies beyond falls off as 1/n^2
    assert np.isclose(both_of(DipoleDipole(lattice, 1.0), spins)[0], images, atol=2e-5)


def test_sums_of_chains_and_of_the_square_lattice_are_those_of_zeta_functions():
    zeta, square = 1.2020569031595942, 9.03362168310095  # zeta(3); 4 zeta(3/2) beta(3/2)
    for lattice, total, along in ((js.chain(3), 2 * zeta, -2), (js.square(3, 2), square, -0.5)):
        term = DipoleDipole(lattice, 1.0)
        for direction, share in (((0.0, 0.0, 1.0), 1), ((1.0, 0.0, 0.0), along)):
            energy = both_of(term, uniform(lattice, direction))[0] / lattice.sites
            assert np.isclose(energy, share * total / 2, atol=ROUNDING)


def test_energies_of_the_simple_cubic_lattice():
    """Luttinger and Tisza (1946): antiferromagnetic columns -2.676, a needle of parallel dipoles -2 pi/3."""
    lattice = js.cubic(2)
    x, y, _, _ = np.indices(lattice.shape)
    up = uniform(lattice, (0.0, 0.0, 1.0))
    columns = up * (-1.0) ** (x + y)[..., None]
    term = DipoleDipole(lattice, 1.0)
    assert np.isclose(both_of(term, columns)[0] / 8, -2.6767886843532684, atol=1e-12)
    assert np.isclose(both_of(term, up)[0] / 8, -2 * np.pi / 3, atol=1e-12)
    # by symmetry there is no field within a sphere of a cubic lattice; a plate has that of its surface
    energy, field = both_of(DipoleDipole(lattice, 1.0, demagnetization=1 / 3), up)
    assert np.isclose(energy, 0, atol=1e-12)
    np.testing.assert_allclose(field, 0, atol=1e-12)
    plate = both_of(DipoleDipole(lattice, 1.0, demagnetization=(0, 0, 1)), up)[1]
    film = js.cubic(1, 1, 9, periodic=(True, True, False))
    middle = both_of(DipoleDipole(film, 1.0), uniform(film, (0.0, 0.0, 1.0)))[1][0, 0, 4, 0]
    np.testing.assert_allclose(middle, [0, 0, 4 * np.pi / 3 - 4 * np.pi], atol=1e-9)
    np.testing.assert_allclose(plate[0, 0, 0, 0], middle, atol=1e-9)


def test_a_repeated_texture_has_the_energy_of_its_cell(key):
    lattice = oblique(True, True, False, cells=(2, 1, 2))
    spins, term = js.random_spins(lattice, key=key), DipoleDipole(lattice, 0.7, [1.0, 0.5])
    energy, field = both_of(term, spins)
    twice = jnp.tile(spins, (2, 3, 1, 1, 1))
    energies, fields = both_of(term.on(lattice.resize(4, 3, 2)), twice)
    assert np.isclose(energies, 6 * energy, atol=ROUNDING)
    np.testing.assert_allclose(fields, jnp.tile(field, (2, 3, 1, 1, 1)), atol=ROUNDING)


def ellipsoid(radius, length):
    """A cubic lattice cut to sites within a spheroid, magnetized along z; the factor N_z of its mean field."""
    wide, high = 2 * radius + 1, 2 * round(radius * length) + 1
    lattice = js.cubic(wide, wide, high, periodic=False)
    x, y, z = np.moveaxis(lattice.positions()[..., 0, :] - (np.array(lattice.cells) - 1) / 2, -1, 0)
    inside = (x**2 + y**2) + (z / length) ** 2 <= (radius + 0.3) ** 2
    spins = np.zeros((*lattice.shape, 3))
    spins[..., 0, :] = inside[..., None] * np.array([0.0, 0.0, 1.0])
    # E = 2 pi (N_z - 1/3) a dipole, 4 pi/3 being the field of the sphere that is cut out around a site
    return 1 / 3 + float(both_of(DipoleDipole(lattice, 1.0), jnp.asarray(spins))[0]) / (2 * np.pi * inside.sum())


def test_demagnetizing_factors_of_a_sphere_and_a_spheroid():
    assert np.isclose(ellipsoid(4, 1), 1 / 3, atol=1e-12)
    eccentricity = np.sqrt(3 / 4)
    expected = (1 / eccentricity**2 - 1) * (np.arctanh(eccentricity) / eccentricity - 1)
    # the surface of steps
    assert np.isclose(ellipsoid(6, 2), expected, atol=5e-3)
    assert expected < 0.18


def test_single_precision_keeps_six_digits_and_the_strength_has_a_slope(key):
    lattice = js.square(8)
    spins, term = js.random_spins(lattice, key=key), DipoleDipole(lattice, 1.0)
    field = both_of(term, spins)[1]
    single = both_of(term, spins.astype(jnp.float32))[1]
    assert single.dtype == jnp.float32
    assert np.abs(np.asarray(single) - np.asarray(field)).max() < 1e-6 * np.abs(field).max()
    slope = jax.jit(jax.grad(lambda g: DipoleDipole(lattice, g).energy(spins)))(0.3)
    assert np.isclose(slope, both_of(term, spins)[0], atol=ROUNDING)
