"""Errors of a trained force field on configurations with known fields.

    python -m experiments.evaluate --checkpoint FOLDER --data FILE.npz [FILE.npz ...]

A file holds `spins` and `field` `(n, *cells, sublattices, 3)`, see `experiments.data_files`. Prints, for each file and
kind of configuration, rms error over rms of the torque (the tangential field) and of the whole field. The part of a
field along its spin pushes nothing; a force field trained on torques does not learn it.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from experiments.data_files import read
from jaxspin.forcefield import load, load_metadata
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
    for path in config.data:
        data, params = read(path, lattice=model.lattice)
        if not config.other_electrons:
            check_electrons(path, params, load_metadata(config.checkpoint).get("params", {}))
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
            print(json.dumps(rows[-1]), flush=True)
    return rows


def check_electrons(path: Path, params: dict[str, Any], known: dict[str, Any]) -> None:
    """Refuse data of another lattice, coupling, filling or temperature than the force field learnt from."""
    for name in ("lattice", "hopping", "coupling", "filling", "temperature"):
        here, there = (str(x.get(name, "")).split(" ")[0] for x in (params, known))
        if here and there and here != there:
            raise ValueError(
                f"{path} has {name} {here}, the force field was trained for {there}; "
                "choose data of the same electrons, or pass --other-electrons."
            )


if __name__ == "__main__":
    run(tyro.cli(Config, description=__doc__))
