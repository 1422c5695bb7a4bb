"""Problems solved exactly: the motion of one or two spins and of a spin wave, and thermal averages.

Spins are `(*cells, sublattices, 3)`; units hbar = k_B = 1.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxspin.classical import Exchange, Zeeman
from jaxspin.couplings import holds
from jaxspin.field import AbstractPotential
from jaxspin.lattice import Lattice, chain
from jaxspin.problems.checks import check_numbers, check_sites
from jaxspin.spins import normalize, retract


class DampedLarmor(eqx.Module):
    """Spins in a field `strength` along z, starting in the x-z plane at S_z(0) = `height`.

    S_z(t) = tanh(a B t/(1 + a^2) + artanh S_z(0)), azimuth -B t/(1 + a^2): clockwise seen from +z, turning
    towards +z. Of every solver the first test: `DepondtMertens` is exact without damping.

    Raises `ValueError` for a strength that is not finite, a negative damping, and a height that is not between -1 and
    1.

    Source: L. D. Landau and E. Lifshitz, Phys. Z. Sowjetunion 8, 153 (1935); T. L. Gilbert, IEEE Trans. Magn. 40, 3443
    (2004), doi:10.1109/TMAG.2004.836740, for the damping.

    Example:
        >>> problem = js.problems.DampedLarmor(damping=0.1)
        >>> run = js.simulate(problem.potential, problem.spins(0.0), duration=2.0, step=0.05, damping=0.1)
        >>> bool(jnp.allclose(run.final, problem.spins(2.0), atol=1e-3))
        True
    """

    strength: float = 1.0
    damping: float = 0.1
    height: float = 0.0
    lattice: Lattice = eqx.field(static=True, default_factory=lambda: chain(1))

    def __check_init__(self):
        check_numbers(self, strength="finite", damping="zero or more", height="finite")
        if not holds(_inside, self.height):
            raise ValueError(f"height = {self.height} is no S_z of a spin that moves; give one between -1 and 1.")

    @property
    def potential(self) -> AbstractPotential:
        return Zeeman([0.0, 0.0, self.strength])

    def spins(self, t: ArrayLike = 0.0, dtype=None) -> Float[Array, "*cells sublattices 3"]:
        """The spins at time `t`, all alike."""
        angle = self.strength * np.asarray(t, float) / (1 + self.damping**2)
        z = np.tanh(self.damping * angle + np.arctanh(self.height))
        across = np.sqrt(1 - z**2)
        spin = np.array([across * np.cos(angle), -across * np.sin(angle), z])
        return jnp.asarray(np.broadcast_to(spin, (*self.lattice.shape, 3)), dtype or jnp.result_type(float))


class Dimer(eqx.Module):
    """Two spins with E = -K S_1 . S_2 (`coupling` K).

    Undamped, both turn clockwise about M = S_1 + S_2 at the angular frequency K |M|. In equilibrium <S_1 .
    S_2> = coth(K/T) - T/K, which is `langevin(K/T)`. `first` and `second`, of any length but zero, are the start.

    Raises `ValueError` for a coupling that is not finite, and a start that is no direction.

    Example:
        >>> problem = js.problems.Dimer()
        >>> run = js.simulate(problem.potential, problem.spins(0.0), duration=1.0, step=0.02, damping=0.0)
        >>> bool(jnp.allclose(run.final, problem.spins(1.0), atol=1e-2))
        True
    """

    first: tuple[float, float, float] = (1.0, 0.0, 0.0)
    second: tuple[float, float, float] = (0.0, 0.6, 0.8)
    coupling: float = 1.0
    lattice: Lattice = eqx.field(static=True, default_factory=lambda: chain(2, periodic=False))

    def __check_init__(self):
        check_numbers(self, coupling="finite")
        for name, spin in (("first", self.first), ("second", self.second)):
            if np.shape(spin) != (3,) or not holds(_has_length, np.asarray(spin, float)):
                raise ValueError(f"{name} = {spin} is no direction; give three finite numbers, not all zero.")

    @property
    def potential(self) -> AbstractPotential:
        return Exchange(self.lattice, self.coupling)

    def spins(self, t: ArrayLike = 0.0, dtype=None) -> Float[Array, "2 1 3"]:
        """Both spins at time `t`."""
        start = normalize(jnp.asarray([[self.first], [self.second]], dtype or jnp.result_type(float)))
        total = jnp.sum(start, axis=(0, 1))
        turn = -self.coupling * jnp.asarray(t, start.dtype) * total
        return retract(start, jnp.broadcast_to(turn, start.shape))


class SpinWave(eqx.Module):
    """A cone of spins turning along a ferromagnetic chain, E = -K sum S_i . S_i+1: exact at any amplitude.

    S_i(t) = (sin theta cos(q i - w t), sin theta sin(q i - w t), cos theta), q = 2 pi `mode`/`sites`,
    `amplitude` sin theta, and w = 2 K (1 - cos q) cos theta. For all waves of any lattice at once see `SpinWaves`.

    Raises `ValueError` for fewer than two sites, a coupling that is not finite, and an amplitude not between -1 and 1.

    Example:
        >>> wave = js.problems.SpinWave(sites=8, mode=1, amplitude=0.5)
        >>> round(wave.frequency, 3), wave.spins(0.0).shape
        (0.507, (8, 1, 3))
    """

    sites: int = 16
    mode: int = 2
    amplitude: float = 0.5
    coupling: float = 1.0

    def __check_init__(self):
        check_sites(self, "sites", 2)
        check_numbers(self, coupling="finite", amplitude="finite")
        if not holds(_inside, self.amplitude):
            raise ValueError(f"amplitude = {self.amplitude} is no sin theta of a cone; give one between -1 and 1.")

    @property
    def lattice(self) -> Lattice:
        return chain(self.sites)

    @property
    def potential(self) -> AbstractPotential:
        return Exchange(self.lattice, self.coupling)

    @property
    def frequency(self) -> float:
        """w at this amplitude; `spin_wave_frequency` is its limit for small ones."""
        q = 2 * np.pi * self.mode / self.sites
        return spin_wave_frequency(q, self.coupling) * float(np.sqrt(1 - self.amplitude**2))

    def spins(self, t: ArrayLike = 0.0, dtype=None) -> Float[Array, "sites 1 3"]:
        """The spins at time `t`."""
        phase = 2 * np.pi * self.mode / self.sites * np.arange(self.sites) - self.frequency * np.asarray(t, float)
        height = np.full(self.sites, np.sqrt(1 - self.amplitude**2))
        spins = np.stack([self.amplitude * np.cos(phase), self.amplitude * np.sin(phase), height], -1)
        return jnp.asarray(spins[:, None], dtype or jnp.result_type(float))


def _inside(x):
    return abs(x) < 1


def _has_length(x):
    return (abs(x) < np.inf).all() & (x != 0).any()


def spin_wave_frequency(q: float, coupling: float = 1.0) -> float:
    """w(q) = 2 K (1 - cos q) of small waves on the ferromagnetic chain of `coupling` K, hbar = 1.

    q in inverse lattice constants, any real number; in units of K. Of other lattices, with an anisotropy, and of
    antiferromagnets see `SpinWaves`.

    Source: F. Bloch, Z. Phys. 61, 206 (1930), doi:10.1007/BF01339661.

    Example:
        >>> round(js.problems.spin_wave_frequency(np.pi / 2), 3)
        2.0
    """
    return float(2 * coupling * (1 - np.cos(q)))


def langevin(ratio: ArrayLike) -> np.ndarray:
    """L(x) = coth x - 1/x: <S_z> of a free spin with x = B/T, and <S_i . S_i+1> of an open chain with x = K/T.

    Of an array of ratios `x` an array; odd, between -1 and 1, NaN of NaN. For the chain <S_i . S_i+n> = L^n.

    Raises `TypeError` for complex ratios.

    Source: P. Langevin, Ann. Chim. Phys. 5, 70 (1905); for the chain M. E. Fisher, Am. J. Phys. 32, 343 (1964),
    doi:10.1119/1.1970340.

    Example:
        >>> round(float(js.problems.langevin(2.0)), 3)
        0.537
    """
    x = np.asarray(ratio, float)
    small = np.abs(x) < 1e-2
    safe = np.where(small, 1.0, x)
    # the next term of the series is below 1e-12 there
    return np.where(small, x / 3 - x**3 / 45 + 2 * x**5 / 945, 1 / np.tanh(safe) - 1 / safe)


def langevin_variance(ratio: ArrayLike) -> np.ndarray:
    """<S_z^2> - <S_z>^2 = L'(x) = 1 - 2 L/x - L^2 of a free spin, x = B/T: for error bars. L is `langevin`.

    Raises `TypeError` for complex ratios.

    Example:
        >>> round(float(js.problems.langevin_variance(2.0)), 3)
        0.174
    """
    x = np.asarray(ratio, float)
    mean = langevin(x)
    small = np.abs(x) < 1e-2
    return np.where(small, 1 / 3 - x**2 / 15, 1 - 2 * mean / np.where(small, 1.0, x) - mean**2)
