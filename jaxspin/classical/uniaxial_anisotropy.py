"""Single-ion anisotropy about one axis, to sixth order."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.vectors import cross, dot, scale, subtract
from jaxspin.classical.sites import at_every_site, check_sites, check_uniform_sites, vector
from jaxspin.couplings import Numbers, finite_real
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import normalize


class UniaxialAnisotropy(AbstractPotential):
    """Anisotropy about an axis, E = sum_i K_1 sin^2 + K_2 sin^4 + K_3 sin^6 + K_6 sin^6 cos(6 phi) of the angle theta
    from the axis; phi is the angle about it.

    - `strength` K_1, `fourth` K_2, `sixth` K_3 and `sixfold` K_6, in energy units: one number or `(*cells,
      sublattices)`.
    - `axis`, and `basal`, which is at phi = 0: `(3,)`, `(sublattices, 3)` or `(*cells, sublattices, 3)`, of any
      length. What `basal` has along the axis does not count.

    These are the constants of tables for hexagonal crystals, such as cobalt: K_1 > 0 is an easy axis, and E = 0 along
    it. K_1 alone is `Anisotropy` plus K_1 a site, and (S . n)^4 is 1 - 2 sin^2 + sin^4.

    Raises `ValueError` for numbers that are complex, infinite or NaN, vectors without three components, a `sixfold`
    whose `basal` lies along the axis, and when used on spins of another shape.

    Source: D. M. Paige, B. Szpunar and B. K. Tanner, J. Magn. Magn. Mater. 44, 239 (1984),
    doi:10.1016/0304-8853(84)90248-2.

    Example:
        >>> term = js.classical.UniaxialAnisotropy(0.5, 0.1)
        >>> directions = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
        >>> [round(float(term.energy(js.textures.ferromagnet(lattice, n))), 3) for n in directions]
        [0.0, 9.6]
    """

    is_cheap: ClassVar[bool] = True

    strength: Float[Array, "..."]
    fourth: Float[Array, "..."]
    sixth: Float[Array, "..."]
    sixfold: Float[Array, "..."]
    axis: Float[Array, "*n 3"]
    basal: Float[Array, "*m 3"]

    def __init__(
        self,
        strength: Numbers,
        fourth: Numbers = 0.0,
        sixth: Numbers = 0.0,
        sixfold: Numbers = 0.0,
        *,
        axis: Numbers = (0.0, 0.0, 1.0),
        basal: Numbers = (1.0, 0.0, 0.0),
    ):
        self.strength = finite_real(strength, "strength")
        self.fourth = finite_real(fourth, "fourth")
        self.sixth = finite_real(sixth, "sixth")
        self.sixfold = finite_real(sixfold, "sixfold")
        self.axis, self.basal = vector(axis, "axis"), vector(basal, "basal")
        known = not any(isinstance(x, Tracer) for x in (self.sixfold, self.axis, self.basal))
        if known and np.any(self.sixfold) and self.axis.ndim == self.basal.ndim == 1:
            n, e = np.asarray(self.axis, float), np.asarray(self.basal, float)
            if np.linalg.norm(np.cross(n, e)) <= 1e-6 * np.linalg.norm(n) * np.linalg.norm(e):
                raise ValueError(
                    f"basal {e.tolist()} lies along the axis {n.tolist()}, so there is no phi = 0; give another "
                    "direction in the plane."
                )

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        constants = [(name, getattr(self, name)) for name in ("strength", "fourth", "sixth", "sixfold")]
        for name, values in constants:
            check_sites(values, spins.shape[:-1], name)
        k1, k2, k3, k6 = (values.astype(spins.dtype) for _, values in constants)
        axis = at_every_site(normalize(self.axis), spins, "axis")
        basal = at_every_site(normalize(self.basal), spins, "basal")
        first = normalize(subtract(basal, scale(dot(basal, axis), axis)))
        across = subtract(spins, scale(dot(spins, axis), axis))
        square, x, y = dot(across, across), dot(first, spins) ** 2, dot(cross(axis, first), spins) ** 2
        # the real part of (S . e_1 + i S . e_2)^6
        hexagon = x**3 - 15 * x**2 * y + 15 * x * y**2 - y**3
        return jnp.sum(k1 * square + k2 * square**2 + k3 * square**3 + k6 * hexagon)

    def on(self, lattice: Lattice) -> "UniaxialAnisotropy":
        """Itself; `ValueError` where it differs from site to site."""
        check_uniform_sites([self.strength, self.fourth, self.sixth, self.sixfold], [self.axis, self.basal])
        return self
