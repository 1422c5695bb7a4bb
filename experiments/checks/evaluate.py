"""Errors of a trained force field on configurations with known fields.

    python -m experiments.checks.evaluate --checkpoint FOLDER --data FILE.npz [FILE.npz ...]

A file holds `spins` and `field` `(n, *cells, sublattices, 3)`, see `experiments.accuracy.data_files`. Prints, for each
file and kind of configuration, rms error over rms of the torque (the tangential field) and of the whole field. The part
of a field along its spin pushes nothing; a force field trained on torques does not learn it.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from experiments.accuracy.data_files import read
from experiments.stages import main_without_folder
from experiments.stages.learning import known_electrons, same_setting
from jaxspin.forcefield import load, load_metadata
from jaxspin.io import to_json
from jaxspin.training import evaluate


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
    rows = []
    known = known_electrons(model, load_metadata(config.checkpoint))
    for path in config.data:
        data, params = read(path, lattice=model.lattice)
        if not config.other_electrons:
            check_electrons(path, params, known)
        data = data[list(config.configurations)] if config.configurations else data
        moved = model.on(data.lattice)
        for kind in sorted(set(data.sources)):
            errors = evaluate(moved, data[np.array(data.sources) == kind])
            rows.append(
                {
                    "file": path.name,
                    "kind": kind,
                    "torque error": errors.torque,
                    "field error": errors.field,
                    "rms torque error": errors.torque_rms,
                    "energy error per site": errors.energy,
                }
            )
            print(to_json(rows[-1]), flush=True)
    return rows


def check_electrons(path: Path, params: dict[str, Any], known: dict[str, Any]) -> None:
    """`ValueError` unless the file's lattice and electrons are known to be those the force field learnt from.

    Numbers are compared as numbers. A hopping that is not named is 1; of filling and temperature both must name each,
    or neither.
    """
    remedy = "choose data of the same electrons, or pass --other-electrons."
    for name in ("lattice", "hopping", "coupling", "filling", "temperature"):
        usual = 1.0 if name == "hopping" else None
        here, there = params.get(name, usual), known.get(name, usual)
        if here is None and there is None and name != "coupling":
            continue
        if here is None or there is None:
            silent = str(path) if here is None else "the force field"
            raise ValueError(f"{silent} does not say for which {name} it is; {remedy}")
        if not same_setting(here, there):
            raise ValueError(f"{path} has {name} {here}, the force field was trained for {there}; {remedy}")


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
