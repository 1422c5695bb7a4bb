"""Gradients of a run checked against central differences: every field with respect to everything it depends on.

    python -m experiments.gradients.differences            # minutes, most of it compilation; writes runs/differences
    python -m experiments.gradients.differences --help     # every setting

A scalar of the final state of a few steps with thermal noise (held fixed) and a field pulse is differentiated with
respect to the initial spins, damping, bath temperature, the shape of the pulse, and the parameters of the field:
couplings of classical terms; hopping, J, site energies, chemical potential or filling and temperature of the electrons;
weights of a network. Each gradient is compared along a random direction with differences of fourth order in double
precision, from random spins and from ordered, degenerate ones.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from experiments.gradients.differences_checked import Checked
from experiments.gradients.differences_fields import cases, starts
from experiments.stages import Resumable, main, open_folder
from experiments.stages.results import markdown
from jaxspin.io import load_json, provenance, save_json


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings."""

    output: Path = Path("runs/differences")
    """Folder for `summary.json` and `table.md`; an existing one is refused."""
    seed: int = 0
    """Of parameters, spins and directions."""
    difference: float = 1e-3
    """Length of the step of the differences, in units of a parameter that is smaller than 1."""
    fields: tuple[str, ...] = ()
    """Names of the fields; all without it."""

    def __post_init__(self):
        if not self.difference > 0:
            raise ValueError(f"difference must be positive, got {self.difference}; 1e-3 suits double precision.")


def run(config: Config) -> dict[str, Any]:
    """The comparison of every field, start and parameter; returns what `summary.json` holds."""
    folder = open_folder(config)
    kept = folder / "table.json"
    table: dict[str, Any] = load_json(kept) if kept.exists() else {}
    with jax.enable_x64(True):
        key = jax.random.key(config.seed)
        make = cases(key)
        unknown = sorted(set(config.fields) - set(make))
        if unknown:
            raise ValueError(f"there is no field {unknown[0]!r}; choose among {', '.join(make)}.")
        for name in (name for name in config.fields or make if name not in table):
            print(f"--- {name}", flush=True)
            case = make[name]()
            checked = Checked(case, jax.random.fold_in(key, 1))
            rows: dict[str, Any] = {}
            for start, spins in starts(case.lattice, jax.random.fold_in(key, 2)).items():
                rows[start] = {
                    "parameters": checked.compare(spins, jax.random.fold_in(key, 3), config.difference),
                    "finite without noise": checked.is_finite(spins, bath_temperature=jnp.asarray(0.0)),
                }
            table[name] = rows
            save_json(kept, table, indent=None)
            summary = {"table": table, "largest": largest(table), "provenance": provenance(config, config.seed)}
            save_json(folder / "summary.json", summary)
            (folder / "table.md").write_text(table_of(table))
    return load_json(folder / "summary.json")


def largest(table: dict[str, Any]) -> dict[str, float]:
    """The largest relative deviation for each field."""
    return {
        field: max(row["relative deviation"] for found in runs.values() for row in found["parameters"].values())
        for field, runs in table.items()
    }


def table_of(table: dict[str, Any]) -> str:
    """The largest relative deviation over the starts: a row for each parameter, a column for each field."""
    lines = []
    for name in dict.fromkeys(name for runs in table.values() for name in runs["random"]["parameters"]):
        cells = []
        for runs in table.values():
            rows = [found["parameters"][name] for found in runs.values() if name in found["parameters"]]
            cells.append(f"{max(row['relative deviation'] for row in rows):.0e}" if rows else "")
        lines.append([name, *cells])
    about = "Relative deviation of the gradient of a run from differences of fourth order, the largest over the starts "
    return about + ", ".join(next(iter(table.values()))) + ".\n\n" + markdown(["with respect to", *table], lines)


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: "\n".join(f"{k}: {v:.1e}" for k, v in found["largest"].items()))
