"""The output folder of an experiment that can be resumed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from jaxspin.io import new_folder, to_json


def open_folder(config: Any) -> Path:
    """`config.output`, new or (with `config.resume`) that of a run with the same settings, kept in config.json.

    Raises `FileExistsError` for a folder with something in it unless `config.overwrite`, and `ValueError` where a run
    to be resumed had other settings.
    """
    story = Path(config.output) / "config.json"
    settings = json.loads(to_json(dataclasses.replace(config, resume=False, overwrite=False)))
    if config.resume and story.exists():
        if json.loads(story.read_text()) != settings:
            raise ValueError(f"{story} holds other settings; give those, or another --output.")
        return Path(config.output)
    folder = new_folder(config.output, overwrite=config.overwrite)
    story.write_text(to_json(settings, indent=1))
    return folder
