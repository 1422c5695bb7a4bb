"""Frames and steps: how a duration is cut, exactly, in any precision.

A run is a list of frames, `lengths` `(n - 1,)` in units of the clock's step; diffrax integrates one frame at
a time.
"""

import math
from typing import NamedTuple

import diffrax
import jax.numpy as jnp
import numpy as np

from jaxspin.dynamics.llg import Clock

# A ratio this near to a whole number, relative to it, counts as one.
_TOLERANCE = 1e-6
_FRAMES = 100
# The bound on the steps of a frame is a power of two, at least this: runs of similar length share a program.
_SMALLEST_BOUND = 64
_ADAPTIVE_BOUND = 2**16


class Grid(NamedTuple):
    """The clock at the start, with the number of the first step as its `last`; frames; and a bound.

    `lengths` are those of the frames, in steps; `bound` is the largest number of steps of a frame that is allowed.
    """

    clock: Clock
    lengths: np.ndarray
    bound: int

    @property
    def times(self) -> np.ndarray:
        """The frames' times `(n,)`, in double precision: they are known on the host, whatever the spins have."""
        ends = np.concatenate([[0], np.cumsum(self.lengths)])
        return np.asarray(self.clock.origin + self.clock.step * (self.clock.last + ends))


def fixed_grid(
    duration: float,
    step: float,
    start: float,
    save_every: float | None,
    max_steps: int | None,
    dtype,
    rounding: float = float(np.finfo(float).eps),
) -> Grid:
    """Equal steps no longer than `step`, as few as fill the duration, in frames of whole steps.

    `rounding` is the relative error of `start`.
    """
    if not step > 0 or not math.isfinite(step):
        raise ValueError(f"step = {step:g} must be positive; leave it out to have one suggested.")
    ratio = duration / step
    count = max(1, round(ratio))
    if abs(ratio - count) > _TOLERANCE * ratio:
        count = max(1, math.ceil(ratio))
        step = duration / count
    if max_steps is not None and count > max_steps:
        raise ValueError(f"{count} steps exceed max_steps = {max_steps}; shorten duration or raise max_steps.")
    stride = min(count, max(1, round(count / _FRAMES if save_every is None else save_every / step)))
    longest = 2 ** (jnp.finfo(dtype).nmant + 1)
    if stride > longest:
        raise ValueError(f"{dtype} counts {longest} steps between frames, not {stride}; use a smaller save_every.")
    lengths = np.full(-(-count // stride), stride)
    lengths[-1] = count - stride * (len(lengths) - 1)
    first = round(start / step)
    origin = start - first * step
    if abs(origin) <= max(_TOLERANCE * step, 4 * rounding * abs(start)):
        origin = 0.0
    if abs(first) + count >= 2**31:
        raise ValueError(
            f"start = {start:g} is step {first}, which no 32-bit integer counts; let the time begin later, start = 0."
        )
    return Grid(Clock(step, first, origin), lengths, max(_SMALLEST_BOUND, 1 << (stride - 1).bit_length()))


def adaptive_grid(duration: float, start: float, save_every: float | None, max_steps: int | None) -> Grid:
    """Equal frames: the unit of the clock is a frame, so each has the length one."""
    frames = _FRAMES if save_every is None else max(1, round(duration / save_every))
    clock = Clock(duration / frames, 0, start)
    return Grid(clock, np.ones(frames, int), _ADAPTIVE_BOUND if max_steps is None else max_steps)


class UnitSteps(diffrax.AbstractStepSizeController):
    """Steps of exactly one, where adding or rescaling a fraction would round."""

    def wrap(self, direction):
        return self

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        return t0 + 1, None

    def adapt_step_size(self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state):
        return True, t1, t1 + 1, False, None, diffrax.RESULTS.successful
