"""The least price at which any pulse switches one spin with an easy axis, E = -K S_z^2, from its equation of motion.

A field that always points across the spin turns it at |h|/sqrt(1 + a^2) against the damping a K sin(2 theta)/(1 + a^2),
so that the price is least along a path with theta'^2 = (a K sin(2 theta)/(1 + a^2))^2 + c, and 4 a K for all the time
in the world.
"""

from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq


def least_price(anisotropy: float, damping: float, duration: float, below: float) -> float:
    """The least integral of h^2, from theta = 0 to S_z = `below` within the duration."""
    one = 1 + damping**2
    end = float(np.arccos(below))

    def drift(theta):
        return damping * anisotropy * np.sin(2 * theta) / one

    def spent(c):
        return quad(lambda x: 1 / np.sqrt(drift(x) ** 2 + c), 0, end, limit=200)[0]

    root: Any = brentq(lambda x: spent(np.exp(x)) - duration, np.log(1e-24), np.log(100.0))
    c = float(np.exp(root))

    def rate(theta):
        speed = np.sqrt(drift(theta) ** 2 + c)
        return (speed + drift(theta)) ** 2 / speed

    return float(one * quad(rate, 0, end, limit=200)[0])
