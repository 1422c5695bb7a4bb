"""Time of one field of the triangular s-d model (J = 3, n = 0.25, T = 0.05): exact, kernel polynomials, learnt.

    python -m experiments.benchmarks.fields --output FILE.json

Single precision; compilation apart; median of several calls after a warm-up, each waited for.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from experiments.stages import main_without_folder


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    sizes: tuple[int, ...] = (12, 24, 48, 96, 192)
    """Sides of the lattices."""
    exact_up_to: int = 24
    """Largest side for exact diagonalization."""
    kpm_up_to: int = 48
    """Largest side for the kernel-polynomial field."""
    colors: int = 64
    """Its probing colours."""


def run(config: Config) -> list[dict[str, float | str]]:
    """One row per field and size."""
    config.check_output()
    rows: list[dict[str, float | str]] = []
    for size in config.sizes:
        lattice = js.triangular(size)
        model = js.SDModel(lattice, 1.0, 3.0)
        spins = js.random_spins(lattice, key=jax.random.key(size), dtype=jnp.float32)
        fields: dict[str, js.AbstractPotential] = {"learnt": js.BehlerParrinello(lattice, hidden=(64, 32))}
        if size <= config.exact_up_to:
            fields["exact"] = js.ExactDiagonalization(model, filling=0.25, temperature=0.05)
        if size <= config.kpm_up_to:
            probes = js.electrons.Coloring(config.colors)
            fields["kernel polynomials"] = js.KernelPolynomial(
                model, filling=0.25, temperature=0.05, probes=probes, tolerance=1e-2
            )
        for name, field in fields.items():
            jitted = eqx.filter_jit(field.field)
            row = {"field": name, "side": size, "sites": lattice.sites, **timed(jitted, (spins,), config.repeats)}
            row["microseconds a site"] = 1e6 * float(row["median"]) / lattice.sites
            rows.append(row)
            print(
                f"{name:20s} {size:4d} x {size:<4d} {1e3 * float(row['median']):10.2f} ms "
                f"{row['microseconds a site']:9.3f} us a site   compile {row['compile']:.1f} s",
                flush=True,
            )
    config.write({"rows": rows})
    return rows


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
