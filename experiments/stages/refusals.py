"""The command line of every experiment: what it refuses is one line and exit status 2, and leaves nothing behind."""

import contextlib
import dataclasses
import io
import math
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import jaxspin
from jaxspin.command.refusals import KINDS, one_line
from jaxspin.command.refusals import refusals as refused_in_one_line
from jaxspin.extras import needed_for
from jaxspin.io.records import MARK

_Settings = TypeVar("_Settings")
_ROOTS = (Path(jaxspin.__file__).parent, Path(__file__).parent.parent)


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
    command = shlex.join(["python", *sys.orig_argv[1:3]]) if "-m" in sys.orig_argv[1:2] else sys.argv[0]
    with refused_in_one_line(command, _ROOTS):
        yield


@contextlib.contextmanager
def no_folder_of_a_refused_run(folder: Path) -> Iterator[None]:
    """A folder that was not there, and holds nothing but its settings when a run is refused, is gone again."""
    there = folder.exists()
    try:
        yield
    except KINDS:
        if not there and (folder / MARK).is_file() and not any(_made(folder)):
            shutil.rmtree(folder)
        raise


def _made(folder: Path) -> Iterator[Path]:
    """The files in a folder beside those that every run begins with."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in (MARK, "config.json", "timings.json"):
            yield path
