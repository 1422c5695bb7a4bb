"""Many processes and one file system: who writes, and how an array that no process holds whole is written."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

_Result = TypeVar("_Result")

# Up to so many numbers NumPy is faster than a program compiled to look at them.
_FEW = 2**16


def looked_at(array: Any) -> Any:
    """A small array that this process holds whole as NumPy's copy; any other as it is."""
    if isinstance(array, jax.Array) and (array.size > _FEW or not array.is_fully_addressable):
        return array
    return np.asarray(array)


def to_host(array: Any) -> np.ndarray:
    """The whole array in the memory of this process; one shared out over processes is gathered, by all of them."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        if array.is_fully_replicated:
            return np.asarray(array.addressable_data(0))
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)


def by_first_process(action: Callable[[], _Result]) -> _Result | None:
    """What `action` returns, made by the first process alone while the others wait; None on those.

    Its exception is raised there, and `RuntimeError` on the others, so that none waits for ever.
    """
    if jax.process_count() == 1:
        return action()
    result, error = None, None
    if jax.process_index() == 0:
        try:
            result = action()
        except Exception as raised:  # passed on below, once the others know
            error = raised
    failed = multihost_utils.broadcast_one_to_all(np.asarray(error is not None))
    if error is not None:
        raise error
    if failed:
        raise RuntimeError("the first process could not write a file; see its own error, and choose another path.")
    return result
