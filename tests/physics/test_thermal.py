"""Thermal equilibrium: the noise and the damping together make the Boltzmann distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.stages.schemes import STOCHASTIC, name_of
from jaxspin.classical import Anisotropy, Exchange, Zeeman
from jaxspin.dynamics import DepondtMertens, SphericalMidpoint, simulate
from jaxspin.lattice import chain, cubic, square
from jaxspin.problems import langevin, langevin_variance
from jaxspin.spins import random_spins

# standard errors a statistical test may be off by: one run in 16000 beyond it
SIGMAS = 4


def free_spins(temperature, solver, *, side, key, step=0.05, damping=0.5, frames=4):
    """<S_z> of independent spins in a unit field, and its standard error.

    Frames are 8 apart, three relaxation times (1 + a^2)/(a B) and more, so they count as independent.
    """
    start, noise = jax.random.split(key)
    spins = random_spins(square(side), key=start)
    run = simulate(
        Zeeman([0.0, 0.0, 1.0]),
        spins,
        duration=8.0 * (frames + 1),
        step=step,
        damping=damping,
        temperature=temperature,
        key=noise,
        solver=solver,
        save_every=8.0,
        save=lambda t, s: jnp.mean(s[..., 2]),
    )
    error = np.sqrt(langevin_variance(1 / temperature) / (side**2 * frames))
    return float(jnp.mean(run.saved[2:])), float(error)


@pytest.mark.parametrize(
    "temperature", [pytest.param(0.25, marks=pytest.mark.slow), 1.0, pytest.param(4.0, marks=pytest.mark.slow)]
)
def test_langevin(temperature, key):
    found, error = free_spins(temperature, DepondtMertens(), side=48, key=key)
    # the weak error of the step, first order in a T step
    bias = 0.1 * 0.5 * temperature * 0.05
    assert abs(found - langevin(1 / temperature)) < SIGMAS * error + bias


@pytest.mark.slow
@pytest.mark.parametrize("step", [0.02, 0.04])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("solver", STOCHASTIC, ids=name_of)
def test_langevin_for_every_scheme(solver, temperature, step, key):
    if isinstance(solver, SphericalMidpoint) and temperature * step > 0.1:
        # kicks of 0.3 rad: in tens of millions one is too large for its iteration
        with pytest.raises(RuntimeError, match=r"did not converge .* pass a smaller step"):
            free_spins(temperature, solver, side=128, key=key, step=step, frames=5)
        return
    found, error = free_spins(temperature, solver, side=128, key=key, step=step, frames=5)
    # Heun's, the largest of them, is 0.4 a T step
    bias = 0.5 * 0.5 * temperature * step
    assert abs(found - langevin(1 / temperature)) < SIGMAS * error + bias


@pytest.mark.slow
@pytest.mark.parametrize("damping", [0.1, 1.0])
def test_equilibrium_does_not_depend_on_the_damping(damping, key):
    """Many open chains side by side: <S_i . S_i+n> = L(K/T)^n."""
    temperature, length, copies = 0.7, 8, 1500
    lattice = chain(length, periodic=False)
    start, noise = jax.random.split(key)
    spins = jax.vmap(lambda k: random_spins(lattice, key=k))(jax.random.split(start, copies))

    def final(spins, key):
        run = simulate(
            Exchange(lattice, 1.0),
            spins,
            duration=60.0 if damping < 0.5 else 15.0,
            step=0.05,
            damping=damping,
            temperature=temperature,
            key=key,
            save_every=60.0,
            throw=False,
        )
        return run.final[:, 0]

    spins = jax.jit(jax.vmap(final))(spins, jax.random.split(noise, copies))
    for apart in (1, 2):
        products = jnp.sum(spins[:, apart:] * spins[:, :-apart], axis=-1)
        means = jnp.mean(products, axis=1)
        error = float(jnp.std(means)) / np.sqrt(copies)
        bias = 0.5 * damping * temperature * 0.05
        assert abs(float(jnp.mean(means)) - float(langevin(1 / temperature)) ** apart) < SIGMAS * error + bias


def excess(values, density, bins=16):
    """How far the histogram of independent `values` in [-1, 1] is from the density, in standard deviations of chi^2."""
    edges = np.linspace(-1, 1, bins + 1)
    fine = np.linspace(-1, 1, 200 * bins + 1)
    weight = density((fine[1:] + fine[:-1]) / 2).reshape(bins, -1).sum(axis=1)
    expected = len(values) * weight / weight.sum()
    counts = np.histogram(values, edges)[0]
    return (np.sum((counts - expected) ** 2 / expected) - (bins - 1)) / np.sqrt(2 * (bins - 1))


def final_spins(potential, lattice, key, solver, *, temperature, step, duration):
    """Where spins of many lengths and dampings are in equilibrium."""
    start, noise, damping, moment = jax.random.split(key, 4)
    run = simulate(
        potential,
        random_spins(lattice, key=start),
        duration=duration,
        step=step,
        damping=jax.random.uniform(damping, lattice.shape, minval=0.4, maxval=1.0),
        moment=jax.random.uniform(moment, lattice.shape, minval=0.5, maxval=2.0),
        temperature=temperature,
        key=noise,
        solver=solver,
        save_every=duration,
        save=lambda t, spins: spins[0, 0],
    )
    return run.final


EVERY_STEP = [
    (DepondtMertens(), 0.04),
    *(pytest.param(solver, step, marks=pytest.mark.slow) for solver in STOCHASTIC for step in (0.01, 0.03)),
]


@pytest.mark.parametrize(("solver", "step"), EVERY_STEP)
def test_boltzmann_histogram_of_an_anisotropic_spin(solver, step, key):
    """p(S_z) ~ exp(K S_z^2/T), whatever the lengths and dampings."""
    strength, temperature, lattice = 1.0, 0.5, square(96)
    spins = final_spins(Anisotropy(strength), lattice, key, solver, temperature=temperature, step=step, duration=16.0)
    assert excess(np.asarray(spins[..., 2]).ravel(), lambda z: np.exp(strength * z**2 / temperature)) < SIGMAS
    # the test can tell: twice the temperature is far off
    assert excess(np.asarray(spins[..., 2]).ravel(), lambda z: np.exp(strength * z**2 / (2 * temperature))) > 20


@pytest.mark.parametrize(("solver", "step"), EVERY_STEP)
def test_energy_distribution_of_two_coupled_spins(solver, step, key):
    """p(S_1 . S_2) ~ exp(K S_1 . S_2/T): pairs on a chain with every second bond cut."""
    coupling, temperature, lattice = 1.0, 0.6, chain(2**14)
    pairs = jnp.where(jnp.arange(2**14) % 2 == 0, coupling, 0.0)[:, None]
    spins = final_spins(
        Exchange(lattice, pairs), lattice, key, solver, temperature=temperature, step=step, duration=16.0
    )[:, 0]
    cosines = np.asarray(jnp.sum(spins[::2] * spins[1::2], axis=-1))
    assert excess(cosines, lambda x: np.exp(coupling * x / temperature)) < SIGMAS
    assert excess(cosines, lambda x: np.exp(coupling * x / (1.3 * temperature))) > SIGMAS


@pytest.mark.slow
def test_curie_temperature_of_the_cubic_heisenberg_model(key):
    """The Binder cumulants 1 - <m^4>/(3 <m^2>^2) of two sizes cross at T_c = 1.443 J (Monte Carlo)."""
    temperatures, copies = np.array([1.38, 1.44, 1.50]), 16

    def powers(side):
        """<m^2> and <m^4> of every run."""
        lattice = cubic(side)
        model = Exchange(lattice, 1.0)

        def one(temperature, key):
            run = simulate(
                model,
                jnp.zeros((*lattice.shape, 3), jnp.float32).at[..., 2].set(1.0),
                duration=1200.0,
                step=0.02,
                damping=0.3,
                temperature=temperature,
                key=key,
                save_every=4.0,
                save=lambda t, spins: jnp.sum(jnp.mean(spins, axis=(0, 1, 2, 3)) ** 2),
                throw=False,
            )
            square = run.saved[50:]
            return jnp.mean(square), jnp.mean(square**2)

        keys = jax.random.split(jax.random.fold_in(key, side), (len(temperatures), copies))
        return jax.jit(jax.vmap(jax.vmap(one, (None, 0))))(jnp.asarray(temperatures), keys)

    def crossing(chosen):
        cumulants = [
            1 - np.mean(fourth[:, chosen], 1) / (3 * np.mean(square[:, chosen], 1) ** 2) for square, fourth in found
        ]
        slope, gap = np.polyfit(temperatures - 1.443, cumulants[1] - cumulants[0], 1)
        return 1.443 - gap / slope, slope

    found = [jax.tree.map(np.asarray, powers(side)) for side in (4, 8)]
    place, slope = crossing(slice(None))
    rng = np.random.default_rng(0)
    error = np.std([crossing(rng.integers(copies, size=copies))[0] for _ in range(200)])
    # the larger system orders below and disorders above
    assert slope < -0.2
    assert error < 0.02
    # so small systems cross 1.7 per cent below (1.418 here, 1.412 with twice the step)
    assert abs(place - 1.443) < SIGMAS * error + 0.015
