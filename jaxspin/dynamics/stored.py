"""Runs whose frames go to a file as they are made: memory for some frames, and a killed run goes on exactly."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from tqdm import tqdm

from jaxspin.dynamics.grid import Grid
from jaxspin.dynamics.trajectory import Trajectory
from jaxspin.io import TrajectoryWriter, load_trajectory
from jaxspin.io.code import fingerprint
from jaxspin.lattice import Lattice

# Quick frames are made and written together up to this size, others one by one.
_BYTES_AT_ONCE = 2**27
_MOST_AT_ONCE = 64
_QUICK_SECONDS = 0.5


def run_to_store(
    piece: Callable[..., Trajectory],
    spins: Float[Array, "*cells sublattices 3"],
    lattice: Lattice | None,
    grid: Grid,
    store: str | os.PathLike,
    *,
    resume: bool,
    about: dict[str, Any],
    temperature: Callable[[float], Any],
    progress: bool,
) -> Trajectory:
    """The frames of `grid`, made piece by piece and appended to `store`; those there already are not made again.

    `piece(spins, start=..., duration=..., save_every=...)` is `simulate` with everything else given.

    Raises `ValueError` without a lattice, and where the store holds another run, `FileExistsError` where
    there is something and `resume` is not given, `RuntimeError` where the stored run had failed.
    """
    if lattice is None:
        raise ValueError("a stored run needs its lattice; pass lattice=.")
    path, clock = Path(store), grid.clock
    ends = np.concatenate([[0], np.cumsum(grid.lengths)])
    times = np.asarray(clock.origin + clock.step * (clock.last + ends))
    if not np.array_equal(np.rint(times / clock.step), clock.last + ends):
        raise ValueError(
            f"the start lies between two steps of {clock.step:g}, where a run cannot be cut; use a start that the step "
            "divides."
        )
    try:
        writer = TrajectoryWriter(path, lattice, attributes={"run": about}, append=resume)
    except FileExistsError:
        raise FileExistsError(
            f"store = {path} exists; pass resume=True to go on with its run, or choose another path."
        ) from None
    # a store cut off within its first frame begins anew
    if writer.frames:
        _check_same(path, about, spins, times)
    else:
        writer.append(times[0], spins)
    many = max(1, min(_MOST_AT_ONCE, _BYTES_AT_ONCE // max(1, spins.size * spins.dtype.itemsize)))
    state = spins if writer.frames == 1 else _last(path, spins)
    stopped, steps, turn, calls, several = False, 0, float("nan"), 0, 1
    bar = tqdm(total=len(grid.lengths), initial=writer.frames - 1, desc=path.stem, unit="frame", disable=not progress)
    with bar:
        while writer.frames <= len(grid.lengths) and not stopped:
            done, began = writer.frames - 1, time.perf_counter()
            last = min(done + several, len(grid.lengths))
            # a last frame that is shorter is a piece of its own
            if last - done > 1 and grid.lengths[last - 1] != grid.lengths[done]:
                last -= 1
            run = piece(
                state,
                start=float(times[done]),
                duration=int(ends[last] - ends[done]) * clock.step,
                save_every=int(grid.lengths[done]) * clock.step,
            )
            assert run.spins is not None
            stopped, state = bool(run.stopped), _placed(run.final, spins)
            steps += int(run.steps)
            turn = float(np.fmax(turn, float(run.largest_turn)))
            if len(run) > 1:
                # times by the clock of the whole run, without a rounding in between
                writer.append(times[done + np.arange(1, len(run))], run.spins[1:])
            bar.update(len(run) - 1)
            calls += 1
            # The first call compiles. Several frames a call are another program, which pays if there are many of them.
            quick = calls == 2 and time.perf_counter() - began < _QUICK_SECONDS
            if quick and _stride(grid) and len(grid.lengths) - last > _MOST_AT_ONCE:
                several = many
            if not bool(np.all(np.asarray(run.finite) & np.asarray(run.solved))):
                break
    times = times[: writer.frames]
    finite = np.ones(len(times), bool)
    finite[-1] = bool(np.isfinite(np.asarray(state)).all())
    return Trajectory(
        times=times,
        spins=None,
        saved=None,
        final=state,
        finite=jnp.asarray(finite),
        temperature=jnp.asarray([float(temperature(t)) for t in times], spins.dtype),
        damping=jnp.asarray(about["damping"], spins.dtype),
        step=jnp.asarray(clock.step, spins.dtype),
        steps=jnp.asarray(steps),
        lattice=lattice,
        stopped=stopped,
        largest_turn=turn,
        store=str(path),
    )


def describe(grid: Grid, damping: Array, *parts: Any) -> dict[str, Any]:
    """What two runs that may share a store have in common, beside the times of the frames there are."""
    return {
        "step": float(grid.clock.step),
        "steps_a_frame": _stride(grid),
        "damping": np.asarray(damping, float).tolist(),
        "settings": fingerprint(parts),
    }


def _stride(grid: Grid) -> int | None:
    """The steps of every frame but the last, which may have fewer; None where they differ."""
    first = int(grid.lengths[0])
    return first if np.all(grid.lengths[:-1] == first) and grid.lengths[-1] <= first else None


def _placed(spins: Any, like: Array) -> Array:
    """Spins on the devices of the start, bound to them only if it is: what is bound compiles anew."""
    return jax.device_put(spins, like.sharding) if like.committed else jnp.asarray(np.asarray(spins))


def _check_same(path: Path, about: dict[str, Any], spins: Array, times: np.ndarray) -> None:
    with load_trajectory(path) as stored:
        first, last = stored.spins[0].values, stored.spins[-1].values
        held = np.asarray(stored.time.values, float)
        known = json.loads(stored.attrs.get("run", "null"))
    if not np.isfinite(last).all():
        raise RuntimeError(f"the run in {path} failed: its last frame is not finite; make a new one, elsewhere.")
    if known is None:
        raise ValueError(f"{path} was not written by simulate(store=...); choose another path.")
    different = [name for name in about if known.get(name) != about[name]]
    if not np.array_equal(first, np.asarray(spins)):
        different.append("start")
    if "step" in different and math.isclose(known["step"], about["step"], rel_tol=1e-12):
        different.remove("step")
    if not different and not (len(held) <= len(times) and np.allclose(held, times[: len(held)], rtol=1e-12, atol=0)):
        raise ValueError(
            f"{path} has frames at times that this run has not (its last one may be shorter than the others); give a "
            "duration of at least as many whole frames, or choose another path."
        )
    if different:
        raise ValueError(f"{path} holds a run of another {', '.join(different)}; give those, or choose another path.")


def _last(path: Path, like: Array) -> Array:
    with load_trajectory(path) as stored:
        return _placed(stored.spins[-1].values.astype(like.dtype), like)
