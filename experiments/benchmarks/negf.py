"""Time of the field of a driven channel against its length, its width and the number of energies; dense, and learnt.

    python -m experiments.benchmarks.negf --output FILE.json

Wide-band leads and a bath, J = 3.8, T = 0.02. "density" takes the same 76 energies in every row (16 poles of the
equilibrium and the window's first panels, the tolerance being loose), so that rows compare the cost of an energy;
"field" has the tolerance of a run, and says how many energies that took. Compilation apart; median of several calls
after a warm-up, each waited for. "learnt" rows are force fields that come with the package, on the last channel.
Compare rows of one table only: they were taken one after another on one machine.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from experiments.stages import main_without_folder
from experiments.stages.channel import Channel


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    lengths: tuple[int, ...] = (8, 16, 32)
    """Cells along the channel, at the first of `widths`."""
    widths: tuple[int, ...] = (8, 16)
    """Cells across, at the second of `lengths`."""
    dense_up_to: int = 128
    """Most sites for the dense version."""
    tolerances: tuple[float, ...] = (1e-2, 1e-4)
    """Of the density matrix of the last channel."""
    channel: tuple[int, int] = (32, 24)
    """Its size."""
    repeats: int = 3
    learnt: tuple[str, ...] = ("driven-channel", "driven-channel-fast")
    """Names of pretrained force fields to time too."""


def solver_of(length: int, width: int, **settings) -> js.GreensFunction:
    """A channel between wide-band leads, periodic across."""
    channel = Channel(length=length, width=width, mu=-3.2, temperature=0.02)
    return channel.around(channel.model, 0.2, **settings)


def run(config: Config) -> list[dict[str, float | str]]:
    """One row for each size, method and tolerance."""
    config.check_output()
    # a loose tolerance leaves the panels as they are at first: the same energies for all
    fixed = {"tolerance": 0.5, "poles": 16}
    cases = [("density", length, config.widths[0], "recursive", fixed) for length in config.lengths]
    cases += [("density", config.lengths[1], width, "recursive", fixed) for width in config.widths[1:]]
    cases += [
        ("density", length, width, "dense", {**fixed, "method": "dense"})
        for _, length, width, _, _ in list(cases)
        if length * width <= config.dense_up_to
    ]
    cases += [("field", *config.channel, "recursive", {"tolerance": tolerance}) for tolerance in config.tolerances]
    rows: list[dict[str, float | str]] = []
    for what, length, width, method, settings in cases:
        solver = solver_of(length, width, **settings)
        spins = js.random_spins(solver.lattice, key=jax.random.key(0), dtype=jnp.float32)
        jitted = eqx.filter_jit(solver.field if what == "field" else solver.density)
        row: dict[str, float | str] = {"what": what, "length": length, "width": width, "method": method}
        row |= {"tolerance": solver.tolerance, "poles": solver.poles, **timed(jitted, (spins,), config.repeats)}
        row["energies"] = solver.energies_used(spins) if what == "field" else 76
        rows.append(row)
        print(
            f"{what:8s} {length:3d} x {width:<3d} {method:10s} tolerance {solver.tolerance:7.0e} "
            f"{1e3 * float(row['median']):10.1f} ms   compile {row['compile']:.1f} s",
            flush=True,
        )
    exact = rows[-1]
    rows += [learnt_row(config, name, exact) for name in config.learnt]
    config.write({"rows": rows})
    return rows


def learnt_row(config: Config, name: str, exact: dict[str, float | str]) -> dict[str, float | str]:
    """A learnt field where the row `exact` has that of the Green's functions."""
    lattice = js.square(*config.channel, periodic=(False, True))
    model = js.pretrained(name, lattice)
    spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
    row: dict[str, float | str] = {"what": "learnt", "length": config.channel[0], "width": config.channel[1]}
    row |= {"force field": name, **timed(eqx.filter_jit(model.field), (spins,), 5 * config.repeats)}
    row["times faster"] = float(exact["median"]) / float(row["median"])
    print(f"{name} {1e3 * float(row['median']):.1f} ms, {row['times faster']:.0f} times faster", flush=True)
    return row


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
