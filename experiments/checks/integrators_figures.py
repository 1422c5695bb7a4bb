"""The figure of `integrators`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxspin import plotting

Drifts = Mapping[str, Mapping[float, float]]


def draw(path: Path, drift: Drifts, others: Drifts) -> None:
    """Drift against the time step, doubly logarithmic, and that of other programs."""
    figure = plotting.new_figure(5.2, 3.8)
    ax = figure.subplots()
    for (name, row), marker in zip(drift.items(), "osD^vP", strict=False):
        ax.plot(list(row), np.maximum(list(row.values()), 1e-16), marker=marker, ms=4, label=name)
    for (name, row), marker in zip(others.items(), "xx+1", strict=True):
        ax.plot(list(row), list(row.values()), marker, color="0.4", label=name)
    ax.set(
        xscale="log", yscale="log", xlabel="time step (1/exchange)", ylabel="drift of the energy per spin, 10$^4$ steps"
    )
    ax.legend(fontsize=6)
    plotting.save_figure(figure, path)
