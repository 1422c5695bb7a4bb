"""Single-ion anisotropy."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.vectors import dot
from jaxspin.classical.sites import at_every_site, check_sites, check_uniform_sites, no_lattice, vector
from jaxspin.couplings import Numbers, finite_real
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import normalize


class Anisotropy(AbstractPotential):
    """Single-ion anisotropy, E = - sum_i K_i (S_i . n_i)^2: easy axis for K > 0, easy plane for K < 0.

    `strength` K, in energy units, is one number or `(*cells, sublattices)`; `axis` n is `(3,)`,
    `(sublattices, 3)` or `(*cells, sublattices, 3)`, of any length; a site whose axis is zero has no anisotropy.

    Raises `ValueError` for numbers that are complex, infinite or NaN, an axis without three components, and when used
    on spins of another shape; `TypeError` for a lattice, which is not needed.

    Example:
        >>> energy = js.Anisotropy(0.5).energy(js.textures.ferromagnet(lattice))
        >>> round(float(energy), 3)
        -8.0
    """

    is_cheap: ClassVar[bool] = True

    strength: Float[Array, "..."]
    axis: Float[Array, "*n 3"]

    def __init__(self, strength: Numbers, axis: Numbers = (0.0, 0.0, 1.0)):
        no_lattice(strength, "strength", "js.Anisotropy(0.1)")
        self.strength = finite_real(strength, "strength")
        self.axis = vector(axis, "axis")

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        check_sites(self.strength, spins.shape[:-1], "strength")
        projection = dot(at_every_site(normalize(self.axis), spins, "axis"), spins)
        return -jnp.sum(self.strength.astype(spins.dtype) * projection**2)

    def on(self, lattice: Lattice) -> "Anisotropy":
        """Itself; `ValueError` where it differs from site to site."""
        check_uniform_sites([self.strength], [self.axis])
        return self
