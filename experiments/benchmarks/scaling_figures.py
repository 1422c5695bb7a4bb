"""The figure of `scaling`."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt


def draw(path: Path, found: dict[str, Any], dashed: str) -> None:
    """Time against devices, strong and weak, the field `dashed` in broken lines; cost and memory of the quench."""
    _, (strong, weak, quench) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for axes, kind in ((strong, "strong"), (weak, "weak")):
        for name in dict.fromkeys(row["field"] for row in found["scaling"]):
            rows = [row for row in found["scaling"] if row["field"] == name and row["kind"] == kind]
            axes.loglog(
                [row["devices"] for row in rows],
                [row["microseconds a spin"] for row in rows],
                "--s" if name == dashed else "-o",
                label=name,
            )
        ticks = sorted({row["devices"] for row in found["scaling"]})
        axes.set_xticks(ticks, labels=[str(n) for n in ticks], minor=False)
        axes.minorticks_off()
        axes.set_xlabel("devices on the same cores")
        axes.set_ylabel("processor time of a field (µs a spin)")
        axes.set_title({"strong": "one lattice for all (strong)", "weak": "a block for each (weak)"}[kind])
    strong.legend(fontsize=7, loc="lower right")
    strong.set_ylim(bottom=1e-3)
    rows = [row for row in found["sizes"] if "median" in row]
    sites, cost = "sites", "microseconds a spin and step"
    quench.loglog([row[sites] for row in rows], [row[cost] for row in rows], "-o", label="time of a step (µs a spin)")
    memory = [row["bytes a spin"] / 1000 for row in found["sizes"]]
    quench.loglog([row[sites] for row in found["sizes"]], memory, "-s", label="memory (kB a spin)")
    quench.set_xlabel("spins")
    quench.set_ylim(0.5, 200)
    quench.set_title("learnt quench on one device")
    quench.legend(fontsize=8)
    plt.savefig(path, dpi=150)
    plt.close()
