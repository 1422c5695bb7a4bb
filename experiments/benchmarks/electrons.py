"""Time, memory and error of the kernel-polynomial field of a random s-d model, beside the time to stream its vectors.

    python -m experiments.benchmarks.electrons --output FILE.json

J = 1, mu = -1, T = 0.05, single precision. Compilation apart; medians of several calls after a warm-up.
A *vector* holds all spinor components of all probing columns; the *triad* a = b + 1.5 c - d on three of them, timed
in the same run, reads three vectors and writes one. A *step* gives two Chebyshev moments. Errors are the root mean
square length of the error of a site's field: up to `exact_up_to` sites a side against exact diagonalization in double
precision, above against kernel polynomials with 16 times the colours and 1.5 times the order.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from experiments.stages import main_without_folder


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    square: tuple[int, ...] = (32, 64, 128, 256)
    """Sides of the square lattices."""
    triangular: tuple[int, ...] = (96,)
    """Sides of the triangular lattices."""
    colors: int = 64
    """Probing colours; twice as many columns."""
    tolerance: float = 1e-2
    """Of the Chebyshev series, which sets the number of moments."""
    exact_up_to: int = 32
    """Largest side compared with exact diagonalization."""
    error_up_to: int = 64
    """Largest side whose error is measured at all."""


def run(config: Config) -> list[dict[str, Any]]:
    """One row for each lattice."""
    config.check_output()
    rows = []
    for make, sides in ((js.square, config.square), (js.triangular, config.triangular)):
        for side in sides:
            rows.append(measure(config, make(side)))
            print(line(rows[-1]), flush=True)
    config.write({"rows": rows})
    return rows


def measure(config: Config, lattice: js.Lattice) -> dict[str, Any]:
    """Everything about one lattice."""
    spins = js.random_spins(lattice, key=jax.random.key(1), dtype=jnp.float32)
    kpm = solver(lattice, config.colors, config.tolerance)
    vector = jnp.ones((lattice.sites, 8 * config.colors), jnp.float32)
    triad = timed(jax.jit(lambda a, b, c: a + 1.5 * b - c), (vector, vector + 1, vector + 2), 4 * config.repeats)
    moments = timed(eqx.filter_jit(lambda s: kpm.moments(s)), (spins,), config.repeats)
    field = timed(jax.jit(lambda s: kpm.field(s)), (spins,), config.repeats)
    compiled = jax.jit(lambda s: kpm.field(s)).lower(spins).compile()
    memory = compiled.memory_analysis()
    step = moments["median"] / (kpm.order / 2)
    row = {
        "lattice": lattice.name,
        "side": lattice.cells[0],
        "sites": lattice.sites,
        "colours": int(kpm.probes.colors(lattice).max()) + 1,
        "moments": kpm.order,
        "field": field,
        "forward": moments,
        "triad": triad,
        "microseconds a site": 1e6 * field["median"] / lattice.sites,
        "step over triad": step / triad["median"],
        "field over forward": field["median"] / moments["median"],
        "memory in vectors": None if memory is None else memory.temp_size_in_bytes / vector.nbytes,
    }
    if lattice.cells[0] <= config.error_up_to:
        row |= error(config, lattice, spins, kpm)
    return row


def solver(lattice: js.Lattice, colors: int, tolerance: float, order: int | None = None) -> js.KernelPolynomial:
    """The model of the benchmark."""
    model = js.SDModel(lattice, 1.0, 1.0)
    return js.KernelPolynomial(
        model,
        chemical_potential=-1.0,
        temperature=0.05,
        probes=js.electrons.Coloring(colors),
        tolerance=tolerance,
        order=order,
    )


def error(config: Config, lattice: js.Lattice, spins: jax.Array, kpm: js.KernelPolynomial) -> dict[str, Any]:
    """Rms length of the field's error over sites and four draws of the phases, and what it was compared with."""
    if lattice.cells[0] <= config.exact_up_to:
        with jax.enable_x64(True):
            exact = js.ExactDiagonalization(js.SDModel(lattice), chemical_potential=-1.0, temperature=0.05)
            reference = np.asarray(exact.field(jnp.asarray(np.asarray(spins), jnp.float64)))
        against = "exact diagonalization"
    else:
        order = 2 * round(0.75 * kpm.order)
        better = solver(lattice, 16 * config.colors, config.tolerance, order)
        # one block of columns at a time would do as well: the phases are what matters
        reference = np.asarray(eqx.filter_jit(lambda s: better.field(s))(spins))
        against = f"{16 * config.colors} colours, {order} moments"
    found = eqx.filter_jit(lambda s, k: kpm.field(s, key=k))
    squares = [
        np.mean(np.sum((np.asarray(found(spins, jax.random.key(n))) - reference) ** 2, axis=-1)) for n in range(4)
    ]
    return {
        "field rms": float(np.sqrt(np.mean(np.sum(reference**2, axis=-1)))),
        "rms error": float(np.sqrt(np.mean(squares))),
        "compared with": against,
    }


def line(row: dict[str, Any]) -> str:
    """A row for people."""
    memory = row["memory in vectors"]
    return (
        f"{row['lattice']:>10s} {row['side']:4d}  {row['colours']:4d} colours {row['moments']:4d} moments"
        f"  field {row['field']['median']:8.3f} s  {row['microseconds a site']:6.1f} us a site"
        f"  step/triad {row['step over triad']:5.2f}  field/forward {row['field over forward']:4.2f}"
        f"  memory {'?' if memory is None else f'{memory:.1f}'} vectors"
        + (f"  error {row['rms error']:.2e} of {row['field rms']:.2f}" if "rms error" in row else "")
    )


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
