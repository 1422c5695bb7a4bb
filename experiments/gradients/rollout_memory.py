"""The memory that the gradient of a rollout takes, by its adjoint."""

from collections.abc import Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.stages import Dynamics
from jaxspin.dynamics import LLG, Clock, DepondtMertens
from jaxspin.training import RolloutData, rollout_loss


def measure_memory(model: js.BehlerParrinello, motion: Dynamics, lengths: Sequence[int]) -> list[dict[str, Any]]:
    """Bytes of temporary arrays in the compiled gradient of a rollout of one piece, a row for each number of steps."""
    weights, rest = eqx.partition(model.network, eqx.is_inexact_array)
    start = js.random_spins(model.lattice, key=jax.random.key(0))
    rows = []
    for steps in lengths:
        spins = jnp.stack([start, start])[None]
        interval = steps * motion.step
        data = RolloutData(model.lattice, spins, interval=interval, step=motion.step, damping=motion.damping)
        row: dict[str, Any] = {"steps": steps}
        adjoints = {"checkpointed": None, "direct adjoint": diffrax.DirectAdjoint(), "every step stored": "scan"}
        for name, adjoint in adjoints.items():

            def loss(w, adjoint=adjoint, data=data, steps=steps):
                field = eqx.tree_at(lambda m: m.network, model, eqx.combine(w, rest))
                if adjoint == "scan":
                    return jnp.mean((plain_loop(field, start, steps, motion) - start) ** 2)
                return rollout_loss(field, data, jnp.ones(()), adjoint=adjoint)

            analysis = jax.jit(jax.grad(loss)).lower(weights).compile().memory_analysis()
            row[name] = None if analysis is None else analysis.temp_size_in_bytes
        rows.append(row)
        print(row, flush=True)
    return rows


def plain_loop(field: js.AbstractField, spins: jax.Array, steps: int, motion: Dynamics) -> jax.Array:
    """The same steps by `lax.scan`, whose reverse pass keeps what every step computed."""
    solver, dtype = DepondtMertens(), spins.dtype
    term = LLG(field, jnp.asarray(motion.damping, dtype), clock=Clock(jnp.asarray(motion.step, dtype)))

    def step(spins, n):
        return solver.advance(term, n, n + 1, spins, term.contr(n, n + 1)), None

    return jax.lax.scan(step, spins, jnp.arange(steps, dtype=dtype))[0]
