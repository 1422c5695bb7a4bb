"""Features of a configuration with their derivatives with respect to its spins, computed once for a whole training.

Training changes the network and never the features: with their Jacobian at hand, energies, fields and the derivative of
the energy along a direction cost products with stored matrices, and no descriptor is computed again.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.precision import einsum
from jaxspin.descriptors.base import AbstractClusterDescriptor
from jaxspin.forcefield import BehlerParrinello
from jaxspin.spins import takes_spins, tangent_frame


class Linearized(eqx.Module):
    """A configuration as the network sees it: own features G_i and dG_i/dS_j along two tangents of each spin j."""

    own: Float[Array, "own sublattices *cells"]
    jacobian: Float[Array, "sites m2 own"]
    frames: Float[Array, "sites 2 3"]
    occupied: Float[Array, "*cells sublattices"]
    held: Any

    def energy_and_field(self, model: BehlerParrinello, readers: Array) -> tuple[Array, Array]:
        """The energy, and the tangential field `(*cells, sublattices, 3)`."""
        energy, slopes = jax.value_and_grad(lambda own: self._energy(model, own))(self.own)
        # (own, sublattices, *cells) -> (sites, own), sites in the order of (*cells, sublattices)
        slopes = jnp.moveaxis(slopes, 1, -1).reshape(len(slopes), -1).T
        pushes = einsum("imf,if->im", self.jacobian, slopes).reshape(-1, 2)
        along = -jnp.sum(pushes[readers], axis=1)
        field = jnp.sum(along[:, :, None] * self.frames, axis=1)
        return energy, field.reshape(*self.occupied.shape, 3)

    def energy_along(self, model: BehlerParrinello, direction: Array, members: Array) -> tuple[Array, Array]:
        """The energy and its derivative along displacements of the spins `(*cells, sublattices, 3)`."""
        along = jnp.sum(self.frames * direction.reshape(-1, 1, 3), axis=-1)
        moves = along[members].reshape(len(along), -1)
        change = einsum("imf,im->if", self.jacobian, moves)
        shape = (*self.own.shape[2:], self.own.shape[1])
        change = jnp.moveaxis(change.T.reshape(-1, *shape), -1, 1)
        return jax.jvp(lambda own: self._energy(model, own), (self.own,), (change,))

    def _energy(self, model: BehlerParrinello, own: Array) -> Array:
        assert isinstance(model.descriptor, AbstractClusterDescriptor)
        rows = model.descriptor.completed(own, self.occupied, self.held)
        energies = jnp.moveaxis(model.from_rows(rows, jnp.moveaxis(self.occupied, -1, 0)), 0, -1)
        return jnp.sum(self.occupied * energies)


class LinearizedSet(eqx.Module):
    """Every configuration of a data set, and who reads whom.

    `members` `(sites, m)` numbers the spins that the features of each site depend on, `readers` `(sites, m)` the
    places (site m + member) at which each spin is read: the two are transposes of one another.

    A list and not one array: a batch is then handed to the program without a copy.
    """

    configurations: tuple[Linearized, ...]
    members: Array
    readers: Array

    @staticmethod
    def bytes_needed(descriptor: AbstractClusterDescriptor, configurations: int, dtype) -> int:
        """What the Jacobians take: configurations x sites x own features x two tangents of every member."""
        members = descriptor.members().shape[1]
        return configurations * descriptor.lattice.sites * descriptor.n_own * 2 * members * jnp.dtype(dtype).itemsize

    @staticmethod
    @takes_spins(batch=True)
    def of(
        descriptor: AbstractClusterDescriptor, spins: Float[Array, "n *cells sublattices 3"], progress=None
    ) -> "LinearizedSet":
        """Computed configuration by configuration; `progress` is called after each."""
        members = descriptor.members()
        make = eqx.filter_jit(_linearized)
        found = []
        for configuration in spins:
            found.append(make(descriptor, configuration))
            if progress is not None:
                jax.block_until_ready(found[-1].jacobian)
                progress()
        return LinearizedSet(tuple(found), jnp.asarray(members), jnp.asarray(readers(members)))

    def batch(self, rows: np.ndarray) -> "LinearizedSet":
        """The configurations of these numbers."""
        return LinearizedSet(tuple(self.configurations[row] for row in rows), self.members, self.readers)


def _linearized(descriptor: AbstractClusterDescriptor, spins: Array) -> Linearized:
    frames = tangent_frame(spins)
    own, jacobian, held = descriptor.own_and_jacobian(spins, frames)
    occupied = jnp.any(spins != 0, axis=-1).astype(spins.dtype)
    return Linearized(own, jacobian, frames.reshape(-1, 2, 3), occupied, held)


def readers(members: np.ndarray) -> np.ndarray:
    """The places of `members` `(sites, m)` that hold each site, `(sites, m)`: numbers in the array raveled.

    `members` are numbers of sites, such as those of `descriptor.members()`: each occurs m times. A sum over readers is
    the transpose of reading members.
    """
    return np.argsort(members.ravel(), kind="stable").reshape(members.shape)
