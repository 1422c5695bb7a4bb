"""What the frames of a run will take in memory, said before the run."""

import math
import warnings
from typing import Any

import jax

from jaxspin.devices.memory import memory_of
from jaxspin.warned import caller

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
            stacklevel=caller(),
        )
