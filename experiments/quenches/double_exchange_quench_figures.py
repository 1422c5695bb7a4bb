"""Figures of `double_exchange_quench`: correlations of both fields, and the puddles in time."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxspin import plotting
from jaxspin.lattice import Lattice

# Of the histograms of S_i . S_j.
BINS = np.linspace(-1, 1, 41)


def draw_correlations(
    path: Path, lattice: Lattice, histograms: dict[str, np.ndarray], factors: dict[str, jax.Array]
) -> None:
    """P(S_i . S_j) with either field, and the structure factors."""
    figure = plotting.new_figure(12.6, 3.1)
    left, *others = figure.subplots(1, 3)
    for ax, (name, factor) in zip(others, factors.items(), strict=True):
        left.stairs(histograms[name], BINS, label=f"{name} field")
        plotting.plot_structure_factor(lattice, factor, title=f"{name} field", ax=ax)
    left.set(xlabel=r"$\mathbf{S}_i\cdot\mathbf{S}_j$", ylabel="probability density")
    left.legend()
    plotting.save_figure(figure, path)


def draw_puddles(path: Path, rows: list[dict[str, Any]]) -> None:
    """Correlations at the end, and fraction and size of the puddles against time, for each bath temperature."""
    figure = plotting.new_figure(12.6, 3.1)
    left, middle, right = figure.subplots(1, 3)
    for row in rows:
        label, later = f"T = {row['bath temperature']:g}", row["times"] > 0
        t, history = row["times"][later], row["puddles"]
        left.stairs(row["P(S.S) at the end"], BINS, label=label)
        middle.plot(t, history["fraction of sites"][later], label=label)
        right.plot(t, history["mean size weighted by size"][later], label=label)
    left.set(xlabel=r"$\mathbf{S}_i\cdot\mathbf{S}_j$", ylabel="probability density", yscale="log")
    middle.set(xscale="log", xlabel=r"time  ($\hbar/t$)", ylabel="sites in ferromagnetic puddles")
    right.set(xscale="log", yscale="log", xlabel=r"time  ($\hbar/t$)", ylabel="puddle size  (sites)")
    left.legend()
    plotting.save_figure(figure, path)
