"""The figure of `iron_curie`."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.real.bcc_iron import kelvin
from experiments.real.cumulants import cumulant
from jaxspin import plotting


def draw(path: Path, summary: dict[str, Any]) -> None:
    """Mean |m| and cumulants of iron, the cumulants of the case that is known, and T_c by method."""
    figure = plotting.new_figure(12.0, 6.4)
    (m_ax, iron_ax), (known_ax, summary_ax) = figure.subplots(2, 2)
    iron, nearest = summary["magnets"]["iron"], summary["magnets"]["nearest neighbours"]
    hottest, copies = 0.0, len(iron["sizes"][0]["m"][0])
    for row in iron["sizes"]:
        temperatures, m = kelvin(np.asarray(row["temperatures"], float)), np.asarray(row["m"], float)
        m_ax.errorbar(temperatures, m.mean(1), error(m), fmt="o-", markersize=3, label=f"{row['side']}$^3$")
    m_ax.set(xlabel="temperature  (K)", ylabel=r"mean $|\mathbf{m}|$", ylim=(0, None))
    m_ax.legend()
    for ax, magnet, scale, known, name in (
        (iron_ax, iron, kelvin, summary["measured"], "temperature  (K)"),
        (known_ax, nearest, float_of, summary["known"], r"$k_BT/J$, nearest neighbours"),
    ):
        for row in magnet["sizes"]:
            squares, fourths = (np.asarray(row[key], float) for key in ("m^2", "m^4"))
            each = np.stack([cumulant(np.delete(squares, n, 1), np.delete(fourths, n, 1)) for n in range(copies)])
            # jackknife
            spread = each.std(0) * (copies - 1) ** 0.5
            temperatures = scale(np.asarray(row["temperatures"], float))
            hottest = temperatures.max()
            ax.errorbar(temperatures, cumulant(squares, fourths), spread, fmt="o-", markersize=3)
        ax.axvline(known, color="0.4", linewidth=0.8, label="measured" if ax is iron_ax else "known")
        for key, style in (("random phase", "--"), ("mean field", ":")):
            if scale(magnet[key]) < 1.02 * hottest:
                ax.axvline(scale(magnet[key]), color="0.4", linewidth=0.8, linestyle=style, label=key)
        for line in (2 / 3, 4 / 9):
            ax.axhline(line, color="0.85", linewidth=0.7, zorder=0)
        ax.set(xlabel=name, ylabel="Binder cumulant")
        ax.legend(fontsize=8)
    by_method(summary_ax, summary)
    plotting.save_figure(figure, path)


def by_method(ax: Any, summary: dict[str, Any]) -> None:
    """T_c of each method over what is measured or known."""
    units = {"iron": kelvin(1.0) / summary["measured"], "nearest neighbours": 1 / summary["known"]}
    for color, (name, unit) in enumerate(units.items()):
        magnet = summary["magnets"][name]
        rows = [("mean field", magnet["mean field"], 0.0), ("random phase", magnet["random phase"], 0.0)]
        for found in magnet["crossings"]:
            if found["T_c"] is not None:
                sides = "/".join(f"{side}$^3$" for side in found["sides"])
                rows.append((sides, found["T_c"], found["error of T_c"] or 0.0))
        what = f"{name}, over the {'measured' if name == 'iron' else 'known'}"
        values, errors = (np.array([row[n] for row in rows]) * unit for n in (1, 2))
        places = np.arange(len(rows)) + 0.15 * color
        ax.errorbar(places, values, errors, fmt="o", color=f"C{color}", markersize=4, label=what)
        ax.set_xticks(np.arange(len(rows)), [row[0] for row in rows])
    ax.axhline(1, color="0.4", linewidth=0.8)
    ax.set(ylabel="T_c / known")
    ax.legend(fontsize=8)


def error(values: np.ndarray) -> np.ndarray:
    """Standard error over the copies, the last axis."""
    return values.std(-1, ddof=1) / values.shape[-1] ** 0.5


def float_of(value: Any) -> Any:
    return value
