"""An experiment's command line, its output folder and the time its stages take, kept so that a killed run can go on."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jaxspin as js
from experiments.stages.refusals import command_line, no_folder_of_a_refused_run, refusals
from jaxspin.io import load_json, new_folder, save_json, to_json

_Settings = TypeVar("_Settings")
_Config = TypeVar("_Config", bound="Output")
_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """Settings of every experiment that writes a folder; each gives `output` its own default."""

    output: Path
    """Folder for everything the run writes; an existing one is refused."""
    overwrite: bool = False
    """Empty the output folder of an earlier run first."""


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
    default: _Config | None = None,
) -> None:
    """Run with the settings of the command line, print a part of the result, and say where the rest is.

    `shown` takes what `run` returns and the folder to what is printed: text as it is, anything else as JSON. What is
    refused, by the parser, the settings or a check of `run`, is one line and exit status 2, and leaves no folder.
    """
    with contextlib.suppress(RuntimeError):  # of a process that has computed something
        js.devices.use_cores()
    with refusals():
        settings = command_line(config, description, default)
        with no_folder_of_a_refused_run(settings.output):
            found = run(settings)
    if shown is not None:
        part = shown(found, settings.output)
        print(part if isinstance(part, str) else to_json(part, indent=1))
    print(f"everything is in {settings.output}")


def main_without_folder(config: type[_Settings], run: Callable[[_Settings], Any], description: str | None) -> None:
    """The same for a script that prints what it finds, or writes a file."""
    with refusals():
        run(command_line(config, description))


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
        if other := differences(load_json(story), settings):
            raise ValueError(f"{story} holds other settings ({', '.join(other)}); give those, or another --output.")
        return config.output
    if not config.overwrite and story.exists() and not (config.output / "summary.json").exists():
        raise FileExistsError(
            f"{config.output} holds an unfinished run; go on with --resume, or choose another --output or --overwrite."
        )
    folder = new_folder(config.output, overwrite=config.overwrite)
    save_json(story, settings)
    return folder


def differences(stored: Any, given: Any, name: str = "") -> list[str]:
    """The names of settings that two configs, as plain data, do not share."""
    if not (isinstance(stored, dict) and isinstance(given, dict)):
        return [] if stored == given else [name or "all"]
    inside = name + "." if name else ""
    return [
        part
        for key in sorted({*stored, *given})
        for part in differences(stored.get(key), given.get(key), f"{inside}{key}")
    ]


class Timer:
    """Wall time of each stage, kept on disk so that a resumed run adds up."""

    def __init__(self, folder: Path):
        self.path = folder / "timings.json"
        self.seconds: dict[str, float] = load_json(self.path) if self.path.exists() else {}

    def __call__(self, stage: str):
        self.stage = stage
        return self

    def __enter__(self):
        print(f"--- {self.stage}", flush=True)
        self.began = time.perf_counter()

    def __exit__(self, *_):
        spent = time.perf_counter() - self.began
        self.seconds[self.stage] = round(self.seconds.get(self.stage, 0.0) + spent, 1)
        save_json(self.path, self.seconds, indent=None)
