"""Observables against direct sums, exact correlations, and the integers of topology."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin import textures
from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.observables import (
    charge_density,
    correlation_function,
    correlation_length,
    decay_length,
    displacements,
    domain_length,
    domain_sizes,
    elementary_triangles,
    high_symmetry_points,
    magnetization,
    nearest_neighbor_correlations,
    scalar_chirality,
    structure_factor,
    structure_factor_at,
    sublattice_magnetization,
    texture_center,
    topological_charge,
    triangulation,
    vector_chirality,
    wavevectors,
)
from jaxspin.spins import dilute, normalize, random_rotation, random_spins, rotate
from tests.helpers import by_precision

# Sums over a few hundred terms in double precision.
pytestmark = pytest.mark.users
ROUNDING = by_precision(1e-10, 1e-5)
PLANE = {"square": square, "triangular": triangular, "honeycomb": honeycomb, "kagome": kagome}


# Magnetization


def test_magnetization_ignores_vacancies(key):
    lattice = square(6, 6)
    spins = textures.ferromagnet(lattice, (0.0, 3.0, 4.0))
    holes = dilute(spins, jax.random.bernoulli(key, 0.4, lattice.shape))
    assert np.allclose(magnetization(holes), [0, 0.6, 0.8], atol=ROUNDING)
    assert np.array_equal(magnetization(jnp.zeros_like(spins)), [0, 0, 0])
    random = random_spins(lattice, key=key)
    assert np.allclose(magnetization(random), jnp.mean(random, axis=(0, 1, 2)), atol=ROUNDING)
    assert magnetization(random.astype(jnp.float32)).dtype == jnp.float32


def test_sublattice_magnetization_sees_the_magnetic_cell(key):
    lattice = triangular(4, 6)
    spins = textures.tetrahedral(lattice)
    order = sublattice_magnetization(lattice, spins, (2, 2))
    assert np.allclose(order, spins[:2, :2], atol=ROUNDING)
    assert np.allclose(sublattice_magnetization(lattice, spins, (1, 1))[0, 0, 0], magnetization(spins), atol=ROUNDING)
    occupied = jax.random.bernoulli(key, 0.7, lattice.shape)
    assert np.allclose(sublattice_magnetization(lattice, dilute(spins, occupied), (2, 2)), order, atol=ROUNDING)
    neel = sublattice_magnetization(honeycomb(2, 3), textures.neel(honeycomb(2, 3)), (1, 1))
    assert np.allclose(neel[0, 0, :, 2], [1, -1], atol=ROUNDING)


def test_bond_correlations_by_shell():
    lattice = triangular(6, 6)
    assert nearest_neighbor_correlations(lattice, textures.one_hundred_twenty(lattice), 2).shape == (6, 6, 3)
    second = nearest_neighbor_correlations(lattice, textures.one_hundred_twenty(lattice), 2)
    assert np.allclose(second, 1, atol=ROUNDING)


# Structure factor


@pytest.mark.parametrize(
    "lattice", [chain(5), triangular(3, 4), kagome(2, 3), cubic(2, 3, 2), honeycomb(3, 2, periodic=False)]
)
def test_structure_factor_is_the_direct_sum(lattice, key):
    spins = random_spins(lattice, key=key)
    q, flat = wavevectors(lattice), np.asarray(spins).reshape(-1, 3)
    phases = np.exp(-1j * q @ lattice.positions().reshape(-1, lattice.dimension).T)
    expected = np.sum(np.abs(phases @ flat) ** 2, axis=-1) / lattice.sites
    assert np.allclose(structure_factor(lattice, spins), expected, atol=ROUNDING)
    assert np.allclose(structure_factor_at(lattice, spins, jnp.asarray(q)), expected, atol=ROUNDING)
    if lattice.sublattices == 1:
        assert np.isclose(jnp.sum(structure_factor(lattice, spins)), lattice.sites, atol=ROUNDING)
    assert jax.eval_shape(structure_factor, lattice, spins.astype(jnp.float32)).dtype == jnp.float32


def test_high_symmetry_points_of_the_hexagonal_zone():
    for lattice in (triangular(3, 3), kagome(3, 3), honeycomb(3, 3)):
        points = high_symmetry_points(lattice)
        assert np.allclose(np.linalg.norm(points["K"]), 4 * np.pi / 3)
        assert np.allclose(points["K"] + points["K'"], lattice.reciprocal().sum(0))  # opposite corners
        for name in ("M", "M'", "M''"):
            assert np.allclose(np.linalg.norm(points[name]), 2 * np.pi / np.sqrt(3))
    assert np.allclose(high_symmetry_points(cubic(2))["R"], np.pi)
    assert np.allclose(high_symmetry_points(square(2))["X"], [np.pi, 0])
    assert np.allclose(high_symmetry_points(chain(2))["X"], [np.pi])
    scaled = Lattice("coarse", ((2.0, 0.0), (0.0, 2.0)), ((0.0, 0.0),), (2, 2), (True, True))
    assert np.allclose(high_symmetry_points(scaled)["M"], np.pi / 2)


# Real-space correlations


@pytest.mark.parametrize("lattice", [triangular(4, 5), kagome(3, 2, periodic=(True, False)), chain(5, periodic=False)])
def test_correlation_function_is_the_mean_over_pairs(lattice, key):
    spins = dilute(random_spins(lattice, key=key), jax.random.bernoulli(key, 0.7, lattice.shape))
    found = np.asarray(correlation_function(lattice, spins))
    cells, flat = np.array(lattice.cells), np.asarray(spins)
    expected, pairs = np.zeros(found.shape), np.zeros(found.shape)
    for here in np.ndindex(*lattice.cells):
        for there in np.ndindex(*lattice.cells):
            step = tuple(np.mod(np.subtract(there, here), found.shape))
            expected[step] += np.sum(flat[here] * flat[there])
            pairs[step] += np.sum(np.any(flat[here] != 0, -1) & np.any(flat[there] != 0, -1))
    assert np.allclose(found, expected / np.maximum(pairs, 1), atol=ROUNDING)
    assert np.isclose(found[(0,) * lattice.dimension], 1, atol=ROUNDING)
    assert displacements(lattice).shape == (*found.shape, lattice.dimension)
    steps = displacements(lattice) @ np.linalg.inv(np.array(lattice.vectors))
    assert np.allclose(np.mod(np.round(steps), found.shape), np.moveaxis(np.indices(found.shape), 0, -1), atol=ROUNDING)
    assert np.all(np.abs(steps) <= np.array(found.shape) / 2 + ROUNDING)
    assert np.all(np.array(found.shape) == np.where(lattice.periodic, cells, 2 * cells))


def test_correlation_and_structure_factor_are_fourier_partners(key):
    lattice = square(4, 6)
    spins = random_spins(lattice, key=key)
    assert np.allclose(
        jnp.fft.fftn(correlation_function(lattice, spins)), structure_factor(lattice, spins), atol=ROUNDING
    )


@pytest.mark.parametrize("peak", [0, 12])
@pytest.mark.parametrize("u", [0.3, 0.8])
def test_correlation_length_of_exponential_correlations(u, peak, key):
    """<S_0 . S_r> = u^r cos(Q r) has S(q) = (1 - u^2)/(1 - 2u cos(q - Q) + u^2), so xi = sqrt(u)/(1 - u).

    Exact for Q = 0 and pi, and a field with just this S(q) has its root as amplitudes and random phases.
    """
    lattice = chain(24)
    q = wavevectors(lattice)[:, 0]
    shape = (1 - u**2) / (1 - 2 * u * np.cos(q - q[peak]) + u**2)
    phases = np.exp(2j * np.pi * np.asarray(jax.random.uniform(key, (24,))))
    wave = np.fft.ifft(np.sqrt(shape) * phases)
    # of lengths up to 1, as averages are
    longest = np.max(np.abs(wave))
    spins = np.stack([wave.real, wave.imag, 0 * q], -1)[:, None] / longest
    assert np.allclose(structure_factor(lattice, jnp.asarray(spins)), shape / (24 * longest**2), atol=ROUNDING)
    assert np.isclose(correlation_length(lattice, jnp.asarray(spins)), np.sqrt(u) / (1 - u), atol=ROUNDING)


def test_correlation_length_sees_through_the_order_of_the_sublattices(key):
    """Turning one sublattice against the other is a gauge; perfect order within the cell is of infinite length."""
    lattice = honeycomb(8)
    noise = 0.6 * jax.random.normal(key, (*lattice.shape, 3))
    ferromagnet = normalize(textures.ferromagnet(lattice) + noise)
    neel = ferromagnet.at[..., 1, :].multiply(-1)
    length = correlation_length(lattice, ferromagnet)
    assert length > 1
    assert np.isclose(correlation_length(lattice, neel), length, rtol=ROUNDING)
    three = jnp.array([[0.0, 1.0, 0.0], [-(3**0.5) / 2, -0.5, 0.0], [3**0.5 / 2, -0.5, 0.0]])
    assert correlation_length(kagome(6), jnp.broadcast_to(three, (6, 6, 3, 3))) > 1e6


def test_correlation_length_averages_snapshots(key):
    lattice = chain(16)
    batch = jnp.stack([random_spins(lattice, key=k) for k in jax.random.split(key, 8)])
    mean = jnp.mean(jax.vmap(lambda s: structure_factor(lattice, s))(batch), axis=0)
    top = int(jnp.argmax(mean))
    sides = (mean[top - 1] + mean[(top + 1) % 16]) / 2
    expected = np.sqrt(max(mean[top] / sides - 1, 0)) / (2 * np.sin(np.pi / 16))
    assert np.isclose(correlation_length(lattice, batch), expected, atol=ROUNDING)
    assert correlation_length(lattice, textures.ferromagnet(lattice)) > 1e6


# Topology


@pytest.mark.parametrize(("name", "number"), [("square", 4), ("triangular", 2), ("honeycomb", 4), ("kagome", 2)])
def test_elementary_triangles_are_counterclockwise_and_equal(name, number):
    lattice = PLANE[name](3, 3)
    triangles = elementary_triangles(lattice)
    assert len(triangles) == len(set(triangles)) == number
    areas = [area(lattice, t) for t in triangles]
    assert np.allclose(areas, areas[0])
    assert areas[0] > 0


def area(lattice, triangle):
    points = [np.array(n) @ np.array(lattice.vectors) + np.array(lattice.basis[b]) for b, n in triangle]
    return np.linalg.det([points[1] - points[0], points[2] - points[0]]) / 2


@pytest.mark.parametrize("name", PLANE)
def test_triangulation_tiles_the_plane_once(name):
    lattice = PLANE[name](3, 3)
    triangles = triangulation(lattice)
    assert len(triangles) == 2 * lattice.sublattices
    assert np.isclose(sum(area(lattice, t) for t in triangles), np.linalg.det(np.array(lattice.vectors)))
    edges = set()
    for corners in triangles:
        for (a, n), (b, m) in zip(corners, corners[1:] + corners[:1], strict=True):
            edge = (a, b, tuple(np.subtract(m, n).tolist()))
            assert edge not in edges
            edges.add(edge)
    # each directed edge once, its reverse once: every side is shared by just two triangles
    assert {(b, a, tuple(-x for x in n)) for a, b, n in edges} == edges


def test_triangulation_of_a_user_lattice():
    oblique = Lattice("oblique", ((1.0, 0.0), (0.3, 0.9)), ((0.0, 0.0), (0.4, 0.2), (0.7, 0.6)), (5, 4), (True, True))
    assert sum(area(oblique, t) for t in triangulation(oblique)) == pytest.approx(0.9)
    charge = topological_charge(oblique, random_spins(oblique, key=jax.random.key(3)))
    assert np.isclose(charge, np.round(charge), atol=ROUNDING)


@pytest.mark.double
@pytest.mark.parametrize("name", PLANE)
def test_charge_of_random_spins_is_an_integer_and_a_pseudoscalar(name, key):
    lattice = PLANE[name](5, 6)
    batch = jax.vmap(lambda k: random_spins(lattice, key=k))(jax.random.split(key, 8))
    charge = jax.jit(jax.vmap(lambda s: topological_charge(lattice, s)))
    charges = charge(batch)
    assert np.allclose(charges, np.round(charges), atol=ROUNDING)
    assert len(np.unique(np.round(charges))) > 1
    assert np.allclose(charge(-batch), -charges, atol=ROUNDING)
    assert np.allclose(charge(rotate(batch, random_rotation(key=key))), charges, atol=ROUNDING)


def test_solid_angles_equal_the_spherical_excess(key):
    """Girard: the solid angle is the sum of the three angles minus pi, its sign that of the chirality."""
    lattice = triangular(2, 2, periodic=False)
    batch = normalize(jax.random.normal(key, (20, 2, 2, 1, 3))).at[:, 1, 1].set(0)  # one triangle left
    for spins in batch:
        a, b, c = np.asarray(spins[0, 0, 0]), np.asarray(spins[1, 0, 0]), np.asarray(spins[0, 1, 0])
        excess = -np.pi
        for x, y, z in ((a, b, c), (b, c, a), (c, a, b)):
            u, v = np.cross(x, y), np.cross(x, z)
            excess += np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
        expected = np.sign(a @ np.cross(b, c)) * excess
        assert np.isclose(4 * np.pi * topological_charge(lattice, spins), expected, atol=1e-6)  # arccos near 1


@pytest.mark.parametrize("name", PLANE)
def test_smooth_charge_tends_to_the_integral(name):
    """On smooth spins the charge of a cell is the continuum density n.(dx n x dy n)/(4 pi) times its area."""
    lattice = PLANE[name](40, 40)
    x, y = np.moveaxis(lattice.positions(), -1, 0)
    b1, b2 = lattice.reciprocal() / 40
    theta = 1.0 + 0.5 * np.cos(x * b1[0] + y * b1[1])
    phi = 0.7 * np.cos(x * b2[0] + y * b2[1])
    spins = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    # n.(d1 n x d2 n) = sin(theta) theta_1 phi_2 along the two lattice vectors
    turn = 2 * np.pi / 40
    m = np.arange(40) + 0.5  # the middle of a cell
    slope1 = -0.5 * turn * np.sin(m * turn) * np.sin(1.0 + 0.5 * np.cos(m * turn))
    slope2 = -0.7 * turn * np.sin(m * turn)
    expected = np.outer(slope1, slope2) / (4 * np.pi)
    found = np.asarray(charge_density(lattice, jnp.asarray(spins)))
    # the triangles of a cell have their centroids in it, so they are off its middle by less than one constant
    assert np.allclose(found, expected, atol=turn * np.abs(expected).max())
    assert np.isclose(np.sum(found * expected) / np.sum(expected**2), 1, atol=turn**2)


@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), (1.0, 2.0, 0.0)])
def test_vector_chirality_of_orders_in_any_plane(axis, key):
    lattice = triangular(6)
    coplanar = textures.one_hundred_twenty(lattice, axis=axis)
    assert np.allclose(vector_chirality(lattice, coplanar), 1, atol=ROUNDING)
    up = textures.ferromagnet(lattice)
    assert np.allclose(vector_chirality(lattice, up), 0, atol=ROUNDING)
    # parallel spins are its least value, where the root alone would have no slope
    assert not np.any(jax.jit(jax.grad(lambda s: jnp.sum(vector_chirality(lattice, s))))(up))
    # the corners of a triangle, by hand
    spins = random_spins(lattice, key=key)
    for k, corners in enumerate(elementary_triangles(lattice)):
        a, b, c = (np.roll(np.asarray(spins[..., 0, :]), np.negative(n), (0, 1)) for _, n in corners)
        total = np.cross(a, b) + np.cross(b, c) + np.cross(c, a)
        expected = 2 / (3 * 3**0.5) * np.linalg.norm(total, axis=-1)
        assert np.allclose(vector_chirality(lattice, spins)[..., k], expected, atol=ROUNDING)


def test_chirality_by_hand_and_with_vacancies(key):
    lattice = triangular(3, 3)
    spins = random_spins(lattice, key=key)
    found = scalar_chirality(lattice, spins)
    for k, corners in enumerate(elementary_triangles(lattice)):
        a, b, c = (np.roll(np.asarray(spins[..., 0, :]), np.negative(n), (0, 1)) for _, n in corners)
        assert np.allclose(found[..., k], np.einsum("xyi,xyi->xy", a, np.cross(b, c)), atol=ROUNDING)
    assert np.allclose(scalar_chirality(lattice, -spins), -found, atol=ROUNDING)
    holes = spins.at[0, 0].set(0)
    # six triangles of eighteen meet at a site
    assert int(jnp.sum(scalar_chirality(lattice, holes) == 0)) == 6
    assert int(jnp.sum(vector_chirality(lattice, holes) == 0)) == 6
    slope = jax.jit(jax.grad(lambda s: jnp.sum(charge_density(lattice, s) ** 2)))
    for lost in (holes, spins.at[1, 1].set(-spins[0, 1]), jnp.zeros_like(spins), jnp.round(spins)):
        assert np.all(np.isfinite(slope(lost)))


def test_the_charge_of_a_closed_lattice_does_not_change_locally(key):
    lattice = honeycomb(3, 4)
    spins = random_spins(lattice, key=key)
    slope = jax.jit(jax.grad(lambda s: topological_charge(lattice, normalize(s))))(spins)
    assert np.allclose(slope, 0, atol=ROUNDING)


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.double)])
def test_charge_is_an_integer_where_solid_angles_are_not_defined(dtype, key):
    """Antiparallel and coplanar corners, exactly and to the rounding of a relaxed state: 0 for states in a plane."""
    lattice = square(6)
    turn = random_rotation(key=key, dtype=dtype)
    noise = jax.random.normal(key, (*lattice.shape, 3), dtype)
    random = random_spins(lattice, key=key, dtype=dtype)
    planar = [s.astype(dtype) for s in (textures.neel(lattice), textures.stripe(lattice), textures.double_q(lattice))]
    planar = [f(s) for s in planar for f in (lambda s: s, lambda s: rotate(s, turn))]
    relaxed = [normalize(s + 30 * jnp.finfo(dtype).eps * noise) for s in planar]
    # every cell next to its own antipode, spins along the axes, and half the lattice of either kind
    antipodes = random.at[1::2].set(-random[::2])
    others = [
        antipodes,
        jnp.round(normalize(noise)),
        jnp.where(jnp.arange(6).reshape(6, 1, 1, 1) < 3, random, planar[0]),
    ]
    others[1] = normalize(jnp.where(jnp.any(others[1] != 0, -1, keepdims=True), others[1], 1))
    charges = jax.jit(jax.vmap(lambda s: topological_charge(lattice, s)))(jnp.stack([*planar, *relaxed, *others]))
    rounding = 1e-5 if dtype == jnp.float32 else ROUNDING
    assert np.allclose(charges, np.round(charges), atol=rounding)
    assert np.allclose(charges[: len(planar) * 2], 0, atol=rounding)
    holes = textures.neel(lattice, dtype=dtype).at[2, 3].set(0)
    assert np.allclose(charge_density(lattice, holes), 0, atol=rounding)


def test_charge_of_one_hundred_twenty_degrees_is_zero(key):
    lattice = triangular(6)
    spins = rotate(textures.one_hundred_twenty(lattice), random_rotation(key=key))
    assert np.allclose(topological_charge(lattice, spins), 0, atol=ROUNDING)


@pytest.mark.parametrize("periodic", [True, False])
def test_texture_center_follows_a_skyrmion(periodic, key):
    lattice = square(24, periodic=(periodic, False))

    @jax.jit
    @jax.vmap
    def center_of(spins):
        return texture_center(lattice, charge_density(lattice, spins))

    centers = np.array([(7.0, 15.0), (16.5, 8.2), (23.5 if periodic else 9.3, 10.1)])
    spins = jnp.stack([textures.skyrmion(lattice, 3.0, center=tuple(c), width=0.8) for c in centers])
    wanted = centers - 0.5  # a cell's triangles lie beyond its corner
    assert np.allclose(center_of(spins), wanted, atol=0.02)
    # 800 cells of noise far from the skyrmion, one sign of charge as likely as the other
    noisy = normalize(spins + 0.05 * jax.random.normal(key, spins.shape))
    assert np.max(np.linalg.norm(center_of(noisy) - wanted, axis=-1)) < 0.1
    slope = jax.jit(jax.grad(lambda w: texture_center(lattice, w)[1]))
    assert np.isclose(slope(jnp.ones((24, 24))).sum(), 0, atol=ROUNDING)
    assert np.all(np.isfinite(slope(jnp.zeros((24, 24)))))
    assert np.all(np.isnan(texture_center(lattice, jnp.zeros((24, 24)))))


# What does not fit


def test_wrong_input_is_refused_with_the_remedy():
    lattice = triangular(4, 4)
    spins = textures.ferromagnet(lattice)
    cases = [
        (lambda: sublattice_magnetization(lattice, spins, (3, 2)), "does not tile the cells .* use divisors"),
        (lambda: sublattice_magnetization(lattice, spins, (2,)), "does not tile the cells .* use divisors"),
        (lambda: scalar_chirality(chain(4), textures.neel(chain(4))), r"take a layer, spins\[:, :, k\]"),
        (
            lambda: topological_charge(cubic(2), textures.neel(cubic(2))),
            "need a two-dimensional lattice, got cubic",
        ),
        (lambda: structure_factor(square(4, 5), spins), r"or use lattice\.resize"),
        (lambda: texture_center(lattice, spins), r"give one number a cell, such as charge_density"),
        (lambda: domain_length(lattice, jnp.ones((4, 5))), "give one or several values a cell"),
        (lambda: correlation_length(chain(2), textures.neel(chain(2))), "use 3 along some axis"),
    ]
    for make, text in cases:
        with pytest.raises(ValueError, match=text):
            make()
    oblique = Lattice("oblique", ((1.0, 0.0), (0.3, 0.9)), ((0.0, 0.0),), (5, 4), (True, True))
    with pytest.raises(ValueError, match=r"no named points; combine the rows of lattice\.reciprocal"):
        high_symmetry_points(oblique)


def test_observables_lower_for_every_platform():
    lattice = kagome(4, 4, periodic=(True, False))
    spins = textures.ferromagnet(lattice, dtype=jnp.float32)

    def measure(s):
        chi = scalar_chirality(lattice, s)
        return (
            structure_factor(lattice, s),
            correlation_function(lattice, s),
            correlation_length(lattice, s),
            topological_charge(lattice, s),
            domain_length(lattice, chi),
            decay_length(lattice, chi),
            domain_sizes(lattice, chi),
            sublattice_magnetization(lattice, s, (2, 2)),
        )

    results = jax.export.export(jax.jit(measure), platforms=["cpu", "cuda", "tpu"])(spins).out_avals
    assert {str(r.dtype) for r in results} == {"float32", "int32"}
