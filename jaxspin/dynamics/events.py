"""Conditions that end a run: callables of the time and the spins `(*cells, sublattices, 3)`, `simulate(until=...)`.

Any function `(t, spins) -> bool` serves; these hold numbers that may change without compiling anew.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxspin.couplings import finite_and_positive, holds
from jaxspin.dynamics.llg import Mask, Spins, as_mask
from jaxspin.field import AbstractField, Time

Condition = Callable[[Time, Spins], bool | Bool[Array, ""]]


class Relaxed(eqx.Module):
    """True where max_i |S_i x B_i| < `tolerance` (energy units), over the spins that may move.

    `field` B and the mask `frozen` are those of the run unless given. A driven wall that moves unchanged is not
    relaxed, nor is any state with thermal noise. Where the time of the decay does not matter use `relax`, which is much
    faster.

    Raises `ValueError` for a tolerance that is not positive, and when called, outside `simulate`, without a field.

    Example:
        >>> run = js.simulate(field, spins, duration=2.0, step=0.1, until=js.dynamics.Relaxed(1e3))
        >>> bool(run.stopped), run.frames
        (True, 1)
    """

    tolerance: float | Float[Array, ""]
    field: AbstractField | None = None
    frozen: Bool[Array, "*cells sublattices"] | None = eqx.field(default=None, converter=as_mask)
    key: PRNGKeyArray | None = None

    def __check_init__(self):
        if not holds(finite_and_positive, self.tolerance):
            raise ValueError(f"tolerance = {self.tolerance} is met by no torque; give a positive one, such as 1e-3.")

    def __call__(self, t: Time, spins: Spins) -> Bool[Array, ""]:
        if self.field is None:
            raise ValueError("Relaxed knows no field here; pass Relaxed(tolerance, field=field, frozen=frozen).")
        turn = jnp.cross(spins, self.field.push(spins, t, key=self.key))
        turn = turn if self.frozen is None else jnp.where(self.frozen[..., None], 0, turn)
        return jnp.max(jnp.sum(turn**2, axis=-1)) < jnp.asarray(self.tolerance, spins.dtype) ** 2


class Leaves(eqx.Module):
    """True where `observable(spins)`, a number or several, is no longer between `low` and `high`, or is NaN.

    For example the position of a wall that should not reach the end of a track:
    Leaves(partial(wall_position, lattice), low=10, high=90).

    Raises `ValueError` unless low < high. For a state that no longer moves use `Relaxed`.

    Example:
        >>> up = js.dynamics.Leaves(lambda spins: js.observables.magnetization(spins)[2], high=0.9)
        >>> bool(up(0.0, js.textures.ferromagnet(lattice))), bool(up(0.0, spins))
        (True, False)
    """

    observable: Callable[[Spins], Float[Array, "..."]]
    low: float | Float[Array, ""] = -float("inf")
    high: float | Float[Array, ""] = float("inf")

    def __check_init__(self):
        if not any(isinstance(bound, Tracer) for bound in (self.low, self.high)) and not self.low < self.high:
            raise ValueError(f"no number lies between low = {self.low} and high = {self.high}; give low < high.")

    def __call__(self, t: Time, spins: Spins) -> Bool[Array, ""]:
        value = self.observable(spins)
        low, high = (jnp.asarray(bound, value.dtype) for bound in (self.low, self.high))
        return ~jnp.all((value >= low) & (value <= high))


def of_run(until: Condition, field: AbstractField, frozen: Mask | None, key: PRNGKeyArray | None, dtype) -> Any:
    """The condition with what it leaves open taken from the run, and its numbers as arrays of the run's dtype."""
    if isinstance(until, Relaxed) and until.field is None:
        mask = until.frozen if until.frozen is not None else frozen
        until = Relaxed(until.tolerance, field, mask, key)
    if isinstance(until, Relaxed):
        return eqx.tree_at(lambda c: c.tolerance, until, jnp.asarray(until.tolerance, dtype))
    if isinstance(until, Leaves):
        bounds = tuple(jnp.asarray(bound, dtype) for bound in (until.low, until.high))
        return eqx.tree_at(lambda c: (c.low, c.high), until, bounds)
    return until
