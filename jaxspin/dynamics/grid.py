"""Frames and steps: how a duration is cut, exactly, in any precision.

A run is a list of frames, `lengths` `(n - 1,)` in units of the clock's step; diffrax integrates one frame at
a time.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import diffrax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

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
    save_at: ArrayLike | Sequence | None = None,
) -> Grid:
    """Equal steps no longer than `step`, as few as fill the duration, in frames of whole steps.

    `rounding` is the relative error of `start`.

    Raises `ValueError` for a step that is not positive, more steps than `max_steps`, times `save_at` that are no rising
    times of the run, and frames so long or a start so late that no number of the precision counts the steps.
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
    if save_at is None:
        stride = min(count, max(1, round(count / _FRAMES if save_every is None else save_every / step)))
        ends = np.append(np.arange(stride, count, stride), count)
    else:
        ends = _ends_at(save_at, start, duration, step, count)
    lengths = np.diff(ends, prepend=0)
    longest, most = int(lengths.max()), 2 ** (jnp.finfo(dtype).nmant + 1)
    if longest > most:
        raise ValueError(f"{dtype} counts {most} steps between frames, not {longest}; use a smaller save_every.")
    first = round(start / step)
    origin = start - first * step
    if abs(origin) <= max(_TOLERANCE * step, 4 * rounding * abs(start)):
        origin = 0.0
    if abs(first) + count >= 2**31:
        raise ValueError(
            f"start = {start:g} is step {first}, which no 32-bit integer counts; let the time begin later, start = 0."
        )
    return Grid(Clock(step, first, origin), lengths, max(_SMALLEST_BOUND, 1 << (longest - 1).bit_length()))


def _ends_at(save_at: ArrayLike | Sequence, start: float, duration: float, step: float, count: int):
    """The steps nearest to the times, and the last one; times within one step are one frame."""
    times = np.asarray(save_at, float)
    apart = abs(times - (start + duration / 2)) - duration / 2
    # also those in single precision
    if times.ndim != 1 or not np.all(np.diff(times) > 0) or not np.all(apart <= _TOLERANCE * (abs(start) + duration)):
        raise ValueError(
            f"save_at must hold rising times between start = {start:g} and {start + duration:g}; give one row of them, "
            "such as np.geomspace(1.0, duration, 20)."
        )
    ends = np.append(np.rint((times - start) / step).astype(int), count)
    return np.unique(ends[(ends > 0) & (ends <= count)])


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
