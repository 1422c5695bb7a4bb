"""Named spin orders: arrays of unit spins `(*cells, sublattices, 3)`.

Angles in radians, lengths in lattice constants, wavevectors Cartesian; `dtype` defaults to JAX's own float.
An order that does not close around a periodic axis raises `ValueError` naming the size that fits.
"""

from jaxspin.textures.orders import (
    double_q,
    ferromagnet,
    neel,
    one_hundred_twenty,
    spiral,
    stripe,
    tetrahedral,
)
from jaxspin.textures.solitons import domain_wall, skyrmion

__all__ = [
    "domain_wall",
    "double_q",
    "ferromagnet",
    "neel",
    "one_hundred_twenty",
    "skyrmion",
    "spiral",
    "stripe",
    "tetrahedral",
]
