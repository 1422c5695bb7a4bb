"""What is measured on a wall between an antiferromagnet and a ferromagnet in a driven channel.

The position counts the layers in which neighbours across are antiparallel: the sum of (1 - <S.S'>)/2 over the layers.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages import spins_of
from jaxspin.electrons import WideBandModes
from jaxspin.observables import wall_velocity


def layers_across(spins: jax.Array) -> jax.Array:
    """<S . S'> of neighbours across the channel, layer by layer, `(..., length)`."""
    return jnp.mean(jnp.sum(spins * jnp.roll(spins, 1, axis=-3), axis=-1), axis=(-2, -1))


def position(spins: jax.Array) -> jax.Array:
    """How many layers are antiferromagnetic."""
    return jnp.sum((1 - layers_across(spins)) / 2, axis=-1)


def motion_of(run: js.Trajectory, settled: float) -> dict[str, Any]:
    """Position of the wall at every frame, and its velocity to the left from the time `settled` on."""
    where = position(spins_of(run))
    return {
        "times": np.asarray(run.times).tolist(),
        "position": np.asarray(where).tolist(),
        "velocity": -float(wall_velocity(run.times, where, start=settled)),
    }


def measured(exact: WideBandModes, run: js.Trajectory, settled: float) -> dict[str, Any]:
    """Position, velocity from the time `settled` on, and currents of a run, solved exactly at its frames."""
    spins, solve = spins_of(run), eqx.filter_jit(lambda e, s: e.solved(s)[2])
    currents = np.array([solve(exact, s) for s in spins])
    return {
        **motion_of(run, settled),
        "current from the left": currents[:, 0].tolist(),
        "current into the right": (-currents[:, 1]).tolist(),
    }


def profile(exact: WideBandModes, spins: jax.Array) -> dict[str, Any]:
    """Order, density and the current between layers."""
    bonds, model = exact.solver.bond_currents(spins), exact.solver.model
    assert isinstance(model, js.SDModel)
    along = next(n for n, h in enumerate(model.hoppings) if h.bond.offset[0] == 1)
    return {
        "across": np.asarray(layers_across(spins)).tolist(),
        "moment": np.asarray(jnp.linalg.norm(jnp.mean(spins, axis=(1, 2)), axis=-1)).tolist(),
        "density": np.asarray(jnp.mean(exact.solved(spins)[0], axis=(1, 2))).tolist(),
        "current": np.asarray(jnp.sum(bonds[..., along], axis=1)[:-1]).tolist(),
    }


def velocities(voltages: Sequence[float], rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The mean over the starts at each voltage, and how far apart they are."""
    found = []
    for voltage in voltages:
        part = [row for row in rows if row["voltage"] == voltage]
        exact, learnt = (np.mean([row[name]["velocity"] for row in part]) for name in ("exact", "learnt"))
        spread = np.std([row["exact"]["velocity"] for row in part])
        found.append(
            {
                "voltage": voltage,
                "exact": float(exact),
                "learnt": float(learnt),
                "difference": float(learnt / exact - 1),
                "spread of exact": float(spread),
            }
        )
    return found
