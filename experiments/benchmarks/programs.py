"""Programs compiled side by side, timed one by one, and held against what the machine can do."""

import concurrent.futures
import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax

from experiments.benchmarks.ledger import Enough, OutOfTime, Row
from experiments.benchmarks.timing import timed
from jaxspin.costs import operations


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """What the machine was seen to do: bytes and single-precision operations a second, None where unknown."""

    bandwidth: float | None = None
    rate: float | None = None


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled function with its arguments, the seconds that it took, and its operations (`operations`)."""

    compiled: Any
    arguments: tuple
    trace: float
    compile: float
    operations: float

    @staticmethod
    def of(function: Callable[..., Any], arguments: tuple) -> "Program":
        began = time.perf_counter()
        traced = jax.jit(function).trace(*arguments)
        (platform,) = {device.platform for x in jax.tree.leaves(arguments) for device in x.devices()}
        count = operations(traced.jaxpr, platform)
        lowered = traced.lower()
        middle = time.perf_counter()
        compiled = lowered.compile()
        return Program(compiled, arguments, middle - began, time.perf_counter() - middle, count)

    def __call__(self) -> Any:
        return self.compiled(*self.arguments)

    def memory(self) -> int | None:
        """Bytes of arguments, results and all between."""
        sizes = self.compiled.memory_analysis()
        if sizes is None:
            return None
        return sizes.temp_size_in_bytes + sizes.argument_size_in_bytes + sizes.output_size_in_bytes

    def cost(self, name: str) -> float | None:
        """XLA's own "flops" or "bytes accessed", which count the body of a loop once."""
        with contextlib.suppress(Exception):  # not every machine tells
            costs = self.compiled.cost_analysis()
            costs = costs[0] if isinstance(costs, list) else costs
            return float(costs[name])
        return None


class Programs:
    """Programs by name: compiled together, which takes longer than to run them, then handed out once."""

    def __init__(self, makers: Mapping[Any, Callable[[], Program]]):
        self._makers = makers
        self._compiled: dict[Hashable, concurrent.futures.Future[Program]] = {}

    def prepare(self, names: Sequence[Hashable], until: float) -> None:
        """Compile those named, on half the cores; those not begun at `until` are given up."""
        pool = concurrent.futures.ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2))
        made = ((name, self._makers[name]) for name in names if name in self._makers)
        self._compiled = {name: pool.submit(make) for name, make in made}
        concurrent.futures.wait(self._compiled.values(), timeout=max(0.0, until - time.monotonic()))
        pool.shutdown(wait=True, cancel_futures=True)

    def take(self, name: Hashable) -> Program:
        """A program; its error where it has one, `OutOfTime` where it was not compiled."""
        found = self._compiled.pop(name, None)
        if found is None or found.cancelled():
            raise OutOfTime
        return found.result()


class Growth:
    """Whether a larger case is worth a try, by the time of the smaller one before it: (its size, seconds)."""

    def __init__(self, longest: float, before: tuple[float, float] | None = None):
        self.longest, self.before = longest, before

    def run(self, size: float, measure: Callable[[], Row], power: float = 1.0) -> Row:
        """`measure()`, whose "median" is taken to grow with this power of `size`; `Enough` where that is too long."""
        if self.before is not None:
            smaller, seconds = self.before
            expected = seconds * (size / smaller) ** power
            if expected > self.longest:
                raise Enough(f"about {expected:.3g} s a call, more than --longest {self.longest:g}")
        row = measure()
        self.before = (size, row["median"])
        return row


def device_memory(device: Any) -> int | None:
    """Bytes that programs may use: what the allocator of an accelerator says, else those of the machine."""
    stats = device.memory_stats()
    if stats is not None:
        return stats.get("bytes_limit")
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def measured(program: Program, repeats: int, sites: int, ceilings: Ceilings, *, within: float = math.inf) -> Row:
    """Time, operations, bytes and memory of a program; `Enough` where its memory is more than the device has.

    "share of arithmetic" is the time that its operations take at the rate of single-precision matrix products, and
    "share of bandwidth" the one of the bytes that XLA counts (loops once, so at least that share), over the time taken.
    """
    (device,) = {device for x in jax.tree.leaves(program.arguments) for device in x.devices()}
    needed, there = program.memory(), device_memory(device)
    if needed is not None and there is not None and needed > there:
        raise Enough(f"needs {needed / 1e9:.3g} GB of memory, the device has {there / 1e9:.3g}; use a larger one")
    clock = timed(program.compiled, program.arguments, repeats, within=within)
    row: Row = {"sites": sites, **clock, "trace": program.trace, "compile": program.compile}
    row["ns a site"] = 1e9 * row["median"] / sites
    row["operations a site"] = program.operations / sites
    for name, key in (("flops", "xla operations a site"), ("bytes accessed", "xla bytes a site")):
        cost = program.cost(name)
        row[key] = None if cost is None else cost / sites
    row["memory a site"] = None if needed is None else needed / sites
    row["share of arithmetic"] = share(program.operations, ceilings.rate, row["median"])
    row["share of bandwidth"] = share(program.cost("bytes accessed"), ceilings.bandwidth, row["median"])
    return row


def share(amount: float | None, rate: float | None, seconds: float) -> float | None:
    """Of the time that an amount takes at a rate, in the time taken; None where one is unknown."""
    return None if amount is None or rate is None else amount / rate / seconds
