"""Data of driven walls by the length of their channel, with what a model learns from."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import jaxspin as js
from experiments.driven.wall_data import voltage_of
from experiments.stages.driven_features import Chosen, Stored, stored
from jaxspin.descriptors import BetweenLeads
from jaxspin.training import SpinData


@dataclasses.dataclass(frozen=True)
class Part:
    """The data of channels of one length."""

    data: SpinData
    known: Stored
    voltages: np.ndarray
    held: np.ndarray
    validation: np.ndarray

    @property
    def lattice(self) -> js.Lattice:
        return self.data.lattice

    def chosen(self, which: np.ndarray) -> Chosen:
        """Some of it, for the trainer."""
        return Chosen(self.lattice, self.known, np.flatnonzero(which))


def loaded(paths: Sequence[Path], first: js.Lattice) -> dict[js.Lattice, SpinData]:
    """The data by length, those of the lattice `first` first; `ValueError` if there are none of it."""
    sets = [SpinData.load(path) for path in paths]
    lattices = [first, *dict.fromkeys(data.lattice for data in sets if data.lattice != first)]
    if all(data.lattice != first for data in sets):
        cells = ", ".join(f"{n} x {m}" for n, m in sorted(lattice.cells for lattice in lattices[1:]))
        raise ValueError(
            f"no data are of the {first.cells[0]} x {first.cells[1]} channel, only {cells}; set --channel.length."
        )
    return {lattice: SpinData.concatenate([data for data in sets if data.lattice == lattice]) for lattice in lattices}


def parts_of(
    sets: dict[js.Lattice, SpinData], descriptor: BetweenLeads, most: float, quench_weight: float, validation: float
) -> list[Part]:
    """With the features and what is to be learnt from: runs up to the voltage `most`, driven quenches at their weight,
    this share of all for validation."""
    parts = []
    for number, (lattice, data) in enumerate(sets.items()):
        voltages = np.array([voltage_of(source) for source in data.sources])
        held = np.array([source.startswith("held out") for source in data.sources])
        quenched = (voltages > 0) & np.array(["quench" in source for source in data.sources])
        keep = voltages <= most
        keep &= held | ~quenched | (quench_weight > 0)
        data, (voltages, held, quenched) = data[keep], (x[keep] for x in (voltages, held, quenched))
        known = stored(descriptor.on(lattice), data, list(voltages))
        known.weigh(np.where(quenched & ~held, quench_weight, 1.0))
        chosen = np.random.default_rng(number).random(len(data)) < validation
        parts.append(Part(data, known, voltages, held, chosen))
    return parts
