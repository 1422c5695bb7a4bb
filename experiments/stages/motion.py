"""Quenches written frame by frame: what a kill leaves is continued exactly."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.stages.model import Motion
from jaxspin.io import TrajectoryWriter, load_trajectory

# Frames of any distance share one compiled program up to this many steps in a call of `simulate`.
_STEPS_A_CALL = 64


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


def spins_along(
    field: js.AbstractField, start: jax.Array, motion: Motion, *, duration: float, save_every: float, key: jax.Array
) -> jax.Array:
    """The spins of a run that is kept nowhere, its start among them."""
    run = js.simulate(
        field,
        start,
        duration=duration,
        step=motion.step,
        damping=motion.damping,
        temperature=motion.temperature,
        key=key,
        save_every=save_every,
    )
    return spins_of(run)


def kept_frames(
    field: js.AbstractField,
    start: jax.Array,
    motion: Motion,
    *,
    duration: float,
    frames: int,
    spacing: float,
    key: jax.Array,
) -> jax.Array:
    """Some frames (`frame_steps`) of such a run."""
    spins = spins_along(field, start, motion, duration=duration, save_every=motion.step, key=key)
    return spins[frame_steps(len(spins) - 1, frames, spacing)]


def quench(
    path: Path,
    field: js.AbstractField,
    start: jax.Array,
    motion: Motion,
    *,
    duration: float,
    frames: int,
    key: jax.Array,
    spacing: float = 1.0,
    settings: Mapping[str, Any] | None = None,
) -> js.Trajectory:
    """Run `field` from `start` and keep `frames` frames (`frame_steps`) in a Zarr store at `path`.

    A store that is there already is continued from its last frame, with the noise of an unbroken run, and read back
    if it is complete. Raises `ValueError` where it holds another lattice, precision or `settings`.
    """
    lattice = field.lattice
    assert lattice is not None
    steps = max(1, math.ceil(duration / motion.step - 1e-6))
    step = duration / steps
    writer = TrajectoryWriter(path, lattice, config=settings, append=True)
    if writer.frames == 0:
        writer.append(0.0, start)
    # bound to a device as what a force field from disk returns is, or the second call would compile anew
    state = jax.device_put(load_trajectory(path).spins[-1].values, jax.local_devices()[0])
    done = round(writer.last_time / step)
    for end in tqdm([int(n) for n in frame_steps(steps, frames, spacing) if n > done], desc=path.stem, unit="frame"):
        while done < end:
            length = min(end - done, _STEPS_A_CALL) * step
            state = js.simulate(
                field,
                state,
                duration=length,
                start=done * step,
                step=step,
                damping=motion.damping,
                temperature=motion.temperature,
                key=key,
                save_every=length,
            ).final
            done = min(done + _STEPS_A_CALL, end)
        writer.append(done * step, state)
    return _read(path, lattice, motion, step)


def compare(
    folder: Path,
    fields: Mapping[str, js.AbstractField],
    start: jax.Array,
    motion: Motion,
    *,
    duration: float,
    frames: int,
    key: jax.Array,
    settings: Mapping[str, Any] | None = None,
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
            settings=settings,
        )
        for name, field in fields.items()
    }


def _read(path: Path, lattice: js.Lattice, motion: Motion, step: float) -> js.Trajectory:
    with load_trajectory(path) as stored:
        times, spins = np.asarray(stored.time.values, float), jnp.asarray(stored.spins.values)
    dtype = spins.dtype
    return js.Trajectory(
        times=times,
        spins=spins,
        saved=None,
        final=spins[-1],
        finite=jnp.ones(len(times), bool),
        temperature=jnp.full(len(times), motion.temperature, dtype),
        damping=jnp.asarray(motion.damping, dtype),
        step=jnp.asarray(step, dtype),
        steps=jnp.asarray(round(float(times[-1]) / step)),
        lattice=lattice,
    )
