"""The figure of `probing`."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np


def draw(path: Path, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Errors over field: against colours for states and lattices, against products with H for the peers."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.6), layout="constrained", sharey=True)
    for ax, panel in zip(axes, ("states", "geometries"), strict=False):
        rows = tables[panel]
        for n, part in enumerate(grouped(rows, "case")):
            colours, field = (np.array([row[column] for row in part]) for column in ("colours", "field"))
            for method, style in (("gradient", "o-"), ("density matrix", "s:")):
                error = np.array([row[f"error of the {method}"] for row in part])
                label = part[0]["case"] if method == "gradient" else None
                ax.loglog(colours, error / field, style, color=f"C{n}", markersize=4, label=label)
        x = np.array([min(row["colours"] for row in rows), max(row["colours"] for row in rows)], float)
        ax.loglog(x, 0.6 / x, "k--", linewidth=0.9, label=r"$S^{-(d+2)/2d}=S^{-1}$ (gradient, $T=0$ metal)")
        ax.loglog(x, 0.6 / x**0.5, "--", color="gray", linewidth=0.9, label=r"$S^{-1/2}$ (uncorrelated vectors)")
        ax.set(xlabel="colours $S$", title=f"{panel}: solid gradient, dotted density matrix")
    for part in grouped(tables["peers"], "method"):
        error = [row["error"] / row["field"] for row in part]
        name = part[0]["method"]
        style = "o-" if "gradient" in name else "s:" if "colours" in name else "^:"
        # hollow, since some of the points coincide
        look = {"markersize": 7, "markerfacecolor": "none"} if "no kernel" in name else {"markersize": 4}
        axes[2].loglog([row["products"] for row in part], error, style, label=name, **look)
    axes[2].set(xlabel="products of one vector with $H$", title="equal cost")
    axes[0].set(ylabel="rms error / rms field")
    for ax in axes:
        ax.legend(fontsize=7)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def grouped(rows: list[dict[str, Any]], column: str) -> list[list[dict[str, Any]]]:
    """Rows with equal entries, in order of appearance."""
    return [[row for row in rows if row[column] == name] for name in dict.fromkeys(row[column] for row in rows)]
