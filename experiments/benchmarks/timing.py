"""The clock of the benchmarks: compilation apart, every call waited for."""

import math
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js


def timed(
    function: Callable[..., Any], arguments: tuple, repeats: int, *, warm_up: bool = True, within: float = math.inf
) -> dict[str, float]:
    """Seconds of the first call less the median ("compile"), of `repeats` calls, and of the processor in each.

    On cores that others use too, the processor's seconds say more of the program than those on the wall. Without
    `warm_up` there is no first call, for programs compiled before that take minutes. Once the calls have taken `within`
    seconds there are no more of them, but one there is; "calls" says how many.
    """
    began = time.perf_counter()
    if warm_up:
        jax.block_until_ready(function(*arguments))
    first = time.perf_counter() - began
    times, worked = [], []
    for _ in range(repeats):
        began, busy = time.perf_counter(), time.process_time()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - began)
        worked.append(time.process_time() - busy)
        if sum(times) > within:
            break
    middle = float(np.median(times))
    return {
        "compile": first - middle if warm_up else 0.0,
        "median": middle,
        "fastest": min(times),
        "slowest": max(times),
        "calls": len(times),
        "processor": float(np.median(worked)),
    }


def microseconds_a_site(field: js.AbstractField, lattice: js.Lattice, repeats: int) -> float:
    """The median time of a field on random spins, in single precision."""
    spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
    return 1e6 * timed(eqx.filter_jit(field.field), (spins,), repeats)["median"] / lattice.sites


def interleaved(runs: dict[str, Callable[..., Any]], spins, repeats: int) -> dict[str, float]:
    """The fastest of several calls of each, in turn, so that a change of the machine's speed meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for go in runs.values():
        jax.block_until_ready(go(spins))
    for _ in range(repeats + 1):
        for name, go in runs.items():
            began = time.perf_counter()
            jax.block_until_ready(go(spins))
            times[name].append(time.perf_counter() - began)
    return {name: float(np.min(values)) for name, values in times.items()}
