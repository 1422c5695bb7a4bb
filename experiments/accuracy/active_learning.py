"""Active learning: a committee says which configurations of its own quenches to label next.

    python -m experiments.accuracy.active_learning           # writes runs/active_learning
    python -m experiments.accuracy.active_learning --help    # every setting
    python -m experiments.accuracy.active_learning --resume  # goes on where a killed run stopped

Triangular s-d model at half filling, quenched towards 120 degree order. Each arm begins with the same few exact labels.
In each round it trains a committee, quenches random spins with the committee's mean field, and labels some of the
frames: those on which the members disagree most, or as many at random. The error is that on frames of quenches with
the exact field, at the same even times.

A quench spends most of its time near order, where torques and errors are small: labels drawn at random from it go
there. One who knows this draws more of the early frames, evenly in the logarithm of time; a committee is not told.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from tqdm import tqdm

import jaxspin as js
from experiments.accuracy.active_learning_figures import draw, rms
from experiments.stages import (
    Electrons,
    Moments,
    Motion,
    Network,
    Quench,
    Resumable,
    Texture,
    main,
    open_folder,
    textures_on,
)
from experiments.stages.motion import frames_of
from jaxspin.field import AbstractField
from jaxspin.io import load_json, provenance, save_json
from jaxspin.training import SpinData, choose, evaluate, perturbed_configurations, predict, random_configurations

Arm = Literal["random", "logarithmic", "mean", "max", "relative"]


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/active_learning")
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of the labels to begin with, weights, splits, batches and quenches; held-out configurations are the same."""
    arms: tuple[Arm, ...] = ("random", "logarithmic", "mean")
    """How frames are chosen: at random ("random"), at random in proportion to 1/time ("logarithmic"), or by the
    committee's spread ("mean", "max" and "relative", see `jaxspin.training.disagreement`)."""

    electrons: Electrons = dataclasses.field(default_factory=lambda: Electrons("triangular", 4.0, 0.5, 0.05))
    """The model."""
    order: Texture = "one_hundred_twenty"
    """What is perturbed to begin with."""
    network: Network = dataclasses.field(default_factory=lambda: Network(Moments(hops=2, moments=16), hidden=(32, 32)))
    """Of each member."""
    motion: Motion = dataclasses.field(default_factory=Motion)
    """Of every quench."""
    quench: Quench = dataclasses.field(default_factory=lambda: Quench(side=9, duration=200.0, frames=50))
    """Every quench; the order must close around its lattice, which is that of all configurations."""
    quenches: int = 1
    """Quenches in a round: their frames are the candidates."""
    test_quenches: int = 3
    """Quenches with the exact field, held out."""

    random: int = 2
    """Random configurations to begin with."""
    ordered: int = 2
    """Perturbed states of the order to begin with."""
    rounds: int = 3
    """Rounds of choosing and labelling; training follows each."""
    picks: int = 3
    """Labels added in a round."""
    overlap: float = 0.95
    """Frames more alike than this, see `jaxspin.training.choose`, are not labelled twice when chosen by spread."""
    members: int = 3
    """Force fields in a committee."""
    training: js.TrainConfig = dataclasses.field(
        default_factory=lambda: js.TrainConfig(
            steps=300, batch=4, learning_rate=4e-3, balance=0.5, evaluate_every=150, average=0.98, validation=0.2
        )
    )
    """How each member is trained."""

    def __post_init__(self):
        textures_on(self.electrons.on(self.quench.side), (self.order,))
        if self.quenches * self.quench.frames < self.picks:
            raise ValueError(
                f"{self.picks} picks of {self.quenches * self.quench.frames} frames; raise --quench.frames."
            )
        if not self.seeds or not self.arms:
            raise ValueError("nothing is to be compared; pass --seeds 0 --arms random mean.")


def run(config: Config) -> dict[str, Any]:
    """All seeds and arms; returns what summary.json holds."""
    folder = open_folder(config)
    exact = config.electrons.exact(config.quench.side)
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
    save_json(folder / "summary.json", summary)
    draw(folder / "active_learning.png", (config.quench.duration, config.quench.frames), summary)
    return summary


def learn(config: Config, exact: js.ExactDiagonalization, held: SpinData, folder: Path, seed: int, arm: Arm):
    """The rounds of one arm, each stored when it is done: yields their rows of the summary.

    Arms of one seed begin alike and quench from the same spins with the same noise.
    """
    begin_key, *keys = jax.random.split(jax.random.key(seed), config.rounds + 2)
    data = js.sample(exact, beginning(config, begin_key))
    model = config.network.on(config.electrons, config.quench.side)
    place = folder / f"seed_{seed}" / arm
    place.mkdir(parents=True, exist_ok=True)
    for number, key in enumerate(keys):
        story, chosen = place / f"round_{number}.json", place / f"round_{number}.zarr"
        last = number == config.rounds
        if not story.exists():
            train_key, quench_key, choice_key = jax.random.split(key, 3)
            # all arms begin with one committee
            checkpoint = (place if number else place.parent) / f"training_{number}"
            learnt = js.training.train_committee(
                model,
                data,
                config.training,
                members=config.members,
                key=train_key,
                known=held.spins,
                checkpoint=checkpoint,
            )
            row = {"seed": seed, "arm": arm, "round": number, "labels": len(data), **judge(config, learnt.model, held)}
            if last:
                js.forcefield.save(place / "committee", learnt.model, metadata=row, overwrite=True)
            else:
                frames = quench(config, learnt.model, config.quenches, quench_key)
                rows = picked(config, arm, learnt.model, frames, data.spins, choice_key)
                row["chosen"] = rows
                js.sample(exact, frames[np.array(rows)]).save(chosen, overwrite=True)
            save_json(story, row)
        if not last:
            data = SpinData.concatenate([data, SpinData.load(chosen)])
        yield load_json(story)


def beginning(config: Config, key) -> Float[Array, "n *cells sublattices 3"]:
    """Random spins and perturbed states of the order."""
    random_key, ordered_key = jax.random.split(key)
    lattice = config.electrons.on(config.quench.side)
    amplitudes = jnp.linspace(0.05, 0.5, config.ordered)
    (order,) = textures_on(lattice, (config.order,)).values()
    ordered = perturbed_configurations(order, amplitudes, key=ordered_key)
    return jnp.concatenate([random_configurations(lattice, config.random, key=random_key), ordered])


def quench(config: Config, field: AbstractField, number: int, key) -> Float[Array, "n *cells sublattices 3"]:
    """The frames of quenches from random spins, their starts left out."""
    lattice, frames = config.electrons.on(config.quench.side), []
    for one in jax.random.split(key, number):
        start_key, noise = jax.random.split(one)
        start = js.random_spins(lattice, key=start_key)
        length = {"duration": config.quench.duration, "frames": config.quench.frames}
        frames.append(frames_of(field, start, config.motion, **length, key=noise))
    return jnp.concatenate(frames)


def picked(
    config: Config,
    arm: Arm,
    committee: js.Committee,
    frames: Float[Array, "n *cells sublattices 3"],
    known: Float[Array, "m *cells sublattices 3"],
    key,
) -> list[int]:
    """The numbers of the frames to label: at random, or by spread without those like another or a known one."""
    if arm in ("mean", "max", "relative"):
        return choose(committee, frames, config.picks, known=known, by=arm, overlap=config.overlap)
    weights = jnp.ones(len(frames))
    if arm == "logarithmic":
        weights = 1 / (1.0 + jnp.arange(len(frames)) % config.quench.frames)
    rows = jax.random.choice(key, len(frames), (config.picks,), replace=False, p=weights / jnp.sum(weights))
    return np.asarray(rows).tolist()


def judge(config: Config, committee: js.Committee, held: SpinData) -> dict[str, Any]:
    """Errors on the frames held out, over all and by time, and how far the spread tells of them by site and frame."""
    _, field = predict(committee, held.spins)
    spread = np.array([committee.standard_deviation(s) for s in held.spins])
    apart = np.linalg.norm(np.asarray(js.spins.tangent(held.spins, field - held.field)), axis=-1)
    torque = np.linalg.norm(np.asarray(js.spins.tangent(held.spins, held.field)), axis=-1)
    by_frame = [rms(x, over=tuple(range(1, x.ndim))) for x in (spread, apart)]
    by_time = [rms(x.reshape(-1, config.quench.frames, held.lattice.sites), over=(0, 2)) for x in (apart, torque)]
    early = max(1, config.quench.frames // 10)
    return {
        "errors": dataclasses.asdict(evaluate(committee, held)),
        "error of the first tenth": float(rms(by_time[0][:early]) / rms(by_time[1][:early])),
        "error of the rest": float(rms(by_time[0][early:]) / rms(by_time[1][early:])),
        "rms error by time": by_time[0].tolist(),
        "rms spread": float(rms(spread)),
        "rank correlation of spread and error": rank_correlation(spread, apart),
        "rank correlation by frame": rank_correlation(*by_frame),
        "unfamiliar": float(np.mean(spread > np.asarray(committee.reference))),
    }


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, of numbers that are all different."""
    ranks = [np.argsort(np.argsort(x.ravel())) for x in (one, other)]
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def gather(config: Config, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By arm: the numbers of labels, and the torque error of every seed, its mean, least, largest and deviation.

    Beside labels drawn at random also the mean ratio to their error, seed by seed, and how many seeds are below them.
    """
    found, by_arm = {}, {}
    for arm in config.arms:
        errors = np.array([row["errors"]["torque"] for row in rows if row["arm"] == arm])
        errors = by_arm[arm] = errors.reshape(len(config.seeds), config.rounds + 1)
        found[arm] = {
            "labels": [config.random + config.ordered + config.picks * n for n in range(config.rounds + 1)],
            "mean": errors.mean(axis=0).tolist(),
            "least": errors.min(axis=0).tolist(),
            "largest": errors.max(axis=0).tolist(),
            "standard deviation": errors.std(axis=0, ddof=min(1, len(errors) - 1)).tolist(),
            "seeds": errors.tolist(),
        }
    for arm in [arm for arm in config.arms if "random" in by_arm and arm != "random"]:
        found[arm]["ratio to random"] = (by_arm[arm] / by_arm["random"]).mean(axis=0).tolist()
        found[arm]["seeds below random"] = (by_arm[arm] < by_arm["random"]).sum(axis=0).tolist()
    return found


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: found["torque error"])
