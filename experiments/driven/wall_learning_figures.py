"""The figure of `wall_learning`."""

import itertools
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from experiments.driven.wall_data import voltage_of


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """The errors on the held-out runs against the voltage, a line for each kind and length, a dot for each seed."""
    figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for n, kind in enumerate(("generalized", "conservative")):
        part = [row for row in rows if row["model"] == kind]
        every = [name for name in part[0] if name.startswith("held out")]
        lengths = list(dict.fromkeys(name.partition(", ")[2] for name in every))
        for where, style in zip(lengths, itertools.cycle(("-", "--", ":")), strict=False):
            names = [name for name in every if name.partition(", ")[2] == where]
            volts = [voltage_of(name.partition(", ")[0]) for name in names]
            values = np.array([[100 * row[name] for name in names] for row in part])
            label = f"{kind}, {where}" if where else kind
            ax.plot(volts, values.mean(axis=0), style, color=f"C{n}", label=label)
            ax.plot(np.tile(volts, len(part)), values.ravel(), "o", color=f"C{n}", markersize=3)
    ax.set(xlabel="voltage $V$ ($t$)", ylabel="rms torque error / rms torque (%)", title="runs held out")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
