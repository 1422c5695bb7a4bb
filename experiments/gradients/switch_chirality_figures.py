"""The figure of `switch_chirality`: pulses, what they do to the cell and to a large lattice, and their prices."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.stages.figures import PERFECT_CHIRALITY
from experiments.stages.pulses import plot_pulse
from jaxspin import plotting

COLORS = {"shaped": "C1", "best simple": "C0", "best simple, at the price of the shaped one": "C2"}
LINES = ("-", "--", ":", "-.")


def draw(
    path: Path,
    times: tuple[float, float],
    pulses: dict[str, jax.Array],
    chirality: dict[str, np.ndarray],
    summary: dict[str, Any],
) -> None:
    """Six panels; `times` are the duration of the pulse and the distance of the frames."""
    duration, every = times
    figure = plotting.new_figure(12.0, 6.4)
    axes = figure.subplots(2, 3)
    largest = 1.1 * max(float(np.abs(np.asarray(pulses[name])).max()) for name in ("shaped", "best simple"))
    for ax, name in zip(axes[0], ("shaped", "best simple"), strict=False):
        plot_pulse(ax, pulses[name], duration)
        price = summary[f"price of the {name} pulse"]
        ax.set(xlabel=r"time  ($\hbar/t$)", ylabel="field  ($t$)", ylim=(-largest, largest))
        ax.set_title(f"{name} pulse, price {price:.2f}")
    axes[0, 0].legend()
    for name, values in chirality.items():
        label = name.replace(", at", ",\nat")
        axes[0, 2].plot(every * np.arange(len(values)), values, color=COLORS[name], label=label)
    axes[0, 2].set_title("four sublattices, no noise")
    axes[0, 2].legend(fontsize=7, loc="upper right", bbox_to_anchor=(1.0, 0.8))
    kinds = summary["cheapest of each kind"]
    bars = {name: row["price"] for name, row in kinds.items() if np.isfinite(row["price"])}
    bars["shaped"] = summary["price of the shaped pulse"]
    axes[1, 0].barh(list(bars), list(bars.values()), color=["C0"] * (len(bars) - 1) + ["C1"])
    axes[1, 0].set(xlabel=r"least price $\int h^2\,dt$  ($\hbar t$)", title="cheapest of each kind")
    factors = sorted({row["price over the least"] for row in summary["domains"]})
    for row in summary["domains"]:
        line = LINES[factors.index(row["price over the least"]) % len(LINES)]
        label = f"{row['pulse']}, {row['price over the least']:g} x its least price" if row["start"] == 0 else None
        values = row["chirality"]
        axes[1, 1].plot(every * np.arange(len(values)), values, line, color=COLORS[row["pulse"]], lw=0.9, label=label)
    axes[1, 1].set_title("every spin by itself, from random tilts")
    axes[1, 1].legend(fontsize=6, loc="lower left")
    for ax in (axes[0, 2], axes[1, 1]):
        ax.axvline(duration, color="0.7", linestyle=":", linewidth=1)
        for level in (-PERFECT_CHIRALITY, PERFECT_CHIRALITY):
            ax.axhline(level, color="0.6", linewidth=0.8)
        ax.set(xlabel=r"time  ($\hbar/t$)", ylabel="mean chirality", ylim=(-0.9, 0.9))
    # no lines between: what switches at one price may not at another
    for shift, name in ((-0.01, "shaped"), (0.01, "best simple")):
        rows = [row for row in summary["domains"] if row["pulse"] == name]
        x = np.array([row["price over the least"] for row in rows]) + shift
        y = [row["part that switched"] for row in rows]
        axes[1, 2].plot(x, y, "o", color=COLORS[name], markersize=5, alpha=0.7, label=name)
    axes[1, 2].set(xlabel="price over the least in the cell", ylabel="switched part at the end")
    axes[1, 2].set(xticks=factors, xlim=(min(factors) - 0.2, max(factors) + 0.2), ylim=(-0.05, 1.05))
    axes[1, 2].set_title("the same: a point for each start")
    axes[1, 2].legend(loc="center")
    plotting.save_figure(figure, path)
