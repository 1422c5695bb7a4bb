"""Order after a quench of the triangular s-d model: the run that the triangular experiments share.

Samples spin configurations with exact fields, trains a force field of the electrons on clusters on them (or takes one
from a folder), and judges it by what it is for: its energies of the ordered states, its torques along exact quenches
that training never saw and near the order, a small quench beside the exact one, and the order of a large quench.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax

import jaxspin as js
from experiments import stages
from experiments.quenches import triangular_figures as figures
from experiments.quenches.triangular_judged import energies, label_unseen, torque_errors
from experiments.quenches.triangular_settings import Config, smoke_size
from experiments.stages import Timer, judge, open_folder
from jaxspin.forcefield import load_metadata
from jaxspin.io import provenance, save_json
from jaxspin.training import SpinData


def run(config: Config) -> dict[str, Any]:
    """All stages up to `until`; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    # a run that stops early goes on with another `until`, and is the same run
    folder = open_folder(dataclasses.replace(config, until="end"))
    timer, origin = Timer(folder), provenance(config, config.seed)
    summary: dict[str, Any] = {}
    if config.forcefield is not None:
        model = stages.stored_forcefield(config.forcefield, config.electrons)
        summary["force field"] = {"folder": str(config.forcefield), **_trained_by(config.forcefield)}
    else:
        with timer("sampling"):
            data = sample(config, folder)
        trained, tested = stages.hold_out(data, config.test_quenches)
        kinds = {name: trained.sources.count(name) for name in sorted(set(trained.sources))}
        summary["training"] = {"configurations": len(trained), "kinds": kinds}
        if config.until == "sampling":
            return summary
        with timer("training"):
            learnt = train(config, trained, folder, 1)
        if config.more_quenches:
            with timer("more sampling"):
                trained = SpinData.concatenate([trained, sample_more(config, learnt.model, folder)])
            kinds["learnt"] = trained.sources.count("learnt")
            with timer("training again"):
                learnt = train(config, trained, folder, 2)
        model, errors = learnt.model, judge(learnt.model, tested)
        about = {"errors": errors, "params": stages.parameters(config.electrons), **origin}
        js.forcefield.save(folder / "forcefield", model, metadata=about, overwrite=True)
        summary["training"] |= {"best step": learnt.best_step, "errors on configurations held out": errors}
        if config.until == "training":
            return summary
    with timer("energies"):
        summary["energies per site"] = energies(config.electrons, config.energy_side, model)
    with timer("comparison"):
        compared = stages.beside_exact(folder, config.electrons, model, config.motion, config.compare, config.seed)
    with timer("torques"):
        exact, key = config.electrons.exact(config.compare.side), jax.random.key(config.seed + 6)
        path, number = folder / "unseen.zarr", config.near_order
        unseen = label_unseen(path, exact, config.order, compared["exact"], number, key=key)
        summary["torques"] = torque_errors(model.on(unseen.lattice), unseen)
    with timer("large quench"):
        large = stages.large_quench(folder, config.electrons, model, config.motion, config.large, config.seed, 2.0)
    with timer("figures"):
        summary |= figures.draw(folder, config.order, model, unseen, compared, large)
    summary |= {"wall time in seconds": timer.seconds, "provenance": origin}
    save_json(folder / "summary.json", summary)
    return summary


def sample(config: Config, folder: Path) -> SpinData:
    """The data, a shard for each run, or those of an earlier run."""
    if config.data:
        return SpinData.concatenate([SpinData.load(place) for place in config.data])
    key = jax.random.key(config.seed)
    return stages.sample(
        config.electrons, config.sampling, config.motion, folder / "data", key=key, resume=config.resume
    )


def train(config: Config, data: SpinData, folder: Path, round_: int) -> js.training.Learnt:
    """The force field, with checkpoints to resume from."""
    key = jax.random.key(config.seed + round_)
    place = folder / "training" / str(round_)
    return stages.learn(config.network, config.electrons, data, config.training, place, key)


def sample_more(config: Config, model: js.BehlerParrinello, folder: Path) -> SpinData:
    """Quenches of a trained force field with exact labels."""
    return stages.sample_quenches(
        model,
        config.electrons,
        config.sampling,
        config.motion,
        config.more_quenches,
        folder / "data_learnt",
        key=jax.random.fold_in(jax.random.key(config.seed), 1),
        resume=config.resume,
    )


def main(default: Config, description: str | None) -> None:
    """The command line of an experiment with these defaults."""

    def shown(found: dict[str, Any], _: Path) -> dict[str, Any]:
        return {k: v for k, v in found.items() if k != "provenance"}

    stages.main(Config, run, description, shown, default)


def _trained_by(path: Path) -> dict[str, Any]:
    """Commit and errors of the run that stored the force field."""
    about = load_metadata(path)
    return {name: about[name] for name in ("commit", "errors") if name in about}
