"""What descriptors made of clusters share: the sites around each site, chunks of sites, averages over neighbours."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.descriptors.base import AbstractClusterDescriptor, Own, Rows
from jaxspin.descriptors.clusters import Cluster, clusters
from jaxspin.devices.shards import brought, shards_of
from jaxspin.field import Spins, sum_of
from jaxspin.lattice import Lattice
from jaxspin.symmetry import infinite

# So many times as many sites are treated at once where no cache has to hold them: chunks there bound the memory, and
# each step of a loop would leave most of the machine idle.
ON_ACCELERATORS = 256


class AbstractOnClusters(AbstractClusterDescriptor):
    """Electrons of the s-d model on the sites within `hops` hops of each site, its spins frozen."""

    coupling: eqx.AbstractVar[float]
    hopping: eqx.AbstractVar[tuple[float, ...]]
    hops: eqx.AbstractVar[int]
    surroundings: eqx.AbstractVar[int]
    wrap: eqx.AbstractVar[bool]
    chunk: eqx.AbstractVar[int | None]

    def check_clusters(self) -> None:
        """`ValueError` for settings that make no clusters, and for a lattice smaller than one."""
        if self.hops < 1:
            raise ValueError(f"a cluster needs at least its neighbours, got hops={self.hops}; use hops=1 or more.")
        if self.surroundings < 0 or (self.chunk is not None and self.chunk < 1):
            raise ValueError("surroundings must not be negative and chunk must be positive; leave them out.")
        short = self.short_axes()
        if short and not self.wrap:
            needed = self.smallest_cells()
            raise ValueError(
                f"a cluster of {self.hops} hops meets itself on a {self.lattice.name} lattice of {self.lattice.cells} "
                f"cells; use at least {needed} cells (lattice.resize{needed}), an open axis, fewer hops, or wrap=True."
            )

    def short_axes(self) -> list[int]:
        """The periodic axes around which a cluster meets itself."""
        needed, lattice = self.smallest_cells(), self.lattice
        return [axis for axis, n in enumerate(lattice.cells) if lattice.periodic[axis] and n < needed[axis]]

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        """As wide as a cluster."""
        return self.smallest_cells()

    def smallest_cells(self) -> tuple[int, ...]:
        """The number of cells a periodic axis needs so that the cluster does not reach around it."""
        found = clusters(infinite(self.lattice), self.hopping, self.hops)
        reach = [np.array([offset for offset, _ in c.sites]) for c in found]
        return tuple(int(n) for n in np.max([r.max(axis=0) - r.min(axis=0) for r in reach], axis=0) + 1)

    @property
    def halfwidth(self) -> float:
        """a, no smaller than |H|, in units of the hopping: |J| and the hopping to all neighbours."""
        return abs(self.coupling) + max(float(np.abs(c.hopping).sum(axis=1).max()) for c in self.clusters)

    @property
    def bipartite(self) -> bool:
        """Whether every hop within a cluster changes the parity of the number of hops from its centre."""
        for cluster in self.clusters:
            distance = np.searchsorted(cluster.edges, np.arange(len(cluster.sites)), side="right") - 1
            if np.any(cluster.hopping[np.equal.outer(distance % 2, distance % 2)]):
                return False
        return True

    def on(self, lattice: Lattice) -> "AbstractOnClusters":
        """The same descriptor on another size of the same kind of lattice; `ValueError` for another kind."""
        if infinite(lattice) != infinite(self.lattice):
            raise ValueError(
                f"a descriptor of the {self.lattice.name} lattice does not fit the {lattice.name} lattice; "
                f"make a new {type(self).__name__}(lattice, ...), or give another size made by lattice.resize(...)."
            )
        return type(self)(lattice, **self.settings())

    def members(self) -> np.ndarray:
        """The spins that the own features of each site depend on, `(sites, members)` numbers of sites.

        Sites are numbered in the order of an array `(*cells, sublattices)`. Periodic axes only, and sublattices with
        equally many sites around them; raises `ValueError` otherwise.
        """
        number = np.arange(self.lattice.sites).reshape(self.lattice.shape)
        if not all(self.lattice.periodic) or len({len(c.sites) for c in self.clusters}) > 1:
            raise ValueError("members of clusters are numbered on periodic lattices only; use rows and pullback.")
        axes = tuple(range(self.lattice.dimension))
        found = [
            [np.roll(number[..., b], tuple(-n for n in offset), axes) for offset, b in cluster.sites]
            for cluster in self.clusters
        ]
        return np.moveaxis(np.array(found), (0, 1), (-2, -1)).reshape(self.lattice.sites, -1)

    @property
    def _around(self) -> tuple[int, ...]:
        """The cells after which an axis closes within a cluster, 0 where it does not."""
        found = zip(self.lattice.cells, self.lattice.periodic, self.smallest_cells(), strict=True)
        return tuple(n if self.wrap and closed and n < needed else 0 for n, closed, needed in found)

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """One for each sublattice."""
        return clusters(infinite(self.lattice), self.hopping, self.hops, self._around)

    def _gathered(self, spins: Spins, cluster: Cluster) -> Float[Array, "3 members *cells"]:
        """The spins of the cluster around every site of its sublattice."""
        members = brought(self.lattice, spins, cluster.sites)
        return jnp.moveaxis(jnp.stack(members), -1, 0)

    def _over_sites(
        self, function: Callable[..., Array], *arrays: Float[Array, "..."], chunk: int | None = None
    ) -> Array:
        """`function` of arrays whose last axes are the cells, so many at a time as `chunk` allows."""
        chunk = self.chunk if chunk is None else chunk
        shards = shards_of(self.lattice, arrays[0])
        if shards is None:
            return self._in_chunks(function, chunk, *arrays)
        return shards.by_site(lambda _, *parts: self._in_chunks(function, chunk, *parts), (), *arrays)

    def _in_chunks(self, function: Callable[..., Array], chunk: int | None, *arrays: Float[Array, "..."]) -> Array:
        cells = arrays[0].shape[-self.lattice.dimension :]
        sites = int(np.prod(cells))
        if chunk is None or sites <= chunk:
            return function(*arrays)

        def of(size: int):
            return lambda *whole: function(*whole) if sites <= size else self._looped(function, size, *whole)

        # known only where it is lowered: what was traced on a CPU may be exported to, or placed on, another device
        return jax.lax.platform_dependent(*arrays, cpu=of(chunk), default=of(chunk * ON_ACCELERATORS))

    def _looped(self, function: Callable[..., Array], chunk: int, *arrays: Float[Array, "..."]) -> Array:
        cells = arrays[0].shape[-self.lattice.dimension :]
        sites = int(np.prod(cells))
        number = -(-sites // chunk)
        width = -(-sites // number)

        def parted(array):
            flat = array.reshape(*array.shape[: array.ndim - len(cells)], sites)
            # filled up with vacancies, which have no moments
            padded = jnp.pad(flat, [(0, 0)] * (flat.ndim - 1) + [(0, number * width - sites)])
            return jnp.moveaxis(padded.reshape(*flat.shape[:-1], number, width), -2, 0)

        found = jax.lax.map(jax.checkpoint(lambda pieces: function(*pieces)), tuple(parted(a) for a in arrays))
        found = jnp.moveaxis(found, 0, -2)
        return found.reshape(*found.shape[:-2], number * width)[..., :sites].reshape(*found.shape[:-2], *cells)

    def _with_averages(self, own: Own) -> Rows:
        return jnp.concatenate([own, *self._averages(own)])

    def _averages(self, rows: Array) -> list[Array]:
        """Over the neighbours in each of the shells."""
        lattice = self.lattice
        shells = [lattice.shell(number + 1) for number in range(self.surroundings)]
        bonds = [[b for bond in shell for b in (bond, bond.reversed())] for shell in shells]
        first = jnp.moveaxis(rows, (0, 1), (-1, -2))
        ends = iter(brought(lattice, first, [(b.offset, b.end) for shell in bonds for b in shell]) if bonds else ())
        none = jnp.zeros((*lattice.cells, len(rows)), rows.dtype)
        averages = []
        for shell in bonds:
            found: list[list[Array]] = [[] for _ in range(lattice.sublattices)]
            for b in shell:
                found[b.start].append(next(ends))
            number = max(len(f) for f in found)
            mean = jnp.stack([sum_of(f) / number if f else none for f in found], axis=-2)
            averages.append(jnp.moveaxis(mean, (-1, -2), (0, 1)))
        return averages
