"""An experiment's command line, its output folder and the time its stages take, kept so that a killed run can go on."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import tyro

from jaxspin.io import new_folder, to_json

_Config = TypeVar("_Config", bound="Output")
_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """Settings of every experiment that writes a folder; each gives `output` its own default."""

    output: Path
    """Folder for everything the run writes; an existing one is refused."""
    overwrite: bool = False
    """Empty an existing output folder first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resumable(Output):
    """Settings of every experiment that goes on where it stopped, see `open_folder`."""

    resume: bool = False
    """Go on in an output folder of the same settings where a killed run stopped."""


def main(
    config: type[_Config],
    run: Callable[[_Config], _Found],
    description: str | None,
    shown: Callable[[_Found, Path], Any] | None = None,
) -> None:
    """Run with the settings of the command line, print a part of the result, and say where the rest is.

    `shown` takes what `run` returns and the folder to what is printed: text as it is, anything else as JSON.
    """
    settings = tyro.cli(config, description=description)
    found = run(settings)
    if shown is not None:
        part = shown(found, settings.output)
        print(part if isinstance(part, str) else to_json(part, indent=1))
    print(f"everything is in {settings.output}")


def stored_table(_: Any, folder: Path) -> str:
    """What `main` shows of a run that wrote a table."""
    return (folder / "table.md").read_text()


def settings_of(config: Resumable) -> dict[str, Any]:
    """The settings of a run as plain data, without the switches that only say how its folder is opened."""
    return json.loads(to_json(dataclasses.replace(config, resume=False, overwrite=False)))


def open_folder(config: Resumable) -> Path:
    """The folder `config.output`, new or (with `config.resume`) that of a run with the same settings.

    Raises `ValueError` where a run to resume had other settings, `FileExistsError` where there is something and
    neither `resume` nor `overwrite` is given.
    """
    if config.resume and config.overwrite:
        raise ValueError("resume keeps what overwrite would delete; give one of them.")
    story = config.output / "config.json"
    settings = settings_of(config)
    if config.resume and story.exists():
        if json.loads(story.read_text()) != settings:
            raise ValueError(f"{story} holds other settings; give those, or another --output.")
        return config.output
    folder = new_folder(config.output, overwrite=config.overwrite)
    story.write_text(to_json(settings, indent=1))
    return folder


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a resumed run finds in `path`, or makes and writes there; a kill leaves nothing or all of it."""
    if not path.exists():
        part = path.with_suffix(".part")
        part.write_text(to_json(make()))
        part.replace(path)
    return json.loads(path.read_text())


class Timer:
    """Wall time of each stage, kept on disk so that a resumed run adds up."""

    def __init__(self, folder: Path):
        self.path = folder / "timings.json"
        self.seconds: dict[str, float] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def __call__(self, stage: str):
        self.stage = stage
        return self

    def __enter__(self):
        print(f"--- {self.stage}", flush=True)
        self.began = time.perf_counter()

    def __exit__(self, *_):
        spent = time.perf_counter() - self.began
        self.seconds[self.stage] = round(self.seconds.get(self.stage, 0.0) + spent, 1)
        self.path.write_text(json.dumps(self.seconds))
