"""The gradient of a short run of a field, and the central differences of fourth order that it is compared with."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import jaxspin as js
from experiments.gradients.differences_fields import Case, Parameters
from jaxspin.classical import GaussianPulse, ZeemanPulse
from jaxspin.spins import retract

# What a run is differentiated by whatever the field: initial values, times in units of hbar/t.
COMMON = {"damping": 0.3, "bath temperature": 0.05}
PULSE = {
    "pulse strength": (0.4, -0.2, 0.3),
    "pulse center": 0.45,
    "pulse width": 0.35,
    "pulse frequency": 2.1,
    "pulse phase": 0.4,
}
STEP, STEPS = 0.25, 4
KEY = 7


class Checked:
    """The scalar sum_i w_i . S_i of a short run's final and middle states, with its gradient: compiled once a field."""

    def __init__(self, case: Case, key: Array):
        lattice = case.lattice
        weights = jax.random.normal(key, (2, *lattice.shape, 3))

        def outcome(parameters: Parameters, spins: Array) -> Array:
            p = parameters
            shape = GaussianPulse(
                center=p["pulse center"], width=p["pulse width"], frequency=p["pulse frequency"], phase=p["pulse phase"]
            )
            run = js.simulate(
                case.build(p) + ZeemanPulse(p["pulse strength"], shape),
                retract(spins, p["initial spins"]),
                duration=STEPS * STEP,
                step=STEP,
                damping=p["damping"],
                temperature=p["bath temperature"],
                key=jax.random.key(KEY),
                save_every=STEPS * STEP / 2,
                throw=False,
            )
            assert run.spins is not None
            return jnp.sum(weights * run.spins[1:])

        turns = {"initial spins": jnp.zeros((*lattice.shape, 3))}
        common = {name: jnp.asarray(value) for name, value in {**COMMON, **PULSE}.items()}
        # a number of weak type would be compiled for once more when a difference is added to it
        strong = jax.tree.map(lambda x: x.astype(x.dtype), {**common, **case.parameters})
        self.parameters: Parameters = {**turns, **strong}
        self.value_and_slope = eqx.filter_jit(jax.value_and_grad(outcome))

    def compare(self, spins: Array, key: Array, length: float) -> dict[str, dict[str, float]]:
        """Slope and difference quotient along a random direction of each parameter."""
        _, slopes = self.value_and_slope(self.parameters, spins)
        found = {}
        for number, (name, value) in enumerate(self.parameters.items()):
            direction = _like(value, jax.random.fold_in(key, number))
            slope = sum(
                float(jnp.sum(a * b))
                for a, b in zip(jax.tree.leaves(slopes[name]), jax.tree.leaves(direction), strict=True)
            )

            # the differences of a small number, such as a temperature, are to be small beside it
            largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(value))
            step = length * min(1.0, largest if largest > 0 else 1.0)

            def at(n: int, name=name, value=value, direction=direction, step=step) -> float:
                moved = jax.tree.map(lambda x, d: x + n * step * d, value, direction)
                return float(self.value_and_slope({**self.parameters, name: moved}, spins)[0])

            expected = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)
            deviation = abs(slope - expected) / max(abs(expected), 1e-300)
            found[name] = {"slope": slope, "differences": expected, "relative deviation": deviation}
        return found

    def is_finite(self, spins: Array, **changed: Array) -> bool:
        """Whether the value and every slope are finite with some parameters `changed`."""
        names = {name.replace("_", " "): value for name, value in changed.items()}
        found = self.value_and_slope({**self.parameters, **names}, spins)
        return all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(found))


def _like(tree: Any, key: Array) -> Any:
    """A random direction in the space of the arrays of `tree`, of length one."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    drawn = [jax.random.normal(k, jnp.shape(x)) for k, x in zip(keys, leaves, strict=True)]
    length = np.sqrt(sum(float(jnp.sum(x**2)) for x in drawn))
    return jax.tree.unflatten(structure, [x / length for x in drawn])
