"""Averages at neighbouring temperatures from one run, by the histogram of its energies."""

import dataclasses

import numpy as np
from jaxtyping import ArrayLike

from jaxspin.couplings import Numbers

# Fewer effective values than this are no average.
_FEW = 10


@dataclasses.dataclass(frozen=True)
class Reweighted:
    """What `reweighted` returns, at the n `temperatures`.

    - `mean` `(n, ...)`: the averages, NaN where too few values count.
    - `samples` `(n,)`: how many values count, (sum w)^2/sum w^2; all of them at the temperature of the run.

    A record, without checks of its own.

    Example:
        >>> found = js.observables.reweighted(np.arange(20.0), np.arange(20.0), 5.0, [5.0])
        >>> round(float(found.mean[0]), 6), round(float(found.samples[0]), 6)
        (9.5, 20.0)
    """

    temperatures: np.ndarray
    mean: np.ndarray
    samples: np.ndarray


def reweighted(values: ArrayLike, energies: ArrayLike, temperature: float, temperatures: Numbers) -> Reweighted:
    """<A> at other `temperatures` from frames of equilibrium at one, <A>_T' = sum_k A_k w_k/sum_k w_k.

        run.energy(field), run.magnetization()    # once the run has settled

    w_k = exp[-(1/T' - 1/T)(E_k - <E>)], E_k the energy of the whole lattice `(m,)`, A_k `values` `(m, ...)`. The same
    as a histogram of the energies, without bins. It reaches as far as energies of T' occur in the run: about
    T (2/C)^(1/2) away, C the heat capacity of the whole lattice, less on larger lattices. Where fewer than 10 values
    count the mean is NaN. Heat capacity: reweight E and E^2, C = (<E^2> - <E>^2)/T'^2. NumPy, not to be traced.

    The energy must not depend on the temperature. A free energy of electrons does, at fixed temperature of the
    electrons it is right: then T and T' are those of the bath alone.

    Raises `ValueError` for other numbers of values than energies, infinite ones, and temperatures that are not
    positive. For electrons at many temperatures use `thermodynamics`.

    Source: A. M. Ferrenberg and R. H. Swendsen, Phys. Rev. Lett. 61, 2635 (1988), 10.1103/PhysRevLett.61.2635.

    Example:
        >>> energies = np.random.default_rng(0).exponential(size=4000)
        >>> found = js.observables.reweighted(energies, energies, 1.0, [0.8, 1.0])
        >>> [round(float(x), 1) for x in found.mean]
        [0.8, 1.0]
    """
    a, e = np.asarray(values, float), np.asarray(energies, float)
    if e.ndim != 1 or a.ndim == 0 or len(a) != len(e) or not len(e):
        raise ValueError(
            f"values of shape {a.shape} do not fit energies of shape {e.shape}; give (m, ...) and (m,), one a frame."
        )
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(e))):
        raise ValueError("values or energies hold inf or nan; give finite numbers.")
    wanted = np.asarray(temperatures, float)
    if wanted.ndim != 1 or not len(wanted) or not np.all((wanted > 0) & (wanted < np.inf)):
        raise ValueError(f"temperatures must be a row of positive numbers, got {temperatures}; give [0.9, 1.1], say.")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be positive, got {temperature}; give that of the run's bath.")
    exponents = -(1 / wanted[:, None] - 1 / temperature) * (e - e.mean())
    w = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    w = w / w.sum(axis=1, keepdims=True)
    counted = 1 / np.sum(w**2, axis=1)
    mean = np.tensordot(w, a, axes=1)
    mean[counted < _FEW] = np.nan
    return Reweighted(wanted, mean, counted)
