"""What a long benchmark has measured, in a JSON file that is whole at every moment, and the time it may take."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.stages.folder import differences
from jaxspin.io import load_json, save_json

Row = dict[str, Any]

# Why a part has no result that a later run may add.
NO_TIME = "no time was left"
# Share of the time of a section after which no more is compiled, so that what is compiled can run.
_COMPILING = 0.7
# The entries of a row that are printed, and how.
_SHOWN = {
    "median": lambda x: f"{1e3 * x:.3g} ms",
    "GB a second": lambda x: f"{x:.0f} GB/s",
    "Tflop a second": lambda x: f"{x:.3g} Tflop/s",
    "ns a site": lambda x: f"{x:.3g} ns a site",
    "ns a site and step": lambda x: f"{x:.3g} ns a site and step",
    "steps a second": lambda x: f"{x:.3g} steps/s",
    "lattices a second": lambda x: f"{x:.3g} lattices/s",
    "share of arithmetic": lambda x: f"{x:.0%} of the arithmetic",
    "share of bandwidth": lambda x: f"{x:.0%} of the bandwidth",
    "share of streaming": lambda x: f"{x:.0%} of the streaming of vectors",
    "relative error": lambda x: f"relative error {x:.1e}",
    "agrees": lambda x: "agrees" if x else "DOES NOT AGREE",
    "left out": lambda x: f"left out: {x}",
    "error": lambda x: f"FAILED: {x.splitlines()[0][:200]}",
}


class Enough(Exception):
    """Why a part is not worth a try: what it would take, and what there is."""


class OutOfTime(Exception):
    """A part that a later run may measure."""


@dataclasses.dataclass(frozen=True)
class Section:
    """Parts that are measured one after another, each of which fails alone.

    A section gets its `share` of the time that is left, in proportion to those of the sections still to come; what it
    leaves over is theirs. `prepare`, told the names of the parts wanted and the moment until which it may begin work,
    is called first. It may take longer for what it has begun: then half of the share again is left for the parts.
    """

    name: str
    share: float
    parts: Mapping[str, Callable[[], Row]]
    prepare: Callable[[Sequence[str], float], None] | None = None


class Ledger:
    """The results by section and part; with `path` they are written after every part."""

    def __init__(
        self, path: Path | None, settings: Mapping[str, Any], *, overwrite: bool = False, resume: bool = False
    ):
        """Raises `FileExistsError` where the file is there, `ValueError` where it is not the one to go on with."""
        if resume and overwrite:
            raise ValueError("resume keeps what overwrite would delete; give one of them.")
        if resume and path is None:
            raise ValueError("resume goes on in a file; give its --output.")
        self.path = path
        self.found: dict[str, Any] = {"settings": dict(settings), "runs": [], "sections": {}}
        if path is None or not path.exists() or overwrite:
            return
        if not resume:
            raise FileExistsError(f"{path} exists; choose another --output, or give --resume or --overwrite.")
        stored = load_json(path)
        if not isinstance(stored, dict) or {"settings", "runs", "sections"} - stored.keys():
            raise ValueError(f"{path} is no such benchmark; choose another --output.")
        if other := differences(stored["settings"], dict(settings)):
            raise ValueError(f"{path} holds other settings ({', '.join(other)}); give those, or another --output.")
        self.found = stored

    def part(self, section: str, part: str) -> Row:
        """What was measured, nothing where it was not."""
        return self.found["sections"].get(section, {}).get("parts", {}).get(part, {})

    def save(self) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_json(self.path, self.found)

    def measure(self, sections: Sequence[Section], until: float) -> None:
        """All sections, each in its share of the time to `until` (of `time.monotonic`)."""
        for number, section in enumerate(sections):
            left = max(0.0, until - time.monotonic())
            share = section.share / sum(other.share for other in sections[number:])
            self._section(section, share * left, until)

    def _section(self, section: Section, allowed: float, last: float) -> None:
        began = time.monotonic()
        until = began + allowed
        held = self.found["sections"].setdefault(section.name, {"parts": {}, "seconds": 0.0})
        rows, before = held["parts"], held["seconds"]
        wanted = [name for name in section.parts if _open(rows.get(name))]
        if not wanted:
            return
        print(f"--- {section.name}", flush=True)
        failed = None
        if section.prepare is not None and time.monotonic() < until:
            try:
                section.prepare(wanted, began + _COMPILING * allowed)
            except Exception as error:
                failed = told(error)
            until = min(last, max(until, time.monotonic() + allowed / 2))
        for name in wanted:
            rows[name] = {"error": failed} if failed else _part(section.parts[name], until)
            held["seconds"] = before + time.monotonic() - began
            print(_line(name, rows[name]), flush=True)
            self.save()


def _open(row: Row | None) -> bool:
    """Whether a part is to be measured: it never was, or it failed, which a later run may mend."""
    return row is None or "error" in row or row.get("left out") == NO_TIME


def _part(measure: Callable[[], Row], until: float) -> Row:
    if time.monotonic() >= until:
        return {"left out": NO_TIME}
    try:
        return measure()
    except OutOfTime:
        return {"left out": NO_TIME}
    except Enough as why:
        return {"left out": str(why)}
    except Exception as error:
        return {"error": told(error)}


def told(error: Exception) -> str:
    """The kind of an error and the beginning of its text; that of a compiler may have thousands of lines."""
    return f"{type(error).__name__}: {error}"[:2000]


def _line(name: str, row: Row) -> str:
    words = [write(row[key]) for key, write in _SHOWN.items() if row.get(key) is not None]
    return f"{name:44s} " + ", ".join(words)
