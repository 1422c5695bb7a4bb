"""Single-ion anisotropy of cubic crystals."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.vectors import dot
from jaxspin.classical.sites import at_every_site, check_sites, check_uniform_sites
from jaxspin.couplings import finite_real
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import normalize


class CubicAnisotropy(AbstractPotential):
    """Cubic anisotropy, E = sum_i K_1 (x^2 y^2 + y^2 z^2 + z^2 x^2) + K_2 x^2 y^2 z^2 with x, y, z those of S_i along
    the crystal's axes.

    - `strength` K_1 and `sixth` K_2, of fourth and sixth order, in energy units: one number or `(*cells, sublattices)`.
    - `axes`: the crystal's axes as rows, `(3, 3)` or `(*cells, sublattices, 3, 3)` for grains; of any length, at right
      angles.

    Signs are those of tables: without K_2 spins lie along an axis for K_1 > 0 (iron), along a diagonal of the cube for
    K_1 < 0 (nickel); E is 0, K_1/4 and K_1/3 + K_2/27 along <100>, <110> and <111>. For one axis alone use `Anisotropy`
    or `UniaxialAnisotropy`.

    Raises `ValueError` for numbers that are complex, infinite or NaN, axes of another shape or not at right angles, and
    when used on spins of another shape.

    Source: R. M. Bozorth, Phys. Rev. 50, 1076 (1936), doi:10.1103/PhysRev.50.1076.

    Example:
        >>> energy = js.classical.CubicAnisotropy(0.3).energy(js.textures.ferromagnet(lattice, (1.0, 1.0, 1.0)))
        >>> round(float(energy), 3)
        1.6
    """

    is_cheap: ClassVar[bool] = True

    strength: Float[Array, "..."]
    sixth: Float[Array, "..."]
    axes: Float[Array, "*n 3 3"]

    def __init__(
        self, strength: Any, sixth: Any = 0.0, *, axes: Any = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    ):
        self.strength = finite_real(strength, "strength")
        self.sixth = finite_real(sixth, "sixth")
        self.axes = _right_angled(axes)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        check_sites(self.strength, spins.shape[:-1], "strength")
        check_sites(self.sixth, spins.shape[:-1], "sixth")
        along = [at_every_site(normalize(self.axes[..., k, :]), spins, "each of the axes") for k in range(3)]
        x, y, z = (dot(axis, spins) ** 2 for axis in along)
        fourth = self.strength.astype(spins.dtype) * (x * y + y * z + z * x)
        return jnp.sum(fourth + self.sixth.astype(spins.dtype) * (x * y * z))

    def on(self, lattice: Lattice) -> "CubicAnisotropy":
        """Itself; `ValueError` where it differs from site to site."""
        check_uniform_sites([self.strength, self.sixth], [self.axes[..., 0, :]])
        return self


def _right_angled(axes: Any) -> Array:
    given = finite_real(axes, "axes")
    if given.shape[-2:] != (3, 3):
        raise ValueError(
            f"axes of shape {given.shape} are no three vectors; give (3, 3) or (*cells, sublattices, 3, 3)."
        )
    if not isinstance(given, Tracer):
        unit = np.asarray(given, float)
        unit = unit / np.maximum(np.linalg.norm(unit, axis=-1, keepdims=True), np.finfo(float).tiny)
        if np.abs(unit @ np.swapaxes(unit, -1, -2) - np.eye(3)).max() > 1e-3:
            raise ValueError(
                "the axes of a cube are at right angles, these are not; give three such vectors as rows, such as a "
                "rotation matrix."
            )
    return given
