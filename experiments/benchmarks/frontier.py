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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.benchmarks.frontier_figures import draw
from experiments.benchmarks.report import Report
from experiments.benchmarks.timing import timed
from experiments.stages import Electrons, main_without_folder
from experiments.stages.checks import check_counts
from experiments.stages.learning import same_setting
from jaxspin.forcefield import load, load_metadata, pretrained, pretrained_metadata, pretrained_names
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
    found["exact"] = {"side": config.compared_on, "microseconds a site": clock(exact, exact.lattice, 3)}
    colours = 4
    for error in sorted(config.errors, reverse=True):
        row = tuned(config, electrons, kinds, labels, error, colours)
        colours = row["colours"]
        found["series"].append(row)
        print_row(found["series"][-1])
    for name, model in forcefields(config, electrons).items():
        small = model.on(exact.lattice)
        row: dict[str, Any] = {"name": name}
        row |= {kind: relative_error(small, kinds[kind], labels[kind]) for kind in kinds}
        row["microseconds a site"] = clock(model.on(large), large, max(5, config.repeats))
        equal = time_of_series(found["series"], row["quench"])
        row["series of equal error, microseconds a site"] = equal
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


def forcefields(config: Config, electrons: Electrons) -> dict[str, Any]:
    """Those of the package and of the settings that were trained for these electrons."""
    known = {name: (pretrained_metadata(name), None) for name in pretrained_names()}
    known |= {folder.name: (load_metadata(folder), folder) for folder in config.forcefields}
    found = {}
    for name, (metadata, folder) in known.items():
        params = metadata.get("params", {})
        same = all(same_setting(params.get(k, ""), v) for k, v in dataclasses.asdict(electrons).items())
        if same:
            found[name] = pretrained(name) if folder is None else load(folder)
        elif folder is not None:
            print(f"{name} was trained for other electrons than these", flush=True)
    return found


# --- kernel polynomials ---------------------------------------------------------------------------------------------


def tuned(
    config: Config,
    electrons: Electrons,
    kinds: dict[str, jax.Array],
    labels: dict[str, np.ndarray],
    error: float,
    colours: int,
) -> dict[str, Any]:
    """The cheapest series of at least so many colours that misses no more of the quench's torque, and its time."""
    model = js.SDModel(electrons.on(config.compared_on), 1.0, electrons.coupling)
    # the last frame and one before: enough to tune with, and all are quoted
    some = kinds["quench"][-2:], labels["quench"][-2:]
    solver, colours = cheapest(model, electrons, *some, error, colours)
    row: dict[str, Any] = {"asked": error, "moments": solver.order, "vectors": vectors(solver), "colours": colours}
    row |= {kind: relative_error(solver, kinds[kind], labels[kind]) for kind in kinds}
    time, extrapolated = of_series(config, solver.on(electrons.on(config.side)))
    return row | {"microseconds a site": time, "extrapolated": extrapolated}


def cheapest(
    model: js.SDModel, electrons: Electrons, spins: jax.Array, labels: np.ndarray, error: float, colours: int
) -> tuple[js.KernelPolynomial, int]:
    """Kernel polynomials that miss no more with the fewest vectors times moments, and the fewest colours that can.

    Colours grow in steps of 3/2 until they can, with moments to spare; then moments fall in steps of 2/3. More colours
    need fewer moments: those are tried that would cost less.
    """
    state: dict[str, Any] = {"filling": electrons.filling, "temperature": electrons.temperature}
    tolerance = error * rms_torque(spins, labels) / 2
    bar = tqdm(desc=f"series that misses {100 * error:.0f} %", unit="series", leave=False)

    def tried(colours: int, order: int | None) -> tuple[js.KernelPolynomial, float]:
        bar.update()
        enough = colours >= model.lattice.sites
        probes = js.electrons.ExactTrace() if enough else js.electrons.Coloring(colours)
        solver = js.KernelPolynomial(model, probes=probes, order=order, tolerance=tolerance, **state)
        return solver, relative_error(solver, spins, labels)

    best, missed = tried(colours, None)
    while missed > error and colours < model.lattice.sites:
        colours = 3 * colours // 2
        best, missed = tried(colours, None)
    more, fewest = colours, colours
    while more < model.lattice.sites:
        # the largest even order that costs less than the best
        order = 2 * (best.order // 3) if more == fewest else 2 * int(0.45 * best.order * vectors(best) / (2 * more + 2))
        improved = False
        while order >= 8:
            fewer, missed = tried(more, order)
            if missed > error:
                break
            best, improved = fewer, True
            order = 2 * (order // 3)
        if more > fewest and not improved:
            break
        more = 3 * more // 2
    bar.close()
    return best, fewest


def vectors(solver: js.KernelPolynomial) -> int:
    """Columns that are multiplied by H: two a colour."""
    return 2 * int(np.max(solver.probes.colors(solver.lattice))) + 2


def of_series(config: Config, solver: js.KernelPolynomial) -> tuple[float, bool]:
    """Microseconds a site, and whether they are those of fewer moments, multiplied."""
    order = min(solver.order, 64)
    fewer = js.KernelPolynomial(
        solver.model, filling=solver.filling, temperature=solver.temperature, probes=solver.probes, order=order
    )
    part = clock(fewer, solver.lattice, 1) * solver.order / order
    if 1e-6 * part * solver.lattice.sites > config.longest:
        return part, True
    return clock(solver, solver.lattice, config.repeats), False


def time_of_series(series: Sequence[dict[str, Any]], error: float) -> float | None:
    """Microseconds a site of a series that misses `error` of the quench; None outside what was tuned."""
    errors, times = (np.array([row[name] for row in series]) for name in ("quench", "microseconds a site"))
    order = np.argsort(errors)
    errors, times = errors[order], np.minimum.accumulate(times[order])
    if not errors[0] <= error <= errors[-1]:
        return None
    return float(np.exp(np.interp(np.log(error), np.log(errors), np.log(times))))


# --- errors and times -----------------------------------------------------------------------------------------------


def relative_error(field: js.AbstractField, spins: jax.Array, labels: np.ndarray) -> float:
    """rms torque error over rms torque of several configurations."""
    own = jnp.stack([field.field(s) for s in spins])
    return rms_torque(spins, own - labels) / rms_torque(spins, labels)


def clock(field: js.AbstractField, lattice: js.Lattice, repeats: int) -> float:
    """Microseconds a site of a field on random spins."""
    spins = js.random_spins(lattice, key=jax.random.key(0), dtype=jnp.float32)
    return 1e6 * timed(eqx.filter_jit(field.field), (spins,), repeats)["median"] / lattice.sites


def rms_torque(spins: Any, field: Any) -> float:
    """Root mean square length of the torque of a field."""
    return float(np.sqrt(np.mean(np.sum(np.cross(np.asarray(spins), np.asarray(field)) ** 2, -1))))


def print_row(row: dict[str, Any]) -> None:
    name = row.get("name", f"{row.get('vectors')} vectors, {row.get('moments')} moments")
    errors = ", ".join(f"{kind} {100 * row[kind]:.1f} %" for kind in ("quench", "random"))
    faster = f", {row['times faster']:.1f} times faster than a series" if row.get("times faster") else ""
    print(f"{name:32s} {errors}, {row['microseconds a site']:.1f} us a site{faster}", flush=True)


if __name__ == "__main__":
    main_without_folder(Config, run, __doc__)
