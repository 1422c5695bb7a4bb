"""Whose electrons made a label: filling and temperature of each configuration, NaN where unknown; their couplings."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jaxspin.couplings import real
from jaxspin.devices.hosts import to_host
from jaxspin.electrons import Ensemble, SDModel
from jaxspin.field import AbstractField

Known = Float[Array | np.ndarray, " n"]

# Fillings and temperatures closer than this are one: what single precision and a file may change.
_DIGITS = 6
# Of hoppings that are looked for.
_FAREST_SHELL = 12


def electrons_of_each(
    count: int, dtype: Any, filling: Any, temperature: Any
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Both as `(count,)`, from one number, an array or None; `ValueError` for what no electrons have."""
    found = []
    for name, value, most, remedy in (
        ("filling", filling, 1.0, "it counts electrons per spin-orbital, from 0 to 1 (half filling is 0.5)"),
        ("temperature", temperature, np.inf, "it is 0 or more, in units of the hopping"),
    ):
        given = np.full(count, np.nan) if value is None else to_host(real(value, name))
        if given.shape not in ((), (count,)):
            raise ValueError(f"{name} has shape {given.shape}; give one number, or {count}, one per configuration.")
        each = np.broadcast_to(given, (count,)).astype(dtype)
        wrong = ~(np.isnan(each) | ((each >= 0) & (each <= most) & np.isfinite(each)))
        if wrong.any():
            number = int(np.argmax(wrong))
            raise ValueError(f"the {name} of configuration {number} is {each[number]}; {remedy}.")
        found.append(jax.device_put(each))
    return found[0], found[1]


def electrons_of(field: AbstractField) -> tuple[float | None, float | None]:
    """Filling and temperature of the one electronic solver in a field; None where there is none of fixed filling."""
    found = [solver.ensemble for solver in _solvers(field)]
    if len(found) != 1 or found[0].filling is None:
        return None, None
    return float(np.asarray(found[0].filling)), float(np.asarray(found[0].temperature))


def couplings_of(field: AbstractField) -> dict[str, Any]:
    """Hopping by shell, and coupling, of the one electronic solver in a field, as far as two numbers tell them.

    None for each that differs from site to site or bond to bond, depends on spin, is scaled, or is of another model
    than an `SDModel`. Nothing where the field has no solver, or has several.
    """
    found = _solvers(field)
    if len(found) != 1:
        return {}
    model = getattr(found[0], "model", None)
    if not isinstance(model, SDModel) or _is_scaled(field):
        return {"hopping": None, "coupling": None}
    return {"hopping": _shells(model), "coupling": _written(model.coupling)}


def _shells(model: SDModel) -> tuple[float, ...] | None:
    """t_1, t_2, ... of the shells; None where bonds of a shell differ, or there are others."""
    left = {hop.bond: hop for hop in model.hoppings}
    if len(left) < len(model.hoppings):
        return None
    shells: list[float] = []
    while left and len(shells) < _FAREST_SHELL:
        hops = [left.pop(bond, None) for bond in model.lattice.shell(len(shells) + 1)]
        plain = [0.0 if hop is None else _written(hop.amplitude) if hop.spin is None else None for hop in hops]
        if plain[0] is None or any(t != plain[0] for t in plain):
            return None
        shells.append(plain[0])
    while len(shells) > 1 and shells[-1] == 0:
        shells.pop()
    return None if left or not shells else tuple(shells)


def _written(value: Any) -> float | None:
    """A real number with the digits of its precision, 0.2 and not 0.20000000298; None for an array."""
    number = np.asarray(value)
    return float(str(number)) if number.shape == () and np.isrealobj(number) else None


def _is_scaled(field: Any) -> bool:
    """Whether a factor stands before the solver, or a sum that has it."""
    if hasattr(field, "factor") and hasattr(field, "term"):
        return bool(_solvers(field))
    return any(_is_scaled(part) for part in getattr(field, "terms", ()))


def _solvers(field: Any) -> list[Any]:
    """Those with an ensemble, among the terms of a sum, what is scaled, and the solver of a magnetic cell."""
    if isinstance(getattr(field, "ensemble", None), Ensemble):
        return [field]
    inner = [getattr(field, name) for name in ("term", "solver") if hasattr(field, name)]
    parts = [*getattr(field, "terms", ()), *inner]
    return [solver for part in parts for solver in _solvers(part)]


def sets_of(filling: Known, temperature: Known) -> tuple[Float[np.ndarray, "sets 2"], Int[np.ndarray, " n"]]:
    """The different pairs of filling and temperature, in order, and which of them each configuration has.

    Unknown ones, NaN, are a pair of their own.
    """
    pairs = np.stack([to_host(filling), to_host(temperature)], axis=-1).astype(float)
    # a number, since NaN is unlike itself
    rounded = np.where(np.isnan(pairs), -1.0, np.round(pairs, _DIGITS))
    _, first, number = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    return pairs[first], number.reshape(-1)


def centered(values: Float[np.ndarray, " n"], filling: Known, temperature: Known) -> Float[np.ndarray, " n"]:
    """Less the mean over those of the same electrons, NaN left out of it; as they are where all electrons are alike."""
    pairs, number = sets_of(filling, temperature)
    if len(pairs) < 2:
        return values
    known = np.isfinite(values)
    count = np.maximum(np.bincount(number[known], minlength=len(pairs)), 1)
    means = np.bincount(number[known], values[known], minlength=len(pairs)) / count
    return values - means[number].astype(values.dtype)
