"""A million steps: the length of the spins to rounding, and the energy as the table of drifts says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange
from jaxspin.dynamics import DepondtMertens, SemiImplicit, SphericalMidpoint, simulate
from jaxspin.lattice import square
from jaxspin.spins import random_spins

STEPS, STEP = 1_000_000, 0.02


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize(
    "solver", [DepondtMertens(), SemiImplicit(), SphericalMidpoint()], ids=lambda s: type(s).__name__
)
def test_a_million_steps(solver, dtype):
    """Explicit rules drift by step^3 a unit of time, with 0.01 to 0.05 before it, the symplectic one does not."""
    lattice = square(8)
    field = Exchange(lattice, 1.0)
    spins = random_spins(lattice, key=jax.random.key(1), dtype=dtype)
    run = simulate(
        field, spins, duration=STEPS * STEP, step=STEP, damping=0.0, solver=solver, save_every=STEPS * STEP / 20
    )
    frames = np.asarray(run.spins, np.float64)
    assert int(run.steps) == STEPS
    np.testing.assert_allclose(np.linalg.norm(frames, axis=-1), 1, atol=4 * float(jnp.finfo(dtype).eps))
    energy = np.array([float(field.energy(jnp.asarray(s))) for s in frames]) / 64
    drift = energy - energy[0]
    # a million roundings of 6e-8 that all point one way would make 6e-2, a sixth of them is seen
    rounding = 1.5e-2 if dtype == jnp.float32 else 0.0
    if isinstance(solver, SphericalMidpoint):
        assert np.abs(drift).max() < 1e-4
    else:
        expected = 0.05 * STEP**3 * float(run.times[-1])
        assert np.abs(drift).max() < 2 * expected + rounding
        if dtype == jnp.float64:
            # steadily, not as a walk or a burst
            assert drift[10] == pytest.approx(drift[20] / 2, rel=0.2)
            assert abs(drift[20]) > expected / 10
