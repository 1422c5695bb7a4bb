"""Rotations and reflections about the sites of a lattice, and where they move the sites of a finite cluster."""

import dataclasses
import functools
import itertools
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Shaped

from jaxspin.arrays.vectors import one_program
from jaxspin.lattice import Lattice
from jaxspin.symmetry.groups import TOLERANCE, PointGroup, element_order, generate_group
from jaxspin.warned import caller


def infinite(lattice: Lattice) -> Lattice:
    """The kind of lattice, without its size: one cell, periodic along every axis.

    Equal for lattices that differ in size and boundaries alone, so it is what tables of symmetries are kept by.
    `lattice.is_kind_of(other)` compares to within the lattices' tolerance.

    Example:
        >>> js.symmetry.infinite(lattice).cells
        (1, 1)
    """
    ones = (1,) * lattice.dimension
    return dataclasses.replace(lattice, cells=ones, periodic=(True,) * lattice.dimension)


@functools.lru_cache(maxsize=256)
def site_maps(lattice: Lattice, start: int = 0, end: int = 0) -> np.ndarray:
    """All orthogonal matrices `(n, d, d)` that map the surroundings of a site of sublattice `start` on those
    of one of sublattice `end`, as plain positions of the infinite lattice; empty if there is none.

    Rotations come before reflections, and those that turn least come first. Warns where more would map them to within
    the lattice's `tolerance`: coordinates typed with few digits have lost a symmetry.

    Raises `ValueError` for a sublattice that the lattice does not have. For the sites of a finite cluster use
    `site_images`.

    Example:
        >>> js.symmetry.site_maps(js.honeycomb(4), start=0, end=1).shape
        (6, 2, 2)
    """
    maps = _maps(lattice, start, end, TOLERANCE)
    nearly = _maps(lattice, start, end, lattice.tolerance)
    if len(nearly) > len(maps):
        warnings.warn(
            f"{len(maps)} rotations and reflections map sublattice {start} of the {lattice.name} lattice on {end}, "
            f"but {len(nearly)} to within {lattice.tolerance:g}: its coordinates have too few digits; type all of "
            "them, such as 3**0.5 / 2, or give the Lattice a smaller tolerance=... if it is meant to be distorted.",
            stacklevel=caller(),
        )
    return maps


def _maps(lattice: Lattice, start: int, end: int, tolerance: float) -> np.ndarray:
    kind = infinite(lattice)
    vectors = np.array(lattice.vectors)
    extent = max(np.linalg.norm(np.subtract(x, y)) for x in lattice.basis for y in lattice.basis)
    # twice the longest lattice vector sees every sublattice in every direction
    radius = 2 * np.linalg.norm(vectors, axis=1).max() + extent
    here = np.array([b.vector for b in kind.neighbors(float(radius), start)])
    there = np.array([b.vector for b in kind.neighbors(float(radius), end)])
    frame: list[np.ndarray] = []
    for v in here:
        if np.linalg.matrix_rank(np.array([*frame, v]), tol=1e-3) > len(frame):
            frame.append(v)
    inverse = np.linalg.inv(np.array(frame))
    lengths = np.linalg.norm(there, axis=1)
    images = [there[np.abs(lengths - np.linalg.norm(v)) < tolerance * np.linalg.norm(v)] for v in frame]
    maps = []
    for image in itertools.product(*images):
        matrix = (inverse @ np.array(image)).T
        # the errors of both lengths meet in an angle
        orthogonal = np.allclose(matrix @ matrix.T, np.eye(lattice.dimension), atol=4 * tolerance)
        if orthogonal and len(here) == len(there):
            apart = np.linalg.norm((here @ matrix.T)[:, None] - there[None], axis=-1)
            if np.all(np.min(apart, axis=1) < 4 * tolerance * lengths.max()):
                maps.append(matrix)
    return np.array(sorted(maps, key=element_order)).reshape(-1, lattice.dimension, lattice.dimension)


def point_group(lattice: Lattice, sublattice: int = 0) -> PointGroup:
    """The point group about a site: D4 square, D6 triangular, D3 honeycomb, D2 kagome, Oh cubic, D1 chain.

    Read off the positions of the infinite lattice, so sublattices that are only labels do not lower it.

    Raises `ValueError` for a sublattice that the lattice does not have, and where the group has irreps that are not
    real. For a group of your own use `generate_group`.

    Example:
        >>> [js.symmetry.point_group(made).name for made in (js.chain(4), lattice, js.triangular(4), js.kagome(4))]
        ['D1', 'D4', 'D6', 'D2']
    """
    return generate_group(list(site_maps(lattice, sublattice, sublattice)))


def site_images(
    lattice: Lattice, matrix: np.ndarray, center: Sequence[int] | None = None, sublattice: int = 0
) -> np.ndarray:
    """Where each site goes under `matrix` `(d, d)` about a site: flat site numbers, of shape `lattice.shape`.

    `center` is the cell of the fixed site (default: the middle cell `cells // 2`).

    Raises `ValueError` if the matrix does not map the cluster on itself (use equal `cells` along the axes that it
    exchanges, and an odd number along open axes), and for a matrix, center or sublattice that the lattice does not
    have.

    Example:
        >>> js.symmetry.site_images(js.chain(5), np.array([[-1.0]])).ravel().tolist()
        [4, 3, 2, 1, 0]
    """
    cells, axes, dimension = np.array(lattice.cells), np.array(lattice.vectors), lattice.dimension
    if np.shape(matrix) != (dimension, dimension) or not 0 <= sublattice < lattice.sublattices:
        raise ValueError(
            f"a matrix of shape {np.shape(matrix)} about sublattice {sublattice} does not act on the {lattice.name} "
            f"lattice; give ({dimension}, {dimension}), and a sublattice from 0 to {lattice.sublattices - 1}."
        )
    if center is not None and np.shape(center) != (dimension,):
        raise ValueError(f"center {center} is no cell of the {lattice.name} lattice; give {dimension} integers.")
    where = cells // 2 if center is None else np.array(center)
    origin = where @ axes + np.array(lattice.basis[sublattice])
    inverse, periodic = np.linalg.inv(axes), np.array(lattice.periodic)
    positions = lattice.positions().reshape(-1, lattice.dimension)
    moved = (positions - origin) @ np.asarray(matrix).T + origin
    periods = (cells[:, None] * axes)[periodic] @ np.asarray(matrix).T @ inverse / np.where(periodic, cells, 1)
    closes = np.allclose(periods, np.round(periods), atol=TOLERANCE) and not np.any(
        np.abs(periods[:, ~periodic]) > TOLERANCE
    )
    images = np.full(len(positions), -1)
    for b, shift in enumerate(np.array(lattice.basis)):
        cell = (moved - shift) @ inverse
        whole = np.round(cell).astype(int)
        hit = np.all(np.abs(cell - whole) < TOLERANCE, axis=1)
        whole = np.where(periodic, whole % cells, whole)
        hit &= np.all((whole >= 0) & (whole < cells), axis=1)
        flat = np.asarray(np.ravel_multi_index(tuple(np.where(hit[:, None], whole, 0).T), lattice.cells))
        images[hit] = flat[hit] * lattice.sublattices + b
    if not closes or len(np.unique(images)) != len(images) or images.min() < 0:
        raise ValueError(
            f"the matrix does not map the {lattice.name} cluster of {lattice.cells} cells (periodic "
            f"{lattice.periodic}) on itself; use an element of point_group(lattice) and equal "
            "numbers of cells, odd ones along open axes."
        )
    return images.reshape(lattice.shape)


def transform_sites(
    lattice: Lattice,
    array: Shaped[Array, "..."],
    matrix: np.ndarray,
    center: Sequence[int] | None = None,
    sublattice: int = 0,
) -> Shaped[Array, "..."]:
    """Move what sits on the sites of `array` `(*cells, sublattices, ...)` by `matrix` about a site.

    result[image(i)] = array[i], with the image by `site_images`. Spins are carried along, not turned: rotate them with
    `spins.rotate`.

    Raises `ValueError` for an array that does not begin with the lattice's sites, and where `site_images` does.

    Example:
        >>> js.symmetry.transform_sites(js.chain(5), jnp.arange(5.0)[:, None], np.array([[-1.0]])).ravel().tolist()
        [4.0, 3.0, 2.0, 1.0, 0.0]
    """
    if array.shape[: len(lattice.shape)] != lattice.shape:
        raise ValueError(
            f"an array of shape {array.shape} does not begin with the sites {lattice.shape} of the {lattice.name} "
            "lattice; give one entry a site."
        )
    images = site_images(lattice, matrix, center, sublattice).ravel()
    return _permuted(array, np.argsort(images))


@one_program
def _permuted(array: Shaped[Array, "..."], order: Shaped[Array, " n"]) -> Shaped[Array, "..."]:
    return array.reshape(len(order), -1)[order].reshape(array.shape)
