"""The figure and the table of `cluster_size`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from experiments.stages.results import markdown


def draw(path: Path, cases: Sequence[str], temperatures: Sequence[float], rows: list[dict[str, Any]]) -> None:
    """Error against radius, one panel a case, one colour a temperature; random spins dashed."""
    figure, axes = plt.subplots(
        1, len(cases), figsize=(3.4 * len(cases), 3.4), layout="constrained", sharey=True, squeeze=False
    )
    for panel, case in zip(axes[0], cases, strict=True):
        for number, temperature in enumerate(temperatures):
            here = [r for r in rows if r["case"] == case and r["temperature"] == temperature]
            for kind, style in (("quench", "o-"), ("random", "o--")):
                label = f"clusters at $T = {temperature:g}$" if kind == "quench" else None
                errors = [r[kind]["error"] for r in here]
                panel.plot([r["hops"] for r in here], errors, style, ms=3.5, color=f"C{number}", label=label)
        panel.set(title=case, xlabel="hops", yscale="log")
        panel.title.set_fontsize("small")
    axes[0, 0].set(ylabel="rms torque error / rms torque")
    axes[0, 0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def table_of(rows: list[dict[str, Any]]) -> str:
    """A line for each row."""
    head = ["electrons", "hops", "steps", "temperature", "random: error", "largest", "quench: error", "largest"]
    lines = []
    for row in rows:
        clusters = [row["case"], str(row["hops"]), str(row["steps"]), f"{row['temperature']:g}"]
        found = (row[kind] for kind in ("random", "quench"))
        errors = [cell for one in found for cell in (f"{100 * one['error']:.1f} %", f"{100 * one['largest']:.0f} %")]
        lines.append([*clusters, *errors, f"{row['microseconds a site']:.0f}"])
    return markdown([*head, "us a site"], lines)
