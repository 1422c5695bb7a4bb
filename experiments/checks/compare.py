"""Compares the electron solvers with results of another program.

    python -m experiments.checks.compare --data FILE.npz [FILE.npz ...] [--output FILE.json]

A file holds `spins` and `field` `(L1, L2, sublattices, 3)`, `grand_potential_per_site`, and `params`, a JSON string
with "lattice" (beginning with square, triangular, ...), "hopping", "coupling", "chemical_potential" and "temperature".
"""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.stages import main_without_folder
from jaxspin import lattice as lattices
from jaxspin.io import to_json
from jaxspin.training.data_files import arrays_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Report):
    """What to compare."""

    data: tuple[Path, ...]
    """Files with results of another program."""
    exact_trace_up_to: int = 256
    """Most sites for which the kernel-polynomial solver is run with its exact trace, too."""


def run(config: Config) -> list[dict[str, float | str]]:
    """One row per file and solver: the largest difference of the field, and that of the energy per site."""
    config.check_output()
    jax.config.update("jax_enable_x64", True)
    rows = []
    for path in config.data:
        file = arrays_of(path)
        if not {"spins", "field", "grand_potential_per_site", "params"} <= set(file):
            raise ValueError(f"{path} has {sorted(file)}; see --help for the arrays it needs.")
        spins, field = jnp.asarray(file["spins"]), file["field"]
        energy, params = float(file["grand_potential_per_site"]), json.loads(str(file["params"]))
        lattice = getattr(lattices, params["lattice"].split()[0])(*spins.shape[:-2])
        model = js.SDModel(lattice, params["hopping"], params["coupling"])
        state = {"chemical_potential": params["chemical_potential"], "temperature": params["temperature"]}
        solvers: dict[str, js.AbstractPotential] = {"exact": js.ExactDiagonalization(model, **state)}
        if lattice.sites <= config.exact_trace_up_to:
            solvers["kernel polynomials, exact trace"] = js.KernelPolynomial(
                model, **state, probes=js.electrons.ExactTrace(), tolerance=1e-10
            )
        for name, solver in solvers.items():
            found, own = solver.energy_and_field(spins)
            rows.append(
                {
                    "file": path.name,
                    "lattice": params["lattice"],
                    "solver": name,
                    "largest difference of the field": float(jnp.max(jnp.abs(own - field))),
                    "difference of the energy per site": float(found) / lattice.sites - energy,
                }
            )
            print(to_json(rows[-1]), flush=True)
    config.write({"rows": rows})
    return rows


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
