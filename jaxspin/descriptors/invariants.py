"""Bond variables and scalar chiralities around every site: `(variables, sublattices, *cells)`.

Each distinct bond and triangle is computed once for the whole lattice, as an array `(*cells)`, and then
brought to the sites that see it by translations.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.descriptors.neighborhood import Neighborhood, parity
from jaxspin.lattice import Lattice

Vertices = tuple[tuple[int, tuple[int, ...]], ...]


class Sight(NamedTuple):
    """A variable seen from a site: `sign` times the value of `terms[term]` at the cell R + `shift`."""

    term: int
    shift: tuple[int, ...]
    sign: int


@dataclasses.dataclass(frozen=True, eq=False)
class InvariantTable:
    """The distinct `terms` as (sublattice, offset) vertices, and `sights[s]` for every variable and
    sublattice."""

    terms: tuple[Vertices, ...]
    sights: tuple[tuple[Sight, ...], ...]


@functools.lru_cache(maxsize=64)
def invariant_table(around: Neighborhood) -> InvariantTable:
    """Which terms there are, and where the variables of a neighbourhood find theirs: bonds, then
    triangles."""
    members = [m for orbit in (*around.bonds, *around.triangles) for m in orbit.members]
    terms: dict[Vertices, int] = {}
    sights = []
    for sites in around.sites:
        seen = []
        for member in members:
            corners = [(sites[i][1], sites[i][0]) for i in member]
            order = tuple(sorted(range(len(corners)), key=corners.__getitem__))
            anchor = corners[order[0]][1]
            vertices = tuple(
                (corners[i][0], tuple(n - m for n, m in zip(corners[i][1], anchor, strict=True))) for i in order
            )
            sign = parity(order) if len(order) == 3 else 1
            seen.append(Sight(terms.setdefault(vertices, len(terms)), anchor, sign))
        sights.append(tuple(seen))
    return InvariantTable(tuple(terms), tuple(sights))


def term_values(
    lattice: Lattice, spins: Float[Array, "*cells sublattices 3"], terms: tuple[Vertices, ...]
) -> list[Float[Array, "*cells"]]:
    """b = S_i . S_j of each pair and chi = S_i . (S_j x S_k) of each triple, with the first vertex in cell
    R."""
    return [_product(*(_vertex(lattice, spins, *vertex) for vertex in vertices)) for vertices in terms]


def invariants(
    lattice: Lattice, spins: Float[Array, "*cells sublattices 3"], around: Neighborhood
) -> Float[Array, "variables sublattices *cells"]:
    """All variables of all neighbourhoods, in the order of the orbits' members; zero beyond an open edge."""
    table = invariant_table(around)
    values = term_values(lattice, spins, table.terms)
    rows = [_bring(lattice, values, sights[v]) for v in range(len(table.sights[0])) for sights in table.sights]
    return jnp.stack(rows).reshape(-1, lattice.sublattices, *lattice.cells)


def _bring(lattice: Lattice, values: list[Array], sight: Sight) -> Array:
    value = lattice.translate(values[sight.term], sight.shift)
    return value if sight.sign > 0 else -value


def _vertex(lattice: Lattice, spins: Array, sublattice: int, offset: tuple[int, ...]) -> tuple[Array, ...]:
    # component by component, so that the translated arrays are contiguous along the cells
    return tuple(lattice.translate(spins[..., sublattice, c], offset) for c in range(3))


def _product(a, b, c=None):
    if c is not None:
        b = (b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0])
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
