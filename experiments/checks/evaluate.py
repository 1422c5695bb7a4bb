"""Errors of a trained force field on configurations with known fields.

    python -m experiments.checks.evaluate --checkpoint FOLDER --data FILE.npz [FILE.npz ...]

A file holds `spins` and `field` `(n, *cells, sublattices, 3)`, see `jaxspin.training.data_files`. Prints, for each
file and kind of configuration, rms error over rms of the torque (the tangential field), the rms error itself, and that
of the energy per site. The part of a field along its spin pushes nothing, is not learnt, and is left out.
"""

import dataclasses
from pathlib import Path

from experiments.stages import main_without_folder
from jaxspin.forcefield import load, load_metadata
from jaxspin.io import to_json
from jaxspin.training.data_files import evaluate_files, known_electrons


@dataclasses.dataclass(frozen=True)
class Config:
    """What to evaluate on what."""

    checkpoint: Path
    """Folder of a force field."""
    data: tuple[Path, ...]
    """Files with spins and fields."""
    configurations: tuple[int, ...] = ()
    """Which configurations of each file, by number; all unless given."""
    other_electrons: bool = False
    """Evaluate also where the file's electrons are not those the force field was trained on."""


def run(config: Config) -> list[dict[str, float | str]]:
    """One row per file and kind."""
    model = load(config.checkpoint)
    known = known_electrons(model, load_metadata(config.checkpoint))
    return evaluate_files(
        model,
        config.data,
        known=None if config.other_electrons else known,
        configurations=config.configurations,
        tell=lambda row: print(to_json(row), flush=True),
    )


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
