"""Electrons of overlapping clusters: against exact diagonalization, their symmetries, and what a force field adds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import jaxspin as js
from jaxspin.descriptors import LocalElectrons, haydock
from jaxspin.forcefield import BehlerParrinello, load, save
from jaxspin.spins import dilute, random_spins, tangent
from tests.laws import assert_potential

# Recursions of order ten and their reverse, in double precision.
ROUNDING = 1e-10
# What the end of a chain adds to the free energy (1e-8 in units of the bandwidth squared), and the poles (1e-5).
POLES = 2e-5
# Central differences with a step of 1e-4 in double precision.
DIFFERENCES = 1e-6

SLOW = pytest.mark.slow
DESCRIPTORS = {
    # triangles of bonds, and orbitals against the spins that do not follow from those along them
    "chain": LocalElectrons(js.chain(9), 2.0, (1.0, 0.4), filling=0.3, hops=1, steps=4, chunk=5),
    "square": LocalElectrons(js.square(5), 2.0, filling=0.4, hops=2, steps=5),
    "triangular": LocalElectrons(js.triangular(5), 2.0, filling=0.3, hops=1, steps=4, surroundings=2, chunk=7),
    "honeycomb": LocalElectrons(js.honeycomb(4), 1.0, (1.0, 0.2), filling=0.6, hops=1, steps=4, surroundings=0),
}


def curved(descriptor):
    """A force field whose network is not trained and not linear."""
    model = BehlerParrinello(descriptor=descriptor, hidden=(5,), key=jax.random.key(2))
    rng = np.random.default_rng(0)
    units = [jnp.asarray(x) for x in (rng.normal(size=model.mean.shape), rng.uniform(0.2, 0.5, model.mean.shape))]
    model = eqx.tree_at(lambda m: (m.mean, m.deviation), model, units)
    return eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: x + 0.1, model.network))


def dense_electrons(lattice, filling, temperature, spins):
    """Energy at fixed filling, field and Fermi level from the matrix of all sites with a spin, in NumPy."""
    occupied = np.any(np.asarray(spins) != 0, axis=-1)
    matrix = np.asarray(js.SDModel(lattice, 1.0, 2.0, occupied=occupied).dense(spins))
    orbitals = np.flatnonzero(np.repeat(occupied.reshape(-1), 2))
    e, v = np.linalg.eigh(matrix[np.ix_(orbitals, orbitals)])

    def filled(mu):
        return 1 / (1 + np.exp((e - mu) / temperature))

    mu = brentq(lambda mu: np.mean(filled(mu)) - filling, -30, 30, xtol=1e-13)
    density = ((v * filled(mu)) @ v.conj().T).reshape(len(e) // 2, 2, -1, 2)
    blocks = density[np.arange(len(density)), :, np.arange(len(density))]
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    field = np.zeros(spins.shape)
    field[occupied] = 2.0 * np.einsum("iab,cba->ic", blocks, pauli).real
    return -temperature * np.sum(np.logaddexp(0, (mu - e) / temperature)) + mu * filling * len(e), field, mu


@pytest.mark.parametrize(("steps", "temperature"), [(4, 0.3), (12, 0.3), (12, 0.02)])
def test_chain_has_the_electrons_of_its_matrix(steps, temperature, key):
    matrix = jax.random.normal(key, (12, 12))
    matrix = matrix + matrix.T
    matrix = matrix / (1.1 * jnp.max(jnp.abs(jnp.linalg.eigvalsh(matrix))))
    first = jnp.zeros((12, 2, 2, 1)).at[0, 1, 0].set(1)
    levels, squares = haydock.chain(haydock.coefficients(lambda v: jnp.tensordot(matrix, v, axes=1), first, steps))
    mu = jnp.full(1, 0.1)
    omega, number = haydock.filled(levels, squares, mu, temperature)
    hops = np.sqrt(squares[:-1, 0])
    e, v = np.linalg.eigh(np.diag(levels[:, 0]) + np.diag(hops, 1) + np.diag(hops, -1))
    expected = -temperature * np.sum(v[0] ** 2 * np.logaddexp(0, (0.1 - e) / temperature))
    np.testing.assert_allclose(omega, expected, atol=1e-8)
    np.testing.assert_allclose(number, np.sum(v[0] ** 2 / (1 + np.exp((e - 0.1) / temperature))), atol=POLES)
    # the first 2n moments are those of the matrix, and so is all else when the chain is complete
    e, v = np.linalg.eigh(matrix)
    moments = [np.sum(v[0] ** 2 * np.cos(k * np.arccos(e))) for k in range(3, 2 * steps)]
    np.testing.assert_allclose(haydock.moments(levels, squares)[:, 0], moments, atol=1e-6)
    if steps == 12:
        exact = -temperature * np.sum(v[0] ** 2 * np.logaddexp(0, (0.1 - e) / temperature))
        np.testing.assert_allclose(omega, exact, atol=1e-6)


@pytest.mark.parametrize(
    ("lattice", "filling", "vacancies"),
    [
        pytest.param(js.square(4), 0.485, False, marks=pytest.mark.slow),
        pytest.param(js.square(4), 0.1, True, marks=pytest.mark.slow),
        (js.triangular(3), 0.25, False),
        (js.square(4, periodic=False), 0.3, True),
    ],
)
def test_clusters_that_hold_the_lattice_have_its_exact_energy_and_field(lattice, filling, vacancies, key):
    temperature = 0.2
    descriptor = LocalElectrons(
        lattice, 2.0, filling=filling, hops=6, steps=26, temperature=temperature, surroundings=0, wrap=True
    )
    spins = random_spins(lattice, key=key)
    if vacancies:
        spins = dilute(spins, jnp.arange(lattice.sites).reshape(lattice.shape) % 5 != 1)
    energy, field, level = dense_electrons(lattice, filling, temperature, spins)
    free = descriptor.labels.index("free energy")

    @jax.jit
    def solved(spins):
        rows, pullback = descriptor.rows_and_pullback(spins)
        return jnp.sum(rows[free]), -pullback(jnp.zeros_like(rows).at[free].set(1)), rows[-1]

    found, push, levels = solved(spins)
    np.testing.assert_allclose(found, energy, atol=2e-4 * lattice.sites)
    np.testing.assert_allclose(tangent(spins, push), tangent(spins, jnp.asarray(field)), atol=1e-4)
    assert float(jnp.abs(tangent(spins, jnp.asarray(field))).max()) > 0.02
    np.testing.assert_allclose(levels, np.full(levels.shape, level), atol=2e-3)


def test_the_recursion_backwards_is_its_reverse_derivative(key):
    """With respect to the first vectors and to the parameters x of H = sum_i x_i H_i, of several chains at once."""
    keys = jax.random.split(key, 4)
    parts = jax.random.normal(keys[0], (3, 6, 6))
    parts = parts + jnp.swapaxes(parts, 1, 2)
    x, first, slopes = (
        jax.random.normal(k, shape) for k, shape in zip(keys[1:], ((3, 2), (6, 2, 2, 2), (7, 2)), strict=True)
    )
    x, first = x / 20, first / jnp.sqrt(jnp.sum(first**2, axis=(0, 1, 2), keepdims=True))

    def times(x, vector):
        return jnp.einsum("pm,pij,jscm->iscm", x, parts, vector)

    def between(phi, vector):
        return tuple(jnp.einsum("iscm,ij,jscm->m", phi, part, vector) for part in parts)

    @jax.jit
    def both(x, first):
        _, reverse = jax.vjp(lambda x, v: haydock.coefficients(lambda w: times(x, w), v, 4), x, first)
        return reverse(slopes), haydock.pullback(lambda w: times(x, w), first, slopes, between)

    (of_x, of_first), (found_first, found_x) = both(x, first)
    np.testing.assert_allclose(found_first, of_first, rtol=1e-9, atol=ROUNDING)
    np.testing.assert_allclose(jnp.stack(found_x), of_x, rtol=1e-9, atol=ROUNDING)
    assert float(jnp.abs(of_x).min()) > 1e-3


@pytest.mark.parametrize("name", ["chain", pytest.param("square", marks=SLOW)])
def test_the_pullback_is_the_reverse_derivative(name, key):
    """The slope of the Fermi level joins those of the electrons: one pass over the chains, and not two."""
    descriptor = DESCRIPTORS[name]
    spins = random_spins(descriptor.lattice, key=key)
    spins = dilute(spins, jnp.arange(descriptor.lattice.sites).reshape(descriptor.lattice.shape) % 4 != 1)
    slopes = jax.random.normal(jax.random.key(4), jax.eval_shape(descriptor.rows, spins).shape)

    @jax.jit
    def both(spins, slopes):
        rows, reverse = jax.vjp(descriptor.rows, spins)
        found, pullback = descriptor.rows_and_pullback(spins)
        return (rows, reverse(slopes)[0]), (found, pullback(slopes))

    (rows, reverse), (found, pulled) = both(spins, slopes)
    np.testing.assert_allclose(found, rows, atol=ROUNDING)
    np.testing.assert_allclose(pulled, reverse, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [pytest.param(n, marks=SLOW if n[0] in "th" else ()) for n in DESCRIPTORS])
def test_energy_is_invariant_and_field_its_gradient(name, key):
    descriptor = DESCRIPTORS[name]
    spins = random_spins(descriptor.lattice, key=key)
    # the recursion backwards is all that is not plain reverse mode, and has a test of its own
    plain = 1e-9 if name in ("triangular", "honeycomb") else None
    assert_potential(curved(descriptor), spins, key=key, invariance=1e-9, plain=plain, differences=DIFFERENCES)
    features = jax.eval_shape(descriptor, spins)
    assert features.shape == (*descriptor.lattice.shape, len(descriptor.labels))


@pytest.mark.parametrize("backwards", [False, pytest.param(True, marks=SLOW)])
def test_derivative_of_the_field_is_that_of_differences(backwards, key):
    """Training on trajectories needs it; the Fermi level is an implicit function, differentiated twice."""
    descriptor = LocalElectrons(js.chain(6), 2.0, filling=0.4, hops=1, steps=3, surroundings=0)
    spins = random_spins(descriptor.lattice, key=key)
    model = curved(descriptor)
    direction = tangent(spins, jax.random.normal(jax.random.key(1), spins.shape))
    weights = jax.random.normal(jax.random.key(3), spins.shape)

    def along(h):
        return jnp.sum(weights * model.energy_and_field(js.spins.normalize(spins + h * direction))[1])

    def forwards(h):
        return jax.jvp(along, (h,), (jnp.ones_like(h),))

    step = 1e-3
    values, slopes = jax.jit(lambda h: jax.lax.map(forwards, h))(step * jnp.arange(-2.0, 3.0))
    (back, behind, _, ahead, front), found = np.asarray(values), np.asarray(slopes)[2]
    np.testing.assert_allclose(found, (8 * (ahead - behind) - (front - back)) / (12 * step), rtol=1e-7)
    if backwards:
        np.testing.assert_allclose(jax.jit(jax.grad(along))(0.0), found, rtol=1e-9)


@pytest.mark.parametrize(
    "order", [pytest.param("ferromagnet", marks=SLOW), "antiferromagnet", pytest.param("tetrahedral", marks=SLOW)]
)
def test_symmetric_states_end_the_chains_early_and_have_finite_slopes(order, key):
    """The orbital at the centre does not reach all states: the recursion must not go on with rounding errors."""
    lattice = js.triangular(6) if order == "tetrahedral" else js.chain(6)
    if order == "tetrahedral":
        spins = js.textures.tetrahedral(lattice)
    else:
        signs = (-1.0) ** (np.indices(lattice.cells).sum(0)) if order == "antiferromagnet" else np.ones(lattice.cells)
        spins = jnp.zeros((*lattice.shape, 3)).at[..., 2].set(jnp.asarray(signs)[..., None])
    descriptor = LocalElectrons(lattice, 3.0, filling=0.25, hops=2, steps=12, surroundings=0)
    model = curved(descriptor)
    energy, field = assert_potential(model, spins, key=key, differences=DIFFERENCES)
    single_energy, single = model.energy_and_field(spins.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single_energy, energy, rtol=1e-4)
    np.testing.assert_allclose(single, field, atol=2e-4)
    assert float(jnp.abs(tangent(spins, jnp.asarray(field))).max()) < 1e-6


def test_fermi_level_in_a_gap_is_not_made_by_rounding(key):
    """Too cold to tell it is anywhere in the gap: a smooth choice, the same in single precision."""
    lattice = js.triangular(6)
    ordered = js.textures.tetrahedral(lattice)
    spins = js.spins.normalize(ordered + 0.05 * random_spins(lattice, key=key))
    descriptor = LocalElectrons(lattice, 6.0, filling=0.25, hops=2, steps=9, temperature=0.02)
    direction = jax.random.normal(jax.random.key(1), spins.shape)
    both = jax.jit(lambda spins, along: jax.jvp(lambda s: descriptor.fermi_level(s), (spins,), (along,)))
    found, slope = both(spins, direction)
    single, single_slope = both(spins.astype(jnp.float32), direction.astype(jnp.float32))
    assert abs(float(single) - float(found)) < 5e-3
    assert abs(float(single_slope) - float(slope)) < 0.05


def test_features_mean_the_same_on_a_larger_lattice(key):
    descriptor = DESCRIPTORS["chain"]
    spins = random_spins(descriptor.lattice, key=key)
    larger = descriptor.on(js.chain(18))
    rows = eqx.filter_jit(lambda descriptor, spins: descriptor.rows(spins))
    np.testing.assert_allclose(
        rows(larger, jnp.concatenate([spins, spins]))[..., :9], rows(descriptor, spins), atol=ROUNDING
    )


def test_memory_of_a_field_is_some_floats_a_site(key):
    """Of the chains only their coefficients and features are kept for all sites: some 150 numbers here."""

    side = 96
    lattice = js.square(side)
    descriptor = LocalElectrons(lattice, 1.0, filling=0.3, hops=2, steps=15, surroundings=0)
    model = BehlerParrinello(descriptor=descriptor, hidden=(8,))
    spins = random_spins(lattice, key=key, dtype=jnp.float32)
    program = jax.jit(lambda s: model.field(s)).lower(spins).compile()
    assert program.memory_analysis().temp_size_in_bytes < 4000 * side**2


def test_it_is_stored_with_the_force_field(tmp_path):
    model = curved(DESCRIPTORS["honeycomb"])
    found = load(save(tmp_path / "model", model))
    assert found.descriptor == model.descriptor
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(model), strict=True):
        np.testing.assert_array_equal(a, b)


SMALL = LocalElectrons(js.chain(5, periodic=(False,)), 2.0, filling=0.4, hops=1, steps=3, surroundings=0)


def test_the_mean_energy_counts_what_is_known(key):
    """`shift` is the mean energy of the data: the network, zero before training, adds what the estimate lacks."""
    spins = jnp.stack([random_spins(SMALL.lattice, key=k) for k in jax.random.split(key, 3)])
    model = BehlerParrinello(descriptor=SMALL, hidden=(4,)).standardized(spins, shift=-2.5)
    energies = [float(model.energy(s)) for s in spins]
    np.testing.assert_allclose(np.mean(energies) / SMALL.lattice.sites, -2.5, atol=1e-9)
    assert np.std(energies) > 0.05


def test_what_is_known_is_part_of_the_energy_alone(key):
    """Not of the generator of a generalized potential, and so of a descriptor around this one."""
    spins = random_spins(SMALL.lattice, key=key)
    energy = BehlerParrinello(descriptor=SMALL, hidden=(4,)).energy(spins)
    assert abs(float(energy)) > 1
    around = js.descriptors.NearEnds(SMALL, lengths=(1.0,))
    found, generator = js.forcefield.GeneralizedPotential(around, hidden=(4,)).potentials(spins)
    np.testing.assert_allclose(found, energy, rtol=1e-12)
    assert float(generator) == 0.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filling": 1.2}, r"0\.5 is half filling"),
        ({"temperature": 0.0}, r"0\.1 is usual"),
        ({"temperature": 1e-5}, r"resolve no temperature as low as 1e-05; use temperature=0\.0015 or more"),
        ({"steps": 2}, "do not come back from 2 hops; use steps=7"),
        ({"hops": 0, "steps": 3}, "use hops=1 or more"),
        ({"hops": 3, "steps": 8}, r"use at least \(7, 7\) cells"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValueError, match=message):
        LocalElectrons(js.square(5), 2.0, **({"filling": 0.4, "hops": 2, "steps": 6} | settings))
