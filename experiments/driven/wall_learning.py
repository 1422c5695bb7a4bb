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
import numpy as np

import jaxspin as js
from experiments.driven.wall_judged import judged, rotor_share, table_of
from experiments.driven.wall_learning_figures import draw
from experiments.driven.wall_parts import loaded, parts_of
from experiments.stages import Resumable, Timer, main, open_folder, stored_table
from experiments.stages.channel import Channel, ChannelNetwork
from experiments.stages.driven_learning import learn
from jaxspin.forcefield import save
from jaxspin.io import provenance, save_json

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


def run(config: Config) -> dict[str, Any]:
    """Train every kind, judge it on what was held out, and keep the first generalized model."""
    sets = loaded(config.data, config.channel.lattice)
    folder = open_folder(config)
    timer = Timer(folder)
    with timer("features"):
        descriptor = config.network.descriptor.on(config.channel)
        parts = parts_of(sets, descriptor, config.most, config.quench_weight, config.training.validation)
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
        "features": descriptor.n_features,
        "seconds": timer.seconds,
        "provenance": provenance(config, config.seeds[0]),
    }
    save_json(folder / "summary.json", summary)
    return summary


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


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
