"""Features from the electrons themselves: Chebyshev moments of H on the cluster of sites around each site."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.descriptors.base import AbstractClusterDescriptor, Own, Rows, check_direction
from jaxspin.descriptors.clusters import Cluster, Recursion, clusters
from jaxspin.field import Spins, sum_of
from jaxspin.lattice import Lattice
from jaxspin.shards import brought, shards_of
from jaxspin.spins import check_spins
from jaxspin.symmetry import infinite

# Sites whose Jacobians are computed at once: small, so that what belongs to every feature stays in the cache.
_JACOBIAN_CHUNK = 16


class LocalMoments(AbstractClusterDescriptor):
    """Moments of the local density of states of a small cluster, its spins frozen, at the centre of the cluster.

    G_k(i) = <up_i| T_k(H_i/a) |up_i>, k = 3 ... `moments` + 2, with H_i the s-d Hamiltonian of the sites within `hops`
    hops of site i, up_i the orbital of site i along its spin, and a a bound of |H|. Averages over the neighbours of
    the first `surroundings` shells are added to the site's own moments.

    A moment is a sum over closed paths of up to k steps through the cluster, each a product of bonds S_j . S_k and
    chiralities: invariant under spin rotations, time reversal and the lattice's symmetries by construction, with the
    weights that quantum mechanics gives. A sum of c_k G_k would be the kernel-polynomial energy of the clusters;
    the network completes the series beyond `moments` and the cluster. Far more accurate a feature than polynomials of
    bonds that know nothing of the electrons (`Bispectrum`), but made for one `hopping` and `coupling`.

    **Arguments**

    - `coupling` J and `hopping` t, or a tuple of t by shell, as in `SDModel`; real and uniform.
    - `hops`: radius of the cluster. `moments`: how many moments a site has, an even number.
    - `weights`: also the weight of T_k(H_i/a) |up_i> on the sites 0, 1 .. hops-1 hops away, k = 2 ... moments/2 + 1;
      worth it with few moments, and dear in training.
    - `surroundings`: neighbour shells whose averages are added, 0 for none.
    - `direction`: of a current through the electrons, a vector in space such as (1.0, 0.0), None without one. Adds
      with x_j the distance of site j from i along it and psi_k = T_k(H_i/a) |up_i>, k = 2 ... moments/2 + 1,
      <psi_k|x|psi_k>, Re <psi_k-1|x|psi_k> and Im <psi_k-1|x|psi_k>. All three change sign when the cluster is
      mirrored along the current; the last, an electric current i[H, x] of these states, also under S -> -S, and is
      made of chiralities. Spin rotations and the symmetries that keep the direction leave all features alone.
    - `wrap`: lets a cluster that is wider than a periodic axis close around it, each site counted once, instead of
      refusing it: the electrons of a narrow channel know its width. On a wider lattice it changes nothing.
    - `chunk`: sites treated at once, a bound of the memory; the default suits the caches of a CPU, None treats all.

    Sites without spin (vacancies, sites beyond an open edge) have no orbital. Raises `ValueError` for a periodic axis
    shorter than the cluster. Sources: moments as local quantities: F. Cyrot-Lackmann, J. Phys. Chem. Solids 29, 1235
    (1968), 10.1016/0022-3697(68)90216-3; Chebyshev moments: Weisse et al., Rev. Mod. Phys. 78, 275 (2006),
    10.1103/RevModPhys.78.275, eqs. 36-37; energies of overlapping clusters: W. Yang, Phys. Rev. Lett. 66, 1438
    (1991), 10.1103/PhysRevLett.66.1438.
    """

    lattice: Lattice = eqx.field(static=True)
    coupling: float = eqx.field(static=True)
    hopping: tuple[float, ...] = eqx.field(static=True)
    hops: int = eqx.field(static=True)
    moments: int = eqx.field(static=True)
    surroundings: int = eqx.field(static=True)
    weights: bool = eqx.field(static=True)
    direction: tuple[float, ...] | None = eqx.field(static=True)
    wrap: bool = eqx.field(static=True)
    chunk: int | None = eqx.field(static=True)

    def __init__(
        self,
        lattice: Lattice,
        coupling: float | int,
        hopping: float | int | Sequence[float | int] = 1.0,
        *,
        hops: int = 3,
        moments: int = 24,
        surroundings: int = 1,
        weights: bool = False,
        direction: Sequence[float | int] | None = None,
        wrap: bool = False,
        chunk: int | None = 128,
    ):
        self.lattice = lattice
        self.coupling = float(coupling)
        self.hopping = tuple(float(t) for t in (hopping if isinstance(hopping, Sequence) else (hopping,)))
        self.hops, self.moments, self.surroundings = int(hops), int(moments), int(surroundings)
        self.weights, self.wrap, self.chunk = bool(weights), bool(wrap), chunk
        self.direction = None if direction is None else tuple(float(x) for x in direction)

    def __check_init__(self):
        check_direction(self.lattice, self.direction)
        if self.hops < 1:
            raise ValueError(f"a cluster needs at least its neighbours, got hops={self.hops}; use hops=1 or more.")
        if self.moments < 2 or self.moments % 2:
            raise ValueError(f"moments must be even and at least 2, got {self.moments}; 24 is usual.")
        if self.surroundings < 0 or (self.chunk is not None and self.chunk < 1):
            raise ValueError("surroundings must not be negative and chunk must be positive; leave them out.")
        needed = self.smallest_cells()
        short = [axis for axis, n in enumerate(self.lattice.cells) if self.lattice.periodic[axis] and n < needed[axis]]
        if (
            self.wrap
            and self.direction is not None
            and any((self.lattice.vectors[n] @ np.array(self.direction)) != 0 for n in short)
        ):
            raise ValueError(
                f"the direction {self.direction} goes around a lattice of {self.lattice.cells} cells that the cluster "
                "wraps; take a direction along an open axis, or a wider lattice."
            )
        if short and not self.wrap:
            raise ValueError(
                f"a cluster of {self.hops} hops meets itself on a {self.lattice.name} lattice of {self.lattice.cells} "
                f"cells; use at least {needed} cells (lattice.resize{needed}), an open axis, fewer hops, or wrap=True."
            )

    def smallest_cells(self) -> tuple[int, ...]:
        """The number of cells a periodic axis needs so that the cluster does not reach around it."""
        found = clusters(infinite(self.lattice), self.hopping, self.hops)
        reach = [np.array([offset for offset, _ in c.sites]) for c in found]
        return tuple(int(n) for n in np.max([r.max(axis=0) - r.min(axis=0) for r in reach], axis=0) + 1)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each feature is, such as "moment 4", "weight 2 at 1" or "shell 1 moment 4"."""
        own = [f"moment {k}" for k in range(3, self.moments + 3)]
        own += [f"weight {k} at {h}" for k in range(2, self.moments // 2 + 2) for h in range(self._resolved)]
        kinds = ("dipole", "transition", "flow") if self.direction else ()
        own += [f"{kind} {k}" for k in range(2, self.moments // 2 + 2) for kind in kinds]
        return (*own, *(f"shell {n + 1} {label}" for n in range(self.surroundings) for label in own))

    @property
    def n_own(self) -> int:
        return len(self.labels) // (1 + self.surroundings)

    @property
    def halfwidth(self) -> float:
        """a, no smaller than |H|, in units of the hopping: |J| and the hopping to all neighbours."""
        found = clusters(infinite(self.lattice), self.hopping, self.hops, self._around)
        return abs(self.coupling) + max(float(np.abs(c.hopping).sum(axis=1).max()) for c in found)

    @property
    def bipartite(self) -> bool:
        """Whether every hop within a cluster changes the parity of the number of hops from its centre."""
        for cluster in clusters(infinite(self.lattice), self.hopping, self.hops, self._around):
            distance = np.searchsorted(cluster.edges, np.arange(len(cluster.sites)), side="right") - 1
            if np.any(cluster.hopping[np.equal.outer(distance % 2, distance % 2)]):
                return False
        return True

    @property
    def _resolved(self) -> int:
        """Of how many distances the weights are features: that of the last one follows from their sum."""
        return self.hops if self.weights else 0

    def on(self, lattice: Lattice) -> "LocalMoments":
        """The same descriptor on another size of the same kind of lattice; `ValueError` for another kind."""
        if infinite(lattice) != infinite(self.lattice):
            raise ValueError(
                f"a descriptor of the {self.lattice.name} lattice does not fit the {lattice.name} lattice; "
                "make a new LocalMoments(lattice, ...), or give another size made by lattice.resize(...)."
            )
        return LocalMoments(lattice, **self.settings())

    def rows(self, spins: Spins) -> Rows:
        """The features as rows over the sites, the order in which they are computed."""
        return self._with_averages(self.own(spins))

    def own(self, spins: Spins) -> Own:
        """The features of the sites' own clusters alone."""
        check_spins(self.lattice, spins)
        own = [self._over_sites(recursion.features, self._gathered(spins, recursion)) for recursion in self._recursions]
        return jnp.stack(own, axis=1)

    def completed(self, own: Own, occupied: Float[Array, "*cells sublattices"]) -> Rows:
        """The features from those of the sites' own clusters alone: with the averages over the neighbours.

        Vacancies have no moments, so `occupied` changes nothing.
        """
        return self._with_averages(own)

    def pullback(self, spins: Spins, slopes: Rows) -> Spins:
        """The derivative of sum(slopes * rows(spins)) with respect to the spins: reverse mode, three times as fast."""
        (by_own,) = jax.linear_transpose(self._with_averages, slopes[: self.n_own])(slopes)
        return self.own_pullback(spins, by_own)

    def own_pullback(self, spins: Spins, slopes: Own) -> Spins:
        """The derivative of sum(slopes * own(spins)) with respect to the spins."""
        check_spins(self.lattice, spins)
        found = jnp.zeros_like(spins)
        for sublattice, recursion in enumerate(self._recursions):
            around = self._gathered(spins, recursion)
            parts = self._over_sites(recursion.pullback, around, slopes[:, sublattice])
            (part,) = jax.linear_transpose(lambda s, r=recursion: self._gathered(s, r), spins)(parts)
            found = found + part
        return found

    def members(self) -> np.ndarray:
        """The spins that the own features of each site depend on, `(sites, members)` numbers of sites.

        Sites are numbered in the order of an array `(*cells, sublattices)`. Periodic axes only, and sublattices with
        equally many sites around them; raises `ValueError` otherwise.
        """
        number = np.arange(self.lattice.sites).reshape(self.lattice.shape)
        if not all(self.lattice.periodic) or len({len(r.cluster.sites) for r in self._recursions}) > 1:
            raise ValueError("members of clusters are numbered on periodic lattices only; use rows and pullback.")
        axes = tuple(range(self.lattice.dimension))
        found = [
            [np.roll(number[..., b], tuple(-n for n in offset), axes) for offset, b in recursion.cluster.sites]
            for recursion in self._recursions
        ]
        return np.moveaxis(np.array(found), (0, 1), (-2, -1)).reshape(self.lattice.sites, -1)

    def own_and_jacobian(
        self, spins: Spins, frames: Float[Array, "*cells sublattices 2 3"]
    ) -> tuple[Own, Float[Array, "sites m2 own"]]:
        """The features of the sites' own clusters, and their derivatives along two directions of each spin in them.

        The middle axis counts (member, direction), members in the order of `members()`.
        """
        own, slopes = [], []
        directions = jnp.moveaxis(frames, (-2, -1), (0, 1))
        for recursion in self._recursions:
            around = self._gathered(spins, recursion)
            own.append(self._over_sites(recursion.features, around))
            along = jnp.stack([self._gathered(jnp.moveaxis(d, 0, -1), recursion) for d in directions])

            slopes.append(self._over_sites(recursion.slopes, around, along, chunk=_JACOBIAN_CHUNK))
        # (sublattices, m, d, f, *cells) -> (*cells, sublattices, m d, f)
        jacobian = jnp.moveaxis(jnp.stack(slopes), (0, 1, 2, 3), (-4, -3, -2, -1))
        width = jacobian.shape[-3] * jacobian.shape[-2]
        return jnp.stack(own, axis=1), jacobian.reshape(self.lattice.sites, width, -1)

    @property
    def _around(self) -> tuple[int, ...]:
        """The cells after which an axis closes within a cluster, 0 where it does not."""
        found = zip(self.lattice.cells, self.lattice.periodic, self.smallest_cells(), strict=True)
        return tuple(n if self.wrap and closed and n < needed else 0 for n, closed, needed in found)

    @property
    def _recursions(self) -> tuple[Recursion, ...]:
        """One for each sublattice."""
        found = clusters(infinite(self.lattice), self.hopping, self.hops, self._around)
        scales = (-self.coupling / self.halfwidth, -1 / self.halfwidth)
        along = (None,) * len(found) if self.direction is None else _coordinates(self.lattice, found, self.direction)
        return tuple(Recursion(c, *scales, self.moments, self._resolved, x) for c, x in zip(found, along, strict=True))

    def _gathered(self, spins: Spins, recursion: Recursion) -> Float[Array, "3 members *cells"]:
        """The spins of the cluster around every site of one sublattice."""
        members = brought(self.lattice, spins, recursion.cluster.sites)
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


def _coordinates(lattice: Lattice, found: Sequence[Cluster], direction: Sequence[float]) -> list[np.ndarray]:
    """How far along the direction each site of the clusters lies from the centre, in lattice constants."""
    unit = np.array(direction) / np.linalg.norm(direction)
    places = [np.array([np.array(n) @ lattice.vectors + lattice.basis[b] for n, b in c.sites]) for c in found]
    return [(place - place[0]) @ unit for place in places]
