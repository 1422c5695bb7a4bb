"""The command line of every experiment: what it refuses is one line and exit status 2, and leaves nothing behind."""

import contextlib
import dataclasses
import io
import math
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import jaxspin
from jaxspin.extras import needed_for
from jaxspin.io.records import MARK

_Settings = TypeVar("_Settings")
_ROOTS = (Path(jaxspin.__file__).parent, Path(__file__).parent.parent)
# What our checks raise.
_KINDS = (ValueError, TypeError, FileExistsError, FileNotFoundError, NotADirectoryError, MemoryError)


def command_line(config: type[_Settings], description: str | None, default: _Settings | None = None) -> _Settings:
    """The settings of the command line; `ValueError`, of one line, where they are refused."""
    with needed_for("command lines"):
        import tyro

    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            given: dict[str, Any] = {} if default is None else {"default": default}
            settings = tyro.cli(config, description=description, **given)
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise ValueError(one_line(told.getvalue())) from None
    check_numbers(settings)
    return settings


def one_line(box: str) -> str:
    """What tyro says in the first part of its box, below the title."""
    rows = [row.strip("│| ") for row in re.sub(r"\x1b\[[0-9;]*m", "", box).strip().splitlines()]
    lines = [n for n, row in enumerate(rows) if not row.strip("─-╰╯+")]  # between parts, without UTF-8 below the title
    begin = 2 if 1 in lines else 1
    words = " ".join(rows[begin : next((n for n in lines if n > begin), len(rows))])
    return words.rstrip(". ") + ("." if "--help" in words else "; see --help.")


def check_numbers(settings: Any, name: str = "") -> None:
    """Refuse a setting that is not a number, or is infinite where its default is not."""
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        for field in dataclasses.fields(settings):
            value = getattr(settings, field.name)
            if value != field.default:
                check_numbers(value, f"{name}.{field.name}".lstrip("."))
    elif isinstance(settings, tuple | list):
        for part in settings:
            check_numbers(part, name)
    elif isinstance(settings, float) and not math.isfinite(settings):
        option = name.replace("_", "-")
        raise ValueError(f"--{option} is {settings}, which is no finite number; see --help for the default.")


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """A refusal raised by the code of this project, not by a library below it, ends with one line and status 2."""
    try:
        yield
    except _KINDS as error:
        if not _raised_here(error):
            raise
        text = " ".join(str(error).split())
        command = shlex.join(["python", *sys.orig_argv[1:3]]) if "-m" in sys.orig_argv[1:2] else sys.argv[0]
        print(f"{command}: {text}", file=sys.stderr)
        raise SystemExit(2) from None


@contextlib.contextmanager
def no_folder_of_a_refused_run(folder: Path) -> Iterator[None]:
    """A folder that was not there, and holds nothing but its settings when a run is refused, is gone again."""
    there = folder.exists()
    try:
        yield
    except _KINDS:
        if not there and (folder / MARK).is_file() and not any(_made(folder)):
            shutil.rmtree(folder)
        raise


def _made(folder: Path) -> Iterator[Path]:
    """The files in a folder beside those that every run begins with."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in (MARK, "config.json", "timings.json"):
            yield path


def _raised_here(error: BaseException) -> bool:
    """Whether the exception was raised by a line of this project."""
    last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return any(last.is_relative_to(root) for root in _ROOTS)
