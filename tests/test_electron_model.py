"""The Hamiltonian in its three forms: hermitian, within its bounds, with the bands of what is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import ExactDiagonalization, Hopping, SDModel, bloch_energy, kinetic, magnetic_flux, rashba
from jaxspin.spins import random_spins
from jaxspin.textures import ferromagnet
from tests.helpers import compiled

ROUNDING = 1e-12  # double precision, matrices of norm about 10

LATTICES = [
    lattices.chain(6),
    lattices.square(4, 3, periodic=(True, False)),
    lattices.triangular(3, 4),
    lattices.honeycomb(3, 3),
    lattices.kagome(2, 3),
    lattices.cubic(3, 2, 2),
]


def rich_model(lattice, key, vacancies=True):
    """Every kind of term at once."""
    keys = jax.random.split(key, 4)
    hoppings = kinetic(lattice, 1.0, 0.3 + 0.2j)
    if lattice.dimension == 2:
        hoppings = hoppings + rashba(lattice, 0.4)
    return SDModel(
        lattice,
        hoppings,
        1 + jax.random.uniform(keys[0], lattice.shape),
        potential=jax.random.normal(keys[1], lattice.shape),
        occupied=jax.random.uniform(keys[2], lattice.shape) > 0.15 if vacancies else None,
    )


@pytest.mark.parametrize("lattice", LATTICES, ids=lambda x: x.name)
def test_matvec_equals_dense_and_is_hermitian(lattice, key):
    model = rich_model(lattice, key)
    spins = random_spins(lattice, key=key)
    h = model.dense(spins)
    np.testing.assert_allclose(h, h.conj().T, atol=ROUNDING)
    vectors = jax.random.normal(key, (*lattice.shape, 2, 3), jnp.complex128)
    vectors = jnp.where(model.occupied[..., None, None], vectors, 0)
    expected = (h @ vectors.reshape(-1, 3)).reshape(vectors.shape)
    np.testing.assert_allclose(model.matvec(spins, vectors), expected, atol=ROUNDING)


@pytest.mark.parametrize("lattice", LATTICES, ids=lambda x: x.name)
def test_spectrum_is_inside_its_bounds(lattice, key):
    for model in (rich_model(lattice, key), SDModel(lattice, (1.0, -0.4), 2.0)):
        levels = jnp.linalg.eigvalsh(model.dense(random_spins(lattice, key=key)))
        number = int(model.orbitals())
        low, high = model.spectral_bounds()
        assert low <= levels[0]
        assert levels[number - 1] <= high
        assert jnp.max(jnp.abs(levels[:number])) <= model.bound()


OPEN = [
    (lattices.chain(24, periodic=False), 5),
    (lattices.square(5, 4, periodic=(False, True)), 3),
    (lattices.kagome(2, periodic=False), 2),
]


@pytest.mark.parametrize(("lattice", "shells"), OPEN, ids=lambda x: getattr(x, "name", x))
def test_no_open_or_far_hopping_leaves_the_bounds(lattice, shells, key):
    """Random amplitudes and phases of far shells, some of them zero, spin-orbit coupling, site energies, vacancies."""
    number = len(kinetic(lattice, *(1.0,) * shells))
    random = np.random.default_rng(3)
    spins, occupied = random_spins(lattice, key=key), random.random(lattice.shape) > 0.1

    @compiled
    def spectrum(amplitudes, coupling, potential):
        bonds = [h.bond for h in kinetic(lattice, *(1.0,) * shells)]
        hoppings = tuple(Hopping(bond, t) for bond, t in zip(bonds, amplitudes, strict=True))
        hoppings = (*hoppings, *(rashba(lattice, 0.5) if lattice.dimension == 2 else ()))
        model = SDModel(lattice, hoppings, coupling, potential=potential, occupied=occupied)
        return jnp.linalg.eigvalsh(model.dense(spins))[: 2 * occupied.sum()], jnp.stack(model.spectral_bounds())

    for _ in range(12):
        amplitudes = random.normal(size=number) + 1j * random.normal(size=number)
        amplitudes = amplitudes * (random.random(number) < 0.5)
        levels, (low, high) = spectrum(amplitudes, random.normal(), 0.1 * random.normal(size=lattice.shape))
        assert low - ROUNDING <= levels[0]
        assert levels[-1] <= high + ROUNDING


@pytest.mark.parametrize(("cells", "shell", "phase"), [(24, 4, np.pi / 6), (30, 12, 1.0)])
def test_bounds_of_one_far_hopping(cells, shell, phase):
    """t_n alone makes chains of every n-th site, from whose open ends the phase is hidden: 2 cos(pi/(length + 1))."""
    lattice = lattices.chain(cells, periodic=False)
    bond = lattice.shell(shell)[0]
    low, high = (float(x) for x in SDModel(lattice, (Hopping(bond, np.exp(1j * phase)),), 0.0).spectral_bounds())
    longest = 2 * np.cos(np.pi / (cells // shell + (cells % shell > 0) + 1))
    assert max(-low, high) < 2 + ROUNDING
    assert min(-low, high) > longest


def test_bands_of_free_electrons():
    """-2t(cos kx + cos ky) on the square lattice, band minimum -4t."""
    lattice = lattices.square(6, 4)
    k1, k2 = np.meshgrid(2 * np.pi * np.arange(6) / 6, 2 * np.pi * np.arange(4) / 4, indexing="ij")
    bands = np.sort(np.repeat(-2 * (np.cos(k1) + np.cos(k2)).ravel(), 2))
    levels = jnp.linalg.eigvalsh(SDModel(lattice, 1.0, 0.0).dense(ferromagnet(lattice)))
    np.testing.assert_allclose(levels, bands, atol=ROUNDING)


def test_local_levels_are_plus_minus_the_coupling(key):
    lattice = lattices.square(3)
    model = SDModel(lattice, 0.0, 1.7)
    levels = jnp.linalg.eigvalsh(model.dense(random_spins(lattice, key=key)))
    np.testing.assert_allclose(levels, np.repeat([-1.7, 1.7], 9), atol=ROUNDING)


@pytest.mark.parametrize("lattice", [lattices.triangular(2, 3), lattices.kagome(1, 2)], ids=lambda x: x.name)
def test_bloch_equals_the_repeated_lattice(lattice, key):
    """H(k) of a magnetic cell on a 3 x 2 grid has the levels of the 3 x 2 times larger lattice."""
    hoppings = (1.0, 0.3)
    spins = random_spins(lattice, key=key)
    k = jnp.asarray([[a / 3, b / 2] for a in range(3) for b in range(2)])
    bloch = jnp.linalg.eigvalsh(SDModel(lattice, hoppings, 1.5).bloch(spins, k)).reshape(-1)
    large = lattice.resize(3 * lattice.cells[0], 2 * lattice.cells[1])
    tiled = jnp.tile(spins, (3, 2, 1, 1))
    direct = jnp.linalg.eigvalsh(SDModel(large, hoppings, 1.5).dense(tiled))
    np.testing.assert_allclose(jnp.sort(bloch), direct, atol=ROUNDING)
    for ensemble in ({"filling": 0.3}, {"chemical_potential": -0.7}):
        for temperature in (0.0, 0.1):
            small = ExactDiagonalization(SDModel(lattice, hoppings, 1.5), **ensemble, temperature=temperature)
            whole = ExactDiagonalization(SDModel(large, hoppings, 1.5), **ensemble, temperature=temperature)
            expected = whole.energy(tiled) / large.sites
            assert bloch_energy(small, spins, (3, 2)) == pytest.approx(float(expected), abs=1e-11)


def test_rashba_bands(key):
    """H(k) = -2t sum cos k + 2 strength (sin kx sigma_y - sin ky sigma_x) up to sign: the splitting is even in k."""
    lattice = lattices.square(5)
    model = SDModel(lattice, (*kinetic(lattice, 1.0), *rashba(lattice, 0.3)), 0.0)
    k = 2 * np.pi * np.arange(5) / 5
    k1, k2 = np.meshgrid(k, k, indexing="ij")
    split = 0.6 * np.sqrt(np.sin(k1) ** 2 + np.sin(k2) ** 2)
    bands = np.stack([-2 * np.cos(k1) - 2 * np.cos(k2) + s * split for s in (1, -1)])
    levels = jnp.linalg.eigvalsh(model.dense(random_spins(lattice, key=key)))
    np.testing.assert_allclose(levels, np.sort(bands.ravel()), atol=ROUNDING)


@pytest.mark.parametrize("lattice", [lattices.square(6, 4), lattices.triangular(4, 5)], ids=lambda x: x.name)
def test_flux_is_uniform(lattice):
    """The phase around every elementary triangle of the unit cell is pi flux per cell, wherever the cell."""
    quanta = 3
    model = SDModel(lattice, magnetic_flux(lattice, quanta, 1.0, 1.0), 0.0)
    h = np.asarray(model.dense(ferromagnet(lattice)))[::2, ::2]
    cells = np.array(lattice.cells)

    def number(r):
        return np.ravel_multi_index(tuple(np.array(r) % cells), lattice.cells)

    loops = []
    for r in np.ndindex(*lattice.cells):
        a, b, c = number(r), number(np.add(r, (1, 0))), number(np.add(r, (0, 1)))
        d = number(np.add(r, (1, 1)))
        loops += [h[a, b] * h[b, c] * h[c, a], h[b, d] * h[d, c] * h[c, b]]
    angles = np.angle(np.array(loops) / -1)
    expected = np.pi * quanta / np.prod(cells)
    np.testing.assert_allclose(np.abs(angles), expected, atol=1e-10)
    assert len(np.unique(np.sign(angles))) == 1
