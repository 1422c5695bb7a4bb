"""The electrons' own potential in a driven channel: against plain mixing, its symmetry, its slope, what it screens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons import Hartree, screened_coulomb
from jaxspin.electrons.negf.hartree import anderson

CHAIN = js.chain(3, periodic=False)
LEADS = (js.WideBand("left", 0.8), js.WideBand("right", 0.8))


def channel(lattice=CHAIN, potential=None, **settings):
    model = js.SDModel(lattice, coupling=0.6, potential=potential)
    settings = {"leads": LEADS, "voltage": 1.0, "temperature": 0.3, "tolerance": 1e-8, "poles": 24, **settings}
    return js.GreensFunction(model, **settings)


@pytest.fixture(scope="module")
def hartree():
    return Hartree(channel(), 1.5, tolerance=1e-8)


@pytest.fixture(scope="module")
def up():
    return js.textures.ferromagnet(CHAIN)


@pytest.mark.slow
def test_the_potential_is_that_of_its_density(hartree, up):
    """V = U (n - n0) with the density of a channel that is given V, n0 that without a voltage; and where the channel
    is its own mirror image with particles for holes, V is odd."""
    found = hartree.solved(up)
    v = np.asarray(found.potential)
    assert 2 < int(found.iterations) < 30
    given = channel(potential=v).density(up)
    np.testing.assert_allclose(v, 1.5 * (np.asarray(given) - np.asarray(channel(voltage=0.0).density(up))), atol=5e-8)
    np.testing.assert_allclose(v, -v[::-1], atol=1e-6)
    assert np.abs(v).max() > 0.01
    np.testing.assert_allclose(hartree.at(up).density(up), given, atol=1e-12)
    currents = np.asarray(hartree.at(up).currents(up))
    assert abs(currents[0] + currents[1]) < 1e-7  # no charge is lost without a bath


@pytest.mark.slow
def test_the_slope_is_that_of_the_solution(hartree, up):
    spins = js.random_spins(CHAIN, key=jax.random.key(0))

    def first(u):
        return Hartree(channel(), u, tolerance=1e-8).solved(spins).potential[0, 0]

    forward = jax.jvp(first, (1.5,), (1.0,))[1]
    assert float(forward) == pytest.approx(float(first(1.501) - first(1.499)) / 2e-3, abs=1e-5)
    assert float(jax.grad(first)(1.5)) == pytest.approx(float(forward), abs=1e-6)


def test_no_interaction_leaves_the_solver_as_it_is(up):
    still = Hartree(channel(), 0.0)
    assert int(still.solved(up).iterations) == 1
    np.testing.assert_allclose(still.field(up), channel().field(up), atol=1e-9)


@pytest.mark.slow
def test_what_does_not_converge_is_told(up):
    short = Hartree(channel(), 1.5, tolerance=1e-8, max_iterations=2)
    with pytest.raises(RuntimeError, match=r"after 2 iterations: .*; raise max_iterations, tolerance"):
        short.field(up)
    assert np.isnan(jax.jit(short.field)(up)).all()


def test_anderson_finds_roots_faster_than_its_steps():
    """A linear system of five unknowns takes their number of iterations and a few, and a stiff one does too."""
    rng = np.random.default_rng(1)
    matrix = jnp.asarray(np.eye(5) + 2 * np.diag(np.arange(5)) + 0.3 * rng.normal(size=(5, 5)))
    wanted = jnp.asarray(rng.normal(size=5))
    x, (count, left) = jax.jit(lambda start: anderson(lambda x: matrix @ (x - wanted), start, 1e-10, 60))(jnp.zeros(5))
    np.testing.assert_allclose(x, wanted, atol=1e-9)
    assert int(count) < 25
    assert float(left) <= 1e-10
    # fixed steps of 0.3 would run away, as 0.3 (1 + 8) > 2
    assert np.abs(np.linalg.eigvals(np.eye(5) - 0.3 * np.asarray(matrix))).max() > 1


def test_screened_coulomb_counts_all_images():
    ring, line = js.chain(4), js.chain(4, periodic=False)
    bare = np.asarray(screened_coulomb(line, 2.0, 1.5, onsite=5.0))
    assert bare[0, 3] == pytest.approx(2 * np.exp(-2) / 3)
    assert bare[1, 1] == 5.0
    images = sum(2 * np.exp(-abs(1 + 4 * n) / 1.5) / abs(1 + 4 * n) for n in range(-30, 31))
    whole = np.asarray(screened_coulomb(ring, 2.0, 1.5, onsite=5.0))
    assert whole[0, 1] == pytest.approx(images)
    np.testing.assert_allclose(whole, whole.T)
    assert whole[0, 0] == pytest.approx(5 + 2 * sum(2 * np.exp(-4 * n / 1.5) / (4 * n) for n in range(1, 30)))


REFUSED = {
    r"interaction of shape \(2,\) does not fit; give": lambda: Hartree(channel(), np.ones(2)),
    r"background of shape \(3,\) does not fit; give": lambda: Hartree(channel(), 1.0, background=np.ones(3)),
    "1e-5 and 60 are the defaults": lambda: Hartree(channel(), 1.0, max_iterations=0),
    "must not be negative and length positive": lambda: screened_coulomb(CHAIN, 1.0, 0.0, onsite=1.0),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_an_interaction_without_screening_has_no_sum_over_images():
    with pytest.raises(ValueError, match="give a finite length, or open axes"):
        js.electrons.screened_coulomb(js.chain(4), 1.0, float("inf"), onsite=1.0)
    bare = js.electrons.screened_coulomb(js.chain(4, periodic=False), 1.0, float("inf"), onsite=0.0)
    np.testing.assert_allclose(bare[0], [0.0, 1.0, 1 / 2, 1 / 3], rtol=1e-6)
