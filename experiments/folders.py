"""Output folders of runs that can be resumed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from jaxspin.io import new_folder, to_json


def open_folder(config: Any) -> Path:
    """`config.output`, new or (with `config.resume`) that of a run with the same settings.

    `config` is a dataclass with `output`, `overwrite` and `resume`; config.json in the folder holds the others. Raises
    `ValueError` for other settings than those, and `FileExistsError` for a folder in use without `resume` or
    `overwrite`.
    """
    if config.resume and config.overwrite:
        raise ValueError("resume keeps what overwrite would delete; give one of them.")
    story = Path(config.output) / "config.json"
    settings = json.loads(to_json(dataclasses.replace(config, resume=False, overwrite=False)))
    if config.resume and story.exists():
        if json.loads(story.read_text()) != settings:
            raise ValueError(f"{story} holds other settings; give those, or another --output.")
        return Path(config.output)
    folder = new_folder(config.output, overwrite=config.overwrite)
    story.write_text(to_json(settings, indent=1))
    return folder
