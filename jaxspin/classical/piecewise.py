"""A pulse of any shape, by its values at even times."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.couplings import Numbers, finite_real, holds, positive, scalar
from jaxspin.field import Time


class PiecewiseLinear(eqx.Module):
    """Straight lines between `values` at even times from `start` to `start + duration`; zero before and after.

    - `values`: `(n,)`, two at least, the factor at the times start + k duration/(n - 1), k = 0 ... n - 1.
    - `duration`, `start`: in hbar/t.

    All three can be differentiated: it is the shape to optimize where that of a `GaussianPulse` is not given. End it by
    values of zero, or it falls at once.

    Raises `ValueError` for values that are not a row of two numbers or more, for a duration that is not positive, and
    for numbers that are complex or not finite.

    Example:
        >>> triangle = js.classical.PiecewiseLinear([0.0, 1.0, 0.0], duration=4.0)
        >>> [float(triangle(t)) for t in (-1.0, 1.0, 2.0, 4.0)]
        [0.0, 0.5, 1.0, 0.0]
    """

    values: Float[Array, " n"]
    duration: Float[Array, ""]
    start: Float[Array, ""]

    def __init__(self, values: Numbers, duration: Numbers, start: Numbers = 0.0):
        self.values = finite_real(values, "values")
        self.duration, self.start = scalar(duration, "duration"), scalar(start, "start")
        if self.values.ndim != 1 or len(self.values) < 2:
            raise ValueError(f"values of shape {self.values.shape} are no row of two numbers or more; give one.")
        if not holds(positive, self.duration):
            raise ValueError(f"duration = {self.duration} must be positive; give the time from the first value on.")

    def __call__(self, t: Time) -> Float[Array, ""]:
        elapsed = jnp.asarray(t, self.values.dtype) - self.start.astype(self.values.dtype)
        return jnp.interp(elapsed, self._knots(), self.values, left=0.0, right=0.0)

    def times_of_change(self) -> tuple[Time, ...]:
        return tuple(self.start + knot for knot in self._knots())

    def _knots(self) -> Float[Array, " n"]:
        return jnp.linspace(0.0, self.duration.astype(self.values.dtype), len(self.values), dtype=self.values.dtype)
