"""What textures are given: directions, frames about an axis, and the dtype of their spins."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Vector = Sequence[float | int] | np.ndarray
Scalar = float | int | Float[Array, ""]


def finish(spins: np.ndarray, dtype: DTypeLike | None) -> Array:
    """The spins as JAX's array of floats."""
    return jnp.asarray(spins, float_dtype(dtype))


def float_dtype(dtype: DTypeLike | None) -> DTypeLike:
    """The dtype of the spins, JAX's own for None; `ValueError` for one that is no float."""
    if dtype is None:
        return jnp.result_type(float)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"spins of dtype {dtype} would be cut to integers or gain imaginary parts; give a float.")
    return dtype


def unit(vector: Vector) -> np.ndarray:
    """The vector at length one; `ValueError` for what is no direction."""
    v = np.asarray(vector, float)
    if v.shape != (3,) or not 0 < np.linalg.norm(v) < np.inf:
        raise ValueError(f"{vector} is not a direction; give three finite components, not all zero.")
    return v / np.linalg.norm(v)


def frame(axis: Vector) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(u, v, n) right-handed with n along `axis`; u is x made perpendicular to it (y if `axis` is x)."""
    n = unit(axis)
    start = np.eye(3)[0] if abs(n[0]) < 0.999 else np.eye(3)[1]
    u = unit(start - n * (n @ start))
    return u, np.cross(n, u), n
