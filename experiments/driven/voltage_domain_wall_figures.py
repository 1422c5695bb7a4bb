"""The figures of `voltage_domain_wall`: motion, profiles, the long channel, a film."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter


def draw_motion(path: Path, rows: list[dict[str, Any]], speeds: list[dict[str, float]]) -> None:
    """Position and currents against time, velocity against voltage; lines exact, dashes learnt."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(speeds)))
    voltages = [s["voltage"] for s in speeds]
    for row in rows:
        color = colors[voltages.index(row["voltage"])]
        for name, style in (("exact", "-"), ("learnt", "--")):
            label = f"$V = {row['voltage']:g}$" if name == "exact" and row["start"] == 0 else None
            axes[0].plot(row[name]["times"], row[name]["position"], style, color=color, label=label, linewidth=1)
            if row["start"] == 0:
                axes[1].plot(row[name]["times"], row[name]["current into the right"], style, color=color, linewidth=1)
                axes[1].plot(row[name]["times"], row[name]["current from the left"], style, color=color, linewidth=0.6)
    axes[0].set(xlabel=r"time ($\hbar/t$)", ylabel="wall position ($a$)", title="lines exact, dashes learnt")
    axes[0].legend(frameon=False, fontsize=7)
    axes[1].set(
        xlabel=r"time ($\hbar/t$)", ylabel=r"current ($t/\hbar$)", title="into the right lead; thin: out of the left"
    )
    axes[2].plot(voltages, [s["exact"] for s in speeds], "o-", label="exact", color="C0")
    axes[2].plot(voltages, [s["learnt"] for s in speeds], "s--", label="learnt", color="C1")
    axes[2].set(xlabel="voltage $V$ ($t$)", ylabel=r"velocity to the left ($a t/\hbar$)")
    axes[2].legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_profiles(path: Path, voltage: float, profiles: dict[str, Any]) -> None:
    """Order, density and current along the channel, in the middle of the run."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    for name, style in (("exact", "o-"), ("learnt", "s--")):
        found = profiles[name]
        axes[0].plot(found["across"], style, markersize=3, color="C0", label=f"neighbours across, {name}")
        axes[0].plot(found["moment"], style, markersize=3, color="C1", label=f"moment of the layer, {name}")
        axes[1].plot(found["density"], style, markersize=3, color="C2", label=name)
        axes[2].plot(
            np.arange(len(found["current"])) + 0.5, found["current"], style, markersize=3, color="C3", label=name
        )
    axes[0].set(xlabel="layer", ylabel=r"$\langle S\cdot S'\rangle$, $|m|$", title=f"$V = {voltage:g}$, half way")
    axes[1].set(xlabel="layer", ylabel="electrons a site")
    axes[2].set(xlabel="layer", ylabel=r"current to the right ($t/\hbar$)")
    axes[0].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(0, 0.35))
    for ax in axes[1:]:
        ax.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_long(path: Path, far: dict[str, Any]) -> None:
    """The wall in the long channel."""
    figure, ax = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
    ax.plot(far["times"], far["position"])
    ax.set(xlabel=r"time ($\hbar/t$)", ylabel="wall position ($a$)", title="learnt, long channel")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def animate(path: Path, films: dict[str, np.ndarray]) -> None:
    """The product of each spin with its neighbours across, exact above learnt: blue antiparallel, red parallel."""
    figure, axes = plt.subplots(len(films), 1, figsize=(5, 2.6), layout="constrained", squeeze=False)
    pictures = []
    for ax, (name, film) in zip(axes[:, 0], films.items(), strict=True):
        bonds = np.sum(film * np.roll(film, 1, axis=2), axis=-1)[..., 0]
        local = (bonds + np.roll(bonds, -1, axis=2)) / 2
        pictures.append((ax.imshow(local[0].T, cmap="RdBu_r", vmin=-1, vmax=1, origin="lower"), local))
        ax.set(title=name, xticks=[], yticks=[])

    def show(n):
        for picture, local in pictures:
            picture.set_data(local[n].T)
        return [picture for picture, _ in pictures]

    film = FuncAnimation(figure, show, frames=min(len(local) for _, local in pictures), blit=True)
    film.save(path, writer=PillowWriter(fps=8), dpi=80)
    plt.close(figure)
