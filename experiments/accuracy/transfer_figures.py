"""The figure and the table of `transfer`."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Error and warning of every case."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 0.28 * len(rows) + 1), sharey=True, layout="constrained")
    names = [f"{r['case']} ({r['side']} x {r['side']})" for r in rows]
    places = np.arange(len(rows))[::-1]
    left.barh(places, [100 * r["torque error"] for r in rows], color="C0")
    right.barh(places, [100 * r["unfamiliar"] for r in rows], color="C3")
    right.axvline(1, color="0.4", lw=0.8)
    left.set(xlabel="rms torque error / rms torque (%)", xscale="log", yticks=places, yticklabels=names)
    right.set(xlabel="spins the committee is not sure of (%)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def table_of(rows: list[dict[str, Any]]) -> str:
    """Error and warning of every case, in lines of text."""
    return "\n".join(
        f"{row['case']:24s} {100 * row['torque error']:6.1f} % {100 * row['unfamiliar']:6.1f} %" for row in rows
    )
