"""One force field for several fillings of the electrons, against one for each, and one that does not know them.

    python -m experiments.accuracy.fillings --output runs/fillings
    python -m experiments.accuracy.fillings --side 6 --large 8 --random 4 --quenches 2 --held-random 2 --most 50 \
        --quench-duration 10 --training.steps 25 --hops 1 --moments 8 --output runs/try     # a try
    python -m experiments.accuracy.fillings --resume ...     # goes on where a killed run stopped

All read moments of the electrons on the cluster around a spin, which know no filling:

- levels: `LearntLevels` on the data of all `--fillings`, each configuration with its own electrons;
- levels of one filling: the same on the data of the middle one, filled with others later;
- Fermi level, each: `AtFilling` of the moments and an energy a site, one force field for each filling; at `--unseen`
  that of the nearest filling, its Fermi level that of the unseen one;
- site energies, all: an energy a site on the torques of all fillings, which averages over them.

Errors are of whole runs and random configurations that no training has seen: at the fillings learnt from, at
`--unseen`, and on a larger lattice. Runs are driven by the exact field, on the larger lattice by kernel polynomials;
labels are exact. Each model is trained in twice as many steps again and again, until that hardly lowers its training
error.
"""

import dataclasses
import functools
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.accuracy import fit
from experiments.accuracy.fillings_figures import draw, table_of
from experiments.accuracy.fillings_models import Compared
from experiments.stages import Resumable, main, open_folder, stored_table
from experiments.stages.by_kind import errors_by_kind
from jaxspin.io import load_or_make_each, provenance, save_json
from jaxspin.training import SpinData, until_flat

TRAINING = dataclasses.replace(fit.TRAINING, steps=500, batch=4, evaluate_every=250)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Compared, Resumable):
    """Data, models and training."""

    output: Path = Path("runs/fillings")
    """Folder for data and results; an existing one is refused."""
    seeds: tuple[int, ...] = (0,)
    """Of initialization, validation and batches; one model each."""
    training: js.TrainConfig = TRAINING
    """How each force field is trained, the steps those of the first try."""
    most: int = 8000
    """Steps of the longest training."""
    flat: float = 0.03
    """Twice the steps lower the training error by less than this fraction of it where a curve counts as flat."""

    def __post_init__(self):
        self.check()
        if not self.seeds:
            raise ValueError("seeds is empty; pass --seeds with at least one value, see --help.")
        if not 0 < self.flat < 1:
            raise ValueError(f"flat must be a fraction between 0 and 1, got {self.flat}; 0.03 is usual.")


def run(config: Config) -> dict[str, Any]:
    """Makes the data, trains every model with every seed; returns what summary.json holds."""
    folder = open_folder(config)
    learnt = config.learnt(folder / "data", resume=config.resume)
    held = config.held(folder / "data", resume=config.resume)
    makers = {
        f"{row}_{seed}".replace(" ", "_").replace(",", ""): functools.partial(trained, config, row, learnt, held, seed)
        for row in config.rows()
        for seed in config.seeds
    }
    made = iter(load_or_make_each(folder / "runs", makers, progress=True).values())
    rows = [{"name": row, "runs": [next(made) for _ in config.seeds]} for row in config.rows()]
    summary = {
        "learnt from": {f"{filling:g}": len(data) for filling, data in learnt.items()},
        "held out": {name: len(data) for name, data in held.items()},
        "rows": rows,
        "provenance": provenance(config),
    }
    save_json(folder / "summary.json", summary)
    (folder / "table.md").write_text(table_of(rows, config.unseen))
    draw(folder / "fillings.png", rows, config.fillings, config.unseen)
    return summary


def trained(
    config: Config, row: str, learnt: dict[float, SpinData], held: dict[str, SpinData], seed: int
) -> dict[str, Any]:
    """The force fields of one row, trained until flat: errors by set and kind, and what they took."""
    began = time.perf_counter()
    parts = config.parts(row, learnt)
    models, about = {}, []
    for filling, data in parts.items():
        model, told = fitted(config, row, filling, data, seed)
        models[filling] = model
        about.append(told)
    found = {}
    for name, data in held.items():
        model = config.chosen(row, models, float(data.filling[0])).on(data.lattice)
        found[name] = {"errors": errors_by_kind(model, data)}
        if config.has_levels(row):
            found[name]["fermi level"] = level_error(config, model, data)
    return {"seed": seed, "sets": found, "trainings": about, "seconds": round(time.perf_counter() - began, 1)}


def fitted(config: Config, row: str, filling: float, data: SpinData, seed: int) -> tuple[Any, dict[str, Any]]:
    """One force field, and how it was trained."""
    model_key, training_key = jax.random.split(jax.random.key(seed))
    start = config.start(row, filling, data.lattice, model_key)
    training = config.training
    if config.averages(row):  # energies of different fillings lie too far apart to average
        data, training = data.with_electrons(), dataclasses.replace(training, energy_weight=0.0)

    def attempt(steps: int) -> tuple[js.training.Learnt, float]:
        learnt = js.train(start, data, dataclasses.replace(training, steps=steps), key=training_key)
        return learnt, float(learnt.history["loss"][-1]) ** 0.5

    learnt, steps, converged = until_flat(attempt, training.steps, most=config.most, flat=config.flat)
    told = {"filling": filling, "configurations": len(data), "features": start.descriptor.n_features}
    return learnt.model, told | {"steps": steps, "converged": converged, "best step": learnt.best_step}


def level_error(config: Config, model: js.BehlerParrinello, data: SpinData) -> dict[str, float]:
    """Of the Fermi level that learnt levels have, dE/dn = 2 N mu: mean error, and rms error about it, in units of t."""
    solver = dataclasses.replace(config.electrons, filling=float(data.filling[0])).exact(data.lattice.cells[0])

    @jax.jit
    def level(spins, filling):
        slope = jax.grad(lambda n: model.filled(filling=n).energy(spins))(filling)
        return slope / (2 * data.lattice.sites)

    apart = [
        float(level(spins, n.astype(spins.dtype))) - float(solver.fermi_level(spins))
        for spins, n in zip(data.spins, jnp.asarray(data.filling), strict=True)
    ]
    return {"mean": float(np.mean(apart)), "about it": float(np.std(apart))}


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
