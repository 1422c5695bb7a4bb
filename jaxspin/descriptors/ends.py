"""Where a site is in an open channel, beside the features of its surroundings."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.descriptors.base import AbstractDescriptor
from jaxspin.field import Spins
from jaxspin.lattice import Lattice


class NearEnds(AbstractDescriptor):
    """The features of `descriptor`, then exp(-x/l) and exp(-x'/l) for each of the `lengths` l.

    x and x' count the cells between the site and the first and the last cell of the open `axis` (None: the first open
    one). A contact at an end changes the electrons near it, whatever the spins: with these features one network serves
    the ends and the bulk, where they vanish, so that what was learnt on a channel moves to a longer one. They do not
    depend on the spins, and the two ends are told apart.

    Raises `ValueError` without an open axis, and for lengths that are not positive.

    Example:
        >>> channel = js.chain(8, periodic=False)
        >>> inner = js.LocalMoments(channel, coupling=2.0, hops=2, moments=4)
        >>> js.descriptors.NearEnds(inner, lengths=(1.0, 3.0)).n_features - inner.n_features
        4
    """

    lattice: Lattice = eqx.field(static=True)
    descriptor: AbstractDescriptor
    axis: int = eqx.field(static=True)
    lengths: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        descriptor: AbstractDescriptor,
        *,
        axis: int | None = None,
        lengths: Sequence[float | int] = (1.0, 3.0, 9.0),
    ):
        periodic = descriptor.lattice.periodic
        chosen = next((n for n, closed in enumerate(periodic) if not closed), None) if axis is None else int(axis)
        if chosen is None or not 0 <= chosen < len(periodic) or periodic[chosen]:
            raise ValueError(
                f"axis {axis} of the {descriptor.lattice.name} lattice, periodic {periodic}, has no ends; "
                "make the lattice with periodic=(False, ...), or use the descriptor by itself."
            )
        if not lengths or min(lengths) <= 0:
            raise ValueError(f"lengths must be positive numbers of cells, got {tuple(lengths)}; (1, 3, 9) are usual.")
        self.lattice, self.descriptor, self.axis = descriptor.lattice, descriptor, chosen
        self.lengths = tuple(float(x) for x in lengths)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of `descriptor`, then such as "first end 3" with the length."""
        return (*self.descriptor.labels, *(f"{end} end {x:g}" for x in self.lengths for end in ("first", "last")))

    def rows(self, spins: Spins) -> Float[Array, "features sublattices *cells"]:
        """The features as rows over the sites, the order in which they are computed."""
        rows = self.descriptor.rows(spins)
        return jnp.concatenate([rows, jnp.asarray(self.places(), rows.dtype)])

    def pullback(self, spins: Spins, slopes: Float[Array, "features sublattices *cells"]) -> Spins:
        """That of `descriptor`: places do not move with the spins."""
        return self.descriptor.pullback(spins, slopes[: self.descriptor.n_features])

    def known_energy(self, rows: Float[Array, "features *sites"]) -> Float[Array, "*sites"] | None:
        """That of `descriptor`."""
        return self.descriptor.known_energy(rows[: self.descriptor.n_features])

    def on(self, lattice: Lattice) -> "NearEnds":
        """The same on another size of the channel; `ValueError` for another kind of lattice, or a closed axis."""
        return NearEnds(self.descriptor.on(lattice), axis=self.axis, lengths=self.lengths)

    def settings(self) -> dict[str, Any]:
        """What the constructor takes, with the descriptor as its own settings and its kind."""
        inner = {"kind": type(self.descriptor).__name__, **self.descriptor.settings()}
        return {"descriptor": inner, "axis": self.axis, "lengths": self.lengths}

    def places(self) -> Float[np.ndarray, "places sublattices *cells"]:
        """exp(-x/l) and exp(-x'/l) of every site, two rows for each of the `lengths`: what is added to the features."""
        cells = self.lattice.cells
        number = np.arange(cells[self.axis])
        along = [np.exp(-x / length) for length in self.lengths for x in (number, number[::-1])]
        shape = [1] * len(cells)
        shape[self.axis] = -1
        wide = (len(along), self.lattice.sublattices, *cells)
        return np.broadcast_to(np.array(along).reshape(len(along), 1, *shape), wide)
