"""The spins themselves, for networks that make invariants of them on their own."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.descriptors.base import AbstractDescriptor, Rows
from jaxspin.field import Spins
from jaxspin.lattice import Lattice


class SpinVectors(AbstractDescriptor):
    """The three components of every spin, then the features of `beside`, if any: what a `MessagePassing` reads.

    The components are not invariant under rotations of the spins; a network that reads them must make what is. They
    are handed on as they are, neither shifted nor scaled. What `beside` knows of the energy (`LocalElectrons`) is
    known, and the network describes the rest.

    `beside` is a descriptor on the same lattice, or None; `ValueError` for another lattice.

    Example:
        >>> features = js.descriptors.SpinVectors(js.chain(8))
        >>> features.labels, features.rows(js.textures.neel(js.chain(8))).shape
        (('S_x', 'S_y', 'S_z'), (3, 1, 8))
    """

    lattice: Lattice = eqx.field(static=True)
    beside: AbstractDescriptor | None

    def __init__(self, lattice: Lattice, *, beside: AbstractDescriptor | None = None):
        if beside is not None and beside.lattice != lattice:
            raise ValueError(
                f"the features beside the spins live on {beside.lattice.cells} cells of the {beside.lattice.name} "
                f"lattice, the spins on {lattice.cells} of {lattice.name}; use beside.on(lattice)."
            )
        self.lattice, self.beside = lattice, beside

    @property
    def labels(self) -> tuple[str, ...]:
        """ "S_x", "S_y", "S_z", then those of `beside`."""
        return ("S_x", "S_y", "S_z", *(() if self.beside is None else self.beside.labels))

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        return (1,) * self.lattice.dimension if self.beside is None else self.beside.narrowest_block

    @property
    def components(self) -> int:
        return 3

    def rows(self, spins: Spins) -> Rows:
        """The features as rows over the sites, the order in which they are computed."""
        vectors = jnp.moveaxis(spins, (-1, -2), (0, 1))
        return vectors if self.beside is None else jnp.concatenate([vectors, self.beside.rows(spins)])

    def pullback(self, spins: Spins, slopes: Rows) -> Spins:
        """The slopes of the components, and the pullback of `beside`."""
        return self._pulled(slopes, None if self.beside is None else self.beside.pullback(spins, slopes[3:]))

    def rows_and_pullback(self, spins: Spins):
        """Both, sharing what `beside` shares."""
        if self.beside is None:
            return self.rows(spins), lambda slopes: self._pulled(slopes, None)
        rows, pullback = self.beside.rows_and_pullback(spins)
        vectors = jnp.moveaxis(spins, (-1, -2), (0, 1))
        return jnp.concatenate([vectors, rows]), lambda slopes: self._pulled(slopes, pullback(slopes[3:]))

    def known_energy(self, rows: Float[Array, "features *sites"]) -> Float[Array, "*sites"] | None:
        """That of `beside`."""
        return None if self.beside is None else self.beside.known_energy(rows[3:])

    def on(self, lattice: Lattice) -> "SpinVectors":
        """The same on another size of the lattice; `ValueError` for another kind."""
        self.lattice.check_kind(lattice)
        return SpinVectors(lattice, beside=None if self.beside is None else self.beside.on(lattice))

    def settings(self) -> dict[str, Any]:
        """What the constructor takes, with `beside` as its own settings and its kind, if there is one."""
        if self.beside is None:
            return {}
        return {"descriptor": {"kind": type(self.beside).__name__, **self.beside.settings()}}

    @staticmethod
    def _pulled(slopes: Rows, rest: Spins | None) -> Spins:
        own = jnp.moveaxis(slopes[:3], (0, 1), (-1, -2))
        return own if rest is None else own + rest
