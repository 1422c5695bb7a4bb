"""Features of driven channels at several voltages and their derivatives by the spins, computed once and stored."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

import jaxspin as js
from jaxspin.descriptors import AbstractDescriptor, BetweenLeads
from jaxspin.spins import tangent_frame
from jaxspin.training import SpinData


class Stored(NamedTuple):
    """Of n configurations: moments of the clusters, the rows of `BetweenLeads` by layer, how both change with the
    spins (along two tangents each), and B along these tangents."""

    own: Float[np.ndarray, "n own sites"]
    own_slopes: Float[np.ndarray, "n sites members*2 own"]
    lead_rows: Float[np.ndarray, "n lead_rows layers"]
    lead_slopes: Float[np.ndarray, "n lead_rows layers sites*2"]
    field: Float[np.ndarray, "n sites*2"]

    def take(self, index: Any) -> "Stored":
        """Some of them."""
        return Stored(*(x[index] for x in self))

    def weigh(self, weights: Float[np.ndarray, " n"]) -> None:
        """Multiply each configuration's fields, exact and learnt, by the root of its weight in squared errors."""
        root = np.sqrt(weights).astype(np.float32)
        for x in (self.own_slopes, self.lead_slopes, self.field):
            np.multiply(x, root.reshape(-1, *[1] * (x.ndim - 1)), out=x)


class Chosen(NamedTuple):
    """Some configurations of a channel: the numbers of rows, so that none is copied but those of a batch."""

    lattice: js.Lattice
    known: Stored
    rows: Int[np.ndarray, " m"]

    def batch(self, index: Any) -> Stored:
        """Those at places in `rows`."""
        return self.known.take(self.rows[index])


Channels = Sequence[Chosen]


def stored(descriptor: BetweenLeads, data: SpinData, voltages: Sequence[float], progress: bool = True) -> Stored:
    """The features of every configuration, each at its own voltage, of `LocalMoments` inside `BetweenLeads`."""
    moments = moments_of(descriptor)

    @eqx.filter_jit
    def one(spins, field, voltage):
        at = descriptor.at(voltage)
        frames = tangent_frame(spins)
        own, slopes, _ = moments.own_and_jacobian(spins, frames)

        def by_layer(spins):
            return at.added(spins)[:, 0, :, 0]

        moved = jnp.einsum("fl...c,...dc->fl...d", jax.jacrev(by_layer)(spins), frames)
        moved = moved.reshape(*moved.shape[:2], -1)
        pushed = jnp.einsum("...c,...dc->...d", field, frames).reshape(-1)
        return own.reshape(len(own), -1), slopes, by_layer(spins), moved, pushed

    parts = []
    configurations = zip(data.spins, data.field, voltages, strict=True)
    for spins, field, voltage in tqdm(configurations, "features", len(data), disable=not progress):
        found = one(spins, field, jnp.asarray(voltage, spins.dtype))
        parts.append([np.asarray(x, np.float32) for x in found])
    return Stored(*(np.stack(column) for column in zip(*parts, strict=True)))


def rows_of(descriptor: BetweenLeads, own: Array, lead_rows: Array) -> Float[Array, "features n sites"]:
    """What `descriptor.rows` gives, from what is stored."""
    moments, inner = moments_of(descriptor), descriptor.descriptor
    cells = moments.lattice.cells

    def one(own, lead_rows):
        rows = [moments.completed(own.reshape(len(own), 1, *cells), jnp.ones((*cells, 1), own.dtype))]
        if isinstance(inner, js.descriptors.NearEnds):
            rows.append(jnp.asarray(inner.decays(), own.dtype))
        rows.append(jnp.broadcast_to(lead_rows[:, None, :, None], (len(lead_rows), 1, *cells)))
        return jnp.concatenate(rows).reshape(-1, moments.lattice.sites)

    return jnp.moveaxis(jax.vmap(one)(own, lead_rows), 0, 1)


def moments_of(descriptor: AbstractDescriptor) -> js.LocalMoments:
    """The moments inside."""
    assert isinstance(descriptor, BetweenLeads)
    inner = descriptor.descriptor
    moments = inner.descriptor if isinstance(inner, js.descriptors.NearEnds) else inner
    assert isinstance(moments, js.LocalMoments)
    assert moments.lattice.sublattices == 1
    return moments


def members_of(moments: js.LocalMoments) -> np.ndarray:
    """The site of every member of each cluster; beyond an open edge there is none, and no derivative either."""
    number = np.arange(moments.lattice.sites).reshape(moments.lattice.shape)
    axes = tuple(range(moments.lattice.dimension))
    (cluster,) = moments.clusters
    found = [np.roll(number[..., b], tuple(-n for n in at), axes) for at, b in cluster.sites]
    return np.moveaxis(np.array(found), 0, -1).reshape(moments.lattice.sites, -1)
