"""What descriptors around another one have in common: its features first, then their own."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.descriptors.base import AbstractDescriptor, Rows
from jaxspin.field import Spins
from jaxspin.lattice import Lattice


class AbstractAround(AbstractDescriptor):
    """The features of `descriptor`, then those `added`, which one class says and another need not repeat.

    What is known of the energy is what `descriptor` knows. A subclass defines `added_labels`, `added`, `on`, and
    `own_settings`, the keywords of its constructor; where the added features do not depend on the spins, or have a
    faster derivative, `added_pullback` too.

    Every method that takes spins raises `ValueError` for those of another lattice, `on(lattice)` for a lattice of
    another kind. For features alone subclass `AbstractDescriptor`.

    Example:
        >>> inner = js.LocalMoments(js.chain(8, periodic=False), coupling=2.0, hops=2, moments=4)
        >>> around = js.descriptors.NearEnds(inner, lengths=(1.0,))
        >>> isinstance(around, js.descriptors.AbstractAround), around.added_labels
        (True, ('first end 1', 'last end 1'))
    """

    descriptor: eqx.AbstractVar[Any]

    @property
    def lattice(self) -> Lattice:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.descriptor.lattice

    @property
    @abc.abstractmethod
    def added_labels(self) -> tuple[str, ...]:
        """What each added feature is."""

    @abc.abstractmethod
    def added(self, spins: Spins) -> Rows:
        """The added features as rows over the sites."""

    @abc.abstractmethod
    def own_settings(self) -> dict[str, Any]:
        """What the constructor takes beside `descriptor`, as plain data."""

    def added_pullback(self, spins: Spins, slopes: Rows) -> Spins:
        """The derivative of sum(slopes * added(spins)) with respect to the spins."""
        return jax.vjp(self.added, spins)[1](slopes)[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of `descriptor`, then those of the features added."""
        return (*self.descriptor.labels, *self.added_labels)

    def rows(self, spins: Spins) -> Rows:
        """The features as rows over the sites, the order in which they are computed."""
        rows = self.descriptor.rows(spins)
        return jnp.concatenate([rows, self.added(spins).astype(rows.dtype)])

    def pullback(self, spins: Spins, slopes: Rows) -> Spins:
        """That of `descriptor`, and that of the features added."""
        inner, added = self.split(slopes)
        return self.descriptor.pullback(spins, inner) + self.added_pullback(spins, added)

    def known_energy(self, rows: Float[Array, "features *sites"]) -> Float[Array, "*sites"] | None:
        """That of `descriptor`."""
        return self.descriptor.known_energy(self.split(rows)[0])

    def split(self, rows: Float[Array, "features *sites"]) -> tuple[Array, Array]:
        """The rows of `descriptor`, and the added ones."""
        count = self.descriptor.n_features
        return rows[:count], rows[count:]

    def settings(self) -> dict[str, Any]:
        """What the constructor takes, with the descriptor as its own settings and its kind."""
        inner = {"kind": type(self.descriptor).__name__, **self.descriptor.settings()}
        return {"descriptor": inner, **self.own_settings()}
