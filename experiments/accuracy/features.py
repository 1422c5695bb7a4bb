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
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.accuracy import fit
from experiments.accuracy.data_files import read
from experiments.stages import Resumable, main, open_folder, stored_table
from jaxspin.descriptors import AbstractDescriptor, AtFilling, LocalElectrons, LocalMoments
from jaxspin.io import load_or_make, provenance, save_json
from jaxspin.training import SpinData

Part = Literal["features", "radius", "moments", "network", "data"]


TRAINING = dataclasses.replace(fit.TRAINING, steps=400, evaluate_every=100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Resumable):
    """Data, what to compare, and training."""

    data: tuple[Path, ...]
    """Files with spins and fields, see `experiments.accuracy.data_files`, all of one lattice and size."""
    output: Path = Path("runs/features")
    """Folder for results; an existing one is refused."""
    parts: tuple[Part, ...] = get_args(Part)
    """Which comparisons to make."""
    held_out: float = 0.1
    """Fraction of the configurations of each kind that training never sees, at least one."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of split, initialization and batches; one model each."""
    radius: float = 3.0
    """Reach of the bonds to the centre, where not compared."""
    bond_radius: float = 2.0
    """Reach of the other bonds and of the chiralities, where not compared."""
    radii: tuple[tuple[float, float], ...] = ((2.0, 1.0), (4.0, 3.0))
    """Other pairs of radius and bond_radius (radius)."""
    clusters: tuple[tuple[int, int], ...] = ((2, 12), (3, 24), (4, 36))
    """Hops and number of moments (moments)."""
    electrons: tuple[tuple[int, float], ...] = ((2, 0.1), (4, 0.1), (6, 0.02))
    """Hops and temperature of clusters that are filled, where the file names the filling (moments); the recursion makes
    five steps a hop and one more, the next odd number."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the network's layers, where not compared."""
    narrow: tuple[int, ...] = (16,)
    """Widths of a smaller network (network)."""
    wide: tuple[int, ...] = (128, 128)
    """Widths of a larger network (network)."""
    fractions: tuple[float, ...] = (0.25, 0.5)
    """Of the configurations that are not held out (data)."""
    training: js.TrainConfig = TRAINING
    """How each force field is trained, the steps those of the first try."""
    most: int = 12800
    """Steps of the longest training."""
    flat: float = 0.03
    """Twice the steps lower the training error by less than this fraction of it where a curve counts as flat."""

    def __post_init__(self):
        for name in ("data", "parts", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; pass --{name} with at least one value, see --help.")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be a fraction between 0 and 1, got {self.held_out}; 0.1 is usual.")
        if not 0 < self.flat < 1:
            raise ValueError(f"flat must be a fraction between 0 and 1, got {self.flat}; 0.03 is usual.")
        if not all(0 < x < 1 for x in self.fractions):
            raise ValueError(f"fractions must lie between 0 and 1, got {self.fractions}; 0.25 0.5 is usual.")


@dataclasses.dataclass(frozen=True)
class Model:
    """What is trained: a descriptor, a network, and the share of the configurations it learns from."""

    descriptor: AbstractDescriptor
    hidden: tuple[int, ...]
    fraction: float = 1.0


def run(config: Config) -> dict[str, Any]:
    """Trains every model with every seed; returns what summary.json holds."""
    data, params = load(config)
    table = models(config, data.lattice, params)
    different = list(dict.fromkeys(model for rows in table.values() for model in rows.values()))
    splits = {seed: fit.split(data, config.held_out, seed) for seed in config.seeds}
    parts = {(x, seed): thinned(splits[seed][0], x, seed) for x in {m.fraction for m in different} for seed in splits}
    folder = open_folder(config)
    found: dict[Model, list[dict[str, Any]]] = {model: [] for model in different}
    bar = tqdm(total=len(different) * len(config.seeds), desc="models", unit="model")
    for number, model in enumerate(different):
        for seed in config.seeds:

            def row(model=model, seed=seed):
                fitted, held = parts[model.fraction, seed], splits[seed][1]
                return {"seed": seed, **trained(model, config, fitted, held, seed)}

            found[model].append(load_or_make(folder / "runs" / f"{number:02d}_{seed}.json", row))
            bar.update()
    bar.close()
    rows = [
        {
            "part": part,
            "name": name,
            "features": model.descriptor.n_features,
            "hidden": model.hidden,
            "configurations": found[model][0]["configurations"],
            "steps": max(row["steps"] for row in found[model]),
            "converged": all(row["converged"] for row in found[model]),
            "torque error": fit.mean_and_range(found[model]),
            "seconds": float(np.mean([row["seconds"] for row in found[model]])),
            "runs": found[model],
        }
        for part, chosen in table.items()
        for name, model in chosen.items()
    ]
    summary = {
        "files": [path.name for path in config.data],
        "held out": {str(seed): numbers for seed, (_, _, numbers) in splits.items()},
        "rows": rows,
        "provenance": provenance(config),
    }
    save_json(folder / "summary.json", summary)
    (folder / "table.md").write_text(markdown(rows))
    draw(folder / "features.png", rows)
    return summary


def load(config: Config) -> tuple[SpinData, dict[str, Any]]:
    """All files as one set, and the parameters of the first."""
    files = [read(path) for path in config.data]
    for path, (data, params) in zip(config.data, files, strict=True):
        if data.lattice != files[0][0].lattice or params.get("coupling") != files[0][1].get("coupling"):
            raise ValueError(f"{path} has another lattice or coupling than {config.data[0]}; give files of one model.")
    return SpinData.concatenate([data for data, _ in files]), files[0][1]


def models(config: Config, lattice: js.Lattice, params: dict[str, Any]) -> dict[str, dict[str, Model]]:
    """The rows of the table, part -> name -> model; the default one is in every part."""
    usual = Model(bispectrum(config, lattice), config.hidden)
    known = {
        "features": lambda: {
            name: Model(bispectrum(config, lattice, **settings), config.hidden)
            for name, settings in feature_sets().items()
        },
        "radius": lambda: {
            f"radius {r:g}, others {s:g}": Model(bispectrum(config, lattice, radius=r, bond_radius=s), config.hidden)
            for r, s in ((config.radius, config.bond_radius), *config.radii)
        },
        "moments": lambda: {
            "bispectrum": usual,
            **{
                name: Model(descriptor, config.hidden)
                for name, descriptor in cluster_features(config, lattice, params).items()
            },
        },
        "network": lambda: {
            " x ".join(map(str, hidden)): dataclasses.replace(usual, hidden=hidden)
            for hidden in (config.narrow, config.hidden, config.wide)
        },
        "data": lambda: {
            f"{fraction:.0%} of the configurations": dataclasses.replace(usual, fraction=fraction)
            for fraction in (*config.fractions, 1.0)
        },
    }
    return {part: known[part]() for part in config.parts}


def feature_sets() -> dict[str, dict[str, Any]]:
    """Settings of `Bispectrum`, each with one family of features more than the one before; the last has all."""
    steps = {
        "bonds to the centre, invariant sums": {
            "bond_length": 0.0,
            "triangle_side": 0.0,
            "power": False,
            "phases": False,
            "bispectrum": False,
        },
        "+ power spectrum": {"power": True},
        "+ bonds among neighbours": {"bond_length": None},
        "+ chiralities": {"triangle_side": None},
        "+ phases": {"phases": True},
        "+ bispectrum": {"bispectrum": True},
    }
    found, now = {}, {}
    for name, change in steps.items():
        now = now | change
        found[name] = now
    return found


def bispectrum(config: Config, lattice: js.Lattice, **settings: Any) -> js.Bispectrum:
    """The default neighbourhood with all features, or what `settings` change of it."""
    usual = {"radius": config.radius, "bond_radius": config.bond_radius, "bispectrum": True}
    return js.Bispectrum(lattice, **(usual | settings))


def cluster_features(config: Config, lattice: js.Lattice, params: dict[str, Any]) -> dict[str, AbstractDescriptor]:
    """Moments of the clusters; where the file names the filling also with the Fermi level, and electrons."""
    electrons, filling = couplings(config, params), params.get("filling")
    found: dict[str, AbstractDescriptor] = {}
    for hops, count in config.clusters:
        moments = LocalMoments(lattice, *electrons, hops=hops, moments=count, weights=False)
        found[f"{count} moments, {hops} hops"] = moments
        if filling is not None:
            found[f"{count} moments, {hops} hops, Fermi level"] = AtFilling(moments, filling=filling)
    if filling is not None:
        for hops, temperature in config.electrons:
            found[f"electrons, {hops} hops, T = {temperature:g}"] = LocalElectrons(
                lattice, *electrons, filling=filling, hops=hops, steps=(5 * hops + 1) | 1, temperature=temperature
            )
    return found


def couplings(config: Config, params: dict[str, Any]) -> tuple[float, float]:
    """J and t of the electrons."""
    if "coupling" not in params:
        raise ValueError(f"{config.data[0]} does not name its coupling in params; leave moments out of --parts.")
    return params["coupling"], params.get("hopping", 1.0)


def thinned(data: SpinData, fraction: float, seed: int) -> SpinData:
    """That fraction of the configurations of each kind, whatever their runs."""
    if fraction == 1:
        return data
    rng, kept = np.random.default_rng(seed), []
    for kind in sorted(set(data.sources)):
        members = np.flatnonzero(np.array(data.sources) == kind)
        kept += rng.choice(members, max(1, round(fraction * len(members))), replace=False).tolist()
    return data[sorted(kept)]


def trained(model: Model, config: Config, fitted: SpinData, held: SpinData, seed: int) -> dict[str, Any]:
    """One model trained to a flat curve: its errors on the configurations held out, and what it took."""
    model_key, training_key = jax.random.split(jax.random.key(seed))
    start = js.BehlerParrinello(descriptor=model.descriptor, hidden=model.hidden, key=model_key)
    began = time.perf_counter()

    def attempt(steps: int) -> tuple[js.training.Learnt, float]:
        learnt = js.train(start, fitted, dataclasses.replace(config.training, steps=steps), key=training_key)
        return learnt, float(learnt.history["loss"][-1]) ** 0.5

    learnt, steps, converged = until_flat(attempt, config.training.steps, config.most, config.flat)
    return {
        "configurations": len(fitted),
        "steps": steps,
        "converged": converged,
        "errors": fit.judge(learnt.model, held),
        "best step": learnt.best_step,
        "training loss": learnt.history["loss"][-1],
        "seconds": round(time.perf_counter() - began, 1),
    }


def until_flat(
    attempt: Callable[[int], tuple[Any, float]], steps: int, most: int, flat: float
) -> tuple[Any, int, bool]:
    """What `attempt(steps)` made, with the training error, where twice the steps hardly lowered that; steps; if it did.

    The schedule of the learning rate ends every curve flat, so that one curve cannot tell: two trainings of different
    length can.
    """
    made, before = attempt(steps)
    while 2 * steps <= most:
        steps *= 2
        made, error = attempt(steps)
        if error > (1 - flat) * before:
            return made, steps, True
        before = error
    return made, steps, False


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table, one line a model; errors in percent, mean (least to largest) over the seeds."""
    kinds = list(rows[0]["torque error"])
    heads = [
        "part",
        "model",
        "features",
        "configurations",
        "steps",
        *(f"torque error, {kind} (%)" for kind in kinds),
        "seconds",
    ]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        errors = [
            "{mean:.1f} ({least:.1f} to {largest:.1f})".format(
                **{k: 100 * v for k, v in row["torque error"][kind].items()}
            )
            for kind in kinds
        ]
        steps = str(row["steps"]) if row["converged"] else f"{row['steps']}, not seen flat"
        numbers = [str(row["features"]), str(row["configurations"]), steps]
        lines.append([row["part"], row["name"], *numbers, *errors, f"{row['seconds']:.0f}"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Errors of every model, from the least to the largest of the seeds, one panel a part."""
    parts = list(dict.fromkeys(row["part"] for row in rows))
    kinds = list(rows[0]["torque error"])
    sizes = [sum(row["part"] == part for row in rows) for part in parts]
    figure, panels = plt.subplots(
        len(parts),
        1,
        figsize=(6.4, 0.9 + 0.3 * sum(sizes) + 0.25 * len(parts)),
        layout="constrained",
        sharex=True,
        squeeze=False,
        height_ratios=sizes,
    )
    for axes, part in zip(panels[:, 0], parts, strict=True):
        here = [row for row in rows if row["part"] == part]
        places = np.arange(len(here))
        for n, kind in enumerate(kinds):
            mean, least, largest = (
                100 * np.array([row["torque error"][kind][k] for row in here]) for k in ("mean", "least", "largest")
            )
            shift = 0.15 * (n - (len(kinds) - 1) / 2)
            axes.errorbar(
                mean,
                places + shift,
                xerr=[mean - least, largest - mean],
                fmt="o",
                ms=4,
                capsize=2,
                label=kind,
                color=f"C{n}",
                mfc="none",
            )
            flat = np.array([row["converged"] for row in here])
            axes.plot(mean[flat], places[flat] + shift, "o", ms=4, color=f"C{n}")
        axes.set_yticks(places, [f"{row['name']}  ({row['features']})" for row in here], fontsize="small")
        axes.set(ylim=(len(here) - 0.5, -0.5))
        axes.set_title(part, loc="left", fontsize="small")
        axes.grid(axis="x", color="0.9", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1, 0].set(xlabel="held-out rms torque error / rms torque (%)", xlim=(0, None))
    if not all(row["converged"] for row in rows):
        figure.suptitle("open symbols: the training curve was not seen to be flat", fontsize="small")
    if len(kinds) > 1:
        panels[0, 0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
