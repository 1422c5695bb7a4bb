"""The committed results, and their numbers as the documents write them."""

import functools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxspin.forcefield import pretrained_metadata
from jaxspin.io import load_json

FOLDER = Path(__file__).parent.parent


@functools.cache
def result(name: str) -> Any:
    """What the chapter that has a result of this name keeps, `CHAPTER/results/NAME/summary.json` or `NAME.json`.

    That of `quickstart` is in `quickstart_results`. Raises `ValueError` where no chapter has one, or several.
    """
    places = (f"*/results/{name}/summary.json", f"*/results/{name}.json", f"{name}_results/summary.json")
    found = [path for place in places for path in FOLDER.glob(place)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} results are named {name!r}; give the name of one folder or file in results/.")
    return load_json(found[0])


@functools.cache
def weights_errors(name: str) -> dict[str, Any]:
    """Errors by kind of configuration of a force field that comes with the package."""
    return pretrained_metadata(name)["errors"]


def digits(value: float, significant: int = 2) -> str:
    """A number with so many digits, without an exponent: 0.0123 -> "0.012", 123 -> "120"."""
    if value == 0:
        return "0"
    places = significant - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    places = significant - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(0, places)}f}"


def power(value: float, significant: int = 2) -> str:
    """A number with an exponent: 1.5e-8."""
    mantissa, exponent = f"{value:.{significant - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def percent(value: float, places: int = 0) -> str:
    """Of a fraction, without the sign: 0.123 -> "12"."""
    return f"{100 * value:.{places}f}"


def error(value: float) -> str:
    """An error in percent, with a decimal below ten: "7.4 %", "26 %"."""
    return f"{percent(value, 1 if value < 0.0995 else 0)} %"


def seconds(value: float) -> str:
    """A time: "1.7 ms", "0.19 s", "25 s"."""
    return f"{digits(1000 * value)} ms" if value < 0.0995 else f"{digits(value)} s"


def between(values: Any, write: Any = digits) -> str:
    """The least and the largest: "5 to 7"; one where they are written alike."""
    low, high = write(min(values)), write(max(values))
    return low if low == high else f"{low} to {high}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
