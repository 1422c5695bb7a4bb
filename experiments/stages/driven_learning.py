"""Training of one model on driven channels at several voltages, on features and derivatives that are stored."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from tqdm import tqdm

import jaxspin as js
from jaxspin.descriptors import AbstractDescriptor, BetweenLeads
from jaxspin.spins import tangent, tangent_frame
from jaxspin.training import SpinData
from jaxspin.training.loop import Carry, fit, updated

Model = js.BehlerParrinello | js.GeneralizedPotential


class Stored(NamedTuple):
    """Of n configurations: features, their derivatives along two tangents of every spin, and B along these.

    Rows of places (`NearEnds`) do not move with the spins; `moving` numbers the rows that do.
    """

    rows: Float[np.ndarray, "n features sites"]
    slopes: Float[np.ndarray, "n moving sites directions"]
    field: Float[np.ndarray, "n directions"]
    moving: np.ndarray

    def __getitem__(self, index: Any) -> "Stored":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Stored(self.rows[index], self.slopes[index], self.field[index], self.moving)

    def __len__(self) -> int:
        return len(self.rows)


def stored(descriptor: BetweenLeads, data: SpinData, voltages: Sequence[float], progress: bool = True) -> Stored:
    """The features of every configuration, each at its own voltage, of `LocalMoments` inside `BetweenLeads`."""
    moments, moving = _moments(descriptor)
    members = _numbered(moments)

    @eqx.filter_jit
    def one(spins, field, voltage):
        at = descriptor.at(voltage)
        frames = tangent_frame(spins)
        own, jacobian = moments.own_and_jacobian(spins, frames)
        sites = spins[..., 0].size
        # (sites, member direction, own) -> (own, sites, site of the member, direction)
        local = jnp.moveaxis(jacobian.reshape(sites, members.shape[1], 2, -1), -1, 0)
        place = jnp.arange(sites)[:, None], jnp.asarray(members)
        dense = jnp.zeros((len(local), sites, sites, 2), spins.dtype).at[:, *place].add(local)
        flat = dense.reshape(*own.shape, -1)
        dense = jax.vmap(moments.completed, in_axes=-1, out_axes=-1)(flat).reshape(-1, sites, 2 * sites)
        reach = jax.jacrev(lambda s: jnp.mean(at.reach(s).reshape(5, len(s), -1), axis=-1))(spins)
        along = jnp.einsum("fl...c,...dc->fl...d", reach, frames).reshape(5, len(spins), -1)
        along = jnp.repeat(along, sites // len(spins), axis=1)
        pushed = jnp.einsum("...c,...dc->...d", field, frames).reshape(-1)
        return at.rows(spins).reshape(-1, sites), jnp.concatenate([dense, along]), pushed

    parts = []
    for spins, field, voltage in zip(
        tqdm(data.spins, desc="features", disable=not progress), data.field, voltages, strict=True
    ):
        found = one(spins, field, jnp.asarray(voltage, spins.dtype))
        parts.append([np.asarray(x, np.float32) for x in found])
    rows, slopes, fields = (np.stack(column) for column in zip(*parts, strict=True))
    return Stored(rows, slopes, fields, moving)


def prepared(model: Model, known: Stored) -> Model:
    """The model in the units of what is stored."""
    rows = np.moveaxis(known.rows, 1, 0).reshape(known.rows.shape[1], -1).astype(float)
    deviation = rows.std(axis=1)
    scale = float(np.sqrt(np.mean(np.sum(known.field.reshape(len(known), -1, 2) ** 2, axis=-1))))
    conservative = model.conservative if isinstance(model, js.GeneralizedPotential) else model
    like = conservative.mean.dtype
    new = eqx.tree_at(
        lambda m: (m.mean, m.deviation, m.scale),
        conservative,
        (
            jnp.asarray(rows.mean(axis=1), like),
            jnp.asarray(np.maximum(deviation, 1e-3 * deviation.max()), like),
            jnp.asarray(scale, like),
        ),
    )
    return eqx.tree_at(lambda m: m.conservative, model, new) if isinstance(model, js.GeneralizedPotential) else new


def pushes(model: Model, part: Stored) -> Float[Array, "n directions"]:
    """The tangential field along the two tangents of every spin."""
    rows = jnp.moveaxis(jnp.asarray(part.rows), 1, 0)

    def along(of_rows: Callable[[Array], Array]) -> Array:
        slopes = jax.grad(lambda r: jnp.sum(of_rows(r)))(rows)[jnp.asarray(part.moving)]
        return -jnp.einsum("nfsd,fns->nd", jnp.asarray(part.slopes), slopes)

    if isinstance(model, js.BehlerParrinello):
        return along(model.from_rows)
    turned = along(model._generator.from_rows).reshape(len(part.rows), -1, 2)
    # S x e = f and S x f = -e for the two tangents e and f
    turned = jnp.stack([-turned[..., 1], turned[..., 0]], axis=-1)
    return along(model.conservative.from_rows) + turned.reshape(len(part.rows), -1)


def error(model: Model, known: Stored, chunk: int = 16) -> float:
    """rms error of the tangential field over its rms."""
    off, whole = 0.0, 0.0
    for n in range(0, len(known), chunk):
        part = known[n : n + chunk]
        off += float(jnp.sum((_pushes(model, part) - part.field) ** 2))
        whole += float(np.sum(part.field.astype(float) ** 2))
    return float(np.sqrt(off / whole))


@eqx.filter_jit
def _pushes(model: Model, part: Stored) -> Array:
    return pushes(model, part)


def learn(
    model: Model, known: Stored, held: Stored, config: js.TrainConfig, *, key: jax.Array, progress: bool = True
) -> tuple[Model, dict[str, np.ndarray]]:
    """The weights of the least error on `held`, and the history."""
    model = prepared(model, known)
    weights = eqx.filter(model.network, eqx.is_inexact_array)
    unit = float(np.mean(np.sum(known.field.reshape(len(known), -1, 2) ** 2, axis=-1)))

    def with_weights(w):
        return eqx.tree_at(lambda m: m.network, model, eqx.combine(w, model.network))

    @eqx.filter_jit
    def step(carry: Carry, part: Stored) -> Carry:
        def mismatch(w):
            off = (pushes(with_weights(w), part) - part.field).reshape(len(part.rows), -1, 2)
            return jnp.mean(jnp.sum(off**2, axis=-1)) / unit

        return updated(carry, *jax.value_and_grad(mismatch)(carry[0]), config)

    def advance(number: int, carry: Carry) -> Carry:
        rows = jax.random.choice(jax.random.fold_in(key, number), len(known), (config.batch,), replace=False)
        return step(carry, known[np.asarray(rows)])

    best, history, _ = fit(
        weights,
        advance,
        lambda w: {"torque": error(with_weights(w), held)},
        config,
        columns=("torque",),
        dtype=jnp.float32,
        identity={},
        checkpoint=None,
        progress=progress,
    )
    return with_weights(best), history


def worst_and_best(model: js.AbstractField, data: SpinData) -> np.ndarray:
    """The relative error of each configuration, from the field itself."""
    found = jax.lax.map(model.field, data.spins)
    off = tangent(data.spins, found - data.field)
    axes = tuple(range(1, off.ndim))
    return np.asarray(jnp.sqrt(jnp.sum(off**2, axes) / jnp.sum(tangent(data.spins, data.field) ** 2, axes)))


def _moments(descriptor: AbstractDescriptor) -> tuple[js.LocalMoments, np.ndarray]:
    """The moments inside, and the numbers of the rows that move with the spins."""
    assert isinstance(descriptor, BetweenLeads)
    inner = descriptor.descriptor
    moments = inner.descriptor if isinstance(inner, js.NearEnds) else inner
    assert isinstance(moments, js.LocalMoments)
    return moments, np.r_[np.arange(moments.n_features), np.arange(inner.n_features, descriptor.n_features)]


def _numbered(moments: js.LocalMoments) -> np.ndarray:
    """The site of every member of each cluster; beyond an open edge there is none, and no derivative either."""
    number = np.arange(moments.lattice.sites).reshape(moments.lattice.shape)
    axes = tuple(range(moments.lattice.dimension))
    (recursion,) = moments._recursions
    found = [np.roll(number[..., b], tuple(-n for n in at), axes) for at, b in recursion.cluster.sites]
    return np.moveaxis(np.array(found), 0, -1).reshape(moments.lattice.sites, -1)
