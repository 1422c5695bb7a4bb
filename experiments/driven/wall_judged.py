"""How a model of driven walls is judged by the runs held out."""

from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.driven.wall_data import voltage_of
from experiments.driven.wall_parts import Part
from experiments.stages.driven_learning import Model, error
from experiments.stages.results import markdown
from jaxspin.forcefield import at_voltage
from jaxspin.spins import tangent


def judged(model: Model, kind: str, parts: list[Part]) -> dict[str, float]:
    """Errors on each held-out run, and on all with a voltage together; channels of other lengths by themselves."""
    found = {}
    for number, part in enumerate(parts):
        where = f", {part.lattice.cells[0]} cells" if number else ""
        sources = np.array(part.data.sources)
        for source in sorted(set(sources[part.held])):
            if voltage_of(source) == 0 or not kind.endswith("V = 0"):
                found[f"{source}{where}"] = error(model, [part.chosen(sources == source)])
        if not kind.endswith("V = 0"):
            driven = part.held & (part.voltages > 0)
            found[f"all held out{where}"] = error(model, [part.chosen(driven)]) if np.any(driven) else float("nan")
    return found


def rotor_share(model: Model, parts: list[Part], driven: bool) -> float:
    """rms of the part of G over that of the whole field, both tangential, on an eighth of what was held out."""
    if not isinstance(model, js.forcefield.GeneralizedPotential):
        return 0.0
    turned, whole = 0.0, 0.0
    for part in parts:
        rows = np.flatnonzero(part.held & (part.voltages > 0) if driven else part.voltages == 0)[::8]
        on = model.on(part.lattice)
        for number in rows:
            spins = part.data.spins[number].astype(jnp.float32)
            slope, turn = at_voltage(on, part.voltages[number]).parts(spins)
            turned += float(jnp.sum(turn**2))
            whole += float(jnp.sum(tangent(spins, slope + turn) ** 2))
    return float(np.sqrt(turned / whole)) if whole else float("nan")


def table_of(rows: list[dict[str, Any]]) -> str:
    """Means over the seeds."""
    names = ["part of G", *(name for name in rows[0] if name.startswith(("held out", "all")))]
    lines = []
    for kind in dict.fromkeys(row["model"] for row in rows):
        part = [row for row in rows if row["model"] == kind]
        means = (f"{100 * np.mean([r[n] for r in part]):.1f} %" if n in part[0] else "" for n in names)
        lines.append([kind, *means])
    return markdown(["trained", *names], lines)
