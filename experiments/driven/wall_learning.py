"""A learnt field of a driven channel: how much needs no energy, and how well one model serves all voltages.

    python -m experiments.driven.wall_data                 # first: the runs, two sets of them
    python -m experiments.driven.wall_data --output runs/wall_data_more --voltages 0.8 1.0 1.2 --walls 3 --quenches 0 \\
        --still 1 --held-voltages 0.0 --seed 1
    for n in 32 64; do                              # then longer channels, moved by what was learnt from those
        python -m experiments.driven.wall_data --output runs/wall_data_$n --channel.length $n --positions 0.15 0.9 \\
            --forcefield jaxspin/forcefield/weights/driven-channel --frames $((20 - n / 8)) --walls 6 --quenches 0 \\
            --still 2 --held-voltages 0.0 0.8 1.0 1.1 1.2 --voltages 0.8 1.0 1.2 --seed $n
    done
    python -m experiments.driven.wall_data --output runs/wall_data_64_more --channel.length 64 --positions 0.15 0.9 \\
        --forcefield FORCEFIELD --frames 12 --walls 5 --quenches 0 --still 1 \\
        --held-voltages 0.8 1.0 1.1 1.2 --voltages 0.8 1.0 1.2 --seed 65     # moved by what was learnt from those
    python -m experiments.driven.wall_learning             # half an hour
    python -m experiments.driven.wall_learning --help

Trained on the same runs and judged on runs held out, one of them at a voltage that is in no training run:
"conservative" (a `BehlerParrinello`), "generalized" (a `GeneralizedPotential`, which nests it as G = 0), and both on
the runs without voltage alone, where the exact field has an energy and G should find nothing. The descriptor is
`LocalMoments` of clusters that close around the channel, `NearEnds`, and `BetweenLeads` with the voltage. The channels
may differ in length: long metals are told from short ones by what reaches them from the leads alone. A field learnt
from short channels takes the spins of long ones to where the exact field would not, so that data moved by a field
learnt from long ones matter. Writes `table.md`, a figure of the errors, `summary.json` and the first generalized model
with what is known about it.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.driven.wall_data import voltage_of
from experiments.driven.wall_learning_figures import draw
from experiments.stages import Resumable, Timer, main, open_folder, stored_table
from experiments.stages.channel import Channel, ChannelNetwork
from experiments.stages.driven_learning import Chosen, Model, Stored, error, learn, stored
from experiments.stages.tables import markdown
from jaxspin.forcefield import at_voltage, save
from jaxspin.io import provenance, save_json
from jaxspin.spins import tangent
from jaxspin.training import SpinData

TRAINING = js.TrainConfig(steps=6000, batch=16, learning_rate=4e-3, evaluate_every=1500, average=0.995, validation=0.06)


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Data, model and training."""

    data: tuple[Path, ...] = (
        Path("runs/wall_data/data"),
        Path("runs/wall_data_more/data"),
        Path("runs/wall_data_32/data"),
        Path("runs/wall_data_64/data"),
        Path("runs/wall_data_64_more/data"),
    )
    """What `experiments.driven.wall_data` wrote, for channels that differ in length alone."""
    output: Path = Path("runs/wall_learning")
    """Folder for results; an existing one is refused."""
    channel: Channel = dataclasses.field(default_factory=Channel)
    """That of the data, of a length that is among them."""
    network: ChannelNetwork = dataclasses.field(default_factory=ChannelNetwork)
    """Every model."""
    most: float = 1.2
    """Runs at higher voltages are left out: there the right lead reaches the antiferromagnet's band and melts it."""
    quench_weight: float = 0.05
    """Weight of a squared torque in quenches under a voltage, 0 to leave them out: they are the dearest to fit, being
    disordered metals whose torques come from far."""
    seeds: tuple[int, ...] = (0, 1)
    """Of initialization and batches; one model of each kind each."""
    training: js.TrainConfig = TRAINING
    """How each model is trained."""


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


def rotor_share(model: Model, parts: list[Part], driven: bool) -> float:
    """rms of the part of G over that of the whole field, both tangential, on an eighth of what was held out."""
    if not isinstance(model, js.forcefield.GeneralizedPotential):
        return 0.0
    turned, whole = 0.0, 0.0
    for part in parts:
        rows = np.flatnonzero(part.held & (part.voltages > 0) if driven else part.voltages == 0)[::8]
        on = model.on(part.lattice)
        for number in rows:
            spins = part.data.spins[number].astype(jnp.float32)
            slope, turn = at_voltage(on, part.voltages[number]).parts(spins)
            turned += float(jnp.sum(turn**2))
            whole += float(jnp.sum(tangent(spins, slope + turn) ** 2))
    return float(np.sqrt(turned / whole)) if whole else float("nan")


def loaded(config: Config) -> dict[js.Lattice, SpinData]:
    """The data by length, that of `config.channel` first; `ValueError` if there is none of it."""
    sets = [SpinData.load(path) for path in config.data]
    first = config.channel.lattice
    lattices = [first, *dict.fromkeys(data.lattice for data in sets if data.lattice != first)]
    if all(data.lattice != first for data in sets):
        cells = ", ".join(f"{n} x {m}" for n, m in sorted(lattice.cells for lattice in lattices[1:]))
        raise ValueError(
            f"no data are of the {first.cells[0]} x {first.cells[1]} channel, only {cells}; set --channel.length."
        )
    return {lattice: SpinData.concatenate([data for data in sets if data.lattice == lattice]) for lattice in lattices}


def parts_of(config: Config, sets: dict[js.Lattice, SpinData]) -> list[Part]:
    """With the features and what is to be learnt from."""
    parts, descriptor = [], config.network.descriptor.on(config.channel)
    for number, (lattice, data) in enumerate(sets.items()):
        voltages = np.array([voltage_of(source) for source in data.sources])
        held = np.array([source.startswith("held out") for source in data.sources])
        quenched = (voltages > 0) & np.array(["quench" in source for source in data.sources])
        keep = voltages <= config.most
        keep &= held | ~quenched | (config.quench_weight > 0)
        data, (voltages, held, quenched) = data[keep], (x[keep] for x in (voltages, held, quenched))
        known = stored(descriptor.on(lattice), data, list(voltages))
        known.weigh(np.where(quenched & ~held, config.quench_weight, 1.0))
        validation = np.random.default_rng(number).random(len(data)) < config.training.validation
        parts.append(Part(data, known, voltages, held, validation))
    return parts


def run(config: Config) -> dict[str, Any]:
    """Train every kind, judge it on what was held out, and keep the first generalized model."""
    sets = loaded(config)
    folder = open_folder(config)
    timer = Timer(folder)
    with timer("features"):
        parts = parts_of(config, sets)
    rows: list[dict[str, Any]] = []
    # there are few such configurations
    still_training = dataclasses.replace(config.training, steps=max(1, config.training.steps // 2))
    first = None
    for kind in ("generalized", "conservative", "conservative, V = 0", "generalized, V = 0"):
        quiet = kind.endswith("V = 0")
        learnt = [(part, ~part.held & ((part.voltages == 0) | (not quiet))) for part in parts]
        for seed in config.seeds[:1] if quiet else config.seeds:
            with timer(f"{kind}, seed {seed}"):
                model, history = learn(
                    config.network.on(config.channel, kind.startswith("conservative"), jax.random.key(seed)),
                    [part.chosen(rows & ~part.validation) for part, rows in learnt if np.any(rows & ~part.validation)],
                    [part.chosen(rows & part.validation) for part, rows in learnt],
                    still_training if quiet else config.training,
                    key=jax.random.key(100 + seed),
                )
            row = {"model": kind, "seed": seed, **judged(model, kind, parts)}
            row["part of G"] = rotor_share(model, parts, not quiet)
            row["validation"] = float(np.min(history["torque"]))
            rows.append(row)
            print(row, flush=True)
            if first is None:
                first = model
                metadata = about(config, row, timer)
                save(folder / "forcefield", model, metadata=metadata)
    assert first is not None
    (folder / "table.md").write_text(table_of(rows))
    draw(folder / "wall_learning.png", rows)
    summary = {
        "rows": rows,
        "configurations": {f"{part.lattice.cells[0]} cells": len(part.data) for part in parts},
        "features": config.network.descriptor.on(config.channel).n_features,
        "seconds": timer.seconds,
        "provenance": provenance(config, config.seeds[0]),
    }
    save_json(folder / "summary.json", summary)
    return summary


def judged(model: Model, kind: str, parts: list[Part]) -> dict[str, float]:
    """Errors on each held-out run, and on all with a voltage together; channels of other lengths by themselves."""
    found = {}
    for number, part in enumerate(parts):
        where = f", {part.lattice.cells[0]} cells" if number else ""
        sources = np.array(part.data.sources)
        for source in sorted(set(sources[part.held])):
            if voltage_of(source) == 0 or not kind.endswith("V = 0"):
                found[f"{source}{where}"] = error(model, [part.chosen(sources == source)])
        if not kind.endswith("V = 0"):
            driven = part.held & (part.voltages > 0)
            found[f"all held out{where}"] = error(model, [part.chosen(driven)]) if np.any(driven) else float("nan")
    return found


def about(config: Config, row: dict[str, Any], timer: Timer) -> dict[str, Any]:
    """What a stored model says of itself."""
    channel = config.channel
    errors = {name: {"torque": value} for name, value in row.items() if name.startswith(("held out", "all"))}
    params = {
        "lattice": f"square {channel.length}x{channel.width}, open along the first axis",
        "hopping": 1.0,
        "filling": None,
        **{name: getattr(channel, name) for name in ("coupling", "temperature", "mu", "lead", "bath")},
        "voltages": "the right lead at mu - V, the left one and the bath at mu; V from 0 to 1.2",
    }
    return {
        "errors": errors,
        "params": params,
        "data": "python -m experiments.driven.wall_data, see experiments.driven.wall_learning",
        "seconds": timer.seconds,
        **provenance(config, config.seeds[0]),
    }


def table_of(rows: list[dict[str, Any]]) -> str:
    """Means over the seeds."""
    names = ["part of G", *(name for name in rows[0] if name.startswith(("held out", "all")))]
    lines = []
    for kind in dict.fromkeys(row["model"] for row in rows):
        part = [row for row in rows if row["model"] == kind]
        means = (f"{100 * np.mean([r[n] for r in part]):.1f} %" if n in part[0] else "" for n in names)
        lines.append([kind, *means])
    return markdown(["trained", *names], lines)


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
