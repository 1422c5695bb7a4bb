"""The accuracy that is asked for is reached, and the one that is measured is the true one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import (
    Coloring,
    ExactDiagonalization,
    ExactTrace,
    KernelPolynomial,
    SDModel,
    direct_field,
    measure_accuracy,
    spectral_edges,
    tune,
)
from jaxspin.electrons.probes import colors_for
from jaxspin.spins import random_spins
from jaxspin.textures import tetrahedral

STATE = {"chemical_potential": -1.0, "temperature": 0.2}


@pytest.fixture(scope="module")
def metal():
    lattice = lattices.square(8)
    model, spins = SDModel(lattice), random_spins(lattice, key=jax.random.key(1))
    return model, spins, ExactDiagonalization(model, **STATE).field(spins)


def draws_of(field, solver, spins, seed=77, draws=8):
    return np.stack([field(solver, spins, key=k) for k in jax.random.split(jax.random.key(seed), draws)])


def rms(difference):
    return np.sqrt(np.mean(np.sum(difference**2, axis=-1)))


def true_error(solver, spins, exact):
    return rms(draws_of(type(solver).field, solver, spins) - np.asarray(exact))


@pytest.mark.parametrize("tolerance", [3e-2, pytest.param(1e-3, marks=pytest.mark.slow)])
def test_the_tolerance_is_kept(metal, tolerance, key):
    model, spins, exact = metal
    solver, found = tune(model, spins, tolerance=tolerance, key=key, **STATE)
    assert found.error <= tolerance
    assert true_error(solver, spins, exact) < 1.5 * tolerance
    if tolerance > 0.01:
        assert found.colours < 64
        assert found.torque == pytest.approx(0.03, abs=0.02)
        assert f"{found.colours} colours ({2 * found.colours} vectors), {solver.order} moments" in str(found)


@pytest.mark.parametrize("tolerance", [3e-2, pytest.param(1e-3, marks=pytest.mark.slow)])
def test_the_tolerance_is_kept_without_tuning(metal, tolerance):
    model, spins, exact = metal
    assert true_error(KernelPolynomial(model, **STATE, tolerance=tolerance), spins, exact) < tolerance


@pytest.mark.parametrize(("colors", "order"), [pytest.param(4, 200, marks=pytest.mark.slow), (16, 200), (64, 12)])
def test_measured_errors_are_true(metal, colors, order, key):
    model, spins, exact = metal
    solver = KernelPolynomial(model, **STATE, probes=Coloring(colors), order=order)
    found = measure_accuracy(solver, spins, key=key, draws=8)
    assert found.error == pytest.approx(true_error(solver, spins, exact), rel=0.35)
    assert (found.bias > found.standard_deviation) == (order == 12)


def test_what_is_given_stays(key):
    lattice = lattices.chain(32)
    model, spins = SDModel(lattice), random_spins(lattice, key=key)
    settings = {"tolerance": 0.02, "key": key, **STATE}
    solver, found = tune(model, spins, probes=ExactTrace(), order=150, window="tight", **settings)
    assert solver.probes == ExactTrace()
    assert solver.order == found.moments == 150
    low, *_, high = np.linalg.eigvalsh(model.dense(spins))
    assert -3 <= found.window[0] < low
    assert high < found.window[1] <= 3
    with pytest.raises(ValueError, match="give more colours or moments"):
        tune(model, spins, probes=Coloring(2), **settings)
    with pytest.raises(ValueError, match="'tight', \\(lowest, highest\\) or None"):
        tune(model, spins, window="narrow", **settings)
    with pytest.raises(ValueError, match="at least two draws"):
        measure_accuracy(solver, spins, key=key, draws=1)


def test_a_gap_needs_fewer_colours(key):
    lattice = lattices.triangular(8)
    model = SDModel(lattice, 1.0, 3.0)
    state = {"filling": 0.25, "temperature": 0.2, "tolerance": 0.045, "key": key}
    ordered = tune(model, tetrahedral(lattice), **state)[1]
    assert ordered.colours < tune(model, random_spins(lattice, key=key), **state)[1].colours


@pytest.mark.parametrize("kind", ["kagome with a vacancy", "two levels", "single precision"])
def test_edges_of_the_spectrum(kind, key):
    lattice = lattices.chain(4) if kind == "two levels" else lattices.kagome(4)
    occupied = np.ones(lattice.shape, bool)
    occupied[0] = kind != "kagome with a vacancy"
    spins = random_spins(lattice, key=key, dtype=jnp.float32 if kind == "single precision" else jnp.float64)
    spins = jnp.where(occupied[..., None], spins, 0)
    # J = 0 on four sites: the Krylov space ends after three steps
    model = SDModel(lattice, 1.0, 0.0 if kind == "two levels" else 2.0, occupied=occupied)
    levels = ExactDiagonalization(model, filling=0.5).levels(spins)[: int(model.orbitals())]
    edges = spectral_edges(model, spins, key=key)
    assert edges[0] <= levels[0] + 1e-5
    assert edges[1] >= levels[-1] - 1e-5
    np.testing.assert_allclose(edges, levels[jnp.array([0, -1])], atol=5e-3)


def test_colours_for_a_tolerance():
    assert colors_for(0.01, 1.0, 2) == 45
    assert colors_for(0.01, 1.0, 1) < 45 < colors_for(0.01, 1.0, 3)
    with pytest.raises(ValueError, match=r"0\.01 is usual"):
        colors_for(0.0, 1.0, 2)
    lattice = lattices.square(4)
    assert isinstance(KernelPolynomial(SDModel(lattice), **STATE).probes, ExactTrace)
    with pytest.raises(ValueError, match="pass probes=Coloring"):
        jax.jit(lambda j: KernelPolynomial(SDModel(lattice, 1.0, j), **STATE).energy(jnp.ones((4, 4, 1, 3))))(1.0)


def test_the_gradient_is_better_than_the_density_matrix(metal):
    """Without sampling error the two are one; with equal probes the gradient's error is the smaller."""
    model, spins, exact = metal
    everything = KernelPolynomial(model, **STATE, probes=ExactTrace(), tolerance=1e-8)
    np.testing.assert_allclose(direct_field(everything, spins), exact, atol=1e-7)
    solver = KernelPolynomial(model, **STATE, probes=Coloring(16))
    direct = rms(draws_of(direct_field, solver, spins, seed=3) - np.asarray(exact))
    assert direct > 1.2 * true_error(solver, spins, exact)
