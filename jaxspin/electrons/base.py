"""What the solvers ask of a model of electrons, whatever its orbitals are.

Shapes: spins `(*cells, sublattices, 3)`; electron vectors `(*cells, orbitals, 2, columns)` in public, and inside
solvers in the layout that the model multiplies fastest, `packed`. Dense matrices are `(2N, 2N)` with the N orbitals of
all cells and their spins in the C order of `(*cells, orbitals, 2)`.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Complex, Float, Int

from jaxspin.arguments import told
from jaxspin.arrays.spinors import Spinor
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins

Spins = Float[Array, "*cells sublattices 3"]


class AbstractElectrons(eqx.Module):
    """H of electrons at frozen spins, on `lattice`, whose sites have one spin each.

    Solvers know this interface alone, and so take `SDModel` and `OrbitalModel`; write another model as their sibling.
    Spins are `(*cells, sublattices, 3)`, energies in units of the model's own.

    Example:
        >>> model: js.electrons.AbstractElectrons = js.SDModel(lattice, coupling=2.0)
        >>> model.orbital_lattice.shape, model.filling_of(0.5)
        ((4, 4, 1), 0.25)
    """

    lattice: eqx.AbstractVar[Lattice]
    potential: eqx.AbstractVar[Float[Array, "..."] | None]
    occupied: eqx.AbstractVar[Bool[Array, "..."] | None]

    @property
    @abc.abstractmethod
    def orbital_lattice(self) -> Lattice:
        """The lattice with a site for every orbital: electron vectors have its shape, and probes colour its sites."""

    @property
    @abc.abstractmethod
    def strength(self) -> float | None:
        """The largest coupling |J| of an electron to a spin; None while it is traced."""

    @abc.abstractmethod
    def on(self, lattice: Lattice) -> "AbstractElectrons":
        """The same model on another size of the lattice."""

    @abc.abstractmethod
    def dense(self, spins: Spins, wavevector: Float[Array, " d"] | None = None) -> Complex[Array, "n n"]:
        """H as a matrix; with a `wavevector` that of the texture repeated without end."""

    @abc.abstractmethod
    def matvec(
        self, spins: Spins, vectors: Complex[Array, "*cells orbitals 2 columns"]
    ) -> Complex[Array, "*cells orbitals 2 columns"]:
        """H times each column."""

    @abc.abstractmethod
    def hamiltonian(self, spins: Spins) -> Any:
        """H at these spins, an operator on packed vectors: a pytree to be called, with `spins` as an attribute.

        What products have in common is computed here, once.
        """

    @abc.abstractmethod
    def packed(self, spinor: Spinor) -> Any:
        """A spinor on `orbital_lattice` in the layout of `hamiltonian`: a pytree with the columns as the last axis."""

    @abc.abstractmethod
    def field_of(
        self, density: Complex[Array, "*k n n"], spins: Spins, wavevectors: Float[Array, "k d"] | None = None
    ) -> Spins:
        """B_i = -Tr rho dH/dS_i of a density matrix rho; of one at each of the `wavevectors`, added up, where given."""

    @abc.abstractmethod
    def spectral_bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(lowest, highest) energy that any spin configuration can have."""

    @abc.abstractmethod
    def is_even(self) -> bool:
        """Whether the hoppings are surely their own image under r -> -r."""

    def orbitals(self) -> Int[Array, ""] | int:
        """The number of spin-orbitals, 2N less two for each vacancy."""
        return 2 * (self.orbital_lattice.sites if self.occupied is None else jnp.sum(self.occupied))

    def filling_of(self, electrons: ArrayLike) -> Any:
        """The filling N_e/(number of spin-orbitals) of so many `electrons` a cell, where no site is vacant.

        `js.ExactDiagonalization(model, filling=model.filling_of(8), ...)` has eight electrons in every cell.
        """
        return electrons / (2 * self.orbital_lattice.sublattices)

    @takes_spins(half=False)
    def bloch(self, spins: Spins, wavevectors: Float[Array, "k d"]) -> Complex[Array, "k n n"]:
        """H(k) of a magnetic unit cell (the model's lattice, periodic) at reduced `wavevectors` of that cell.

        With k = (m_1/n_1, m_2/n_2) it has the spectrum of the n_1 x n_2 times larger lattice.
        """
        if not all(self.lattice.periodic):
            raise ValueError("Bloch waves need a periodic lattice; build it with periodic=True, or use dense(spins).")
        return jax.vmap(lambda k: self.dense(spins, k))(wavevectors)


def check_wavevector(lattice: Lattice, wavevector: Array | None) -> None:
    """Refuse a wavevector with another number of coordinates than axes: raises `ValueError`."""
    if wavevector is not None and wavevector.shape != (lattice.dimension,):
        raise ValueError(
            f"a wavevector has {lattice.dimension} reduced coordinates, got shape {wavevector.shape}; "
            "give one for each axis."
        )


def check_model(model: Any, solver: str) -> None:
    """Refuse what is no model of electrons, such as the lattice of one: raises `TypeError`."""
    if not isinstance(model, AbstractElectrons):
        raise TypeError(
            f"model = {told(model)} is no model of electrons; give js.{solver}(js.SDModel(lattice, coupling=2.0), ...)."
        )
