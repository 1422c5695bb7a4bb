"""Growth of domains: their length from a structure factor, and the exponent of a power law with its error."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxspin.lattice import Lattice
from jaxspin.observables import wavevectors

# Exponents tried, finer than any error bar here. Beside an offset a small one, or a negative one, means nothing.
_EXPONENTS = np.linspace(-1.0, 2.0, 151)
_BESIDE_OFFSET = _EXPONENTS[_EXPONENTS > 0.09]
_RESAMPLES = 50


def moment_length(lattice: Lattice, values: jax.Array) -> jax.Array:
    """L = 2 pi/<q>, <q> = sum_q |q| s(q) / sum_q s(q) with s(q) the power spectrum of `values`, q = 0 left out.

    `values` `(*cells, ...)` are averaged over what each cell holds, such as the chirality of its triangles; |q| is
    taken to the nearest zone centre. A plane wave has its wavelength for L.
    """
    cells = jnp.mean(values.reshape(*lattice.cells, -1), axis=-1)
    waves = jnp.fft.fftn(cells)
    power = (waves.real**2 + waves.imag**2).at[(0,) * lattice.dimension].set(0)
    grid, reciprocal = wavevectors(lattice), lattice.reciprocal()
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=lattice.dimension))) @ reciprocal
    size = np.min(np.linalg.norm(grid[..., None, :] - shifts, axis=-1), axis=-1)
    return 2 * jnp.pi * jnp.sum(power) / jnp.sum(power * jnp.asarray(size, power.dtype))


@dataclasses.dataclass(frozen=True)
class Growth:
    """L(t) = offset + rate t^exponent. `seed_error` is the spread over resampled seeds, `window_error` that over where
    the fit begins, `error` both together; infinite where the best exponent is the last of those tried."""

    exponent: float
    error: float
    seed_error: float
    window_error: float
    offset: float
    rate: float
    window: tuple[float, float]


def fit_growth(times: np.ndarray, lengths: np.ndarray, window: tuple[float, float], *, offset: bool = True) -> Growth:
    """Fit L = L0 + c t^a to the mean over seeds of `lengths` `(seeds, n)` at `times` `(n,)` within `window`.

    Least squares of the relative deviation, linear in L0 and c for each a from 0.1 to 2; with `offset` False L0 = 0 and
    a from -1, so that what shrinks is told from what grows. The window's beginning is varied to a quarter and half of
    its logarithm; seeds are drawn with replacement, which says nothing of a single seed: its error is then NaN. Raises
    `ValueError` where fewer than 6 times lie in the window.
    """
    times, lengths = np.asarray(times, float), np.atleast_2d(np.asarray(lengths, float))
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
    found = []
    for exponent in _BESIDE_OFFSET if offset else _EXPONENTS:
        columns = [t**exponent] if not offset else [t**exponent, np.ones_like(t)]
        design = np.stack(columns, axis=1) / values[:, None]
        scale = np.linalg.norm(design, axis=0)
        solution, *_ = np.linalg.lstsq(design / scale, np.ones_like(t), rcond=None)
        residual = float(np.sum((design / scale @ solution - 1) ** 2))
        rate, *rest = solution / scale
        found.append((residual if rate > 0 else np.inf, exponent, rest[0] if rest else 0.0, rate))
    _, exponent, start, rate = min(found)
    return float(exponent), float(start), float(rate)
