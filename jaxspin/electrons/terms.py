"""The terms of H, once for all that is made of them: products with vectors, matrices, Bloch matrices, slices, bounds.

    H = - sum_terms sum_R amplitude_R c+_(R, row) spin c_(R + offset, column)
        + sum_i c+_i (energy_i - exchange_i . sigma) c_i

A hopping gives two terms, there and back, so that nobody else writes a hermitian conjugate. The parts of a spinor are
those of `jaxspin.arrays.spinors`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Num

from jaxspin.arrays.columns import repeat_columns
from jaxspin.arrays.precision import einsum
from jaxspin.arrays.spinors import Parts
from jaxspin.electrons.hoppings import PAULI, Hopping
from jaxspin.lattice import Lattice


class Term(NamedTuple):
    """What hops to sublattice `row` in cell R from sublattice `column` in cell R + `offset`: -amplitude_R spin.

    `amplitude` is a number or an array `(*cells)`, `spin` a 2x2 matrix, 1 if None. Beyond an open edge an array holds
    zero or what never counts.
    """

    row: int
    column: int
    offset: tuple[int, ...]
    amplitude: Num[Array, "..."]
    spin: Num[Array, "2 2"] | None

    def block(self, ctype) -> Complex[Array, "*cells 2 2"]:
        """-amplitude spin, without the axes of the cells where they are all alike."""
        spin = jnp.eye(2, dtype=ctype) if self.spin is None else self.spin.astype(ctype)
        return -_times(self.amplitude.astype(ctype), spin)

    def ends(self, lattice: Lattice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Site numbers (row, column) in every cell, how often the bond wraps around, and which cells have it.

        Cells in C order; the first three for those alone that have the bond.
        """
        cells = np.array(lattice.cells)
        r = np.stack(np.meshgrid(*(np.arange(c) for c in cells), indexing="ij"), -1).reshape(-1, len(cells))
        target = r + np.array(self.offset)
        wraps, home = target // cells, target % cells
        inside = np.all((wraps == 0) | np.array(lattice.periodic), axis=1)
        i = np.asarray(np.ravel_multi_index(tuple(r.T), lattice.cells)) * lattice.sublattices + self.row
        j = np.asarray(np.ravel_multi_index(tuple(home.T), lattice.cells)) * lattice.sublattices + self.column
        return i[inside], j[inside], wraps[inside], inside


def both_directions(lattice: Lattice, hopping: Hopping) -> Iterator[Term]:
    """-t M, from `end` to `start` of the bond, and its hermitian conjugate."""
    (start, end, offset, _), t, spin = hopping.bond, hopping.amplitude, hopping.spin
    yield Term(start, end, offset, t, spin)
    back = tuple(-n for n in offset)
    # the amplitude of the bond that arrives in a cell
    arriving = jnp.conj(t) if jnp.iscomplexobj(t) else t
    arriving = lattice.translate(arriving, back) if t.ndim else arriving
    yield Term(end, start, back, arriving, None if spin is None else jnp.conj(spin.T))


class Site(NamedTuple):
    """energy - exchange . sigma on the sites of one sublattice.

    `energy` is a number, an array `(*cells)`, or None for zero; `exchange` is `(*cells, 3)`.
    """

    energy: Float[Array, "..."] | None
    exchange: Float[Array, "*cells 3"]

    def block(self, ctype) -> Complex[Array, "*cells 2 2"]:
        """The 2x2 matrices."""
        matrices = -einsum("...c,cab->...ab", self.exchange.astype(ctype), jnp.asarray(PAULI, ctype))
        if self.energy is None:
            return matrices
        energy = jnp.broadcast_to(self.energy.astype(ctype), matrices.shape[:-2])
        return matrices + _times(energy, jnp.eye(2, dtype=ctype))

    def times(self, parts: Parts) -> Parts:
        """The product with the parts of a spinor."""
        ur, ui, dr, di = parts
        exchange = self.exchange[..., None, :]
        x, y, z = repeat_columns(tuple(exchange[..., c] for c in range(3)), ur.shape[-1])
        product = (
            -(z * ur + x * dr + y * di),
            -(z * ui + x * di - y * dr),
            -(x * ur - y * ui - z * dr),
            -(y * ur + x * ui - z * di),
        )
        if self.energy is None:
            return product
        v = self.energy[..., None] if self.energy.ndim else self.energy
        return tuple(o + v * p for o, p in zip(product, parts, strict=True))


def _times(numbers: Array, matrix: Array) -> Array:
    """Each of the numbers `(*cells)` times the matrix, `(*cells, 2, 2)`."""
    return numbers[..., None, None] * matrix.reshape(*(1,) * numbers.ndim, 2, 2)
