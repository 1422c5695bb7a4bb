"""Couplings and vectors that are one for all sites, or one a site."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.couplings import Numbers, finite_real


def vector(x: Numbers, name: str) -> Array:
    array = finite_real(x, name)
    if array.ndim == 0 or array.shape[-1] != 3:
        raise ValueError(f"{name} of shape {array.shape} has no three components; give (3,) or (..., 3).")
    return array


def with_moment(applied: Array, moment: Numbers | None) -> Array:
    """m h: what a term keeps, so that the field costs no more."""
    if moment is None:
        return applied
    lengths = finite_real(moment, "moment").astype(applied.dtype)
    if lengths.ndim == 0:
        return lengths * applied
    applied = jnp.broadcast_to(applied, (*lengths.shape, 3)) if applied.ndim == 1 else applied
    if applied.shape[:-1] != lengths.shape:
        raise ValueError(
            f"moment of shape {lengths.shape} does not fit the applied field {applied.shape}; give one number, or one "
            "a site."
        )
    return lengths[..., None] * applied


def check_sites(values: Array | np.ndarray, shape: tuple[int, ...], name: str) -> None:
    if values.shape not in ((), shape):
        raise ValueError(f"{name} of shape {values.shape} does not fit the sites {shape}; give one number, or {shape}.")


def check_uniform_sites(scalars: Sequence[Array], vectors: Sequence[Array]) -> None:
    """`ValueError` where one of these is given site by site, and so belongs to one size of the lattice."""
    if any(x.ndim for x in scalars) or any(x.ndim > 1 for x in vectors):
        raise ValueError("only uniform couplings move to another size of their lattice; build a new term there.")


def at_every_site(vectors: Array, spins: Array, name: str) -> Array:
    if vectors.shape not in ((3,), spins.shape):
        raise ValueError(
            f"{name} of shape {vectors.shape} does not fit spins of shape {spins.shape}; give (3,) or {spins.shape}."
        )
    return jnp.broadcast_to(vectors.astype(spins.dtype), spins.shape)
