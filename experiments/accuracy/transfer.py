"""Where a force field trained on a small lattice holds: larger lattices, other temperatures, textures never seen.

    python -m experiments.accuracy.transfer --data runs/triangular_120/data

Trains a committee on the data of `experiments.quenches.triangular_120` (or another of that kind), and compares its mean
field with exact diagonalization on a lattice twice as large: quenches and thermal states at bath temperatures between
and beyond those of training, and textures that training never saw, each with small random displacements so that there
is a torque to compare. Beside the error stands the committee's own warning, the fraction of the spins on which its
members disagree by more than 99 % of those they know.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.accuracy.transfer_figures import draw, table_of
from experiments.stages import Electrons, Motion, Network, Output, Texture, hold_out, judge, main, textures_on
from experiments.stages.motion import frames_of
from jaxspin.forcefield import Committee
from jaxspin.io import new_folder, provenance, save_json
from jaxspin.training import SpinData, evaluate, perturbed_configurations, random_configurations, train_committee


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Output):
    """What is trained, and where it is tried."""

    data: Path
    """Folder of shards, as `experiments.quenches.triangular_120` leaves it in its folder data."""
    output: Path = Path("runs/transfer")
    """Folder for the committee, `summary.json` and the figure; an existing one is refused."""
    seed: int = 0
    """Of every random number."""
    electrons: Electrons = dataclasses.field(default_factory=lambda: Electrons("triangular", 4.0, 0.5, 0.05))
    """That made the data."""
    motion: Motion = dataclasses.field(default_factory=Motion)
    """Of the thermal runs; its temperature is that of the quench."""
    network: Network = dataclasses.field(default_factory=Network)
    """Of each member."""
    members: int = 3
    """Of the committee."""
    training: js.TrainConfig = dataclasses.field(
        default_factory=lambda: js.TrainConfig(
            steps=3000, learning_rate=4e-3, validation=0.06, balance=0.5, evaluate_every=1000
        )
    )
    """Of each member."""
    order: Texture = "one_hundred_twenty"
    """Start of the thermal runs."""
    side: int = 24
    """Of the larger lattice."""
    temperatures: tuple[float, ...] = (0.0075, 0.03, 0.1, 0.3)
    """Bath temperatures of the thermal states."""
    duration: float = 60.0
    """Of the thermal runs and of the quench."""
    displacement: float = 0.1
    """Standard deviation of each component of the displacements of the textures."""

    def __post_init__(self):
        textures_on(self.electrons.on(self.side), (self.order,))
        if not (self.duration > 0 and self.displacement > 0 and all(t > 0 for t in self.temperatures)):
            raise ValueError("duration, displacement and temperatures must be positive; see --help for the defaults.")


def run(config: Config) -> dict[str, Any]:
    """Trains, labels, compares; returns what `summary.json` holds."""
    data = SpinData.load(config.data)
    untrained = config.network.on(config.electrons, data.lattice.cells[0])
    if data.lattice != untrained.lattice:
        raise ValueError(f"the data live on a {data.lattice.name} lattice; set --electrons.lattice to that.")
    folder = new_folder(config.output, overwrite=config.overwrite)
    trained, tested = hold_out(data, 1)
    settings: dict[str, Any] = {"members": config.members, "checkpoint": folder / "training", "progress": True}
    committee = train_committee(untrained, trained, config.training, key=jax.random.key(config.seed), **settings).model
    js.forcefield.save(folder / "committee", committee, metadata=provenance(config, config.seed))
    sources, size = np.array(tested.sources), data.lattice.cells[0]
    rows = [
        {"case": f"held out, {kind}", "side": size, **row(committee, tested[sources == kind])}
        for kind in sorted(set(tested.sources))
    ]
    exact = config.electrons.exact(config.side)
    moved = committee.on(exact.lattice)
    for name, spins in tqdm(states(config, moved).items(), desc="states", unit="state"):
        rows.append({"case": name, "side": config.side, **row(moved, js.sample(exact, spins, batch=1))})
    draw(folder / "transfer.png", rows)
    summary = {
        "rows": rows,
        "held out, each member alone": [judge(committee[number], tested) for number in range(len(committee))],
        "reference spread": committee.reference,
        "provenance": provenance(config, config.seed),
    }
    save_json(folder / "summary.json", summary)
    return summary


def row(committee: Committee, data: SpinData) -> dict[str, float]:
    """Error, spread and warning on some configurations."""
    errors = evaluate(committee, data)
    spread = [np.sqrt(np.mean(np.asarray(committee.standard_deviation(s)) ** 2)) for s in data.spins]
    unfamiliar = [float(committee.unfamiliar(s)) for s in data.spins]
    return {
        "torque error": errors.torque,
        "rms torque": float(data.torque_scale),
        "rms torque error": errors.torque_rms,
        "rms spread": float(np.sqrt(np.mean(np.square(spread)))),
        "unfamiliar": float(np.mean(unfamiliar)),
    }


def states(config: Config, committee: Committee) -> dict[str, jax.Array]:
    """Two configurations of every case."""
    lattice, key = committee.lattice, jax.random.key(config.seed + 1)
    start_key, noise, shift = jax.random.split(key, 3)
    (order,) = textures_on(lattice, (config.order,)).values()

    def followed(start, temperature, number):
        motion, own = config.motion.at(temperature), jax.random.fold_in(noise, number)
        return frames_of(committee, start, motion, duration=config.duration, frames=2, key=own)

    found = {"quench": followed(js.random_spins(lattice, key=start_key), config.motion.temperature, 0)}
    for number, temperature in enumerate(config.temperatures, start=1):
        found[f"thermal, T = {temperature:g}"] = followed(order, temperature, number)
    side = config.side
    turn = lattice.reciprocal() / side
    half = dataclasses.replace(lattice, cells=(side // 2, side), periodic=(False, True))
    wall = js.textures.domain_wall(half)
    textures = {
        "spiral, long": js.textures.spiral(lattice, tuple(turn[0])),
        "spiral, short": js.textures.spiral(lattice, tuple(side // 4 * turn[0])),
        "conical spiral": js.textures.spiral(lattice, tuple(side // 6 * turn.sum(axis=0)), cone=0.8),
        "skyrmion": js.textures.skyrmion(lattice, side / 4),
        "pair of domain walls": jnp.concatenate([wall, wall[::-1]]),
        "tetrahedral": js.textures.tetrahedral(lattice),
    }
    for number, (name, texture) in enumerate(textures.items()):
        own, amplitudes = jax.random.fold_in(shift, number), (config.displacement, config.displacement)
        found[name] = perturbed_configurations(texture.astype(order.dtype), amplitudes, key=own)
    found["random"] = random_configurations(lattice, 2, key=shift)
    return found


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: table_of(found["rows"]))
