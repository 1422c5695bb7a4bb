"""Domains of a scalar order such as the chirality: values `(*cells)`, or `(*cells, n)` averaged over n.

A domain is a connected region of cells of one sign; cells of value zero (vacant) belong to none. All
functions have static shapes and run under jit and vmap.
"""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxspin.couplings import real
from jaxspin.lattice import Lattice
from jaxspin.observables.structure_factor import autocorrelation, wavevectors


@jax.jit
def domain_length(lattice: Lattice, values: Float[Array, "..."]) -> Float[Array, ""]:
    """L = mean distance between sign changes along the lattice vectors: L = 1 / mean_k (p_k/abs(a_k)).

    p_k is the fraction of neighbouring cells along a_k whose signs differ. On the square lattice L = 2
    area/boundary: a checkerboard of squares of side w has L = w, stripes of width w have 2 w. Infinite for
    one domain; its derivative is zero (use `decay_length` for a smooth one). In the units of the lattice vectors.

    Raises `ValueError` for values that do not begin with the lattice's cells, or are complex; give one or several a
    cell.

    Example:
        >>> stripes = jnp.array([1.0, 1.0, -1.0, -1.0])[:, None] * jnp.ones((4, 4))
        >>> round(float(js.observables.domain_length(lattice, stripes)), 3)
        4.0
    """
    signs = jnp.sign(_by_cell(lattice, values))
    rates = []
    for axis, vector in enumerate(lattice.vectors):
        step = tuple(int(k == axis) for k in range(lattice.dimension))
        products = signs * lattice.translate(signs, step)
        pairs = jnp.sum(jnp.abs(products))
        unlike = jnp.sum(jnp.maximum(-products, 0))
        rates.append(unlike / jnp.maximum(pairs, 1) / float(np.linalg.norm(vector)))
    rate = jnp.mean(jnp.stack(rates))
    return jnp.where(rate > 0, 1 / jnp.where(rate > 0, rate, 1), jnp.inf)


@jax.jit
def decay_length(lattice: Lattice, values: Float[Array, "..."]) -> Float[Array, ""]:
    """The distance at which <v(0) v(R)>, R along the lattice vectors, first falls to half of <v^2>.

    Interpolated linearly, and averaged over the vectors. It is half the period where the correlation does not fall so
    far, and 0 for values that are all zero. Along an open axis the mean is over the pairs there are. Differentiable
    almost everywhere. In the units of the lattice vectors.

    Raises `ValueError` for values that do not begin with the lattice's cells, or are complex; give one or several a
    cell.

    Example:
        >>> stripes = jnp.array([1.0, 1.0, -1.0, -1.0])
        >>> round(float(js.observables.decay_length(js.chain(4), stripes)), 3)
        0.5
    """
    cells = _by_cell(lattice, values)[..., None, None]
    pairs = jnp.round(autocorrelation(lattice, jnp.ones_like(cells)))
    correlation = autocorrelation(lattice, cells) / jnp.maximum(pairs, 1)
    lengths = []
    for axis, vector in enumerate(lattice.vectors):
        line = correlation[tuple(slice(None) if k == axis else 0 for k in range(lattice.dimension))]
        line = line[: lattice.cells[axis] // 2 + 1] / jnp.where(line[0] > 0, line[0], 1)
        below = line < 0.5
        first = jnp.argmax(below)
        falls = below[first] & (first > 0)
        above, under = line[jnp.maximum(first - 1, 0)], line[first]
        crossing = first.astype(line.dtype) - (0.5 - under) / jnp.where(falls, above - under, 1)
        half = jnp.asarray(lattice.cells[axis] // 2, line.dtype)
        lengths.append(jnp.where(falls, crossing, jnp.where(below[first], 0, half)) * float(np.linalg.norm(vector)))
    return jnp.mean(jnp.stack(lengths))


@jax.jit
def moment_length(lattice: Lattice, values: Float[Array, "..."]) -> Float[Array, ""]:
    """L = 2 pi/<q>, <q> = sum_q abs(q) s(q) / sum_q s(q), s(q) the power spectrum of `values`, q = 0 left out.

        moment_length(lattice, scalar_chirality(lattice, spins))

    abs(q) is taken to the nearest zone centre. A plane wave has its wavelength for L, values that are all equal have
    none (NaN). In the units of the lattice vectors, as if all axes were periodic. Differentiable.

    Raises `ValueError` for values that do not begin with the lattice's cells, or are complex; give one or several a
    cell.

    Source: A. J. Bray, Adv. Phys. 43, 357 (1994), 10.1080/00018739400101505.

    Example:
        >>> wave = jnp.cos(2 * jnp.pi * jnp.arange(8) / 8)
        >>> round(float(js.observables.moment_length(js.chain(8), wave)), 3)
        8.0
    """
    waves = jnp.fft.fftn(_by_cell(lattice, values))
    power = (waves.real**2 + waves.imag**2).at[(0,) * lattice.dimension].set(0)
    grid, reciprocal = wavevectors(lattice), lattice.reciprocal()
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=lattice.dimension))) @ reciprocal
    size = np.min(np.linalg.norm(grid[..., None, :] - shifts, axis=-1), axis=-1)
    return 2 * jnp.pi * jnp.sum(power) / jnp.sum(power * jnp.asarray(size, power.dtype))


@jax.jit
def domain_labels(lattice: Lattice, values: Float[Array, "..."]) -> Int[Array, "..."]:
    """A number for each cell `(*cells)`, equal within a domain: 1 + the index of the domain's first cell.

    It is 0 where the value is 0. Cells connect along the shortest lattice vectors (6 on the triangular
    lattice, 4 on the square one). In each sweep a label moves by one cell, so the work is the longest path inside
    a domain times the number of cells. A value that is NaN is a domain by itself.

    Raises `ValueError` for values that do not begin with the lattice's cells, or are complex; give one or several a
    cell.

    Example:
        >>> js.observables.domain_labels(js.chain(6), jnp.array([1.0, 1.0, -1.0, -1.0, 0.0, -1.0])).tolist()
        [1, 1, 3, 3, 0, 6]
    """
    signs = jnp.sign(_by_cell(lattice, values))
    bravais = dataclasses.replace(lattice, basis=((0.0,) * lattice.dimension,))
    steps = [end for bond in bravais.shell(1) for end in (bond.offset, bond.reversed().offset)]
    alike = [(lattice.translate(signs, step) == signs) & (signs != 0) for step in steps]
    start = jnp.arange(1, signs.size + 1, dtype=jnp.int32).reshape(signs.shape)

    def sweep(state):
        labels, _ = state
        new = labels
        for step, same in zip(steps, alike, strict=True):
            new = jnp.where(same, jnp.minimum(new, lattice.translate(labels, step)), new)
        return new, jnp.any(new != labels)

    labels, _ = jax.lax.while_loop(lambda state: state[1], sweep, (start, jnp.array(True)))
    return jnp.where(signs == 0, 0, labels)


@jax.jit
def domain_sizes(lattice: Lattice, values: Float[Array, "..."]) -> Int[Array, "..."]:
    """For each cell `(*cells)` the number of cells in its domain, 0 where it has none.

    The mean over cells is the size weighted by area, sum s^2/sum s; the number of domains is the sum of
    1/size over cells with a domain. To list domains: `jnp.unique(domain_labels(lattice, values),
    return_counts=True)`.

    Raises `ValueError` for values that do not begin with the lattice's cells, or are complex; give one or several a
    cell.

    Example:
        >>> js.observables.domain_sizes(js.chain(6), jnp.array([1.0, 1.0, -1.0, -1.0, 0.0, -1.0])).tolist()
        [2, 2, 2, 2, 0, 1]
    """
    labels = domain_labels(lattice, values)
    counts = jnp.bincount(labels.reshape(-1), length=labels.size + 1)
    return jnp.where(labels == 0, 0, counts[labels].astype(labels.dtype))


def _by_cell(lattice: Lattice, values: Any) -> Array:
    values = real(values, "values")
    if values.shape[: lattice.dimension] != lattice.cells:
        raise ValueError(
            f"values of shape {values.shape} do not begin with the lattice's cells {lattice.cells}; "
            "give one or several values a cell."
        )
    return jnp.mean(values.reshape(*lattice.cells, -1), axis=-1)
