"""The figure of `coarsening`."""

from pathlib import Path

import numpy as np

from jaxspin import plotting
from jaxspin.observables import Growth


def draw(
    path: Path, times: np.ndarray, lengths: dict[str, np.ndarray], grown: dict[str, dict[str, Growth | str]]
) -> None:
    """L(t) of every seed and their mean, doubly logarithmic, beside the slopes 1/2 and 1."""
    figure = plotting.new_figure(4.4 * len(lengths), 3.4)
    for ax, (name, values) in zip(figure.subplots(1, len(lengths), squeeze=False)[0], lengths.items(), strict=True):
        later = times > 0
        t, mean = times[later], values.mean(axis=0)[later]
        ax.plot(t, values[:, later].T, color="0.75", lw=0.8)
        ax.plot(t, mean, color="C0", label="mean over seeds")
        middle = len(t) // 2
        for slope, line in ((0.5, ":"), (1.0, "--")):
            guide = mean[middle] * (t[middle:] / t[middle]) ** slope
            ax.plot(t[middle:], guide, line, color="0.3", lw=0.9, label=f"slope {slope:g}")
        fit = grown[name]["with L0"]
        if isinstance(fit, Growth):
            inside = (t >= fit.window[0]) & (t <= fit.window[1])
            curve = fit.offset + fit.rate * t[inside] ** fit.exponent
            label = rf"$L_0 + c\,t^{{{fit.exponent:.2f} \pm {fit.error:.2f}}}$"
            ax.plot(t[inside], curve, color="C3", lw=1, label=label)
        ax.set(xscale="log", yscale="log", xlabel=r"time  ($\hbar/t$)", ylabel=f"{name}  ($a$)")
        ax.legend(fontsize=7)
    plotting.save_figure(figure, path)
