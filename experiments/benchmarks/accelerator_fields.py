"""Sections of the benchmark of an accelerator: fields against size, agreement with the CPU, batches of lattices."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.benchmarks.accelerator_bench import Bench, Case
from experiments.benchmarks.kinds import CLASSICAL, field_of, program, spins_on
from experiments.benchmarks.ledger import Row, Section
from experiments.benchmarks.programs import Program, Programs

# What a force field that comes with the package is to reach at 4096 x 4096: nanoseconds a site, and share of a ceiling.
FASTEST, SHARE, WHERE = 50.0, 0.8, 4096
# Largest error relative to double precision, rms over the sites, with which single precision agrees. On CPUs exchange
# has 1e-7 and learnt fields to 2e-5; matrix products in TF32 would give 1e-3.
TOLERANCES = {"classical": 1e-6, "others": 1e-4}


def fields(bench: Bench) -> list[Section]:
    """One section for each kind, so that a kind that takes long leaves time for the others."""
    return [_field(bench, kind) for kind in bench.config.kinds]


def _field(bench: Bench, kind: str) -> Section:
    def make(side: int) -> Program:
        field = field_of(kind, side)
        return program(lambda f, s: f.field(s), field, (spins_on(field.lattice, bench.config.seed),), bench.device)

    def measure(side: int, compiled: Program) -> Row:
        row = bench.measured(compiled, side**2)
        aimed = kind in js.forcefield.pretrained_names() and side >= WHERE
        return {**row, "target": target(row)} if aimed else row

    cases = {
        f"{side} x {side}": Case(kind, side**2, functools.partial(make, side), functools.partial(measure, side))
        for side in sorted(bench.config.sizes)
    }
    return bench.section(f"fields: {kind}", 1.0, cases)


def target(row: Row) -> dict[str, bool | None]:
    """Which aims of a force field are reached; None where no ceiling is known."""
    shares = [row[key] for key in ("share of arithmetic", "share of bandwidth") if row[key] is not None]
    reached = max(shares) >= SHARE if shares else None
    return {f"{FASTEST:g} ns a site": row["ns a site"] <= FASTEST, f"{SHARE:.0%} of a ceiling": reached}


def agreement(bench: Bench) -> Section:
    """Fields in single precision on the device against double precision on the CPU, at the same spins."""
    side, seed = bench.config.agreement, bench.config.seed
    model = js.SDModel(js.square(8), 1.0, 1.0)
    state: dict[str, Any] = {"chemical_potential": -1.0, "temperature": 0.1}
    made: dict[str, Any] = {
        **{kind: functools.partial(field_of, kind, side) for kind in bench.config.kinds},
        "kernel polynomials": lambda: js.KernelPolynomial(model, **state, probes=js.electrons.ExactTrace()),
        "exact diagonalization": lambda: js.ExactDiagonalization(model, **state),
    }
    if bench.config.smoke:
        made.pop("kernel polynomials")

    def make(name: str, double: bool) -> Program:
        field = made[name]()
        spins = spins_on(field.lattice, seed)
        if not double:
            return program(lambda f, s: f.field(s), field, (spins,), bench.device)
        cpu = jax.devices("cpu")[0]
        with jax.enable_x64(True), jax.default_device(cpu):
            spins = jnp.asarray(np.asarray(spins), jnp.float64)
            return program(lambda f, s: f.field(s), field, (spins,), cpu)

    both = [(name, double) for name in made for double in (False, True)]
    programs = Programs({case: functools.partial(make, *case) for case in both})

    def prepare(names: Sequence[str], until: float) -> None:
        programs.prepare([(name, double) for name, double in both if name in names], until)

    def part(name: str) -> Row:
        here, there = (programs.take((name, double)) for double in (False, True))
        found = np.asarray(here(), np.float64)
        with jax.enable_x64(True):
            expected = np.asarray(there())
        error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
        tolerance = TOLERANCES["classical" if name in CLASSICAL else "others"]
        return {"relative error": error, "tolerance": tolerance, "agrees": error <= tolerance}

    return Section("agreement", 6.0, {name: functools.partial(part, name) for name in made}, prepare)


def batches(bench: Bench) -> Section:
    """Fields and noisy runs of many small lattices at once, as a sweep computes them."""
    config, lattice, steps = bench.config, js.triangular(bench.config.batch_side), 20
    learnt, noisy = "triangular-120", f"{steps} noisy steps of exchange"
    electrons = js.SDModel(lattice, 1.0, 3.0)
    made: dict[str, Any] = {
        "exchange": lambda: js.Exchange(lattice, (1.0, -0.3)),
        noisy: lambda: js.Exchange(lattice, (1.0, -0.3)),
        "exact diagonalization": lambda: js.ExactDiagonalization(electrons, filling=0.25, temperature=0.05),
        learnt: lambda: js.pretrained(learnt, lattice),
    }
    if config.smoke:
        made = {"exchange": made["exchange"]}

    def run(field: Any, spins: jax.Array, key: jax.Array) -> jax.Array:
        settings = {"damping": 0.1, "temperature": 0.1, "key": key, "throw": False}
        return js.simulate(field, spins, duration=0.01 * steps, step=0.01, save_every=0.01 * steps, **settings).final

    def make(name: str, batch: int) -> Program:
        keys = jax.random.split(jax.random.key(config.seed), batch)
        spins = jax.vmap(lambda key: js.random_spins(lattice, key=key, dtype=jnp.float32))(keys)
        if name == noisy:
            function = lambda f, s, k: jax.vmap(functools.partial(run, f))(s, k)  # noqa: E731
            return program(function, made[name](), (spins, keys), bench.device)
        return program(lambda f, s: jax.vmap(f.field)(s), made[name](), (spins,), bench.device)

    def measure(batch: int, compiled: Program) -> Row:
        row = bench.measured(compiled, batch * lattice.sites)
        return {**row, "lattices a second": batch / row["median"]}

    cases = {
        f"{batch} x {name}": Case(name, batch, functools.partial(make, name, batch), functools.partial(measure, batch))
        for name in made
        for batch in sorted(config.batches)
    }
    return bench.section("batches", 3.0, cases)
