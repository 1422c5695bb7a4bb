"""The recursion coefficients at the centres of many clusters at once, and their derivatives."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.arrays.precision import einsum
from jaxspin.descriptors import haydock
from jaxspin.descriptors.clusters import Cluster, orbital_at_center, product_with, spin_between, with_vacancy
from jaxspin.field import sum_of


class Chains(NamedTuple):
    """The coefficients at the centres of many clusters at once: of the orbital along the spin, then of that against."""

    cluster: Cluster
    exchange: float
    kinetic: float
    steps: int
    both: bool
    along: bool = True

    def features(self, spins: Float[Array, "3 sites *many"]) -> Float[Array, "coefficients *many"]:
        spins = with_vacancy(spins)
        product = self._product(spins)
        found = [haydock.coefficients(product, orbital_at_center(spins, s), self.steps) for s in self._sides]
        return jnp.concatenate(found)

    def pullback(
        self, spins: Float[Array, "3 sites *many"], slopes: Float[Array, "coefficients *many"]
    ) -> Float[Array, "3 sites *many"]:
        """The derivative of sum(slopes * features) with respect to the spins."""
        spins = with_vacancy(spins)
        product, parts = self._product(spins), []
        for side, given in zip(self._sides, jnp.split(slopes, len(self._sides)), strict=True):
            first, turn = jax.vjp(lambda s, side=side: orbital_at_center(s, side), spins)
            of_first, of_field = haydock.pullback(product, first, given, spin_between)
            parts.append(turn(of_first)[0] + self.exchange * jnp.stack(of_field))
        return sum_of(parts)[:, :-1]

    def jacobian(
        self, spins: Float[Array, "3 sites *many"], along: Float[Array, "d 3 sites *many"]
    ) -> Float[Array, "coefficients d sites *many"]:
        """The derivatives of all features along displacements of each site's spin."""
        each, found = units(2 * self.steps - 1, spins[0]), []
        for side in self._sides:
            one = self._replace(both=False, along=side)
            parts = jax.vmap(lambda u, one=one: one.pullback(spins, u))(each)
            found.append(einsum("csm...,dsm...->cdm...", parts, along))
        return jnp.concatenate(found)

    def _product(self, spins):
        return product_with(self.cluster, self.exchange, self.kinetic, spins)

    @property
    def _sides(self) -> tuple[bool, ...]:
        return (True, False) if self.both else (self.along,)


def units(number: int, like: Float[Array, "n *many"]) -> Float[Array, "number number *many"]:
    """Unit vectors, the same for many."""
    units = jnp.eye(number, dtype=like.dtype).reshape(number, number, *(1,) * (like.ndim - 1))
    return jnp.broadcast_to(units, (number, number, *like.shape[1:]))
