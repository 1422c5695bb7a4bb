"""Force fields alone, on the electrons of small clusters, or on a short series: what a cheap base buys.

    python -m experiments.accuracy.nested --data runs/label/data/random runs/label/data/quenches --output runs/nested
    python -m experiments.accuracy.nested --data random_square.npz --electrons.lattice square --electrons.coupling 3.5 \
        --electrons.filling 0.48 --electrons.temperature 0.01 --output runs/nested_square
    python -m experiments.accuracy.nested --resume ...     # goes on where a killed run stopped

Every model learns what its base (`--bases`) leaves of the exact torques: nothing is known (alone), the energy of
clusters of two hops that are filled to a common Fermi level (electrons), or the kernel-polynomial energy of few colours
and moments. It is trained until its curve is flat: in twice as many steps again and again, until that lowers the rms
error on what is learnt from by less than `--flat` of it, or there would be more than `--most`. Each seed holds out
whole runs, a random configuration being a run of its own, initializes and batches anew, alike for all models. Beside
the errors of what was held out stand those of the base alone, and the time of a field a site, base included.
"""

import dataclasses
import functools
import time
from pathlib import Path
from typing import Any, get_args

import jax
import numpy as np

import jaxspin as js
from experiments.accuracy import fit
from experiments.accuracy.features_figures import draw, steps_and_errors
from experiments.accuracy.nested_models import Base, Compared, rest, start
from experiments.benchmarks.timing import microseconds_a_site
from experiments.stages import Electrons, Network, Resumable, main, open_folder, stored_table
from experiments.stages.by_kind import errors_by_kind, mean_and_range
from experiments.stages.results import markdown
from jaxspin.io import load_or_make_each, provenance, save_json
from jaxspin.training import SpinData, until_flat
from jaxspin.training.data_files import read

TRAINING = dataclasses.replace(fit.TRAINING, steps=500, evaluate_every=100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Compared, Resumable):
    """Data, what to compare, and training."""

    data: tuple[Path, ...]
    """Folders of data sets, as `experiments.accuracy.label` makes them, or .npz files; all of one lattice and size."""
    electrons: Electrons = dataclasses.field(default_factory=lambda: Electrons("triangular", 3.0, 0.25, 0.05))
    """Which made them."""
    output: Path = Path("runs/nested")
    """Folder for results; an existing one is refused."""
    held_out: float = 0.2
    """Fraction of the configurations that training never sees, in whole runs."""
    learnt_from: int = 120
    """Configurations at most of those that are left, spread evenly over them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of split, initialization and batches; one model each."""
    training: js.TrainConfig = TRAINING
    """How each force field is trained, the steps those of the first try."""
    most: int = 4000
    """Steps of the longest training."""
    flat: float = 0.03
    """Twice the steps lower the training error by less than this fraction of it where a curve counts as flat."""

    def __post_init__(self):
        for name in ("data", "seeds", "bases"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; pass --{name} with at least one value, see --help.")
        for name, usual in (("held_out", 0.2), ("flat", 0.03)):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be a fraction between 0 and 1, got {getattr(self, name)}; use {usual}.")
        if unknown := set(self.bases) - set(get_args(Base)):
            raise ValueError(f"there is no base {', '.join(unknown)}; choose of {', '.join(get_args(Base))}.")
        if self.learnt_from < 2:
            raise ValueError(f"learnt_from must be 2 at least, got {self.learnt_from}; 120 is usual.")


def run(config: Config) -> dict[str, Any]:
    """Trains every model with every seed; returns what summary.json holds."""
    parts = [read(path)[0] if path.suffix == ".npz" else SpinData.load(path) for path in config.data]
    data = SpinData.concatenate(parts)
    splits = {seed: split(config, data, seed) for seed in config.seeds}
    networks = config.networks()
    folder = open_folder(config)
    bases = {name: config.base(name, config.electrons, data.lattice) for name in config.bases}
    makers = {
        f"{name} {base} {seed}".replace(" ", "_").replace(",", ""): functools.partial(
            trained, config, network, bases[base], *splits[seed], seed
        )
        for seed in config.seeds
        for base in config.bases
        for name, network in networks.items()
    }
    made = iter(load_or_make_each(folder / "runs", makers, progress=True).values())
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in config.seeds:
        for base in config.bases:
            for name in networks:
                found.setdefault((base, name), []).append(next(made))
    rows = []
    for base in config.bases:
        known = bases[base]
        if known is not None:
            errors = [{"errors": errors_by_kind(known, held)} for _, held in splits.values()]
            about = {"part": base, "name": "nothing learnt", "features": 0, "steps": 0, "converged": True}
            time_taken = microseconds_a_site(known, data.lattice, 5)
            rows.append(about | {"torque error": mean_and_range(errors), "microseconds a site": time_taken})
        for name in networks:
            here = found[base, name]
            about = {"part": base, "name": name, "features": here[0]["features"]}
            rows.append(
                about
                | {
                    "steps": max(row["steps"] for row in here),
                    "converged": all(row["converged"] for row in here),
                    "torque error": mean_and_range(here),
                    "microseconds a site": float(np.median([row["microseconds a site"] for row in here])),
                    "runs": here,
                }
            )
    summary = {
        "electrons": dataclasses.asdict(config.electrons),
        "learnt from": len(splits[config.seeds[0]][0]),
        "held out": {str(seed): len(held) for seed, (_, held) in splits.items()},
        "rows": rows,
        "provenance": provenance(config),
    }
    save_json(folder / "summary.json", summary)
    (folder / "table.md").write_text(table_of(rows))
    draw(folder / "nested.png", rows)
    return summary


def split(config: Config, data: SpinData, seed: int) -> tuple[SpinData, SpinData]:
    """What is learnt from, and the whole runs that are held out."""
    held, left = data.split((config.held_out, 1 - config.held_out), key=jax.random.key(seed), by="run")
    chosen = np.unique(np.linspace(0, len(left) - 1, min(config.learnt_from, len(left))).round().astype(int))
    return left[chosen], held


def trained(
    config: Config, network: Network, base: js.AbstractPotential | None, fitted: SpinData, held: SpinData, seed: int
) -> dict[str, Any]:
    """One model trained to a flat curve: its errors on the runs held out, and what it took."""
    model_key, training_key = jax.random.split(jax.random.key(seed))
    model = start(network, config.electrons, fitted.lattice, model_key)
    left, began = rest(fitted, base), time.perf_counter()

    def attempt(steps: int) -> tuple[js.training.Learnt, float]:
        learnt = js.train(model, left, dataclasses.replace(config.training, steps=steps), key=training_key)
        return learnt, float(learnt.history["loss"][-1]) ** 0.5

    learnt, steps, converged = until_flat(attempt, config.training.steps, most=config.most, flat=config.flat)
    whole = learnt.model if base is None else base + learnt.model
    found = {
        "seed": seed,
        "features": model.descriptor.n_features,
        "steps": steps,
        "converged": converged,
        "errors": errors_by_kind(whole, held),
        "error on what is learnt from": {k: v["torque"] for k, v in errors_by_kind(whole, fitted).items()},
        "microseconds a site": microseconds_a_site(whole, fitted.lattice, 5),
        "seconds": round(time.perf_counter() - began, 1),
    }
    jax.clear_caches()  # programs of dozens of models exhaust the memory maps that Linux allows a process
    return found


def table_of(rows: list[dict[str, Any]]) -> str:
    """One line a model; errors in percent, mean (least to largest) over the seeds."""
    kinds = list(rows[0]["torque error"])
    lines = []
    for row in rows:
        microseconds = f"{row['microseconds a site']:.2g}"
        lines.append([row["part"], row["name"], *steps_and_errors(row, kinds), microseconds])
    errors = (f"torque error, {kind} (%)" for kind in kinds)
    return markdown(["base", "learnt", "steps", *errors, "us a site"], lines)


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
