"""Quenches written frame by frame: what a kill leaves is continued exactly."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxspin as js
from experiments.stages.model import Motion
from jaxspin.lattice import Lattice


def spins_of(run: js.Trajectory) -> jax.Array:
    """The frames of a run that kept its spins, as every run here does."""
    assert run.spins is not None
    return run.spins


def frame_steps(steps: int, frames: int, spacing: float = 1.0) -> np.ndarray:
    """The numbers of the steps after which the frames after the start are kept, the last one `steps`.

    Frame k of n is at the fraction (k/n)^`spacing` of the run: 1 keeps them evenly, larger numbers densely in the
    beginning, where a quench changes fastest. At least one step lies between frames, so that there may be fewer.
    """
    if steps < 1 or frames < 1 or not spacing >= 1:
        raise ValueError(f"{steps} steps, {frames} frames, spacing {spacing}: each must be at least 1; see --help.")
    frames = min(frames, steps)
    if spacing == 1:
        stride = max(1, round(steps / frames))
        return np.append(np.arange(stride, steps, stride), steps)
    wanted = np.rint(steps * (np.arange(1, frames + 1) / frames) ** spacing).astype(int)
    apart = np.maximum.accumulate(wanted - np.arange(frames)).clip(1) + np.arange(frames)
    return np.unique(np.minimum(apart, steps))


def frame_times(motion: Motion, duration: float, frames: int, spacing: float = 1.0) -> np.ndarray:
    """The times after `frame_steps` of a run of this duration."""
    steps = max(1, math.ceil(duration / motion.step - 1e-6))
    return frame_steps(steps, frames, spacing) * (duration / steps)


def run_of(
    field: js.AbstractField,
    start: jax.Array,
    motion: Motion,
    *,
    duration: float,
    frames: int,
    key: jax.Array,
    spacing: float = 1.0,
    **more: Any,
) -> js.Trajectory:
    """`js.simulate` with this motion, its frames after `frame_steps`."""
    return js.simulate(
        field,
        start,
        duration=duration,
        step=motion.step,
        damping=motion.damping,
        temperature=motion.temperature,
        key=key,
        save_at=frame_times(motion, duration, frames, spacing),
        **more,
    )


def frames_of(field: js.AbstractField, start: jax.Array, motion: Motion, **length: Any) -> jax.Array:
    """The spins of such a run, which is kept nowhere, without its start."""
    return spins_of(run_of(field, start, motion, **length))[1:]


def quenched(field: js.AbstractField, lattice: Lattice, motion: Motion, *, key: jax.Array, **length: Any) -> jax.Array:
    """The frames of such a run from random spins: `key` draws them and the noise."""
    start_key, noise = jax.random.split(key)
    return frames_of(field, js.random_spins(lattice, key=start_key), motion, **length, key=noise)


def quench(path: Path, field: js.AbstractField, start: jax.Array, motion: Motion, **length: Any) -> js.Trajectory:
    """Such a run in a Zarr store at `path`. One that a kill left there goes on; one that is complete is read."""
    run_of(field, start, motion, **length, store=path, resume=True, progress=True)
    return js.load(path)


def compare(
    folder: Path,
    fields: Mapping[str, js.AbstractField],
    start: jax.Array,
    motion: Motion,
    *,
    duration: float,
    frames: int,
    key: jax.Array,
) -> dict[str, js.Trajectory]:
    """One quench with each of the named fields, from the same start with the same noise."""
    return {
        name: quench(
            folder / f"quench_small_{name}.zarr",
            field,
            start,
            motion,
            duration=duration,
            frames=frames,
            key=key,
        )
        for name, field in fields.items()
    }
