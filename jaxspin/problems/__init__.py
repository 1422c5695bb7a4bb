"""Problems with known answers, as objects shared by tests, notebooks and benchmarks.

Each has the `lattice`, the `potential` (or `field`, where a current drives), spins `(*cells, sublattices, 3)` to start
from, and its answer. Units: hbar = k_B = 1, lengths in lattice constants.
"""

from jaxspin.problems.exact import (
    DampedLarmor,
    Dimer,
    SpinWave,
    langevin,
    langevin_variance,
    spin_wave_frequency,
)
from jaxspin.problems.skyrmions import IsolatedSkyrmion, RadialProfile
from jaxspin.problems.walls import DrivenWall, WallAtRest
from jaxspin.problems.waves import SpinWaves

__all__ = [
    "DampedLarmor",
    "Dimer",
    "DrivenWall",
    "IsolatedSkyrmion",
    "RadialProfile",
    "SpinWave",
    "SpinWaves",
    "WallAtRest",
    "langevin",
    "langevin_variance",
    "spin_wave_frequency",
]
