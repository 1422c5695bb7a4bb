"""From electrons to a learnt quench: the triangular s-d model at quarter filling, whose order is tetrahedral.

    python -m experiments.quickstart                # about ten minutes on two cores, writes runs/quickstart
    python -m experiments.quickstart --help         # every setting
    python -m experiments.quickstart --resume       # goes on where a killed run stopped

Samples spin configurations from kernel-polynomial Landau-Lifshitz-Gilbert runs and labels them with exact fields,
trains the bispectrum force field, and quenches a large lattice with it. Everything lands in one folder.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax

import jaxspin as js
from experiments import quickstart_figures as figures
from experiments import stages
from experiments.stages import (
    Electrons,
    Motion,
    Resumable,
    Sampling,
    Texture,
    Timer,
    judge,
    main,
    open_folder,
    settings_of,
)
from experiments.stages.checks import check_positive
from jaxspin.io import provenance, save_json
from jaxspin.training import SpinData


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings of the quickstart. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/quickstart")
    smoke: bool = False
    """Shrink every stage to seconds, to see that it runs; the physics is not meant to come out."""
    seed: int = 0
    """Of every random number."""

    coupling: float = 3.0
    """J of the s-d model."""
    filling: float = 0.25
    """Electrons per spin-orbital."""
    electron_temperature: float = 0.05
    """Fermi temperature of the electrons."""
    damping: float = 0.5
    """Gilbert damping of every run."""
    step: float = 0.5
    """Time step of every run."""
    bath_temperature: float = 0.001
    """Temperature of the spins after a quench."""

    sample_size: int = 12
    """Side of the lattice on which data are made; even, for the four-sublattice order."""
    colors: int = 16
    """Probing colours of the kernel-polynomial field in the sampling runs."""
    quenches: int = 5
    """Sampling runs from random spins at the bath temperature."""
    quench_duration: float = 150.0
    """Length of each."""
    quench_frames: int = 100
    """Configurations kept of each."""
    hot_temperatures: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05)
    """Bath temperatures of the sampling runs in equilibrium, started from the tetrahedral order."""
    hot_duration: float = 60.0
    """Length of each."""
    hot_frames: int = 25
    """Configurations kept of each."""
    ordered: int = 120
    """Perturbed tetrahedral, stripe, 120 degree and double-Q states."""
    random: int = 400
    """Random configurations."""

    training: js.TrainConfig = dataclasses.field(default_factory=lambda: js.TrainConfig(steps=1500, validation=0.08))
    """How the force field is trained."""
    hidden: tuple[int, ...] = (64, 32)
    """Widths of the network's layers."""
    test_quenches: int = 1
    """Sampling quenches held out of training, for the errors reported."""

    quench_size: int = 96
    """Side of the large lattice."""
    large_duration: float = 300.0
    """Length of its quench."""
    compare_size: int = 16
    """Side of the lattice quenched with both fields."""
    compare_duration: float = 150.0
    """Length of that quench."""

    def __post_init__(self):
        for name in ("sample_size", "quench_size", "compare_size"):
            if getattr(self, name) % 2 or getattr(self, name) < 8:
                raise ValueError(
                    f"{name} = {getattr(self, name)}: the tetrahedral order needs an even number of cells, "
                    f"and the neighbourhood 8; use {max(8, getattr(self, name) + 1)}."
                )
        if not 0 < self.test_quenches < self.quenches:
            raise ValueError(f"test_quenches must leave some of the {self.quenches} quenches to learn from; use 1.")
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden = {self.hidden} has a layer of no width; use 64 32.")
        check_positive(self, "step", "quench_duration", "hot_duration", "large_duration", "compare_duration")

    @property
    def electrons(self) -> Electrons:
        """Of every field computed."""
        return Electrons("triangular", self.coupling, self.filling, self.electron_temperature)

    @property
    def motion(self) -> Motion:
        """Of every run."""
        return Motion(self.damping, self.step, self.bath_temperature)

    @property
    def sampling(self) -> Sampling:
        """Of the data."""
        textures: tuple[Texture, ...] = ("tetrahedral", "stripe", "double_q")
        return Sampling(
            side=self.sample_size,
            field="kpm",
            colors=self.colors,
            quenches=self.quenches,
            quench_duration=self.quench_duration,
            quench_frames=self.quench_frames,
            spacing=1.0,
            hot_temperatures=self.hot_temperatures,
            hot_duration=self.hot_duration,
            hot_frames=self.hot_frames,
            ordered=self.ordered,
            textures=textures if self.sample_size % 3 else (*textures, "one_hundred_twenty"),
            random=self.random,
        )


def smoke_size(config: Config) -> Config:
    """The same pipeline in seconds."""
    return dataclasses.replace(
        config,
        sample_size=8,
        quenches=2,
        quench_duration=4.0,
        quench_frames=4,
        hot_temperatures=(0.01,),
        hot_duration=2.0,
        hot_frames=2,
        ordered=4,
        random=4,
        training=dataclasses.replace(config.training, steps=20, evaluate_every=10, batch=4, validation=0.2),
        hidden=(8,),
        quench_size=16,
        large_duration=5.0,
        compare_size=8,
        compare_duration=4.0,
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
            "best step": learnt.best_step,
            "sources": {name: trained.sources.count(name) for name in sorted(set(trained.sources))},
        },
        **numbers,
        "wall time in seconds": timer.seconds,
        "provenance": origin,
    }
    save_json(folder / "summary.json", summary)
    return summary


# --- stages ---------------------------------------------------------------------------------------------------------


def solvers(config: Config, size: int) -> tuple[js.ExactDiagonalization, js.KernelPolynomial]:
    """The exact field for labels, and the kernel-polynomial one for the sampling runs."""
    return config.electrons.exact(size), config.electrons.kernel_polynomial(size, config.colors)


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
    model_key, training_key = jax.random.split(jax.random.key(config.seed + 1))
    model = js.BehlerParrinello(data.lattice, hidden=config.hidden, key=model_key)
    return js.train(model, data, config.training, key=training_key, checkpoint=folder / "training", progress=True)


def compare(config: Config, model: js.BehlerParrinello, folder: Path) -> dict[str, js.Trajectory]:
    """One small quench, with the exact and with the learnt field, from the same start with the same noise."""
    exact, _ = solvers(config, config.compare_size)
    return stages.compare(
        folder,
        {"exact": exact, "learnt": model.on(exact.lattice)},
        js.random_spins(exact.lattice, key=jax.random.key(config.seed + 2)),
        config.motion,
        duration=config.compare_duration,
        frames=60,
        key=jax.random.key(config.seed + 3),
        settings=settings_of(config),
    )


def quench(config: Config, model: js.BehlerParrinello, folder: Path) -> js.Trajectory:
    """The large lattice from random spins, with the learnt field."""
    lattice = js.triangular(config.quench_size)
    return stages.quench(
        folder / "quench_large.zarr",
        model.on(lattice),
        js.random_spins(lattice, key=jax.random.key(config.seed + 4)),
        config.motion,
        duration=config.large_duration,
        frames=40,
        key=jax.random.key(config.seed + 5),
        settings=settings_of(config),
    )


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: {k: v for k, v in found.items() if k != "provenance"})
