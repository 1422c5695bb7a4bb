"""Training sets of several fillings and temperatures: which force fields can learn them, and in which units."""

from typing import Any, TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxspin.devices.hosts import to_host
from jaxspin.field import AbstractField
from jaxspin.forcefield import BehlerParrinello, Committee, LearntLevels
from jaxspin.training.dataset import SpinData
from jaxspin.training.electrons import sets_of

_Model = TypeVar("_Model", bound=AbstractField)


def fills_levels(model: Any) -> bool:
    """Whether a model has learnt levels, which hold the electrons of a label: a force field of them, or a committee."""
    return isinstance(_levels_of(model), LearntLevels)


def _levels_of(model: Any) -> Any:
    one = model.members if isinstance(model, Committee) else model
    return one.network if isinstance(one, BehlerParrinello) else None


def filled_as(model: Any, filling: Float[Array, ""], temperature: Float[Array, ""]) -> Any:
    """The model with these electrons in its levels, its own where they are NaN; as it is without levels."""
    if not isinstance(model, BehlerParrinello | Committee) or not fills_levels(model):
        return model
    own = _levels_of(model)
    n, t = (
        jnp.where(jnp.isnan(x), jnp.ravel(jnp.asarray(y, x.dtype))[0], x)
        for x, y in ((filling, own.filling), (temperature, own.temperature))
    )
    return model.filled(filling=n, temperature=t)


def told_apart(model: AbstractField, data: SpinData) -> SpinData:
    """The data with all electrons that learnt levels have to be filled with, and none where those are the model's own.

    `ValueError` for labels of different electrons and a model without levels, and for no electrons or no holes.
    """
    known = np.isfinite(to_host(data.filling)) | np.isfinite(to_host(data.temperature))
    if not known.any():
        return data
    if not fills_levels(model):
        pairs, _ = sets_of(to_host(data.filling)[known], to_host(data.temperature)[known])
        if len(pairs) > 1:
            raise ValueError(
                f"the labels are of different electrons ({_listed(pairs)}), which this network cannot tell apart; "
                "train one for each, on data[data.filling == ...], or a network of js.forcefield.LearntLevels; "
                "data.with_electrons() forgets them, for one that averages."
            )
        _check_descriptor(model, pairs)
        return data.with_electrons()
    own = _levels_of(model)
    n, t = (
        np.where(np.isnan(x), np.asarray(y, x.dtype), x)
        for x, y in ((to_host(data.filling), own.filling), (to_host(data.temperature), own.temperature))
    )
    check_filled_in_part(n)
    # not for what single precision makes of a number
    alike = np.allclose(n, own.filling, rtol=0, atol=1e-6) and np.allclose(t, own.temperature, rtol=0, atol=1e-6)
    return data.with_electrons() if alike else data.with_electrons(filling=n, temperature=t)


def _check_descriptor(model: Any, pairs: Float[np.ndarray, "sets 2"]) -> None:
    """`ValueError` where the descriptor was told another filling than that of the labels."""
    one = getattr(model, "members", model)
    told = getattr(getattr(one, "descriptor", None), "filling", None)
    if told is None or isinstance(told, Tracer) or np.isnan(pairs[0, 0]):
        return
    if not np.allclose(np.asarray(told, float), pairs[0, 0], rtol=0, atol=1e-5):
        raise ValueError(
            f"the descriptor was made for a filling of {float(np.ravel(np.asarray(told))[0]):.6g}, the labels are of "
            f"{_listed(pairs)}; make it with filling={pairs[0, 0]:.6g}."
        )


def check_filled_in_part(filling: Float[np.ndarray, " n"]) -> None:
    """`ValueError` for a filling of 0 or 1, where levels have no Fermi level; NaN is none of them."""
    whole = (filling <= 0) | (filling >= 1)
    if whole.any():
        raise ValueError(
            f"configuration {int(np.argmax(whole))} has no electrons or no holes, and so no Fermi level; leave out "
            "fillings of 0 and 1."
        )


def prepared(model: _Model, data: SpinData) -> tuple[_Model, SpinData]:
    """`told_apart`, with electrons that all labels share in the levels of the model once and for all."""
    data = told_apart(model, data)
    pairs, _ = sets_of(data.filling, data.temperature)
    if len(pairs) > 1 or np.isnan(pairs).any():
        return model, data
    filling, temperature = pairs[0]
    network = _levels_of(model).made_for(filling=filling, temperature=temperature)
    return eqx.tree_at(lambda m: m.network, model, network), data.with_electrons()


def references(data: SpinData) -> tuple[float | None, float | None]:
    """(shift, origin) of the energies per site E/N = shift + 2 n origin, by least squares.

    The mean and None where all fillings are alike or unknown; both None without energies.
    """
    known = to_host(data.has_energy)
    per_site = to_host(data.energy)[known] / data.lattice.sites
    if not per_site.size:
        return None, None
    n = to_host(data.filling)[known].astype(float)
    if np.isnan(n).any() or np.ptp(n) < 1e-6:
        return float(per_site.mean()), None
    origin, shift = np.polyfit(2 * n, per_site.astype(float), 1)
    return float(shift), float(origin)


def _listed(pairs: Float[np.ndarray, "sets 2"]) -> str:
    named = [f"n = {n:.6g} at T = {t:.6g}" for n, t in pairs]
    return ", ".join(named if len(named) <= 4 else [*named[:3], f"{len(named) - 3} more"])
