"""How many independent values a series in time has, and so the error of its mean."""

import dataclasses
import warnings

import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxspin.warned import caller

# Sokal's window: the sum over the correlation ends at so many integrated times.
_WINDOW = 5.0
# A series shorter than so many integrated times does not tell them.
_LONG_ENOUGH = 50.0


@dataclasses.dataclass(frozen=True)
class Autocorrelation:
    """What `autocorrelation` returns; times are in the units of its `interval`.

    - `times` `(n,)` and `correlation` `(n,)`: C(t)/C(0) at all separations, 1 at t = 0, noise at large ones.
    - `time`: the integrated autocorrelation time tau, half an interval for values that know nothing of each other.
    - `window`: the separation up to which it was summed.
    - `samples`: the effective number of independent values, n interval/(2 tau): more than n where neighbours are
      opposite rather than alike, by nature or (tau near interval/2) by chance.
    - `mean`, `error`: of the values, of one component's shape; the standard error counts `samples`, not n.

    A record, without checks of its own.

    Example:
        >>> found = js.observables.autocorrelation(np.random.default_rng(0).normal(size=4000))
        >>> round(found.time, 1), bool(abs(found.mean) < 4 * found.error)
        (0.5, True)
    """

    times: np.ndarray
    correlation: np.ndarray
    time: float
    window: float
    samples: float
    mean: np.ndarray
    error: np.ndarray


def autocorrelation(
    values: Float[Array | np.ndarray, "n *components"] | ArrayLike, *, interval: float = 1.0
) -> Autocorrelation:
    """C(t) = <dA(s) . dA(s + t)> over C(0) of a series `(n, ...)`, dA = A - <A>, and what follows from it.

        run = js.simulate(..., save_every=0.5)
        late = run.magnetization()[200:]          # once the run has settled
        js.observables.autocorrelation(late, interval=0.5).samples

    C(t) is the mean over all pairs at the separation t, by Fourier transforms in n log n; components are summed. The
    integrated time is tau = interval (1/2 + sum C(t)/C(0)), up to the first separation beyond 5 tau: further out there
    is noise alone. The mean of the series errs by sigma (2 tau/(n interval))^(1/2). NumPy, not to be traced.

    The series must be stationary: leave the approach to equilibrium out. Warns where it is shorter than 50 tau: tau
    and error are then too small, by an unknown factor.

    Raises `ValueError` for fewer than 4 values, infinite ones, values that are all alike, and an interval that is not
    positive. For aging, which is not stationary, use `two_time_correlation`.

    Source: A. D. Sokal, in Functional Integration: Basics and Applications, NATO ASI B 361 (1997), p. 131,
    10.1007/978-1-4899-0319-8_6, section 3.

    Example:
        >>> bath = {"damping": 0.5, "temperature": 2.0, "key": jax.random.key(1)}
        >>> run = js.simulate(field, spins, duration=500.0, step=0.1, save_every=2.5, **bath)
        >>> found = js.observables.autocorrelation(run.magnetization(), interval=2.5)
        >>> found.correlation.shape, float(found.correlation[0]), found.mean.shape
        ((201,), 1.0, (3,))
    """
    a = np.asarray(values, float)
    if a.ndim == 0 or len(a) < 4:
        raise ValueError(f"values of shape {a.shape} are no series; give (n,) or (n, components), 4 frames or more.")
    if not np.all(np.isfinite(a)):
        raise ValueError("values holds inf or nan; give finite numbers, and leave out frames without the observable.")
    if not 0 < interval < np.inf:
        raise ValueError(f"interval must be a positive time, got {interval}; give that between saved frames.")
    n = len(a)
    mean = a.mean(axis=0)
    flat = (a - mean).reshape(n, -1)
    waves = np.fft.rfft(flat, n=2 * n, axis=0)
    sums = np.fft.irfft(np.sum(np.abs(waves) ** 2, axis=1), n=2 * n)[:n]
    c = sums / (n - np.arange(n))
    if not c[0] > 1e-24 * max(np.max(np.abs(a)) ** 2, 1e-300):
        raise ValueError("the values are all alike and have no correlation; give an observable that fluctuates.")
    correlation = c / c[0]
    running = 0.5 + np.concatenate([[0.0], np.cumsum(correlation[1:])])
    beyond = np.flatnonzero(np.arange(n) >= _WINDOW * running)
    end = int(beyond[0]) if len(beyond) else n - 1
    tau = max(float(running[end]), 1e-3)
    if n < _LONG_ENOUGH * tau or not len(beyond):
        warnings.warn(
            f"{n} values are {n / tau:.0f} times their correlation time, too few to know it; take a run of "
            f"{_LONG_ENOUGH:.0f} times or more.",
            stacklevel=caller(),
        )
    samples = n / (2 * tau)
    return Autocorrelation(
        times=interval * np.arange(n),
        correlation=correlation,
        time=interval * tau,
        window=interval * end,
        samples=samples,
        mean=np.asarray(mean),
        error=np.asarray(a.std(axis=0) / np.sqrt(samples)),
    )
