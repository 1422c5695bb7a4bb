"""J and n by least squares from the spins of a trajectory, and the misfit around them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit

# Spins at all observed times as a function of (J, n), or their derivatives.
Model = Callable[[np.ndarray], np.ndarray]


def fit(trajectory: Model, slopes: Model, seen: np.ndarray, start: np.ndarray) -> dict[str, Any]:
    """The least squares of the misfit from one start, with its path; n runs on a scale without ends."""
    path = []

    def inside(y):
        return np.array([y[0], expit(y[1])])

    def residual(y):
        path.append(inside(y).tolist())
        return trajectory(inside(y)) - seen

    def derivative(y):
        n = inside(y)[1]
        return slopes(inside(y)) * np.array([1.0, n * (1 - n)])

    begin = np.array([start[0], np.log(start[1] / (1 - start[1]))])
    found = least_squares(residual, begin, jac=derivative, method="lm", max_nfev=60)  # pyright: ignore[reportArgumentType]
    return {"found": inside(found.x), "misfit": np.sqrt(np.mean(found.fun**2)), "path": path, "evaluations": found.nfev}


def misfits(
    trajectory: Model, seen: np.ndarray, ranges: tuple[float, float, float, float], points: int
) -> dict[str, Any]:
    """The rms misfit on a grid of J and n, between least and largest of each."""
    first, last, low, high = ranges
    couplings, fillings = np.linspace(first, last, points), np.linspace(low, high, points)
    table = [[float(np.sqrt(np.mean((trajectory(np.array([j, n])) - seen) ** 2))) for j in couplings] for n in fillings]
    return {"J": couplings, "n": fillings, "rms misfit": table}
