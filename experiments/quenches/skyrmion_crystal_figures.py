"""The figure of `skyrmion_crystal`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.quenches.skyrmion_crystal_phases import charge, contenders
from experiments.quenches.skyrmion_crystal_textures import magnetic_cell
from jaxspin import plotting

COLORS = {0: "#4477aa", 1: "#ee6677", 2: "#228833"}


def draw(path: Path, states: Mapping[str, Any], table: list[dict[str, Any]], meshes: list[str]) -> None:
    """Energies above the lowest, charge and magnetization against the field, and a texture of each phase."""
    best = list(contenders(states, meshes[0]).values())
    figure = plotting.new_figure(13, 7)
    axes = figure.subplot_mosaic("aaabbb;ccddee")
    above, order, *maps = (axes[name] for name in "abcde")
    fields = [row["field"] for row in table]
    floor = {row["field"]: row["energy per site"] for row in table}
    change = {row["field"]: row["change from the mesh before"] for row in table}
    for kind in sorted({charge(row) for row in best}):
        rows = sorted((row for row in best if charge(row) == kind), key=lambda row: row["field"])
        places = [row["field"] for row in rows]
        values = 1e5 * np.array([row["energies"][meshes[-1]][0] - floor[row["field"]] for row in rows])
        bars = 1e5 * np.array([change[field] for field in places])
        color, label = COLORS.get(kind, "0.5"), f"$|n_{{sk}}| = {kind}$"
        above.errorbar(places, values, yerr=bars, fmt="o-", capsize=3, color=color, label=label)
    above.set(
        xlabel="field $B$ ($t_1$)", ylabel="above the lowest ($10^{-5}\\,t_1$ a site)", ylim=(-8, 45),
        title="lowest state of each charge\n(bars: change from the mesh before)",
    )  # fmt: skip
    above.legend()
    order.plot(fields, [row["|n_sk|"] for row in table], "ks", label="$|n_{sk}|$ of the lowest state")
    order.plot(fields, [row["magnetization"] for row in table], "o-", color="#aa3377", label="$M$")
    order.set(xlabel="field $B$ ($t_1$)", title="charge of 48 sites and magnetization")
    order.legend()
    for ax, (kind, field) in zip(maps, _shown(table), strict=False):
        row = min(
            (row for row in best if charge(row) == kind and row["field"] == field),
            key=lambda row: row["energies"][meshes[-1]][0],
        )
        lattice = magnetic_cell().resize(8, 8)
        spins = np.tile(np.asarray(row["spins"], float), (2, 2, 1, 1))
        plotting.plot_spins(lattice, jnp.asarray(spins), title=f"$B = {field:g}$, $|n_{{sk}}| = {kind}$", ax=ax)
    for ax in maps[len(_shown(table)) :]:
        ax.set_axis_off()
    plotting.save_figure(figure, path)


def _shown(table: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """The phases, by falling charge, each in the field in which it leads most; at most three."""

    def lead(row: dict[str, Any]) -> float:
        return min(row["others above it, by |n_sk|"].values(), default=0.0)

    found = []
    for kind in sorted({row["|n_sk|"] for row in table}, reverse=True):
        best = max((row for row in table if row["|n_sk|"] == kind), key=lead)
        found.append((kind, best["field"]))
    return found[:3]
