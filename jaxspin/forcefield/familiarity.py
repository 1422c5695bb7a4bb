"""What a force field learnt from: mean, deviation and covariance of the features `(k, *sites)` of its training set."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.precision import einsum
from jaxspin.arrays.vectors import one_program
from jaxspin.descriptors import AbstractDescriptor
from jaxspin.devices.hosts import to_host
from jaxspin.field import Spins

# The share of the sites learnt from whose distance is below 1.
QUANTILE = 0.99
# Of the mean variance: directions along which the training set hardly varies count as if they had this one.
_RIDGE = 1e-8
# Of configurations whose features are computed at once where they would not fill the machine one by one.
_SITES_ON_ACCELERATORS = 2**16


class Familiarity(eqx.Module):
    """Distances d = |W^T (x - m)|/d_0 of features x, `(k, *sites)`, from those of a training set.

    W W^T = (C + r)^-1 with the mean m and the covariance C of the features of the training set's sites, and
    r = 1e-8 tr(C)/k: the Mahalanobis distance, in units of the one, d_0, that 99 % of these sites stay below.

    What `jaxspin.training.train` keeps with a `BehlerParrinello`, whose `unfamiliarity` is this distance; a record,
    without checks of its own. Sources: see there.

    Example:
        >>> known = js.forcefield.Familiarity(jnp.zeros(2), jnp.eye(2), jnp.asarray(3.0))
        >>> known.distances(jnp.array([[0.0, 6.0], [3.0, 0.0]])).tolist()
        [1.0, 2.0]
    """

    center: Float[Array, " k"]
    whitening: Float[Array, "k k"]
    usual: Float[Array, ""]

    def distances(self, rows: Float[Array, "k *sites"]) -> Float[Array, "*sites"]:
        """d of sites with these features."""
        center, whitening, usual = (x.astype(rows.dtype) for x in (self.center, self.whitening, self.usual))
        apart = einsum("k...,kl->l...", rows - _beside(center, rows), whitening)
        return jnp.sqrt(jnp.sum(apart * apart, axis=0)) / usual

    @staticmethod
    def blank(size: int, dtype: Any) -> "Familiarity":
        """One of `size` features, for the numbers of a file to be put into."""
        return Familiarity(jnp.zeros(size, dtype), jnp.eye(size, dtype=dtype), jnp.ones((), dtype))


def learnt_from(model: Any, spins: Float[Array, "n *cells sublattices 3"]) -> Familiarity:
    """The familiarity of a force field with these configurations, sites without a spin left out.

    Features are computed configuration by configuration, twice: for their covariance, which needs double precision and
    is summed up by the host, then for the distances. No more is kept than those of one configuration, a matrix of
    features squared, and one number a site.
    """
    size, dtype = len(model.mean), model.mean.dtype
    occupied = np.any(to_host(spins) != 0, axis=-1)
    total, squares = np.zeros(size), np.zeros((size, size))
    for configuration, there in zip(spins, occupied, strict=True):
        rows = np.asarray(to_host(_scaled_rows(model, configuration)), float)
        features = rows[:, np.moveaxis(there, -1, 0)]
        total, squares = total + features.sum(axis=1), squares + features @ features.T
    center = total / occupied.sum()
    variances, axes = np.linalg.eigh(squares / occupied.sum() - np.outer(center, center))
    ridge = _RIDGE * max(float(variances.mean()), float(np.finfo(np.float32).tiny))
    # the symmetric root, which no choice of axes changes
    whitening = (axes / np.sqrt(variances.clip(0) + ridge)) @ axes.T
    made = Familiarity(jnp.asarray(center, dtype), jnp.asarray(whitening, dtype), jnp.ones((), dtype))
    distances = np.stack([to_host(distances_of(model, made, configuration)) for configuration in spins])
    # where all sites are alike, any other is infinitely far
    usual = max(float(np.quantile(distances[occupied], QUANTILE)), float(np.finfo(dtype).eps))
    return eqx.tree_at(lambda m: m.usual, made, jnp.asarray(usual, dtype))


@eqx.filter_jit
def distances_of(model: Any, familiarity: Familiarity, spins: Spins) -> Float[Array, "*cells sublattices"]:
    """The distance of every site, 0 at vacancies."""
    found = jnp.moveaxis(familiarity.distances(_scaled_rows(model, spins)), 0, -1)
    return jnp.where(jnp.any(spins != 0, axis=-1), found, 0)


@one_program
def share_beyond(spins: Spins, unfamiliarity: Float[Array, "*cells sublattices"]) -> Float[Array, ""]:
    """The share of the spins where it is above 1; 0 where there are none."""
    occupied = jnp.any(spins != 0, axis=-1)
    beyond = (unfamiliarity > 1) & occupied
    return jnp.sum(beyond).astype(spins.dtype) / jnp.maximum(jnp.sum(occupied), 1).astype(spins.dtype)


@eqx.filter_jit
def _scaled_rows(model: Any, spins: Spins) -> Float[Array, "features sublattices *cells"]:
    """The standardized features, as the network reads them."""
    rows = model.descriptor.rows(spins)
    mean, deviation = (x.astype(rows.dtype) for x in (model.mean, model.deviation))
    return (rows - _beside(mean, rows)) / _beside(deviation, rows)


def _beside(one: Float[Array, " k"], rows: Float[Array, "k *sites"]) -> Array:
    """A number a feature, of as many axes as the rows."""
    return one.reshape(-1, *(1,) * (rows.ndim - 1))


@eqx.filter_jit  # outside a program of its own the loop would compile anew in every training
def standardization(
    descriptor: AbstractDescriptor, spins: Float[Array, "n *cells sublattices 3"]
) -> tuple[Array, Array, Array | None]:
    """Mean and deviation of the features, and the mean of the energy a site that the descriptor knows."""
    features = _features(descriptor, spins)
    sites = tuple(range(features.ndim - 1))
    mean, deviation = jnp.mean(features, axis=sites), jnp.std(features, axis=sites)
    # a feature that never changes, but for rounding, must not be blown up by the division
    vector = np.arange(descriptor.n_features) < descriptor.components
    mean, deviation = jnp.where(vector, 0, mean), jnp.where(vector, 0, deviation)
    largest = jnp.max(deviation)
    rounding = 1e3 * jnp.finfo(mean.dtype).eps * jnp.max(jnp.abs(mean))
    floor = jnp.where(largest > rounding, 1e-3 * largest, 1)
    known = descriptor.known_energy(jnp.moveaxis(features, -1, 0))
    deviation = jnp.where(vector, 1, jnp.maximum(deviation, floor))
    return mean, deviation, None if known is None else jnp.mean(known)


def _features(descriptor: AbstractDescriptor, spins: Float[Array, "n *cells sublattices 3"]) -> Array:
    several = max(1, _SITES_ON_ACCELERATORS // descriptor.lattice.sites)
    return jax.lax.platform_dependent(
        spins,
        cpu=lambda s: jax.lax.map(descriptor, s),
        default=lambda s: jax.lax.map(descriptor, s, batch_size=min(several, len(s))),
    )
