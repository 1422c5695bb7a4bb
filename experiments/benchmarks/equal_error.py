"""Learnt fields against kernel polynomials of the same error, and of the accuracy of labels to learn from.

    python -m experiments.benchmarks.equal_error --output FILE.json

For the electrons that each force field of the package was trained on, on random spins and on those of a learnt quench:
its torque error against exact diagonalization of a small lattice; the kernel polynomials with the fewest colours and
moments whose torque error against the same is no larger, or no larger than that of labels; and the time of both fields
on a large lattice. Single precision; compilation apart; median of several calls after a warm-up, each waited for.
Kernel polynomials that would take longer than `longest` are timed with fewer moments, in proportion to which their time
grows, and say so ("extrapolated").
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from tqdm import tqdm

import jaxspin as js
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from experiments.stages import main_without_folder
from jaxspin.forcefield import pretrained, pretrained_metadata


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to time."""

    names: tuple[str, ...] = (
        "triangular-120",
        "triangular-tetrahedral",
        "triangular-tetrahedral-fast",
        "double-exchange",
        "double-exchange-fast",
    )
    """Pretrained force fields of electrons in equilibrium."""
    labels: float = 0.01
    """Torque error of labels, in units of the rms torque."""
    compared_on: int = 24
    """Side of the lattice of exact diagonalization."""
    side: int = 64
    """Side of the lattice on which fields are timed."""
    duration: float = 20.0
    """Of the learnt quench from random spins, damping 0.5."""
    repeats: int = 3
    """Calls of the kernel polynomials that are timed; of a learnt field no fewer than five."""
    longest: float = 60.0
    """Seconds of a call above which fewer moments are timed."""


def run(config: Config) -> list[dict[str, float | str]]:
    """One row per force field and kind of spins."""
    config.check_output()
    rows = [row for name in config.names for row in compared(config, name)]
    config.write({"rows": rows})
    return rows


def compared(config: Config, name: str) -> list[dict[str, float | str]]:
    """The rows of one force field."""
    params = pretrained_metadata(name)["params"]
    kind = {"triangular": js.triangular, "square": js.square}[params["lattice"].split()[0]]
    small, large = kind(config.compared_on), kind(config.side)
    electrons = {"filling": params["filling"], "temperature": params["temperature"]}
    model = js.SDModel(small, params["hopping"], params["coupling"])
    learnt, exact = pretrained(name, small), js.ExactDiagonalization(model, **electrons)
    own = clock(pretrained(name, large), large, max(5, config.repeats))
    times: dict[tuple[int, int], tuple[float, bool]] = {}
    rows = []
    for spins_are, spins in configurations(config, learnt, small).items():
        reference = eqx.filter_jit(exact.field)(spins)
        size = rms_torque(spins, reference)
        error = rms_torque(spins, learnt.field(spins) - reference)
        row: dict[str, float | str] = {"force field": name, "spins": spins_are, "rms torque": size, "error": error}
        row["time"] = own
        print(f"{name}, {spins_are}: torque {size:.2g}, error {error:.2g}, {1e3 * own:.1f} ms")
        for kind_of, allowed in {"equal": error, "labels": config.labels * size}.items():
            solver, reached = cheapest(model, electrons, spins, reference, allowed)
            series = (2 * int(solver.probes.colors(small).max()) + 2, solver.order)
            if series not in times:
                times[series] = of_series(config, solver.on(large), large)
            seconds, extrapolated = times[series]
            ratio = seconds / own
            found = {"error": reached, "vectors": series[0], "moments": series[1], "time": seconds}
            found["extrapolated"] = extrapolated
            row |= {f"{kind_of}: {key}": value for key, value in found.items()} | {f"{kind_of}: times faster": ratio}
            print(
                f"  {kind_of}: error {reached:.2g}, {series[0]} vectors, {series[1]} moments, "
                f"{1e3 * seconds:.0f} ms{' (extrapolated)' if extrapolated else ''}: {ratio:.1f} times faster",
                flush=True,
            )
        rows.append(row)
    return rows


def cheapest(
    model: js.SDModel, electrons: dict[str, Any], spins: jax.Array, reference: jax.Array, error: float
) -> tuple[js.KernelPolynomial, float]:
    """Kernel polynomials with the fewest colours and then moments, in steps of 2/3, of this torque error or less."""

    bar = tqdm(desc=f"kernel polynomials to {error:.2g}", unit="series", leave=False)

    def tried(colours: int, order: int | None) -> tuple[js.KernelPolynomial, float]:
        bar.update()
        enough = colours >= model.lattice.sites
        probes = js.electrons.ExactTrace() if enough else js.electrons.Coloring(colours)
        solver = js.KernelPolynomial(model, probes=probes, order=order, tolerance=error, **electrons)
        return solver, rms_torque(spins, eqx.filter_jit(solver.field)(spins) - reference)

    colours = 8
    best = tried(colours, None)
    while best[1] > error and colours < model.lattice.sites:
        colours = 3 * colours // 2
        best = tried(colours, None)
    order = best[0].order
    while order > 8:
        order = 2 * (order // 3)
        fewer = tried(colours, order)
        if fewer[1] > error:
            break
        best = fewer
    bar.close()
    return best


def configurations(config: Config, learnt: js.AbstractPotential, lattice: js.Lattice) -> dict[str, jax.Array]:
    """Random spins, and those that a quench has made of them."""
    start = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
    quench = js.simulate(learnt, start, duration=config.duration, step=0.5, damping=0.5, progress=False)
    assert quench.spins is not None
    return {"random": start, "quench": quench.spins[-1]}


def clock(field: js.AbstractPotential, lattice: js.Lattice, repeats: int) -> float:
    """Seconds of a field on random spins."""
    spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
    return timed(eqx.filter_jit(field.field), (spins,), repeats)["median"]


def of_series(config: Config, solver: js.KernelPolynomial, lattice: js.Lattice) -> tuple[float, bool]:
    """Seconds of kernel polynomials, and whether they are those of fewer moments, multiplied."""
    order = min(solver.order, 64)
    fewer = js.KernelPolynomial(
        solver.model, filling=solver.filling, temperature=solver.temperature, probes=solver.probes, order=order
    )
    part = clock(fewer, lattice, 1) * solver.order / order
    return (part, True) if part > config.longest else (clock(solver, lattice, config.repeats), False)


def rms_torque(spins: jax.Array, field: jax.Array) -> float:
    """Root mean square length of the torque of a field."""
    return float(jnp.sqrt(jnp.mean(jnp.sum(jnp.cross(spins, field) ** 2, -1))))


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
