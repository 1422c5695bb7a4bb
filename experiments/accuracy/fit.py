"""Trains force fields on fields computed elsewhere, and reports their error on configurations held out.

    python -m experiments.accuracy.fit --data FILE.npz --output runs/fit
    python -m experiments.accuracy.fit --help                # every setting

Each seed holds out its own configurations of every kind (listed in summary.json; of a run, a block in time),
initializes and batches anew. What is held out of a run is still much like the rest of it: give whole runs that nothing
was learnt from as --unseen, and quote these errors first. The folder gets the force field of the first seed, the errors
of all, the learning curves and a scatter of the torques.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.accuracy.fit_figures import draw
from experiments.stages import Moments, Network, Output, main
from experiments.stages.by_kind import errors_by_kind, likeness, mean_and_range, split
from jaxspin.io import new_folder, provenance, save_json, to_json
from jaxspin.training import SpinData, evaluate
from jaxspin.training.data_files import read

TRAINING = js.TrainConfig(steps=3000, batch=2, learning_rate=4e-3, validation=0.08, evaluate_every=500)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Output):
    """Data, model and training."""

    data: Path
    """File with spins and fields, see `jaxspin.training.data_files`."""
    output: Path = Path("runs/fit")
    """Folder for results; an existing one is refused."""
    more: tuple[Path, ...] = ()
    """Folders of data sets on the same lattice that every seed learns from besides, as `experiments.accuracy.label`
    makes them; nothing of them is held out."""
    unseen: tuple[Path, ...] = ()
    """Folders of data sets on the same lattice that no seed learns from: whole runs to judge by."""
    held_out: float = 0.1
    """Fraction of the configurations of each kind that training never sees, at least one; of a run, a block in time."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of split, initialization and batches; one model each."""
    network: Network = dataclasses.field(default_factory=lambda: Network(Moments(hops=4, moments=36)))
    """The force field; moments and filled clusters need the coupling that the file names."""
    training: js.TrainConfig = TRAINING
    """How the force field is trained."""

    def __post_init__(self):
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be a fraction between 0 and 1, got {self.held_out}; 0.1 is usual.")
        if not self.seeds:
            raise ValueError("no seed is given; pass --seeds 0.")


def run(config: Config) -> dict[str, Any]:
    """Trains one model a seed; returns what summary.json holds."""
    data, params = read(config.data)
    more = [other(folder, data.lattice) for folder in config.more]
    unseen = {f"unseen {folder.name}": other(folder, data.lattice) for folder in config.unseen}
    described = config.network.descriptor.on(data.lattice, params)  # refuses before the folder is made
    folder = new_folder(config.output, overwrite=config.overwrite)
    rows = []
    for seed in config.seeds:
        fitted, held, numbers = split(data, config.held_out, seed)
        fitted = SpinData.concatenate([fitted, *more]) if more else fitted
        model_key, training_key = jax.random.split(jax.random.key(seed))
        model = config.network.model(data.lattice, params, model_key)
        began = time.perf_counter()
        checkpoint = folder / "training" / str(seed)
        learnt = js.train(model, fitted, config.training, key=training_key, checkpoint=checkpoint, progress=True)
        rows.append(
            {
                "seed": seed,
                "weights": sum(x.size for x in jax.tree.leaves(eqx.filter(model.network, eqx.is_inexact_array))),
                "errors": {
                    **{name: dataclasses.asdict(evaluate(learnt.model, part)) for name, part in unseen.items()},
                    **errors_by_kind(learnt.model, held),
                },
                "held out": numbers,
                "largest overlap with what is learnt": likeness(fitted, held),
                "best step": learnt.best_step,
                "training loss": learnt.history["loss"][-1],
                "validation torque error": learnt.history["torque"][-1],
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
        print(to_json(rows[-1]), flush=True)
        if seed == config.seeds[0]:
            about = {"errors": rows[-1]["errors"], "params": params, **provenance(config, seed)}
            js.forcefield.save(folder / "forcefield", learnt.model, metadata=about)
            draw(folder / "fit.png", learnt, held)
    summary = {
        "file": config.data.name,
        "features": described.n_features,
        "weights": rows[0]["weights"],
        "torque error": mean_and_range(rows),
        "runs": rows,
        "provenance": provenance(config),
    }
    save_json(folder / "summary.json", summary)
    return summary


def other(folder: Path, lattice: js.Lattice) -> SpinData:
    """A data set on the same lattice, in single precision."""
    data = SpinData.load(folder)
    if data.lattice != lattice:
        raise ValueError(
            f"{folder} holds a {data.lattice.name} lattice of {data.lattice.cells} cells, the file one of "
            f"{lattice.cells}; label configurations of that size "
            f"(experiments.accuracy.label --side {lattice.cells[0]})."
        )
    return jax.tree.map(lambda x: x.astype(np.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x, data)


if __name__ == "__main__":
    main(Config, run, __doc__)
