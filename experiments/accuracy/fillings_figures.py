"""The figure and the table of `fillings`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from experiments.stages.results import markdown

_LARGER = ", larger"


def draw(path: Path, rows: list[dict[str, Any]], fillings: Sequence[float], unseen: float) -> None:
    """Torque errors against the filling, a panel for each kind of configuration; open symbols on the larger lattice."""
    kinds = list(next(iter(rows[0]["runs"][0]["sets"].values()))["errors"])
    figure, panels = plt.subplots(
        1, len(kinds), figsize=(3.2 * len(kinds) + 0.4, 3.2), layout="constrained", sharey=True, squeeze=False
    )
    names = list(rows[0]["runs"][0]["sets"])
    for axes, kind in zip(panels[0], kinds, strict=True):
        for number, row in enumerate(rows):
            for larger in (False, True):
                here = [name for name in names if name.endswith(_LARGER) == larger]
                places = np.array([_filling(name) for name in here])
                shown: dict[str, Any] = {"ls": "-", "ms": 4, "lw": 1, "label": row["name"]}
                if larger:
                    shown = {"ls": "none", "ms": 7, "mfc": "none"}
                errors = [100 * _mean(row, name, kind) for name in here]
                axes.plot(places, errors, marker="o", color=f"C{number}", **shown)
        axes.axvline(unseen, color="0.8", lw=5, zorder=0)
        axes.set(xlabel="filling", title="after a quench" if kind == "learnt" else kind, xticks=sorted(fillings))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set(ylabel="rms torque error / rms torque (%)", ylim=(0, None))
    panels[0, -1].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def table_of(rows: list[dict[str, Any]], unseen: float) -> str:
    """One line a row and kind: torque errors in percent, mean of the seeds; open training curves are said to be."""
    names = list(rows[0]["runs"][0]["sets"])
    lines = []
    for row in rows:
        trainings = [told for run in row["runs"] for told in run["trainings"]]
        steps = str(max(told["steps"] for told in trainings))
        steps += "" if all(told["converged"] for told in trainings) else ", not seen flat"
        for kind in rows[0]["runs"][0]["sets"][names[0]]["errors"]:
            errors = [f"{100 * _mean(row, name, kind):.1f}" for name in names]
            lines.append([row["name"], "quench" if kind == "learnt" else kind, steps, *errors])
    heads = [name + (" (unseen)" if abs(_filling(name) - unseen) < 1e-9 else "") for name in names]
    return markdown(["model", "kind", "steps", *heads], lines)


def _filling(name: str) -> float:
    return float(name.removesuffix(_LARGER).removeprefix("n = "))


def _mean(row: dict[str, Any], name: str, kind: str) -> float:
    return float(np.mean([run["sets"][name]["errors"][kind]["torque"] for run in row["runs"]]))
