"""Spin waves of ferro- and antiferromagnets on Bravais lattices: every frequency at once, on the grid `(*cells,)`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.classical import Anisotropy, Exchange
from jaxspin.field import AbstractPotential, SumPotential
from jaxspin.lattice import Lattice
from jaxspin.observables import wavevectors
from jaxspin.problems.checks import check_numbers
from jaxspin.spins import normalize
from jaxspin.textures import ferromagnet, neel


class SpinWaves(eqx.Module):
    """Small waves about the order along z of E = -K sum_<ij> S_i . S_j - K_a sum_i S_iz^2.

    K is `coupling`, K_a `easy`. With K(q) = 2 K sum_bonds cos(q.r): ferromagnet (K > 0) w = K(0) - K(q) + 2 K_a, on
    the chain 2 K (1 - cos q) + 2 K_a; Neel order (K < 0, bipartite lattices) w = sqrt((abs(K(0)) + 2 K_a)^2 - K(q)^2),
    on the chain without anisotropy 2 abs(K) abs(sin q).

    In energy units (hbar = 1), q in inverse lattice constants. Of other states and models: `observables.spin_waves`.

    Raises `ValueError` for more than one site a cell, K = 0 and numbers that are not finite, and, as `textures.neel`
    does, for lattices without a Neel order.

    Source: F. Bloch, Z. Phys. 61, 206 (1930), doi:10.1007/BF01339661; P. W. Anderson, Phys. Rev. 86, 694 (1952),
    doi:10.1103/PhysRev.86.694, for the antiferromagnet.

    Example:
        >>> waves = js.problems.SpinWaves(js.chain(4), coupling=1.0)
        >>> [abs(round(float(w), 3)) for w in waves.frequencies()]
        [0.0, 2.0, 4.0, 2.0]
    """

    lattice: Lattice = eqx.field(static=True)
    coupling: float = 1.0
    easy: float = 0.0

    def __check_init__(self):
        check_numbers(self, coupling="finite", easy="finite")
        if self.lattice.sublattices != 1 or self.coupling == 0:
            raise ValueError(
                f"spin waves are known for one site a cell and a coupling, not for the {self.lattice.name} lattice "
                f"with K = {self.coupling:g}; use chain, square, cubic, or triangular (K > 0)."
            )

    @property
    def potential(self) -> AbstractPotential:
        return SumPotential((Exchange(self.lattice, self.coupling), Anisotropy(self.easy)))

    def order(self, dtype=None) -> Float[Array, "*cells sublattices 3"]:
        """The ground state, along z."""
        texture = ferromagnet if self.coupling > 0 else neel
        return texture(self.lattice, dtype=dtype)

    def spins(self, amplitude: float = 0.01, *, key: PRNGKeyArray, dtype=None) -> Float[Array, "*cells sublattices 3"]:
        """The ground state with every spin tilted at random by about `amplitude` radians: all waves at once."""
        order = self.order(dtype)
        kick = amplitude * jax.random.normal(key, order.shape, order.dtype)
        return normalize(
            order + jnp.asarray([1.0, 1.0, 0.0], order.dtype).reshape((1,) * (order.ndim - 1) + (3,)) * kick
        )

    def frequencies(self) -> np.ndarray:
        """w(q) `(*cells,)` at `observables.wavevectors`; both waves of the antiferromagnet have it."""
        q = wavevectors(self.lattice)
        vectors = np.array([bond.vector for bond in self.lattice.shell(1)])
        stiffness = 2 * self.coupling * np.cos(q @ vectors.T).sum(axis=-1)
        uniform = 2 * self.coupling * len(vectors)
        if self.coupling > 0:
            return uniform - stiffness + 2 * self.easy
        return np.sqrt(np.maximum((abs(uniform) + 2 * self.easy) ** 2 - stiffness**2, 0))
