"""One function at many points: compiled once per shape, batched by vmap, the batches sharded over the devices."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from tqdm import tqdm

from jaxspin.extras import check_stores
from jaxspin.io.code import identity_of
from jaxspin.sweeps.batches import AbstractProgram, Batches, Finished, Slots, Stepwise, message
from jaxspin.sweeps.design import RESERVED, Caller, Design
from jaxspin.sweeps.results import FAILED, SweepStore, load_sweep, output_dims

if TYPE_CHECKING:
    import xarray

# Writing takes at most this share of the time: fast points are written several together.
_WRITING = 0.1

# Some points, with their program or the exception that its trace raised.
_Job = tuple[list[np.ndarray], AbstractProgram | Exception]


def sweep(
    function: Callable[..., Mapping[str, Any]] | Stepwise,
    design: Design,
    *,
    store: str | os.PathLike,
    config: Any = None,
    static: Sequence[str] = (),
    batch: int = 32,
    dims: Mapping[str, Sequence[str]] | None = None,
    attributes: Mapping[str, Any] | None = None,
    devices: Sequence[Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> "xarray.Dataset":
    """Call `function` at every point of `design` and keep what it returns in the Zarr store `store`.

    The function. `function(**settings)` returns a dictionary of arrays or numbers; it is called under jit and vmap, and
    gets numbers as traced scalars. With `config`, a dataclass, it is `function(config)`, and the settings are names of
    its fields ("electrons.coupling" for one in a field that is a dataclass itself). The constructors check every point
    before anything runs. Settings that decide a shape or a branch go into `static` and arrive as Python numbers; text
    always does. Each combination of static values is compiled once; all must give outputs of the same shapes.

    Batches. `batch` points run at once, rounded up to a multiple of the number of devices, over which they are sharded
    (`devices`: default those of this process). A point's result does not depend on the others in its batch: a sweep
    that was killed and resumed has the results of an unbroken one, bit for bit where `batch` and the devices are the
    same and the function is no `Stepwise`, else up to rounding.

    A batch lasts as long as its slowest point: a loop inside `function` that ends on a condition (`relax`,
    `simulate(until=...)`) goes on for all points until the last is done. Give such work as a `Stepwise`, in which the
    next point begins where one is done.

    The store. Finished points are written before others begin; where points take less than a few hundredths of a
    second, several are written together, so that writing takes at most a tenth of the time. A point whose output holds
    NaN or infinity, or whose output `converged` is false, is stored as failed, with its output; a point that raises as
    failed with the message; the others go on. `dims` names the axes of outputs. `attributes` are stored, and must be
    the same in a resumed sweep.

    `resume` continues a store, or begins one, and repeats neither finished nor failed points. It is refused where the
    code of `function` has changed, or of what it uses of its own package (`jaxspin.io.code.fingerprint`). `overwrite`
    replaces a store. The plan, and the time left once some points are timed, are printed unless `progress` is False.

    Returns the store, opened by `load_sweep`. Raises `ValueError` for settings that do not fit, outputs of different
    shapes and the store of another design; `FileExistsError` where a store is in the way; `MemoryError` where a batch
    is too large; and what `function` raises when it is traced, if it does so for every shape.

    Example:
        >>> design = js.sweeps.grid(x=[1.0, 2.0, 3.0])
        >>> results = js.sweeps.sweep(lambda x: {"y": x**2}, design, store=tmp_path / "sweep.zarr", progress=False)
        >>> results["y"].values.tolist()
        [1.0, 4.0, 9.0]
    """
    if resume and overwrite:
        raise ValueError("resume keeps what overwrite would delete; give one of them.")
    if batch < 1:
        raise ValueError(f"batch = {batch} must be at least 1; 32 is the default.")
    if unknown := [name for name in static if name not in design.names]:
        raise ValueError(f"static names {', '.join(unknown)}, which the design does not vary; leave it out.")
    check_stores()
    path, devices = Path(store), list(jax.local_devices() if devices is None else devices)
    caller = Caller(function.start if isinstance(function, Stepwise) else function, design, config)
    _check_axes(design, static)
    identity = {
        "function": identity_of(function),
        "design": design.fingerprint(),
        "config": config,
        "attributes": dict(attributes or {}),
    }
    known = SweepStore.open(path, design, identity) if resume else None
    if known is None and path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another store, or pass resume=True or overwrite=True.")

    size = -(-batch // len(devices)) * len(devices)
    jobs: list[_Job] = list(_jobs(function, caller, design, static, known, size, devices))
    programs: list[AbstractProgram] = [program for _, program in jobs if isinstance(program, AbstractProgram)]
    if jobs and not programs and (known is None or known.pending.all()):
        raise next(program for _, program in jobs if isinstance(program, Exception))
    if programs:
        _check_outputs(programs, design, dims or {}, None if known is None else known.outputs, path)
    if known is None:
        known = SweepStore.create(path, design, programs[0].outputs, identity, dims or {}, overwrite=overwrite)
    if progress:
        print(_plan(known, programs, size, devices), flush=True)
    _work(known, jobs, size, progress)
    return load_sweep(path)


def _check_axes(design: Design, static: Sequence[str]) -> None:
    """Refuse values of an axis that are the same number once they are on the device."""
    for name, axis in design.axes.items():
        if name in design.names and name not in static and axis.dtype.kind == "f":
            cast = axis.astype(jax.dtypes.canonicalize_dtype(axis.dtype))
            if len(np.unique(cast)) < len(axis):
                raise ValueError(
                    f"{name} holds values that are one number in {cast.dtype}; set them further apart, or switch on "
                    "jax_enable_x64."
                )


def _jobs(
    function: Any, caller: Caller, design: Design, static: Sequence[str], known: SweepStore | None, size: int, devices
) -> Iterator[_Job]:
    """The points still to do, shape by shape, in the batches of an unbroken sweep."""
    fixed = [name for name in design.names if name in static or design.values[name].dtype.kind == "U"]
    pending = np.ones(len(design), bool) if known is None else known.pending
    groups: dict[tuple, list[int]] = {}
    for point in range(len(design)):
        groups.setdefault(tuple(design.values[name][point].item() for name in fixed), []).append(point)
    for values, rows in groups.items():
        parts = [np.array(rows[start : start + size]) for start in range(0, len(rows), size)]
        parts = [part[pending[part]] for part in parts if pending[part].any()]
        if not parts:
            continue
        arguments = (caller, design, dict(zip(fixed, values, strict=True)), size, devices)
        try:
            program = Slots(function, *arguments) if isinstance(function, Stepwise) else Batches(*arguments)
        except Exception as error:
            yield parts, error
        else:
            yield parts, program


def _check_outputs(programs: list[AbstractProgram], design: Design, dims, stored, path: Path) -> None:
    """Refuse outputs that do not fit one store, or not the one that is resumed."""
    outputs = programs[0].outputs
    for name, spec in outputs.items():
        if name in RESERVED or name in design.names or "/" in name:
            raise ValueError(f"an output cannot be called {name!r}, which the store uses itself; rename it.")
        output_dims(name, spec, dims)
    for program in programs[1:]:
        if program.outputs != outputs:
            raise ValueError(
                f"with {program.fixed} the outputs are {_shapes(program.outputs)}, with {programs[0].fixed} "
                f"{_shapes(outputs)}; return the same shapes, or sweep each on its own."
            )
    here = {name: (spec.shape, str(spec.dtype)) for name, spec in outputs.items()}
    if stored is not None and stored != here:
        raise ValueError(
            f"{path} holds the outputs {stored}, the function gives {here}; "
            "resume with the same function and precision, or choose another store."
        )


def _plan(known: SweepStore, programs: list[AbstractProgram], size: int, devices) -> str:
    design = known.design
    over = ", ".join(f"{name} ({len(np.unique(column))})" for name, column in design.values.items())
    left = int(known.pending.sum())
    lines = [f"sweep of {len(design)} points over {over}, {len(design) - left} of them done, into {known.path}"]
    if programs:
        volume = sum(int(np.prod(s.shape)) * s.dtype.itemsize for s in programs[0].outputs.values()) * len(design)
        lines += [
            f"  outputs {_shapes(programs[0].outputs)}, {volume / 1e6:.3g} MB in all",
            f"  {len(programs)} programs to compile, {size} points at once on {len(devices)} devices, "
            f"{programs[0].compile()}",
        ]
    return "\n".join(lines)


def _shapes(outputs: Mapping[str, jax.ShapeDtypeStruct]) -> str:
    return ", ".join(f"{name} {spec.dtype} {spec.shape}" for name, spec in outputs.items())


def _work(known: SweepStore, jobs: list[_Job], size: int, progress: bool) -> None:
    """Do what is left, program by program; each result is stored as it comes."""
    left = int(known.pending.sum())
    began, done, told = time.perf_counter(), 0, not progress
    with tqdm(total=left, desc="sweep", unit="point", disable=not progress) as bar, _Buffer(known) as buffer:
        for parts, program in jobs:
            if isinstance(program, Exception):
                numbers = np.concatenate(parts)
                known.write(numbers, {}, [message(program)] * len(numbers))
                bar.update(len(numbers))
                left -= len(numbers)
                continue
            for finished in program.finished(parts):
                buffer.add(finished)
                bar.update(len(finished[0]))
                done += len(finished[0])
                if not told and size <= done < left:
                    told, spent = True, time.perf_counter() - began
                    bar.write(
                        f"  {done} points took {spent:.3g} s; about {spent / done * (left - done):.3g} s are left"
                    )
    failed = int((known.status == FAILED).sum())
    if failed and progress:
        print(f"  {failed} of {len(known.design)} points failed; their status is {FAILED} and `reason` says why")


class _Buffer:
    """Finished points on their way to the store; none stays behind, whatever ends the sweep."""

    def __init__(self, known: SweepStore):
        self._known, self._waiting = known, []
        self._next = 0.0

    def __enter__(self) -> "_Buffer":
        return self

    def __exit__(self, *_) -> None:
        self._flush()

    def add(self, finished: Finished) -> None:
        self._waiting.append(finished)
        if time.perf_counter() >= self._next:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        began = time.perf_counter()
        numbers, values, reasons = zip(*waiting, strict=True)
        together = {name: np.concatenate([part[name] for part in values]) for name in values[0]}
        self._known.write(np.concatenate(numbers), together, [reason for part in reasons for reason in part])
        now = time.perf_counter()
        self._next = now + (now - began) / _WRITING
