"""The cluster of sites around a site: its hopping matrix, the moments at its centre, and their reverse derivative."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.precision import einsum, tensordot
from jaxspin.arrays.translation import settled
from jaxspin.field import sum_of
from jaxspin.lattice import Lattice

Spinors = Float[Array, "sites 2 2 *many"]
"""Re and Im (third axis) of the up and the down component (second axis) at the sites of many clusters.

One array, since XLA on a CPU writes one array a loop: so all components pass through a cache together.
"""
Vectors = tuple[Array, ...]
"""(x, y, z), each over the sites of many clusters."""


class Cluster(NamedTuple):
    """The sites around a site of one sublattice, (cell offset, sublattice), by hops from it; t between them.

    Sites `edges[h]` to `edges[h + 1]` are h hops away.
    """

    sites: tuple[tuple[tuple[int, ...], int], ...]
    hopping: np.ndarray
    edges: tuple[int, ...]


@functools.lru_cache(maxsize=64)
def clusters(
    lattice: Lattice, hopping: tuple[float, ...], hops: int, around: tuple[int, ...] | None = None
) -> tuple[Cluster, ...]:
    """One cluster for each sublattice: every site within `hops` hops, in order of the number of hops.

    `around` are the numbers of cells after which an axis closes on itself, 0 for one that does not.
    """
    around = (0,) * lattice.dimension if around is None else around
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
            reached = [after(site, step, around) for site in front for step in steps[site[1]]]
            front = sorted(set(reached) - set(place))
            place |= {site: len(place) + n for n, site in enumerate(front)}
            edges.append(len(place))
        matrix = np.zeros((len(place), len(place)))
        for site, row in place.items():
            for step in steps[site[1]]:
                if (column := place.get(after(site, step, around))) is not None:
                    matrix[row, column] += step[2]
        found.append(Cluster(tuple(place), matrix, tuple(edges)))
    return tuple(found)


def after(site, step, around):
    there = (n + m for n, m in zip(site[0], step[0], strict=True))
    return tuple(_folded(n, cells) for n, cells in zip(there, around, strict=True)), step[1]


def _folded(offset: int, cells: int) -> int:
    """The same cell of a ring, in the half of the ring around 0."""
    return (offset + (cells - 1) // 2) % cells - (cells - 1) // 2 if cells else offset


class Amplitudes(NamedTuple):
    """t of many clusters that differ: site s hops to `neighbours[n, s]` with `hopping[n, s]`, zero where there is none.

    The last of the `sites` is the vacancy. `potential` is the energy of each site, None for zero. Both carry the factor
    that `kinetic` is where all clusters are alike.
    """

    neighbours: np.ndarray
    hopping: Float[Array, "n sites *many"]
    potential: Float[Array, "sites *many"] | None

    def times(self, psi: Spinors) -> Spinors:
        hops = zip(self.hopping, self.neighbours, strict=True)
        found = sum_of(t[:, None, None] * psi[to] for t, to in hops)
        return found if self.potential is None else found + self.potential[:, None, None] * psi


class Recursion(NamedTuple):
    """psi_0 = |up>, psi_1 = H psi_0, psi_k+1 = 2 H psi_k - psi_k-1 on a cluster, H = exchange S.sigma + kinetic t.

    Gives the `number` moments <up|T_k(H)|up>, k from 3, two for a product with H (`number` is even), and
    |T_k(H) up|^2 summed over the sites at each of the first `resolved` distances, k from 2. With the coordinate x of
    each site, `along`, also <psi_k|x|psi_k>, Re <psi_k-1|x|psi_k> and Im <psi_k-1|x|psi_k>, k from 2.
    """

    cluster: Cluster
    exchange: float
    kinetic: float | Amplitudes
    number: int
    resolved: int
    along: np.ndarray | None = None

    def features(self, spins: Float[Array, "3 sites *many"]) -> Float[Array, "features *many"]:
        """Moments, then weights, of many clusters at once."""
        first, second, product = self._start(with_vacancy(spins))
        norm, mean = overlap(first, first), overlap(first, second)

        def step(pair, _):
            before, now = pair
            after = settled(2 * product(now) - before)
            moments = jnp.stack([2 * overlap(now, after) - mean, 2 * overlap(after, after) - norm])
            weights = [overlap(part, part) for part in self._at_distances(after)]
            return (now, after), (moments, weights, self._directed(now, after))

        # a loop, as the program written out takes minutes to compile
        _, (moments, *rest) = jax.lax.scan(step, (first, second), None, length=self.number // 2)
        others = [jnp.stack(found, axis=1) for found in rest if found]
        return jnp.concatenate([x.reshape(-1, *norm.shape) for x in (moments, *others)])

    def pullback(
        self, spins: Float[Array, "3 sites *many"], slopes: Float[Array, "features *many"]
    ) -> Float[Array, "3 sites *many"]:
        """The derivative of sum(slopes * features) with respect to the spins, for some three times their price.

        The recursion backwards: with phi_k the derivative with respect to psi_k, phi_k = source_k + 2 H phi_k+1 -
        phi_k+2, and each product with H adds 2 Re <phi_k+1|sigma|psi_k> to the derivative with respect to exchange S.
        The psi_k are kept; reverse mode would keep every intermediate result and take three times as long.
        """
        spins = with_vacancy(spins)
        first, second, product = self._start(spins)
        steps = self.number // 2

        def forward(pair, _):
            before, now = pair
            # kept as a row: XLA on CPUs moves arrays of short axes number by number
            return (now, 2 * product(now) - before), before.reshape(-1)

        (now, after), befores = jax.lax.scan(forward, (first, second), None, length=steps)
        odd, even = slopes[0 : 2 * steps : 2], slopes[1 : 2 * steps : 2]
        middle = steps * (2 + self.resolved)
        weights = slopes[2 * steps : middle].reshape(steps, self.resolved, *slopes.shape[1:])
        directed = slopes[middle:].reshape(steps, 0 if self.along is None else 3, *slopes.shape[1:])

        def backward(given, carry):
            phi_after, phi_later, after, now, total = carry
            here, earlier, before = given
            before = before.reshape(first.shape)
            total = tuple(t + 2 * c for t, c in zip(total, spin_between(phi_after, now), strict=True))
            phi_now = self._of_now(here, after) + self._of_after(earlier, before, now)
            return phi_now - phi_later + 2 * product(phi_after), phi_after, now, before, total

        here = (odd, even, weights, directed)
        earlier = jax.tree.map(lambda x: jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]]), here)
        highest = self._of_after(tuple(x[-1] for x in here), now, after)
        start = (highest, jnp.zeros_like(first), after, now, (jnp.zeros_like(spins[0]),) * 3)
        phi_second, phi_later, *_, total = backwards(backward, (here, earlier, befores), start)
        # every odd moment has <up|H|up> subtracted
        mean = -jnp.sum(odd, axis=0)[None, None, None]
        phi_second = phi_second + mean * first
        total = jnp.stack(total) + jnp.stack(spin_between(phi_second, first))
        phi_first = mean * second + product(phi_second) - phi_later
        _, of_orbital = jax.vjp(orbital_at_center, spins)
        return (self.exchange * total + of_orbital(phi_first)[0])[:, :-1]

    def slopes(
        self, spins: Float[Array, "3 sites *many"], directions: Float[Array, "2 3 sites *many"]
    ) -> Float[Array, "sites 2 features *many"]:
        """The derivative of every feature along two directions of every spin.

        Of moments by the identity dT_k(H) = sum_l (2 - delta_l0) U_k-1-l(H) dH T_l(H), l = 0 .. k-1, U the Chebyshev
        polynomials of the second kind; other features need one `pullback` each.
        """
        if self.resolved or self.along is not None:
            number = self.number + self.number // 2 * (self.resolved + (0 if self.along is None else 3))
            units = jnp.eye(number, dtype=spins.dtype).reshape(number, number, *(1,) * (spins.ndim - 2))
            units = jnp.broadcast_to(units, (number, number, *spins.shape[2:]))
            parts = jax.vmap(self.pullback, in_axes=(None, 0))(spins, units)
            return einsum("fcm...,dcm...->mdf...", parts, directions)
        spins, directions = with_vacancy(spins), with_vacancy(directions, 2)
        first, second, product = self._start(spins)
        highest = self.number + 2

        def forward(carry, _):
            before, now, u_before, u_now = carry
            after = 2 * product(now) - before
            return (now, after, u_now, u_before + 2 * after), (before, u_before, after[0])

        # T_l and U_l of the orbital for l < highest; T_k at the centre for k = 2 .. highest + 1
        start = (first, second, first, 2 * second)
        _, (t, u, center) = jax.lax.scan(forward, start, None, length=highest)
        padded = jnp.concatenate([jnp.zeros_like(u), u])

        def add(total, given):
            number, factor, psi = given
            # U_k-1-l of every k, zero where l > k - 1
            partners = jax.lax.dynamic_slice_in_dim(padded, highest - number, highest)
            turned = [_sigma(tuple(factor * c for c in direction), psi) for direction in directions]
            terms = [sum_of(partners[:, :, s, c] * part[None, :, s, c] for s, c in _COMPONENTS) for part in turned]
            return tuple(t + term for t, term in zip(total, terms, strict=True)), None

        factors = jnp.full(highest, 2 * self.exchange, spins.dtype).at[0].set(self.exchange)
        zero = jnp.zeros((highest, *spins.shape[1:]), spins.dtype)
        found = jnp.stack(jax.lax.scan(add, (zero, zero), (jnp.arange(highest), factors, t))[0], axis=1)
        # k = 1 .. highest so far; and the orbital itself turns with the spin at the centre
        _, of_orbital = jax.vjp(orbital_at_center, spins[:, :1])
        bent = jax.vmap(lambda p: of_orbital(p[None])[0][:, 0])(2 * center[1:-1])
        own = jnp.sum(bent[:, None] * directions[None, :, :, 0], axis=2)
        found = found[2:].at[:, :, 0].add(own)[:, :, :-1]
        return jnp.moveaxis(found, (0, 1), (2, 1))

    def _start(self, spins: Array):
        """psi_0, psi_1 and the product with H."""
        product = product_with(self.cluster, self.exchange, self.kinetic, spins)
        first = orbital_at_center(spins)
        return first, product(first), product

    def _at_distances(self, psi: Spinors) -> list[Array]:
        edges = self.cluster.edges[: self.resolved + 1]
        return [psi[first:last] for first, last in itertools.pairwise(edges)]

    def _directed(self, now: Spinors, after: Spinors) -> list[Array]:
        if self.along is None:
            return []
        moved = self._coordinate(now) * after
        return [overlap(after, moved), overlap(now, moved), overlap(_times_i(now), moved)]

    def _of_after(self, slopes: tuple[Array, ...], now: Spinors, after: Spinors) -> Spinors:
        """The derivative of the features of step k with respect to psi_k alone."""
        odd, even, weights, directed = slopes
        found = 2 * odd[None, None, None] * now + (4 * even[None] + self._by_site(2 * weights))[:, None, None] * after
        if self.along is None:
            return found
        dipole, real, imaginary = (self._coordinate(now) * g[None, None, None] for g in directed)
        return found + 2 * dipole * after + real * now + imaginary * _times_i(now)

    def _of_now(self, slopes: tuple[Array, ...], after: Spinors) -> Spinors:
        """That with respect to psi_k-1."""
        odd, _, _, directed = slopes
        found = 2 * odd[None, None, None] * after
        if self.along is None:
            return found
        _, real, imaginary = (self._coordinate(after) * g[None, None, None] for g in directed)
        return found + real * after - imaginary * _times_i(after)

    def _coordinate(self, like: Spinors) -> Array:
        along = np.append(np.asarray(self.along), 0)  # of the vacancy
        return jnp.asarray(along, like.dtype).reshape(-1, *(1,) * (like.ndim - 1))

    def _by_site(self, weights: Float[Array, "resolved *many"]) -> Float[Array, "sites *many"]:
        """What belongs to a distance at each of its sites, zero beyond."""
        counts = [last - first for first, last in itertools.pairwise(self.cluster.edges[: self.resolved + 1])]
        rest = len(self.cluster.sites) + 1 - sum(counts)
        rows = [jnp.broadcast_to(w, (n, *w.shape)) for n, w in zip(counts, weights, strict=True)]
        return jnp.concatenate([*rows, jnp.zeros((rest, *weights.shape[1:]), weights.dtype)])


def with_vacancy(members: Float[Array, "..."], axis: int = 1) -> Float[Array, "..."]:
    """A site without spin behind those of the cluster, along `axis`: the neighbour of the sites at its edge."""
    return jnp.pad(members, [(0, int(n == axis)) for n in range(members.ndim)])


def product_with(
    cluster: Cluster, exchange: float, kinetic: float | Amplitudes, spins: Float[Array, "3 sites *many"]
) -> Callable[[Spinors], Spinors]:
    """psi -> H psi, H = exchange S.sigma + kinetic t on the sites that have a spin, with the vacancy the last site."""
    x, y, z = spins
    field = (exchange * x, exchange * y, exchange * z)
    occupied = (x * x + y * y + z * z > 0).astype(x.dtype)

    def product(psi: Spinors) -> Spinors:
        return occupied[:, None, None] * _hop(cluster, kinetic, psi) + _sigma(field, psi)

    return product


def orbital_at_center(spins: Float[Array, "3 sites *many"], along: bool = True) -> Spinors:
    """That of the first site, along its spin or against it; nothing where there is none."""
    x, y, z = (spins if along else -spins)[:, 0]
    occupied = (x * x + y * y + z * z > 0).astype(x.dtype)
    orbital = jnp.stack([part * occupied for part in spinor_along((x, y, z))]).reshape(2, 2, *x.shape)
    return jnp.zeros((spins.shape[1], *orbital.shape), x.dtype).at[0].set(orbital)


def spinor_along(spins: Vectors) -> tuple[Array, ...]:
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


def _sigma(s: Vectors, psi: Spinors) -> Spinors:
    """(x sigma_x + y sigma_y + z sigma_z) psi."""
    x, y, z = (component[:, None, None] for component in s)
    signs = [jnp.asarray(c, psi.dtype).reshape(1, 2, 2, *(1,) * (psi.ndim - 3)) for c in (_SIGNS_OF_Y, _SIGNS_OF_Z)]
    flipped = jax.lax.rev(psi, (1,))
    return z * (signs[1] * psi) + x * flipped + y * (signs[0] * jax.lax.rev(flipped, (2,)))


def spin_between(phi: Spinors, psi: Spinors) -> Vectors:
    """Re <phi|sigma|psi> at every site."""
    ar, ai, br, bi = (phi[:, s, c] for s, c in _COMPONENTS)
    ur, ui, dr, di = (psi[:, s, c] for s, c in _COMPONENTS)
    return (
        ar * dr + ai * di + br * ur + bi * ui,
        ar * di - ai * dr - br * ui + bi * ur,
        ar * ur + ai * ui - br * dr - bi * di,
    )


def _hop(cluster: Cluster, kinetic: float | Amplitudes, psi: Spinors) -> Spinors:
    """t psi. Neighbour by neighbour, where each site has few of the others as such: on CPUs twice as fast."""
    if isinstance(kinetic, Amplitudes):
        return kinetic.times(psi)
    matrix = np.pad(kinetic * cluster.hopping, ((0, 1), (0, 1)))
    number = int(np.max(np.count_nonzero(matrix, axis=1)))
    if 4 * number > len(matrix):
        return tensordot(jnp.asarray(matrix, psi.dtype), psi, axes=1)
    # the n-th neighbours of all sites, in any order; the vacancy where one is missing
    neighbours = np.argsort(matrix == 0, axis=1, kind="stable")[:, :number].T
    amplitudes = np.take_along_axis(matrix, neighbours.T, axis=1).T
    neighbours = np.where(amplitudes != 0, neighbours, len(matrix) - 1)
    if np.unique(matrix[matrix != 0]).size > 1:
        shape = (-1, *(1,) * (psi.ndim - 1))
        columns = [jnp.asarray(t, psi.dtype).reshape(shape) for t in amplitudes]
        return sum_of(t * psi[n] for t, n in zip(columns, neighbours, strict=True))
    return jnp.asarray(matrix[matrix != 0][0], psi.dtype) * sum_of(psi[n] for n in neighbours)


def _times_i(psi: Spinors) -> Spinors:
    signs = jnp.asarray([-1, 1], psi.dtype).reshape(1, 1, 2, *(1,) * (psi.ndim - 3))
    return signs * jax.lax.rev(psi, (2,))


def overlap(a: Spinors, b: Spinors) -> Float[Array, "*many"]:
    """Re <a|b> in every cluster."""
    # written to memory before it is added up: in one loop with that, XLA on CPUs adds one cluster after another
    return jnp.sum(settled(sum_of(a[:, s, c] * b[:, s, c] for s, c in _COMPONENTS)), axis=0)


def backwards(step: Callable[[Any, Any], Any], given: Any, start: Any) -> Any:
    """carry = step(given[k], carry) for k = n-1 ... 0 from `start`, the last carry.

    The slices are part of the carry: XLA on CPUs does not vectorize a loop that also looks up where its slice begins.
    """

    def one(carry, k):
        kept, now = carry
        kept = step(now, kept)
        k = jnp.maximum(k - 1, 0)
        return (kept, jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, k, keepdims=False), given)), None

    number = len(jax.tree.leaves(given)[0])
    last = jax.tree.map(lambda x: x[-1], given)
    return jax.lax.scan(one, (start, last), jnp.arange(number), reverse=True)[0][0]


# (spin, Re or Im) in the order Re up, Im up, Re down, Im down
_COMPONENTS = tuple(itertools.product((0, 1), repeat=2))
_SIGNS_OF_Y = ((1, -1), (-1, 1))
_SIGNS_OF_Z = ((1, 1), (-1, -1))
