"""Order after a quench of the triangular s-d model: the run that the triangular experiments share.

Samples spin configurations with exact fields, trains a force field of the electrons on clusters on them (or takes one
from a folder), and judges it by what it is for: its energies of the ordered states, its torques along exact quenches
that training never saw and near the order, a small quench beside the exact one, and the order of a large quench.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments import stages
from experiments.quenches import triangular_figures as figures
from experiments.stages import (
    Electrons,
    Motion,
    Network,
    Quench,
    Resumable,
    Sampling,
    Texture,
    Timer,
    judge,
    open_folder,
    spins_of,
    textures_on,
)
from experiments.stages.checks import check_counts
from jaxspin.forcefield import load_metadata
from jaxspin.io import provenance, save_json
from jaxspin.training import SpinData, perturbed_configurations

TEXTURES: tuple[Texture, ...] = ("ferromagnet", "one_hundred_twenty", "stripe", "tetrahedral", "double_q")
# Perturbations of the order small enough for its torques to be linear in them.
NEAR = (0.02, 0.1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    order: Literal["tetrahedral", "one_hundred_twenty"]
    """The order expected."""
    sampling: Sampling
    """Which configurations the force field learns from."""
    smoke: bool = False
    """Shrink every stage to seconds, to see that it runs; the physics is not meant to come out."""
    seed: int = 0
    """Of every random number."""
    forcefield: Path | None = None
    """Folder of a trained force field: sampling and training are left out."""
    data: tuple[Path, ...] = ()
    """Folders of data of an earlier run (its data, data_learnt) to learn from: sampling is left out."""
    until: Literal["sampling", "training", "end"] = "end"
    """The last stage; a run with another one goes on in the same folder with --resume."""

    electrons: Electrons = dataclasses.field(default_factory=Electrons)
    """The model."""
    motion: Motion = dataclasses.field(default_factory=Motion)
    """Of every run."""
    network: Network = dataclasses.field(default_factory=Network)
    """The force field."""
    training: js.TrainConfig = dataclasses.field(
        default_factory=lambda: js.TrainConfig(
            steps=6000, batch=8, learning_rate=4e-3, validation=0.06, balance=0.5, evaluate_every=1000
        )
    )
    """How it is trained."""
    test_quenches: int = 1
    """Sampling quenches held out of training."""
    more_quenches: int = 0
    """Quenches of the force field so trained, labelled exactly and added to the data for a second training."""

    energy_side: int = 24
    """Side of the lattice on which energies of the perfect textures are compared; a multiple of 6."""
    near_order: int = 12
    """States near the perfect order, for the torque error there."""
    compare: Quench = dataclasses.field(default_factory=lambda: Quench(side=12, duration=300.0, frames=60))
    """With both fields; exact diagonalization must be possible, and labels the frames as well."""
    large: Quench = dataclasses.field(default_factory=lambda: Quench(side=96, duration=1000.0, frames=40))
    """With the learnt field alone, its frames denser in the beginning."""

    def __post_init__(self):
        if self.electrons.lattice != "triangular":
            raise ValueError(f"the orders here are triangular, got {self.electrons.lattice}; use triangular.")
        sides = {"compare.side": self.compare.side, "large.side": self.large.side, "energy_side": self.energy_side}
        for name, side in sides.items():
            needed = TEXTURES if name == "energy_side" else (self.order,)
            try:
                textures_on(self.electrons.on(side), needed)
                self.network.on(self.electrons, side)
            except ValueError as error:
                raise ValueError(f"{name} = {side} does not serve: {error}") from error
        check_counts(self, "near_order")
        self.sampling.check(self.electrons)
        if self.forcefield is None:
            self.network.on(self.electrons, self.sampling.side)
            if not 0 < self.test_quenches < self.sampling.quenches:
                raise ValueError(
                    f"test_quenches must leave some of the {self.sampling.quenches} quenches to learn from; use 1."
                )
        elif self.data:
            raise ValueError("a force field that is there learns from no data; give --forcefield or --data.")
        elif self.until != "end":
            raise ValueError(f"nothing is sampled or trained with a force field given; leave out --until {self.until}.")


def smoke_size(config: Config) -> Config:
    """The same pipeline in seconds."""
    small = {"hops": 1, "moments": 4, "recursion": 3, "surroundings": 1}
    names = {field.name for field in dataclasses.fields(config.network.descriptor)}
    descriptor = dataclasses.replace(
        config.network.descriptor, **{name: value for name, value in small.items() if name in names}
    )
    return dataclasses.replace(
        config,
        sampling=dataclasses.replace(
            config.sampling,
            side=6,
            quenches=2,
            quench_duration=4.0,
            quench_frames=4,
            hot_temperatures=config.sampling.hot_temperatures[:1],
            hot_duration=2.0,
            hot_frames=2,
            ordered=len(config.sampling.textures),
            random=2,
        ),
        network=dataclasses.replace(config.network, descriptor=descriptor, hidden=(4,)),
        training=dataclasses.replace(config.training, steps=4, batch=2, evaluate_every=2, validation=0.2),
        more_quenches=min(config.more_quenches, 1),
        energy_side=6,
        near_order=2,
        compare=Quench(side=6, duration=4.0, frames=4),
        large=Quench(side=12, duration=4.0, frames=4),
    )


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
        summary["energies per site"] = energies(config, model)
    with timer("comparison"):
        compared = compare(config, model, folder)
    with timer("torques"):
        unseen = label_unseen(config, compared["exact"], folder)
        summary["torques"] = torque_errors(model.on(unseen.lattice), unseen)
    with timer("large quench"):
        large = quench(config, model, folder)
    with timer("figures"):
        summary |= figures.draw(folder, config.order, model, unseen, compared, large)
    summary |= {"wall time in seconds": timer.seconds, "provenance": origin}
    save_json(folder / "summary.json", summary)
    return summary


# --- stages ---------------------------------------------------------------------------------------------------------


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


def energies(config: Config, model: js.BehlerParrinello) -> dict[str, Any]:
    """Free energies per site of the perfect textures by exact diagonalization and by the force field.

    "ordering" says whether the force field puts the textures in the exact order, and "lowest" which one each puts
    lowest.
    """
    exact = config.electrons.exact(config.energy_side)
    moved = model.on(exact.lattice)
    textures = textures_on(exact.lattice, TEXTURES)
    found: dict[str, Any] = {
        kind: {name: float(potential.energy(spins)) / exact.lattice.sites for name, spins in textures.items()}
        for kind, potential in (("exact", exact), ("learnt", moved))
    }
    ranks = {kind: sorted(values, key=lambda name: values[name]) for kind, values in found.items()}
    found["lowest"] = {kind: names[0] for kind, names in ranks.items()}
    found["ordering right"] = ranks["exact"] == ranks["learnt"]
    return found


def compare(config: Config, model: js.BehlerParrinello, folder: Path) -> dict[str, js.Trajectory]:
    """One quench from random spins with the exact and with the learnt field, from one start with one noise."""
    exact = config.electrons.exact(config.compare.side)
    return stages.compare(
        folder,
        {"exact": exact, "learnt": model.on(exact.lattice)},
        js.random_spins(exact.lattice, key=jax.random.key(config.seed + 2)),
        config.motion,
        duration=config.compare.duration,
        frames=config.compare.frames,
        key=jax.random.key(config.seed + 3),
    )


def label_unseen(config: Config, exact_run: js.Trajectory, folder: Path) -> SpinData:
    """Exact labels on states training never saw: the exact quench by thirds of its frames, and near the order."""
    path = folder / "unseen.zarr"
    if path.exists():
        return SpinData.load(path)
    exact = config.electrons.exact(config.compare.side)
    perfect = textures_on(exact.lattice, (config.order,))[config.order]
    amplitudes = jnp.linspace(*NEAR, config.near_order)
    near = perturbed_configurations(perfect, amplitudes, key=jax.random.key(config.seed + 6))
    frames = spins_of(exact_run)[1:]
    thirds = np.array_split(np.arange(len(frames)), min(3, len(frames)))
    names = ("quench, early", "quench, middle", "quench, late")[-len(thirds) :]
    parts = [js.sample(exact, frames[rows], source=name) for name, rows in zip(names, thirds, strict=True)]
    data = SpinData.concatenate([*parts, js.sample(exact, near, source="near order")])
    data.save(path)
    return data


def torque_errors(model: js.AbstractPotential, unseen: SpinData) -> dict[str, dict[str, float]]:
    """Of each kind: mean square error of the tangential field (t^2, all three components together), that of the field
    itself, and the ratio of their roots."""
    found = {}
    for name, errors in judge(model, unseen).items():
        found[name] = {
            "mean square error": errors["torque_rms"] ** 2,
            "mean square torque": (errors["torque_rms"] / errors["torque"]) ** 2,
            "relative error": errors["torque"],
        }
    return found


def quench(config: Config, model: js.BehlerParrinello, folder: Path) -> js.Trajectory:
    """The large lattice from random spins, with the learnt field."""
    lattice = config.electrons.on(config.large.side)
    return stages.quench(
        folder / "quench_large.zarr",
        model.on(lattice),
        js.random_spins(lattice, key=jax.random.key(config.seed + 4)),
        config.motion,
        duration=config.large.duration,
        frames=config.large.frames,
        spacing=2.0,
        key=jax.random.key(config.seed + 5),
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
