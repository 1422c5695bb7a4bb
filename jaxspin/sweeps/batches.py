"""The programs of a sweep: points in batches, or in slots that are refilled; each compiled once.

A batch has b points: settings are arrays `(b,)`, outputs and states `(b, ..)`, the first axis sharded over the devices.
"""

import abc
import dataclasses
import functools
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxspin.sweeps.design import Caller, Design
from jaxspin.sweeps.results import blank

# One slot of so many may wait, finished, until several are refilled together.
_WAITING = 8

# The indices of points, their outputs, and why each failed ("" where it did not).
Finished = tuple[np.ndarray, dict[str, np.ndarray], list[str]]


@dataclasses.dataclass(frozen=True)
class Stepwise:
    """A run in pieces, for points that take different times: as one ends, the next point takes its slot in the batch.

    - `start(**settings)` (or `start(config)`): a state, a pytree of arrays with all that the rest needs.
    - `advance(state)`: the state after the next piece of work.
    - `done(state)`: whether that was the last piece.
    - `result(state)`: the dictionary of outputs.
    - `limit`: a point that is not done after so many pieces has failed; so has one whose state holds NaN.

    A piece should take much longer than the copy of a state: a field or more, say. For runs that all take as long as
    each other hand `sweep` a function.

    Raises `ValueError` for a limit below 1.

    Example:
        >>> job = js.sweeps.Stepwise(
        ...     start=lambda rate: {"x": 1.0 * rate, "rate": rate},
        ...     advance=lambda state: {**state, "x": state["x"] * 2},
        ...     done=lambda state: state["x"] > 10,
        ...     result=lambda state: {"x": state["x"]},
        ...     limit=20,
        ... )
        >>> rates = js.sweeps.grid(rate=[1.0, 3.0])
        >>> js.sweeps.sweep(job, rates, store=tmp_path / "sweep.zarr", progress=False)["x"].values.tolist()
        [16.0, 12.0]
    """

    start: Callable[..., Any]
    advance: Callable[[Any], Any]
    done: Callable[[Any], Any]
    result: Callable[[Any], Mapping[str, Any]]
    limit: int

    def __post_init__(self):
        if self.limit < 1:
            raise ValueError(f"limit = {self.limit} must be at least 1; it counts calls of advance.")


class AbstractProgram(abc.ABC):
    """The program for all points with the same static settings, `fixed`.

    It is traced when it is made, which raises what the user's function raises.
    """

    outputs: dict[str, jax.ShapeDtypeStruct]

    def __init__(self, caller: Caller, design: Design, fixed: Mapping[str, Any], size: int, devices: Sequence):
        self.fixed, self.size = dict(fixed), size
        self._call = lambda settings: caller({**self.fixed, **settings})
        self._columns = {n: _canonical(n, column) for n, column in design.values.items() if n not in fixed}
        self._sharding = NamedSharding(Mesh(np.array(devices), ("sweep",)), PartitionSpec("sweep"))
        self._compiled: Any = None
        self._slot = self.put(np.arange(size, dtype=np.int32))
        self.program, self.example = self._build()
        self._traced = self.program.trace(*self.example)
        self.outputs = {
            name: jax.ShapeDtypeStruct(spec.shape[1:], spec.dtype)
            for name, spec in self._outputs_of(self._traced.out_info).items()
        }

    @abc.abstractmethod
    def _build(self) -> tuple[Any, tuple]:
        """The jitted program of a batch, and arguments for it."""

    @abc.abstractmethod
    def _outputs_of(self, returned: Any) -> dict[str, Any]:
        """The outputs `(b, ..)` among what the program returns."""

    @abc.abstractmethod
    def finished(self, batches: Sequence[np.ndarray]) -> Iterator[Finished]:
        """Works on the points of the batches and gives them as they are finished."""

    def compile(self) -> str:
        """Compiles, once, and says how much memory a device needs, where the backend tells."""
        if self._compiled is None:
            self._compiled = self._traced.lower().compile()
        try:
            memory = self._compiled.memory_analysis()
            need = memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
        except (AttributeError, NotImplementedError, jax.errors.JaxRuntimeError):
            return "memory of a batch not known here"
        return f"{need / 1e6:.3g} MB a device and batch"

    def settings(self, numbers: np.ndarray) -> dict[str, jax.Array]:
        """The settings of some points, repeated to the size of a batch."""
        return {name: self.put(np.resize(column[numbers], self.size)) for name, column in self._columns.items()}

    def put(self, array: Any) -> jax.Array:
        """On the devices, sharded along the first axis."""
        return jax.device_put(array, self._sharding)

    def merged(self, numbers: np.ndarray, pieces: list[tuple[np.ndarray, Any]]) -> Finished:
        """The pieces of `attempt` as one, in the order of `numbers`; `blank` where a point raised."""
        outputs = {k: np.full((len(numbers), *s.shape), blank(s.dtype), s.dtype) for k, s in self.outputs.items()}
        reasons = [""] * len(numbers)
        for rows, part in pieces:
            if isinstance(part, Exception):
                reasons[int(rows[0])] = message(part)
                continue
            for name, values in part.items():
                outputs[name][rows] = values
            for row, reason in zip(rows, verdicts(part), strict=True):
                reasons[int(row)] = reason
        return numbers, outputs, reasons


class Batches(AbstractProgram):
    """Every point of a batch in one call."""

    def _build(self) -> tuple[Any, tuple]:
        def sweep_batch(settings, slot):
            # vmap needs the slot where no setting is traced
            return jax.vmap(lambda s, _: as_outputs(self._call(s)))(settings, slot)

        return jax.jit(sweep_batch), (self.settings(np.zeros(1, int)), self._slot)

    def _outputs_of(self, returned: Any) -> dict[str, Any]:
        return returned

    def finished(self, batches: Sequence[np.ndarray]) -> Iterator[Finished]:
        self.compile()
        for numbers in batches:

            def call(rows, numbers=numbers):
                outputs = jax.device_get(self._compiled(self.settings(numbers[rows]), self._slot))
                return {name: values[: len(rows)] for name, values in outputs.items()}

            yield self.merged(numbers, attempt(call, np.arange(len(numbers))))


class Slots(AbstractProgram):
    """Points in pieces, a slot each; a slot that is done takes the next point."""

    def __init__(self, job: Stepwise, *arguments):
        self._job = job
        super().__init__(*arguments)

    def _build(self) -> tuple[Any, tuple]:
        job = self._job

        def ended(states, pieces):
            return jax.vmap(job.done)(states) | (pieces >= job.limit) | _has_nan(states)

        def sweep_round(states, pieces, settings, slot, fresh, busy):
            begun = jax.lax.cond(
                jnp.any(fresh),
                lambda: jax.vmap(lambda s, _: _arrays(self._call(s)))(settings, slot),
                lambda: states,
            )
            states, pieces = _where(fresh, begun, states), jnp.where(fresh, 0, pieces)

            def goes_on(carry):
                over = jnp.sum(ended(*carry) & busy)
                return over < jnp.minimum(max(1, self.size // _WAITING), jnp.sum(busy))

            def advanced(carry):
                states, pieces = carry
                idle = ended(states, pieces) | ~busy
                return _where(idle, states, _arrays(jax.vmap(job.advance)(states))), jnp.where(idle, pieces, pieces + 1)

            states, pieces = jax.lax.while_loop(goes_on, advanced, (states, pieces))
            outputs = jax.vmap(lambda s: as_outputs(job.result(s)))(states)
            flags = {"over": ended(states, pieces), "done": jax.vmap(job.done)(states), "nan": _has_nan(states)}
            return states, pieces, outputs, flags

        settings = self.settings(np.zeros(1, int))
        shapes = jax.eval_shape(jax.vmap(lambda s, _: _arrays(self._call(s))), settings, self._slot)
        self._states = jax.tree.map(lambda s: self.put(jnp.zeros(s.shape, s.dtype)), shapes)
        self._pieces, mask = self.put(np.zeros(self.size, np.int32)), self.put(np.zeros(self.size, bool))
        return jax.jit(sweep_round), (self._states, self._pieces, settings, self._slot, mask, mask)

    def _outputs_of(self, returned: Any) -> dict[str, Any]:
        return returned[2]

    def finished(self, batches: Sequence[np.ndarray]) -> Iterator[Finished]:
        self.compile()
        queue = [int(point) for batch in batches for point in batch]
        held = (self._states, self._pieces)
        occupant = np.full(self.size, -1)
        while queue or (occupant >= 0).any():
            fresh = np.zeros(self.size, bool)
            for slot in np.flatnonzero(occupant < 0)[: len(queue)]:
                occupant[slot], fresh[slot] = queue.pop(0), True
            busy = np.flatnonzero(occupant >= 0)
            parts = attempt(functools.partial(self._round, held, occupant, fresh, busy), np.arange(len(busy)))
            held = self._gathered(held, busy, parts)
            numbers, values, reasons = self.merged(
                occupant[busy], [(rows, p if isinstance(p, Exception) else p[1]) for rows, p in parts]
            )
            over = np.zeros(len(busy), bool)
            for rows, part in parts:
                over[rows] = True if isinstance(part, Exception) else part[2]["over"]
                if isinstance(part, Exception):
                    continue
                for row, done, nan in zip(rows.tolist(), part[2]["done"], part[2]["nan"], strict=True):
                    if not reasons[row] and not done:
                        limit = f"not done after {self._job.limit} pieces"
                        reasons[row] = "the state is not finite" if nan else limit
            rows = np.flatnonzero(over)
            yield numbers[rows], {k: v[rows] for k, v in values.items()}, [reasons[row] for row in rows]
            occupant[busy[rows]] = -1

    def _round(self, held, occupant: np.ndarray, fresh: np.ndarray, busy: np.ndarray, rows: np.ndarray):
        """States, outputs and flags of some of the busy slots after as many pieces as it takes until some end."""
        slots = np.arange(self.size)
        # idle slots repeat a point of the round: whatever they held before could raise
        if len(rows) == len(busy):
            source, mask, real = np.where(occupant >= 0, slots, busy[0]), occupant >= 0, busy
        else:
            source, mask, real = np.resize(busy[rows], self.size), slots < len(rows), np.arange(len(rows))
            held = jax.tree.map(lambda x: self.put(x[source]), held)
        settings, begin = self.settings(occupant[source]), self.put(fresh[source] & mask)
        states, pieces, outputs, flags = self._compiled(*held, settings, self._slot, begin, self.put(mask))
        outputs, flags = jax.tree.map(lambda x: np.asarray(x)[real], (outputs, flags))
        return (states, pieces), outputs, flags

    def _gathered(self, held, busy: np.ndarray, parts: list[tuple[np.ndarray, Any]]):
        """The states of all slots after a round, from those of its parts."""
        if len(parts) == 1:
            return held if isinstance(parts[0][1], Exception) else parts[0][1][0]
        for rows, part in parts:
            if not isinstance(part, Exception):
                at, count = busy[rows], len(rows)
                held = jax.tree.map(lambda x, y, at=at, n=count: self.put(x.at[at].set(y[:n])), held, part[0])
        return held


def attempt(call: Callable[[np.ndarray], Any], rows: np.ndarray) -> list[tuple[np.ndarray, Any]]:
    """What the call gives; where it raises, each half on its own, down to the rows that do."""
    # JAX logs the trace of every exception of a program, which here is a result
    log = logging.getLogger("jax._src.callback")
    quiet, log.disabled = log.disabled, True
    try:
        return [(rows, call(rows))]
    except Exception as error:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            raise MemoryError("a batch does not fit in memory; give a smaller batch=...") from error
        if len(rows) == 1:
            return [(rows, error)]
    finally:
        log.disabled = quiet
    half = len(rows) // 2
    return attempt(call, rows[:half]) + attempt(call, rows[half:])


def as_outputs(returned: Any) -> dict[str, jax.Array]:
    """What a function returned, as arrays; `ValueError` where it is no dictionary of arrays."""
    if not isinstance(returned, Mapping) or not returned or not all(isinstance(name, str) for name in returned):
        raise ValueError(
            f"the function returned a {type(returned).__name__}; return a dictionary of arrays, such as "
            "{'energy': e}."
        )
    for name, value in returned.items():
        if len(jax.tree.leaves(value)) != 1 or jax.tree.structure(value) != jax.tree.structure(0):
            raise ValueError(f"output {name!r} is a {type(value).__name__}; return each array under its own name.")
    arrays = {name: jnp.asarray(value) for name, value in returned.items()}
    for name, array in arrays.items():
        if jax.dtypes.issubdtype(array.dtype, jax.dtypes.extended):
            raise ValueError(f"output {name!r} is a random key; return jax.random.key_data of it.")
    return arrays


def verdicts(outputs: Mapping[str, np.ndarray]) -> list[str]:
    """Why each point failed, "" where it did not."""
    count = len(next(iter(outputs.values())))
    reasons = [""] * count
    for name, values in outputs.items():
        if np.issubdtype(values.dtype, np.inexact):
            for row in np.flatnonzero(~np.isfinite(values).reshape(count, -1).all(axis=1)):
                reasons[row] = reasons[row] or f"{name} is not finite"
        elif name == "converged":
            for row in np.flatnonzero(~values.astype(bool).reshape(count, -1).all(axis=1)):
                reasons[row] = reasons[row] or "not converged"
    return reasons


def message(error: Exception) -> str:
    """The kind of an exception and its own words, without the trace that a compiled program adds."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [match[1] for line in lines if (match := re.match(r"(?:[\w.]+)(?:Error|Exception): (.+)", line))]
    return f"{type(error).__name__}: {(told or lines or [''])[-1]}"[:500]


def _canonical(name: str, column: np.ndarray) -> np.ndarray:
    cast = column.astype(jax.dtypes.canonicalize_dtype(column.dtype))
    if column.dtype.kind == "i" and not np.array_equal(cast, column):
        raise ValueError(f"{name} holds integers beyond 32 bits; use smaller ones, or switch on jax_enable_x64.")
    return cast


def _arrays(state: Any) -> Any:
    return jax.tree.map(jnp.asarray, state)


def _where(mask: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(mask.reshape(-1, *(1,) * (a.ndim - 1)), a, b), new, old)


def _has_nan(states: Any) -> jax.Array:
    leaves = [x for x in jax.tree.leaves(states) if jnp.issubdtype(x.dtype, jnp.inexact)]
    count = jax.tree.leaves(states)[0].shape[0]
    bad = jnp.zeros(count, bool)
    for x in leaves:
        bad = bad | jnp.any(jnp.isnan(x).reshape(count, -1), axis=1)
    return bad
