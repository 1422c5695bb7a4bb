"""A skyrmion of interfacial Dzyaloshinskii-Moriya exchange on the square lattice, spins `(side, side, 1, 3)`."""

from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from jaxspin.classical import Anisotropy, DzyaloshinskiiMoriya, Exchange, Zeeman
from jaxspin.field import AbstractPotential, SumPotential
from jaxspin.lattice import Lattice, square
from jaxspin.problems.checks import check_numbers, check_sites
from jaxspin.textures import skyrmion

# Newton's method: enough from the first guess, halved steps included, and where rounding is reached.
_ITERATIONS = 200
_CONVERGED = 1e-10


class RadialProfile(NamedTuple):
    """Polar angle theta at the radii r `(n,)` of the continuum skyrmion, its `energy`, and its `radius`, S_z = 0.

    Radii in lattice constants, angles in radians, the energy above the uniform state in units of the coupling's. What
    `IsolatedSkyrmion.continuum` returns; a record, without checks of its own.

    Example:
        >>> profile = js.problems.IsolatedSkyrmion().continuum()
        >>> round(float(profile.theta[0]), 2), profile.r.shape == profile.theta.shape
        (3.14, True)
    """

    r: np.ndarray
    theta: np.ndarray
    energy: float
    radius: float


class IsolatedSkyrmion(eqx.Module):
    """One skyrmion, core down in a background up, of charge -1 and helicity pi (D > 0):

        E = -K sum S_i . S_j - D sum (z x r_ij) . (S_i x S_j) - h sum S_iz - K_a sum S_iz^2.

    `coupling` K, `chirality` D, `applied` h, `easy` K_a. Its answer is that of the continuum, S_z = cos theta(r) with

        K (theta'' + theta'/r - sin(2 theta)/(2 r^2)) + 2 D sin(theta)^2/r - K_a sin(2 theta) - h sin(theta) = 0,

    theta(0) = pi and theta -> 0, from which the lattice differs by (D/K)^2: `wider(s)` is the same skyrmion s times
    as large, at equal energy in the continuum. It exists where h or K_a are of the order of D^2/K; a `side` of 20 K/D
    leaves its tail alone.

    Raises `ValueError` for a K or D that is not positive, fewer than four cells a side, and (`continuum`, `spins`)
    where the radial equation has no skyrmion.

    Source: Bogdanov and Hubert, J. Magn. Magn. Mater. 138, 255 (1994), doi:10.1016/0304-8853(94)90046-9.

    Example:
        >>> problem = js.problems.IsolatedSkyrmion(side=16)
        >>> round(float(js.observables.topological_charge(problem.lattice, problem.spins())), 1)
        -1.0
    """

    side: int = 32
    coupling: float = 1.0
    chirality: float = 0.5
    applied: float = 0.25
    easy: float = 0.0

    def __check_init__(self):
        check_sites(self, "side", 4)
        check_numbers(self, coupling="positive", chirality="positive", applied="finite", easy="finite")

    @property
    def lattice(self) -> Lattice:
        return square(self.side)

    @property
    def potential(self) -> AbstractPotential:
        exchange = Exchange(self.lattice, self.coupling), DzyaloshinskiiMoriya(self.lattice, self.chirality)
        return SumPotential((*exchange, Zeeman([0.0, 0.0, self.applied]), Anisotropy(self.easy)))

    @property
    def uniform_energy(self) -> float:
        """That of the background alone: all spins up."""
        return -(2 * self.coupling + self.applied + self.easy) * self.side**2

    def wider(self, factor: int) -> "IsolatedSkyrmion":
        """Stretched by `factor`: D/s, h/s^2, K_a/s^2 on a side s times as long."""
        return IsolatedSkyrmion(
            self.side * factor,
            self.coupling,
            self.chirality / factor,
            self.applied / factor**2,
            self.easy / factor**2,
        )

    def spins(self, dtype=None) -> Float[Array, "side side 1 3"]:
        """A guess from which it relaxes, of the continuum's radius, with the core between sites."""
        radius = self.continuum().radius
        return skyrmion(self.lattice, radius, width=radius / 2, helicity=np.pi, dtype=dtype)

    def continuum(self, points: int = 600) -> RadialProfile:
        """The radial equation by differences of second order and Newton's method, out to 15 lengths K/D.

        `points` are those between the ends. Raises `ValueError` for fewer than 8, and where there is no skyrmion.
        """
        if points < 8:
            raise ValueError(f"points = {points} resolve no profile; give 600.")
        length = self.coupling / self.chirality
        r, step = np.linspace(0, 15 * length, points + 2, retstep=True)
        inner = r[1:-1]
        theta = 4 * np.arctan(np.exp(-r[1:-1] / length))
        theta = theta * (1 - r[1:-1] / r[-1])
        size = np.inf
        for _ in range(_ITERATIONS):
            residual, jacobian = self._equation(theta, inner, float(step))
            size = np.max(np.abs(residual))
            if size < _CONVERGED * self.coupling / step**2:
                break
            change = np.linalg.solve(jacobian, residual)
            # a long first step would leave the basin of the skyrmion for one of many turns, or none
            theta = theta - change * min(1.0, 0.3 / np.max(np.abs(change)))
        crossing = np.flatnonzero(np.diff(np.sign(theta - np.pi / 2)))
        if not size < _CONVERGED * self.coupling / step**2 or len(crossing) != 1 or np.max(theta) > np.pi:
            raise ValueError(
                f"the continuum has no skyrmion at K = {self.coupling:g}, D = {self.chirality:g}, "
                f"h = {self.applied:g}, K_a = {self.easy:g}; take h near {self.chirality**2 / self.coupling:.3g}."
            )
        whole = np.concatenate([[np.pi], theta, [0.0]])
        k = crossing[0]
        radius = np.interp(-np.pi / 2, -theta[k : k + 2], inner[k : k + 2])
        return RadialProfile(r, whole, self._energy(whole, r), float(radius))

    def _equation(self, theta: np.ndarray, r: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Left-hand side at the inner points and its derivative `(n, n)`."""
        k, d, h, a = self.coupling, self.chirality, self.applied, self.easy
        ends = np.concatenate([[np.pi], theta, [0.0]])
        second = (ends[2:] - 2 * theta + ends[:-2]) / step**2
        first = (ends[2:] - ends[:-2]) / (2 * step)
        residual = k * (second + first / r - np.sin(2 * theta) / (2 * r**2)) + 2 * d * np.sin(theta) ** 2 / r
        residual = residual - a * np.sin(2 * theta) - h * np.sin(theta)
        slope = -k * (2 / step**2 + np.cos(2 * theta) / r**2) + 2 * d * np.sin(2 * theta) / r
        slope = slope - 2 * a * np.cos(2 * theta) - h * np.cos(theta)
        above, below = k * (1 / step**2 + 1 / (2 * step * r)), k * (1 / step**2 - 1 / (2 * step * r))
        return residual, np.diag(slope) + np.diag(above[:-1], 1) + np.diag(below[1:], -1)

    def _energy(self, theta: np.ndarray, r: np.ndarray) -> float:
        """2 pi int r [K (theta'^2 + sin^2/r^2)/2 + D (theta' + sin cos/r) + K_a sin^2 + h (1 - cos)] dr."""
        middle, radius = (theta[1:] + theta[:-1]) / 2, (r[1:] + r[:-1]) / 2
        slope = np.diff(theta) / np.diff(r)
        sine, cosine = np.sin(middle), np.cos(middle)
        density = self.coupling / 2 * (slope**2 + (sine / radius) ** 2)
        density = density + self.chirality * (slope + sine * cosine / radius)
        density = density + self.easy * sine**2 + self.applied * (1 - cosine)
        return float(2 * np.pi * np.sum(radius * density * np.diff(r)))
