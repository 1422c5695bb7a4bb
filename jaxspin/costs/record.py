"""What `cost` returns: plain numbers, and their words."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one evaluation, or of a run; print it. A number that is not known is None.

    - `flops`: floating-point operations of one evaluation, or of one step of a run. Loops count as often as they run;
      `uncounted` says what is missing, so that `flops` is at least that many.
    - `bytes`: what one evaluation, or step, reads and writes, each kernel its arguments and its result once. Caches
      serve a part of it, and what LAPACK's routines move within is not known.
    - `memory`: bytes at the peak, arguments and results included, of the whole run with its frames; `available`: bytes
      of the device.
    - `compile`: seconds of tracing and compiling. They are spent now; `simulate` with the same arguments then needs
      none. Where the program was compiled before in this process, and for a hit in JAX's cache on disk, they are few.
    - `seconds`: one evaluation, or one step; `measured` says whether it was timed here. Else it is an estimate from
      the operations and bytes at the rates of this machine, good to a factor of about four.
    - `steps`, `frames`: those of a run; `frame_seconds`: all frames together, what `save=` computes included.

    Example:
        >>> found = js.cost(js.simulate, field, spins, duration=2.0, step=0.1)
        >>> found.steps, found.frames, found.fits
        (20, 21, True)
    """

    what: str
    flops: float | None
    bytes: float | int | None
    memory: int | None
    available: int
    compile: float
    seconds: float | None
    measured: bool
    uncounted: tuple[str, ...] = ()
    steps: int | None = None
    frames: int | None = None
    frame_seconds: float | None = None

    @property
    def fits(self) -> bool | None:
        """Whether the memory suffices."""
        return None if self.memory is None else self.memory <= self.available

    @property
    def total(self) -> float | None:
        """Seconds of the run or evaluation with compiling; None where steps or their time are not known."""
        if self.seconds is None or (self.frames is not None and self.steps is None):
            return None
        return self.compile + (self.frame_seconds or 0.0) + (self.steps or 1) * self.seconds

    def __str__(self) -> str:
        of = "" if self.frames is None else " a step"
        least = "at least " if self.uncounted else ""
        missing = f" ({'; '.join(self.uncounted)})" if self.uncounted else ""
        about, how = ("", "timed here") if self.measured else ("about ", "estimated, not run")
        rows = [
            ("operations", _or_unknown(self.flops, lambda x: f"{least}{_scaled(x, 'flop')}{of}{missing}")),
            ("bytes moved", _or_unknown(self.bytes, lambda x: f"{_scaled(x, 'B')}{of}")),
            ("peak memory", f"{_or_unknown(self.memory, lambda x: _scaled(x, 'B'))} of {_scaled(self.available, 'B')}"),
            ("compile", duration(self.compile)),
            ("time", _or_unknown(self.seconds, lambda x: f"{about}{duration(x)}{of} ({how})")),
        ]
        if self.fits is False:
            rows[2] = (rows[2][0], f"{rows[2][1]}: DOES NOT FIT")
        if self.frames is not None:
            steps = "chosen on the way" if self.steps is None else f"{self.steps}"
            rows += [("steps, frames", f"{steps}, {self.frames}")]
            rows += [("whole run", _or_unknown(self.total, lambda x: f"{about}{duration(x)} with compiling"))]
        return "\n".join([self.what, *(f"  {name:14s}{value}" for name, value in rows)])

    def __repr__(self) -> str:
        return str(self)


def duration(seconds: float | int) -> str:
    """A time in the unit that fits: `0.0123` is "12 ms"."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} us"


def _scaled(number: float | int, unit: str) -> str:
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:.0f} {unit}"


def _or_unknown(value, words) -> str:
    return "not known" if value is None else words(value)
