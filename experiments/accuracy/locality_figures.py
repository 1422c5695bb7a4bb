"""The figure of `locality`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt


def draw(path: Path, cases: Sequence[tuple[str, str]], radii: Sequence[float], rows: list[dict[str, Any]]) -> None:
    """Error against radius, one colour a case; filled where the filling is in common, open the Fermi level.

    Of each of the cases its name and that of the order around.
    """
    figure, both = plt.subplots(1, 2, figsize=(10.4, 4), layout="constrained", sharey=True)
    for number, (case, order) in enumerate(cases):
        here = [row for row in rows if row["case"] == case]
        for axes, name in zip(both, ("random", order), strict=True):
            for common, style in (("filling", "o-"), ("Fermi level", "o:")):
                found = [row[name][f"{common} in common"] for row in here]
                axes.errorbar(
                    radii,
                    [f["error"] for f in found],
                    [f["standard error"] for f in found],
                    fmt=style,
                    ms=4,
                    capsize=2,
                    color=f"C{number}",
                    mfc=f"C{number}" if common == "filling" else "white",
                    label=case if common == "filling" else None,
                )
    both[0].set(title="surroundings replaced by other random spins", ylabel="rms torque error / rms torque")
    both[1].set(title="surroundings replaced by the order")
    both[0].plot([], [], "ko-", ms=4, label="filling in common")
    both[0].plot([], [], "ko:", ms=4, mfc="white", label="Fermi level in common")
    for axes in both:
        axes.set(xlabel="radius of the spins known ($a$)", yscale="log")
    both[0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)
    plt.close(figure)
