"""Kernel polynomials tuned to an error: the cheapest series that misses no more, its time, and that of any error."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.benchmarks.timing import microseconds_a_site
from experiments.stages import Electrons
from experiments.stages.torques import relative_error, rms_torque


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


def time_of(solver: js.KernelPolynomial, repeats: int, longest: float) -> tuple[float, bool]:
    """Microseconds a site, and whether they are those of fewer moments, in proportion to which they grow.

    Fewer are timed where a call would take more than `longest` seconds.
    """
    order = min(solver.order, 64)
    fewer = js.KernelPolynomial(
        solver.model, filling=solver.filling, temperature=solver.temperature, probes=solver.probes, order=order
    )
    part = microseconds_a_site(fewer, solver.lattice, 1) * solver.order / order
    if 1e-6 * part * solver.lattice.sites > longest:
        return part, True
    return microseconds_a_site(solver, solver.lattice, repeats), False


def time_at(series: Sequence[dict[str, Any]], error: float) -> float | None:
    """Microseconds a site of a series that misses `error` of a quench; None outside what was tuned."""
    errors, times = (np.array([row[name] for row in series]) for name in ("quench", "microseconds a site"))
    order = np.argsort(errors)
    errors, times = errors[order], np.minimum.accumulate(times[order])
    if not errors[0] <= error <= errors[-1]:
        return None
    return float(np.exp(np.interp(np.log(error), np.log(errors), np.log(times))))
