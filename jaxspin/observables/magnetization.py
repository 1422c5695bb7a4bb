"""Order parameters of spins `(*cells, sublattices, 3)`: uniform, by magnetic sublattice, and on bonds."""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.arrays.vectors import one_program
from jaxspin.classical import bond_ends
from jaxspin.classical.sites import check_moments, moments_at
from jaxspin.couplings import finite_real
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins


@takes_spins(unit=True)
def magnetization(
    spins: Float[Array, "*n 3"], moment: float | Float[Array, "*n"] | Float[Array, " sublattices"] | None = None
) -> Float[Array, " 3"]:
    """m = sum_i m_i S_i / (number of occupied sites): the mean spin, zero if every site is vacant.

    `moment` m_i, the length of a spin, is one number, one for each sublattice or one a site, 1 unless given; then m is
    the mean moment. For the order of an antiferromagnet use `sublattice_magnetization`.

    Raises `ValueError` for spins without three components or longer than 1, and moments of another shape, complex or
    not finite.

    Example:
        >>> js.observables.magnetization(js.textures.ferromagnet(lattice)).tolist()
        [0.0, 0.0, 1.0]
    """
    if moment is not None:
        lengths = finite_real(moment, "moment").astype(spins.dtype)
        check_moments(lengths, spins.shape[:-1])
        lengths = moments_at(lengths, spins.shape[:-1])
        spins = spins * (lengths if lengths.ndim == 0 else lengths[..., None])
    return _mean_spin(spins, tuple(range(spins.ndim - 1)))


@takes_spins(unit=True)
def sublattice_magnetization(
    lattice: Lattice, spins: Float[Array, "*cells sublattices 3"], cell: Sequence[int]
) -> Float[Array, "*cell sublattices 3"]:
    """The mean spin on each site of a magnetic cell of `cell` = (c_1, ...) unit cells.

    Entry (n, b) averages the occupied sites of sublattice b in the cells congruent to n modulo `cell`; its
    length is 1 in perfect order.

    Raises `ValueError` unless `cell` divides `lattice.cells`, and for spins of another lattice or longer than 1.

    Example:
        >>> means = js.observables.sublattice_magnetization(lattice, js.textures.neel(lattice), cell=(2, 2))
        >>> means.shape, means[:, :, 0, 2].tolist()
        ((2, 2, 1, 3), [[1.0, -1.0], [-1.0, 1.0]])
    """
    if len(cell) != lattice.dimension or any(c < 1 or n % c for n, c in zip(lattice.cells, cell, strict=False)):
        raise ValueError(
            f"a magnetic cell {tuple(cell)} does not tile the cells {lattice.cells}; use divisors of them."
        )
    shape = [k for n, c in zip(lattice.cells, cell, strict=True) for k in (n // c, c)]
    cells = spins.reshape(*shape, lattice.sublattices, 3)
    return _mean_spin(cells, tuple(range(0, 2 * lattice.dimension, 2)))


@takes_spins(unit=True)
def nearest_neighbor_correlations(
    lattice: Lattice, spins: Float[Array, "*cells sublattices 3"], shell: int = 1
) -> Float[Array, "*cells bonds"]:
    """S_i . S_j on every bond of `lattice.shell(shell)`, nearest by default; 0 beyond an open edge.

    Entry (n, k) is that of bond k from cell n. For all distances use `correlation_function`, by site
    `site_correlations`.

    Raises `ValueError` for a shell below 1, and for spins of another lattice or longer than 1.

    Example:
        >>> bonds = js.observables.nearest_neighbor_correlations(lattice, js.textures.neel(lattice))
        >>> bonds.shape, float(bonds.mean())
        ((4, 4, 2), -1.0)
    """
    ends = [bond_ends(lattice, spins, bond) for bond in lattice.shell(shell)]
    return jnp.stack([jnp.sum(a * b, axis=-1) for a, b in ends], axis=-1)


@functools.partial(one_program, static_argnums=1)
def _mean_spin(spins: Array, axes: tuple[int, ...]) -> Array:
    occupied = jnp.any(spins != 0, axis=-1, keepdims=True).astype(spins.dtype)
    return jnp.sum(spins, axes) / jnp.maximum(jnp.sum(occupied, axes), 1)
