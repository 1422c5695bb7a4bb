"""Moments of clusters whose bonds and site energies differ, against matrices of the clusters, and what learns them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.descriptors import DisorderedMoments
from jaxspin.electrons import diluted, kinetic, random_bonds, random_potential

KEY = jax.random.key(4)
LATTICES = {
    "square": js.square(6),
    "open": js.square(4, 6, periodic=(False, True)),
    "kagome": js.kagome(3),
    "ring": js.chain(4),
}


def sample(lattice, key=KEY, potential=True):
    bonds, energies = jax.random.split(key)
    return js.SDModel(
        lattice,
        random_bonds(lattice, 1.0, 0.9, key=bonds),
        -1.5,
        potential=random_potential(lattice, 1.0, key=energies) if potential else None,
    )


def dilute_spins(lattice, key=KEY):
    return js.spins.dilute(js.random_spins(lattice, key=key), diluted(lattice, 0.2, key=key))


def by_matrices(model, spins, hops, number, bound):
    """<up|T_k(H/a)|up> of the sites within `hops` steps of each, cut out of the matrix of the whole lattice."""
    n = model.lattice.sites
    h = np.asarray(model.dense(spins)).reshape(n, 2, n, 2)
    neighbours = np.abs(np.asarray(js.SDModel(model.lattice, coupling=0.0).dense(0 * spins))[::2, ::2]) > 0
    vectors = np.asarray(spins).reshape(n, 3)
    found = np.zeros((n, number))
    for site in range(n):
        if not vectors[site].any():
            continue
        near = np.arange(n) == site
        for _ in range(hops):
            near = near | neighbours[near].any(axis=0)
        inside = np.flatnonzero(near & vectors.any(axis=1))
        spin = np.arange(2)
        block = h[np.ix_(inside, spin, inside, spin)].reshape(2 * len(inside), -1) / bound
        energy, states = np.linalg.eigh(block)
        x, y, z = vectors[site]
        up = np.linalg.eigh(np.array([[z, x - 1j * y], [x + 1j * y, -z]]))[1][:, 1]
        place = 2 * int(np.flatnonzero(inside == site)[0])
        weights = np.abs(states[place : place + 2].conj().T @ up) ** 2
        found[site] = [np.sum(weights * np.cos(k * np.arccos(energy))) for k in range(3, number + 3)]
    return found


@pytest.mark.parametrize(
    "name", ["open", "ring", *(pytest.param(n, marks=pytest.mark.slow) for n in ("square", "kagome"))]
)
def test_moments_are_those_of_the_matrices_of_the_clusters(name):
    lattice = LATTICES[name]
    model, spins = sample(lattice), dilute_spins(lattice)
    settings = {"bound": 9.0, "hops": 1 if name == "kagome" else 2, "surroundings": 0, "wrap": name == "ring"}
    features = DisorderedMoments.of(model, moments=6, **settings)
    found = np.asarray(features(spins)).reshape(lattice.sites, -1)
    np.testing.assert_allclose(found[:, :6], by_matrices(model, spins, settings["hops"], 6, 9.0), atol=1e-12)
    # what the first two say: V_i, and the part of <H^2> that is no square of a single site
    there = np.asarray(jnp.any(spins != 0, axis=-1)).reshape(-1)
    np.testing.assert_allclose(found[:, 6], there * np.asarray(model.potential).reshape(-1) / 9.0, atol=1e-12)
    h = np.asarray(model.dense(jnp.zeros_like(spins)))[::2, ::2]
    h = (h - np.diag(np.diagonal(h))) * np.outer(there, there)
    np.testing.assert_allclose(found[:, 7], np.sum(np.abs(h) ** 2, axis=1) / 81, atol=1e-12)


def test_a_clean_lattice_has_the_moments_of_local_moments():
    lattice = js.chain(7)
    clean = js.LocalMoments(lattice, 1.5, (1.0, -0.3), hops=1, moments=8)
    model = js.SDModel(lattice, (1.0, -0.3), 1.5)
    features = DisorderedMoments.of(model, bound=clean.halfwidth, hops=1, moments=8)
    spins = js.random_spins(lattice, key=KEY)
    rows = dict(zip(features.labels, jax.jit(lambda f, s: f.rows(s))(features, spins), strict=True))
    same = jnp.stack([rows[label] for label in clean.labels])
    np.testing.assert_allclose(same, jax.jit(clean.rows)(spins), atol=1e-13)
    assert features.on(js.chain(9)).lattice.cells == (9,)


@pytest.mark.parametrize("name", ["open", pytest.param("kagome", marks=pytest.mark.slow)])
def test_the_derivative_is_that_of_the_features(name):
    lattice = LATTICES[name]
    spins = dilute_spins(lattice)
    features = DisorderedMoments.of(sample(lattice), bound=9.0, hops=1, moments=4, chunk=4)
    slopes = jax.random.normal(KEY, (features.n_features, lattice.sublattices, *lattice.cells))
    pulled, expected = jax.jit(lambda f, s, g: (f.pullback(s, g), jax.vjp(f.rows, s)[1](g)[0]))(features, spins, slopes)
    np.testing.assert_allclose(pulled, expected, atol=1e-12)


def test_the_jacobian_is_that_of_the_own_features():
    lattice = js.square(3)
    spins = dilute_spins(lattice)
    features = DisorderedMoments.of(sample(lattice), bound=9.0, hops=1, moments=4)
    frames = js.spins.tangent_frame(spins)

    @jax.jit
    def both(direction):
        own, jacobian, _ = features.own_and_jacobian(spins, frames)
        moved = jnp.einsum("...d,...dc->...c", direction, frames)
        members = direction.reshape(lattice.sites, 2)[features.members()].reshape(lattice.sites, -1)
        return jax.jvp(features.own, (spins,), (moved,)), own, jnp.einsum("imf,im->fi", jacobian, members)

    (own, change), again, along = both(jax.random.normal(KEY, (*lattice.shape, 2)))
    np.testing.assert_allclose(again, own, atol=1e-13)
    np.testing.assert_allclose(along.reshape(change.shape), change, atol=1e-12)


@pytest.mark.slow
def test_a_force_field_serves_other_samples_and_is_stored(tmp_path):
    """Trained on one sample, moved to another, written and read."""
    first, second = sample(js.chain(6), KEY, potential=False), sample(js.chain(6), jax.random.key(5), potential=False)
    exact = js.ExactDiagonalization(first, filling=0.5, temperature=0.2)
    frames = js.training.random_configurations(first.lattice, 6, key=KEY)
    features = DisorderedMoments.of(first, bound=6.0, hops=1, moments=4)
    model = js.BehlerParrinello(descriptor=features, hidden=(4,))
    config = js.TrainConfig(steps=4, batch=2, evaluate_every=2, validation=0.3)
    with jax.numpy_dtype_promotion("standard"):
        learnt = js.train(model, js.sample(exact, frames), config).model
    moved = eqx.tree_at(lambda m: m.descriptor, learnt, features.at(second))
    spins = js.random_spins(first.lattice, key=KEY)
    here, there = learnt.field(spins), moved.field(spins)
    assert np.abs(here - there).max() > 1e-4
    js.testing.assert_field_is_gradient(moved, spins, key=KEY)
    js.forcefield.save(tmp_path / "model", learnt)
    np.testing.assert_allclose(js.forcefield.load(tmp_path / "model").field(spins), here, atol=1e-12)


def test_layers_of_samples_are_the_samples():
    """Far apart along one more axis, two samples in one lattice have the features that each has by itself."""
    plane = js.chain(6)
    samples = [sample(plane, jax.random.key(n)) for n in (1, 2)]
    stack = js.Lattice("layers", ((9.0, 0.0), (0.0, 1.0)), ((0.0, 0.0),), (2, 6), (True, True))
    (bond,) = stack.shell(1)
    amplitudes = jnp.stack([s.hoppings[0].amplitude for s in samples])
    potential = jnp.stack([jnp.asarray(s.potential) for s in samples])
    both = js.SDModel(stack, (js.Hopping(bond, amplitudes),), -1.5, potential=potential)
    settings = {"bound": 6.0, "hops": 2, "moments": 4}
    spins = js.random_spins(stack, key=KEY)
    found = DisorderedMoments.of(both, **settings)(spins)
    for n in range(2):
        np.testing.assert_allclose(found[n], DisorderedMoments.of(samples[n], **settings)(spins[n]), atol=1e-13)


def turned(lattice):
    return js.SDModel(lattice, (*kinetic(lattice, 1.0), *js.electrons.rashba(lattice, 0.2)))


def reversed_bond(lattice):
    return js.SDModel(lattice, [js.Hopping(lattice.shell(1)[0].reversed(), 1.0)])


REFUSED = {
    r"bound = 3 is smaller .*; give bound=6 or more": lambda x: DisorderedMoments(x, 2.0, bound=3.0, hops=1),
    r"do not fit shell 1 .*\(5, 5, 2\)": lambda x: DisorderedMoments(x, 1.0, np.ones((5, 5)), bound=9),
    r"potential of shape \(5, 5\) does not fit": lambda x: DisorderedMoments(
        x, 1.0, potential=np.ones((5, 5)), bound=9
    ),
    "moments must be even": lambda x: DisorderedMoments(x, 1.0, moments=3, bound=9),
    "give real amplitudes": lambda x: DisorderedMoments.of(turned(x), bound=9),
    "take the bonds of the model from lattice.shell": lambda x: DisorderedMoments.of(reversed_bond(x), bound=9, hops=1),
    "give the model one number": lambda x: DisorderedMoments.of(js.SDModel(x, coupling=np.ones((5, 5, 1))), bound=9),
    "learn these electrons anew": lambda x: DisorderedMoments.of(sample(x), bound=9, hops=1).at(
        sample(x, potential=False)
    ),
    "build a new term there": lambda x: DisorderedMoments.of(sample(x), bound=9, hops=1).on(js.square(6)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message](js.square(5))
