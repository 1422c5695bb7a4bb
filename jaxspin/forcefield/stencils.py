"""Convolutions that commute with the space group of a lattice: which weights are the same.

A feature is a function on the space group: at a site r it has one channel for every operation g that takes the site
at the origin to r, as many as the point group has elements. A convolution sums over the operations h that take the
origin to a site nearby,

    y(g) = sum_h w(h) x(g h),

and commutes with every operation of the space group, since these act from the left. In channels it is a matrix for
each site nearby, whose entries are the weights w(h) in the order that the tables here say.
Source: T. Cohen and M. Welling, Proc. Machine Learning Research 48, 2990 (2016), arXiv:1602.07576, Eq. (10).
"""

import dataclasses
import functools

import numpy as np

from jaxspin.descriptors.neighborhood import keeping
from jaxspin.lattice import Lattice
from jaxspin.symmetry import infinite, position_key, site_maps


@dataclasses.dataclass(frozen=True, eq=False)
class Stencil:
    """The `count` sites within a radius of a site, itself first, and the tables of weights over them.

    `sites[b]` are (offset of the cell, sublattice) around a site of sublattice b. `weights` `(sublattices, order,
    count, order)` says for [b, channel out, site nearby, channel in] which of the count x order weights it is, and
    `plain` `(sublattices, order, count)` which of the count ones where a site has a single channel, as spins have.
    `reach` is how many cells the sites lie away along each axis, at most.
    """

    order: int
    sites: tuple[tuple[tuple[tuple[int, ...], int], ...], ...]
    weights: np.ndarray
    plain: np.ndarray

    @property
    def count(self) -> int:
        return len(self.sites[0])

    @property
    def reach(self) -> tuple[int, ...]:
        return tuple(int(n) for n in np.abs([offset for around in self.sites for offset, _ in around]).max(axis=0))


def stencil(lattice: Lattice, radius: float, direction: tuple[float, ...] | None = None) -> Stencil:
    """The stencil of all sites within `radius`; a `direction` keeps the operations alone that leave it.

    Raises `ValueError` where no operation takes one sublattice to another.
    """
    return _stencil(infinite(lattice), float(radius), direction)


@functools.lru_cache(maxsize=64)
def _stencil(lattice: Lattice, radius: float, direction: tuple[float, ...] | None) -> Stencil:
    axes, basis = np.array(lattice.vectors), np.array(lattice.basis)
    inverse = np.linalg.inv(axes)
    operations = [keeping(site_maps(lattice, 0, b), direction) for b in range(lattice.sublattices)]
    order = len(operations[0])
    lost = [b for b, maps in enumerate(operations) if len(maps) != order]
    if lost:
        raise ValueError(
            f"no operation takes a site of sublattice 0 of the {lattice.name} lattice to one of sublattice {lost[0]}; "
            "use a descriptor such as LocalMoments, which tells sublattices apart."
        )
    numbers = [{position_key(m): n for n, m in enumerate(maps)} for maps in operations]

    def around(b: int) -> tuple[tuple[tuple[int, ...], int], ...]:
        bonds = lattice.neighbors(radius + 1e-6, b) if radius > 0 else ()
        near = sorted(bonds, key=lambda bond: (round(bond.length, 6), bond.offset, bond.end))
        return (((0,) * lattice.dimension, b), *((tuple(int(n) for n in bond.offset), bond.end) for bond in near))

    sites = tuple(around(b) for b in range(lattice.sublattices))
    count = len(sites[0])
    weights = np.full((lattice.sublattices, order, count, order), -1)
    plain = np.full((lattice.sublattices, order, count), -1)
    for b, maps in enumerate(operations):
        where = {site: n for n, site in enumerate(sites[b])}
        for channel, turn in enumerate(maps):
            for n, (offset, c) in enumerate(sites[0]):
                vector = basis[b] + turn @ (np.array(offset) @ axes + basis[c] - basis[0])
                there = _site(vector, inverse, basis)
                plain[b, channel, where[there]] = n
                for own, inner in enumerate(operations[c]):
                    image = numbers[there[1]][position_key(turn @ inner)]
                    weights[b, channel, where[there], image] = n * order + own
    assert min(weights.min(), plain.min()) >= 0
    return Stencil(order, sites, weights, plain)


def _site(vector: np.ndarray, inverse: np.ndarray, basis: np.ndarray) -> tuple[tuple[int, ...], int]:
    """The cell and sublattice at a position."""
    cells = (vector - basis) @ inverse
    whole = np.round(cells)
    b = int(np.argmin(np.abs(cells - whole).max(axis=1)))
    return tuple(int(n) for n in whole[b]), b
