"""Thermal noise whose every increment is a function of the key and the step number alone.

Time is counted in steps. An increment has the shape and dtype of the spins, `(*cells, sublattices, 3)`.
"""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxspin.arrays.vectors import scale, stacked
from jaxspin.dynamics.normal import normal_components


class StepNoise(diffrax.AbstractBrownianPath):
    """Brownian motion on a grid of unit steps: W(n+1) - W(n) ~ N(0, 1) from `fold_in(key, first + n)`.

    Step n draws the same numbers whatever came before, so a run continued at step `first` meets the noise of
    the unbroken run, and every adjoint of diffrax replays it. A step that is not of unit length draws the
    normal numbers of the step it starts in, times the root of its length, so the step has to be fixed: an
    adaptive controller would redraw, and bias, what it rejects. For adaptive steps use
    `diffrax.VirtualBrownianTree` as `LLG.noise`, at about ten times the cost.

    `spins` gives shape `(..., 3)` and dtype. Times are exact integers up to 2^24 in single precision.

    Raises `ValueError` for spins without three components, and when asked for W(t) alone or Levy areas.

    Example:
        >>> noise = js.dynamics.StepNoise(spins, key=jax.random.key(0))
        >>> noise.evaluate(jnp.asarray(0.0), jnp.asarray(1.0)).shape
        (4, 4, 1, 3)
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    dtype: jnp.dtype = eqx.field(static=True)
    key: PRNGKeyArray
    first: Int[Array, ""]
    levy_area: type[diffrax.BrownianIncrement | diffrax.SpaceTimeLevyArea] = eqx.field(static=True)
    t0 = -np.inf
    t1 = np.inf

    def __init__(self, spins: Float[Array, "..."], *, key: PRNGKeyArray, first: int | Int[Array, ""] = 0) -> None:
        if spins.shape[-1:] != (3,):
            raise ValueError(f"spins of shape {spins.shape} have no three components; give an array of shape (..., 3).")
        self.shape, self.dtype, self.key = spins.shape, spins.dtype, key
        self.levy_area = diffrax.BrownianIncrement
        self.first = jnp.asarray(first, jnp.int32)

    def evaluate(self, t0, t1=None, left=True, use_levy=False) -> Float[Array, "..."]:
        """W(t1) - W(t0), of variance t1 - t0. Raises `ValueError` without `t1`, or for Levy areas."""
        del left
        if t1 is None:
            raise ValueError("StepNoise knows increments only; ask for evaluate(t0, t1).")
        if use_levy:
            raise ValueError("StepNoise has no Levy area; use a solver of jaxspin.dynamics.solvers or diffrax.Heun.")
        step = jnp.round(jnp.asarray(t0)).astype(jnp.int32) + self.first
        draw = normal_components(jax.random.fold_in(self.key, step), self.shape[:-1], self.dtype)
        return scale(jnp.sqrt(jnp.asarray(t1 - t0, self.dtype)), stacked(draw))
