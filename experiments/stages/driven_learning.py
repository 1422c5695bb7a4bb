"""Training of one model on driven channels at several voltages, on features and derivatives that are stored."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import jaxspin as js
from experiments.stages.driven_features import Channels, Stored, members_of, moments_of, rows_of
from jaxspin.descriptors import BetweenLeads
from jaxspin.training.linearized import readers
from jaxspin.training.loop import Carry, fit, updated

Model = js.BehlerParrinello | js.forcefield.GeneralizedPotential


def prepared(model: Model, known: Channels) -> Model:
    """The model in the units of what is stored."""
    conservative = model.conservative if isinstance(model, js.forcefield.GeneralizedPotential) else model
    parts = []
    for lattice, part, chosen in known:
        descriptor = conservative.descriptor.on(lattice)
        assert isinstance(descriptor, BetweenLeads)
        own, lead_rows = jnp.asarray(part.own[chosen]), jnp.asarray(part.lead_rows[chosen])
        rows = np.asarray(rows_of(descriptor, own, lead_rows), float)
        parts.append(rows.reshape(len(rows), -1))
    rows = np.concatenate(parts, axis=1)
    deviation = rows.std(axis=1)
    like = conservative.mean.dtype
    new = eqx.tree_at(
        lambda m: (m.mean, m.deviation, m.scale),
        conservative,
        (
            jnp.asarray(rows.mean(axis=1), like),
            jnp.asarray(np.maximum(deviation, 1e-3 * deviation.max()), like),
            jnp.asarray(np.sqrt(_square(known)), like),
        ),
    )
    return (
        eqx.tree_at(lambda m: m.conservative, model, new)
        if isinstance(model, js.forcefield.GeneralizedPotential)
        else new
    )


def pushes(model: Model, part: Stored) -> Float[Array, "n sites*2"]:
    """The tangential field along the two tangents of every spin."""
    descriptor = model.descriptor
    assert isinstance(descriptor, BetweenLeads)
    own, own_slopes, lead_rows, lead_slopes, _ = (jnp.asarray(x) for x in part)
    places = jnp.asarray(readers(members_of(moments_of(descriptor))))

    def along(of_rows: Callable[[Array], Array]) -> Array:
        def total(own, lead_rows):
            return jnp.sum(of_rows(rows_of(descriptor, own, lead_rows)))

        by_own, by_reach = jax.grad(total, argnums=(0, 1))(own, lead_rows)
        local = jnp.einsum("nsmf,nfs->nsm", own_slopes, by_own).reshape(len(own), -1, 2)
        local = jnp.sum(local[:, places], axis=2).reshape(len(own), -1)
        return -local - jnp.einsum("nfld,nfl->nd", lead_slopes, by_reach)

    if isinstance(model, js.BehlerParrinello):
        return along(model.from_rows)
    turned = along(model.generator_from_rows).reshape(len(own), -1, 2)
    # S x e = f and S x f = -e for the two tangents e and f
    turned = jnp.stack([-turned[..., 1], turned[..., 0]], axis=-1)
    return along(model.conservative.from_rows) + turned.reshape(len(own), -1)


def error(model: Model, known: Channels, chunk: int = 20) -> float:
    """rms error of the tangential field over its rms."""
    off, whole = 0.0, 0.0
    for channel in known:
        on = model.on(channel.lattice)
        for n in range(0, len(channel.rows), chunk):
            part = channel.batch(slice(n, n + chunk))
            off += float(jnp.sum((_pushes(on, part) - part.field) ** 2))
            whole += float(np.sum(part.field.astype(float) ** 2))
    return float(np.sqrt(off / whole))


@eqx.filter_jit
def _pushes(model: Model, part: Stored) -> Array:
    return pushes(model, part)


def learn(
    model: Model, known: Channels, held: Channels, config: js.TrainConfig, *, key: jax.Array, progress: bool = True
) -> tuple[Model, dict[str, np.ndarray]]:
    """The weights of the least error on `held`, and the history. The loss counts every torque alike.

    Every batch takes as many sites from each channel as `config.batch` configurations of the first have.
    """
    model = prepared(model, known)
    weights = eqx.filter(model.network, eqx.is_inexact_array)
    unit = _square(known)
    sizes = [max(1, config.batch * known[0].lattice.sites // channel.lattice.sites) for channel in known]

    def with_weights(w):
        return eqx.tree_at(lambda m: m.network, model, eqx.combine(w, model.network))

    @eqx.filter_jit
    def step(carry: Carry, batch: list[Stored]) -> Carry:
        def mismatch(w):
            learnt = with_weights(w)
            pairs = zip(known, batch, strict=True)
            off = [pushes(learnt.on(channel.lattice), part) - part.field for channel, part in pairs]
            return sum(jnp.sum(x**2) for x in off) * 2 / unit / sum(x.size for x in off)

        return updated(carry, *jax.value_and_grad(mismatch)(carry[0]), config)

    def advance(number: int, carry: Carry) -> Carry:
        batch = []
        for n, (size, channel) in enumerate(zip(sizes, known, strict=True)):
            own_key, there = jax.random.fold_in(jax.random.fold_in(key, number), n), len(channel.rows)
            rows = jax.random.choice(own_key, there, (min(size, there),), replace=False)
            batch.append(channel.batch(np.asarray(rows)))
        return step(carry, batch)

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


def _square(known: Channels) -> float:
    """Mean square of the tangential field of a spin."""
    fields = [channel.known.field[channel.rows] for channel in known]
    return float(2 * sum(np.sum(x.astype(float) ** 2) for x in fields) / sum(x.size for x in fields))
