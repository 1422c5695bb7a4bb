"""`cost`: a program is compiled and looked at, and one evaluation of it timed where that is quick."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxspin.arguments import told
from jaxspin.callables import by_content
from jaxspin.costs.counting import Count, counted
from jaxspin.costs.rates import rates
from jaxspin.costs.record import Cost
from jaxspin.costs.runs import Prepared, is_run, prepared_run
from jaxspin.costs.traffic import Traffic, traffic
from jaxspin.devices.memory import memory_of, only_asking
from jaxspin.dynamics import relax
from jaxspin.dynamics.program import STEPS
from jaxspin.field import AbstractField

# An evaluation that is expected to take longer (seconds) is not run; one of fewer operations and bytes always is.
_LONGEST = 10.0
_SMALL = 2e8
# Calls that are timed, after a first one, as long as they take less than this together.
_CALLS, _WITHIN = 3, 0.5
# Steps of a run are timed together where they take less than this one by one.
_ENOUGH = 0.1


def cost(what: Any, *arguments: Any, **keywords: Any) -> Cost:
    """What something will cost, before it is computed: operations, bytes, memory, seconds, compiling, steps.

    `what` is one of

    - a field: the cost of `field.field(spins)`. Without spins those of its lattice, `js.cost(field.on(larger))`;
    - `js.simulate`, with the arguments of the run: `js.cost(js.simulate, field, spins, duration=100.0, step=0.1)`. The
      run is planned and compiled, not run; with the same arguments it then starts at once;
    - any function that `jax.jit` takes, with its arguments: `js.cost(jax.grad(loss), parameters)`.

    The program is compiled, and its operations are counted with loops as often as they run. XLA's own count, which
    takes loops once and sees nothing of LAPACK, is not used. Where the arguments are arrays, and one evaluation is
    expected to take less than 10 seconds and fits into the memory, it is timed: one evaluation, or one step of a run.
    For shapes, `jax.ShapeDtypeStruct((*lattice.shape, 3), jnp.float32)`, nothing is allocated, and the time is
    estimated.

    On several devices `memory` and `available` are those of one of them.

    Raises `ValueError` for what is no field or function, for a field without a lattice that is given no spins, for
    functions that need the numbers themselves, and for runs whose steps follow from them: give `step`, and leave out
    `store`.

    Example:
        >>> found = js.cost(js.ExactDiagonalization(js.SDModel(js.square(32)), filling=0.5, temperature=0.1))
        >>> found.flops > 36 * 2048**3, found.memory > 4 * 8 * 2048**2, found.measured
        (True, True, False)
    """
    if what is relax or getattr(what, "__wrapped__", None) is getattr(relax, "__wrapped__", relax):
        raise ValueError(
            "how many steps relax takes is not known beforehand; ask for the field, js.cost(field, spins): each step "
            "takes one."
        )
    began = time.perf_counter()
    with only_asking():
        prepared = prepared_run(*arguments, **keywords) if is_run(what) else _prepared(what, arguments, keywords)
        seconds = time.perf_counter() - began
        return _cost(prepared, seconds)


def _prepared(what: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Prepared:
    if isinstance(what, AbstractField):
        return _of_field(by_content(what), arguments, dict(keywords))
    if not callable(what):
        raise ValueError(f"{told(what)} is no field, function or js.simulate; give one, with its arguments.")
    name = getattr(what, "__qualname__", type(what).__name__)
    return _traced(name, what, lambda function, *a, **k: function(*a, **k), arguments, keywords)


def _of_field(field: AbstractField, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Prepared:
    name, lattice = f"{type(field).__name__}.field", field.lattice
    spins = keywords.pop("spins", None) if not arguments else arguments[0]
    if lattice is not None:
        name = f"{name} on {lattice.name} {' x '.join(map(str, lattice.cells))}"
    if spins is None:
        if lattice is None:
            raise ValueError(
                f"{type(field).__name__} fits any lattice; give spins, or their shape, "
                "jax.ShapeDtypeStruct((*lattice.shape, 3), jnp.float32)."
            )
        spins = jax.ShapeDtypeStruct((*lattice.shape, 3), jnp.result_type(float))

    def call(field: AbstractField, *arguments: Any, **keywords: Any) -> Any:
        return field.field(*arguments, **keywords)

    return _traced(name, field, call, (spins, *arguments[1:]), keywords)


def _traced(name: str, what: Any, call: Callable[..., Any], arguments: Any, keywords: Any) -> Prepared:
    given = (what, *jax.tree.map(_as_array, (tuple(arguments), dict(keywords))))
    dynamic, rest = eqx.partition(given, lambda x: eqx.is_array(x) or isinstance(x, jax.ShapeDtypeStruct))

    def program(dynamic: Any) -> Any:
        what, arguments, keywords = eqx.combine(dynamic, rest)
        return eqx.filter(call(what, *arguments, **keywords), eqx.is_array)

    try:
        traced = jax.jit(program).trace(dynamic)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        raise ValueError(
            f"{name} needs the numbers in its arguments, not only their shapes; give a function that jax.jit takes."
        ) from error
    compiled = traced.lower().compile()
    shapes = any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(dynamic))
    return Prepared(name, traced.jaxpr, compiled, None if shapes else (dynamic,))


def _as_array(x: Any) -> Any:
    """Lists of numbers stay what they are."""
    return jnp.asarray(x) if isinstance(x, np.ndarray) else x


def _cost(prepared: Prepared, compiling: float) -> Cost:
    compiled = prepared.compiled
    devices = _devices(compiled)
    platform = devices[0].platform
    loop = None if prepared.frames is None else STEPS
    count = counted(prepared.jaxpr, platform, loop)
    moved = None
    with contextlib.suppress(ValueError, NotImplementedError, AttributeError, KeyError, StopIteration):
        moved = traffic(compiled.as_text(), loop)
    memory = _memory(compiled, count)
    available = memory_of(None) // (len(devices) if platform == "cpu" else 1)
    fits = memory is not None and memory <= available
    double = any(x.dtype in (jnp.float64, jnp.complex128) for x in _avals(prepared.jaxpr))
    inside = around = (count, moved)
    if loop is not None:
        inside = (count.inside, None if moved is None else moved.inside)
    given = prepared.arguments if fits and (loop is None or prepared.steps is not None) else None
    small = all(_is_small(*pair) for pair in (around, inside))
    measured = given is not None and (small or _expected(around, inside, double) < _LONGEST)
    if given is not None and measured:
        seconds, frame_seconds = (_timed(compiled, given), None) if loop is None else _timed_run(prepared)
    else:
        seconds = _estimated(*inside, double, len(devices))
        frame_seconds = None if loop is None else _estimated(*around, double, len(devices))
    of_one = inside[0]
    missing = set(count.uncounted) | (set() if of_one is None else of_one.uncounted)
    return Cost(
        what=prepared.name,
        flops=None if of_one is None else of_one.flops,
        bytes=None if inside[1] is None else len(devices) * inside[1].bytes,
        memory=memory,
        available=available,
        compile=compiling,
        seconds=seconds,
        measured=measured,
        uncounted=tuple(sorted(missing)),
        steps=prepared.steps,
        frames=prepared.frames,
        frame_seconds=frame_seconds,
    )


def _is_small(count: Count | None, moved: Traffic | None) -> bool:
    """Whether it takes less than a second on any machine, which need not be measured for that."""
    return count is not None and moved is not None and count.flops < _SMALL and moved.bytes < _SMALL


def _expected(around: tuple[Any, Any], inside: tuple[Any, Any], double: bool) -> float:
    """Seconds of one evaluation on one device, or of all frames and a step; infinite where not known."""
    whole = _estimated(*around, double, 1)
    step = 0.0 if inside is around else _estimated(*inside, double, 1)
    return math.inf if whole is None or step is None else whole + step


def _estimated(count: Count | None, moved: Traffic | None, double: bool, devices: int) -> float | None:
    if count is None or moved is None:
        return None
    return rates(double).seconds(count.products / devices, count.decompositions / devices, moved.bytes)


def _memory(compiled: Any, count: Count) -> int | None:
    try:
        sizes = compiled.memory_analysis()
        whole = sizes.temp_size_in_bytes + sizes.argument_size_in_bytes + sizes.output_size_in_bytes
        return int(whole - sizes.alias_size_in_bytes + count.workspace)
    except (AttributeError, NotImplementedError, jax.errors.JaxRuntimeError):
        return None


def _devices(compiled: Any) -> list[Any]:
    held = [x for x in jax.tree.leaves(compiled.output_shardings) if hasattr(x, "device_set")]
    found = set().union(*(x.device_set for x in held)) if held else set()
    return sorted(found, key=lambda d: d.id) or jax.devices()[:1]


def _avals(jaxpr: Any) -> list[Any]:
    return [x.aval for x in getattr(jaxpr, "jaxpr", jaxpr).invars if hasattr(x.aval, "dtype")]


def _timed(compiled: Any, arguments: tuple[Any, ...]) -> float:
    """The median of a few calls after a first one; of the first alone where it is long."""
    times = []
    while len(times) < 1 + _CALLS and (len(times) < 2 or sum(times) < _WITHIN):
        began = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - began)
        if times[0] > _WITHIN:
            return times[0]
    return float(np.median(times[1:]))


def _timed_run(prepared: Prepared) -> tuple[float, float]:
    """Seconds of a step, and of all frames, by the program of the run with no steps in its frames, and with some."""
    assert prepared.with_steps is not None
    frames = _timed(*prepared.with_steps(0))
    assert prepared.steps is not None
    steps = 1
    while True:
        seconds = _timed(*prepared.with_steps(steps))
        if seconds - frames > _ENOUGH or steps == prepared.steps:
            return max(seconds - frames, 0.0) / steps, frames
        steps = min(8 * steps, prepared.steps)
