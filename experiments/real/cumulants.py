"""Binder cumulants of independent runs, and where those of two sizes cross."""

from typing import Any

import numpy as np

DRAWN = 400


def cumulant(squares: np.ndarray, fourths: np.ndarray) -> np.ndarray:
    """U = 1 - <m^4>/(3 <m^2>^2) of `(temperature, copy)`, averages over the copies: 2/3 ordered, 4/9 disordered."""
    return 1 - np.mean(fourths, -1) / (3 * np.mean(squares, -1) ** 2)


def crossing(small: dict[str, Any], large: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The temperature where parabolas through the cumulants of two sizes meet, and the cumulant there.

    The error is the scatter over sets of copies drawn with replacement; None where the curves do not cross once in
    the range of temperatures, `missing` being the share of the draws in which they do not.
    """
    temperatures = np.asarray(small["temperatures"], float)
    rows = [[np.asarray(row[name], float) for name in ("m^2", "m^4")] for row in (small, large)]

    def at(chosen: list[np.ndarray]) -> tuple[float, float] | None:
        curves = [
            np.polyfit(temperatures, cumulant(a[:, n], b[:, n]), 2) for (a, b), n in zip(rows, chosen, strict=True)
        ]
        roots = np.roots(curves[1] - curves[0])
        real = roots[np.isreal(roots)].real
        inside = real[(real >= temperatures.min()) & (real <= temperatures.max())]
        return (float(inside[0]), float(np.polyval(curves[0], inside[0]))) if len(inside) == 1 else None

    copies = [a.shape[1] for a, _ in rows]
    best = at([np.arange(n) for n in copies])
    drawn = [at([rng.integers(0, n, n) for n in copies]) for _ in range(DRAWN)]
    kept = np.array([found for found in drawn if found is not None])
    error = kept.std(0, ddof=1) if len(kept) > 1 else (None, None)
    return {
        "T_c": None if best is None else best[0],
        "error of T_c": error[0],
        "cumulant": None if best is None else best[1],
        "error of the cumulant": error[1],
        "missing": 1 - len(kept) / DRAWN,
    }
