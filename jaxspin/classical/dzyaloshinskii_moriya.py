"""Antisymmetric exchange."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arguments import check_lattice
from jaxspin.arrays.vectors import cross, dot
from jaxspin.classical.bonds import bond_array, check_uniform, over_bonds
from jaxspin.couplings import Numbers, finite_real
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite


class DzyaloshinskiiMoriya(AbstractPotential):
    """Antisymmetric exchange, E = - sum_<ij> D_ij . (S_i x S_j) with D_ij = `strength` d_ij, D_ji = -D_ij.

    `direction` names d_ij, r_ij being the unit vector from i to j:
    "interfacial": d_ij = z x r_ij (broken mirror z; Neel skyrmions, helicity pi for D > 0 and a core down);
    "bulk": d_ij = r_ij (no inversion; helices that turn right-handed about their wavevector for D > 0);
    or an array `(bonds, 3)` for the bonds of `lattice.shell(shell)`. `strength` is one number or an array
    `(*cells, bonds)`, in energy units.

    Raises `ValueError` for other names or shapes, for numbers that are complex, infinite or NaN, and when used on spins
    of another lattice; `TypeError` for what is no lattice.

    Source: T. Moriya, Phys. Rev. 120, 91 (1960), doi:10.1103/PhysRev.120.91.

    Example:
        >>> ring = js.chain(4)
        >>> helix = js.textures.spiral(ring, [jnp.pi / 2], axis=(1.0, 0.0, 0.0))
        >>> round(float(js.DzyaloshinskiiMoriya(ring, 0.5, "bulk").energy(helix)), 3)
        -2.0
    """

    is_cheap: ClassVar[bool] = True

    strength: Float[Array, "..."]
    directions: Float[Array, "bonds 3"]
    shell: int = eqx.field(static=True)
    _lattice: Lattice

    def __init__(
        self,
        lattice: Lattice,
        strength: Numbers,
        direction: str | Numbers = "interfacial",
        *,
        shell: int = 1,
    ):
        check_lattice(lattice, "js.DzyaloshinskiiMoriya(lattice, 0.1)")
        bonds = lattice.shell(shell)
        along = np.array([np.pad(b.vector, (0, 3 - lattice.dimension)) / b.length for b in bonds])
        named = {"interfacial": np.cross([0.0, 0.0, 1.0], along), "bulk": along}
        if isinstance(direction, str) and direction not in named:
            raise ValueError(f"direction {direction!r} is unknown; use 'interfacial', 'bulk' or an array.")
        self.directions = finite_real(named[direction] if isinstance(direction, str) else direction, "direction")
        if self.directions.shape != along.shape:
            raise ValueError(
                f"directions of shape {self.directions.shape} do not fit shell {shell} of the {lattice.name} "
                f"lattice; give one vector a bond, {along.shape}, in the order of lattice.shell({shell})."
            )
        self.strength = bond_array(lattice, shell, strength)
        self.shell = shell
        self._lattice = lattice

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def on(self, lattice: Lattice) -> "DzyaloshinskiiMoriya":
        """The same couplings on another size of the lattice; `ValueError` where they differ from bond to bond."""
        check_uniform(self._lattice, lattice, self.strength)
        return DzyaloshinskiiMoriya(lattice, self.strength, self.directions, shell=self.shell)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return -jnp.sum(dot(spins, self._field(spins))) / 2

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        """Both, without differentiating: B_i = sum_j S_j x D_ij."""
        check_finite(spins)
        return _antisymmetric(self, spins)

    def _field(self, spins: Spins) -> Spins:
        bonds = self._lattice.shell(self.shell)
        along = self.directions.astype(spins.dtype)

        def act(index: Any, neighbor: Array, sign: Any) -> Array:
            return cross(neighbor, sign * along[index])

        return over_bonds(self._lattice, [bonds], [self.strength], spins, act)


@eqx.filter_jit
def _antisymmetric(term: DzyaloshinskiiMoriya, spins: Spins) -> tuple[Float[Array, ""], Spins]:
    field = term._field(spins)
    return -jnp.sum(dot(spins, field)) / 2, field
