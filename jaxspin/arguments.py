"""What was given in place of something else, in a few words for a message, and refusals of what is no such thing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

# The longest text of a value that a message repeats.
_LONGEST = 60


def told(value: Any) -> str:
    """A value as a message names it: a lattice by its size, an array by its shape, anything long by its type."""
    if hasattr(value, "cells") and hasattr(value, "basis"):
        return f"the {value.name} lattice {value.cells}"
    if isinstance(value, jax.Array | np.ndarray) and np.ndim(value):
        return f"an array of shape {np.shape(value)}"
    text = repr(value)
    if len(text) <= _LONGEST and "\n" not in text:
        return text
    name = type(value).__name__
    return with_article(name)


def with_article(name: str) -> str:
    """A name of a type with its article, spelt letters as they are spoken: an SDModel, a Lattice."""
    spelt = name[:2].isupper()
    return f"{'an' if name[0] in ('AEFHILMNORSX' if spelt else 'AEIOUaeiou') else 'a'} {name}"


def in_short(text: str) -> Any:
    """What `__pdoc__` of an Equinox module returns for `text` to stand for it, printed alone or in another one."""
    import wadler_lindig

    return wadler_lindig.TextDoc(text)


def check_lattice(value: Any, remedy: str) -> None:
    """Refuse what is no lattice, such as two arguments that were exchanged: raises `TypeError` ending with `remedy`."""
    if not (hasattr(value, "cells") and hasattr(value, "basis")):
        raise TypeError(f"lattice = {told(value)} is no lattice; give one first, {remedy}.")


def check_key(key: Any) -> None:
    """Refuse a seed in place of a key of JAX: raises `TypeError`. None passes."""
    if key is None or isinstance(key, Tracer):
        return
    if isinstance(key, jax.Array | np.ndarray) and (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or (key.dtype == np.uint32 and key.ndim)
    ):
        return
    seed = key if isinstance(key, int | np.integer) else 0
    raise TypeError(f"key = {told(key)} is no key of random numbers; pass key=jax.random.key({seed}).")


def check_field(value: Any, name: str) -> None:
    """Refuse what has no field, such as a model without a solver: raises `TypeError`."""
    if hasattr(value, "field"):
        return
    if hasattr(value, "spectral_bounds"):
        model = type(value).__name__
        raise TypeError(
            f"{name} = {with_article(model)} has no field without a solver; give js.ExactDiagonalization(model, "
            "filling=0.25, temperature=0.1), or js.KernelPolynomial for many sites."
        )
    if hasattr(getattr(value, "model", None), "field"):
        kind = with_article(type(value).__name__)
        raise TypeError(f"{name} = {kind} is what a training returns and has no field; give its model, learnt.model.")
    raise TypeError(f"{name} = {told(value)} is no field; give one, such as js.Exchange(lattice, 1.0).")
