"""The one thing a force field asks of a descriptor: rows of invariant features over the sites of a lattice."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.field import Spins
from jaxspin.lattice import Lattice
from jaxspin.spins import check_methods, takes_spins

Rows = Float[Array, "features sublattices *cells"]
"""Features as rows over the sites, the order in which they are computed."""
Own = Float[Array, "own sublattices *cells"]
"""Those from which the others follow, see `AbstractClusterDescriptor`."""


class AbstractDescriptor(eqx.Module):
    """Features of the surroundings of every site, `(*cells, sublattices, 3)` -> `(*cells, sublattices, n_features)`.

    A descriptor has settings (static fields of plain data, stored with a force field) and no arrays. Its features must
    be smooth and invariant under whatever the energy is invariant under. A subclass defines `labels`, `rows` and `on`;
    `jaxspin.testing.assert_invariant` tests it. For a network that reads the spins themselves see `SpinVectors`.

    The `spins` of every public method, of a subclass's own too, pass through `jaxspin.spins.as_spins`: `ValueError` for
    complex numbers, spins of another lattice and batches. `on(lattice)` raises it for a lattice of another kind.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> isinstance(features, js.descriptors.AbstractDescriptor), features.n_features
        (True, 8)
    """

    lattice: eqx.AbstractVar[Lattice]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        check_methods(cls)

    @property
    @abc.abstractmethod
    def labels(self) -> tuple[str, ...]:
        """What each feature is."""

    @takes_spins
    @abc.abstractmethod
    def rows(self, spins: Spins) -> Float[Array, "features sublattices *cells"]:
        """The features as rows over the sites, the order in which they are computed."""

    @abc.abstractmethod
    def on(self, lattice: Lattice) -> "AbstractDescriptor":
        """The same descriptor on another size of the same kind of lattice; `ValueError` for another kind."""

    @property
    def n_features(self) -> int:
        return len(self.labels)

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        """The fewest cells along each axis of a block of the lattice on a core of its own; None: it stays whole."""
        return None

    @property
    def components(self) -> int:
        """How many features, the first ones, are components of vectors, which a force field must not standardize."""
        return 0

    @takes_spins
    def __call__(self, spins: Spins) -> Float[Array, "*cells sublattices features"]:
        """The features of every site. `rows` gives the same without the last transposition."""
        return _by_site(self, spins)

    @takes_spins
    def pullback(self, spins: Spins, slopes: Float[Array, "features sublattices *cells"]) -> Spins:
        """The derivative of sum(slopes * rows(spins)) with respect to the spins, by reverse mode.

        A descriptor that knows a faster equal may override it: the field of a force field is computed with it.
        """
        return jax.vjp(self.rows, spins)[1](slopes)[0]

    @takes_spins
    def rows_and_pullback(self, spins: Spins) -> tuple[Rows, Callable[[Rows], Spins]]:
        """`rows(spins)` and `slopes -> pullback(spins, slopes)`, for a descriptor that can share work between them."""
        return self.rows(spins), lambda slopes: self.pullback(spins, slopes)

    def known_energy(self, rows: Float[Array, "features *sites"]) -> Float[Array, "*sites"] | None:
        """What the features say of the energy of every site before anything is learnt, in units of the hopping.

        The network of a force field describes the rest. None, the default, where nothing is known.
        """
        return None

    def settings(self) -> dict[str, Any]:
        """Every field but the lattice, as plain data: what the constructor takes as keywords."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "lattice"}


@eqx.filter_jit  # called outside jit, loops over sites would be compiled anew every time
def _by_site(descriptor: AbstractDescriptor, spins: Spins) -> Float[Array, "*cells sublattices features"]:
    rows = descriptor.rows(spins)
    return jnp.transpose(rows, (*range(2, rows.ndim), 1, 0))


class AbstractClusterDescriptor(AbstractDescriptor):
    """A descriptor whose features follow from `own` ones, each of a bounded cluster around its site.

    Training keeps the derivatives of the own features, which are sparse, and completes them anew at every step.
    """

    @property
    @abc.abstractmethod
    def n_own(self) -> int:
        """The number of own features of a site."""

    @abc.abstractmethod
    def completed(self, own: Own, occupied: Float[Array, "*cells sublattices"], held: Any = None) -> Rows:
        """All features from the own ones; `occupied` is 1 where there is a spin, 0 at vacancies.

        `held` is what `own_and_jacobian` returned; the result and its first derivatives are those of `rows`.
        """

    @abc.abstractmethod
    def members(self) -> np.ndarray:
        """The spins that the own features of each site depend on, `(sites, members)` numbers of sites."""

    @abc.abstractmethod
    def own_and_jacobian(
        self, spins: Spins, frames: Float[Array, "*cells sublattices 2 3"]
    ) -> tuple[Own, Float[Array, "sites m2 own"], Any]:
        """The own features, their derivatives along two directions of each spin in their clusters, and what was held
        fixed in them because all sites have it in common (a pytree of arrays, None for nothing)."""


def check_direction(lattice: Lattice, direction: tuple[float, ...] | None) -> None:
    """`ValueError` for what is no direction in the space of the lattice."""
    if direction is None:
        return
    if len(direction) != lattice.dimension or not 0 < np.linalg.norm(direction) < np.inf:
        raise ValueError(
            f"{direction} is no direction on the {lattice.name} lattice; "
            f"give {lattice.dimension} numbers, not all zero."
        )
