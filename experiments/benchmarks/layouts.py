"""Layouts of spinors on a CPU: the time of a Chebyshev step, 2 H a - b, for the same vectors stored differently.

    python -m experiments.benchmarks.layouts --output FILE.json

Square lattice, random spins, J = 1, single precision. The last two rows are what the solver does: four real arrays,
moved by a gather along each axis, with all columns at once and in blocks that stay in a cache. Every layout must give
the same vectors. Compilation apart; medians of several calls after a warm-up. The *triad* a = b + 1.5 c - d on all
columns is timed in the same run: one step reads two vectors and writes one.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from experiments.stages import main_without_folder
from jaxspin.arrays import columns
from jaxspin.arrays.spinors import join, split
from jaxspin.electrons import kpm


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    sides: tuple[int, ...] = (32, 64, 128)
    """Sides of the square lattices."""
    colors: int = 64
    """Probing colours; twice as many columns."""
    steps: int = 50
    """Chebyshev steps in a call."""


def run(config: Config) -> list[dict[str, Any]]:
    """One row for each side and layout."""
    config.check_output()
    rows = [row for side in config.sides for row in measure(config, side)]
    config.write({"rows": rows})
    return rows


def measure(config: Config, side: int) -> list[dict[str, Any]]:
    """Every layout on one lattice."""
    lattice = js.square(side)
    spins = js.random_spins(lattice, key=jax.random.key(1), dtype=jnp.float32)
    solver = js.KernelPolynomial(
        js.SDModel(lattice), chemical_potential=-1.0, temperature=0.05, probes=js.electrons.Coloring(config.colors)
    )
    start = solver.start(spins)
    vector = jnp.ones((lattice.sites, 4 * start[0][0].shape[-1]), jnp.float32)
    triad = timed(jax.jit(lambda a, b, c: a + 1.5 * b - c), (vector, vector + 1, vector + 2), 4 * config.repeats)
    expected, rows = None, []
    for name, (pack, unpack, call) in layouts(config, solver, spins).items():
        program, packed = jax.jit(call), pack(start)
        found = np.asarray(join(unpack(program(packed))))
        expected = found if expected is None else expected
        # rounding of the recursion
        np.testing.assert_allclose(found, expected, atol=1e-6 * config.steps)
        row = {"layout": name, "side": side, "columns": vector.shape[1] // 4, "triad": triad}
        row["call"] = timed(program, (packed,), config.repeats)
        row["step over triad"] = row["call"]["median"] / config.steps / triad["median"]
        print(f"{side:4d}  {name:36s} {1e3 * row['call']['median'] / config.steps:8.3f} ms a step", end="")
        print(f"  {row['step over triad']:5.2f} triads", flush=True)
        rows.append(row)
    return rows


def layouts(config: Config, solver: js.KernelPolynomial, spins: jax.Array) -> dict[str, tuple[Callable, ...]]:
    """(from the solver's layout, back to it, `steps` steps) of each layout."""
    center, halfwidth = (x.astype(spins.dtype) for x in solver.scaling())
    x, y, z = (spins[:, :, 0, c, None] for c in range(3))

    def steps(h):
        def one(pair, _):
            before, now = pair
            return (now, jax.tree.map(lambda p, b: 2 * p - b, h(now), before)), None

        return lambda a: jax.lax.scan(one, (a, h(a)), None, length=config.steps, unroll=2)[0][1]

    def rescaled(neighbours, local, a):
        return jax.tree.map(lambda n, o, p: (-n - o - center * p) / halfwidth, neighbours, local, a)

    def neighbours(moved):
        return lambda a: sum(moved(a, step, axis) for axis in (0, 1) for step in (1, -1))

    take = neighbours(lambda a, step, axis: jnp.take(a, (np.arange(len(a)) + step) % len(a), axis))
    roll = neighbours(jnp.roll)

    def halo(a):
        a = jax.lax.optimization_barrier(jnp.pad(a, ((1, 1), (1, 1), (0, 0)), mode="wrap"))
        return a[2:, 1:-1] + a[:-2, 1:-1] + a[1:-1, 2:] + a[1:-1, :-2]

    def exchange(u, d):
        return z * u + (x - 1j * y) * d, (x + 1j * y) * u - z * d

    def stacked(a):
        return rescaled(roll(a), jnp.stack(exchange(a[:, :, 0], a[:, :, 1]), 2), a)

    def padded(a):
        ur, ui, dr, di = a
        local = (z * ur + x * dr + y * di, z * ui + x * di - y * dr, x * ur - y * ui - z * dr, y * ur + x * ui - z * di)
        return rescaled(tuple(map(halo, a)), local, a)

    def in_blocks(a):
        parts = jax.tree.map(lambda p: columns.in_groups(p, width), a)
        parts = jax.lax.map(own, parts)
        return jax.tree.map(lambda p, x: jnp.moveaxis(p, 0, 2).reshape(*x.shape[:2], -1)[..., : x.shape[2]], parts, a)

    width = kpm.group_width(solver.start(spins)[0][0])  # as the solver does
    own = steps(solver.rescaled(spins))
    return {
        "one complex array, roll": (lambda a: join(a)[:, :, 0], lambda a: split(a[:, :, None]), steps(stacked)),
        "two complex arrays, take": (
            lambda a: tuple(jnp.unstack(join(a)[:, :, 0], axis=2)),
            lambda a: split(jnp.stack(a, 2)[:, :, None]),
            steps(lambda a: rescaled(tuple(map(take, a)), exchange(*a), a)),
        ),
        "four real arrays, halo": (lambda a: a[0], lambda a: (a,), steps(padded)),
        "four real arrays, take": (lambda a: a, lambda a: a, own),
        "the same, in blocks of columns": (lambda a: a, lambda a: a, in_blocks),
    }


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
