"""Runs the notebooks and keeps what they show in the files.

    python -m experiments.notebooks                       # all, at full size, an hour on two cores
    python -m experiments.notebooks --names 01 04         # those that begin so
    JAXSPIN_SMOKE=1 python -m experiments.notebooks --check    # small, nothing is written, as the tests do

What a cell prints may not depend on the size where it has the tag "same": `--check` compares it with the file, numbers
to one part in a thousand. A notebook of more than a megabyte is refused: draw smaller figures.
"""

import dataclasses
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from tqdm import tqdm

from experiments.stages import main_without_folder

FOLDER = Path(__file__).parent.parent / "notebooks"
LARGEST = 1_000_000
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Config:
    """Which notebooks to run."""

    names: tuple[str, ...] = ()
    """The beginnings of their names; none runs all."""
    check: bool = False
    """Compare what may not change with the files, and write nothing."""
    cell_minutes: float = 30.0
    """A cell that takes longer is an error."""

    def __post_init__(self):
        for name in self.names:
            if not list(FOLDER.glob(f"{name}*.ipynb")):
                raise ValueError(f"no notebook begins with {name}; there are {', '.join(names())}.")
        if not self.cell_minutes > 0:
            raise ValueError(f"cell_minutes must be positive, got {self.cell_minutes}; 30 is usual.")


def names() -> list[str]:
    """Of all notebooks."""
    return [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]


def run(config: Config) -> dict[str, float]:
    """Runs them; returns the minutes that each took."""
    if not config.check and os.environ.get("JAXSPIN_SMOKE"):
        raise ValueError("JAXSPIN_SMOKE makes small runs, which the files do not keep; give --check, or unset it.")
    chosen = [name for name in names() if not config.names or name.startswith(config.names)]
    took: dict[str, float] = {}
    for name in tqdm(chosen, desc="notebooks", unit="notebook"):
        began = time.monotonic()
        path = FOLDER / f"{name}.ipynb"
        made = executed(path, 60 * config.cell_minutes)
        took[name] = (time.monotonic() - began) / 60
        print(f"{name}: {took[name]:.1f} minutes", flush=True)
        if config.check:
            compare(nbformat.read(path, as_version=4), made)
        else:
            keep(made, path)
    return took


def executed(path: Path, cell_seconds: float) -> Any:
    """The notebook with what its cells show, run in an empty folder."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=int(cell_seconds), kernel_name="python3", resources=resources)
        client.execute()
    return notebook


def keep(made: Any, path: Path) -> None:
    """Write a notebook without what differs from run to run; `ValueError` where it is too large."""
    for cell in made.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # progress bars and warnings are of that machine
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    made.metadata["language_info"] = {"name": "python"}
    text = nbformat.writes(made)
    if len(text) > LARGEST:
        raise ValueError(f"{path.name} would have {len(text) / 1e6:.1f} MB; draw smaller figures.")
    path.write_text(text)


def compare(stored: Any, made: Any) -> None:
    """`ValueError` where a cell with the tag "same" prints something else."""
    for number, (before, now) in enumerate(zip(stored.cells, made.cells, strict=True)):
        if "same" not in before.metadata.get("tags", ()):
            continue
        texts = [printed(before), printed(now)]
        words = [_NUMBER.sub("#", text) for text in texts]
        values = [[float(x) for x in _NUMBER.findall(text)] for text in texts]
        if words[0] != words[1] or any(abs(a - b) > 1e-3 * max(abs(a), 1e-6) for a, b in zip(*values, strict=True)):
            raise ValueError(
                f"cell {number} should print what it printed when it was stored:\n{texts[0]}\nbut prints\n{texts[1]}\n"
                "mend the program, or run python -m experiments.notebooks and look at what changed."
            )


def printed(cell: Any) -> str:
    """What a cell prints and returns, as text."""
    return "".join(
        out.get("text", "") + out.get("data", {}).get("text/plain", "")
        for out in cell.get("outputs", [])
        if out.get("name") != "stderr"
    )


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
