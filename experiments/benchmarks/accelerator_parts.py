"""Sections of the benchmark of an accelerator: its ceilings, dynamics, training."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.benchmarks.accelerator_bench import Bench, Case
from experiments.benchmarks.kinds import CLASSICAL, field_of, program, spins_on
from experiments.benchmarks.ledger import Row, Section
from experiments.benchmarks.programs import Ceilings, Program
from experiments.benchmarks.timing import timed

STEP = 0.01  # of the dynamics, in units of 1/exchange


def machine(bench: Bench) -> Section:
    """Bandwidth, rates of matrix products, and the time of a call that does nothing."""
    config = bench.config

    def numbers(seed: int, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        return jax.device_put(jax.random.normal(jax.random.key(seed), shape, jnp.float32).astype(dtype), bench.device)

    def triad() -> Row:
        a, b = (numbers(seed, (config.triad,), jnp.float32) for seed in range(2))
        row = timed(jax.jit(lambda a, b: a + 1.5 * b), (a, b), 4 * config.repeats, within=bench.within)
        return {**row, "GB a second": 3e-9 * a.nbytes / row["median"]}

    def product(n: int, dtype: Any, precision: Any) -> Row:
        a, b = (numbers(seed, (n, n), dtype) for seed in range(2))
        function = jax.jit(lambda a, b: jnp.matmul(a, b, precision=precision))
        row = timed(function, (a, b), 2 * config.repeats, within=bench.within)
        return {**row, "Tflop a second": 2e-12 * n**3 / row["median"]}

    def call() -> Row:
        return timed(jax.jit(lambda x: x + 1), (numbers(0, (8,), jnp.float32),), 20 * config.repeats)

    parts: dict[str, Any] = {"triad": triad, "call": call}
    for name, dtype, precision in (
        ("float32, exact", jnp.float32, jax.lax.Precision.HIGHEST),
        ("float32, default", jnp.float32, None),
        ("bfloat16", jnp.bfloat16, None),
    ):
        sizes = {f"matrix product, {name}, {n}": n for n in sorted(config.matrices)}
        growth = bench.growth("machine", {label: n**3 for label, n in sizes.items()})
        for label, n in sizes.items():
            parts[label] = functools.partial(growth.run, n**3, functools.partial(product, n, dtype, precision))
    return Section("machine", 1.0, parts)


def dynamics(bench: Bench) -> Section:
    """Whole runs of `simulate`, one frame each, with and without noise."""
    config = bench.config

    def make(kind: str, side: int, temperature: float, steps: int) -> Program:
        field, duration = field_of(kind, side), STEP * steps
        settings: dict[str, Any] = {"damping": 0.1, "throw": False, "step": STEP, "save_every": duration}
        if temperature:
            settings |= {"temperature": temperature, "key": jax.random.key(config.seed)}

        def run(field: Any, spins: jax.Array) -> jax.Array:
            return js.simulate(field, spins, duration=duration, **settings).final

        return program(run, field, (spins_on(field.lattice, config.seed),), bench.device)

    def measure(side: int, steps: int, compiled: Program) -> Row:
        # the operations in the loops of the integrator, of unknown length, are not counted
        row = bench.measured(compiled, side**2, Ceilings())
        each = row["median"] / steps
        return {**row, "steps": steps, "steps a second": 1 / each, "ns a site and step": 1e9 * each / side**2}

    cases = {}
    for kind, temperature, side in itertools.product(config.quenched, (0.0, 0.1), sorted(config.sizes)):
        wanted = config.spin_steps / side**2 / (1 if kind in CLASSICAL else 100)
        steps = int(np.clip(wanted, 2, 1000))
        series = f"{kind}{', noise' if temperature else ''}"
        cases[f"{series}, {side} x {side}"] = Case(
            series,
            side**2 * steps,
            functools.partial(make, kind, side, temperature, steps),
            functools.partial(measure, side, steps),
        )
    return bench.section("dynamics", 5.0, cases)


def training(bench: Bench) -> Section:
    """Optimizer steps of batches of eight lattices, by `js.train`; evaluations on held-out ones are in their time."""
    config = bench.config

    def part(kind: str) -> Row:
        lattice = field_of(kind, config.training_side).lattice
        key = jax.random.key(config.seed)
        frames = js.training.random_configurations(lattice, 20, key=key)
        data = js.sample(js.Exchange(lattice, (1.0, -0.3)), frames)
        looks = 5
        settings = js.TrainConfig(
            steps=looks * config.training_steps,
            evaluate_every=config.training_steps,
            split="configuration",
        )
        history = js.train(field_of(kind, config.training_side), data, settings, key=key).history
        seconds = np.diff(history["seconds"], prepend=0.0) / config.training_steps
        median = float(np.median(seconds[1:]))
        return {
            "median": median,
            "fastest": float(seconds[1:].min()),
            "slowest": float(seconds[1:].max()),
            "calls": (looks - 1) * config.training_steps,
            "compile": float(seconds[0] - median) * config.training_steps,
            "batch": settings.batch,
            "sites": lattice.sites,
            "ns a site": 1e9 * median / settings.batch / lattice.sites,
        }

    return Section("training", 3.0, {kind: functools.partial(part, kind) for kind in config.trained})
