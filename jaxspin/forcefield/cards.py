"""What to know of a force field that comes with the package before it is used: data, errors, limits, cost, license."""

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxspin.forcefield.behler_parrinello import BehlerParrinello
from jaxspin.forcefield.generalized import GeneralizedPotential
from jaxspin.forcefield.pretrained import WEIGHTS, pretrained, pretrained_metadata
from jaxspin.io import load_json

# Largest width that is tried for the smallest lattice.
_WIDEST = 64

# What the metadata calls the kinds of configurations that were held out.
_KINDS = {"quench": "whole quenches", "random": "random spins", "ordered": "perturbed textures", "all": "all kinds"}

# Today's commands. Those of the metadata are of the commit that they name, when modules had other names.
_QUENCHES = "python -m experiments.quenches."
_FIT = "python -m experiments.accuracy.fit --data double_exchange.npz --more runs/label/data/random runs/label/learnt "
_LONG = "--network.hidden 128 128 --training.balance 0.5 --training.steps 6000 --training.evaluate-every 1000 "
_WALLS = "python -m experiments.driven.wall_learning "
RETRAIN = {
    "triangular-120": f"{_QUENCHES}triangular_120 --until training",
    "triangular-tetrahedral": f"{_QUENCHES}triangular_tetrahedral --until training",
    "triangular-tetrahedral-accurate": f"{_QUENCHES}triangular_tetrahedral --data runs/tetra24/data "
    "runs/label_tetra/data/random runs/label_tetra/data/quenches runs/label_tetra2/data/random "
    "runs/label_tetra2/data/quenches --until training --sampling.side 24 --compare.side 24 --more-quenches 0 "
    "--training.steps 4000 --training.batch 4 --training.evaluate-every 400 --training.memory 10 "
    "--network.hidden 96 96 network.descriptor:moments --network.descriptor.hops 6 --network.descriptor.moments 48 "
    "--network.descriptor.surroundings 2",
    "triangular-tetrahedral-fast": f"{_QUENCHES}triangular_tetrahedral --more-quenches 0 --until training "
    "network.descriptor:moments --network.descriptor.hops 2 --network.descriptor.moments 16 "
    "--network.descriptor.surroundings 3",
    "double-exchange": f"{_FIT}{_LONG}network.descriptor:filled-clusters --network.descriptor.surroundings 2",
    "double-exchange-accurate": f"{_FIT}{_LONG}--training.memory 8 network.descriptor:filled-clusters "
    "--network.descriptor.hops 6 --network.descriptor.recursion 25 --network.descriptor.smearing 0.02 "
    "--network.descriptor.surroundings 2",
    "double-exchange-fast": f"{_FIT}{_LONG}--training.memory 8 network.descriptor:moments "
    "--network.descriptor.surroundings 2 --network.descriptor.fermi-level",
    "driven-channel": f"{_WALLS}--seeds 0 1 2",
    "driven-channel-fast": f"{_WALLS}--network.descriptor.hops 2 --network.descriptor.moments 12 --seeds 0 "
    "--training.steps 4000 --training.evaluate-every 1000",
}


@dataclasses.dataclass(frozen=True)
class Card:
    """What `card` returns; `str(card)` is a page of Markdown.

    - `name`, `electrons`: J, filling, temperature and the like; energies in units of the hopping.
    - `features`, `weights`: what the network reads, and how many numbers it has.
    - `labels`: who made the labels; `configurations`: how many were learnt from, None where no file says.
    - `errors`: rms torque error / rms torque, by kind of what was held out.
    - `lattice`, `periodic`, `smallest`: the kind, its edges and the least number of cells.
    - `familiar`: whether `model.unfamiliar(spins)` tells what it has not learnt.
    - `microseconds`: a field, per site, one core; None where it was not measured.
    - `retrain`, `commit`, `license`.

    A record, without checks of its own.

    Example:
        >>> print(str(js.forcefield.card("triangular-120")).splitlines()[0])
        ### `triangular-120`
    """

    name: str
    electrons: dict[str, Any]
    features: str
    weights: int
    labels: str
    configurations: int | None
    errors: dict[str, float]
    lattice: str
    periodic: tuple[bool, ...]
    smallest: tuple[int, ...]
    familiar: bool
    microseconds: float | None
    retrain: str
    commit: str
    license: str = "MIT, as the package"

    def __str__(self) -> str:
        electrons = ", ".join(f"{name} = {value}" for name, value in self.electrons.items())
        edges = "periodic" if all(self.periodic) else "open along axis " + str(self.periodic.index(False))
        errors = "; ".join(f"{_KINDS.get(kind, kind)} {100 * value:.3g} %" for kind, value in self.errors.items())
        several = "" if self.configurations is None else f"{self.configurations} "
        which = " made as the command says (how many was not recorded)" if self.configurations is None else ""
        inputs = (
            "the voltage is an input, J and T are not" if "voltages" in self.electrons else "J, n and T are no inputs"
        )
        cells = " x ".join(map(str, self.smallest))
        known = (
            "`model.unfamiliar(spins)` says where it has not learnt."
            if self.familiar
            else "It does not know where it has not learnt: look at frames with exact labels."
        )
        cost = (
            "not measured in a committed result; `js.cost` tells that of a run beforehand."
            if self.microseconds is None
            else f"{self.microseconds:.3g} us a site and field, one core of a CPU."
        )
        return "\n".join(
            (
                f"### `{self.name}`",
                "",
                f"* **Electrons:** {electrons}. For others train anew: {inputs}.",
                f"* **Reads:** {self.features}; {self.weights} weights.",
                f"* **Learnt from:** {several}configurations{which}, labelled by {self.labels}.",
                f"* **Errors**, rms torque error / rms torque, held out: {errors}.",
                f"* **Limits:** {self.lattice} lattices, {edges}, of at least {cells} cells. {known}",
                f"* **Cost:** {cost}",
                f"* **To train it again:** `{self.retrain}` (learnt at commit `{self.commit[:12]}`).",
                f"* **License:** {self.license}.",
                "",
            )
        )


def card(name: str) -> Card:
    """The card of a pretrained force field: what it learnt from, its errors, where it holds, what it costs.

    All numbers are those of the files that come with the weights (`pretrained_metadata`, and `cards.json` made from
    committed results), or are asked of the model itself: the smallest lattice is the first that it accepts.

    Raises `ValueError` for another name, listing those there are.

    Example:
        >>> card = js.forcefield.card("triangular-120")
        >>> card.smallest, card.electrons["coupling"], card.errors["quench"] < 0.02
        ((7, 7), 4.0, True)
    """
    about, model, more = pretrained_metadata(name), pretrained(name), load_json(WEIGHTS / "cards.json")[name]
    lattice = model.lattice
    electrons = {key: value for key, value in about["params"].items() if key != "labels" and value is not None}
    return Card(
        name=name,
        electrons=electrons,
        features=_features(model.descriptor),
        weights=sum(np.size(x) for x in jax.tree.leaves(_networks(model))),
        labels=_labels(about),
        configurations=more["configurations"],
        errors={kind: error["torque"] for kind, error in about["errors"].items()},
        lattice=lattice.name,
        periodic=lattice.periodic,
        smallest=_smallest(model),
        familiar=isinstance(model, BehlerParrinello) and model.familiarity is not None,
        microseconds=more["microseconds a site"],
        retrain=RETRAIN[name],
        commit=about["commit"],
    )


def _features(descriptor: Any) -> str:
    inner = getattr(descriptor, "descriptor", None)
    found = [f"{n} {getattr(descriptor, n)}" for n in ("hops", "moments", "recursion") if hasattr(descriptor, n)]
    own = f"`{type(descriptor).__name__}`" + (f" ({', '.join(found)})" if found and inner is None else "")
    return own if inner is None else f"{own} of {_features(inner)}"


def _networks(model: Any) -> Any:
    if isinstance(model, GeneralizedPotential):
        return model.conservative.network, model.rotor
    return model.network


def _labels(about: dict[str, Any]) -> str:
    config, params = about["config"], about["params"]
    if "channel" in config:
        return "`GreensFunction` (`experiments.driven.wall_data`)"
    if "labels" in params:
        return f"{params['labels']}, and more by `ExactDiagonalization` (`experiments.accuracy.label`)"
    side = config["sampling"]["side"]
    return f"`ExactDiagonalization` on {side} x {side} sites"


def _smallest(model: Any) -> tuple[int, ...]:
    """The least cells that the model accepts; of a channel the width that it has learnt, and any length."""
    lattice = model.lattice
    if not all(lattice.periodic):
        return tuple(n if wraps else 1 for n, wraps in zip(lattice.cells, lattice.periodic, strict=True))
    for cells in range(1, _WIDEST):
        size = (cells,) * lattice.dimension
        try:
            model.on(lattice.resize(*size))
        except ValueError:
            continue
        return size
    raise AssertionError(f"{lattice} is smaller than what was learnt on")
