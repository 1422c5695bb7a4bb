"""The cluster of sites around a site: its hopping matrix, the moments at its centre, and their reverse derivative."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.precision import einsum, tensordot
from jaxspin.field import sum_of
from jaxspin.lattice import Lattice

Spinors = tuple[Array, ...]
"""(Re up, Im up, Re down, Im down), each over the sites of many clusters."""
Vectors = tuple[Array, ...]
"""(x, y, z), likewise."""


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
            reached = [_after(site, step, around) for site in front for step in steps[site[1]]]
            front = sorted(set(reached) - set(place))
            place |= {site: len(place) + n for n, site in enumerate(front)}
            edges.append(len(place))
        matrix = np.zeros((len(place), len(place)))
        for site, row in place.items():
            for step in steps[site[1]]:
                if (column := place.get(_after(site, step, around))) is not None:
                    matrix[row, column] += step[2]
        found.append(Cluster(tuple(place), matrix, tuple(edges)))
    return tuple(found)


def _after(site, step, around):
    there = (n + m for n, m in zip(site[0], step[0], strict=True))
    return tuple(_folded(n, cells) for n, cells in zip(there, around, strict=True)), step[1]


def _folded(offset: int, cells: int) -> int:
    """The same cell of a ring, in the half of the ring around 0."""
    return (offset + (cells - 1) // 2) % cells - (cells - 1) // 2 if cells else offset


class Recursion(NamedTuple):
    """psi_0 = |up>, psi_1 = H psi_0, psi_k+1 = 2 H psi_k - psi_k-1 on a cluster, H = exchange S.sigma + kinetic t.

    Gives the `number` moments <up|T_k(H)|up>, k from 3, two for a product with H (`number` is even), and
    |T_k(H) up|^2 summed over the sites at each of the first `resolved` distances, k from 2. With the coordinate x of
    each site, `along`, also <psi_k|x|psi_k>, Re <psi_k-1|x|psi_k> and Im <psi_k-1|x|psi_k>, k from 2.
    """

    cluster: Cluster
    exchange: float
    kinetic: float
    number: int
    resolved: int
    along: np.ndarray | None = None

    def features(self, spins: Float[Array, "3 sites *many"]) -> Float[Array, "features *many"]:
        """Moments, then weights, of many clusters at once."""
        first, second, product = self._start(spins)
        norm, mean = _dot(first, first), _dot(first, second)

        def step(pair, _):
            before, now = pair
            after = tuple(2 * h - p for h, p in zip(product(now), before, strict=True))
            moments = jnp.stack([2 * _dot(now, after) - mean, 2 * _dot(after, after) - norm])
            weights = [_dot(part, part) for part in self._at_distances(after)]
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
        first, second, product = self._start(spins)
        steps = self.number // 2

        def forward(pair, _):
            before, now = pair
            after = tuple(2 * h - p for h, p in zip(product(now), before, strict=True))
            return (now, after), before

        (now, after), befores = jax.lax.scan(forward, (first, second), None, length=steps)
        odd, even = slopes[0 : 2 * steps : 2], slopes[1 : 2 * steps : 2]
        middle = steps * (2 + self.resolved)
        weights = slopes[2 * steps : middle].reshape(steps, self.resolved, *slopes.shape[1:])
        directed = slopes[middle:].reshape(steps, 0 if self.along is None else 3, *slopes.shape[1:])

        def backward(carry, given):
            phi_after, phi_now, after, now, total = carry
            odd, even, weights, directed, before = given
            own = 4 * even[None] + self._by_site(2 * weights)
            phi_after = _plus(phi_after, (2 * odd[None], now), (own, after))
            phi_now, phi_after = self._add_directed((phi_now, phi_after), (now, after), directed)
            total = _plus(total, (2, spin_between(phi_after, now)))
            phi_now = _plus(phi_now, (2 * odd[None], after), (2, product(phi_after)))
            phi_before = tuple(-p for p in phi_after)
            return (phi_now, phi_before, now, before, total), None

        zero = jnp.zeros_like(first[0])
        start = ((zero,) * 4, (zero,) * 4, after, now, (zero,) * 3)
        (phi_second, phi_first, _, _, total), _ = jax.lax.scan(
            backward, start, (odd, even, weights, directed, befores), reverse=True
        )
        # every odd moment has <up|H|up> subtracted
        mean = -jnp.sum(odd, axis=0)[None]
        phi_second = _plus(phi_second, (mean, first))
        total = _plus(total, (1, spin_between(phi_second, first)))
        phi_first = _plus(phi_first, (mean, second), (1, product(phi_second)))
        center = spins[:, 0]
        _, of_orbital = jax.vjp(spinor_along, tuple(center))
        occupied = (jnp.sum(center * center, axis=0) > 0).astype(center.dtype)
        (turned,) = of_orbital(tuple(p[0] * occupied for p in phi_first))
        return jnp.stack([(self.exchange * c).at[0].add(d) for c, d in zip(total, turned, strict=True)])

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
        first, second, product = self._start(spins)
        highest = self.number + 2

        def forward(carry, _):
            before, now, u_before, u_now = carry
            after = tuple(2 * h - p for h, p in zip(product(now), before, strict=True))
            u_after = _plus(u_before, (2, after))
            kept = jnp.stack(before), jnp.stack(u_before), jnp.stack([p[0] for p in after])
            return (now, after, u_now, u_after), kept

        # T_l and U_l of the orbital for l < highest; T_k at the centre for k = 2 .. highest + 1
        start = (first, second, first, tuple(2 * p for p in second))
        _, (t, u, center) = jax.lax.scan(forward, start, None, length=highest)
        padded = jnp.concatenate([jnp.zeros_like(u), u])

        def add(total, given):
            number, factor, psi = given
            # U_k-1-l of every k, zero where l > k - 1
            partners = jax.lax.dynamic_slice_in_dim(padded, highest - number, highest)
            turned = [_sigma(tuple(factor * c for c in direction), tuple(psi)) for direction in directions]
            terms = [sum_of(partners[:, c] * part[None] for c, part in enumerate(parts)) for parts in turned]
            return tuple(t + term for t, term in zip(total, terms, strict=True)), None

        factors = jnp.full(highest, 2 * self.exchange, spins.dtype).at[0].set(self.exchange)
        zero = jnp.zeros((highest, *spins.shape[1:]), spins.dtype)
        found = jnp.stack(jax.lax.scan(add, (zero, zero), (jnp.arange(highest), factors, t))[0], axis=1)
        # k = 1 .. highest so far; and the orbital itself turns with the spin at the centre
        _, of_orbital = jax.vjp(spinor_along, tuple(spins[:, 0]))
        occupied = (jnp.sum(spins[:, 0] ** 2, axis=0) > 0).astype(spins.dtype)
        bent = jax.vmap(lambda p: jnp.stack(of_orbital(tuple(p))[0]))(2 * center[1:-1] * occupied[None, None])
        own = jnp.sum(bent[:, None] * directions[None, :, :, 0], axis=2)
        found = found[2:].at[:, :, 0].add(own)
        return jnp.moveaxis(found, (0, 1), (2, 1))

    def _start(self, spins: Array):
        """psi_0, psi_1 and the product with H."""
        product = product_with(self.cluster, self.exchange, self.kinetic, spins)
        first = orbital_at_center(spins)
        return first, product(first), product

    def _at_distances(self, psi: Spinors) -> list[Spinors]:
        edges = self.cluster.edges[: self.resolved + 1]
        return [tuple(p[first:last] for p in psi) for first, last in itertools.pairwise(edges)]

    def _directed(self, now: Spinors, after: Spinors) -> list[Array]:
        if self.along is None:
            return []
        x = self._coordinate(now[0])
        moved = tuple(x * p for p in after)
        return [_dot(after, moved), _dot(now, moved), _dot(_times_i(now), moved)]

    def _add_directed(self, slopes: tuple, states: tuple[Spinors, Spinors], given: Array) -> tuple[Spinors, Spinors]:
        """The derivatives with respect to psi_k-1 and psi_k, with those of the directed features."""
        phi_now, phi_after = slopes
        if self.along is None:
            return phi_now, phi_after
        now, after = states
        dipole, real, imaginary = (self._coordinate(now[0]) * g[None] for g in given)
        phi_after = _plus(phi_after, (2 * dipole, after), (real, now), (imaginary, _times_i(now)))
        return _plus(phi_now, (real, after), (-imaginary, _times_i(after))), phi_after

    def _coordinate(self, like: Array) -> Array:
        return jnp.asarray(self.along, like.dtype).reshape(-1, *(1,) * (like.ndim - 1))

    def _by_site(self, weights: Float[Array, "resolved *many"]) -> Float[Array, "sites *many"]:
        """What belongs to a distance at each of its sites, zero beyond."""
        counts = [last - first for first, last in itertools.pairwise(self.cluster.edges[: self.resolved + 1])]
        rest = len(self.cluster.sites) - sum(counts)
        rows = [jnp.broadcast_to(w, (n, *w.shape)) for n, w in zip(counts, weights, strict=True)]
        return jnp.concatenate([*rows, jnp.zeros((rest, *weights.shape[1:]), weights.dtype)])


def product_with(
    cluster: Cluster, exchange: float, kinetic: float, spins: Float[Array, "3 sites *many"]
) -> Callable[[Spinors], Spinors]:
    """psi -> H psi, H = exchange S.sigma + kinetic t on the sites that have a spin."""
    x, y, z = spins
    field = (exchange * x, exchange * y, exchange * z)
    occupied = (x * x + y * y + z * z > 0).astype(x.dtype)

    def product(psi: Spinors) -> Spinors:
        hop = (occupied * _hop(cluster, kinetic, p) for p in psi)
        return tuple(h + e for h, e in zip(hop, _sigma(field, psi), strict=True))

    return product


def orbital_at_center(spins: Float[Array, "3 sites *many"], along: bool = True) -> Spinors:
    """That of the first site, along its spin or against it; nothing where there is none."""
    x, y, z = spins if along else -spins
    occupied = (x[0] * x[0] + y[0] * y[0] + z[0] * z[0] > 0).astype(x.dtype)
    return tuple(jnp.zeros_like(x).at[0].set(u * occupied) for u in spinor_along((x[0], y[0], z[0])))


def spinor_along(spins: Vectors) -> Spinors:
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
    x, y, z = s
    ur, ui, dr, di = psi
    return (
        z * ur + x * dr + y * di,
        z * ui + x * di - y * dr,
        x * ur - y * ui - z * dr,
        x * ui + y * ur - z * di,
    )


def spin_between(phi: Spinors, psi: Spinors) -> Vectors:
    """Re <phi|sigma|psi> at every site."""
    ar, ai, br, bi = phi
    ur, ui, dr, di = psi
    return (
        ar * dr + ai * di + br * ur + bi * ui,
        ar * di - ai * dr - br * ui + bi * ur,
        ar * ur + ai * ui - br * dr - bi * di,
    )


def _hop(cluster: Cluster, kinetic: float, part: Array) -> Array:
    """t psi. Neighbour by neighbour, where each site has few of the others as such: on CPUs twice as fast."""
    matrix = kinetic * cluster.hopping
    number = int(np.max(np.count_nonzero(matrix, axis=1)))
    if 4 * number > len(matrix):
        return tensordot(jnp.asarray(matrix, part.dtype), part, axes=1)
    # the n-th neighbours of all sites, in any order; those that are missing have t = 0
    neighbours = np.argsort(matrix == 0, axis=1, kind="stable")[:, :number].T
    amplitudes = np.take_along_axis(matrix, neighbours.T, axis=1).T
    if np.unique(matrix[matrix != 0]).size > 1:
        shape = (-1, *(1,) * (part.ndim - 1))
        columns = [jnp.asarray(t, part.dtype).reshape(shape) for t in amplitudes]
        return sum_of(t * part[n] for t, n in zip(columns, neighbours, strict=True))
    # all alike: the missing ones are a row of zeros
    padded = jnp.concatenate([part, jnp.zeros_like(part[:1])])
    present = np.where(amplitudes != 0, neighbours, len(matrix))
    return jnp.asarray(matrix[matrix != 0][0], part.dtype) * sum_of(padded[n] for n in present)


def _times_i(psi: Spinors) -> Spinors:
    ur, ui, dr, di = psi
    return -ui, ur, -di, dr


def _plus(first, *terms):
    """first + sum of factor * term, part by part."""
    for factor, term in terms:
        first = tuple(p + factor * q for p, q in zip(first, term, strict=True))
    return first


def _dot(a: tuple[Array, ...], b: tuple[Array, ...]) -> Array:
    return sum_of(jnp.sum(x * y, axis=0) for x, y in zip(a, b, strict=True))
