"""The figure of `phase_diagram`."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import BoundaryNorm, LogNorm

from experiments.stages.phases import COLORS, TEXTURES, draw_lowest, margin
from jaxspin import plotting


def draw(path: Path, textures: xr.Dataset, rows: list[dict[str, Any]]) -> None:
    """The lowest texture with the annealed order over it, its margin, and the annealed energy against it."""
    names = list(TEXTURES)
    table = textures.energy.transpose("texture", "coupling", "filling").values
    fillings, couplings = textures.filling.values, textures.coupling.values
    figure = plotting.new_figure(14, 3.8)
    phases, lead, above = figure.subplots(1, 3, sharey=True)
    draw_lowest(phases, fillings, couplings, table)
    n, j = (np.array([row[name] for row in rows]) for name in ("filling", "coupling"))
    faces = [COLORS[names.index(row["order"])] if row["order"] in names else "white" for row in rows]
    phases.scatter(n, j, s=46, c=faces, edgecolors="black", linewidths=0.9, zorder=3)
    moving = np.array([bool(row["why not at rest"]) for row in rows])
    phases.plot(n[moving], j[moving], "kx", markersize=4, zorder=4)
    phases.set(
        title="lowest of five (white: closer than $10^{-4}\\,t$)\ndots: annealed (white: another, x: not at rest)",
        ylabel="coupling $J$ ($t$)",
    )
    distance = np.maximum(1e3 * margin(table), 1e-2)
    image = lead.pcolormesh(fillings, couplings, distance, cmap="viridis", shading="nearest", norm=LogNorm(1e-2, 400))
    figure.colorbar(image, ax=lead, label="margin ($10^{-3}\\,t$ per site)")
    lead.set(title="its distance from the next")
    excess = 1e3 * np.array([row["above the lowest texture"] for row in rows])
    steps = BoundaryNorm([-30, -10, -3, -1, -0.1, 0.1, 1, 3, 10, 30], 256, extend="both")
    image = above.scatter(n, j, s=110, c=excess, cmap="RdBu_r", norm=steps, edgecolors="0.3", linewidths=0.6)
    figure.colorbar(image, ax=above, label="difference ($10^{-3}\\,t$ per site)")
    above.set(title="annealed against the lowest of five\n(blue: below them all)")
    for ax in (phases, lead, above):
        ax.set(xlabel="filling $n$", xlim=(0, 1))
    plotting.save_figure(figure, path)
