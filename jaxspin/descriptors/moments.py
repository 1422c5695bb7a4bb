"""Features from the electrons themselves: Chebyshev moments of H on the cluster of sites around each site."""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.descriptors.base import AbstractDescriptor
from jaxspin.field import Spins, sum_of
from jaxspin.lattice import Lattice
from jaxspin.spins import check_spins
from jaxspin.symmetry import infinite


class LocalMoments(AbstractDescriptor):
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
    - `weights`: also the weight of T_k(H_i/a) |up_i> on the sites 0, 1 .. hops-1 hops away, k = 2 ... moments/2 + 1.
    - `surroundings`: neighbour shells whose averages are added, 0 for none.
    - `chunk`: sites treated at once, a bound of the memory; None treats all.

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
    chunk: int | None = eqx.field(static=True)

    def __init__(
        self,
        lattice: Lattice,
        coupling: float | int,
        hopping: float | int | Sequence[float | int] = 1.0,
        *,
        hops: int = 3,
        moments: int = 12,
        surroundings: int = 1,
        weights: bool = True,
        chunk: int | None = 1024,
    ):
        self.lattice = lattice
        self.coupling = float(coupling)
        self.hopping = tuple(float(t) for t in (hopping if isinstance(hopping, Sequence) else (hopping,)))
        self.hops, self.moments, self.surroundings = int(hops), int(moments), int(surroundings)
        self.weights, self.chunk = bool(weights), chunk

    def __check_init__(self):
        if self.hops < 1:
            raise ValueError(f"a cluster needs at least its neighbours, got hops={self.hops}; use hops=1 or more.")
        if self.moments < 2 or self.moments % 2:
            raise ValueError(f"moments must be even and at least 2, got {self.moments}; 12 is usual.")
        if self.surroundings < 0 or (self.chunk is not None and self.chunk < 1):
            raise ValueError("surroundings must not be negative and chunk must be positive; leave them out.")
        needed = self.smallest_cells()
        short = [axis for axis, n in enumerate(self.lattice.cells) if self.lattice.periodic[axis] and n < needed[axis]]
        if short:
            raise ValueError(
                f"a cluster of {self.hops} hops meets itself on a {self.lattice.name} lattice of {self.lattice.cells} "
                f"cells; use at least {needed} cells (lattice.resize{needed}), an open axis, or fewer hops."
            )

    def smallest_cells(self) -> tuple[int, ...]:
        """The number of cells a periodic axis needs so that no site is counted twice."""
        reach = [np.array([offset for offset, _ in c.sites]) for c in self._clusters]
        return tuple(int(n) for n in np.max([r.max(axis=0) - r.min(axis=0) for r in reach], axis=0) + 1)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each feature is, such as "moment 4", "weight 2 at 1" or "shell 1 moment 4"."""
        own = [f"moment {k}" for k in range(3, self.moments + 3)]
        own += [f"weight {k} at {h}" for k in range(2, self.moments // 2 + 2) for h in range(self._resolved)]
        return (*own, *(f"shell {n + 1} {label}" for n in range(self.surroundings) for label in own))

    @property
    def _resolved(self) -> int:
        """Of how many distances the weights are features: that of the last one follows from their sum."""
        return self.hops if self.weights else 0

    @property
    def _clusters(self) -> tuple["Cluster", ...]:
        return clusters(infinite(self.lattice), self.hopping, self.hops)

    def on(self, lattice: Lattice) -> "LocalMoments":
        """The same descriptor on another size of the same kind of lattice; `ValueError` for another kind."""
        if infinite(lattice) != infinite(self.lattice):
            raise ValueError(
                f"a descriptor of the {self.lattice.name} lattice does not fit the {lattice.name} lattice; "
                "make a new LocalMoments(lattice, ...), or give another size made by lattice.resize(...)."
            )
        return LocalMoments(lattice, **self.settings())

    def rows(self, spins: Spins) -> Float[Array, "features sublattices *cells"]:
        """The features as rows over the sites, the order in which they are computed."""
        check_spins(self.lattice, spins)
        own = jnp.stack([self._moments(spins, cluster) for cluster in self._clusters], axis=1)
        shells = [self._average(own, n + 1) for n in range(self.surroundings)]
        return jnp.concatenate([own, *shells])

    def _moments(self, spins: Array, cluster: "Cluster") -> Float[Array, "features *cells"]:
        """Of the sites of one sublattice."""
        cells = self.lattice.cells
        parts = [
            jnp.stack([self.lattice.translate(spins[..., b, c], offset) for offset, b in cluster.sites])
            for c in range(3)
        ]
        halfwidth = abs(self.coupling) + max(float(np.abs(c.hopping).sum(axis=1).max()) for c in self._clusters)
        scales = (-self.coupling / halfwidth, -1 / halfwidth)
        here = functools.partial(_cluster_moments, cluster, *scales, self.moments, self._resolved)
        if self.chunk is None or jax.device_count() > 1 or self.lattice.sites <= self.chunk:
            return here(tuple(parts))
        flat = jnp.stack([p.reshape(len(p), -1) for p in parts])
        number = -(-flat.shape[-1] // self.chunk)
        width = -(-flat.shape[-1] // number)
        # filled up with vacancies, which have no moments
        flat = jnp.pad(flat, ((0, 0), (0, 0), (0, number * width - flat.shape[-1])))
        pieces = jnp.moveaxis(flat.reshape(*flat.shape[:2], number, width), 2, 0)
        found = jax.lax.map(jax.checkpoint(lambda piece: here(tuple(piece))), pieces)
        found = jnp.moveaxis(found, 0, 1).reshape(found.shape[1], -1)[:, : int(np.prod(cells))]
        return found.reshape(-1, *cells)

    def _average(self, rows: Array, shell: int) -> Array:
        lattice = self.lattice
        first = jnp.moveaxis(rows, (0, 1), (-1, -2))
        found: list[list[Array]] = [[] for _ in range(lattice.sublattices)]
        for bond in lattice.shell(shell):
            for b in (bond, bond.reversed()):
                found[b.start].append(lattice.translate(first[..., b.end, :], b.offset))
        number = max(len(f) for f in found)
        none = jnp.zeros((*lattice.cells, len(rows)), rows.dtype)
        averages = jnp.stack([sum_of(f) / number if f else none for f in found], axis=-2)
        return jnp.moveaxis(averages, (-1, -2), (0, 1))


class Cluster(NamedTuple):
    """The sites around a site of one sublattice, (cell offset, sublattice), by hops from it; t between them.

    Sites `edges[h]` to `edges[h + 1]` are h hops away.
    """

    sites: tuple[tuple[tuple[int, ...], int], ...]
    hopping: np.ndarray
    edges: tuple[int, ...]


@functools.lru_cache(maxsize=64)
def clusters(lattice: Lattice, hopping: tuple[float, ...], hops: int) -> tuple[Cluster, ...]:
    """One cluster for each sublattice: every site within `hops` hops, in order of the number of hops."""
    steps: list[list[tuple[tuple[int, ...], int, float]]] = [[] for _ in range(lattice.sublattices)]
    for shell, t in enumerate(hopping, start=1):
        for bond in lattice.shell(shell):
            for b in (bond, bond.reversed()):
                steps[b.start].append((b.offset, b.end, t))
    found = []
    for sublattice in range(lattice.sublattices):
        center = ((0,) * lattice.dimension, sublattice)
        place, front, edges = {center: 0}, [center], [0, 1]
        for _ in range(hops):
            reached = [_after(site, step) for site in front for step in steps[site[1]]]
            front = sorted(set(reached) - set(place))
            place |= {site: len(place) + n for n, site in enumerate(front)}
            edges.append(len(place))
        matrix = np.zeros((len(place), len(place)))
        for site, row in place.items():
            for step in steps[site[1]]:
                if (column := place.get(_after(site, step))) is not None:
                    matrix[row, column] += step[2]
        found.append(Cluster(tuple(place), matrix, tuple(edges)))
    return tuple(found)


def _after(site, step):
    return tuple(n + m for n, m in zip(site[0], step[0], strict=True)), step[1]


def _cluster_moments(
    cluster: Cluster,
    exchange: float,
    kinetic: float,
    number: int,
    resolved: int,
    spins: tuple[Float[Array, "sites *many"], ...],
) -> Float[Array, "features *many"]:
    """<up|T_k(H)|up> at the first site of each of many clusters, H = exchange S.sigma + kinetic t, `number` from k = 3.

    Then |T_k(H) up|^2 summed over the sites at each of the first `resolved` distances, k from 2.
    """
    occupied = (sum_of(c * c for c in spins) > 0).astype(spins[0].dtype)
    field = tuple(exchange * c for c in spins)
    up = spinor_along(tuple(c[0] for c in spins))
    before = tuple(jnp.zeros_like(spins[0]).at[0].set(u * occupied[0]) for u in up)

    def product(psi):
        hop = (occupied * _hop(cluster, kinetic, p) for p in psi)
        return tuple(h + e for h, e in zip(hop, _sigma(field, psi), strict=True))

    first = product(before)
    norm, mean = occupied[0], _dot(before, first)

    def step(pair, _):
        before, now = pair
        after = tuple(2 * h - p for h, p in zip(product(now), before, strict=True))
        moments = jnp.stack([2 * _dot(now, after) - mean, 2 * _dot(after, after) - norm])
        weights = [_dot(part, part) for part in _at_distances(cluster, after, resolved)]
        return (now, after), (moments, weights)

    # a loop, as the program written out takes minutes to compile
    _, (moments, weights) = jax.lax.scan(step, (before, first), None, length=number // 2)
    by_distance = [jnp.stack(weights, axis=1)] if weights else []
    return jnp.concatenate([x.reshape(-1, *norm.shape) for x in (moments, *by_distance)])


def spinor_along(spins: tuple[Array, ...]) -> tuple[Array, Array, Array, Array]:
    """(Re up, Im up, Re down, Im down) of the eigenvector of S.sigma with eigenvalue +1, for unit spins.

    Its phase jumps at the equator, so that neither pole is singular: use it where the phase cancels.
    """
    x, y, z = spins
    north = z >= 0
    # 1 for vacancies, whose orbital is masked
    square = x * x + y * y + z * z
    length = jnp.sqrt(jnp.where(square > 0, square, 1))
    large = length + jnp.where(north, z, -z)  # each branch with its own derivative, at z = 0 too
    scale = jax.lax.rsqrt(2 * length * large)
    real, imaginary = x * scale, y * scale
    zero = jnp.zeros_like(x)
    return (
        jnp.where(north, large * scale, real),
        jnp.where(north, zero, -imaginary),
        jnp.where(north, real, large * scale),
        jnp.where(north, imaginary, zero),
    )


def _sigma(s: tuple[Array, ...], psi: tuple[Array, ...]) -> tuple[Array, ...]:
    x, y, z = s
    ur, ui, dr, di = psi
    return (
        z * ur + x * dr + y * di,
        z * ui + x * di - y * dr,
        x * ur - y * ui - z * dr,
        x * ui + y * ur - z * di,
    )


def _hop(cluster: Cluster, kinetic: float, part: Array) -> Array:
    matrix = jnp.asarray(kinetic * cluster.hopping, part.dtype)
    return jnp.tensordot(matrix, part, axes=1, precision=jax.lax.Precision.HIGHEST)


def _at_distances(cluster: Cluster, psi: tuple[Array, ...], number: int) -> list[tuple[Array, ...]]:
    return [tuple(p[first:last] for p in psi) for first, last in itertools.pairwise(cluster.edges[: number + 1])]


def _dot(a: tuple[Array, ...], b: tuple[Array, ...]) -> Array:
    return sum_of(jnp.sum(x * y, axis=0) for x, y in zip(a, b, strict=True))
