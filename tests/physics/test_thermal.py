"""Thermal equilibrium: the noise and the damping together make the Boltzmann distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange, Zeeman
from jaxspin.dynamics import DepondtMertens, ProjectedHeun, SemiImplicit, simulate
from jaxspin.lattice import chain, square
from jaxspin.problems import langevin, langevin_variance
from jaxspin.spins import random_spins

SCHEMES = [ProjectedHeun(), DepondtMertens(), SemiImplicit()]
# standard errors a statistical test may be off by: one run in 16000 beyond it
SIGMAS = 4


def name(solver):
    return type(solver).__name__


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


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_langevin(temperature, key):
    found, error = free_spins(temperature, DepondtMertens(), side=48, key=key)
    # the weak error of the step, first order in a T step
    bias = 0.1 * 0.5 * temperature * 0.05
    assert abs(found - langevin(1 / temperature)) < SIGMAS * error + bias


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("solver", SCHEMES, ids=name)
def test_langevin_for_every_scheme(solver, temperature, key):
    found, error = free_spins(temperature, solver, side=128, key=key, step=0.04, frames=5)
    # Heun's, the largest of the three, is 0.4 a T step
    bias = 0.5 * 0.5 * temperature * 0.04
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
