"""Electrons over a texture that repeats itself: a small matrix for each wavevector in place of one large."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.electrons.exact import ExactDiagonalization, fill_matrix
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite, check_spins


class BlochDiagonalization(AbstractPotential):
    """The electrons of `solver`, whose lattice is the magnetic cell, on this cell repeated `points` times each way.

    The field B_i = -dE/dS_i, of the shape of the cell's spins `(*cells, sublattices, 3)`, is that of
    `ExactDiagonalization` on the repeated lattice. The energy is the energy there divided by the number of copies.
    `points`^d small `eigh` take the place of one large. All copies of the cell move alike: use the repeated lattice for
    what may break the repetition. Derivatives as those of `ExactDiagonalization`.

    `even=True` says that r -> -r about a site maps the texture onto itself, as it does every texture of at most two
    cells of a Bravais lattice along each axis. Then k and -k give the same, and half the wavevectors are enough. The
    hoppings must be even too, t M of a bond hermitian: real amplitudes are, Rashba coupling and fluxes are not.

    Raises `ValueError` for an open axis, fewer points than one, a solver at zero temperature, one with vacancies, or
    `even` with a cell or hoppings that need not be.

    Example:
        >>> cell = js.square(2)
        >>> solver = js.ExactDiagonalization(js.SDModel(cell, coupling=2.0), filling=0.25, temperature=0.1)
        >>> bloch = js.electrons.BlochDiagonalization(solver, points=2)
        >>> round(float(bloch.energy(js.textures.neel(cell))), 3)
        -6.591
    """

    parallel_part_is_fixed: ClassVar[bool] = False
    half_precision: ClassVar[bool] = False

    solver: ExactDiagonalization
    points: int = eqx.field(static=True)
    even: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        lattice = self.solver.lattice
        if not all(lattice.periodic):
            raise ValueError("a texture repeats on a periodic lattice; build it with periodic=True.")
        if self.points < 1:
            raise ValueError(f"points counts the copies along each axis, got {self.points}; give at least 1.")
        if self.solver.ground_state:
            raise ValueError("a solver at zero temperature has no smooth filling over wavevectors; use 0.02, say.")
        if self.solver.model.occupied is not None:
            raise ValueError("vacancies do not repeat here; use ExactDiagonalization on the whole lattice.")
        if self.even and (lattice.sublattices > 1 or max(lattice.cells) > 2):
            raise ValueError(f"a texture of {lattice.cells} cells need not be even; leave out even=True.")
        if self.even and not self.solver.model.is_even():
            raise ValueError(
                "the hoppings are not their own image under r -> -r (complex, uneven, spin-orbit and traced ones need "
                "not be), and k and -k differ; leave out even=True."
            )

    @property
    def lattice(self) -> Lattice:
        return self.solver.lattice

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return self._solve(spins)[0]

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        energy, _, density, k = self._solve(spins)
        return energy, self.solver.model.field_of(density, spins, k)

    def fermi_level(self, spins: Spins) -> Float[Array, ""]:
        """The chemical potential."""
        return self._solve(spins)[1]

    def wavevectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Reduced wavevectors `(k, d)` and the share of each, 1 together; of k and -k one where they give the same."""
        dimension, points = self.lattice.dimension, self.points
        grid = np.stack(np.meshgrid(*(np.arange(points),) * dimension, indexing="ij"), -1).reshape(-1, dimension)
        index = np.arange(len(grid))
        back = np.ravel_multi_index(tuple((-grid % points).T), (points,) * dimension) if self.even else index
        first = index <= back
        return grid[first] / points, np.where(back == index, 1.0, 2.0)[first] / len(grid)

    def _solve(self, spins: Spins):
        check_spins(self.lattice, spins)
        check_finite(spins)
        return self._solved(spins)

    @eqx.filter_jit
    def _solved(self, spins: Spins):
        solver, dtype = self.solver, spins.dtype
        k, share = self.wavevectors()
        k = jnp.asarray(k, dtype)
        h = solver.model.bloch(spins, k)
        weights = jnp.broadcast_to(jnp.asarray(share, dtype)[:, None], h.shape[:2])
        orbitals = jnp.asarray(h.shape[-1], dtype)
        energy, mu, _, density = fill_matrix(solver.ensemble.astype(dtype), h, weights, orbitals)
        return energy, mu, density, k
