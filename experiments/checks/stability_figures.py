"""The figure of `stability`: energies without damping, and with a bath."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxspin import plotting


def draw(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Energy a site less that at the start without damping, and less the mean of the last quarter with a bath."""
    figure = plotting.new_figure(8.4, 3.2)
    left, right = figure.subplots(1, 2)
    for name, row in rows.items():
        for ax, kind in ((left, "undamped"), (right, "bath")):
            if row[kind]["energies a site"] is None:
                continue
            energies = np.asarray(row[kind]["energies a site"], float)
            steps = np.linspace(0, row["steps"], len(energies))
            zero = energies[0] if kind == "undamped" else energies[3 * len(energies) // 4 :].mean()
            ax.plot(steps, energies - zero, label=name, lw=0.9)
    left.axhline(0, color="0.7", lw=0.7, zorder=0)
    right.set_yscale("symlog", linthresh=1e-3)
    left.set(xlabel="steps", ylabel="energy a site less the first  ($t$)", title="no damping, no bath")
    right.set(xlabel="steps", ylabel="energy a site less the last quarter's  ($t$)", title="with a bath")
    if left.lines[:-1]:
        left.legend(fontsize=6)
    plotting.save_figure(figure, path)
