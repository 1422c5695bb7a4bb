"""The figure of `switch`: pulses, the magnetization, and prices."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.stages.pulses import plot_pulse
from jaxspin import plotting


def draw(
    path: Path, duration: float, pulses: dict[str, jax.Array], order: dict[str, np.ndarray], summary: dict[str, Any]
) -> None:
    """Four panels; `duration` is that of the pulses."""
    figure = plotting.new_figure(12.6, 3.2)
    first, second, third, fourth = figure.subplots(1, 4)
    for ax, name in ((first, "shaped"), (second, "best simple")):
        plot_pulse(ax, pulses[name], duration)
        ax.set(xlabel=r"time  ($\hbar/J$)", ylabel="field  (J)", title=name)
    first.legend()
    later = np.linspace(0, 2 * duration, len(order["shaped"]))
    for name, values in order.items():
        third.plot(later, values, label=name)
    third.axvline(duration, color="0.7", linestyle=":", linewidth=1)
    third.set(xlabel=r"time  ($\hbar/J$)", ylabel=r"mean $S_z$", ylim=(-1.05, 1.05))
    third.legend(fontsize=6, loc="lower left")
    bars = {
        "best simple": summary["price of the best simple pulse"],
        "shaped": summary["price of the shaped pulse"],
        "one spin": summary["least price of one spin in this time"],
        r"$4\alpha K$": summary["least price of one spin without limit of time"],
    }
    fourth.barh(list(bars), list(bars.values()), color=["C0", "C1", "C2", "C5"])
    fourth.set(xlabel=r"least price $\int h^2\,dt$  ($\hbar J$)")
    plotting.save_figure(figure, path)
