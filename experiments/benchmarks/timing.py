"""The clock of the benchmarks: compilation apart, every call waited for."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def timed(function: Callable[..., Any], arguments: tuple, repeats: int) -> dict[str, float]:
    """Seconds of the first call less the median ("compile"), and of `repeats` calls."""
    began = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    first = time.perf_counter() - began
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - began)
    middle = float(np.median(times))
    return {"compile": first - middle, "median": middle, "fastest": min(times)}
