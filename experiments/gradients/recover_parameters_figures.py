"""The figure of `recover_parameters`."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxspin import plotting


def draw(
    path: Path,
    truth: np.ndarray,
    landscape: dict[str, Any],
    fits: list[dict[str, Any]],
    errors: list[dict[str, Any]],
) -> None:
    """The landscape around the true J and n with the paths, and the errors against the noise."""
    figure = plotting.new_figure(9.6, 3.6)
    left, right = figure.subplots(1, 2)
    ends = [(landscape[name][0], landscape[name][-1]) for name in ("J", "n")]
    contours = left.contourf(landscape["J"], landscape["n"], np.array(landscape["rms misfit"]), 20, cmap="Greys_r")
    figure.colorbar(contours, ax=left, label="rms misfit of a spin component")
    for one in fits:
        steps = np.array(one["path"])
        left.plot(*steps.T, ".-", linewidth=0.9, markersize=4)
        left.plot(*steps[0], "o", markersize=4, color="C0")
    left.plot(*truth, "*", color="C1", markersize=11)
    left.set(xlabel="J  (t)", ylabel="filling n", xlim=ends[0], ylim=ends[1])
    noise = [row["noise"] for row in errors]
    for name, color in (("J", "C0"), ("n", "C1")):
        right.loglog(noise, [row[f"relative error of {name}"] for row in errors], "o", color=color, label=f"{name}")
        right.loglog(noise, [row[f"foretold of {name}"] for row in errors], "-", color=color, linewidth=0.8)
    right.axhline(0.01, color="0.6", linestyle=":", linewidth=1)
    right.set(xlabel="noise of an observed spin component", ylabel="relative error (lines: foretold)")
    right.legend()
    plotting.save_figure(figure, path)
