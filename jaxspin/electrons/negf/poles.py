"""Few points for the Matsubara sum: a Gauss quadrature of the sum over all frequencies.

With w_n = (2n + 1) pi T the density matrix without bias is rho = 1/2 + T sum_n>=0 [G(mu + i w_n) + h.c.], whatever is
occupied: bands, bound states outside them, resonances. As a function of s = 1/(2n + 1) a term is s^2 times something
smooth, so that the Gauss quadrature for the measure sum_n s_n^2 delta(s - s_n) needs few points, about
sqrt(band/T). Leads in the wide-band limit have spectral tails ~1/E^2 and give odd powers of s as well as even ones;
approximations of the Fermi function by poles (continued fractions: Ozaki, Phys. Rev. B 75, 035123 (2007),
10.1103/PhysRevB.75.035123) are the quadrature in s^2, and converge slowly for the tails.

Source: H. Monien, Math. Comp. 79, 857 (2010), 10.1090/S0025-5718-09-02289-3.
"""

import functools

import numpy as np

_TERMS = 20000  # of the sum, before the rest of it is an integral
_NUMBERS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


@functools.cache
def _measure() -> tuple[np.ndarray, np.ndarray]:
    """Nodes s and weights of sum_n s_n^2 h(s_n), exact to 1e-14: terms, then the integral from s = 0 to their end."""
    s = 1 / (2 * np.arange(_TERMS) + 1.0)
    x, w = np.polynomial.legendre.leggauss(64)
    end = 1 / (2 * _TERMS)
    return np.concatenate([s, end * (x + 1) / 2]), np.concatenate([s**2, end * w / 4])


@functools.cache
def _recursion(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the orthogonal polynomials of the measure: Lanczos on diag(s), kept orthogonal."""
    s, weights = _measure()
    basis = np.zeros((points, len(s)))
    basis[0] = np.sqrt(weights / weights.sum())
    diagonal, off = np.zeros(points), np.zeros(points)
    for k in range(points):
        vector = s * basis[k]
        diagonal[k] = basis[k] @ vector
        for _ in range(2):
            vector -= basis[: k + 1].T @ (basis[: k + 1] @ vector)
        off[k] = np.linalg.norm(vector)
        if k + 1 < points:
            basis[k + 1] = vector / off[k]
    return diagonal, off


@functools.cache
def matsubara(points: int) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies x_p, weights W_p) with sum_n F(2n + 1) = sum_p W_p F(x_p) for F(x) = x^-2 (polynomial in 1/x)."""
    # the rules of fewer points are made of the first coefficients: of 32, 64, 128 ...
    diagonal, off = (part[:points] for part in _recursion(max(32, 1 << (points - 1).bit_length())))
    nodes, states = np.linalg.eigh(np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1))
    order = np.argsort(-nodes)
    nodes, share = nodes[order], _measure()[1].sum() * states[0, order] ** 2
    return 1 / nodes, share / nodes**2


@functools.lru_cache(maxsize=4)
def _sums(extent: float, broadening: float) -> tuple[np.ndarray, np.ndarray]:
    """Energies z = E - i g with |E| <= `extent`, 0 <= g <= `broadening`, and the sums over all frequencies there."""
    e = extent * np.concatenate([[0.0], np.geomspace(1e-3, 1, 13)])
    g = broadening * np.linspace(0, 1, 4 if broadening > 0 else 1)
    z = np.unique(np.concatenate([(e[None, :] - 1j * g[:, None]).reshape(-1)]))
    s, measure = _measure()
    return z, _sum(z, 1 / s, measure / s**2)


def _sum(z: np.ndarray, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_p W_p [1/(i pi x_p - z) less its value at z = 0, which has no hermitian part]."""
    x = 1j * np.pi * x[:, None]
    return weights @ (z[None] / (x * (x - z[None])))


def error(points: int, extent: float, broadening: float) -> float:
    """Largest error of f(E - i g), |E| <= `extent`, 0 <= g <= `broadening`, both in units of the temperature."""
    z, exact = _sums(extent, broadening)
    return float(np.max(np.abs(_sum(z, *matsubara(points)) - exact)))


def number_for(tolerance: float, extent: float, broadening: float) -> int:
    """As many points as make `error` at most `tolerance`. Raises `ValueError` where the temperature is too low."""
    for points in _NUMBERS:
        if error(points, extent, broadening) <= tolerance:
            return points
    raise ValueError(
        f"{_NUMBERS[-1]} frequencies are too few for a band of {extent:.3g} temperatures at tolerance {tolerance:.1g}; "
        "raise temperature or tolerance."
    )
