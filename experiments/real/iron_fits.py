"""Fields of iron's spins fitted to torques, pairs and learnt ones, and their errors on what was held out."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxspin as js
from experiments.accuracy.nested_models import rest
from experiments.real.pair_fits import fitted_pairs
from experiments.stages.by_kind import errors_by_kind
from jaxspin.training import SpinData, evaluate

TRAINING = js.TrainConfig(steps=300, batch=8, learning_rate=3e-3, energy_weight=0.0, evaluate_every=100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitting:
    """What is held out, and what learns."""

    seed: int = 0
    """Of spins, weights and batches."""
    held_out: float = 0.25
    """Fraction of each kind that nothing is fitted to."""
    radius: float = 2.9
    """Reach of the descriptor's bonds from its centre: the nearest neighbours are at 2.49, the next at 2.87."""
    bond_radius: float = 2.5
    """Reach of its other bonds and of its triangles; 2.9 has four times as many features."""
    hidden: tuple[int, ...] = (32, 32)
    """Widths of the network's layers."""
    training: js.TrainConfig = TRAINING
    """How each field is trained; energies are not."""


def of_kind(data: SpinData, kind: str) -> SpinData:
    return data[np.array(data.sources) == kind]


def split(config: Fitting, data: SpinData) -> tuple[SpinData, SpinData]:
    """What is fitted to, and the last of each kind; small tilts check the force theorem, and are only judged on."""
    names, held = np.array(data.sources), np.zeros(len(data), bool)
    for kind in set(data.sources):
        members = np.flatnonzero(names == kind)
        held[members if kind == "small tilts" else members[-round(config.held_out * len(members)) :]] = True
    return data[~held], data[held]


def without(data: SpinData, kind: str, config: Fitting) -> tuple[SpinData, SpinData]:
    """The same without a kind, and all of that."""
    learnt, _ = split(config, data)
    return learnt[np.array(learnt.sources) != kind], of_kind(data, kind)


def network(config: Fitting, lattice: js.Lattice) -> js.BehlerParrinello:
    descriptor = js.Bispectrum(lattice, radius=config.radius, bond_radius=config.bond_radius)
    return js.BehlerParrinello(descriptor=descriptor, hidden=config.hidden, key=jax.random.key(config.seed))


def trained(config: Fitting, data: SpinData, path: Path | None = None) -> js.BehlerParrinello:
    """The field that is learnt from these torques, or that of an earlier call stored at `path`."""
    if path is not None and path.exists():
        model = js.forcefield.load(path)
        assert isinstance(model, js.BehlerParrinello)
        return model
    key = jax.random.key(config.seed + 1)
    model = js.train(network(config, data.lattice), data, config.training, key=key).model
    if path is not None:
        js.forcefield.save(path, model)
    return model


def beyond_pairs(config: Fitting, learnt: SpinData, folder: Path) -> tuple[js.Exchange, js.BehlerParrinello]:
    """The pairs fitted to the torques, and what is learnt of the rest, stored in `folder`."""
    pairs = js.Exchange(learnt.lattice, pairs=single(fitted_pairs(learnt)))
    return pairs, trained(config, rest(learnt, pairs), folder / "beyond_pairs")


def fits(config: Fitting, known: Any, learnt: SpinData, held: SpinData, folder: Path) -> dict[str, Any]:
    """Torque errors by kind of every field; those that are learnt are stored in `folder`."""
    theorem = js.Exchange(learnt.lattice, pairs=single(known))
    pairs, more = beyond_pairs(config, learnt, folder)
    fields = {
        "force theorem": theorem,
        "fitted pairs": pairs,
        "learnt": trained(config, learnt, folder / "alone"),
        "fitted pairs and learnt": pairs + more,
    }
    return {
        name: {
            "held out": errors_by_kind(field, held),
            "all held out": evaluate(field, held).torque,
            "fitted to": evaluate(field, learnt).torque,
        }
        for name, field in fields.items()
    }


def of_other_spins(config: Fitting, learnt: SpinData, held: SpinData) -> dict[str, float]:
    """Errors of a field, and of pairs, that learnt the torques of other configurations than they were told."""
    order = jax.random.permutation(jax.random.key(config.seed + 2), len(learnt))
    shuffled = SpinData(learnt.lattice, learnt.spins, learnt.field[order])
    pairs = js.Exchange(learnt.lattice, pairs=single(fitted_pairs(shuffled)))
    return {
        "learnt": evaluate(trained(config, shuffled), held).torque,
        "fitted pairs": evaluate(pairs, held).torque,
        "untrained": evaluate(network(config, held.lattice), held).torque,
    }


def single(pairs: Any) -> list[Any]:
    """The pairs with numbers in single precision, as the spins are."""
    return [(i, j, r, np.float32(value)) for i, j, r, value in pairs]
