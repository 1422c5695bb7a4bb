"""The spectrum of spin waves from a simulation, and how far its peaks are from the exact frequencies."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.observables import Spectrum, dynamical_structure_factor
from jaxspin.problems import SpinWaves


def spectrum(problem: SpinWaves, duration: float, seeds: int) -> Spectrum:
    """S(q, w) of the components across the order, without damping, averaged over random starts."""

    def one(key):
        run = js.simulate(
            problem.potential,
            problem.spins(0.01, key=key, dtype=jnp.float64),
            duration=duration,
            step=0.025,
            damping=0.0,
            save_every=0.25,
            throw=False,
        )
        assert run.spins is not None
        return dynamical_structure_factor(problem.lattice, run.spins, 0.25, components="xy")

    # one after another: the frames of all at once would fill the memory
    found = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(0), seeds))
    return jax.tree.map(lambda x: jnp.mean(x, axis=0), found)


def wave_errors(problem: SpinWaves, found: Spectrum) -> dict[str, float]:
    """How far the peaks are from the exact frequencies, over all wavevectors with w above two lines' spacing."""
    spacing = float(found.frequencies[1] - found.frequencies[0])
    exact = problem.frequencies()
    error = np.abs(np.asarray(found.peaks()) - exact)[exact > 2 * spacing]
    return {
        "wavevectors": len(error),
        "frequency spacing": spacing,
        "largest error of a peak": float(error.max()),
        "largest frequency": float(exact.max()),
    }
