"""Pulses of a field h(t), their price, and those that a search has found.

A pulse is its values `(knots, 3)` at even times from 0 to `duration`, with straight lines between; its price is
the integral of h^2. A *shape* is a pulse of any price.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.classical import PiecewiseLinear, ZeemanPulse


def driven(field: js.AbstractField, pulse: jax.Array, duration: float) -> js.AbstractField:
    """The field with the pulse added."""
    for axis, direction in enumerate(np.eye(3)):
        field = field + ZeemanPulse(direction.tolist(), PiecewiseLinear(pulse[:, axis], duration))
    return field


def gaussian(t: np.ndarray, width: float) -> np.ndarray:
    """In the middle of the times, four standard deviations wide."""
    return np.exp(-8 * ((t - t[-1] / 2) / width) ** 2)


def price_of(pulse: jax.Array, duration: float) -> jax.Array:
    """The integral of h^2 of straight lines between knots `(..., knots, 3)`."""
    a, b = pulse[..., :-1, :], pulse[..., 1:, :]
    return jnp.sum(a * a + a * b + b * b, axis=(-2, -1)) * (duration / (pulse.shape[-2] - 1) / 3)


def scaled(shape: jax.Array, price: Any, duration: float) -> jax.Array:
    """The shape with this price."""
    return shape * jnp.sqrt(jnp.asarray(price) / price_of(shape, duration))[..., None, None]


class Found(NamedTuple):
    """What the searches found: the least price of each simple shape, infinite where it switches at none, and the
    shaped pulse with its own."""

    names: list[str]
    shapes: jax.Array
    prices: np.ndarray
    shaped: jax.Array
    price: float

    @property
    def best(self) -> int:
        """The number of the cheapest simple shape."""
        return int(np.argmin(self.prices))

    def pulses(self, duration: float) -> dict[str, jax.Array]:
        """Those that are looked at, by name."""
        simple = self.shapes[self.best]
        return {
            "shaped": scaled(self.shaped, self.price, duration),
            "best simple": scaled(simple, self.prices[self.best], duration),
            "best simple, at the price of the shaped one": scaled(simple, self.price, duration),
        }

    def told(self) -> dict[str, Any]:
        """What a summary says of them first."""
        return {
            "price of the shaped pulse": self.price,
            "price of the best simple pulse": self.prices[self.best],
            "shaped over simple": self.price / self.prices[self.best],
            "best simple pulse": self.names[self.best],
        }


def plot_pulse(ax: Any, pulse: jax.Array, duration: float) -> None:
    """The three components against time."""
    t = np.linspace(0, duration, len(pulse))
    for component, label in zip(np.asarray(pulse).T, ("$h_x$", "$h_y$", "$h_z$"), strict=True):
        ax.plot(t, component, label=label)
