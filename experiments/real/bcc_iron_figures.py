"""The figure of `bcc_iron`."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxspin import plotting
from jaxspin.io import BandPath


def draw(path: Path, rows: dict[str, Any], bands: BandPath, known: dict[str, Any]) -> None:
    """Bands, J against distance, spin waves on the same path, and temperatures by mesh."""
    figure = plotting.new_figure(13.0, 6.4)
    (bands_ax, j_ax), (waves_ax, temperature_ax) = figure.subplots(2, 2)
    mu = float(next(iter(rows.values()))["mu"])
    plotting.plot_bands(bands, fermi_level=mu, window=(-9, 5), ax=bands_ax)
    for name, row in rows.items():
        distance, j = (np.asarray(row["by distance"][key], float) for key in ("distance", "J"))
        near = distance < 9
        color, style = f"C{list(rows).index(name) // 2}", "-" if row["onsite"] else ":"
        j_ax.plot(distance[near], j[near], "o" + style, markersize=2.5, linewidth=0.8, color=color, label=name)
        waves_ax.plot(row["waves"]["distance"], row["waves"]["energy"], style, linewidth=0.9, color=color, label=name)
    first = next(iter(rows.values()))
    j_ax.plot(known["distance"], known["J"], "k+", markersize=9, label="reference, on the atom, 8")
    j_ax.axhline(0, color="0.7", linewidth=0.7)
    j_ax.set(xlabel="distance  (Angstrom)", ylabel="J  (meV)")
    j_ax.legend(fontsize=7)
    waves_ax.set(ylabel="spin waves  (meV)", ylim=(0, None))
    on_path(waves_ax, first["waves"]["ticks"], first["waves"]["labels"])
    for onsite, style in ((True, "-"), (False, ":")):
        chosen = [row for row in rows.values() if row["onsite"] == onsite]
        mesh = [row["mesh"] for row in chosen]
        for key, color in (("mean field", "C0"), ("random phase", "C3")):
            values = [np.nan if row[key] is None else float(row[key]) for row in chosen]
            where = "on the atom" if onsite else "with hoppings"
            temperature_ax.plot(mesh, values, "o" + style, color=color, markersize=4, label=f"{key}, {where}")
    temperature_ax.axhline(1043, color="k", linewidth=0.7, label="measured")
    temperature_ax.set(xlabel="wavevectors along an axis", ylabel="Curie temperature  (K)", ylim=(0, None))
    temperature_ax.legend(fontsize=7)
    plotting.save_figure(figure, path)


def on_path(ax: Any, ticks: Any, labels: Any) -> None:
    """Names and lines at the points of the path."""
    ax.set_xticks([float(x) for x in ticks], labels)
    for x in ticks:
        ax.axvline(float(x), color="0.8", linewidth=0.6)
