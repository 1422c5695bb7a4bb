"""Figure and table of `familiarity`: error of frames against their unfamiliarity."""

from pathlib import Path
from typing import Any

from experiments.stages.results import markdown
from jaxspin import plotting


def draw(path: Path, found: dict[str, Any]) -> None:
    """One panel a force field: frames of the kinds learnt from, and others by name."""
    figure = plotting.new_figure(4.2 * len(found), 3.6)
    for ax, (name, told) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        known = [row for row in told["rows"] if row["learnt"]]
        points = [[x for row in known for x in row[column]] for column in ("frames, unfamiliarity", "frames")]
        ax.plot(points[0], [100 * y for y in points[1]], ".", color="0.6", label="kinds learnt from")
        others = [row for row in told["rows"] if not row["learnt"]]
        for number, row in enumerate(others):
            errors = [100 * y for y in row["frames"]]
            ax.plot(row["frames, unfamiliarity"], errors, "osD^vPX*"[number % 8], ms=5, label=row["case"])
        ax.axvline(1, color="0.8", lw=0.8, zorder=0)
        ax.set(xscale="log", yscale="log", xlabel="rms unfamiliarity", ylabel="torque error / torque (%)", title=name)
        ax.legend(fontsize=6)
    plotting.save_figure(figure, path)


def table(summary: dict[str, Any]) -> str:
    """Both, as Markdown."""
    text = ""
    for name, found in summary["force fields"].items():
        measures = list(found["ranks"])
        header = ["rank correlation with the error", "spins", "frames", "frames, error over torque"]
        lines = [
            [measure, *("none" if value is None else f"{value:.2f}" for value in row.values())]
            for measure, row in found["ranks"].items()
        ]
        text += f"`{name}`\n\n" + markdown(header, lines) + "\n"
        header = ["case", "learnt", "torque error", *(f"flagged by {measure}" for measure in measures)]
        lines = [
            [
                row["case"],
                "yes" if row["learnt"] else "no",
                f"{100 * row['torque error']:.1f} %",
                *(f"{100 * row[f'{measure}, share']:.0f} %" for measure in measures),
            ]
            for row in found["rows"]
        ]
        text += markdown(header, lines) + "\n"
    return text
