"""The figure of `iron_beyond_pairs`."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxspin import plotting


def draw(path: Path, summary: dict[str, Any]) -> None:
    """Torque errors by kind and field, the couplings, and the magnetization of the large box."""
    figure = plotting.new_figure(13.0, 4.0)
    error_ax, pair_ax, large_ax = figure.subplots(1, 3, width_ratios=[1.6, 1, 1])
    rows = summary["fits"]["all kinds"]
    columns = {kind: (summary["fits"]["all kinds"], kind) for kind in next(iter(rows.values()))["held out"]}
    columns |= {
        f"{name.removeprefix('without ')},\nnever seen": (row, name.removeprefix("without "))
        for name, row in summary["fits"].items()
        if name.startswith("without ")
    }
    width = 0.8 / len(rows)
    for n, field in enumerate(rows):
        heights = [found[field]["held out"][kind]["torque"] for found, kind in columns.values()]
        error_ax.bar(np.arange(len(columns)) + (n - 1.5) * width, heights, width, label=field)
    error_ax.axhline(1, color="0.5", linewidth=0.8, linestyle="--")
    error_ax.set_xticks(np.arange(len(columns)), list(columns), rotation=30, ha="right", fontsize=8)
    error_ax.set(ylabel="rms torque error / rms torque", ylim=(0, None))
    error_ax.legend(fontsize=7)
    distances = next(iter(summary["J"].values()))["distance"]
    for n, (name, row) in enumerate(summary["J"].items()):
        shift = 0.12 * (n - 0.5)
        pair_ax.bar(np.arange(len(row["distance"])) + 3 * shift, row["sum"], 0.3, label=name)
    pair_ax.set_xticks(np.arange(len(distances)), [f"{x:.2f}" for x in distances])
    pair_ax.axhline(0, color="0.7", linewidth=0.7)
    pair_ax.set(xlabel="distance  (Angstrom)", ylabel="sum of J of a site's pairs  (meV)")
    pair_ax.legend(fontsize=7)
    for name, row in summary["large"].items():
        t, m, scatter = (np.array([x[key] for x in row["rows"]], float) for key in ("temperature", "m", "scatter"))
        large_ax.errorbar(t, m, scatter, fmt="o-", markersize=3, label=name)
    large_ax.set(xlabel="temperature  (K)", ylabel=r"mean $|\mathbf{m}|$", ylim=(0, 1))
    large_ax.legend(fontsize=7)
    plotting.save_figure(figure, path)
