"""The figure of `rollout_training`."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxspin import plotting


def draw(path: Path, horizon: float, rows: dict[str, Any], memory: list[dict[str, Any]], turn: float) -> None:
    """Deviation against time, torque errors, memory.

    `horizon` is the time of a rollout in training, `turn` how far the starts of other exact runs are turned.
    """
    figure = plotting.new_figure(12.6 if memory else 8.4, 3.3)
    left, middle, *others = figure.subplots(1, 3 if memory else 2)
    looks = {
        "at first": ("trained on random spins", "C7", "o"),
        "more fields": ("(a) more of it", "C0", "s"),
        "runs labelled": ("(b) and fields along runs", "C2", "^"),
        "rollouts": ("(c) and rollouts along runs", "C1", "D"),
    }
    for number, row in enumerate(rows.values()):
        times = np.concatenate([[0.0], row["times"]])
        for name, (label, color, marker) in looks.items():
            deviation = np.concatenate([[0.0], row[name]["deviation"]])
            left.plot(times, deviation, color=color, linewidth=1, label=None if number else label)
            x, y = (row[name][k] for k in ("torque error, runs", "deviation at ten horizons"))
            middle.plot(100 * x, y, marker, color=color)
            middle.plot(100 * row[name]["torque error, random"], y, marker, color=color, fillstyle="none")
        exact = np.concatenate([[np.nan], row["exact, other starts"]])
        left.plot(times, exact, "k:", linewidth=1, label=None if number else f"exact, starts turned by {turn:g}")
    left.axvline(horizon, color="0.7", linewidth=1)
    left.set(xlabel=r"time  ($\hbar/t$)", ylabel="rms deviation of a spin, unseen runs", ylim=(0, None))
    left.legend(fontsize=7)
    middle.set(xlabel="torque error  (%): filled, unseen runs; open, random", ylabel="rms deviation at ten horizons")
    middle.set(xlim=(0, None), ylim=(0, None))
    for right in others:
        steps = [row["steps"] for row in memory]
        for name, marker in (("checkpointed", "o-"), ("direct adjoint", "s--"), ("every step stored", "^:")):
            right.plot(steps, [row[name] / 1e6 for row in memory], marker, label=name)
        right.set_xscale("log", base=2)
        right.set(yscale="log", xlabel="steps of a rollout", ylabel="memory of its gradient  (MB)")
        right.legend()
    plotting.save_figure(figure, path)
