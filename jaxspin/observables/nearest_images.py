"""Which image of a site is meant where R is known up to the periods of a mesh: the nearest, or all that are as near."""

import functools
import itertools
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.lattice import Lattice
from jaxspin.warned import caller

# Images of a site whose distances differ by less than this share are as near.
_EQUAL = 1e-6


class Images(NamedTuple):
    """For each pair of sites the nearest image, or those equally near: indices of the cell and the sites, and where.

    `cell` counts the cells of the lattice in C order; `offset` `(images, d)` is R, `vector` `(images, d)` leads from
    the one site to the other, in the unit of the lattice's vectors; `share` adds up to 1 over the images of a pair.
    """

    cell: np.ndarray
    start: np.ndarray
    end: np.ndarray
    offset: np.ndarray
    vector: np.ndarray
    share: np.ndarray

    def pair(self, n: int | np.integer) -> tuple[int, int, tuple[int, ...]]:
        """(i, j, R) of the image at the place `n`."""
        return int(self.start[n]), int(self.end[n]), tuple(int(r) for r in self.offset[n])


@functools.lru_cache(maxsize=8)
def images(lattice: Lattice) -> Images:
    """The nearest images of all pairs of sites of a periodic lattice."""
    a, basis = np.array(lattice.vectors), np.array(lattice.basis)
    periods = np.array(lattice.cells)
    cells = np.stack(np.meshgrid(*(np.arange(n) for n in lattice.cells), indexing="ij"), -1).reshape(-1, len(periods))
    moves = np.array(list(itertools.product(range(-2, 3), repeat=len(periods)))) * periods
    parts: list[tuple[Any, ...]] = []
    for start, end in itertools.product(range(lattice.sublattices), repeat=2):
        between = basis[end] - basis[start]
        reduced = (cells + between @ np.linalg.inv(a)) / periods
        home = cells - np.round(reduced).astype(int) * periods
        offset = home[:, None] + moves
        length = np.linalg.norm(offset @ a + between, axis=-1)
        near = length <= length.min(axis=1, keepdims=True) * (1 + _EQUAL) + _EQUAL * 1e-3
        cell, which = np.nonzero(near)
        chosen = offset[cell, which]
        share = 1 / near.sum(axis=1)[cell]
        parts.append((cell, np.full_like(cell, start), np.full_like(cell, end), chosen, chosen @ a + between, share))
    return Images(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def place_of(lattice: Lattice, start: int, end: int, offset: Sequence[int]) -> tuple[int, ...]:
    """The index in arrays `(*cells, sublattices, sublattices, ..)` of site `start` of cell 0 and `end` of `offset`.

    Raises `ValueError` for a site that the cell lacks, and an offset of another length.
    """
    n, dimension = lattice.sublattices, lattice.dimension
    if not (0 <= start < n and 0 <= end < n):
        raise ValueError(f"sites {start} and {end} are not both in the cell; count them from 0 to {n - 1}.")
    if len(offset) != dimension:
        raise ValueError(f"offset {tuple(offset)} needs {dimension} entries, one per lattice vector.")
    return (*(r % c for r, c in zip(offset, lattice.cells, strict=True)), start, end)


def listed(lattice: Lattice, radius: float | None) -> list[int]:
    """The places in `images(lattice)` of every pair within `radius`, once, by distance; None: of all of them.

    Warns of a radius beyond half the mesh, for the one who called what calls this.
    """
    moves = np.array([m for m in itertools.product(range(-2, 3), repeat=lattice.dimension) if any(m)])
    half = np.linalg.norm(moves * lattice.cells @ np.array(lattice.vectors), axis=-1).min() / 2
    if radius is not None and radius > half * (1 + _EQUAL):
        warnings.warn(
            f"radius = {radius:g} is beyond half the mesh {lattice.cells}, {half:.4g}: the list is cut there; "
            "compute the couplings on a larger mesh, or give a smaller radius; None takes all pairs there are.",
            stacklevel=caller(),
        )
    found = images(lattice)
    length = np.linalg.norm(found.vector, axis=-1)
    within = np.inf if radius is None else radius * (1 + _EQUAL)
    places = []
    for n in np.argsort(length.round(6), kind="stable"):
        i, j, offset = found.pair(n)
        first = (i, j, offset) >= (j, i, tuple(-r for r in offset))
        if first and 0 < length[n] <= within:
            places.append(int(n))
    return places


def integers(numbers: np.ndarray) -> Array:
    """An index of one type in both precisions: JAX keeps what it made of a NumPy array that it meets again."""
    return jnp.asarray(numbers, jnp.int32)


def check_nearest(lattice: Lattice, starts: np.ndarray, ends: np.ndarray, offsets: np.ndarray) -> None:
    """Refuse pairs of which another image is as near on the periodic mesh: there they could not be told apart."""
    a, basis = np.array(lattice.vectors), np.array(lattice.basis)
    moves = np.array([m for m in itertools.product(range(-2, 3), repeat=lattice.dimension) if any(m)]) * lattice.cells
    between = basis[ends] - basis[starts]
    length = np.linalg.norm(offsets @ a + between, axis=-1)
    others = np.linalg.norm((offsets[:, None] + moves) @ a + between[:, None], axis=-1).min(axis=1)
    far = others <= length * (1 + _EQUAL) + _EQUAL * 1e-3
    if far.any():
        first = int(np.argmax(far))
        pair = int(starts[first]), int(ends[first]), tuple(offsets[first].tolist())
        # no period is shorter than the distance between the closest lattice planes
        planes = 2 * np.pi / np.linalg.norm(lattice.reciprocal(), axis=1).max()
        n = int(2 * length[far].max() / planes) + 1
        raise ValueError(
            f"the pair {pair} reaches halfway around the mesh {lattice.cells} or farther; use lattice.resize({n})."
        )
