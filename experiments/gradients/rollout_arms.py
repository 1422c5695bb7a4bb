"""The trainings that are compared, the time they take, and the target set for them."""

import dataclasses
import math
import time
from typing import Any

import numpy as np

import jaxspin as js
from experiments.gradients.rollout_runs import Told
from jaxspin.training import Learnt, RolloutConfig, SpinData, train_rollout

# What each training is told, for the summary.
ARMS = {
    "at first": "exact fields and energies of random spins",
    "more fields": "the same, for longer",
    "runs labelled": "the same, and the exact fields and energies of every frame of the runs",
    "rollouts": "the same, and the spins of every frame of the runs without their fields",
}


def measure_time(
    model: js.BehlerParrinello, told: Told, fields: js.TrainConfig, rollouts: RolloutConfig
) -> dict[str, Any]:
    """Processor time of the first training and of that through rollouts, and the steps on fields that take as long.

    Each is done twice and the second time counts, in which nothing is compiled. Held to one core that is the wall time
    of a machine that does nothing else.
    """
    general, key = told.general, told.keys[3]
    first = js.train(model, general, fields, key=key).model
    train_rollout(first, told.pieces, rollouts, fields=general, key=key)
    began = time.process_time()
    js.train(model, general, fields, key=key)
    between = time.process_time()
    train_rollout(first, told.pieces, rollouts, fields=general, key=key)
    seconds = (between - began, time.process_time() - between)
    steps = math.ceil(seconds[1] / seconds[0] * fields.steps / fields.evaluate_every) * fields.evaluate_every
    print(f"{seconds} seconds, {steps} steps on fields", flush=True)
    return {
        "seconds on fields": seconds[0],
        "seconds through rollouts": seconds[1],
        "steps on fields for the same time": steps,
    }


def trained(
    model: js.BehlerParrinello,
    told: Told,
    along: SpinData,
    fields: js.TrainConfig,
    rollouts: RolloutConfig,
    steps: int,
) -> dict[str, Learnt]:
    """The force field as trained on fields first, and after each way of going on, with `steps` where on fields.

    `along` are the exact fields of the runs' frames, for those that are told them.
    """
    general, key = told.general, told.keys[3]
    first = js.train(model, general, fields, key=key)
    through = train_rollout(first.model, told.pieces, rollouts, fields=general, key=key)
    more = dataclasses.replace(fields, steps=steps, learning_rate=fields.learning_rate / 3)
    further = js.train(first.model, general, more, key=key)
    labelled = js.train(first.model, SpinData.concatenate([general, along]), more, key=key)
    return dict(zip(ARMS, (first, further, labelled, through), strict=True))


def overall(rows: dict[str, Any]) -> dict[str, Any]:
    """Ratios, each seed's and their mean, and whether the target is met: 30 % less deviation, 5 % more torque error."""
    names = ("deviation at ten horizons", "mean deviation over ten horizons")
    names += ("torque error", "torque error, random", "torque error, runs")
    found: dict[str, Any] = {}
    for other in ("at first", "more fields", "runs labelled"):
        ratios = {name: [row["rollouts"][name] / row[other][name] for row in rows.values()] for name in names}
        found[f"rollouts over {other}"] = {n: {"mean": float(np.mean(r)), "seeds": r} for n, r in ratios.items()}
    target = found["rollouts over more fields"]
    met = target["deviation at ten horizons"]["mean"] <= 0.7 and target["torque error"]["mean"] <= 1.05
    return {**found, "target met": bool(met)}
