"""Which part of a descriptor buys what: force fields that differ in one thing each, on the same configurations.

    python -m experiments.accuracy.features --data FILE.npz --output runs/features
    python -m experiments.accuracy.features --help           # every setting
    python -m experiments.accuracy.features --resume ...     # goes on where a killed run stopped

Parts of the comparison (`--parts`), each with the default `Bispectrum` and network in it:

- features: from the invariant sums of the bonds S_i . S_j to the centre, adding one family at a time: power spectrum,
  bonds among neighbours, chiralities, phases to the references, bispectrum;
- radius: smaller and larger neighbourhoods; moments: `LocalMoments` instead, with the Fermi level, `LocalElectrons`;
- network: narrower and wider; data: fewer configurations to learn from.

Every model is trained until its training curve is flat: from the start in twice as many steps again and again, until
that lowers the rms error on what is learnt from by less than `--flat` of it, or there would be more than `--most`
steps. Which it was stands in the table (`converged` in summary.json); a row whose curve was not seen flat says how far
optimization came, and nothing about features. Each seed holds out its own configurations, initializes and batches anew,
the same for every model, so that rows can be compared seed by seed.
"""

import dataclasses
import functools
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxspin as js
from experiments.accuracy import fit
from experiments.accuracy.features_figures import draw, table_of
from experiments.accuracy.features_models import Compared, Model
from experiments.stages import Resumable, main, open_folder, stored_table
from experiments.stages.by_kind import errors_by_kind, mean_and_range, split, thinned
from jaxspin.io import load_or_make_each, provenance, save_json
from jaxspin.training import SpinData, until_flat
from jaxspin.training.data_files import read

TRAINING = dataclasses.replace(fit.TRAINING, steps=400, evaluate_every=100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Compared, Resumable):
    """Data, what to compare, and training."""

    data: tuple[Path, ...]
    """Files with spins and fields, see `jaxspin.training.data_files`, all of one lattice and size."""
    output: Path = Path("runs/features")
    """Folder for results; an existing one is refused."""
    held_out: float = 0.1
    """Fraction of the configurations of each kind that training never sees, at least one."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of split, initialization and batches; one model each."""
    training: js.TrainConfig = TRAINING
    """How each force field is trained, the steps those of the first try."""
    most: int = 12800
    """Steps of the longest training."""
    flat: float = 0.03
    """Twice the steps lower the training error by less than this fraction of it where a curve counts as flat."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("data", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; pass --{name} with at least one value, see --help.")
        for name, value, usual in (("held_out", self.held_out, 0.1), ("flat", self.flat, 0.03)):
            if not 0 < value < 1:
                raise ValueError(f"{name} must be a fraction between 0 and 1, got {value}; {usual} is usual.")


def run(config: Config) -> dict[str, Any]:
    """Trains every model with every seed; returns what summary.json holds."""
    data, params = load(config)
    table = config.models(data.lattice, params)
    different = list(dict.fromkeys(model for rows in table.values() for model in rows.values()))
    splits = {seed: split(data, config.held_out, seed) for seed in config.seeds}
    parts = {(x, seed): thinned(splits[seed][0], x, seed) for x in {m.fraction for m in different} for seed in splits}
    folder = open_folder(config)
    makers = {
        f"{n:02d}_{seed}": functools.partial(trained, model, config, parts[model.fraction, seed], splits[seed][1], seed)
        for n, model in enumerate(different)
        for seed in config.seeds
    }
    made = load_or_make_each(folder / "runs", makers, progress=True)
    found = {model: [made[f"{n:02d}_{seed}"] for seed in config.seeds] for n, model in enumerate(different)}
    rows = [
        {
            "part": part,
            "name": name,
            "features": model.descriptor.n_features,
            "hidden": model.hidden,
            "configurations": found[model][0]["configurations"],
            "steps": max(row["steps"] for row in found[model]),
            "converged": all(row["converged"] for row in found[model]),
            "torque error": mean_and_range(found[model]),
            "seconds": float(np.mean([row["seconds"] for row in found[model]])),
            "runs": found[model],
        }
        for part, chosen in table.items()
        for name, model in chosen.items()
    ]
    held_out = {str(seed): numbers for seed, (_, _, numbers) in splits.items()}
    files = [path.name for path in config.data]
    summary = {"files": files, "held out": held_out, "rows": rows, "provenance": provenance(config)}
    save_json(folder / "summary.json", summary)
    (folder / "table.md").write_text(table_of(rows))
    draw(folder / "features.png", rows)
    return summary


def load(config: Config) -> tuple[SpinData, dict[str, Any]]:
    """All files as one set, and the parameters of the first."""
    files = [read(path) for path in config.data]
    for path, (data, params) in zip(config.data, files, strict=True):
        if data.lattice != files[0][0].lattice or params.get("coupling") != files[0][1].get("coupling"):
            raise ValueError(f"{path} has another lattice or coupling than {config.data[0]}; give files of one model.")
    return SpinData.concatenate([data for data, _ in files]), files[0][1]


def trained(model: Model, config: Config, fitted: SpinData, held: SpinData, seed: int) -> dict[str, Any]:
    """One model trained to a flat curve: its errors on the configurations held out, and what it took."""
    model_key, training_key = jax.random.split(jax.random.key(seed))
    start = js.BehlerParrinello(descriptor=model.descriptor, hidden=model.hidden, key=model_key)
    began = time.perf_counter()

    def attempt(steps: int) -> tuple[js.training.Learnt, float]:
        learnt = js.train(start, fitted, dataclasses.replace(config.training, steps=steps), key=training_key)
        return learnt, float(learnt.history["loss"][-1]) ** 0.5

    learnt, steps, converged = until_flat(attempt, config.training.steps, most=config.most, flat=config.flat)
    return {
        "seed": seed,
        "configurations": len(fitted),
        "steps": steps,
        "converged": converged,
        "errors": errors_by_kind(learnt.model, held),
        "best step": learnt.best_step,
        "training loss": learnt.history["loss"][-1],
        "seconds": round(time.perf_counter() - began, 1),
    }


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
