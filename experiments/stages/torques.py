"""How large the torques of a field are, and how much of them another field misses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js


def rms_torque(spins: Any, field: Any) -> float:
    """Root mean square length of the torque of a field."""
    return float(np.sqrt(np.mean(np.sum(np.cross(np.asarray(spins), np.asarray(field)) ** 2, -1))))


def relative_error(field: js.AbstractField, spins: jax.Array, labels: np.ndarray) -> float:
    """rms torque error over rms torque of several configurations, whose exact fields are `labels`."""
    own = jnp.stack([field.field(s) for s in spins])
    return rms_torque(spins, own - labels) / rms_torque(spins, labels)
