"""Time and memory of learnt fields of the square s-d model against the lattice's size, beside the electrons' own.

    python -m experiments.benchmarks.forcefield --output FILE.json

Random spins, J = 1, chemical potential -1, T = 0.05, single precision; compilation apart; median of several calls after
a warm-up, each waited for. The learnt fields have untrained weights, whose time is that of trained ones. Memory is what
the compiled program needs beside its arguments and results.
"""

import dataclasses

import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from experiments.stages import main_without_folder


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    sizes: tuple[int, ...] = (32, 64, 256, 1024)
    """Sides of the lattices."""
    moments: tuple[tuple[int, int], ...] = ((2, 16), (3, 24))
    """(hops, moments) of the descriptors made of the electrons' moments."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the networks' layers."""
    electrons: tuple[tuple[int, int], ...] = ((4, 15), (5, 17))
    """Hops and steps of the recursion of `LocalElectrons`."""
    exact_up_to: int = 32
    """Largest side for exact diagonalization."""
    kpm_up_to: int = 64
    """Largest side for the kernel-polynomial field."""
    tolerances: tuple[float, ...] = (1e-2, 1e-3)
    """Of kernel-polynomial fields: rms errors of a site's field. The looser is that of a learnt field in a metal, the
    tighter one of labels that a better field can be trained on."""


def run(config: Config) -> list[dict[str, float | str]]:
    """One row per field and size."""
    config.check_output()
    rows: list[dict[str, float | str]] = []
    for size in config.sizes:
        lattice = js.square(size)
        spins = js.random_spins(lattice, key=jax.random.key(size), dtype=jnp.float32)
        for name, field in fields(config, lattice).items():
            compiled = jax.jit(lambda s, field=field: field.field(s)).lower(spins).compile()
            memory = getattr(compiled.memory_analysis(), "temp_size_in_bytes", float("nan"))
            row = {"field": name, "side": size, "sites": lattice.sites, **timed(compiled, (spins,), config.repeats)}
            row["microseconds a site"] = 1e6 * float(row["median"]) / lattice.sites
            row["bytes a site"] = memory / lattice.sites
            rows.append(row)
            print(
                f"{name:32s} {size:5d} x {size:<5d} {1e3 * float(row['median']):10.2f} ms "
                f"{row['microseconds a site']:9.3f} us and {row['bytes a site']:8.0f} B a site",
                flush=True,
            )
    config.write({"rows": rows})
    return rows


def fields(config: Config, lattice: js.Lattice) -> dict[str, js.AbstractPotential]:
    """What to time on a lattice, by name."""
    chosen: dict[str, js.AbstractPotential] = {"learnt, bispectrum": js.BehlerParrinello(lattice, hidden=config.hidden)}
    for hops, moments in config.moments:
        described = js.LocalMoments(lattice, 1.0, hops=hops, moments=moments, weights=False)
        name = f"learnt, {moments} moments, {hops} hops"
        chosen[name] = js.BehlerParrinello(descriptor=described, hidden=config.hidden)
    for hops, steps in config.electrons:
        filled = js.LocalElectrons(lattice, 1.0, filling=0.3, hops=hops, steps=steps)
        chosen[f"learnt, electrons, {hops} hops, {steps} steps"] = js.BehlerParrinello(
            descriptor=filled, hidden=config.hidden
        )
    model = js.SDModel(lattice, 1.0, 1.0)
    if lattice.cells[0] <= config.kpm_up_to:
        for tolerance in config.tolerances:
            chosen[f"kernel polynomials to {tolerance:g}"] = js.KernelPolynomial(
                model, chemical_potential=-1.0, temperature=0.05, tolerance=tolerance
            )
    if lattice.cells[0] <= config.exact_up_to:
        chosen["exact"] = js.ExactDiagonalization(model, chemical_potential=-1.0, temperature=0.05)
    return chosen


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
