"""Features from the electrons themselves: Chebyshev moments of H on the cluster of sites around each site."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arguments import check_lattice
from jaxspin.couplings import real
from jaxspin.descriptors.base import Own, Rows, check_direction
from jaxspin.descriptors.clusters import Cluster, Recursion
from jaxspin.descriptors.on_clusters import AbstractOnClusters
from jaxspin.field import Spins
from jaxspin.lattice import Lattice
from jaxspin.spins import check_spins

# Sites whose Jacobians are computed at once: small, so that what belongs to every feature stays in the cache.
_JACOBIAN_CHUNK = 16


class LocalMoments(AbstractOnClusters):
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
    - `chunk`: sites treated at once on a CPU, whose caches the default suits (64 the clusters of 4 hops), None for all;
      other devices take 256 times as many (some GB at the default), wherever the program was traced.

    Sites without spin (vacancies, sites beyond an open edge) have no orbital. Raises `ValueError` for a periodic axis
    shorter than the cluster. Sources: moments as local quantities: F. Cyrot-Lackmann, J. Phys. Chem. Solids 29, 1235
    (1968), 10.1016/0022-3697(68)90216-3; Chebyshev moments: Weisse et al., Rev. Mod. Phys. 78, 275 (2006),
    10.1103/RevModPhys.78.275, eqs. 36-37; energies of overlapping clusters: W. Yang, Phys. Rev. Lett. 66, 1438
    (1991), 10.1103/PhysRevLett.66.1438.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> features(js.textures.ferromagnet(js.chain(8))).shape
        (8, 1, 8)
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
        check_lattice(lattice, "js.LocalMoments(lattice, coupling=3.0)")
        self.lattice = lattice
        real(coupling, "coupling")
        self.coupling = float(coupling)
        self.hopping = tuple(float(t) for t in (hopping if isinstance(hopping, Sequence) else (hopping,)))
        self.hops, self.moments, self.surroundings = int(hops), int(moments), int(surroundings)
        self.weights, self.wrap, self.chunk = bool(weights), bool(wrap), chunk
        self.direction = None if direction is None else tuple(float(x) for x in direction)

    def __check_init__(self):
        check_direction(self.lattice, self.direction)
        if self.moments < 2 or self.moments % 2:
            raise ValueError(f"moments must be even and at least 2, got {self.moments}; 24 is usual.")
        self.check_clusters()
        along = np.array(self.direction if self.direction is not None else self.lattice.dimension * (0.0,))
        if any((self.lattice.vectors[n] @ along) != 0 for n in self.short_axes()):
            raise ValueError(
                f"the direction {self.direction} goes around a lattice of {self.lattice.cells} cells that the cluster "
                "wraps; take a direction along an open axis, or a wider lattice."
            )

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
    def _resolved(self) -> int:
        """Of how many distances the weights are features: that of the last one follows from their sum."""
        return self.hops if self.weights else 0

    def rows(self, spins: Spins) -> Rows:
        """The features as rows over the sites, the order in which they are computed."""
        return self._with_averages(self.own(spins))

    def own(self, spins: Spins) -> Own:
        """The features of the sites' own clusters alone."""
        check_spins(self.lattice, spins)
        own = [self._over_sites(r.features, self._gathered(spins, r.cluster)) for r in self._recursions]
        return jnp.stack(own, axis=1)

    def completed(self, own: Own, occupied: Float[Array, "*cells sublattices"], held: Any = None) -> Rows:
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
            around = self._gathered(spins, recursion.cluster)
            parts = self._over_sites(recursion.pullback, around, slopes[:, sublattice])
            (part,) = jax.linear_transpose(lambda s, r=recursion: self._gathered(s, r.cluster), spins)(parts)
            found = found + part
        return found

    def own_and_jacobian(
        self, spins: Spins, frames: Float[Array, "*cells sublattices 2 3"]
    ) -> tuple[Own, Float[Array, "sites m2 own"], Any]:
        """The features of the sites' own clusters, and their derivatives along two directions of each spin in them.

        The middle axis counts (member, direction), members in the order of `members()`.
        """
        own, slopes = [], []
        directions = jnp.moveaxis(frames, (-2, -1), (0, 1))
        for recursion in self._recursions:
            around = self._gathered(spins, recursion.cluster)
            own.append(self._over_sites(recursion.features, around))
            along = jnp.stack([self._gathered(jnp.moveaxis(d, 0, -1), recursion.cluster) for d in directions])

            slopes.append(self._over_sites(recursion.slopes, around, along, chunk=_JACOBIAN_CHUNK))
        # (sublattices, m, d, f, *cells) -> (*cells, sublattices, m d, f)
        jacobian = jnp.moveaxis(jnp.stack(slopes), (0, 1, 2, 3), (-4, -3, -2, -1))
        width = jacobian.shape[-3] * jacobian.shape[-2]
        return jnp.stack(own, axis=1), jacobian.reshape(self.lattice.sites, width, -1), None

    @property
    def _recursions(self) -> tuple[Recursion, ...]:
        """One for each sublattice."""
        found = self.clusters
        scales = (-self.coupling / self.halfwidth, -1 / self.halfwidth)
        along = (None,) * len(found) if self.direction is None else _coordinates(self.lattice, found, self.direction)
        return tuple(Recursion(c, *scales, self.moments, self._resolved, x) for c, x in zip(found, along, strict=True))


def _coordinates(lattice: Lattice, found: Sequence[Cluster], direction: Sequence[float]) -> list[np.ndarray]:
    """How far along the direction each site of the clusters lies from the centre, in lattice constants."""
    unit = np.array(direction) / np.linalg.norm(direction)
    places = [np.array([np.array(n) @ lattice.vectors + lattice.basis[b] for n, b in c.sites]) for c in found]
    return [(place - place[0]) @ unit for place in places]
