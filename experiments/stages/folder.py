"""An experiment's output folder and the time its stages take, both kept so that a killed run can go on."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from jaxspin.io import new_folder, to_json


def settings_of(config: Any) -> dict[str, Any]:
    """The settings of a run as plain data, without the switches that only say how its folder is opened."""
    return json.loads(to_json(dataclasses.replace(config, resume=False, overwrite=False)))


def open_folder(config: Any) -> Path:
    """The folder `config.output`, new or (with `config.resume`) that of a run with the same settings.

    Raises `ValueError` where a run to resume had other settings, `FileExistsError` where there is something and
    neither `resume` nor `overwrite` is given.
    """
    if config.resume and config.overwrite:
        raise ValueError("resume keeps what overwrite would delete; give one of them.")
    story = Path(config.output) / "config.json"
    settings = settings_of(config)
    if config.resume and story.exists():
        if json.loads(story.read_text()) != settings:
            raise ValueError(f"{story} holds other settings; give those, or another --output.")
        return Path(config.output)
    folder = new_folder(config.output, overwrite=config.overwrite)
    story.write_text(to_json(settings, indent=1))
    return folder


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
