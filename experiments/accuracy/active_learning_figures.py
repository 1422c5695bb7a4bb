"""The figure of `active_learning`."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxspin.plotting.style import new_figure, save_figure

NAMES = {
    "random": "drawn at random",
    "logarithmic": "random in log time",
    "mean": "largest spread",
    "max": "largest spread of a site",
    "relative": "largest spread / torque",
}


def rms(values: np.ndarray, over: tuple[int, ...] | None = None) -> np.ndarray:
    """Root of the mean square."""
    return np.sqrt(np.mean(values**2, axis=over))


def draw(path: Path, frames: tuple[float, int], summary: dict[str, Any]) -> None:
    """Error against number of labels, its bands from the least to the largest of the seeds; why: error and labels in
    time. `frames` are the duration of a quench and the number kept of it."""
    duration, number = frames
    times, rounds = duration / number * np.arange(1, number + 1), summary["rounds"][-1]["round"]
    figure = new_figure(9.6, 3.0)
    left, middle, right = figure.subplots(1, 3)
    for arm, curve in summary["torque error"].items():
        (line,) = left.plot(curve["labels"], curve["mean"], "o-", ms=3)
        left.fill_between(curve["labels"], curve["least"], curve["largest"], color=line.get_color(), alpha=0.2, lw=0)
        rows = [row for row in summary["rounds"] if row["arm"] == arm]
        last = [row["rms error by time"] for row in rows if row["round"] == rounds]
        middle.plot(times, rms(np.array(last), over=(0,)), color=line.get_color(), label=NAMES[arm])
        chosen = np.array([n for row in rows for n in row.get("chosen", ())], int) % number
        share = np.cumsum(np.bincount(chosen, minlength=number)) / max(1, len(chosen))
        right.step(times, share, where="post", color=line.get_color())
    left.set(xlabel="exact labels", ylabel="rms torque error / rms torque", ylim=(0, None))
    middle.set(xlabel=r"time  ($\hbar/t$)", ylabel="rms torque error  ($t$)", xscale="log", yscale="log")
    middle.set_title(f"{summary['rounds'][-1]['labels']} labels", fontsize="medium")
    right.set(xlabel=r"time  ($\hbar/t$)", ylabel="share of chosen frames", xscale="log", ylim=(0, 1.02))
    # where the curves leave room: errors fall with time
    middle.legend(frameon=False, fontsize="small", loc="lower left")
    save_figure(figure, path, summary["provenance"])
