"""The figure of `exchange_from_electrons`."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxspin import plotting


def draw(path: Path, found: dict[str, Any]) -> None:
    """J against distance, and for each case the spectrum of the motion with the foretold frequencies."""
    figure = plotting.new_figure(3.9 * (1 + len(found)), 3.2)
    first, *others = np.atleast_1d(figure.subplots(1, 1 + len(found)))
    for name, row in found.items():
        shells = row["exchange by distance"]
        first.plot([s["distance"] for s in shells], [s["J"] for s in shells], "o-", markersize=3, label=name)
    first.axhline(0, color="0.7", linewidth=0.7)
    first.set(xlabel="distance  (a)", ylabel="effective exchange J(r)  (t)")
    first.legend(fontsize=7)
    for ax, (name, row) in zip(others, found.items(), strict=True):
        for frequency in np.asarray(row["frequencies"]):
            ax.axvline(frequency, color="C1", linewidth=0.6, alpha=0.7)
        if "spectrum" in row:
            ax.semilogy(row["spectrum"]["frequency"], row["spectrum"]["power"], linewidth=0.8)
            ax.set(ylim=(1e-9, 2), xlim=(0, 1.15 * float(np.max(row["frequencies"]))))
        ax.set(xlabel="frequency  (t)", ylabel="power of the motion", title=name)
    plotting.save_figure(figure, path)
