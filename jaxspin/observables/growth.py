"""Growth of domains after a quench: the exponent of a power law L(t) = L0 + c t^a, with its error."""

import dataclasses

import numpy as np
from jaxtyping import ArrayLike

# Exponents tried, finer than any error bar here. With an offset a small or negative one cannot be told from it.
_EXPONENTS = np.linspace(-1.0, 2.0, 151)
_BESIDE_OFFSET = _EXPONENTS[_EXPONENTS > 0.09]
_RESAMPLES = 50


@dataclasses.dataclass(frozen=True)
class Growth:
    """L(t) = offset + rate t^exponent, what `fit_growth` returns.

    - `exponent`, `error`: a, and both errors below together; infinite where the best exponent is the last one tried.
    - `seed_error`: the standard deviation over resampled seeds, NaN for a single seed.
    - `window_error`: the standard deviation over where the fit begins.
    - `offset`, `rate`: L0 in units of the lengths, c in units of length/time^exponent.
    - `window`: the first and the last time that were fitted.

    A record, without checks of its own. `error` is of the fit alone: whether the law holds is seen in other windows.

    Example:
        >>> times = np.linspace(1.0, 100.0, 50)
        >>> growth = js.observables.fit_growth(times, 2.0 * times**0.5, (5, 100), offset=False)
        >>> round(growth.exponent, 2), round(growth.rate, 2)
        (0.5, 2.0)
    """

    exponent: float
    error: float
    seed_error: float
    window_error: float
    offset: float
    rate: float
    window: tuple[float, float]


def fit_growth(
    times: ArrayLike, lengths: ArrayLike, window: tuple[float | int, float | int], *, offset: bool = True
) -> Growth:
    """Fit L(t) = L0 + c t^a to the mean over seeds of `lengths` `(seeds, n)` at `times` `(n,)` within `window`.

        lengths = run.map(lambda spins: domain_length(lattice, scalar_chirality(lattice, spins)))
        fit_growth(run.times, lengths, (20, 300)).exponent

    The fit makes the squares of the relative deviation least, linear in L0 and c for each a from 0.1 to 2. With
    `offset` False L0 = 0, and a begins at -1, so that a length that shrinks has a negative exponent.

    Two errors are estimated: by drawing the seeds with replacement, which for a single seed `(n,)` gives NaN, and by
    beginning the window later, at a quarter and at half of its length in log t. Times and lengths are in any units.
    Over less than a decade a is an effective exponent, no law. NumPy, not to be traced.

    Raises `ValueError` where fewer than 6 times lie in the window (keep more frames, or widen it), and where a length
    in it is zero, infinite or NaN (one domain fills the lattice: end it earlier), and for shapes that do not fit.

    Source of the law: A. J. Bray, Adv. Phys. 43, 357 (1994), 10.1080/00018739400101505; a = 1/2 for an order that is
    not conserved.

    Example:
        >>> times = np.linspace(1.0, 100.0, 50)
        >>> round(js.observables.fit_growth(times, 1.0 + 2.0 * times**0.5, (5, 100)).exponent, 2)
        0.5
    """
    times, lengths = np.asarray(times, float), np.atleast_2d(np.asarray(lengths, float))
    if times.ndim != 1 or lengths.ndim != 2 or lengths.shape[1] != len(times):
        raise ValueError(
            f"lengths of shape {lengths.shape} do not fit times of shape {times.shape}; give (n,) times and (seeds, n) "
            "lengths, np.stack of the runs."
        )
    inside = (times >= window[0]) & (times <= window[1]) & (times > 0)
    if inside.sum() < 6:
        raise ValueError(
            f"{inside.sum()} times lie between {window[0]:g} and {window[1]:g}; keep more frames or widen the window."
        )
    if not np.all(np.isfinite(lengths[:, inside])) or not np.all(lengths[:, inside] > 0):
        raise ValueError("a length in the window is infinite or zero, one domain fills the lattice; end it earlier.")
    t, values = times[inside], lengths[:, inside]
    rng = np.random.default_rng(0)
    best = _least_squares(t, values.mean(axis=0), offset)
    seeds = len(values)
    draws = [values[rng.integers(seeds, size=seeds)].mean(axis=0) for _ in range(_RESAMPLES)] if seeds > 1 else []
    by_seed = float(np.std([_least_squares(t, draw, offset)[0] for draw in draws])) if draws else float("nan")
    begins = [t[0] * (t[-1] / t[0]) ** fraction for fraction in (0.0, 0.25, 0.5)]
    windows = [t >= begin * (1 - 1e-9) for begin in begins]
    exponents = [_least_squares(t[part], values.mean(axis=0)[part], offset)[0] for part in windows if part.sum() >= 5]
    by_window = float(np.std(exponents))
    error = float(np.hypot(0 if np.isnan(by_seed) else by_seed, by_window))
    tried = _BESIDE_OFFSET if offset else _EXPONENTS
    if best[0] in (float(tried[0]), float(tried[-1])):
        error = float("inf")
    return Growth(best[0], error, by_seed, by_window, best[1], best[2], (float(t[0]), float(t[-1])))


def _least_squares(t: np.ndarray, values: np.ndarray, offset: bool) -> tuple[float, float, float]:
    """Exponent, L0 and c with the least sum of ((L0 + c t^a)/L - 1)^2, c > 0."""
    fits = []
    for exponent in _BESIDE_OFFSET if offset else _EXPONENTS:
        columns = [t**exponent] if not offset else [t**exponent, np.ones_like(t)]
        design = np.stack(columns, axis=1) / values[:, None]
        norms = np.linalg.norm(design, axis=0)
        solution, *_ = np.linalg.lstsq(design / norms, np.ones_like(t), rcond=None)
        residual = float(np.sum((design / norms @ solution - 1) ** 2))
        rate, *rest = solution / norms
        fits.append((residual if rate > 0 else np.inf, exponent, rest[0] if rest else 0.0, rate))
    _, exponent, start, rate = min(fits)
    return float(exponent), float(start), float(rate)
