"""The quenches that judge a learnt field: a small one beside the exact field, and a large one that it makes alone."""

from pathlib import Path

import jax

import jaxspin as js
from experiments.stages.model import Electrons, Motion, Quench
from experiments.stages.motion import compare, quench


def beside_exact(
    folder: Path, electrons: Electrons, model: js.BehlerParrinello, motion: Motion, size: Quench, seed: int
) -> dict[str, js.Trajectory]:
    """One quench from random spins with the field "exact" and with the "learnt" one, from one start with one noise."""
    exact = electrons.exact(size.side)
    return compare(
        folder,
        {"exact": exact, "learnt": model.on(exact.lattice)},
        js.random_spins(exact.lattice, key=jax.random.key(seed + 2)),
        motion,
        duration=size.duration,
        frames=size.frames,
        key=jax.random.key(seed + 3),
    )


def large_quench(
    folder: Path,
    electrons: Electrons,
    model: js.BehlerParrinello,
    motion: Motion,
    size: Quench,
    seed: int,
    spacing: float = 1.0,
) -> js.Trajectory:
    """One from random spins with the learnt field; frame k of n is kept at the fraction (k/n)^`spacing` of it."""
    lattice = electrons.on(size.side)
    return quench(
        folder / "quench_large.zarr",
        model.on(lattice),
        js.random_spins(lattice, key=jax.random.key(seed + 4)),
        motion,
        duration=size.duration,
        frames=size.frames,
        spacing=spacing,
        key=jax.random.key(seed + 5),
    )
