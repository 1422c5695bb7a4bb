"""Where a site is in an open channel, beside the features of its surroundings."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxspin import renamed
from jaxspin.descriptors.around import AbstractAround
from jaxspin.descriptors.base import AbstractDescriptor, Rows
from jaxspin.field import Spins
from jaxspin.lattice import Lattice


class NearEnds(AbstractAround):
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

    descriptor: AbstractDescriptor
    axis: int = eqx.field(static=True)
    lengths: tuple[float, ...] = eqx.field(static=True)

    places = renamed.attribute("NearEnds", "places", "decays")

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
        self.descriptor, self.axis = descriptor, chosen
        self.lengths = tuple(float(x) for x in lengths)

    @property
    def added_labels(self) -> tuple[str, ...]:
        """Such as "first end 3", with the length."""
        return tuple(f"{end} end {x:g}" for x in self.lengths for end in ("first", "last"))

    def added(self, spins: Spins) -> Rows:
        """The `decays`, which do not move with the spins."""
        return jnp.asarray(self.decays(), spins.dtype)

    def added_pullback(self, spins: Spins, slopes: Rows) -> Spins:
        """Zero."""
        return jnp.zeros_like(spins)

    def on(self, lattice: Lattice) -> "NearEnds":
        """The same on another size of the channel; `ValueError` for another kind of lattice, or a closed axis."""
        return NearEnds(self.descriptor.on(lattice), axis=self.axis, lengths=self.lengths)

    def own_settings(self) -> dict[str, Any]:
        """What the constructor takes beside `descriptor`, as plain data."""
        return {"axis": self.axis, "lengths": self.lengths}

    def decays(self) -> Float[np.ndarray, "decays sublattices *cells"]:
        """exp(-x/l) and exp(-x'/l) of every site, two rows for each of the `lengths`: what is added to the features."""
        cells = self.lattice.cells
        cell = np.arange(cells[self.axis])
        along = [np.exp(-x / length) for length in self.lengths for x in (cell, cell[::-1])]
        shape = [1] * len(cells)
        shape[self.axis] = -1
        wide = (len(along), self.lattice.sublattices, *cells)
        return np.broadcast_to(np.array(along).reshape(len(along), 1, *shape), wide)
