"""Active learning: a committee says which configurations of its own quenches to label next.

    python -m experiments.active_learning           # writes runs/active_learning
    python -m experiments.active_learning --help    # every setting
    python -m experiments.active_learning --resume  # goes on where a killed run stopped

Triangular s-d model at half filling, quenched towards 120 degree order. Each arm begins with the same few exact labels.
In each round it trains a committee, quenches random spins with the committee's mean field, and labels some of the
frames: those on which the members disagree most, or as many at random. The error is that on frames of quenches with
the exact field.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Array, Float
from tqdm import tqdm

import jaxspin as js
from experiments.stages import Electrons, Motion, Network, Texture, open_folder, textures_on
from jaxspin.field import AbstractField
from jaxspin.io import provenance, to_json
from jaxspin.plotting.style import new_figure, save_figure
from jaxspin.training import SpinData, distinct, evaluate, perturbed_configurations, random_configurations

Arm = Literal["random", "mean", "max", "relative"]
_NAMES = {
    "random": "drawn at random",
    "mean": "largest spread",
    "max": "largest spread of a site",
    "relative": "largest spread / torque",
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/active_learning")
    """Folder for everything the run writes; an existing one is refused."""
    overwrite: bool = False
    """Empty an existing output folder first."""
    resume: bool = False
    """Go on in an output folder of the same settings where a killed run stopped."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of the labels to begin with, weights, splits, batches and quenches; held-out configurations are the same."""
    arms: tuple[Arm, ...] = ("random", "mean")
    """How frames are chosen: at random, or by the committee's spread: its rms over the sites ("mean"), that of the
    worst site ("max"), or its rms over the sites in units of the rms torque of the frame ("relative")."""

    electrons: Electrons = dataclasses.field(default_factory=lambda: Electrons("triangular", 4.0, 0.5, 0.05))
    """The model."""
    order: Texture = "one_hundred_twenty"
    """What is perturbed to begin with."""
    network: Network = dataclasses.field(default_factory=lambda: Network(hops=2, moments=16, hidden=(32, 32)))
    """Of each member."""
    motion: Motion = dataclasses.field(default_factory=Motion)
    """Of every quench."""
    size: int = 9
    """Side of the lattice; the order must close around it."""
    duration: float = 60.0
    """Length of every quench."""
    frames: int = 30
    """Configurations kept of each."""
    quenches: int = 3
    """Quenches in a round: their frames are the candidates."""
    test_quenches: int = 4
    """Quenches with the exact field, held out."""

    random: int = 6
    """Random configurations to begin with."""
    ordered: int = 4
    """Perturbed states of the order to begin with."""
    rounds: int = 4
    """Rounds of choosing and labelling; training follows each."""
    picks: int = 10
    """Labels added in a round."""
    overlap: float = 0.95
    """Frames more alike than this, see `jaxspin.training.distinct`, are not labelled twice when chosen by spread."""
    members: int = 3
    """Force fields in a committee."""
    training: js.TrainConfig = dataclasses.field(
        default_factory=lambda: js.TrainConfig(
            steps=1000, learning_rate=4e-3, balance=0.5, evaluate_every=250, average=0.98
        )
    )
    """How each member is trained."""

    def __post_init__(self):
        if self.resume and self.overwrite:
            raise ValueError("resume keeps what overwrite would delete; give one of them.")
        textures_on(self.electrons.on(self.size), (self.order,))
        if self.quenches * self.frames < self.picks:
            raise ValueError(f"{self.picks} picks of {self.quenches * self.frames} frames; raise --frames.")
        if not self.seeds or not self.arms:
            raise ValueError("nothing is to be compared; pass --seeds 0 --arms random mean.")


def run(config: Config) -> dict[str, Any]:
    """All seeds and arms; returns what summary.json holds."""
    folder = open_folder(config)
    exact = config.electrons.exact(config.size)
    stored = folder / "held_out.zarr"
    if not stored.exists():
        frames = quench(config, exact, config.test_quenches, jax.random.key(2**31 - 1))
        js.sample(exact, frames).save(stored)
    held = SpinData.load(stored)
    rows = []
    bar = tqdm(total=len(config.seeds) * len(config.arms) * (config.rounds + 1), desc="rounds", unit="round")
    for seed in config.seeds:
        for arm in config.arms:
            for row in learn(config, exact, held, folder, seed, arm):
                rows.append(row)
                bar.update()
                bar.set_postfix(arm=arm, labels=row["labels"], torque=f"{100 * row['errors']['torque']:.1f} %")
    bar.close()
    origin = provenance(config)
    summary = {"torque error": gather(config, rows), "rounds": rows, "provenance": origin}
    (folder / "summary.json").write_text(to_json(summary, indent=1))
    draw(folder / "active_learning.png", summary["torque error"], origin)
    return summary


def learn(config: Config, exact: js.ExactDiagonalization, held: SpinData, folder: Path, seed: int, arm: Arm):
    """The rounds of one arm, each stored when it is done: yields their rows of the summary.

    Arms of one seed begin alike and quench from the same spins with the same noise.
    """
    begin_key, *keys = jax.random.split(jax.random.key(seed), config.rounds + 2)
    data = js.sample(exact, beginning(config, begin_key))
    model = config.network.on(config.electrons, config.size)
    place = folder / f"seed_{seed}" / arm
    place.mkdir(parents=True, exist_ok=True)
    for number, key in enumerate(keys):
        story, chosen = place / f"round_{number}.json", place / f"round_{number}.zarr"
        last = number == config.rounds
        if not story.exists():
            train_key, quench_key, choice_key = jax.random.split(key, 3)
            # all arms begin with one committee
            checkpoint = (place if number else place.parent) / f"training_{number}"
            learnt = js.train_committee(
                model,
                data,
                config.training,
                members=config.members,
                key=train_key,
                known=data.spins,
                checkpoint=checkpoint,
            )
            row = {"seed": seed, "arm": arm, "round": number, "labels": len(data), **judge(learnt.model, held)}
            if last:
                js.save_forcefield(place / "committee", learnt.model, metadata=row, overwrite=True)
            else:
                frames = quench(config, learnt.model, config.quenches, quench_key)
                rows = choose(config, arm, learnt.model, frames, data.spins, choice_key)
                row["chosen"] = rows
                js.sample(exact, frames[np.array(rows)]).save(chosen, overwrite=True)
            partial = story.with_suffix(".partial")
            partial.write_text(to_json(row, indent=1))
            partial.rename(story)
        if not last:
            data = SpinData.concatenate([data, SpinData.load(chosen)])
        yield json.loads(story.read_text())


def beginning(config: Config, key) -> Float[Array, "n *cells sublattices 3"]:
    """Random spins and perturbed states of the order."""
    random_key, ordered_key = jax.random.split(key)
    lattice = config.electrons.on(config.size)
    amplitudes = jnp.linspace(0.05, 0.5, config.ordered)
    (order,) = textures_on(lattice, (config.order,)).values()
    ordered = perturbed_configurations(order, amplitudes, key=ordered_key)
    return jnp.concatenate([random_configurations(lattice, config.random, key=random_key), ordered])


def quench(config: Config, field: AbstractField, number: int, key) -> Float[Array, "n *cells sublattices 3"]:
    """The frames of quenches from random spins, their starts left out."""
    frames = []
    for one in jax.random.split(key, number):
        start_key, noise_key = jax.random.split(one)
        made = js.simulate(
            field,
            js.random_spins(config.electrons.on(config.size), key=start_key),
            duration=config.duration,
            step=config.motion.step,
            damping=config.motion.damping,
            temperature=config.motion.temperature,
            key=noise_key,
            save_every=config.duration / config.frames,
        )
        assert made.spins is not None
        frames.append(made.spins[1:])
    return jnp.concatenate(frames)


def choose(
    config: Config,
    arm: Arm,
    committee: js.Committee,
    frames: Float[Array, "n *cells sublattices 3"],
    known: Float[Array, "m *cells sublattices 3"],
    key,
) -> list[int]:
    """The numbers of the frames to label: at random, or by spread without those like another or a known one."""
    if arm == "random":
        return np.asarray(jax.random.permutation(key, len(frames))[: config.picks]).tolist()
    order = np.argsort([-score(arm, committee, spins) for spins in frames], kind="stable")
    kept = distinct(jnp.concatenate([known, frames[order]]), overlap=config.overlap)
    new = [row - len(known) for row in kept if row >= len(known)]
    rest = [row for row in range(len(frames)) if row not in new]
    return order[(new + rest)[: config.picks]].tolist()


def score(arm: Arm, committee: js.Committee, spins: Float[Array, "*cells sublattices 3"]) -> float:
    """How little the committee knows of a configuration."""
    spread = np.asarray(committee.spread(spins))
    if arm == "max":
        return float(spread.max())
    mean = float(np.sqrt(np.mean(spread**2)))
    if arm == "mean":
        return mean
    torque = np.asarray(js.tangent(spins, committee.field(spins)))
    return mean / float(np.sqrt(np.mean(np.sum(torque**2, axis=-1))))


def judge(committee: js.Committee, held: SpinData) -> dict[str, Any]:
    """Errors on the configurations held out, and how far the spread tells of them, site by site."""
    spread = np.array([committee.spread(s) for s in held.spins])
    field = jnp.stack([committee.field(s) for s in held.spins])
    apart = np.linalg.norm(np.asarray(js.tangent(held.spins, field - held.field)), axis=-1)
    ranks = [np.argsort(np.argsort(x.ravel())) for x in (spread, apart)]
    return {
        "errors": dataclasses.asdict(evaluate(committee, held)),
        "rms spread": float(np.sqrt(np.mean(spread**2))),
        "rank correlation of spread and error": float(np.asarray(np.corrcoef(ranks))[0, 1]),
        "unfamiliar": float(np.mean([committee.unfamiliar(s) for s in held.spins])),
    }


def gather(config: Config, rows: list[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """By arm: the numbers of labels, and the torque error's mean, least and largest over the seeds."""
    found = {}
    for arm in config.arms:
        errors = np.array([row["errors"]["torque"] for row in rows if row["arm"] == arm])
        errors = errors.reshape(len(config.seeds), config.rounds + 1)
        found[arm] = {
            "labels": [config.random + config.ordered + config.picks * n for n in range(config.rounds + 1)],
            "mean": errors.mean(axis=0).tolist(),
            "least": errors.min(axis=0).tolist(),
            "largest": errors.max(axis=0).tolist(),
        }
    return found


def draw(path: Path, errors: dict[str, dict[str, list[float]]], origin: dict[str, Any]) -> None:
    """Error against number of labels; bands from the least to the largest of the seeds."""
    figure = new_figure(4.4, 3.2)
    ax = figure.subplots()
    for arm, curve in errors.items():
        (line,) = ax.plot(curve["labels"], curve["mean"], "o-", ms=3, label=_NAMES[arm])
        ax.fill_between(curve["labels"], curve["least"], curve["largest"], color=line.get_color(), alpha=0.2, lw=0)
    ax.set(xlabel="exact labels", ylabel="rms torque error / rms torque", ylim=(0, None))
    ax.legend(frameon=False)
    save_figure(figure, path, origin)


if __name__ == "__main__":
    settings = tyro.cli(Config, description=__doc__)
    result = run(settings)
    print(json.dumps(result["torque error"], indent=1))
    print(f"everything is in {settings.output}")
