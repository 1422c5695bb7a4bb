"""Couplings and vectors that are one for all sites, or one a site."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.arguments import told
from jaxspin.couplings import Numbers, finite_real


def no_lattice(value: Any, name: str, remedy: str) -> None:
    """Refuse a lattice where a term of single sites takes numbers: raises `TypeError` ending with `remedy`."""
    if hasattr(value, "cells") and hasattr(value, "basis"):
        raise TypeError(f"{name} = {told(value)} is no number: the same on every lattice it needs none; type {remedy}.")


def vector(x: Numbers, name: str) -> Array:
    array = finite_real(x, name)
    if array.ndim == 0 or array.shape[-1] != 3:
        raise ValueError(
            f"{name} of shape {array.shape} has no three components; give (3,) or (..., 3), such as (0.0, 0.0, 1.0)."
        )
    return array


def with_moment(applied: Array, moment: Numbers | None) -> Array:
    """m h: what a term keeps, so that the field costs no more."""
    if moment is None:
        return applied
    lengths = finite_real(moment, "moment").astype(applied.dtype)
    if lengths.ndim == 0:
        return lengths * applied
    shape = max(lengths.shape, applied.shape[:-1], key=len)
    # one for each sublattice has the last axis alone
    if any(part not in (shape, shape[-1:], ()) for part in (lengths.shape, applied.shape[:-1])):
        raise ValueError(
            f"moment of shape {lengths.shape} does not fit the applied field {applied.shape}; give one number, one for "
            "each sublattice, or one a site."
        )
    lengths = jnp.broadcast_to(lengths, shape)
    return lengths[..., None] * jnp.broadcast_to(applied, (*shape, 3))


def moments_at(moment: Array, shape: tuple[int, ...]) -> Array:
    """One number as it is, else one a site of `shape`: of one for each sublattice every cell has the same."""
    return jnp.broadcast_to(moment, shape) if moment.ndim == 1 else moment


def check_moments(moment: Any, shape: tuple[int, ...]) -> None:
    """Refuse moments that are neither one number nor one for each sublattice nor one a site: raises `ValueError`."""
    if np.shape(moment) not in ((), shape[-1:], shape):
        raise ValueError(
            f"moment of shape {np.shape(moment)} does not fit the sites {shape}; give one number, or one per site, or "
            f"{shape[-1:]} for one a sublattice."
        )


def check_sites(values: Array | np.ndarray, shape: tuple[int, ...], name: str) -> None:
    if values.shape not in ((), shape):
        raise ValueError(f"{name} of shape {values.shape} does not fit the sites {shape}; give one number, or {shape}.")


def check_uniform_sites(scalars: Sequence[Array], vectors: Sequence[Array]) -> None:
    """`ValueError` where one of these is given site by site, and so belongs to one size of the lattice."""
    if any(x.ndim for x in scalars) or any(x.ndim > 2 for x in vectors):
        raise ValueError("only uniform couplings move to another size of their lattice; build a new term there.")


def at_every_site(vectors: Array, spins: Array, name: str) -> Array:
    if vectors.shape not in ((3,), spins.shape[-2:], spins.shape):
        raise ValueError(
            f"{name} of shape {vectors.shape} does not fit spins of shape {spins.shape}; give (3,), {spins.shape[-2:]} "
            f"for one a sublattice, or {spins.shape}."
        )
    return jnp.broadcast_to(vectors.astype(spins.dtype), spins.shape)
