"""The figure and the table of `features`."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from experiments.stages.results import markdown


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Errors of every model, from the least to the largest of the seeds, one panel a part."""
    parts = list(dict.fromkeys(row["part"] for row in rows))
    kinds = list(rows[0]["torque error"])
    sizes = [sum(row["part"] == part for row in rows) for part in parts]
    figure, panels = plt.subplots(
        len(parts),
        1,
        figsize=(6.4, 0.9 + 0.3 * sum(sizes) + 0.25 * len(parts)),
        layout="constrained",
        sharex=True,
        squeeze=False,
        height_ratios=sizes,
    )
    for axes, part in zip(panels[:, 0], parts, strict=True):
        here = [row for row in rows if row["part"] == part]
        places = np.arange(len(here))
        for n, kind in enumerate(kinds):
            mean, least, largest = (
                100 * np.array([row["torque error"][kind][k] for row in here]) for k in ("mean", "least", "largest")
            )
            shift = 0.15 * (n - (len(kinds) - 1) / 2)
            axes.errorbar(
                mean,
                places + shift,
                xerr=[mean - least, largest - mean],
                fmt="o",
                ms=4,
                capsize=2,
                label=kind,
                color=f"C{n}",
                mfc="none",
            )
            flat = np.array([row["converged"] for row in here])
            axes.plot(mean[flat], places[flat] + shift, "o", ms=4, color=f"C{n}")
        axes.set_yticks(places, [f"{row['name']}  ({row['features']})" for row in here], fontsize="small")
        axes.set(ylim=(len(here) - 0.5, -0.5))
        axes.set_title(part, loc="left", fontsize="small")
        axes.grid(axis="x", color="0.9", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1, 0].set(xlabel="held-out rms torque error / rms torque (%)", xlim=(0, None))
    if not all(row["converged"] for row in rows):
        figure.suptitle("open symbols: the training curve was not seen to be flat", fontsize="small")
    if len(kinds) > 1:
        panels[0, 0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def table_of(rows: list[dict[str, Any]]) -> str:
    """One line a model; errors in percent, mean (least to largest) over the seeds."""
    kinds = list(rows[0]["torque error"])
    lines = []
    for row in rows:
        about = [row["part"], row["name"], str(row["features"]), str(row["configurations"])]
        lines.append([*about, *steps_and_errors(row, kinds), f"{row['seconds']:.0f}"])
    errors = (f"torque error, {kind} (%)" for kind in kinds)
    return markdown(["part", "model", "features", "configurations", "steps", *errors, "seconds"], lines)


def steps_and_errors(row: dict[str, Any], kinds: list[str]) -> list[str]:
    """How long a model was trained, and its error for each kind of configuration, as the tables write them."""
    steps = str(row["steps"]) if row["converged"] else f"{row['steps']}, not seen flat"
    percents = ({name: 100 * x for name, x in row["torque error"][kind].items()} for kind in kinds)
    return [steps, *("{mean:.1f} ({least:.1f} to {largest:.1f})".format(**found) for found in percents)]
