"""The surroundings of a site: bonds and triangles, grouped in orbits of its point group. NumPy, computed
once.

Sites are numbered with the centre as 0; an orbit of n members carries signed permutations `(order, n, n)` and
their irreps `name -> (copies, dim, n)`.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping

import numpy as np

from jaxspin.lattice import Lattice
from jaxspin.symmetry import PointGroup, generate_group, infinite, position_key, site_maps

# Two lengths closer than this (in lattice constants) are equal.
_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Orbit:
    """Bonds or triangles that the point group maps on each other.

    `members` are pairs or triples of sites of the neighbourhood; x'(g m) = +-x(m) is the signed permutation
    `representation` `(order, n, n)`, negative where a triangle's orientation is reversed.
    """

    name: str
    members: tuple[tuple[int, ...], ...]
    representation: np.ndarray
    irreps: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Neighborhood:
    """Sites, bonds and triangles around a site.

    `vectors` `(sites, d)` are the positions seen from a site of sublattice 0; `sites[s][i]` is the (cell
    offset, sublattice) of site i seen from a site of sublattice s. All orbits hold for every s.
    """

    group: PointGroup
    vectors: np.ndarray
    sites: tuple[tuple[tuple[tuple[int, ...], int], ...], ...]
    bonds: tuple[Orbit, ...]
    triangles: tuple[Orbit, ...]

    def smallest_cells(self) -> tuple[int, ...]:
        """The number of cells a periodic axis needs so that no neighbour is counted twice."""
        offsets = np.array([[offset for offset, _ in around] for around in self.sites])
        return tuple(int(n) for n in (offsets.max(axis=1) - offsets.min(axis=1)).max(axis=0) + 1)


@functools.lru_cache(maxsize=64)
def neighborhood(
    lattice: Lattice,
    radius: float,
    bond_radius: float,
    bond_length: float,
    triangle_side: float,
    direction: tuple[float, ...] | None = None,
) -> Neighborhood:
    """The neighbourhood of a site, with orbits ordered by distance. Lengths in lattice constants.

    Bonds join the centre to every site within `radius`, and pairs of sites within `bond_radius` that are at
    most `bond_length` apart. Triangles have their vertices within `bond_radius` and sides up to
    `triangle_side`, counter-clockwise in the plane; collinear triples are left out. With a `direction` the group is
    the part of the point group that leaves it alone.

    Raises `ValueError` if the sublattices are not equivalent, as one network could not serve them all.
    """
    if lattice != infinite(lattice):
        return neighborhood(infinite(lattice), radius, bond_radius, bond_length, triangle_side, direction)
    group = generate_group(list(keeping(site_maps(lattice), direction)))
    around = lattice.neighbors(float(max(radius, bond_radius)), 0)
    vectors = np.array([np.zeros(lattice.dimension), *(b.vector for b in around)])
    number = {position_key(v): i for i, v in enumerate(vectors)}
    images = np.array([[number[position_key(v)] for v in vectors @ g.T] for g in group.matrices])

    distance = np.linalg.norm(vectors, axis=1)
    apart = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    bond_radius, radius, bond_length, triangle_side = (
        length * (1 + lattice.tolerance) for length in (bond_radius, radius, bond_length, triangle_side)
    )
    close = [i for i in range(len(vectors)) if distance[i] <= bond_radius]
    outer = [(0, i) for i in range(1, len(vectors)) if distance[i] <= radius]
    inner = [pair for pair in itertools.combinations(close, 2) if pair[0] > 0 and apart[pair] <= bond_length]
    joined = apart <= triangle_side
    triples = [
        _counter_clockwise(triple, vectors)
        for triple in itertools.combinations(close, 3)
        if all(joined[pair] for pair in itertools.combinations(triple, 2)) and _area(vectors[list(triple)]) > 1e-6
    ]
    bonds = (*_orbits(outer, images, group, vectors), *_orbits(inner, images, group, vectors))
    triangles = _orbits(triples, images, group, vectors)
    return Neighborhood(
        group,
        vectors,
        tuple(_sites(lattice, vectors, s, direction) for s in range(lattice.sublattices)),
        tuple(Orbit(f"bond{i}", *orbit) for i, orbit in enumerate(bonds, 1)),
        tuple(Orbit(f"chirality{i}", *orbit) for i, orbit in enumerate(triangles, 1)),
    )


def parity(order: tuple[int, ...]) -> int:
    """+1 for an even permutation, -1 for an odd one."""
    return (-1) ** sum(a > b for a, b in itertools.combinations(order, 2))


def keeping(maps: np.ndarray, direction: tuple[float, ...] | None) -> np.ndarray:
    """Those of the orthogonal matrices that leave the direction alone; all for none."""
    if direction is None:
        return maps
    unit = np.array(direction) / np.linalg.norm(direction)
    return np.array([m for m in maps if np.allclose(m @ unit, unit, atol=_TOLERANCE)]).reshape(-1, *maps.shape[1:])


def _sites(lattice: Lattice, vectors: np.ndarray, sublattice: int, direction: tuple[float, ...] | None):
    maps = keeping(site_maps(lattice, 0, sublattice), direction)
    if not len(maps):
        raise ValueError(
            f"sublattices 0 and {sublattice} of the {lattice.name} lattice have "
            "different surroundings, so no one descriptor serves both; "
            "use a lattice whose sublattices are equivalent by symmetry (one that keeps the direction)."
        )
    zero = tuple(0 for _ in lattice.vectors)
    reach = float(np.linalg.norm(vectors, axis=1).max())
    known = {position_key(np.array(b.vector)): (b.offset, b.end) for b in lattice.neighbors(reach, sublattice)}
    known[position_key(np.zeros(lattice.dimension))] = (zero, sublattice)
    return tuple(known[position_key(v)] for v in vectors @ maps[0].T)


def _area(corners: np.ndarray) -> float:
    a, b = corners[1] - corners[0], corners[2] - corners[0]
    return float(np.sqrt(max(0.0, (a @ a) * (b @ b) - (a @ b) ** 2)))


def _counter_clockwise(triple: tuple[int, int, int], vectors: np.ndarray) -> tuple[int, int, int]:
    i, j, k = triple
    if vectors.shape[1] == 2 and np.linalg.det([vectors[j] - vectors[i], vectors[k] - vectors[i]]) < 0:
        return i, k, j
    return triple


def _orbits(members: list[tuple[int, ...]], images: np.ndarray, group: PointGroup, vectors: np.ndarray):
    """(members, representation, irreps) of each orbit, by the distance of its members, then by their
    extent."""
    stored = {tuple(sorted(m)): m for m in members}
    found, seen = [], set()
    for member in members:
        name = tuple(sorted(member))
        if name in seen:
            continue
        moved = [tuple(int(i) for i in image[list(member)]) for image in images]
        orbit = tuple(stored[x] for x in dict.fromkeys(tuple(sorted(m)) for m in moved))
        seen |= {tuple(sorted(m)) for m in orbit}
        place = {tuple(sorted(m)): i for i, m in enumerate(orbit)}
        representation = np.zeros((group.order, len(orbit), len(orbit)))
        for g, image in enumerate(images):
            for column, m in enumerate(orbit):
                target = tuple(int(i) for i in image[list(m)])
                row = place[tuple(sorted(target))]
                sign = parity(target) * parity(orbit[row]) if len(m) == 3 else 1
                representation[g, row, column] = sign
        center = np.linalg.norm(vectors[list(member)].mean(axis=0))
        extent = np.linalg.norm(vectors[list(member)] - vectors[list(member)].mean(axis=0))
        key = (round(float(center), 6), round(float(extent), 6), len(found))
        found.append((key, (orbit, representation, group.decompose(representation))))
    return tuple(orbit for _, orbit in sorted(found, key=lambda item: item[0]))
