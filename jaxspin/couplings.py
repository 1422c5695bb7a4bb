"""The one place where couplings, energies and other settings given as numbers become arrays, and are checked.

Integers become floats, so that there is a derivative with respect to them. Complex numbers are refused where only a
real one has a meaning: no imaginary part is dropped in silence. Everything takes traced values, of which only shape and
dtype are known.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike

from jaxspin.arguments import told
from jaxspin.devices.hosts import looked_at

# What a coupling may be given as: a number, an array, or numbers in brackets.
Numbers = ArrayLike | Sequence[float | int] | Sequence[Sequence[float | int]]


def real(value: Any, name: str = "a coupling") -> Array:
    """A real number or array of them, as floats: JAX's own for integers and Python's numbers; else `ValueError`."""
    array = numeric(value, name)
    if jnp.iscomplexobj(array):
        raise ValueError(f"{name} is complex ({array.dtype}), but has a meaning only as a real number; pass its .real.")
    return array


def numeric(value: Any, name: str = "a coupling") -> Array:
    """As `real`, complex numbers allowed."""
    if isinstance(value, str):
        raise ValueError(f"{name} = {value!r} is no number or array of numbers; give one, without quotes.")
    try:
        if isinstance(value, bool | int | float | np.generic | np.ndarray):
            value = np.asarray(value)  # Python's numbers become strongly typed here, without a program
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        # the reason alone tells a ragged list; of another object it is a page
        ragged = type(value) in (list, tuple)
        why = f" ({error})" if ragged else ""
        raise ValueError(f"{name} = {told(value)} is no number or array of numbers{why}; give one.") from None
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        raise ValueError(f"{name} of dtype {array.dtype} is no number; give floats.")
    if jnp.issubdtype(array.dtype, jnp.inexact):
        # astype where the dtype stays makes a weak type strong, which saves recompilation
        return array.astype(array.dtype) if array.weak_type else array
    return array.astype(jnp.result_type(float))


def finite_real(value: Any, name: str) -> Array:
    """As `real`; `ValueError` for infinities and NaN too."""
    array = real(value, name)
    if not holds(finite, array):
        raise ValueError(f"{name} holds inf or nan; give finite numbers.")
    return array


def scalar(value: Any, name: str) -> Array:
    """One real number, in JAX's own float. `ValueError` for an array: map over it with `jax.vmap`."""
    array = real(value, name)
    if array.ndim:
        raise ValueError(
            f"{name} of shape {array.shape} is not one number; give one, and map over several with jax.vmap, building "
            "the solver inside."
        )
    return array.astype(jnp.result_type(float))


def optional(value: Any, name: str) -> Array | None:
    """As `scalar`, or None for None."""
    return None if value is None else scalar(value, name)


def holds(condition: Callable[[Any], Any], value: Any) -> bool:
    """Whether `condition` holds for all values; True for traced ones, whose values are not known.

    It is a function of a module, such as `positive`, written with operators: it gets NumPy's arrays or JAX's.
    """
    if isinstance(value, Tracer):
        return True
    value = looked_at(value)
    if isinstance(value, np.ndarray):
        return bool(np.all(condition(value)))
    # evaluated even where the caller traces something else
    with jax.ensure_compile_time_eval():
        return bool(_all_hold(condition, value))


@functools.partial(jax.jit, static_argnums=0)
def _all_hold(condition: Callable[[Any], Any], values: Array) -> Array:
    return jnp.all(condition(values))


def positive(x: Any) -> Any:
    """A condition for `holds`: above zero."""
    return x > 0


def not_negative(x: Any) -> Any:
    """A condition for `holds`: zero or more."""
    return x >= 0


def finite(x: Any) -> Any:
    """A condition for `holds`: neither infinite nor NaN."""
    return abs(x) < math.inf


def finite_and_not_negative(x: Any) -> Any:
    """A condition for `holds`: a damping, a temperature."""
    return (x >= 0) & (x < math.inf)


def finite_and_positive(x: Any) -> Any:
    """A condition for `holds`: a moment."""
    return (x > 0) & (x < math.inf)


def at_least(value: float, digits: int = 2) -> str:
    """The value in `digits` digits, rounded up, for messages that name the smallest value allowed."""
    if not (value > 0 and math.isfinite(value)):
        return f"{value:g}"
    unit = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    steps = math.ceil(value / unit * (1 - 1e-12))
    text = f"{steps * unit:.{digits}g}"
    return text if float(text) >= value else f"{(steps + 1) * unit:.{digits}g}"
