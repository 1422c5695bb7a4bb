"""Makers of disorder: what they draw, hoppings of displaced atoms, and the forces on these."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons import diluted, displaced, exponential, kinetic, random_bonds, random_potential
from tests.helpers import by_precision

pytestmark = pytest.mark.users
LATTICES = [js.chain(5), js.kagome(3), js.triangular(3, 4, periodic=(True, False)), js.cubic(3)]
KEY = jax.random.key(7)


def no_exchange(lattice, **settings):
    return js.SDModel(lattice, coupling=0.0, **settings)


def matrix(model):
    return np.asarray(model.dense(jnp.zeros((*model.lattice.shape, 3))))


@pytest.mark.parametrize("lattice", LATTICES, ids=lambda x: x.name)
def test_hoppings_of_displaced_atoms_are_those_of_all_pairs(lattice):
    """Every pair of sites and every image of it, by distance at rest; t by the distance that they have now."""
    moved = 0.1 * np.random.default_rng(1).normal(size=(*lattice.shape, lattice.dimension))
    found = matrix(no_exchange(lattice, hopping=displaced(lattice, moved, exponential(0.7, 2.0), shells=2)))
    rest = lattice.positions().reshape(-1, lattice.dimension)
    now = (lattice.positions() + moved).reshape(-1, lattice.dimension)
    longest = lattice.shell(2)[0].length * 1.01
    images = np.array(np.meshgrid(*(range(-2 * p, 2 * p + 1) for p in lattice.periodic), indexing="ij")).reshape(
        lattice.dimension, -1
    )
    expected = np.zeros((lattice.sites, lattice.sites))
    for image in images.T:
        shift = (image * lattice.cells) @ np.array(lattice.vectors)
        apart = np.linalg.norm(rest[None] + shift - rest[:, None], axis=-1)
        length = np.linalg.norm(now[None] + shift - now[:, None], axis=-1)
        expected -= np.where((apart > 0.1) & (apart < longest), 0.7 * np.exp(-2 * (length - 1)), 0)
    np.testing.assert_allclose(found, np.kron(expected, np.eye(2)), atol=by_precision(1e-12, 1e-5))


def test_out_of_the_plane_distances_grow_and_at_rest_nothing_changes():
    lattice = js.square(4)
    rest = displaced(lattice, np.zeros((*lattice.shape, 2)), exponential(1.3, 3.0))
    np.testing.assert_allclose(
        matrix(no_exchange(lattice, hopping=rest)), matrix(no_exchange(lattice, hopping=1.3)), atol=1e-6
    )
    buckled = np.zeros((*lattice.shape, 3))
    buckled[..., 2] = 0.3 * js.textures.neel(lattice)[..., 2]
    found = displaced(lattice, buckled, lambda d: d)
    np.testing.assert_allclose(found[0].amplitude, np.sqrt(1 + 0.36), rtol=1e-6)


def test_a_dimerized_chain_has_the_gap_of_su_schrieffer_and_heeger():
    """u = +-u alternating: bonds t -+ 2 alpha u, and levels +-|t_1 + t_2 exp(ik)|, so a gap of 8 alpha u."""
    lattice, u, alpha = js.chain(8), 0.05, 0.8
    moved = u * (-1.0) ** np.arange(8).reshape(8, 1, 1)
    levels = np.linalg.eigvalsh(
        matrix(no_exchange(lattice, hopping=displaced(lattice, moved, lambda d: 1 - alpha * (d - 1))))
    )
    assert levels[levels > 0].min() - levels[levels < 0].max() == pytest.approx(8 * alpha * u, abs=1e-5)


@pytest.mark.double
def test_the_force_on_an_atom_is_the_slope_of_the_energy():
    lattice, spins = js.chain(6), js.random_spins(js.chain(6), key=KEY)
    moved = jnp.asarray(0.05 * np.random.default_rng(2).normal(size=(6, 1, 1)))

    def energy(u):
        model = js.SDModel(lattice, displaced(lattice, u, exponential(1.0, 2.0)), coupling=1.0)
        return js.ExactDiagonalization(model, filling=0.4, temperature=0.1).energy(spins)

    slope = jax.jit(jax.grad(energy))(moved)
    assert jnp.abs(jnp.sum(slope)) < 1e-12  # no force on the whole
    step = 1e-4 * jnp.zeros_like(moved).at[2].set(1)
    assert float(slope[2, 0, 0]) == pytest.approx(float(energy(moved + step) - energy(moved - step)) / 2e-4, abs=1e-7)


def test_dilution_leaves_so_many_sites_everywhere_alike():
    lattice = js.kagome(3, 2)
    masks = np.asarray(jax.vmap(lambda k: diluted(lattice, 0.3, key=k))(jax.random.split(KEY, 2000)))
    assert masks.shape == (2000, *lattice.shape)
    assert set(masks.sum(axis=(1, 2, 3))) == {18 - 5}
    assert np.abs(masks.mean(axis=0) - 13 / 18).max() < 5 * np.sqrt(0.25 / 2000)
    assert diluted(lattice, 0.0, key=KEY).all()


def test_site_energies_have_the_moments_of_the_box():
    lattice = js.square(60)
    v = np.asarray(random_potential(lattice, 3.0, key=KEY))
    assert np.abs(v).max() <= 1.5
    assert abs(v.mean()) < 5 * 3 / np.sqrt(12 * 3600)
    assert v.var() == pytest.approx(9 / 12, rel=0.05)
    assert abs(np.mean(v * np.roll(v, 1, axis=0))) < 5 * 0.75 / 60
    np.testing.assert_allclose(random_potential(lattice, 6.0, key=KEY), 2 * v, rtol=1e-6)


def test_random_bonds_differ_from_bond_to_bond_about_their_mean():
    lattice = js.triangular(40)
    t = np.stack([h.amplitude for h in random_bonds(lattice, -0.5, 0.8, key=KEY, shell=2)])
    assert t.shape == (3, 40, 40)
    assert np.abs(t + 0.5).max() <= 0.4
    assert t.mean() == pytest.approx(-0.5, abs=0.02)
    assert t.var() == pytest.approx(0.64 / 12, rel=0.1)
    assert np.abs(np.corrcoef(t.reshape(3, -1)) - np.eye(3)).max() < 0.15
    clean = no_exchange(js.square(3), hopping=random_bonds(js.square(3), 0.7, 0.0, key=KEY))
    np.testing.assert_allclose(matrix(clean), matrix(no_exchange(js.square(3), hopping=0.7)), atol=1e-6)


def test_each_serves_a_solver():
    lattice = js.square(4)
    model = js.SDModel(
        lattice,
        (*random_bonds(lattice, 1.0, 0.5, key=KEY), *kinetic(lattice, 1.0, 0.2)[2:]),
        potential=random_potential(lattice, 1.0, key=KEY),
        occupied=diluted(lattice, 0.2, key=KEY),
    )
    spins = js.spins.dilute(js.random_spins(lattice, key=KEY), model.occupied)
    field = js.ExactDiagonalization(model, filling=0.3, temperature=0.1).field(spins)
    assert np.isfinite(field).all()
    assert not np.asarray(field)[~np.asarray(model.occupied)].any()


REFUSED = {
    "between 0 and 1, got 1.2; 0.2 is": lambda x: diluted(x, 1.2, key=KEY),
    "leaves none of the 16 sites; lower it": lambda x: diluted(x, 0.99, key=KEY),
    "give one number, not traced": lambda x: jax.jit(lambda f: diluted(x, f, key=KEY))(0.2),
    "width must be finite and not negative, got -1": lambda x: random_potential(x, -1.0, key=KEY),
    "width of shape .* is not one number": lambda x: random_bonds(x, 1.0, np.ones(3), key=KEY),
    "hopping is complex": lambda x: random_bonds(x, 1j, key=KEY),
    r"do not fit; give \(4, 4, 1, 2\)": lambda x: displaced(x, np.zeros((4, 4, 2)), exponential(1, 1)),
    "displacements holds inf or nan": lambda x: displaced(x, np.full((4, 4, 1, 2), np.nan), exponential(1, 1)),
    "return one finite number a distance": lambda x: displaced(x, np.zeros((4, 4, 1, 2)), lambda d: d[0]),
    "or is not finite": lambda x: displaced(x, np.zeros((4, 4, 1, 2)), lambda d: 1 / (d - 1)),
    "decay of shape .* is not one number": lambda x: exponential(1.0, np.ones(2)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message](js.square(4))


def test_disorder_that_is_not_finite_or_of_no_shell_is_refused(key):
    lattice = js.triangular(4)
    for bad in (np.inf, np.nan, -1.0):
        with pytest.raises(ValueError, match="width must be finite and not negative"):
            js.electrons.random_potential(lattice, bad, key=key)
    with pytest.raises(ValueError, match="hopping"):
        js.electrons.random_bonds(lattice, np.nan, key=key)
    with pytest.raises(ValueError, match="shells counts the shells that hop, got 0"):
        js.electrons.displaced(lattice, np.zeros((*lattice.shape, 2)), js.electrons.exponential(1.0, 2.0), shells=0)


def test_random_bonds_and_a_second_shell_have_each_bond_once(key):
    lattice = js.triangular(4)
    second = (js.Hopping(bond, 0.3) for bond in lattice.shell(2))
    model = js.SDModel(lattice, (*js.electrons.random_bonds(lattice, 1.0, 0.2, key=key), *second))
    bonds = [(h.bond.start, h.bond.end, h.bond.offset) for h in model.hoppings]
    assert len(set(bonds)) == len(bonds) == 6
