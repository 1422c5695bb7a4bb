"""Configurations by kind: some of each held out or left away, and the errors of a force field on each."""

import dataclasses
from typing import Any

import jax
import numpy as np

import jaxspin as js
from jaxspin.training import SpinData, evaluate
from jaxspin.training.sampling import overlaps
from jaxspin.training.splitting import rows_of_parts


def split(data: SpinData, held_out: float, seed: int) -> tuple[SpinData, SpinData, list[int]]:
    """What is learnt from, what is held out (this fraction of each kind, at least one), and its numbers in the file.

    Of a run, a block in time, and what is near it is not learnt from either (`SpinData.split`).
    """
    learnt, held = [], []
    for number, kind in enumerate(sorted(set(data.sources))):
        members = np.flatnonzero(np.array(data.sources) == kind)
        count = max(1, round(held_out * len(members)))
        if count < len(members):
            key = jax.random.fold_in(jax.random.key(seed), number)
            first, rest = rows_of_parts(
                np.asarray(data.run)[members], (count, len(members) - count), key=key, by="block", gap=0.1
            )
            held, learnt = [*held, *members[first]], [*learnt, *members[rest]]
        else:
            held += members.tolist()
    if not learnt:
        raise ValueError("nothing is left to learn from; lower --held-out or give more configurations of each kind.")
    held = sorted(int(n) for n in held)
    return data[np.sort(learnt)], data[held], held


def likeness(fitted: SpinData, held: SpinData) -> dict[str, float]:
    """How much alike the configurations held out and learnt from are, by kind: see `jaxspin.training.distinct`."""
    found: dict[str, float] = {}
    for kind, spins in zip(held.sources, np.asarray(held.spins), strict=True):
        found[kind] = max(found.get(kind, 0.0), float(np.max(overlaps(fitted.spins, spins))))
    return found


def thinned(data: SpinData, fraction: float, seed: int) -> SpinData:
    """That fraction of the configurations of each kind, whatever their runs."""
    if fraction == 1:
        return data
    rng, kept = np.random.default_rng(seed), []
    for kind in sorted(set(data.sources)):
        members = np.flatnonzero(np.array(data.sources) == kind)
        kept += rng.choice(members, max(1, round(fraction * len(members))), replace=False).tolist()
    return data[sorted(kept)]


def errors_by_kind(model: js.AbstractField, held: SpinData) -> dict[str, dict[str, float]]:
    """Errors on the configurations held out, by kind."""
    kinds = sorted(set(held.sources))
    return {kind: dataclasses.asdict(evaluate(model, held[np.array(held.sources) == kind])) for kind in kinds}


def mean_and_range(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean, least and largest torque error over the seeds, by kind."""
    return {
        kind: {"mean": float(np.mean(values)), "least": min(values), "largest": max(values)}
        for kind in rows[0]["errors"]
        for values in [[row["errors"][kind]["torque"] for row in rows]]
    }
