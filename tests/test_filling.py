"""The Fermi level of the clusters: against exact spectra, its symmetries, and its part in the energy's gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import jaxspin as js
from jaxspin.descriptors import AtFilling, Bispectrum, LocalMoments
from jaxspin.forcefield import BehlerParrinello, load, save
from jaxspin.spins import dilute, random_spins
from tests.laws import assert_potential

# The series of the Fermi function is cut off where its terms are exp(-3 pi) of the whole.
SERIES = 1e-3
# Chebyshev recursions of order ten, and the bisection down to the last bit, in double precision.
ROUNDING = 1e-11
# Central differences with a step of 1e-4 in double precision.
DIFFERENCES = 1e-6

DESCRIPTORS = {
    # triangles of bonds, and orbitals against the spins that do not follow from those along them
    "chain": AtFilling(LocalMoments(js.chain(9), 2.0, (1.0, 0.4), hops=1, moments=6), filling=0.3),
    "square": AtFilling(LocalMoments(js.square(5), 2.0, hops=2, moments=8), filling=0.4),
    "triangular": AtFilling(LocalMoments(js.triangular(5), 2.0, hops=1, moments=6), filling=0.3),
    "honeycomb": AtFilling(LocalMoments(js.honeycomb(4), 1.0, hops=2, moments=6, weights=True), filling=0.6),
}
SLOW = pytest.mark.slow
NAMES = [pytest.param(name, marks=SLOW if name in ("triangular", "honeycomb") else ()) for name in DESCRIPTORS]


def curved(descriptor):
    """A force field whose network is not trained and not linear."""
    model = BehlerParrinello(descriptor=descriptor, hidden=(5,), key=jax.random.key(2))
    rng = np.random.default_rng(0)
    units = [jnp.asarray(x) for x in (rng.normal(size=model.mean.shape), rng.uniform(0.2, 0.5, model.mean.shape))]
    model = eqx.tree_at(lambda m: (m.mean, m.deviation), model, units)
    return eqx.tree_at(lambda m: m.network, model, jax.tree.map(lambda x: x + 0.1, model.network))


@eqx.filter_jit
def level_of(descriptor, spins):
    return descriptor.fermi_level(spins)


def exact_level(lattice, coupling, filling, temperature, spins):
    occupied = np.asarray(jnp.any(spins != 0, axis=-1))
    matrix = np.asarray(js.SDModel(lattice, 1.0, coupling, occupied=occupied).dense(spins))
    orbitals = np.flatnonzero(np.repeat(occupied.reshape(-1), 2))
    levels = np.linalg.eigvalsh(matrix[np.ix_(orbitals, orbitals)])

    def excess(mu):
        return np.mean(1 / (1 + np.exp((levels - mu) / temperature))) - filling

    return brentq(excess, -30, 30)


@pytest.mark.parametrize(
    ("lattice", "filling", "vacancies"),
    [
        (js.square(4), 0.485, False),
        pytest.param(js.square(4), 0.1, True, marks=SLOW),
        pytest.param(js.triangular(3), 0.25, False, marks=SLOW),
        (js.triangular(3), 0.8, True),
        (js.square(4, periodic=False), 0.3, True),
    ],
)
def test_level_of_clusters_that_hold_the_lattice_is_exact(lattice, filling, vacancies, key):
    moments = LocalMoments(lattice, 2.0, hops=4, moments=24, wrap=True)
    descriptor = AtFilling(moments, filling=filling)
    spins = random_spins(lattice, key=key)
    if vacancies:
        spins = dilute(spins, jnp.arange(lattice.sites).reshape(lattice.shape) % 5 != 1)
    temperature = 3 * moments.halfwidth / 27
    expected = exact_level(lattice, 2.0, filling, temperature, spins)
    np.testing.assert_allclose(level_of(descriptor, spins), expected, atol=SERIES)
    assert abs(exact_level(lattice, 2.0, filling + 0.02, temperature, spins) - expected) > 20 * SERIES


@eqx.filter_jit
def everything(descriptor, spins):
    return descriptor(spins), descriptor.descriptor(spins), descriptor.fermi_level(spins)


@pytest.mark.parametrize("name", NAMES)
def test_last_row_is_the_level_and_the_others_are_those_of_the_moments(name, key):
    descriptor = DESCRIPTORS[name]
    spins = random_spins(descriptor.lattice, key=key)
    features, inner, level = everything(descriptor, spins)
    assert features.shape == (*descriptor.lattice.shape, len(descriptor.labels))
    np.testing.assert_allclose(features[..., : inner.shape[-1]], inner, atol=ROUNDING)
    np.testing.assert_allclose(features[..., -1], level, atol=ROUNDING)
    assert descriptor.labels[-1] == "Fermi level"


def test_orbitals_against_the_spins_are_those_at_the_opposite_coupling(key):
    square, triangular = DESCRIPTORS["square"], DESCRIPTORS["triangular"]
    assert square.n_own == square.descriptor.n_own
    spins = random_spins(square.lattice, key=key)
    opposite = LocalMoments(square.lattice, -2.0, hops=2, moments=8)
    signs = np.where(np.arange(3, 11) % 2, -1.0, 1.0)[:, None, None, None]
    both = eqx.filter_jit(lambda spins: (opposite.own(spins), square.descriptor.own(spins)))(spins)
    np.testing.assert_allclose(both[0], signs * both[1], atol=ROUNDING)
    assert triangular.n_own == 2 * triangular.descriptor.n_own
    assert "against moment 3" in triangular.labels


@pytest.mark.parametrize("name", NAMES)
def test_energy_is_invariant_and_field_its_gradient(name, key):
    descriptor = DESCRIPTORS[name]
    spins = random_spins(descriptor.lattice, key=key)
    model = curved(descriptor)
    _, field = assert_potential(model, spins, key=key, invariance=1e-9, differences=DIFFERENCES)

    @eqx.filter_jit
    @eqx.filter_grad
    def at_level(spins, level):
        return model.energy_of_rows(descriptor.rows(spins).at[-1].set(level), spins)

    frozen = -np.asarray(at_level(spins, level_of(descriptor, spins)))
    assert np.abs(frozen - field).max() > 1e-3 * np.abs(field).max()


def test_level_does_not_depend_on_the_number_of_copies_of_a_lattice(key):
    descriptor = DESCRIPTORS["chain"]
    spins = random_spins(descriptor.lattice, key=key)
    larger = descriptor.on(js.chain(18))
    np.testing.assert_allclose(
        level_of(larger, jnp.concatenate([spins, spins])), level_of(descriptor, spins), atol=ROUNDING
    )


def test_level_is_stored_with_the_force_field(tmp_path, key):
    descriptor = DESCRIPTORS["chain"]
    spins = random_spins(descriptor.lattice, key=key)
    model = curved(descriptor)
    found = load(save(tmp_path / "model", model))
    assert found.descriptor == descriptor
    np.testing.assert_array_equal(found.energy(spins), model.energy(spins))


def test_single_precision_stays_single(key):
    descriptor = DESCRIPTORS["square"]
    spins = random_spins(descriptor.lattice, key=key)
    level = level_of(descriptor, spins.astype(jnp.float32))
    assert level.dtype == jnp.float32
    np.testing.assert_allclose(level, level_of(descriptor, spins), atol=1e-4)


def test_what_has_no_level_is_refused():
    with pytest.raises(ValueError, match="give AtFilling a LocalMoments"):
        AtFilling(Bispectrum(js.square(5), radius=1.0, bond_radius=1.0), filling=0.4)
    with pytest.raises(ValueError, match=r"0\.5 is half filling"):
        AtFilling(LocalMoments(js.square(5), 2.0, hops=1, moments=4), filling=1.2)
