"""Force fields of an experiment: trained on its data or taken from a folder, for the electrons it is about."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

import jaxspin as js
from experiments.stages.descriptors import Descriptor, Messages, Moments, known
from experiments.stages.model import Electrons
from jaxspin.forcefield import (
    LearntLevels,
    load,
    load_metadata,
    pretrained,
    pretrained_metadata,
    pretrained_names,
)
from jaxspin.lattice import Lattice
from jaxspin.training import SpinData
from jaxspin.training.data_files import known_electrons, same_setting


@dataclasses.dataclass(frozen=True)
class Network:
    """The force field: a descriptor, and a network on its features."""

    descriptor: Descriptor = dataclasses.field(default_factory=Moments)
    """What the network is told of a spin's surroundings."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the network's layers."""
    levels: int = 0
    """Learnt levels of a site, which all sites fill to a common Fermi level: for metals. 0: an energy of its own."""

    def __post_init__(self):
        if self.levels < 0 or self.levels == 1:
            raise ValueError(f"{self.levels} levels cannot be filled in part; use 8, or 0 for an energy a site.")
        if self.levels and isinstance(self.descriptor, Messages):
            raise ValueError("a network that passes messages has no levels; use --network.levels 0.")

    def on(self, electrons: Electrons, side: int, key: jax.Array | None = None) -> js.BehlerParrinello:
        """The untrained force field; `ValueError` where the lattice is smaller than a cluster."""
        return self.model(electrons.on(side), parameters(electrons), key)

    def model(self, lattice: Lattice, about: Mapping[str, Any], key: jax.Array | None = None) -> js.BehlerParrinello:
        """The same of electrons with these parameters."""
        key = jax.random.key(0) if key is None else key
        described = self.descriptor.on(lattice, about)
        network = None
        if isinstance(self.descriptor, Messages):
            network = self.descriptor.network(lattice, key)
        elif self.levels:
            electrons = {
                "filling": known(about, "filling", "use --network.levels 0"),
                "temperature": about.get("temperature", 0.0),
            }
            network = LearntLevels(described.n_features, self.hidden, levels=self.levels, key=key, **electrons)
        return js.BehlerParrinello(described, network, hidden=self.hidden, key=key)


def parameters(electrons: Electrons) -> dict[str, Any]:
    """What a stored force field says about the electrons it learnt from."""
    about = {name: getattr(electrons, name) for name in ("lattice", "coupling", "filling", "temperature")}
    return {**about, "hopping": 1.0}


def stored_forcefield(path: Path, electrons: Electrons) -> js.BehlerParrinello:
    """The force field in the folder `path`.

    Raises `FileNotFoundError` if there is none, `ValueError` where it learnt other electrons than `electrons`, as far
    as it says so itself.
    """
    model = load(path)
    if not isinstance(model, js.BehlerParrinello):
        raise ValueError(f"{path} holds a committee; give the folder of one force field, such as committee[0] stored.")
    stored = known_electrons(model, load_metadata(path))
    for name, value in parameters(electrons).items():
        there = stored.get(name, value)
        if not same_setting(there, value):
            raise ValueError(
                f"the force field in {path} was trained for {name} {there}, the settings say {value}; "
                f"give another --forcefield, or --electrons.{name} {there}."
            )
    return model


def trained_for(electrons: Electrons, folders: Sequence[Path]) -> dict[str, Any]:
    """The force fields of the package, and of those in folders, that were trained for these electrons, by name."""
    known = {name: (pretrained_metadata(name), None) for name in pretrained_names()}
    known |= {folder.name: (load_metadata(folder), folder) for folder in folders}
    found = {}
    for name, (metadata, folder) in known.items():
        params = metadata.get("params", {})
        if all(same_setting(params.get(k, ""), v) for k, v in dataclasses.asdict(electrons).items()):
            found[name] = pretrained(name) if folder is None else load(folder)
        elif folder is not None:
            print(f"{name} was trained for other electrons than these", flush=True)
    return found


def learn(
    network: Network, electrons: Electrons, data: SpinData, training: js.TrainConfig, folder: Path, key: jax.Array
) -> js.training.Learnt:
    """Train on `data`, with checkpoints in `folder` to resume from."""
    model_key, training_key = jax.random.split(key)
    model = network.on(electrons, data.lattice.cells[0], model_key)
    return js.train(model, data, training, key=training_key, checkpoint=folder, progress=True)
