"""Matrices between sites, by the distance of the sites."""

import functools
import itertools
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxspin.lattice import Lattice


class DistanceShells(NamedTuple):
    """A matrix between sites by distance: `(shells,)` each, ascending, without the sites themselves.

    `distance` in lattice constants; `mean`, `least` and `greatest` of the elements there, in their units. What
    `by_distance` returns.

    Example:
        >>> js.observables.by_distance(js.chain(3), np.eye(3))._fields
        ('distance', 'mean', 'least', 'greatest')
    """

    distance: Float[np.ndarray, " shells"]
    mean: Float[np.ndarray, " shells"]
    least: Float[np.ndarray, " shells"]
    greatest: Float[np.ndarray, " shells"]


def by_distance(lattice: Lattice, matrix: Float[jax.Array | np.ndarray, "n n"]) -> DistanceShells:
    """Mean, least and greatest element M_ij over the pairs of sites at each distance, the shortest way around.

    `matrix` has the sites in the C order of `(*cells, sublattices)`, as `effective_exchange` has: of that it is J(r),
    and least and greatest tell whether J depends on more than the distance. Distances within 1e-6 lattice constants are
    one. Runs on the host (NumPy), of order N^2. For the products of spins use `correlation_function`.

    Raises `ValueError` for a matrix that is not `(N, N)`.

    Example:
        >>> ring = js.chain(4)
        >>> hop = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
        >>> found = js.observables.by_distance(ring, 0.5 * hop)
        >>> found.distance.tolist(), found.mean.tolist()
        ([1.0, 2.0], [0.5, 0.0])
    """
    values, sites = np.asarray(matrix), lattice.sites
    if values.shape != (sites, sites):
        raise ValueError(f"a matrix of shape {values.shape} is not one between {sites} sites; give one row a site.")
    length = _apart(lattice).round(6)
    shells = [d for d in np.unique(length) if d > 0]
    found = [(d, part.mean(), part.min(), part.max()) for d in shells for part in [values[length == d]]]
    return DistanceShells(*np.array(found).reshape(-1, 4).T)


def _apart(lattice: Lattice) -> np.ndarray:
    """The distance of every two sites, of the nearest of all images: of long, oblique cells it may lie several off."""
    positions = np.asarray(lattice.positions(), float).reshape(lattice.sites, -1)
    axes = np.array(lattice.vectors) * np.array(lattice.cells)[:, None]
    inverse = np.linalg.inv(axes)
    apart = positions[:, None] - positions[None]
    apart = apart - (np.round(apart @ inverse) * np.array(lattice.periodic)) @ axes
    # no image is nearer whose cell lies further, plane by plane, than the vector is long
    reach = np.linalg.norm(apart, axis=-1).max() * np.linalg.norm(inverse, axis=0) + 0.5
    counts = [int(n) if around else 0 for n, around in zip(reach, lattice.periodic, strict=True)]
    images = itertools.product(*(range(-n, n + 1) for n in counts))
    return functools.reduce(np.minimum, (np.linalg.norm(apart + np.array(n) @ axes, axis=-1) for n in images))
