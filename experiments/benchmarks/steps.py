"""The same time steps by `simulate` and by a bare loop, as functions of the spins to start from."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxspin as js
from jaxspin.dynamics import LLG, AbstractSpinSolver, Clock, Constant, StepNoise

Run = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Steps:
    """How many of what; at a temperature of zero no noise is drawn."""

    field: js.AbstractPotential
    solver: AbstractSpinSolver
    temperature: float
    count: int
    step: float
    damping: float

    def simulated(self, **settings: Any) -> Run:
        """By `simulate`, in one frame unless `settings` say otherwise."""

        def go(spins):
            run = js.simulate(
                self.field,
                spins,
                duration=self.count * self.step,
                step=self.step,
                damping=self.damping,
                temperature=self.temperature,
                key=jax.random.key(0) if self.temperature else None,
                solver=self.solver,
                **{"save_every": self.count * self.step, **settings},
            )
            return run.final

        return go

    def bare(self) -> Run:
        """By `lax.fori_loop` alone, compiled."""

        @jax.jit
        def go(spins):
            noise = StepNoise(spins, key=jax.random.key(0)) if self.temperature else None
            schedule = Constant(jnp.asarray(self.temperature, spins.dtype)) if self.temperature else None
            clock = Clock(jnp.asarray(self.step, spins.dtype))
            term = LLG(self.field, jnp.asarray(self.damping, spins.dtype), schedule, noise, clock=clock)

            def step(number, spins):
                n = number.astype(spins.dtype)
                return self.solver.advance(term, n, n + 1, spins, term.contr(n, n + 1))

            return jax.lax.fori_loop(0, self.count, step, spins)

        return go
