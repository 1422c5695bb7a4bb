"""Electrons of overlapping clusters: against exact diagonalization, their symmetries, and what a force field adds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.descriptors import LocalElectrons, haydock
from jaxspin.forcefield import BehlerParrinello, load, save
from jaxspin.spins import dilute, random_spins, tangent
from jaxspin.testing import assert_field_is_gradient, assert_invariant

# Recursions of order ten and their reverse, in double precision.
ROUNDING = 1e-10
# What the end of a chain adds to the free energy (1e-8 in units of the bandwidth squared), and the poles (1e-5).
POLES = 2e-5
# Central differences with a step of 1e-4 in double precision.
DIFFERENCES = 1e-6

DESCRIPTORS = {
    "square": LocalElectrons(js.square(5), 2.0, filling=0.4, hops=2, steps=5),
    "triangular": LocalElectrons(js.triangular(5), 2.0, filling=0.3, hops=1, steps=4, surroundings=2, chunk=7),
    "honeycomb": LocalElectrons(js.honeycomb(4), 1.0, (1.0, 0.2), filling=0.6, hops=1, steps=4, surroundings=0),
}


def curved(descriptor, spins):
    """A force field whose network is not trained and not linear."""
    model = BehlerParrinello(descriptor=descriptor, hidden=(5,), key=jax.random.key(2))
    model = model.standardized(spins[None], shift=0.3, scale=0.7)
    # one configuration does not tell how much the Fermi level changes
    model = eqx.tree_at(lambda m: m.deviation, model, jnp.maximum(model.deviation, 0.05))
    return eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: x + 0.1, model.network))


@pytest.mark.parametrize(("steps", "temperature"), [(4, 0.3), (12, 0.3), (12, 0.02)])
def test_chain_has_the_electrons_of_its_matrix(steps, temperature, key):
    matrix = jax.random.normal(key, (12, 12))
    matrix = matrix + matrix.T
    matrix = matrix / (1.1 * jnp.max(jnp.abs(jnp.linalg.eigvalsh(matrix))))
    first = jnp.zeros((12, 1)).at[0].set(1)
    levels, squares = haydock.chain(haydock.coefficients(lambda v: (matrix @ v[0],), (first,), steps))
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
        (js.square(4), 0.485, False),
        (js.square(4), 0.1, True),
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
    occupied = None
    if vacancies:
        occupied = jnp.arange(lattice.sites).reshape(lattice.shape) % 5 != 1
        spins, occupied = dilute(spins, occupied), np.asarray(occupied)
    model = js.SDModel(lattice, 1.0, 2.0, occupied=occupied)
    exact = js.ExactDiagonalization(model, filling=filling, temperature=temperature)
    energy, field = exact.energy_and_field(spins)
    found, push = BehlerParrinello(descriptor=descriptor).energy_and_field(spins)
    np.testing.assert_allclose(found, energy, atol=2e-4 * lattice.sites)
    np.testing.assert_allclose(tangent(spins, push), tangent(spins, field), atol=1e-4)
    assert float(jnp.abs(tangent(spins, field)).max()) > 0.02
    np.testing.assert_allclose(eqx.filter_jit(descriptor.fermi_level)(spins), exact.fermi_level(spins), atol=2e-3)


@pytest.mark.parametrize("name", ["square", "triangular", pytest.param("honeycomb", marks=pytest.mark.slow)])
def test_energy_is_invariant_and_field_its_gradient(name, key):
    descriptor = DESCRIPTORS[name]
    spins = random_spins(descriptor.lattice, key=key)
    model = curved(descriptor, spins)
    assert_invariant(model.energy, descriptor.lattice, key=key, atol=1e-9)
    assert_field_is_gradient(model, spins, key=key, atol=DIFFERENCES)
    _, field = model.energy_and_field(spins)
    np.testing.assert_allclose(field, -eqx.filter_jit(eqx.filter_grad(lambda s: model.energy(s)))(spins), atol=1e-9)
    assert eqx.filter_jit(descriptor)(spins).shape == (*descriptor.lattice.shape, len(descriptor.labels))


def test_derivative_of_the_field_is_that_of_differences(key):
    """Training on trajectories needs it; the Fermi level is an implicit function, differentiated twice."""
    descriptor = DESCRIPTORS["square"]
    spins = random_spins(descriptor.lattice, key=key)
    model = curved(descriptor, spins)
    direction = tangent(spins, jax.random.normal(jax.random.key(1), spins.shape))
    weights = jax.random.normal(jax.random.key(3), spins.shape)

    @jax.jit
    def along(h):
        return jnp.sum(weights * model.energy_and_field(js.spins.normalize(spins + h * direction))[1])

    step = 1e-3
    near, far = (along(n * step) - along(-n * step) for n in (1.0, 2.0))
    np.testing.assert_allclose(jax.grad(along)(0.0), (8 * near - far) / (12 * step), rtol=1e-7)


@pytest.mark.parametrize(
    "order", [pytest.param("ferromagnet", marks=pytest.mark.slow), "antiferromagnet", "tetrahedral"]
)
def test_symmetric_states_end_the_chains_early_and_have_finite_slopes(order, key):
    """The orbital at the centre does not reach all states: the recursion must not go on with rounding errors."""
    lattice = js.triangular(6) if order == "tetrahedral" else js.square(6)
    if order == "tetrahedral":
        spins = js.textures.tetrahedral(lattice)
    else:
        signs = (-1.0) ** (np.indices(lattice.cells).sum(0)) if order == "antiferromagnet" else np.ones(lattice.cells)
        spins = jnp.zeros((*lattice.shape, 3)).at[..., 2].set(jnp.asarray(signs)[..., None])
    descriptor = LocalElectrons(lattice, 3.0, filling=0.25, hops=2, steps=12, surroundings=0)
    model = curved(descriptor, random_spins(lattice, key=key))
    energy, field = model.energy_and_field(spins)
    single_energy, single = model.energy_and_field(spins.astype(jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single_energy, energy, rtol=1e-4)
    np.testing.assert_allclose(single, field, atol=2e-4)
    assert float(jnp.abs(tangent(spins, field)).max()) < 1e-6
    assert_field_is_gradient(model, spins, key=key, atol=DIFFERENCES)


def test_fermi_level_in_a_gap_is_not_made_by_rounding(key):
    """Too cold to tell it is anywhere in the gap: a smooth choice, the same in single precision."""
    lattice = js.triangular(6)
    ordered = js.tetrahedral(lattice)
    spins = js.spins.normalize(ordered + 0.05 * random_spins(lattice, key=key))
    descriptor = LocalElectrons(lattice, 6.0, filling=0.25, hops=2, steps=9, temperature=0.02)
    level = eqx.filter_jit(descriptor.fermi_level)
    found, single = float(level(spins)), float(level(spins.astype(jnp.float32)))
    assert abs(single - found) < 5e-3
    slope = eqx.filter_jit(eqx.filter_grad(descriptor.fermi_level))
    assert float(np.abs(np.asarray(slope(spins.astype(jnp.float32))) - np.asarray(slope(spins))).max()) < 0.05


def test_features_mean_the_same_on_a_larger_lattice(key):
    descriptor = DESCRIPTORS["triangular"]
    spins = random_spins(descriptor.lattice, key=key)
    larger = descriptor.on(js.triangular(10, 5))
    np.testing.assert_allclose(
        larger.rows(jnp.concatenate([spins, spins]))[..., :5, :], descriptor.rows(spins), atol=ROUNDING
    )


def test_memory_of_a_field_is_some_floats_a_site(key):
    """Of the chains only their coefficients and features are kept for all sites: some 150 numbers here."""

    side = 96
    lattice = js.square(side)
    descriptor = LocalElectrons(lattice, 1.0, filling=0.3, hops=2, steps=15)
    model = BehlerParrinello(descriptor=descriptor, hidden=(8,))
    spins = random_spins(lattice, key=key, dtype=jnp.float32)
    program = jax.jit(lambda s: model.field(s)).lower(spins).compile()
    assert program.memory_analysis().temp_size_in_bytes < 4000 * side**2


def test_it_is_stored_with_the_force_field(tmp_path, key):
    descriptor = DESCRIPTORS["honeycomb"]
    spins = random_spins(descriptor.lattice, key=key)
    model = curved(descriptor, spins)
    found = load(save(tmp_path / "model", model))
    assert found.descriptor == descriptor
    np.testing.assert_array_equal(eqx.filter_jit(found.energy)(spins), eqx.filter_jit(model.energy)(spins))


def test_the_mean_energy_counts_what_is_known(key):
    """`shift` is the mean energy of the data: the network, zero before training, adds what the estimate lacks."""
    descriptor = DESCRIPTORS["square"]
    spins = jax.vmap(lambda k: random_spins(descriptor.lattice, key=k))(jax.random.split(key, 3))
    model = BehlerParrinello(descriptor=descriptor).standardized(spins, shift=-2.5)
    energies = jax.lax.map(model.energy, spins)
    np.testing.assert_allclose(jnp.mean(energies) / descriptor.lattice.sites, -2.5, atol=1e-9)
    assert float(jnp.std(energies)) > 0.05


def test_what_is_known_is_part_of_the_energy_alone(key):
    """Not of the generator of a generalized potential, and of a descriptor around this one as well."""
    lattice = js.square(4, 3, periodic=(False, True))
    inner = LocalElectrons(lattice, 2.0, filling=0.4, hops=1, steps=3)
    around = js.NearEnds(inner, lengths=(1.0,))
    spins = random_spins(lattice, key=key)
    energy = BehlerParrinello(descriptor=inner).energy(spins)
    assert abs(float(energy)) > 1
    for descriptor in (inner, around):
        found, generator = js.GeneralizedPotential(descriptor, hidden=(4,)).potentials(spins)
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
