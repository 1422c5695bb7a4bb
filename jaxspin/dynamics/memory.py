"""What the frames of a run will take in memory, said before the run."""

import math
import os
import warnings
from typing import Any

import jax
from jax.core import Tracer

# Of the memory of the devices: to read frames again (observables, plots, files) needs room as well.
_FRACTION = 0.5


def warn_of_frames(frame: Any, count: int, spins: Any) -> None:
    """A warning where `count` frames of this shape (a pytree) fill more than half of the memory of the devices."""
    bytes_ = count * sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(frame))
    room = memory_of(spins)
    if bytes_ > _FRACTION * room:
        warnings.warn(
            f"{count} frames take {bytes_ / 1e9:.3g} GB of the {room / 1e9:.3g} GB of memory; save fewer with a "
            "larger save_every, observables with save=..., or write the frames to a file as they are made with "
            "store=...",
            stacklevel=3,
        )


def memory_of(spins: Any) -> int:
    """Bytes of memory of the devices that hold the spins; of the host where they do not tell."""
    devices = jax.devices()[:1] if isinstance(spins, Tracer) or not hasattr(spins, "devices") else list(spins.devices())
    if devices[0].platform == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    own = [d for d in devices if d.process_index == jax.process_index()]
    limits = [(d.memory_stats() or {}).get("bytes_limit", 0) for d in own]
    share = len(devices) / max(len(own), 1)
    return int(sum(limits) * share) or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
