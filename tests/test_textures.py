"""Every named order by what identifies it: structure factor, chirality, charge, and the sizes it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin import textures
from jaxspin.lattice import chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.observables import (
    elementary_triangles,
    high_symmetry_points,
    nearest_neighbor_correlations,
    scalar_chirality,
    structure_factor,
    structure_factor_at,
    texture_center,
    topological_charge,
    wavevectors,
)
from tests.helpers import by_precision

# Sums over a few hundred sites in double precision.
pytestmark = pytest.mark.users
ROUNDING = by_precision(1e-11, 1e-5)


def peaks(lattice, spins):
    """The grid points that hold the structure factor: {rounded Cartesian q: weight/N}."""
    factor = np.asarray(structure_factor(lattice, spins)) / lattice.sites
    return {
        tuple(np.round(q, 6)): w for q, w in zip(_flat(wavevectors(lattice)), factor.ravel(), strict=True) if w > 1e-9
    }


def _flat(q):
    return q.reshape(-1, q.shape[-1])


def points(lattice, *names):
    return sorted(tuple(np.round(high_symmetry_points(lattice)[n], 6)) for n in names)


EVERY = {
    "ferromagnet": textures.ferromagnet(kagome(3, 2), (1.0, 2.0, -1.0)),
    "neel": textures.neel(cubic(2, 4, 2)),
    "stripe": textures.stripe(triangular(4, 3), (0,)),
    "spiral": textures.spiral(chain(8), (np.pi / 4,), (1.0, 1.0, 0.0), cone=1.0),
    "120": textures.one_hundred_twenty(triangular(3, 6), (1.0, 0.0, 0.0)),
    "tetrahedral": textures.tetrahedral(triangular(4, 2)),
    "double_q": textures.double_q(square(4, 2)),
    "skyrmion": textures.skyrmion(triangular(12, 12), 3.0, helicity=0.4, winding=2),
    "domain_wall": textures.domain_wall(honeycomb(6, 2, periodic=(False, True)), helicity=0.4),
}


@pytest.mark.parametrize("name", EVERY)
def test_spins_have_length_one(name):
    assert np.allclose(jnp.linalg.norm(EVERY[name], axis=-1), 1, atol=ROUNDING)
    assert EVERY[name].dtype == jnp.zeros(()).dtype


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.double)])
def test_dtype_is_what_was_asked(dtype):
    wall = textures.domain_wall(chain(6, periodic=False), dtype=dtype)
    assert wall.dtype == textures.skyrmion(square(8, 8), 2.0, dtype=dtype).dtype == dtype
    assert textures.tetrahedral(triangular(2, 2), dtype=dtype).dtype == dtype
    assert np.allclose(jnp.linalg.norm(wall, axis=-1), 1, atol=1e-6)  # single precision


@pytest.mark.parametrize("lattice", [chain(4), square(4, 4), triangular(3, 4), cubic(2, 2, 2)])
def test_ferromagnet_peaks_at_gamma(lattice):
    found = peaks(lattice, textures.ferromagnet(lattice, (0.0, 3.0, 4.0)))
    assert list(found) == points(lattice, "Gamma")
    assert np.isclose(sum(found.values()), 1, atol=ROUNDING)


@pytest.mark.parametrize(
    "lattice", [chain(4), square(4, 2), cubic(2, 4, 2), honeycomb(3, 2), square(3, 5, periodic=False)]
)
def test_neel_neighbors_are_opposite(lattice):
    products = nearest_neighbor_correlations(lattice, textures.neel(lattice, (1.0, 1.0, 0.0)))
    inside = nearest_neighbor_correlations(lattice, textures.ferromagnet(lattice))
    assert np.allclose(products, -inside, atol=ROUNDING)


@pytest.mark.parametrize(("lattice", "point"), [(square(4, 4), "M"), (chain(4), "X"), (cubic(2, 2, 2), "R")])
def test_neel_peak(lattice, point):
    assert list(peaks(lattice, textures.neel(lattice))) == points(lattice, point)


@pytest.mark.parametrize(("along", "point"), [((0,), "M"), ((1,), "M'"), ((0, 1), "M''")])
def test_stripe_peaks_at_one_m_point(along, point):
    lattice = triangular(4, 6)
    assert list(peaks(lattice, textures.stripe(lattice, along))) == points(lattice, point)


def test_spiral_turns_about_its_axis():
    lattice = square(8, 6)
    q = wavevectors(lattice)[1, 5]
    axis = np.array([1.0, 2.0, 2.0]) / 3
    spins = textures.spiral(lattice, q, axis, cone=0.7)
    assert np.allclose(spins @ axis, np.cos(0.7), atol=ROUNDING)
    crosses = jnp.cross(spins, jnp.roll(spins, -1, 0)) @ axis
    assert np.allclose(crosses, np.sin(0.7) ** 2 * np.sin(q[0]), atol=ROUNDING)  # right-handed for q.a > 0
    weights = sorted(peaks(lattice, spins).values())
    expected = sorted([np.cos(0.7) ** 2, np.sin(0.7) ** 2 / 2, np.sin(0.7) ** 2 / 2])
    assert np.allclose(weights, expected, atol=ROUNDING)


@pytest.mark.parametrize("handedness", [1, -1])
def test_one_hundred_twenty_peaks_at_k(handedness):
    lattice = triangular(6, 3)
    spins = textures.one_hundred_twenty(lattice, handedness=handedness)
    found = peaks(lattice, spins)
    assert sorted(found) == points(lattice, "K", "K'")
    assert np.allclose(list(found.values()), 0.5, atol=ROUNDING)
    assert np.allclose(nearest_neighbor_correlations(lattice, spins), -0.5, atol=ROUNDING)
    assert np.allclose(scalar_chirality(lattice, spins), 0, atol=ROUNDING)
    turn = jnp.cross(spins, lattice.translate(spins, (1, 0)))[..., 2]
    assert np.allclose(turn, handedness * np.sqrt(3) / 2, atol=ROUNDING)


def test_one_hundred_twenty_on_kagome_is_q_zero():
    lattice = kagome(2, 3)
    spins = textures.one_hundred_twenty(lattice)
    assert np.allclose(nearest_neighbor_correlations(lattice, spins), -0.5, atol=ROUNDING)
    assert np.allclose(jnp.sum(spins, axis=-2), 0, atol=ROUNDING)
    for (a, _), (b, _), _ in elementary_triangles(lattice):
        assert np.allclose(jnp.cross(spins[..., a, :], spins[..., b, :])[..., 2], np.sqrt(3) / 2, atol=ROUNDING)


@pytest.mark.parametrize("chirality", [1, -1])
def test_tetrahedral_chirality_charge_and_peaks(chirality):
    lattice = triangular(4, 6)
    spins = textures.tetrahedral(lattice, chirality=chirality)
    assert np.allclose(scalar_chirality(lattice, spins), chirality * 4 / (3 * np.sqrt(3)), atol=ROUNDING)
    assert np.isclose(topological_charge(lattice, spins), chirality * 2 * lattice.sites / 4, atol=ROUNDING)
    found = peaks(lattice, spins)
    assert sorted(found) == points(lattice, "M", "M'", "M''")
    assert np.allclose(list(found.values()), 1 / 3, atol=ROUNDING)
    assert np.allclose(nearest_neighbor_correlations(lattice, spins), -1 / 3, atol=ROUNDING)


def test_tetrahedral_on_the_square_lattice_has_one_chirality():
    lattice = square(4, 4)
    chi = scalar_chirality(lattice, textures.tetrahedral(lattice))
    assert np.allclose(jnp.abs(chi), 4 / (3 * np.sqrt(3)), atol=ROUNDING)


@pytest.mark.parametrize("lattice", [triangular(4, 4), square(2, 4)])
def test_double_q_is_coplanar_with_right_angles(lattice):
    spins = textures.double_q(lattice)
    found = peaks(lattice, spins)
    assert sorted(found) == points(lattice, "M", "M'") if lattice.name == "triangular" else points(lattice, "X", "Y")
    assert np.allclose(list(found.values()), 0.5, atol=ROUNDING)
    assert np.allclose(scalar_chirality(lattice, spins), 0, atol=ROUNDING)
    four = np.unique(np.round(spins.reshape(-1, 3), 6), axis=0)
    assert sorted((four @ four.T).ravel().round(5)) == [-1.0] * 4 + [0.0] * 8 + [1.0] * 4


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("winding", [1, -1, 2])
@pytest.mark.parametrize("lattice", [square(14, 16), triangular(16, 16), honeycomb(12, 12), kagome(12, 12)])
def test_skyrmion_charge(lattice, polarity, winding):
    spins = textures.skyrmion(lattice, 4.0, polarity=polarity, winding=winding, helicity=0.3)
    assert np.isclose(topological_charge(lattice, spins), polarity * winding, atol=ROUNDING)


def test_skyrmion_shape():
    lattice = square(24, 24)
    spins = textures.skyrmion(lattice, 5.0, center=(7.0, 12.0), width=1.0)
    assert np.allclose(spins[7, 12, 0], [0, 0, -1], atol=1e-3)  # core down: 1 - tanh-like tails of e^-5
    assert spins[19, 0, 0, 2] > 0.999
    assert abs(float(spins[12, 12, 0, 2])) < 1e-3  # the equator lies at the radius
    assert np.allclose(spins[12, 12, 0, :2], [1, 0], atol=1e-3)  # helicity 0 points outward
    bloch = textures.skyrmion(lattice, 5.0, center=(7.0, 12.0), width=1.0, helicity=np.pi / 2)
    assert np.allclose(bloch[12, 12, 0, :2], [0, 1], atol=1e-3)


def test_skyrmion_crosses_the_edge():
    lattice = triangular(16, 16)
    tail = 8 * np.exp(-(8 - 3) / 0.5)  # of the profile at half the period, where images meet

    def centred_on(*n):
        center = tuple(np.array(n) @ np.array(lattice.vectors))
        return textures.skyrmion(lattice, 3.0, center=center, width=0.5)

    inside, moved, far = centred_on(0, 0), centred_on(5, 3), centred_on(5 + 32, 3 - 16)
    assert np.allclose(jnp.roll(inside, (5, 3), (0, 1)), moved, atol=tail)
    assert np.allclose(far, moved, atol=tail)
    center = texture_center(lattice, 1 - moved[..., 0, 2])
    assert np.allclose(center, np.array([5, 3]) @ np.array(lattice.vectors), atol=100 * tail)


@pytest.mark.double
@pytest.mark.parametrize("center", [(6.0, 6.0), (5.7, 6.2)])
def test_skyrmion_is_differentiable_even_in_the_core(center):
    lattice = square(12, 12, periodic=False)
    target = jax.random.normal(jax.random.key(0), (*lattice.shape, 3))

    @jax.jit
    def overlap(parameters):
        return jnp.sum(
            target
            * textures.skyrmion(
                lattice, parameters[2], center=parameters[:2], width=parameters[3], helicity=parameters[4]
            )
        )

    parameters = jnp.array([*center, 3.0, 1.2, 0.4])
    slope = jax.grad(overlap)(parameters)
    h = 1e-6  # error of the central difference ~ h^2 + 1e-15/h ~ 1e-9
    steps = h * jnp.eye(5)
    difference = jnp.stack([(overlap(parameters + e) - overlap(parameters - e)) / (2 * h) for e in steps])
    assert np.allclose(slope, difference, atol=1e-7)


def test_domain_wall_profile_and_kind():
    lattice = square(20, 3, periodic=(False, True))
    neel = textures.domain_wall(lattice, 9.0, 2.0)
    assert np.allclose(neel[:, 0, 0, 2], -np.tanh((np.arange(20) - 9) / 2), atol=ROUNDING)
    assert np.allclose(neel[9, :, 0], [1, 0, 0], atol=ROUNDING)
    bloch = textures.domain_wall(lattice, 9.0, 2.0, helicity=np.pi / 2)
    assert np.allclose(bloch[9, :, 0], [0, 1, 0], atol=ROUNDING)
    up = triangular(4, 12, periodic=(True, False))
    wall = textures.domain_wall(up, axis=1, direction=(1.0, 0.0, 0.0))
    assert np.allclose(wall, wall[:1], atol=ROUNDING)  # lies along the first lattice vector
    assert wall[0, 0, 0, 0] > 0.9
    assert wall[0, -1, 0, 0] < -0.9


def test_domain_wall_is_stable_at_its_width():
    """The energy of J and K is least at the width sqrt(J/(2K)) of the continuum, here 4 lattice constants."""
    from jaxspin.classical import Anisotropy, Exchange

    lattice = chain(80, periodic=False)
    energy = Exchange(lattice, 1.0) + Anisotropy(1 / 32)
    widths = jnp.linspace(3.0, 5.0, 81)
    energies = jax.jit(jax.vmap(lambda w: energy.energy(textures.domain_wall(lattice, 39.5, w))))(widths)
    assert abs(float(widths[jnp.argmin(energies)]) - 4) < 0.06  # the lattice corrects at order 1/(24 width^2)


@pytest.mark.parametrize("radius", [300.0, 1e3])
def test_far_tails_do_not_overflow(radius):
    lattice = square(3, 3, periodic=False)
    spins, slope = jax.value_and_grad(
        lambda w: jnp.sum(textures.skyrmion(lattice, radius, width=w, dtype=jnp.float32))
    )(jnp.float32(0.5))
    assert np.isfinite(spins)
    assert np.isfinite(slope)


REFUSED = [
    (lambda: textures.neel(triangular(4, 4)), "odd loops; use one_hundred_twenty or stripe"),
    (lambda: textures.neel(square(3, 4)), r"multiples of 2 cells.*use lattice\.resize\(4, 4\) or open axes"),
    (lambda: textures.stripe(square(4, 5), (1,)), r"use lattice\.resize\(4, 6\) or open axes"),
    (lambda: textures.stripe(square(4, 4), (2,)), "use some of 0 to 1"),
    (lambda: textures.one_hundred_twenty(triangular(4, 6)), r"multiples of 3 cells.*lattice\.resize\(6, 6\)"),
    (lambda: textures.one_hundred_twenty(square(6, 6)), "use neel or spiral"),
    (lambda: textures.one_hundred_twenty(triangular(3, 3), handedness=2), r"use \+1 or -1"),
    (lambda: textures.tetrahedral(triangular(3, 4)), r"multiples of 2 cells.*lattice\.resize\(4, 4\)"),
    (
        lambda: textures.tetrahedral(kagome(4, 4)),
        "needs the square or triangular lattice, got kagome; use one",
    ),
    (lambda: textures.tetrahedral(triangular(2, 2), chirality=0), r"use \+1 or -1"),
    (lambda: textures.double_q(chain(4)), "needs the square or triangular lattice"),
    (
        lambda: textures.spiral(chain(10), (0.7,)),
        r"integers along periodic axes; use \(0\.628318531,\) or an open axis",
    ),
    (lambda: textures.spiral(square(4, 4), (0.7,)), "give 2 Cartesian components"),
    (lambda: textures.skyrmion(square(8, 8), 4.0), r"does not fit a period of 8; use lattice\.resize"),
    (lambda: textures.skyrmion(cubic(8, 8, 8), 2.0), "needs a two-dimensional lattice"),
    (lambda: textures.skyrmion(square(8, 8), 2.0, polarity=0), r"use \+1 or -1"),
    (lambda: textures.skyrmion(square(8, 8), 2.0, winding=0), "use 1, or -1 for an antiskyrmion"),
    (lambda: textures.domain_wall(square(8, 8)), "open it with periodic=False"),
    (lambda: textures.domain_wall(square(8, 8), axis=2), "use 0 to 1"),
    (
        lambda: textures.domain_wall(chain(8, periodic=False), direction=(1.0, 0.0, 0.0)),
        "is the wall's normal; use one across axis 0",
    ),
    (lambda: textures.ferromagnet(chain(3), (0.0, 0.0, 0.0)), "give three finite components, not all zero"),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_does_not_fit_is_refused_with_the_remedy(case):
    make, text = REFUSED[case]
    with pytest.raises(ValueError, match=text):
        make()


def test_open_axes_take_any_size_and_any_wavevector():
    assert textures.tetrahedral(triangular(3, 5, periodic=False)).shape == (3, 5, 1, 3)
    assert textures.one_hundred_twenty(triangular(4, 5, periodic=False)).shape == (4, 5, 1, 3)
    assert textures.spiral(chain(10, periodic=False), (0.7,)).shape == (10, 1, 3)


def test_multi_sublattice_neel_peaks_with_its_basis():
    lattice = honeycomb(4, 4)
    spins = textures.neel(lattice)
    at_gamma = structure_factor_at(lattice, spins, jnp.zeros((1, 2)))
    # the extinguished zone centre reappears where q.(basis) turns by pi: q = 3/2 x (0, 4 pi/sqrt3 x 1/2)
    q = jnp.array([[0.0, np.sqrt(3) * np.pi * 2], [0.5 * 4 * np.pi, 0.0]])
    assert np.allclose(at_gamma, 0, atol=ROUNDING)
    phase = np.asarray(q) @ np.array(lattice.basis[1])
    expected = lattice.sites * (1 - np.cos(phase)) / 2 * _lattice_sum(lattice, q)
    assert np.allclose(structure_factor_at(lattice, spins, q), expected, atol=1e-9)


def _lattice_sum(lattice, q):
    """|sum over cells exp(iq.R)|^2 / cells^2 from the geometric series of every axis."""
    angle = np.asarray(q) @ np.array(lattice.vectors).T
    n = np.array(lattice.cells)
    terms = np.abs(np.stack([np.exp(1j * np.outer(angle[:, k], np.arange(n[k]))).sum(1) for k in range(2)], 1))
    return np.prod(terms / n, axis=1) ** 2
