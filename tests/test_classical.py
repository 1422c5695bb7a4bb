"""Classical terms against pairwise sums, analytic energies of textures, and finite differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin import textures
from jaxspin.classical import (
    Anisotropy,
    CubicAnisotropy,
    DipoleDipole,
    DzyaloshinskiiMoriya,
    Exchange,
    GaussianPulse,
    PiecewiseLinear,
    Ramp,
    Sinusoid,
    UniaxialAnisotropy,
    Zeeman,
    ZeemanPulse,
)
from jaxspin.lattice import chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.observables import nearest_neighbor_correlations, wavevectors
from jaxspin.spins import dilute, normalize, random_rotation, random_spins, rotate
from tests.helpers import by_precision

# Sums over a hundred terms in double precision.
pytestmark = pytest.mark.users
ROUNDING = by_precision(1e-11, 1e-5)
# Central differences with h = 1e-5: h^2 ~ 1e-10 and 1e-14/h ~ 1e-9, times energies of order ten.
DIFFERENCE = 1e-7


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@jax.jit
def energy_of(term, spins, t=0.0):
    return term.energy(spins, t)


@jax.jit
def field_of(term, spins, t=0.0):
    return term.field(spins, t)


OPEN = triangular(4, 5, periodic=(True, False))
PAIRS = [(0, 0, (1, 0), normal(9, 3, 3)), (0, 0, (-2, 1), 0.4)]
TERMS = {
    "exchange": (OPEN, Exchange(OPEN, (1.0, normal(1, 4, 5, 3)))),
    "exchange on kagome": (kagome(3, 3), Exchange(kagome(3, 3), (normal(2, 3, 3, 6), -0.3))),
    "pairs": (OPEN, Exchange(OPEN, pairs=PAIRS)),
    "dipoles": (OPEN, DipoleDipole(OPEN, 0.3, normal(10, *OPEN.shape))),
    "interfacial": (OPEN, DzyaloshinskiiMoriya(OPEN, normal(3, 4, 5, 3))),
    "bulk": (cubic(3, 3, 3), DzyaloshinskiiMoriya(cubic(3, 3, 3), 0.7, "bulk")),
    "vectors": (honeycomb(3, 4), DzyaloshinskiiMoriya(honeycomb(3, 4), 0.7, normal(4, 6, 3), shell=2)),
    "anisotropy": (OPEN, Anisotropy(normal(5, *OPEN.shape), normal(6, *OPEN.shape, 3))),
    "cubic": (OPEN, CubicAnisotropy(normal(5, *OPEN.shape), axes=random_rotation(key=jax.random.key(6)))),
    "uniaxial": (OPEN, UniaxialAnisotropy(0.0, 0.0, 0.5, normal(5, *OPEN.shape), axis=normal(6, *OPEN.shape, 3))),
    "zeeman": (OPEN, Zeeman(normal(7, *OPEN.shape, 3))),
    "pulse": (OPEN, ZeemanPulse((0.3, 0.0, -1.0), Sinusoid(2.0, 0.3))),
}
# Of an energy in the spins, where it is not bilinear.
DEGREES = {"cubic": 4, "uniaxial": 6, "zeeman": 1, "pulse": 1}


@jax.jit
def both_of(term, spins, t):
    return term.energy_and_field(spins, t)


@pytest.mark.double
@pytest.mark.parametrize("name", TERMS)
def test_field_is_minus_the_gradient_by_differences(name, key):
    lattice, term = TERMS[name]
    spins, direction = random_spins(lattice, key=key), normal(8, *lattice.shape, 3)
    h, t = 1e-5, 0.4
    (_, field), (ahead, _), (behind, _) = (both_of(term, spins + n * h * direction, t) for n in (0, 1, -1))
    assert np.isclose(-jnp.vdot(field, direction), (ahead - behind) / (2 * h), atol=DIFFERENCE)


@pytest.mark.parametrize("name", TERMS)
def test_euler_sum_rule(name, key):
    """sum_i S_i . B_i = -degree E, for energies homogeneous in the spins."""
    lattice, term = TERMS[name]
    spins = random_spins(lattice, key=key)
    degree = DEGREES.get(name, 2)
    energy, field = both_of(term, spins, 0.4)
    assert np.isclose(jnp.vdot(spins, field), -degree * energy, atol=ROUNDING)


@pytest.mark.parametrize("name", TERMS)
def test_vacancies_give_finite_fields(name, key):
    lattice, term = TERMS[name]
    holes = dilute(random_spins(lattice, key=key), jax.random.bernoulli(jax.random.key(1), 0.6, lattice.shape))
    assert np.all(np.isfinite(both_of(term, holes, 0.4)[1]))
    energy, field = both_of(term, jnp.zeros_like(holes), 0.4)
    assert energy == 0
    assert np.all(np.isfinite(field))


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.double)])
@pytest.mark.parametrize("name", TERMS)
def test_dtype_in_is_dtype_out(name, dtype):
    lattice, term = TERMS[name]
    spins = jax.ShapeDtypeStruct((*lattice.shape, 3), dtype)
    assert jax.eval_shape(lambda s: term.energy_and_field(s, 0.4), spins) == (
        jax.ShapeDtypeStruct((), dtype),
        spins,
    )


def test_batched_equals_looped(key):
    lattice, term = TERMS["exchange"]
    batch = jnp.stack([random_spins(lattice, key=k) for k in jax.random.split(key, 3)])
    looped = jnp.stack([both_of(term, s, 0.4)[1] for s in batch])
    assert np.allclose(jax.jit(jax.vmap(Exchange.field, (None, 0)))(term, batch), looped, atol=ROUNDING)


def pair_sum(lattice, spins, shell, pair):
    """sum over pairs of sites at the length of `shell`, by minimal images, of pair(r_ij, S_i, S_j)."""
    points, flat = lattice.positions().reshape(-1, lattice.dimension), np.asarray(spins).reshape(-1, 3)
    length = lattice.shell(shell)[0].length
    box = np.array(lattice.vectors) * np.array(lattice.cells)[:, None]
    total = 0.0
    for i in range(len(points)):
        for j in range(i):
            for turns in np.ndindex(*(3 if wraps else 1 for wraps in lattice.periodic)):
                r = points[j] - points[i] + (np.array(turns) - np.array(lattice.periodic)) @ box
                if abs(np.linalg.norm(r) - length) < 1e-6:
                    total += pair(np.pad(r, (0, 3 - lattice.dimension)), flat[i], flat[j])
    return total


@pytest.mark.parametrize(
    "lattice",
    [
        chain(7),
        square(5, 4, periodic=(False, True)),
        triangular(5, 5),
        honeycomb(3, 4),
        kagome(3, 3, periodic=False),
    ],
)
@pytest.mark.parametrize("shell", [1, 2])
def test_bilinear_energies_equal_the_sum_over_pairs(lattice, shell, key):
    spins = random_spins(lattice, key=key)
    couplings = (0.0,) * (shell - 1) + (0.8,)
    expected = -0.8 * pair_sum(lattice, spins, shell, lambda r, a, b: a @ b)
    assert np.isclose(energy_of(Exchange(lattice, couplings), spins), expected, atol=ROUNDING)
    z = np.array([0.0, 0.0, 1.0])
    for direction, vector in (("interfacial", lambda r: np.cross(z, r)), ("bulk", lambda r: r)):
        term = DzyaloshinskiiMoriya(lattice, 0.8, direction, shell=shell)
        expected = -0.8 * pair_sum(
            lattice, spins, shell, lambda r, a, b, v=vector: v(r / np.linalg.norm(r)) @ np.cross(a, b)
        )
        assert np.isclose(energy_of(term, spins), expected, atol=ROUNDING)


@pytest.mark.parametrize(
    ("lattice", "neighbors"),
    [
        (chain(4), 2),
        (square(3, 4), 4),
        (triangular(3, 4), 6),
        (honeycomb(3, 3), 3),
        (kagome(3, 3), 4),
        (cubic(3), 6),
    ],
)
def test_ferromagnet_energy(lattice, neighbors):
    spins = textures.ferromagnet(lattice, (1.0, 2.0, 3.0))
    energy, field = Exchange(lattice, 1.3).energy_and_field(spins)
    assert np.isclose(energy, -1.3 * neighbors / 2 * lattice.sites, atol=ROUNDING)
    assert np.allclose(field, 1.3 * neighbors * spins, atol=ROUNDING)


def test_energies_of_frustrated_orders():
    lattice = triangular(6, 6)
    antiferromagnet = Exchange(lattice, -1.0)
    assert np.isclose(energy_of(antiferromagnet, textures.one_hundred_twenty(lattice)), -1.5 * 36, atol=ROUNDING)
    both = Exchange(lattice, (-1.0, -0.2))  # tetrahedral and stripe: S.S = -1/3 in both shells, mean of 3 bonds
    for spins in (textures.tetrahedral(lattice), textures.stripe(lattice)):
        assert np.isclose(energy_of(both, spins), -(1.0 + 0.2) * 36, atol=ROUNDING)


def test_open_edges_have_no_bonds():
    lattice = square(4, 6, periodic=False)
    bonds = 3 * 6 + 4 * 5
    assert np.isclose(energy_of(Exchange(lattice, 1.0), textures.ferromagnet(lattice)), -bonds, atol=ROUNDING)
    corner = field_of(Exchange(lattice, 1.0), textures.ferromagnet(lattice))[0, 0, 0]
    assert np.allclose(corner, [0, 0, 2], atol=ROUNDING)


@pytest.mark.parametrize(("direction", "axis"), [("bulk", (1.0, 0.0, 0.0)), ("interfacial", (0.0, 1.0, 0.0))])
def test_spiral_energy_in_dzyaloshinskii_moriya(direction, axis):
    """A flat spiral about n with wavevector q along x has E/N = -D sin q: only bonds along x have d.n, 1."""
    lattice = square(8, 3)
    for steps in (1, 3, -1):
        q = wavevectors(lattice)[steps, 0]
        energy = energy_of(DzyaloshinskiiMoriya(lattice, 0.6, direction), textures.spiral(lattice, q, axis))
        assert np.isclose(energy, -0.6 * np.sin(q[0]) * lattice.sites, atol=ROUNDING)


def test_dzyaloshinskii_moriya_favours_the_skyrmions_it_says():
    lattice = square(20, 20)

    def energy(direction, helicity):
        return float(
            energy_of(
                DzyaloshinskiiMoriya(lattice, 1.0, direction),
                textures.skyrmion(lattice, 4.0, helicity=helicity),
            )
        )

    assert energy("interfacial", np.pi) < -50
    assert np.isclose(energy("interfacial", 0.0), -energy("interfacial", np.pi), atol=by_precision(1e-9, 1e-5))
    assert energy("bulk", np.pi / 2) < -50
    assert np.isclose(energy("bulk", 0.0), 0, atol=by_precision(1e-9, 1e-5))


def test_exchange_is_isotropic_and_conserves_spin(key):
    lattice = kagome(3, 4)
    spins, term = random_spins(lattice, key=key), Exchange(lattice, (1.0, normal(1, 3, 4, 6)))
    rotation = random_rotation(key=key)
    assert np.isclose(energy_of(term, rotate(spins, rotation)), energy_of(term, spins), atol=ROUNDING)
    assert np.allclose(field_of(term, rotate(spins, rotation)), rotate(field_of(term, spins), rotation), atol=ROUNDING)
    torques = jnp.cross(spins, field_of(term, spins))
    assert np.allclose(jnp.sum(torques, axis=(0, 1, 2)), 0, atol=ROUNDING)


def test_vacancies_contribute_nothing(key):
    lattice = triangular(5, 4)
    spins = random_spins(lattice, key=key)
    occupied = jax.random.bernoulli(jax.random.key(2), 0.6, lattice.shape)
    bonds = lattice.shell(1)
    mask = occupied.astype(float)
    alive = jnp.stack([mask[..., b.start] * lattice.translate(mask[..., b.end], b.offset) for b in bonds], axis=-1)
    holes = dilute(spins, occupied)
    assert np.isclose(
        energy_of(Exchange(lattice, 0.9), holes),
        energy_of(Exchange(lattice, 0.9 * alive), spins),
        atol=10 * ROUNDING,  # a sum of some forty bonds
    )
    assert np.isclose(energy_of(Anisotropy(0.4), holes), energy_of(Anisotropy(0.4 * mask), spins), atol=ROUNDING)
    applied = jnp.where(occupied[..., None], jnp.array([0.1, 0.2, 0.3]).reshape(1, 1, 1, 3), 0)
    assert np.isclose(energy_of(Zeeman((0.1, 0.2, 0.3)), holes), energy_of(Zeeman(applied), spins), atol=ROUNDING)


def test_couplings_are_differentiable(key):
    lattice = triangular(3, 4)
    spins = random_spins(lattice, key=key)
    couplings = normal(1, 3, 4, 3)
    slope = jax.grad(lambda j: energy_of(Exchange(lattice, j), spins))(couplings)
    assert np.allclose(slope, -nearest_neighbor_correlations(lattice, spins), atol=ROUNDING)
    leaf = eqx.filter_grad(lambda term: energy_of(term, spins))(Exchange(lattice, couplings))
    assert np.allclose(leaf.couplings[0], slope, atol=ROUNDING)
    strength = eqx.filter_grad(lambda term: energy_of(term, spins))(DzyaloshinskiiMoriya(lattice, 2.0)).strength
    assert np.isclose(strength, energy_of(DzyaloshinskiiMoriya(lattice, 1.0), spins), atol=ROUNDING)
    many = jax.vmap(lambda j: energy_of(Exchange(lattice, j), spins))(jnp.array([1.0, -2.0]))
    assert np.allclose(many, energy_of(Exchange(lattice, 1.0), spins) * np.array([1.0, -2.0]), atol=ROUNDING)
    axis = jax.grad(lambda n: energy_of(Anisotropy(1.0, n), spins))(jnp.array([1.0, 2.0, 2.0]))
    assert np.isclose(axis @ jnp.array([1.0, 2.0, 2.0]), 0, atol=ROUNDING)  # its length does not matter


def test_anisotropy_and_zeeman_of_one_direction(key):
    lattice = square(3, 3)
    spins = random_spins(lattice, key=key)
    assert np.isclose(energy_of(Anisotropy(0.5, (0, 0, 3)), spins), -0.5 * jnp.sum(spins[..., 2] ** 2), atol=ROUNDING)
    assert np.allclose(field_of(Zeeman((1, 0, -2)), spins), np.broadcast_to([1.0, 0, -2], spins.shape), atol=ROUNDING)


@jax.jit
def energies_along(term, directions):
    return jax.vmap(lambda n: term.energy(normalize(n)[None, None]))(directions)


def test_cubic_anisotropy_along_the_directions_of_tables():
    directions = jnp.array([[1.0, 0, 0], [0, 1, 1], [1, -1, 1], [0.6, 0.8, 0]])
    expected = [0, 0.7 / 4, 0.7 / 3 + 0.2 / 27, 0.7 * 0.36 * 0.64]
    assert np.allclose(energies_along(CubicAnisotropy(0.7, 0.2), directions), expected, atol=ROUNDING)
    turn = random_rotation(key=jax.random.key(3))
    turned = CubicAnisotropy(0.7, 0.2, axes=2 * turn.T)  # the images of x, y, z as rows, of any length
    assert np.allclose(energies_along(turned, directions @ turn.T), expected, atol=ROUNDING)


def test_uniaxial_anisotropy_follows_its_angles():
    theta, phi = np.linspace(0, np.pi, 7), np.linspace(-1, 2, 7)
    directions = jnp.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    square = np.sin(theta) ** 2
    expected = 0.5 * square - 0.3 * square**2 + square**3 * (0.2 + 0.1 * np.cos(6 * phi))
    term = UniaxialAnisotropy(0.5, -0.3, 0.2, 0.1)
    assert np.allclose(energies_along(term, directions), expected, atol=ROUNDING)
    turn = random_rotation(key=jax.random.key(3))
    turned = UniaxialAnisotropy(0.5, -0.3, 0.2, 0.1, axis=3 * turn[:, 2], basal=turn[:, 0] + 0.5 * turn[:, 2])
    assert np.allclose(energies_along(turned, directions @ turn.T), expected, atol=ROUNDING)
    easy = energies_along(Anisotropy(0.5), directions)
    assert np.allclose(energies_along(UniaxialAnisotropy(0.5), directions), easy + 0.5, atol=ROUNDING)


PROFILES = {
    "gaussian": (GaussianPulse(5.0, 1.5), lambda t: np.exp(-((t - 5) ** 2) / (2 * 1.5**2))),
    "wave packet": (
        GaussianPulse(5.0, 1.5, 3.0, 0.2),
        lambda t: np.exp(-((t - 5) ** 2) / 4.5) * np.cos(3 * (t - 5) + 0.2),
    ),
    "sinusoid": (Sinusoid(0.7, -np.pi / 2), lambda t: np.sin(0.7 * t)),
    "ramp": (Ramp(0, 1, 4, start=2.0), lambda t: np.clip((t - 2) / 4, 0, 1)),
    "knots": (PiecewiseLinear([2.0, 1.0, 4.0], 5.0, start=2.0), lambda t: np.interp(t, [2, 4.5, 7], [2, 1, 4], 0, 0)),
    "callable": (jax.tree_util.Partial(jnp.tanh), np.tanh),
}


@pytest.mark.parametrize("name", PROFILES)
def test_pulse_follows_its_profile(name, key):
    profile, expected = PROFILES[name]
    spins = random_spins(chain(4), key=key, dtype=jnp.float32)
    pulse, applied = ZeemanPulse((0.0, 1.0, 2.0), profile), np.array([0.0, 1.0, 2.0])
    for t in (0.0, 3.1, 5.0, 9.0):
        field = field_of(pulse, spins, jnp.asarray(t, jnp.float32))
        assert field.dtype == jnp.float32
        assert np.allclose(field, expected(t) * applied, atol=2e-6)  # single precision
        assert np.allclose(field_of(pulse, spins, t), field, atol=2e-6)


@pytest.mark.double
def test_pulse_parameters_are_differentiable(key):
    spins = random_spins(chain(4), key=key)

    def energy(center):
        return ZeemanPulse((0.0, 0.0, 1.0), GaussianPulse(center, 1.5)).energy(spins, 4.0)

    h = 1e-5
    slope = (energy(jnp.array(5.0 + h)) - energy(jnp.array(5.0 - h))) / (2 * h)
    assert np.isclose(jax.grad(energy)(jnp.array(5.0)), slope, atol=DIFFERENCE)


@pytest.mark.double
def test_a_pulse_by_its_values_is_differentiable_and_tells_its_corners(key):
    spins, values = random_spins(chain(4), key=key), jnp.array([0.0, 1.0, -2.0, 0.5])

    def energy(values):
        return ZeemanPulse((0.0, 0.0, 1.0), PiecewiseLinear(values, 6.0)).energy(spins, 3.5)

    # between the second value, at t = 2, and the third, at t = 4
    up = -jnp.sum(spins[..., 2])
    assert np.allclose(jax.grad(energy)(values), up * jnp.array([0.0, 0.25, 0.75, 0.0]), atol=ROUNDING)
    pulse = ZeemanPulse((0.0, 0.0, 1.0), PiecewiseLinear(values, 6.0, start=1.0))
    assert [float(t) for t in pulse.times_of_change()] == [1, 3, 5, 7]


def test_fields_lower_for_every_platform():
    lattice = kagome(4, 4)
    total = Exchange(lattice, (1.0, 0.2)) + DzyaloshinskiiMoriya(lattice, 0.3) + Anisotropy(0.1)
    total = total + ZeemanPulse((0.0, 0.0, 1.0), Ramp(0.0, 1.0, 1.0))
    spins = textures.ferromagnet(lattice, dtype=jnp.float32)
    exported = jax.export.export(jax.jit(lambda s: total.field(s, 0.5)), platforms=["cpu", "cuda", "tpu"])(spins)
    assert exported.out_avals[0].dtype == jnp.float32


REFUSED = [
    (lambda: Exchange(OPEN, jnp.ones((4, 5))), r"give one number, or \(4, 5, 3\) for a value on each bond"),
    (lambda: Exchange(OPEN, (1.0, jnp.ones(3))), r"do not fit shell 2 .* each bond of lattice\.shell\(2\)"),
    (lambda: DzyaloshinskiiMoriya(OPEN, jnp.ones(2)), r"give one number, or \(4, 5, 3\)"),
    (lambda: DzyaloshinskiiMoriya(OPEN, 1.0, "neel"), "use 'interfacial', 'bulk' or an array"),
    (
        lambda: DzyaloshinskiiMoriya(OPEN, 1.0, jnp.ones((2, 3))),
        r"give one vector a bond, \(3, 3\), in the order of",
    ),
    (lambda: Anisotropy(1.0, (1.0, 0.0)), r"has no three components; give \(3,\)"),
    (lambda: CubicAnisotropy(1.0, axes=np.eye(2)), r"are no three vectors; give \(3, 3\)"),
    (lambda: CubicAnisotropy(1.0, axes=np.eye(3) + 0.01), "at right angles, these are not; give three such"),
    (
        lambda: CubicAnisotropy(1.0, jnp.ones((4, 5))).energy(textures.ferromagnet(OPEN)),
        r"sixth of shape \(4, 5\) .* give one number, or \(4, 5, 1\)",
    ),
    (lambda: UniaxialAnisotropy(1.0, axis=(1.0, 0.0)), r"has no three components; give \(3,\)"),
    (lambda: UniaxialAnisotropy(1.0, sixfold=0.1, axis=(2.0, 0.0, 0.0)), "lies along the axis .* give another"),
    (
        lambda: UniaxialAnisotropy(1.0, fourth=jnp.ones((4, 5))).energy(textures.ferromagnet(OPEN)),
        r"fourth of shape \(4, 5\) .* give one number, or \(4, 5, 1\)",
    ),
    (
        lambda: DipoleDipole(OPEN, 1.0, jnp.ones(2)),
        r"moment of shape \(2,\) .* \(1,\) for one a sublattice, or \(4, 5, 1\)",
    ),
    (lambda: DipoleDipole(OPEN, jnp.ones(2)), "not one number; give one"),
    (
        lambda: DipoleDipole(OPEN, 1.0, demagnetization=0.0),
        "leave demagnetization out, or make all three axes periodic",
    ),
    (lambda: DipoleDipole(cubic(2), 1.0, demagnetization=[1, 2]), "give one number, or three"),
    (
        lambda: DipoleDipole(OPEN, 1.0, jnp.ones(OPEN.shape)).on(OPEN.resize(6)),
        "the same in every cell moves to another",
    ),
    (lambda: Zeeman(1.0), r"has no three components; give \(3,\)"),
    (lambda: Zeeman(jnp.ones((2, 3))).energy(textures.ferromagnet(OPEN)), r"\(1, 3\) .*, or \(4, 5, 1, 3\)"),
    (
        lambda: Anisotropy(jnp.ones((4, 5))).energy(textures.ferromagnet(OPEN)),
        r"strength of shape \(4, 5\) .* give one number, or \(4, 5, 1\)",
    ),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_wrong_shapes_are_refused_with_the_remedy(case):
    make, text = REFUSED[case]
    with pytest.raises(ValueError, match=text):
        make()
