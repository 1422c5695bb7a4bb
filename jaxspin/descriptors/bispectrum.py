"""Features of the surroundings of every site, invariant under spin rotations, the point group and time
reversal.

Spins `(*cells, sublattices, 3)` -> features `(*cells, sublattices, n_features)`.
"""

import functools
import itertools
import operator
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.precision import tensordot
from jaxspin.couplings import at_least
from jaxspin.descriptors.base import AbstractDescriptor, check_direction
from jaxspin.descriptors.components import ComponentTable, Monomials, component_table
from jaxspin.descriptors.invariants import invariants
from jaxspin.descriptors.neighborhood import Neighborhood, neighborhood
from jaxspin.devices.shards import reach_of, shards_of
from jaxspin.field import sum_of
from jaxspin.lattice import Lattice
from jaxspin.spins import check_spins
from jaxspin.symmetry import infinite

Length = float | int


class Bispectrum(AbstractDescriptor):
    """Group-theoretical descriptor of the neighbourhood of each site.

    The bond variables b = S_j . S_k and scalar chiralities chi = S_j . (S_k x S_l) around a site are split
    into irreps f_r of its point group (r counts copies). The features are polynomials:

    - the invariant copies of the bonds themselves;
    - `power`: p_r = |f_r|^2 of all other copies;
    - `phases`: eta_rn = f_r . f_ref,n with references made of the sums of all bonds (or all chiralities) in
      one sector of the neighbourhood, as many as the irrep has dimensions;
    - `bispectrum`: sum C f f' f'' over triples of references (at most one of them a second reference), with
      the group's Clebsch-Gordan tensors; it ties the references of different irreps together, and chiralities
      to bonds.

    With `time_reversal` chiralities enter in even numbers only; without it odd products are added, for
    systems in a magnetic field or with a current.

    `direction`, a vector in space such as (1.0, 0.0), is that of a current: irreps are then those of the part of the
    point group that keeps it (of D4 and a current along x the identity and y -> -y), and features tell the two ends
    of the current apart. They are several times as many: choose smaller radii.

    Lengths in lattice constants. Bonds join the centre to the sites within `radius`, and pairs of sites
    within `bond_radius` at most `bond_length` apart; triangles have corners within `bond_radius` and sides up
    to `triangle_side`. By default `radius` and `bond_radius` are 3 and 2 nearest-neighbour distances (2 and 1
    in three dimensions), `bond_length` the second-neighbour distance, `triangle_side` that of the smallest
    triangle, and the bispectrum, which has thousands of terms for cubic groups, is left out in three
    dimensions.

    Raises `ValueError` if a periodic axis is so short that a neighbour would be counted twice, or if the
    sublattices are not equivalent.

    Zhang, Zhang, Chern, PNAS 119, e2119957119 (2022), doi:10.1073/pnas.2119957119; Fan, Zhang, Chern, PRB
    110, 245105 (2024).

    Example:
        >>> features = js.Bispectrum(js.chain(8), radius=1.0, bond_radius=1.0, bispectrum=False)
        >>> features(js.textures.ferromagnet(js.chain(8))).shape
        (8, 1, 3)
    """

    lattice: Lattice = eqx.field(static=True)
    radius: float = eqx.field(static=True)
    bond_radius: float = eqx.field(static=True)
    bond_length: float = eqx.field(static=True)
    triangle_side: float = eqx.field(static=True)
    power: bool = eqx.field(static=True)
    phases: bool = eqx.field(static=True)
    bispectrum: bool = eqx.field(static=True)
    time_reversal: bool = eqx.field(static=True)
    direction: tuple[float, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        lattice: Lattice,
        radius: Length | None = None,
        bond_radius: Length | None = None,
        bond_length: Length | None = None,
        triangle_side: Length | None = None,
        power: bool = True,
        phases: bool = True,
        bispectrum: bool | None = None,
        time_reversal: bool = True,
        direction: Sequence[Length] | None = None,
    ):
        solid = lattice.dimension > 2
        nearest = infinite(lattice).shell(1)[0].length
        self.lattice = lattice
        self.radius = float((2 if solid else 3) * nearest if radius is None else radius)
        self.bond_radius = float((1 if solid else 2) * nearest if bond_radius is None else bond_radius)
        self.bond_length = float(infinite(lattice).shell(2)[0].length if bond_length is None else bond_length)
        self.triangle_side = _smallest_triangle(lattice) if triangle_side is None else float(triangle_side)
        self.power, self.phases, self.time_reversal = power, phases, time_reversal
        self.bispectrum = not solid if bispectrum is None else bispectrum
        self.direction = None if direction is None else tuple(float(x) for x in direction)

    def __check_init__(self):
        check_direction(self.lattice, self.direction)
        smallest = min(b.length for b in infinite(self.lattice).shell(1))
        if self.radius * (1 + self.lattice.tolerance) < smallest:
            raise ValueError(
                f"radius {self.radius} holds no neighbour; use at least {at_least(smallest, 4)}, the nearest-neighbour "
                "distance."
            )
        needed = self.neighborhood.smallest_cells()
        short = [axis for axis, n in enumerate(self.lattice.cells) if self.lattice.periodic[axis] and n < needed[axis]]
        if short:
            raise ValueError(
                f"a neighbourhood of radius {max(self.radius, self.bond_radius):.4g} counts neighbours "
                f"twice on a {self.lattice.name} lattice of {self.lattice.cells} cells; use at least "
                f"{needed} cells (lattice.resize{needed}), an open axis, or a smaller radius."
            )

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        """As wide as a neighbourhood."""
        return self.neighborhood.smallest_cells()

    @property
    def neighborhood(self) -> Neighborhood:
        """Sites, bonds and triangles around a site, and their irreps."""
        lengths = (self.radius, self.bond_radius, self.bond_length, self.triangle_side)
        return neighborhood(self.lattice, *lengths, self.direction)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each feature is, such as "bond1 A1", "bond3 E2 power" or "chirality1 E1 phase1".

        A prime marks the second copy in an orbit, or the second reference; orbits are those of
        `neighborhood`.
        """
        return self._table.labels

    @property
    def _table(self) -> ComponentTable:
        return component_table(self.neighborhood, self.power, self.phases, self.bispectrum, self.time_reversal)

    def on(self, lattice: Lattice) -> "Bispectrum":
        """The same descriptor on another size of the same kind of lattice; `ValueError` for another kind."""
        if infinite(lattice) != infinite(self.lattice):
            raise ValueError(
                f"a descriptor of the {self.lattice.name} lattice does not fit the {lattice.name} lattice; "
                "make a new Bispectrum(lattice), or give another size made by lattice.resize(...)."
            )
        return Bispectrum(
            lattice,
            self.radius,
            self.bond_radius,
            self.bond_length,
            self.triangle_side,
            self.power,
            self.phases,
            self.bispectrum,
            self.time_reversal,
            self.direction,
        )

    def rows(self, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "features sublattices *cells"]:
        """The features as rows over the sites, the order in which they are computed."""
        check_spins(self.lattice, spins)
        around = self.neighborhood
        shards = shards_of(self.lattice, spins)
        if shards is None:
            return self._of_sites(invariants(self.lattice, spins, around))
        reach = reach_of([offset for sites in around.sites for offset, _ in sites])

        def local(part):
            variables = invariants(shards.widened_lattice(reach), shards.widened(part, reach), around)
            return self._of_sites(shards.home(variables, reach, before=2))

        return shards.run(local, (spins,), (shards.spec(after=2),), shards.spec(before=2))

    def _of_sites(self, variables: Float[Array, "variables sublattices *cells"]) -> Array:
        # one long axis is faster
        flat = variables.reshape(len(variables), -1)
        return self.of_variables(flat).reshape(-1, *variables.shape[1:])

    def of_variables(self, variables: Float[Array, "variables *sites"]) -> Float[Array, "features *sites"]:
        """The features as rows, from the bonds and chiralities of any number of sites.

        The variables are those of `neighborhood`, its bonds first, in the order of the orbits' members.
        """
        return _features(self._table, variables, self.power)


def _features(
    table: ComponentTable, variables: Float[Array, "variables *sites"], power: bool
) -> Float[Array, "features *sites"]:
    # Few large matrix products and products of whole blocks, rather than one small contraction per orbit, and
    # walls between them: XLA on CPUs would fuse stacking and splitting into the products, which is several
    # times slower.
    matrices = [table.invariant, *(c for block in table.blocks for c in block.components), table.references]
    cuts = np.cumsum([len(m) for m in matrices])[:-1].tolist()
    stacked = _wall(_apply(np.concatenate(matrices), _wall(variables)))
    invariant, *components, references = jnp.split(stacked, cuts, axis=0)
    found, rows = [invariant], iter(components)
    for block in table.blocks:
        copies = list(itertools.islice(rows, block.dim))
        if power:
            found.append(sum_of(f * f for f in copies))
        for spread in block.spreads:
            n, number = spread.shape
            starts = (block.offset + u * number for u in range(block.dim))
            partners = [_apply(spread, references[start : start + number]) for start in starts]
            found.append(sum_of(f[:n] * g for f, g in zip(copies, partners, strict=True)))
    if table.products:
        found.append(_polynomials(table.products, references))
    return _wall(jnp.concatenate(_wall(found)))


def _apply(matrix: np.ndarray, rows: Float[Array, "n *sites"]) -> Float[Array, "m *sites"]:
    return tensordot(jnp.asarray(matrix, rows.dtype), rows, axes=1)


def _polynomials(products: tuple[Monomials, ...], rows: Float[Array, "n *sites"]) -> Float[Array, "m *sites"]:
    # Row by row, as the few rows stay in cache; with walls, or their gradient is fused into one slow loop.
    singles = _wall(jnp.split(_wall(rows), len(rows), axis=0))
    return jnp.concatenate(_wall([_polynomial(monomials, singles) for monomials in products]))


def _polynomial(monomials: Monomials, rows: list[Array]) -> Array:
    return sum_of(c * functools.reduce(operator.mul, (rows[i] for i in key)) for c, key in monomials)


_wall = jax.lax.optimization_barrier


def _smallest_triangle(lattice: Lattice) -> float:
    """The longest side of the smallest triangle around a site, 0 where all sites are on a line."""
    around = np.array([b.vector for b in infinite(lattice).neighbors(3 * infinite(lattice).shell(1)[0].length)])
    sides = [
        max(np.linalg.norm(a), np.linalg.norm(b), np.linalg.norm(a - b))
        for a, b in itertools.combinations(around, 2)
        if np.linalg.matrix_rank(np.array([a, b]), tol=1e-6) > 1
    ]
    return float(min(sides, default=0.0))
