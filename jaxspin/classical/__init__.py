"""Energies of classical spins `(*cells, sublattices, 3)`, one term a file.

Terms write their energy and derive B = -dE/dS; the bilinear ones here write B for speed, and E = -S . B/2. Sums over
bonds of any other form take their ends by `bond_ends`; pairs with a number or a matrix for each are an `Exchange`, all
pairs at any distance `DipoleDipole`. Couplings are array leaves, so they can be differentiated,
batched and trained; they act in the dtype of the spins. Sums run over each bond once, bonds beyond an open edge are
absent, and vacancies (spins of length zero) contribute nothing.
"""

from jaxspin.classical.anisotropy import Anisotropy
from jaxspin.classical.bonds import bond_ends
from jaxspin.classical.cubic_anisotropy import CubicAnisotropy
from jaxspin.classical.dipole_dipole import DipoleDipole
from jaxspin.classical.dzyaloshinskii_moriya import DzyaloshinskiiMoriya
from jaxspin.classical.exchange import Exchange
from jaxspin.classical.piecewise import PiecewiseLinear
from jaxspin.classical.profiles import Constant, Exponential, GaussianPulse, Quench, Ramp, Sinusoid
from jaxspin.classical.uniaxial_anisotropy import UniaxialAnisotropy
from jaxspin.classical.zeeman import Zeeman, ZeemanPulse

__all__ = [
    "Anisotropy",
    "Constant",
    "CubicAnisotropy",
    "DipoleDipole",
    "DzyaloshinskiiMoriya",
    "Exchange",
    "Exponential",
    "GaussianPulse",
    "PiecewiseLinear",
    "Quench",
    "Ramp",
    "Sinusoid",
    "UniaxialAnisotropy",
    "Zeeman",
    "ZeemanPulse",
    "bond_ends",
]
