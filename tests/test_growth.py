"""Growth of domains and puddles: waves, known exponents, a disc counted by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.observables import correlation_of_holes, fit_growth, moment_length, puddles, site_correlations


def test_moment_length_of_a_wave_is_its_wavelength():
    lattice = js.square(12, 24)
    x, y = np.indices(lattice.cells)
    for wave, length in ((np.cos(2 * np.pi * x / 6), 6), (np.cos(2 * np.pi * (20 * y / 24)), 6)):
        assert moment_length(lattice, jnp.asarray(wave + 0.3)) == pytest.approx(length)


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_the_exponent_of_known_growth(exponent):
    times = np.linspace(0, 1, 41) ** 3 * 2000
    noise = 1 + 0.02 * np.random.default_rng(3).standard_normal((6, 41))
    found = fit_growth(times, (3 + 0.05 * times**exponent) * noise, (10, 2000))
    assert abs(found.exponent - exponent) < 3 * found.error + 0.01
    assert found.error < 0.15
    pure = fit_growth(times, 0.05 * times[None] ** exponent, (10, 2000), offset=False)
    assert pure.exponent == pytest.approx(exponent, abs=0.01)
    shrinking = fit_growth(times, 2.5 * np.maximum(times, 1)[None] ** -exponent, (10, 2000), offset=False)
    assert np.isinf(shrinking.error) if exponent == 1.0 else shrinking.exponent == pytest.approx(-exponent, abs=0.01)
    assert np.isinf(fit_growth(times, 1 + times[None] ** 2.5, (10, 2000)).error)
    assert np.isnan(pure.seed_error)
    with pytest.raises(ValueError, match="widen the window"):
        fit_growth(times, times[None] + 1, (1900, 2000))
    with pytest.raises(ValueError, match="end it earlier"):
        fit_growth(times, np.where(times > 1000, np.inf, 1.0), (10, 2000))


def test_puddles_of_a_ferromagnetic_disc():
    lattice = js.square(24)
    x, y = np.indices(lattice.cells)
    spins = np.array(js.textures.neel(lattice))
    disc = (x - 8) ** 2 + (y - 8) ** 2 <= 25
    block = (x >= 18) & (x < 21) & (y >= 18) & (y < 21)
    spins[disc | block] = [0, 0, 1]
    spins = jnp.asarray(spins)
    # by hand: a site is inside where at least 3 of its 4 neighbours are parallel to it, S.S averaging 1/2 or more
    sums = sum(np.sum(np.roll(spins, s, a) * spins, -1)[..., 0] for a in (0, 1) for s in (1, -1)) / 4
    np.testing.assert_allclose(site_correlations(lattice, spins), sums, atol=1e-12)
    found = puddles(lattice, spins, 0.25)
    inside = sums > 0.25
    apart = inside & (x < 16)
    assert found.regions == pytest.approx(2)
    assert found.fraction == pytest.approx(inside.mean())
    assert found.mean_size == pytest.approx(inside.sum() / 2)
    large, small = apart.sum(), (inside & ~apart).sum()
    assert found.size_by_site == pytest.approx((large**2 + small**2) / (large + small))
    assert puddles(lattice, js.textures.neel(lattice), 0.5).size_by_site == 0
    # holes where neighbours are parallel, and nowhere else; or the reverse
    assert correlation_of_holes(lattice, spins, (1 - sums)[..., None]) == pytest.approx(1)
    assert correlation_of_holes(lattice, spins, (1 + 0.1 * sums)[..., None]) == pytest.approx(-1)


def test_puddles_are_for_one_site_a_cell():
    lattice = js.honeycomb(4)
    with pytest.raises(ValueError, match="2 sites a cell, puddles are for one; take nearest_neighbor_correlations"):
        puddles(lattice, js.textures.ferromagnet(lattice))
