"""Sections of the benchmark of an accelerator on electrons: kernel polynomials, and exact diagonalization."""

import functools
import itertools

import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.accelerator_bench import Bench, Case
from experiments.benchmarks.kinds import program, spins_on
from experiments.benchmarks.ledger import Row, Section
from experiments.benchmarks.programs import Ceilings, Program, share
from jaxspin.electrons import chebyshev

# Vectors that a product of the recursion reads and writes at least: two in and one out; on the way back four in and two
# out as well.
VECTORS = {"moments": 3, "field": 9}


def electrons(bench: Bench) -> Section:
    """Chebyshev moments and their reverse pass, all columns at once or in blocks, against the streaming of vectors."""
    config = bench.config

    @functools.cache
    def solver(side: int) -> js.KernelPolynomial:
        model, probes = js.SDModel(js.square(side), 1.0, 1.0), js.electrons.Coloring(config.colors)
        return js.KernelPolynomial(model, chemical_potential=-1.0, temperature=0.05, probes=probes)

    def make(what: str, side: int, width: int) -> Program:
        def moments(kpm: js.KernelPolynomial, spins: jax.Array) -> jax.Array:
            return chebyshev.moments(kpm.rescaled(spins), kpm.start(spins), kpm.order, width=width or None)

        def field(kpm: js.KernelPolynomial, spins: jax.Array) -> jax.Array:
            # any weights of the moments take the time that those of the energy do
            weights = jnp.linspace(0.0, 1.0, kpm.order, dtype=spins.dtype)
            return jax.grad(lambda s: jnp.sum(weights * moments(kpm, s)))(spins)

        kpm = solver(side)
        chosen = moments if what == "moments" else field
        return program(chosen, kpm, (spins_on(kpm.lattice, config.seed),), bench.device)

    def measure(what: str, side: int, compiled: Program) -> Row:
        row, order = bench.measured(compiled, side**2), solver(side).order
        vector = 16.0 * side**2 * 2 * config.colors  # four real numbers a site and column
        streamed = VECTORS[what] * vector * order / 2
        bound = share(streamed, bench.ceilings().bandwidth, row["median"])
        return {**row, "moments": order, "bytes streamed": streamed, "share of streaming": bound}

    cases = {}
    for side, width, what in itertools.product(sorted(config.electrons), config.widths, VECTORS):
        series = f"{what}, {f'{width} columns at once' if width else 'all columns at once'}"
        cases[f"{series}, {side} x {side}"] = Case(
            series, side**2, functools.partial(make, what, side, width), functools.partial(measure, what, side)
        )
    return bench.section("electrons", 4.0, cases)


def exact(bench: Bench) -> Section:
    """Exact diagonalization: the whole field, and the eigenvectors of a random matrix of its size alone."""

    def make(what: str, side: int) -> Program:
        lattice, seed = js.square(side), bench.config.seed
        if what == "eigenvectors":
            parts = jax.random.normal(jax.random.key(seed), (2, 2 * side**2, 2 * side**2), jnp.float32)
            matrix = jax.lax.complex(parts[0], parts[1])
            return Program.of(jnp.linalg.eigh, (jax.device_put(matrix + matrix.conj().T, bench.device),))
        field = js.ExactDiagonalization(js.SDModel(lattice, 1.0, 1.0), filling=0.25, temperature=0.05)
        return program(lambda f, s: f.field(s), field, (spins_on(lattice, seed),), bench.device)

    cases = {
        f"{what}, {side} x {side}": Case(
            what,
            side**2,
            functools.partial(make, what, side),
            # the operations inside the library that diagonalizes are not counted
            lambda compiled, side=side: bench.measured(compiled, side**2, Ceilings()),
        )
        for side in sorted(bench.config.exact)
        for what in ("field", "eigenvectors")
    }
    return bench.section("exact", 2.0, cases, power=3)
