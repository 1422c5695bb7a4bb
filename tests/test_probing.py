"""Probing: an unbiased estimate with its own gradient, and colourings that keep equal colours apart."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.arrays.spinors import join
from jaxspin.electrons import Coloring, ExactDiagonalization, ExactTrace, KernelPolynomial, SDModel
from jaxspin.spins import random_spins, retract, tangent
from tests.helpers import compiled
from tests.kpm_models import CASES, WARM

ROUNDING = 1e-11  # recursions of a few hundred steps on vectors of norm one
DIFFERENCE = 1e-6  # central differences with step 1e-4 of energies of order 100


def test_field_is_the_gradient_of_the_probing_estimate(key):
    """At fixed phases, whatever the estimate's error, and however few the moments."""
    model, ensemble = CASES["disorder, open ends"]
    kpm = KernelPolynomial(model, **ensemble, temperature=0.2, probes=Coloring(4), order=40)
    solve = compiled(lambda s: kpm.energy_and_field(s, key=key))
    spins = random_spins(model.lattice, key=key)
    step, field = 1e-4, solve(spins)[1]
    for turn in jnp.asarray(np.random.default_rng(0).normal(size=(3, *spins.shape))):
        work = -jnp.sum(field * jnp.cross(turn, spins))
        change = solve(retract(spins, step * turn))[0] - solve(retract(spins, -step * turn))[0]
        assert work == pytest.approx(float(change / (2 * step)), abs=DIFFERENCE)


@pytest.fixture(scope="module")
def probing():
    """A crude estimate at fixed chemical potential, and its field as a function of spins and key."""
    model = SDModel(lattices.chain(8), 1.0, 1.0)
    kpm = KernelPolynomial(model, chemical_potential=-0.5, temperature=0.3, probes=Coloring(2), tolerance=1e-6)
    return kpm, random_spins(model.lattice, key=jax.random.key(2)), compiled(lambda s, k: kpm.field(s, key=k))


def test_keys_choose_the_phases(probing, key):
    kpm, spins, field = probing
    first, second = jax.random.split(key)
    np.testing.assert_array_equal(field(spins, first), field(spins, first))
    assert jnp.max(jnp.abs(field(spins, first) - field(spins, second))) > 1e-3
    solve = compiled(lambda s: (kpm.energy(s), *kpm.energy_and_field(s)))
    energy, energy_too, always = solve(spins)
    np.testing.assert_array_equal(solve(spins)[2], always)
    assert energy == pytest.approx(float(energy_too), rel=1e-12)
    assert jnp.max(jnp.abs(field(spins, first) - always)) > 1e-3


def test_fresh_keys_are_unbiased(probing, key):
    """At fixed chemical potential the estimate is linear in the moments, so its mean is the exact field.

    Batched over keys, which must not change anything either.
    """
    kpm, spins, field = probing
    exact = ExactDiagonalization(kpm.model, chemical_potential=-0.5, temperature=0.3)
    number = 400
    keys = jax.random.split(key, number)
    fields = compiled(jax.vmap(lambda k: kpm.field(spins, key=k)))(keys)
    np.testing.assert_allclose(fields[3], field(spins, keys[3]), atol=ROUNDING)
    fields = tangent(jnp.broadcast_to(spins, fields.shape), fields)
    spread = jnp.std(fields, axis=0)
    assert jnp.sqrt(jnp.mean(spread**2)) > 0.01  # the phases matter
    deviation = (jnp.mean(fields, axis=0) - tangent(spins, exact.field(spins))) / (spread / number**0.5)
    # 24 components of unit variance, not all independent: their rms lies within 0.5 of 1 but for one seed in hundreds
    assert 0.5 < jnp.sqrt(jnp.mean(deviation**2)) < 1.5


def test_more_colours_less_error(key):
    """At least as number^(-(d+2)/2d) = 1/number in two dimensions, the law of the hardest case."""
    model = SDModel(lattices.square(12), 1.0, 1.0)
    settings = {"chemical_potential": -0.5, **WARM}
    spins = random_spins(model.lattice, key=key)
    expected = tangent(spins, ExactDiagonalization(model, **settings).field(spins))
    errors = []
    for number in (4, 16):
        kpm = KernelPolynomial(model, **settings, probes=Coloring(number))
        assert kpm.probes.colors(model.lattice).max() + 1 == number
        field = compiled(lambda s, kpm=kpm: kpm.field(s))(spins)
        errors.append(jnp.sqrt(jnp.mean((tangent(spins, field) - expected) ** 2)))
    assert errors[1] < errors[0] / 4


# Even, odd and prime sizes, all lattices, open and periodic edges.
COLORED = [
    lattices.chain(7),
    lattices.chain(16),
    lattices.chain(13, periodic=False),
    lattices.square(7),
    lattices.square(6, 9),
    lattices.square(7, 11, periodic=(True, False)),
    lattices.triangular(12),
    lattices.triangular(13, 7),
    lattices.triangular(9, periodic=False),
    lattices.honeycomb(5),
    lattices.kagome(7),
    lattices.cubic(4),
    lattices.cubic(5),
]


def shortest_distance(lattice, colors):
    """Between any two sites of one colour, periodic images included, a site's own images left out."""
    positions = lattice.positions().reshape(-1, lattice.dimension)
    periods = np.diag(lattice.cells) @ np.array(lattice.vectors)
    same = (colors.ravel()[:, None] == colors.ravel()) & ~np.eye(len(positions), dtype=bool)
    apart = positions[:, None] - positions
    wraps = itertools.product(*((-1, 0, 1) if p else (0,) for p in lattice.periodic))
    lengths = [np.linalg.norm(apart + np.array(wrap) @ periods, axis=-1) for wrap in wraps]
    return np.min(np.where(same, lengths, np.inf))


@pytest.mark.parametrize("lattice", COLORED, ids=lambda x: f"{x.name} {x.cells}")
@pytest.mark.parametrize("number", [1, 9, 16, 30])
def test_equal_colours_are_far_apart(lattice, number):
    """Every colour is used, at most `number` of them, and equal ones keep most of the distance of an ideal packing."""
    colors = Coloring(number).colors(lattice)
    assert colors.shape == lattice.shape
    used = np.unique(colors)
    np.testing.assert_array_equal(used, np.arange(len(used)))
    assert len(used) <= max(number, lattice.sublattices)
    volume = abs(np.linalg.det(np.array(lattice.vectors)))
    ideal = (max(1, number // lattice.sublattices) * volume) ** (1 / lattice.dimension)
    # the worst are odd tori, which no good superlattice divides
    assert shortest_distance(lattice, colors) >= 0.6 * ideal


@pytest.mark.parametrize(("number", "distance"), [(4, 2.0), (9, 3.0), (16, 4.0), (36, 6.0)])
def test_fitting_lattices_get_the_densest_packing(number, distance):
    lattice = lattices.triangular(12)
    assert shortest_distance(lattice, Coloring(number).colors(lattice)) == pytest.approx(distance)


def test_enough_colours_are_the_exact_trace():
    lattice = lattices.kagome(2)
    for number in (12, 50):
        np.testing.assert_array_equal(np.sort(Coloring(number).colors(lattice).ravel()), np.arange(12))


@pytest.mark.parametrize("probes", [ExactTrace(), Coloring(4)], ids=["exact", "coloring"])
def test_probing_vectors_resolve_the_identity(probes, key):
    """|r_i| = 1 on the sites of one colour and spin, zero elsewhere: each orbital in one column."""
    lattice = lattices.kagome(3)
    vectors = join(probes.vectors(lattice, key=key, dtype=jnp.float64)).reshape(2 * lattice.sites, -1)
    np.testing.assert_allclose(jnp.sum(jnp.abs(vectors) ** 2, axis=1), 1, atol=1e-14)
    assert jnp.all(jnp.sum(vectors != 0, axis=1) == 1)
    colors = np.repeat(probes.colors(lattice).ravel(), 2)
    product = vectors @ vectors.conj().T
    spin = np.tile([0, 1], lattice.sites)
    expected = (colors[:, None] == colors) & (spin[:, None] == spin)
    np.testing.assert_array_equal(jnp.abs(product) > 0.5, expected)
