"""Settings of the quenches of the triangular model."""

import dataclasses
from pathlib import Path
from typing import Literal

import jaxspin as js
from experiments.quenches.triangular_judged import TEXTURES
from experiments.stages import Electrons, Motion, Network, Quench, Resumable, Sampling, textures_on
from experiments.stages.checks import check_counts


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
