"""The Fermi level of electrons at fixed filling, beside the features of the surroundings of each site."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.descriptors.around import AbstractAround
from jaxspin.descriptors.base import AbstractClusterDescriptor, AbstractDescriptor, Own, Rows
from jaxspin.descriptors.moments import LocalMoments
from jaxspin.electrons import chebyshev
from jaxspin.electrons.ensemble import Ensemble, check_partial
from jaxspin.field import Spins, sum_of
from jaxspin.lattice import Lattice

# Temperature in units of halfwidth/(number of moments): the series of the Fermi function is cut off at exp(-3 pi).
_TEMPERATURE = 3.0


class AtFilling(AbstractAround, AbstractClusterDescriptor):  # pyright: ignore[reportIncompatibleVariableOverride]
    """The features of `descriptor`, then the Fermi level mu(S), the same number at every site.

    Electrons at a fixed `filling` n share one chemical potential: a metal that orders anywhere moves the levels that
    are filled everywhere, so that the push on a spin is not a function of its surroundings alone. In a metal this is
    most of what a local force field misses. mu is that of the mean density of states of the clusters: with
    m_k = (1/N) sum_i sum_s <s_i|T_k(H_i/a)|s_i>, both spin orbitals s of each site, it solves

        2 n = sum_k c_k(mu, T) m_k,

    c_k the Chebyshev coefficients of the Fermi function. Its temperature T = 3 a/K follows from the number K of known
    moments, which resolve no lower one: mu is smooth in the spins, where the true one jumps at low temperatures.
    Intensive, so that it means the same on any size of the lattice, and invariant as the moments are. The energy of a
    force field is then a sum of local ones at a common Fermi level, and its exact gradient includes that of mu.

    `descriptor`: a `LocalMoments`. The orbitals against the spins follow from those along them where hopping connects
    two halves of the lattice (square, honeycomb, cubic, chain, nearest neighbours); elsewhere the moments are computed
    for both, at twice the cost, and those against the spins are features as well.

    Raises `ValueError` for a filling outside (0, 1), and for another descriptor than `LocalMoments`.
    Sources: a common Fermi level of overlapping clusters: W. Yang, Phys. Rev. Lett. 66, 1438 (1991),
    10.1103/PhysRevLett.66.1438; moments: Weisse et al., Rev. Mod. Phys. 78, 275 (2006),
    10.1103/RevModPhys.78.275.

    Example:
        >>> moments = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=8)
        >>> features = js.descriptors.AtFilling(moments, filling=0.5)
        >>> features.n_features - moments.n_features
        1
    """

    descriptor: LocalMoments
    filling: float = eqx.field(static=True)

    def __init__(self, descriptor: AbstractDescriptor, *, filling: float):
        if not isinstance(descriptor, LocalMoments):
            raise ValueError(
                f"the Fermi level comes from moments of the electrons, not from {type(descriptor).__name__}; "
                "give AtFilling a LocalMoments."
            )
        check_partial(filling)
        self.descriptor, self.filling = descriptor, float(filling)

    @property
    def added_labels(self) -> tuple[str, ...]:
        """Such as "against moment 4" where they are needed, and "Fermi level"."""
        return (*(f"against {label}" for label in self._against_labels), "Fermi level")

    def added(self, spins: Spins) -> Rows:
        """The moments of the orbitals against the spins, and the level."""
        return self.split(self.rows(spins))[1]

    @property
    def n_own(self) -> int:
        return self.descriptor.n_own + len(self._against_labels)

    def rows(self, spins: Spins) -> Rows:
        """The features as rows over the sites, the order in which they are computed."""
        return self.completed(self.own(spins), _occupied(spins))

    def pullback(self, spins: Spins, slopes: Rows) -> Spins:
        """That of the moments, with the part that goes through the Fermi level."""
        return self._pulled(spins, self.own(spins), slopes)

    def rows_and_pullback(self, spins: Spins):
        """Both, for the price of one evaluation of the moments less than by themselves."""
        own = self.own(spins)
        return self.completed(own, _occupied(spins)), lambda slopes: self._pulled(spins, own, slopes)

    def fermi_level(self, spins: Spins) -> Float[Array, ""]:
        """mu(S) in units of the hopping."""
        return self._level(self.own(spins), _occupied(spins))

    def own(self, spins: Spins) -> Own:
        """The moments of the sites' own clusters."""
        along = self.descriptor.own(spins)
        return along if self._against is None else jnp.concatenate([along, self._against.own(spins)])

    def completed(self, own: Own, occupied: Float[Array, "*cells sublattices"], held: Any = None) -> Rows:
        """The features from those of the sites' own clusters alone: averages over neighbours, the Fermi level."""
        along, against = self._sides(own)
        level = self._level(own, occupied)
        rows = self.descriptor.completed(along, occupied)
        return jnp.concatenate([rows, against, jnp.broadcast_to(level, (1, *own.shape[1:]))])

    def members(self) -> np.ndarray:
        """Those of `descriptor`: the Fermi level is not among the own features."""
        return self.descriptor.members()

    def own_and_jacobian(
        self, spins: Spins, frames: Float[Array, "*cells sublattices 2 3"]
    ) -> tuple[Own, Float[Array, "sites m2 own"], Any]:
        """Those of `descriptor` and of the orbitals against the spins."""
        parts = [d.own_and_jacobian(spins, frames) for d in (self.descriptor, self._against) if d is not None]
        own, slopes, _ = zip(*parts, strict=True)
        return jnp.concatenate(own), jnp.concatenate(slopes, axis=-1), None

    def on(self, lattice: Lattice) -> "AtFilling":
        """The same on another size of the lattice; `ValueError` for another kind."""
        return AtFilling(self.descriptor.on(lattice), filling=self.filling)

    def own_settings(self) -> dict[str, Any]:
        """What the constructor takes beside `descriptor`, as plain data."""
        return {"filling": self.filling}

    @property
    def _against(self) -> LocalMoments | None:
        """The moments of the orbitals against the spins: those along them at the opposite coupling.

        None where every hop leads to the other half of the cluster: a change of sign on one half turns H(-J) into
        -H(J), and T_k is even or odd.
        """
        if self.descriptor.bipartite:
            return None
        settings = self.descriptor.settings()
        settings |= {"coupling": -self.descriptor.coupling, "surroundings": 0, "weights": False, "direction": None}
        return LocalMoments(self.lattice, **settings)

    @property
    def _against_labels(self) -> tuple[str, ...]:
        return () if self._against is None else self._against.labels

    def _pulled(self, spins: Spins, own: Own, slopes: Rows) -> Spins:
        (by_own,) = jax.vjp(lambda own: self.completed(own, _occupied(spins)), own)[1](slopes)
        along, against = self._sides(by_own)
        push = self.descriptor.own_pullback(spins, along)
        return push if self._against is None else push + self._against.own_pullback(spins, against)

    def _sides(self, own: Own) -> tuple[Array, Array]:
        """The own features of the orbitals along the spins, and of those against them, none where they follow."""
        return own[: self.descriptor.n_own], own[self.descriptor.n_own :]

    def _level(self, own: Own, occupied: Float[Array, "*cells sublattices"]) -> Float[Array, ""]:
        descriptor = self.descriptor
        sites = jnp.maximum(jnp.sum(occupied), 1)
        along, against = (jnp.sum(side, axis=tuple(range(1, own.ndim))) / sites for side in self._sides(own))
        along = along[: descriptor.moments]
        if self._against is None:
            odd = jnp.asarray(np.arange(3, descriptor.moments + 3) % 2, own.dtype)
            against = along * (1 - 2 * odd)
        halfwidth = descriptor.halfwidth
        square = (descriptor.coupling**2 + self._squared_hopping(occupied) / sites) / halfwidth**2
        first = jnp.stack([jnp.full_like(square, 2), jnp.zeros_like(square), 4 * square - 2])
        levels, weights = chebyshev.quadrature(jnp.concatenate([first, along + against]), 0.0, halfwidth)
        temperature = jnp.asarray(_TEMPERATURE * halfwidth / (descriptor.moments + 3), own.dtype)
        noise = 2 * chebyshev.filling_error(descriptor.moments + 3, temperature, jnp.asarray(halfwidth, own.dtype))
        # two spin-orbitals a site
        return Ensemble(filling=self.filling, temperature=temperature).fermi_level(levels, weights, 2, noise)

    def _squared_hopping(self, occupied: Float[Array, "*cells sublattices"]) -> Float[Array, ""]:
        """sum_ij t_ij^2 over the sites that have a spin."""
        lattice, found = self.lattice, []
        for shell, t in enumerate(self.descriptor.hopping, start=1):
            for bond in lattice.shell(shell):
                there = lattice.translate(occupied[..., bond.end], bond.offset)
                found.append(2 * t**2 * jnp.sum(occupied[..., bond.start] * there))
        return sum_of(found)


def _occupied(spins: Spins) -> Float[Array, "*cells sublattices"]:
    return jnp.any(spins != 0, axis=-1).astype(spins.dtype)
