"""The figure of `frontier`: torque error against the time of a field, a panel for each kind of electrons."""

from pathlib import Path
from typing import Any

from jaxspin import plotting


def draw(path: Path, cases: dict[str, Any]) -> None:
    """Learnt fields as named points, series as a line, exact diagonalization at the foot."""
    columns = min(2, len(cases))
    rows = -(-len(cases) // columns)
    figure = plotting.new_figure(4.2 * columns, 3.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axes, found in zip(panels, cases.values(), strict=False):
        series = sorted(found["series"], key=lambda row: row["quench"])
        times = [row["microseconds a site"] for row in series]
        axes.plot(times, [100 * row["quench"] for row in series], "o-", color="0.4", ms=4, label="kernel polynomials")
        for k, row in enumerate(found["learnt"]):
            axes.plot(row["microseconds a site"], 100 * row["quench"], "sD^v<>pP"[k % 8], ms=6, label=row["name"])
        axes.axvline(
            found["exact"]["microseconds a site"],
            color="0.7",
            ls="--",
            label="exact, {0} x {0}".format(found["exact"]["side"]),
        )
        told = found["electrons"]
        title = f"{told['lattice']}, J = {told['coupling']:g}, n = {told['filling']:g}, T = {told['temperature']:g}"
        axes.set(xscale="log", yscale="log", title=title)
        axes.title.set_fontsize(8)
        axes.legend(fontsize=6)
        axes.set_ylabel("torque missed along a quench (%)")
        axes.set_xlabel("time of a field (us a site)")
    for axes in panels[len(cases) :]:
        axes.set_axis_off()
    plotting.save_figure(figure, path)
