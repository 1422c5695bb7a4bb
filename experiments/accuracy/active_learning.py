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
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.accuracy.active_learning_figures import draw, rms
from experiments.accuracy.active_learning_rounds import Arm, Rounds, frames_of_quenches, rounds
from experiments.stages import Resumable, main, open_folder
from jaxspin.io import provenance, save_json
from jaxspin.training import SpinData, evaluate, predict


@dataclasses.dataclass(frozen=True)
class Config(Rounds, Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/active_learning")
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of the labels to begin with, weights, splits, batches and quenches; held-out configurations are the same."""
    arms: tuple[Arm, ...] = ("random", "logarithmic", "mean")
    """How frames are chosen: at random ("random"), at random in proportion to 1/time ("logarithmic"), or by the
    committee's spread ("mean", "max" and "relative", see `jaxspin.training.disagreement`)."""
    test_quenches: int = 3
    """Quenches with the exact field, held out."""

    def __post_init__(self):
        super().__post_init__()
        if not self.seeds or not self.arms:
            raise ValueError("nothing is to be compared; pass --seeds 0 --arms random mean.")


def run(config: Config) -> dict[str, Any]:
    """All seeds and arms; returns what summary.json holds."""
    folder = open_folder(config)
    stored = folder / "held_out.zarr"
    if not stored.exists():
        exact = config.electrons.exact(config.quench.side)
        frames = frames_of_quenches(config, exact, config.test_quenches, jax.random.key(2**31 - 1))
        js.sample(exact, frames).save(stored)
    held = SpinData.load(stored)
    rows = []
    bar = tqdm(total=len(config.seeds) * len(config.arms) * (config.rounds + 1), desc="rounds", unit="round")
    for seed in config.seeds:
        for arm in config.arms:
            for row in rounds(config, held, folder, seed, arm, lambda committee: judge(config, committee, held)):
                rows.append(row)
                bar.update()
                bar.set_postfix(arm=arm, labels=row["labels"], torque=f"{100 * row['errors']['torque']:.1f} %")
    bar.close()
    origin = provenance(config)
    summary = {"torque error": gather(config, rows), "rounds": rows, "provenance": origin}
    save_json(folder / "summary.json", summary)
    draw(folder / "active_learning.png", (config.quench.duration, config.quench.frames), summary)
    return summary


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
