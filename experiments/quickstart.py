"""From electrons to a learnt quench: the triangular s-d model at quarter filling, whose order is tetrahedral.

    python -m experiments.quickstart                # about six minutes on two cores, writes runs/quickstart
    python -m experiments.quickstart --help         # every setting
    python -m experiments.quickstart --resume       # goes on where a killed run stopped

Samples spin configurations from kernel-polynomial Landau-Lifshitz-Gilbert runs and labels them with exact fields,
trains a network on moments of the electrons around each site, and quenches a large lattice with it. Everything lands in
one folder.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax

import jaxspin as js
from experiments import quickstart_figures as figures
from experiments import stages
from experiments.benchmarks.timing import timed
from experiments.stages import (
    Electrons,
    Moments,
    Motion,
    Network,
    Quench,
    Resumable,
    Sampling,
    Timer,
    judge,
    learn,
    main,
    open_folder,
    parameters,
)
from jaxspin.io import provenance, save_json
from jaxspin.training import SpinData

ELECTRONS = Electrons("triangular", coupling=3.0, filling=0.25, temperature=0.05)
# An exact quench of 8 x 8 without bath ends at t = 96 within 3e-4 (mean of 1 - S . S') of steps of 1/4, 4e-3 for 4.
MOTION = Motion(damping=0.5, step=2.0, temperature=0.001)
SAMPLING = Sampling(
    side=24,
    field="kpm",
    quenches=6,
    quench_duration=150.0,
    quench_frames=15,
    spacing=1.0,
    hot_temperatures=(0.005, 0.02),
    hot_frames=8,
    ordered=32,
    textures=("tetrahedral", "stripe", "double_q", "one_hundred_twenty"),
    random=40,
)
# The torque of this metal is not as local as one would wish: what lies beyond 4 hops makes 21 % of it, beyond 5 hops
# 17 %, beyond 6 hops 13 %, and moments of clusters learn nearly all that is within (21, 18 and 14 %).
NETWORK = Network(Moments(hops=5, moments=40), hidden=(64, 32))
# What is reported is held out before; the validation part chooses the best step alone.
TRAINING = js.TrainConfig(steps=1500, batch=2, learning_rate=4e-3, validation=0.08, split="configuration", memory=5.0)
LARGE, SMALL = Quench(side=96, duration=300.0, frames=40), Quench(side=16, duration=150.0, frames=60)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Resumable):
    """Settings of the quickstart. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/quickstart")
    smoke: bool = False
    """Shrink every stage to seconds, to see that it runs; the physics is not meant to come out."""
    seed: int = 0
    """Of every random number."""
    electrons: Electrons = ELECTRONS
    """The model."""
    motion: Motion = MOTION
    """Of every run."""
    sampling: Sampling = SAMPLING
    """What the force field learns from."""
    network: Network = NETWORK
    """The force field."""
    training: js.TrainConfig = TRAINING
    """How it is trained."""
    test_quenches: int = 1
    """Sampling quenches held out of training, for the errors reported."""
    large: Quench = LARGE
    """The quench with the learnt field."""
    small: Quench = SMALL
    """The quench with both fields."""

    def __post_init__(self):
        for name, side in (("large", self.large.side), ("small", self.small.side)):
            if side % 2 or side < 8:
                raise ValueError(
                    f"{name}.side = {side}: the tetrahedral order needs an even number of cells, at least 8; "
                    f"use {max(8, side + 1)}."
                )
        if not 0 < self.test_quenches < self.sampling.quenches:
            raise ValueError(
                f"test_quenches must leave some of the {self.sampling.quenches} quenches to learn from; use 1."
            )
        self.sampling.check(self.electrons)
        # refuses what is no descriptor, or wider than the lattice of the data
        self.network.descriptor.on(self.electrons.on(self.sampling.side), parameters(self.electrons))


def smoke_size(config: Config) -> Config:
    """The same pipeline in seconds."""
    return dataclasses.replace(
        config,
        sampling=dataclasses.replace(
            config.sampling,
            side=8,
            quenches=2,
            quench_duration=8.0,
            quench_frames=4,
            hot_temperatures=(0.01,),
            hot_duration=4.0,
            hot_frames=2,
            ordered=3,
            textures=("tetrahedral", "stripe", "double_q"),
            random=4,
        ),
        training=dataclasses.replace(config.training, steps=20, evaluate_every=10, validation=0.2),
        network=Network(Moments(hops=1, moments=8), hidden=(8,)),
        large=Quench(side=16, duration=20.0, frames=5),
        small=Quench(side=8, duration=8.0, frames=4),
    )


def run(config: Config) -> dict[str, Any]:
    """All stages; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    origin = provenance(config, config.seed)
    timer = Timer(folder)
    with timer("sampling"):
        data = sample(config, folder)
    trained, tested = hold_out(config, data)
    with timer("training"):
        learnt = train(config, trained, folder)
    with timer("evaluation"):
        errors = judge(learnt.model, tested)
        js.forcefield.save(
            folder / "forcefield",
            learnt.model,
            metadata={"errors": errors, **origin},
            overwrite=True,
        )
    with timer("speed"):
        speed = speeds(config, learnt.model)
    with timer("comparison"):
        compared = compare(config, learnt.model, folder)
    with timer("large quench"):
        large = quench(config, learnt.model, folder)
    with timer("figures"):
        numbers = figures.draw(folder, learnt, tested, compared, large)
    summary = {
        "errors": errors,
        "training": {
            "configurations": len(trained),
            "features": learnt.model.descriptor.n_features,
            "weights": sum(x.size for x in jax.tree.leaves(learnt.model.network)),
            "best step": learnt.best_step,
            "sources": {name: trained.sources.count(name) for name in sorted(set(trained.sources))},
        },
        "speed": speed,
        **numbers,
        "wall time in seconds": timer.seconds,
        "provenance": origin,
    }
    save_json(folder / "summary.json", summary)
    return summary


# --- stages ---------------------------------------------------------------------------------------------------------


def solvers(config: Config, size: int) -> tuple[js.ExactDiagonalization, js.KernelPolynomial]:
    """The exact field for labels, and the kernel-polynomial one for the sampling runs."""
    return config.electrons.exact(size), config.electrons.kernel_polynomial(size, config.sampling.colors)


def sample(config: Config, folder: Path) -> SpinData:
    """Configurations of many kinds with exact labels; each kind is a shard on disk, and is not made again."""
    key = jax.random.key(config.seed)
    return stages.sample(
        config.electrons, config.sampling, config.motion, folder / "data", key=key, resume=config.resume
    )


def hold_out(config: Config, data: SpinData) -> tuple[SpinData, SpinData]:
    """The first whole quenches, and a fifth of everything that is not a simulation, are for the errors reported."""
    return stages.hold_out(data, config.test_quenches)


def train(config: Config, data: SpinData, folder: Path) -> js.training.Learnt:
    """The force field, with checkpoints to resume from."""
    key = jax.random.key(config.seed + 1)
    return learn(config.network, config.electrons, data, config.training, folder / "training", key)


def speeds(config: Config, model: js.BehlerParrinello) -> dict[str, Any]:
    """Microseconds a site of one field of each kind on the lattice of the data, and how often the learnt one fits."""
    side = config.sampling.side
    exact, kpm = solvers(config, side)
    spins = js.random_spins(exact.lattice, key=jax.random.key(config.seed + 6))
    fields = {"exact": exact, "kernel polynomials": kpm, "learnt": model.on(exact.lattice)}
    seconds = {name: timed(lambda s, f=field: f.field(s), (spins,), 5)["median"] for name, field in fields.items()}
    return {
        "side": side,
        "microseconds a site": {name: 1e6 * time / exact.lattice.sites for name, time in seconds.items()},
        "learnt against exact": seconds["exact"] / seconds["learnt"],
        "learnt against kernel polynomials": seconds["kernel polynomials"] / seconds["learnt"],
    }


def compare(config: Config, model: js.BehlerParrinello, folder: Path) -> dict[str, js.Trajectory]:
    """One small quench, with the exact and with the learnt field, from the same start with the same noise."""
    return stages.beside_exact(folder, config.electrons, model, config.motion, config.small, config.seed)


def quench(config: Config, model: js.BehlerParrinello, folder: Path) -> js.Trajectory:
    """The large lattice from random spins, with the learnt field."""
    return stages.large_quench(folder, config.electrons, model, config.motion, config.large, config.seed)


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: {k: v for k, v in found.items() if k != "provenance"})
