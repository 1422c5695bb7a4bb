"""Domain walls on an open chain along x, spins `(sites, 1, 3)`: at rest, and driven by a field or a current."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxspin.classical import Anisotropy, Exchange, Zeeman
from jaxspin.field import AbstractField, AbstractPotential, SumPotential
from jaxspin.lattice import Lattice, chain
from jaxspin.problems.checks import check_numbers, check_sites
from jaxspin.textures import domain_wall
from jaxspin.torques import SpinTransferTorque

# Width and angle of a steady wall depend on one another weakly: after so many substitutions only rounding is left.
_ITERATIONS = 50


class WallAtRest(eqx.Module):
    """A wall between +z and -z of E = -K sum S_i . S_i+1 - K_a sum S_iz^2, K = `coupling`, K_a = `easy`.

    In the continuum, E = int [K (dS/dx)^2/2 + K_a (1 - S_z^2)] dx: S_z = -tanh(x/`width`) with width = sqrt(K/(2
    K_a)) and energy 2 sqrt(2 K K_a). The lattice corrects both by (1/width)^2. The tail decays on the lattice exactly
    as exp(-abs(x)/`tail`), cosh(1/tail) = 1 + K_a/K. Lengths in lattice constants.

    Raises `ValueError` for a K or K_a that is not positive, and fewer than two sites. For a wall that moves see
    `DrivenWall`.

    Source: L. D. Landau and E. Lifshitz, Phys. Z. Sowjetunion 8, 153 (1935).

    Example:
        >>> wall = js.problems.WallAtRest(sites=32, easy=0.02)
        >>> round(float(wall.width), 3), round(float(wall.energy), 3), wall.spins().shape
        (5.0, 0.4, (32, 1, 3))
    """

    sites: int = 64
    coupling: float = 1.0
    easy: float = 0.02

    def __check_init__(self):
        check_sites(self, "sites", 2)
        check_numbers(self, coupling="positive", easy="positive")

    @property
    def lattice(self) -> Lattice:
        return chain(self.sites, periodic=False)

    @property
    def potential(self) -> AbstractPotential:
        return SumPotential((Exchange(self.lattice, self.coupling), Anisotropy(self.easy)))

    @property
    def width(self) -> float:
        return float(np.sqrt(self.coupling / (2 * self.easy)))

    @property
    def tail(self) -> float:
        return float(1 / np.arccosh(1 + self.easy / self.coupling))

    @property
    def energy(self) -> float:
        """That of the wall: the energy above the uniform state."""
        return float(2 * np.sqrt(2 * self.coupling * self.easy))

    @property
    def uniform_energy(self) -> float:
        """That of the chain without a wall."""
        return -self.coupling * (self.sites - 1) - self.easy * self.sites

    def profile(self, x: ArrayLike) -> np.ndarray:
        """S_z at the distance x from the middle of the wall."""
        return -np.tanh(np.asarray(x, float) / self.width)

    def spins(self, stretch: float = 1.0, dtype=None) -> Float[Array, "sites 1 3"]:
        """The wall in the middle of the chain, its width multiplied by `stretch`."""
        return domain_wall(self.lattice, width=stretch * self.width, dtype=dtype)


class DrivenWall(eqx.Module):
    """The wall of `WallAtRest` with a hard axis y, E + K_h sum S_iy^2, driven along x.

    `applied` is a field B along z, `drift` the velocity u of spin transfer with `nonadiabaticity` b; `damping` a.
    With X its position, phi its angle from the plane of x and z, and D its width (Thiele's coordinates),

        dphi/dt + a dX/dt / D = B + b u/D,     dX/dt / D - a dphi/dt = K_h sin(2 phi) + u/D.

    With the push g = B + (b - a) u/D the angle stands still while abs(g) < a K_h (Walker's breakdown; `walker_field`),
    then v = (D B + b u)/a and sin(2 phi) = g/(a K_h); D = sqrt(K/(2 (K_a + K_h sin(phi)^2))), which for a field
    alone is Walker's exact solution of the continuum. Beyond, the angle turns at the mean rate
    w = sign(g) sqrt(g^2 - a^2 K_h^2)/(1 + a^2), and v = (D (B - w) + b u)/a, with D at sin(phi)^2 = 1/2, for K_h
    much below K_a. Without a hard axis a current alone moves the wall at u (1 + a b)/(1 + a^2).

    Source: Schryer and Walker, J. Appl. Phys. 45, 5406 (1974), doi:10.1063/1.1663252; Thiaville et al., Europhys.
    Lett. 69, 990 (2005), doi:10.1209/epl/i2004-10452-6.

    Raises `ValueError` unless damping, K and K_a are positive, for a negative K_h, a drive that is not finite, and
    fewer than two sites. For a wall at rest see `WallAtRest`.

    Example:
        >>> wall = js.problems.DrivenWall(applied=0.002)
        >>> round(float(wall.velocity), 3), bool(wall.breaks_down), round(float(wall.walker_field), 4)
        (0.012, False, 0.0064)
    """

    sites: int = 128
    coupling: float = 1.0
    easy: float = 0.08
    hard: float = 0.016
    applied: float = 0.0
    drift: float = 0.0
    nonadiabaticity: float = 0.0
    damping: float = 0.4

    def __check_init__(self):
        check_sites(self, "sites", 2)
        check_numbers(self, damping="positive", coupling="positive", easy="positive", hard="zero or more")
        check_numbers(self, applied="finite", drift="finite", nonadiabaticity="finite")

    @property
    def lattice(self) -> Lattice:
        return chain(self.sites, periodic=False)

    @property
    def field(self) -> AbstractField:
        """Everything that pushes; its terms are the same at any drive, so that a sweep compiles once."""
        easy, hard = Anisotropy(self.easy), Anisotropy(-self.hard, (0.0, 1.0, 0.0))
        potential = Exchange(self.lattice, self.coupling) + easy + hard + Zeeman([0.0, 0.0, self.applied])
        return potential + SpinTransferTorque(self.lattice, self.drift, self.nonadiabaticity)

    @property
    def walker_field(self) -> float:
        """a K_h, the largest field of steady motion."""
        return self.damping * self.hard

    @property
    def period(self) -> float:
        """The time of half a turn of the angle, after which the wall is as it was: pi/abs(w), or infinity."""
        rate = abs(self._steady()[2])
        return np.pi / rate if rate > 0 else np.inf

    @property
    def breaks_down(self) -> bool:
        """Whether the wall's angle turns for ever."""
        return bool(np.isfinite(self.period))

    @property
    def velocity(self) -> float:
        """The mean velocity along x."""
        width, _, rate = self._steady()
        return (width * (self.applied - rate) + self.nonadiabaticity * self.drift) / self.damping

    def spins(self, position: float | None = None, dtype: Any = None) -> Float[Array, "sites 1 3"]:
        """A wall at `position`, in the middle of the chain by default, with the angle and width of steady motion."""
        middle = (self.sites - 1) / 2 if position is None else position
        width, angle, _ = self._steady()
        # spins precess clockwise, so phi counts against the azimuth
        return domain_wall(self.lattice, jnp.asarray(middle, dtype), width, helicity=-angle, dtype=dtype)

    def _width(self, square: float) -> float:
        """D at sin(phi)^2 = `square`."""
        return float(np.sqrt(self.coupling / (2 * (self.easy + self.hard * square))))

    def _steady(self) -> tuple[float, float, float]:
        """D, the angle phi where it stands still (else pi/4), and the mean rate of turning."""
        width, angle = self._width(0.0), 0.0
        for _ in range(_ITERATIONS):
            push = self.applied + (self.nonadiabaticity - self.damping) * self.drift / width
            if abs(push) > self.walker_field:
                width = self._width(0.5)
                push = self.applied + (self.nonadiabaticity - self.damping) * self.drift / width
                over = max(push**2 - self.walker_field**2, 0.0)
                return width, float(np.sign(push) * np.pi / 4), float(np.sign(push) * over**0.5 / (1 + self.damping**2))
            angle = float(np.arcsin(push / self.walker_field)) / 2 if self.hard > 0 else 0.0
            width = self._width(float(np.sin(angle)) ** 2)
        return width, angle, 0.0
