"""Currents between the orbitals of an `OrbitalModel`: what multiplies phases of its hoppings, bond by bond.

A bond (r, R, m, n) leads from orbital m in cell r to orbital n in cell r + R, and H has B(r, R) there, `(n, 2, n, 2)`
for all orbitals: hopping, exchange and what the spins split. H(phi) = H + sum i phi_rRmn c+_rm B_mn c_(r+R)n turns each
by a phase, without the way back; the derivative of the energy by phi less that of the bond's reverse is the current.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxspin.arrays.precision import einsum
from jaxspin.arrays.spinors import Spinor, complex_of
from jaxspin.electrons.base import AbstractElectrons, Spins
from jaxspin.electrons.hoppings import PAULI
from jaxspin.electrons.orbital_matrices import halves
from jaxspin.electrons.orbital_product import at_orbitals
from jaxspin.electrons.orbitals import OrbitalModel
from jaxspin.electrons.owners import as_complex
from jaxspin.lattice import Lattice

Phases = Float[Array, "cells vectors n n"]


class Turned(AbstractElectrons):
    """A model whose bonds are turned by `phases` about zero, to first order: for derivatives alone."""

    lattice: Lattice = eqx.field(static=True)
    potential: Float[Array, "..."] | None
    occupied: Bool[Array, "..."] | None
    model: OrbitalModel
    phases: Phases

    def __init__(self, model: OrbitalModel, phases: Phases):
        self.lattice, self.potential, self.occupied = model.lattice, model.potential, model.occupied
        self.model, self.phases = model, phases

    @property
    def orbital_lattice(self) -> Lattice:
        return self.model.orbital_lattice

    @property
    def strength(self) -> float | None:
        return self.model.strength

    def on(self, lattice: Lattice) -> "Turned":
        raise ValueError("phases belong to one size of the lattice; move the model itself.")

    def dense(self, spins: Spins, wavevector: Float[Array, " d"] | None = None) -> Array:
        h = self.model.dense(spins, wavevector)
        one = jnp.eye(len(h), dtype=h.dtype).reshape(*self.orbital_lattice.shape, 2, -1)
        return h + TurnedProduct(self.model, self.phases, spins).turning(one).reshape(h.shape)

    def matvec(self, spins: Spins, vectors: Array) -> Array:
        return self.hamiltonian(spins)(vectors)

    def hamiltonian(self, spins: Spins) -> "TurnedProduct":
        return TurnedProduct(self.model, self.phases, spins)

    def packed(self, spinor: Spinor) -> Array:
        return self.model.packed(spinor)

    def field_of(self, density: Array, spins: Spins, wavevectors: Any = None) -> Spins:
        return self.model.field_of(density, spins, wavevectors)

    def spectral_bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return self.model.spectral_bounds()

    def is_even(self) -> bool:
        return False


class TurnedProduct(eqx.Module):
    """H(phi) at these spins, on vectors `(*cells, n, 2, columns)`."""

    model: OrbitalModel
    phases: Phases
    spins: Spins

    def __call__(self, vectors: Array) -> Array:
        return self.model.hamiltonian(self.spins)(vectors) + self.turning(vectors)

    def turning(self, vectors: Array) -> Array:
        """sum i phi B psi(r + R), one lattice vector after another."""
        model, n = self.model, len(self.model.owners)
        ctype = complex_of(self.spins.dtype)
        ends, inside = neighbours(model)
        s = at_orbitals(model.owners, self.spins).reshape(-1, n, 3).astype(ctype)
        matrices = einsum("rmc,cab->rmab", s, jnp.asarray(PAULI, ctype))
        flat = vectors.reshape(-1, n, 2, vectors.shape[-1])

        @jax.checkpoint
        def add(total, bond):
            h, g, there, within, phases = bond
            # B_ma,nb = H_ma,nb - G_mn (S_m + S_n).sigma_ab
            both = matrices[:, :, :, None, :] + jnp.swapaxes(matrices[there], 1, 2)[:, None]
            block = h[None] - g[None, :, None, :, None] * both
            turned = 1j * jnp.where(within[:, None, None], phases, 0).astype(ctype)
            block = block * turned[:, :, None, :, None]
            return total + einsum("rmanb,rnbc->rmac", block, flat[there]), None

        turns = jnp.moveaxis(self.phases, 1, 0)
        blocks = (*aligned(model, ctype), jnp.asarray(ends), jnp.asarray(inside), turns)
        return jax.lax.scan(add, jnp.zeros_like(flat), blocks)[0].reshape(vectors.shape)


def aligned(model: OrbitalModel, ctype) -> tuple[Array, Array]:
    """H0(R) `(vectors, n, 2, n, 2)` and the halves G(R) of what the spins split, `(vectors, n, n)`."""
    n, hopping = len(model.owners), as_complex(model.hopping).astype(ctype)
    if hopping.shape[-1] == n:
        hopping = hopping[:, :, None, :, None] * jnp.eye(2, dtype=ctype)[None, None, :, None, :]
    offsets, half = halves(model)
    place = {offset: number for number, offset in enumerate(offsets)}
    known = np.array([offset in place for offset in model.offsets])
    index = np.array([place.get(offset, 0) for offset in model.offsets])
    g = jnp.where(known[:, None, None], half.astype(ctype)[index], 0)
    return hopping.reshape(-1, n, 2, n, 2), g


def neighbours(model: OrbitalModel) -> tuple[np.ndarray, np.ndarray]:
    """The number of cell r + R for each R and r, and whether it is on the lattice, `(vectors, cells)`."""
    cells = np.array(model.lattice.cells)
    r = np.stack(np.meshgrid(*(np.arange(n) for n in cells), indexing="ij"), -1).reshape(-1, len(cells))
    there = r[None] + np.array(model.offsets)[:, None]
    inside = np.all((there >= 0) & (there < cells) | np.array(model.lattice.periodic), axis=-1)
    home = np.moveaxis(there % cells, -1, 0)
    return np.asarray(np.ravel_multi_index(tuple(home), model.lattice.cells)), inside


def from_slopes(model: OrbitalModel, slopes: Phases) -> Float[Array, "*cells vectors n n"]:
    """The currents, from the derivatives of the energy by the phases: each less that of the way back."""
    ends, inside = neighbours(model)
    back = np.array([model.offsets.index(tuple(-x for x in offset)) for offset in model.offsets])
    reverse = jnp.swapaxes(slopes[ends.T, back[None]], -1, -2)
    found = jnp.where(inside.T[..., None, None], slopes - reverse, 0)
    return found.reshape(*model.lattice.cells, *slopes.shape[1:])


def no_phases(model: OrbitalModel, dtype) -> Phases:
    """Zeros, where derivatives are taken."""
    n = len(model.owners)
    return jnp.zeros((np.prod(model.lattice.cells), len(model.offsets), n, n), dtype)
