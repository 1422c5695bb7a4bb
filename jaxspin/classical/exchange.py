"""Heisenberg exchange, and couplings of any form between pairs of spins."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arguments import check_lattice
from jaxspin.arrays.vectors import add, dot
from jaxspin.classical.bonds import are_many, bond_array, check_uniform, over_bonds, shared_out
from jaxspin.classical.convolution import sum_over_pairs
from jaxspin.classical.pairs import Pair, Pairs
from jaxspin.couplings import Numbers
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite


class Exchange(AbstractPotential):
    """Exchange, E = - sum_<ij> J_ij S_i . S_j with every pair of sites once; J > 0 is ferromagnetic.

    Give J by shells of neighbours, by pairs of atoms, or both, which add up; in energy units.

    - `couplings`: J of the nearest neighbours, or a tuple with one entry for each shell, nearest first. An entry is one
      number or an array `(*cells, bonds)` with a value for each bond of `lattice.shell(nth)`. For bonds that are no
      whole shell give an array with zeros on the others.
    - `pairs`: a list of (i, j, R, J), for atom i in every cell and atom j that is R cells away (integers, one per
      lattice vector). J is a number, or a matrix `(3, 3)` for E = - S_i . J S_j: its isotropic part is Heisenberg's
      exchange, its antisymmetric part J_ab = sum_c eps_abc D_c is `DzyaloshinskiiMoriya`'s D . (S_i x S_j), the rest
      anisotropic exchange, such as Kitaev's.

    A list of pairs has each pair once, or all of them from both ends, (i, j, R) with J and (j, i, -R) with J^T. Both
    are the same energy: a pair counts once. Where a program's energy counts each pair twice, E = - sum_(i != j), its
    numbers are half of these. The derivative with respect to the numbers is that of `exchange.pairs.strengths`, one for
    each pair that counts.

    More than 48 bonds a cell are summed by Fourier transforms, in a time that does not grow with their number.

    Raises `ValueError` for other shapes, for numbers that are complex, infinite or NaN, for neither couplings nor
    pairs, and when used on spins of another lattice. Of pairs also for an atom that the lattice lacks, an R of another
    length, a site with itself, a pair that is listed twice, a list with only some of the pairs from both ends, and a
    reverse whose J is not J^T. `TypeError` for what is no lattice, and what has a list of pairs
    and is none: give its `pairs(...)`.

    Example:
        >>> field = js.Exchange(lattice, (1.0, -0.5))
        >>> round(float(field.energy(js.textures.ferromagnet(lattice))), 3), field.field(spins).shape
        (-16.0, (4, 4, 1, 3))
        >>> along = js.Exchange(lattice, pairs=[(0, 0, (1, 0), 1.0), (0, 0, (0, 1), np.diag([0.0, 0.0, 0.5]))])
        >>> round(float(along.energy(js.textures.ferromagnet(lattice))), 3)
        -24.0
    """

    is_cheap: ClassVar[bool] = True

    couplings: tuple[Float[Array, "..."], ...]
    pairs: Pairs | None
    _lattice: Lattice

    def __init__(
        self,
        lattice: Lattice,
        couplings: Numbers | tuple[Numbers, ...] = (),
        *,
        pairs: Sequence[Pair] | Pairs | None = None,
    ):
        check_lattice(lattice, "js.Exchange(lattice, 1.0)")
        # a list of numbers is one entry a shell too; an array of a shell's bonds has the cells as its axes
        several = isinstance(couplings, tuple) or (
            isinstance(couplings, list) and all(np.ndim(j) == 0 for j in couplings)
        )
        shells: tuple[Any, ...] = tuple(couplings) if several else (couplings,)  # pyright: ignore[reportArgumentType]
        if not shells and pairs is None:
            raise ValueError(
                "there is no coupling, couplings = (); give one for each shell, such as js.Exchange(lattice, 1.0), or "
                "pairs=[(i, j, R, J), ...]."
            )
        self.couplings = tuple(bond_array(lattice, number, j) for number, j in enumerate(shells, 1))
        if isinstance(pairs, Pairs):
            pairs.check(lattice)
        self.pairs = pairs if pairs is None or isinstance(pairs, Pairs) else Pairs(lattice, pairs)
        self._lattice = lattice

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def on(self, lattice: Lattice) -> "Exchange":
        """The same couplings on another size of the lattice; `ValueError` where they differ from bond to bond."""
        check_uniform(self._lattice, lattice, *self.couplings)
        return Exchange(lattice, self.couplings, pairs=self.pairs)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return -jnp.sum(dot(spins, self._neighbors(spins))) / 2

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        """Both, without differentiating: B_i = sum_j J_ij S_j."""
        check_finite(spins)
        return _exchange(self, spins)

    def _neighbors(self, spins: Spins) -> Spins:
        """sum_j J_ij S_j."""
        parts = [self._of_shells(spins)] if self.couplings else []
        parts += [] if self.pairs is None else [self.pairs.field(self._lattice, spins)]
        return add(*parts)

    def _of_shells(self, spins: Spins) -> Spins:
        shells = [self._lattice.shell(n) for n in range(1, len(self.couplings) + 1)]
        bonds = [bond for shell in shells for bond in shell]
        uniform = [c.ndim == 0 for c in self.couplings]
        if are_many(bonds) and all(uniform):
            numbers = [
                jnp.broadcast_to(c.astype(spins.dtype), len(shell))
                for c, shell in zip(self.couplings, shells, strict=True)
            ]
            return sum_over_pairs(self._lattice, bonds, jnp.concatenate(numbers), spins)
        return shared_out(self._lattice, bonds, self.couplings, uniform, spins, _sum_of_neighbors)


def _sum_of_neighbors(lattice: Lattice, couplings: Sequence[Array], spins: Spins) -> Spins:
    shells = [lattice.shell(n) for n in range(1, len(couplings) + 1)]
    return over_bonds(lattice, shells, couplings, spins, lambda n, neighbor, sign: neighbor)


@eqx.filter_jit
def _exchange(exchange: Exchange, spins: Spins) -> tuple[Float[Array, ""], Spins]:
    field = exchange._neighbors(spins)
    return -jnp.sum(dot(spins, field)) / 2, field
