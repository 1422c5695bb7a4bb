"""What every benchmark is told, and the file that it writes."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxspin.io import provenance, save_json


@dataclasses.dataclass(frozen=True)
class Report:
    """Settings of every benchmark."""

    output: Path | None = None
    """Where to write the JSON; an existing file is refused."""
    repeats: int = 5
    """Calls timed."""

    def check_output(self, *endings: str) -> None:
        """Raise `FileExistsError` before anything is timed where the file, or one of other endings, is there."""
        if self.output is None:
            return
        for path in (self.output, *(self.output.with_suffix(ending) for ending in endings)):
            if path.exists():
                raise FileExistsError(f"{path} exists; choose another --output.")

    def write(self, found: Mapping[str, Any]) -> None:
        """Write what was `found` and how, where a file is wanted."""
        if self.output is not None:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            save_json(self.output, {**found, "provenance": provenance(self)})
