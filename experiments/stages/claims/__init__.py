"""The sentences of the documents that hold numbers of the results, as the results have them: a file a chapter.

Each must occur once in its document, lines broken anywhere. Numbers that no committed result holds are not here.
"""

from collections.abc import Callable

from experiments.stages.claims import accuracy, benchmarks, checks, driven, gradients, quenches, quickstart, real

SENTENCES: dict[str, list[Callable[[], list[str]]]] = {
    "README.md": [],
    "experiments/README.md": [
        quickstart.quickstart,
        quickstart.quickstart_details,
        quenches.triangular,
        quenches.coarsening,
        quenches.puddles,
        quenches.skyrmions,
        accuracy.fit,
        driven.walls,
        gradients.recovered,
        accuracy.active_learning,
        gradients.pulses,
        gradients.gradients,
        gradients.spin_waves,
    ],
    "experiments/quenches/README.md": [
        quenches.triangular_details,
        quenches.triangular_accurate,
        quenches.coarsening_details,
        quenches.puddles_details,
        quenches.skyrmions_details,
    ],
    "experiments/accuracy/README.md": [accuracy.fit_details],
    "experiments/accuracy/CARDS.md": [],
    "experiments/driven/README.md": [driven.walls_details],
    "experiments/gradients/README.md": [
        gradients.recovered_details,
        gradients.pulses_details,
        gradients.gradients,
        gradients.spin_waves_details,
    ],
    "experiments/checks/README.md": [checks.peaks],
    "experiments/real/README.md": [real.iron, real.curie, real.beyond_pairs],
    "experiments/benchmarks/README.md": [benchmarks.frontier],
}


def claims(document: str) -> list[str]:
    """What `document` must say, a path from the project's root."""
    return [sentence for make in SENTENCES[document] for sentence in make()]
