"""Torque error against the time of a field: learnt fields, kernel polynomials tuned to each error, and the exact one.

    python -m experiments.benchmarks.frontier --output FILE.json           # half an hour on two cores; a figure beside
    python -m experiments.benchmarks.frontier --cases triangular-metal --forcefields FOLDER --output FILE.json

For each kind of electrons: exact labels of a whole quench, which the exact field drives from random spins that no force
field of the package has seen, and of random spins. On these the torque error (rms over rms) of every force field of the
package that learnt these electrons, and of those in `forcefields`; and the kernel polynomials with the fewest colours
and moments that miss no more than each of `errors` of the quench. Times are those of one field on a larger lattice, in
single precision, compilation apart, median of several calls. "times faster" is against a series of equal error, whose
time is interpolated between the tuned ones, logarithm against logarithm. What is measured is written after each case;
the same command with `--resume` goes on with the cases that are not in the file.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.benchmarks.frontier_figures import draw
from experiments.benchmarks.report import Report
from experiments.benchmarks.series import cheapest, time_at, time_of, vectors
from experiments.benchmarks.timing import microseconds_a_site
from experiments.stages import Electrons, main_without_folder
from experiments.stages.checks import check_counts
from experiments.stages.learning import trained_for
from experiments.stages.torques import relative_error, rms_torque
from jaxspin.forcefield import load_metadata
from jaxspin.io import load_json

Case = Literal["insulator", "triangular-metal", "double-exchange", "random-square"]
CASES: dict[str, Electrons] = {
    "insulator": Electrons("triangular", coupling=4.0, filling=0.5, temperature=0.05),
    "triangular-metal": Electrons("triangular", coupling=3.0, filling=0.25, temperature=0.05),
    "double-exchange": Electrons("square", coupling=6.0, filling=0.485, temperature=0.0027),
    "random-square": Electrons("square", coupling=3.5, filling=0.48, temperature=0.01),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Report):
    """What to measure."""

    cases: tuple[Case, ...] = ("insulator", "triangular-metal", "double-exchange", "random-square")
    """Electrons."""
    forcefields: tuple[Path, ...] = ()
    """Folders of more force fields; each is measured in the case that it was trained for."""
    errors: tuple[float, ...] = (0.4, 0.2, 0.1, 0.05, 0.02)
    """Torque errors to which kernel polynomials are tuned."""
    compared_on: int = 24
    """Side of the lattice of exact diagonalization."""
    side: int = 64
    """Side of the lattice on which fields are timed."""
    duration: float = 60.0
    """Of the held-out quench, damping 0.5, steps of 2."""
    frames: int = 5
    """Configurations of it."""
    random: int = 3
    """Random configurations."""
    longest: float = 30.0
    """Seconds of a call above which a series is timed with fewer moments, in proportion to which its time grows."""
    seed: int = 1000
    """Of the held-out spins."""
    resume: bool = False
    """Go on with the cases that the file does not hold."""

    def __post_init__(self):
        check_counts(self, "frames", "random", "compared_on", "side")
        if not self.errors or not all(0 < e < 1 for e in self.errors):
            raise ValueError(f"errors are fractions of the torque between 0 and 1, got {self.errors}; use 0.1.")
        for folder in self.forcefields:
            load_metadata(folder)


def run(config: Config) -> dict[str, Any]:
    """What was found of each case."""
    found: dict[str, Any] = {}
    if config.resume and config.output is not None and config.output.exists():
        found = load_json(config.output)["cases"]
    else:
        config.check_output(".png")
    for name in config.cases:
        if name not in found:
            print(f"--- {name}", flush=True)
            found[name] = measured(config, CASES[name])
            config.write({"cases": found})
    if config.output is not None:
        draw(config.output.with_suffix(".png"), found)
    return found


def measured(config: Config, electrons: Electrons) -> dict[str, Any]:
    """Rows of learnt fields, of series and of the exact field of one kind of electrons."""
    exact = electrons.exact(config.compared_on)
    kinds = held_out(config, exact)
    labels = {kind: np.asarray(jnp.stack([exact.field(s) for s in spins])) for kind, spins in kinds.items()}
    large = electrons.on(config.side)
    found: dict[str, Any] = {"electrons": dataclasses.asdict(electrons), "learnt": [], "series": []}
    found["rms torque"] = {kind: rms_torque(kinds[kind], labels[kind]) for kind in kinds}
    found["exact"] = {"side": config.compared_on, "microseconds a site": microseconds_a_site(exact, exact.lattice, 3)}
    model, colours = js.SDModel(exact.lattice, 1.0, electrons.coupling), 4
    # the last frame and one before: enough to tune with, and all are quoted
    some = kinds["quench"][-2:], labels["quench"][-2:]
    for error in sorted(config.errors, reverse=True):
        solver, colours = cheapest(model, electrons, *some, error, colours)
        row: dict[str, Any] = {"asked": error, "moments": solver.order, "vectors": vectors(solver), "colours": colours}
        row |= {kind: relative_error(solver, kinds[kind], labels[kind]) for kind in kinds}
        row["microseconds a site"], row["extrapolated"] = time_of(solver.on(large), config.repeats, config.longest)
        found["series"].append(row)
        print_row(row)
    for name, learnt in trained_for(electrons, config.forcefields).items():
        small = learnt.on(exact.lattice)
        row = {"name": name} | {kind: relative_error(small, kinds[kind], labels[kind]) for kind in kinds}
        row["microseconds a site"] = microseconds_a_site(learnt.on(large), large, max(5, config.repeats))
        row["series of equal error, microseconds a site"] = equal = time_at(found["series"], row["quench"])
        row["times faster"] = None if equal is None else equal / row["microseconds a site"]
        row["times faster than exact"] = found["exact"]["microseconds a site"] / row["microseconds a site"]
        found["learnt"].append(row)
        print_row(row)
    return found


def held_out(config: Config, exact: js.ExactDiagonalization) -> dict[str, jax.Array]:
    """Frames of a quench of the exact field, and random spins."""
    keys = jax.random.split(jax.random.key(config.seed), config.random + 1)
    start = js.random_spins(exact.lattice, key=keys[0], dtype=jnp.float32)
    interval = config.duration / config.frames
    step = interval / math.ceil(interval / 2)
    print("exact quench", flush=True)
    quench = js.simulate(exact, start, duration=config.duration, step=step, damping=0.5, save_every=interval)
    assert quench.spins is not None
    others = [js.random_spins(exact.lattice, key=key, dtype=jnp.float32) for key in keys[1:]]
    return {"quench": jnp.asarray(quench.spins[1:]), "random": jnp.stack(others)}


def print_row(row: dict[str, Any]) -> None:
    name = row.get("name", f"{row.get('vectors')} vectors, {row.get('moments')} moments")
    errors = ", ".join(f"{kind} {100 * row[kind]:.1f} %" for kind in ("quench", "random"))
    faster = f", {row['times faster']:.1f} times faster than a series" if row.get("times faster") else ""
    print(f"{name:32s} {errors}, {row['microseconds a site']:.1f} us a site{faster}", flush=True)


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
