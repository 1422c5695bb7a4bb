"""The search for the cheapest pulse that switches a magnet, among simple shapes and shaped by gradients."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.stages.checks import check_counts, check_positive
from experiments.stages.pulses import scaled

# The order at the end of one pulse and its derivative; the orders at the end of many pulses.
Slope = Callable[[jax.Array], tuple[jax.Array, jax.Array]]
Final = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Search:
    """Which pulses are looked for, and how."""

    duration: float = 100.0
    """Time within which a pulse acts."""
    knots: int = 81
    """Points of a shaped pulse, straight lines between them."""
    below: float = -0.1
    """The order after a pulse that counts as switched."""
    iterations: int = 250
    """Steps of Adam at each price."""
    rate: float = 0.03
    """Of Adam, in units of the shape's rms."""
    noise: float = 0.05
    """Standard deviation of the noise that leaves symmetric shapes, in the same units."""
    bisections: int = 8
    """Halvings of the range of prices, on a logarithmic scale."""

    def __post_init__(self):
        if self.knots < 5:
            raise ValueError(f"a pulse needs five knots, got {self.knots}; see --help for the default.")
        check_counts(self, "iterations", "bisections")
        check_positive(self, "duration", "rate")

    @property
    def times(self) -> np.ndarray:
        """Of the knots."""
        return np.linspace(0, self.duration, self.knots)


def cheapest_simple(search: Search, final: Final, shapes: jax.Array, grid: np.ndarray) -> np.ndarray:
    """The least price at which each switches: on a grid of prices, then by bisection; infinite where none does."""
    low, high = np.full(len(shapes), np.inf), np.full(len(shapes), np.inf)

    def switch(prices):
        pulses = scaled(shapes, jnp.asarray(prices, shapes.dtype), search.duration)
        return np.asarray(final(pulses)) < search.below

    for number, price in enumerate(grid):
        done = switch(np.full(len(shapes), price))
        first = done & np.isinf(high)
        high[first], low[first] = price, grid[max(0, number - 1)]
    for _ in range(search.bisections):
        middle = np.sqrt(low * high)
        done = switch(np.where(np.isfinite(middle), middle, 1.0))
        high, low = np.where(done, middle, high), np.where(done, low, middle)
    return high


def cheapest_shaped(
    search: Search, slope: Slope, shape: jax.Array, low: float, high: float, *, key: jax.Array
) -> tuple[jax.Array, float]:
    """Shape and price by bisection from a shape that switches at the price `high`; `low` is too little for any."""
    best = shape
    for number in range(search.bisections):
        middle = float(np.sqrt(low * high))
        done, found = improved(search, slope, best, middle, jax.random.fold_in(key, number))
        print(f"price {middle:.4g}: {'switched' if done else 'not switched'}", flush=True)
        if done:
            best, high = found, middle
        else:
            low = middle
    return best, high


def lowered(
    search: Search, slope: Slope, shape: jax.Array, price: float, ratio: float, tries: int, *, key: jax.Array
) -> tuple[jax.Array, float]:
    """Shape and price from a shape that switches at `price`: the price times `ratio` is tried next, and where the
    search fails there, a ratio half as far from 1 (on a logarithmic scale).

    Of use where only the neighbourhood of what switches has a slope to speak of: bisection would leave it.
    """
    for number in range(tries):
        done, found = improved(search, slope, shape, price * ratio, jax.random.fold_in(key, number))
        print(f"price {price * ratio:.4g}: {'switched' if done else 'not switched'}", flush=True)
        if done:
            shape, price = found, price * ratio
        else:
            ratio = ratio**0.5
    return shape, price


def improved(search: Search, slope: Slope, shape: jax.Array, price: float, key: jax.Array) -> tuple[bool, jax.Array]:
    """Adam on the knots at a fixed price, until the magnet switches; a little noise first, off symmetric shapes."""
    shape = shape / jnp.sqrt(jnp.mean(shape**2))
    shape = shape + search.noise * jax.random.normal(key, shape.shape, shape.dtype)
    optimizer = optax.adam(search.rate)
    state = optimizer.init(shape)

    @jax.jit
    def forward(shape):
        return scaled(shape, price, search.duration)

    for _ in range(search.iterations):
        pulse, back = jax.vjp(forward, shape)
        value, by_pulse = slope(pulse)
        if value < search.below:
            return True, shape
        updates, state = optimizer.update(back(by_pulse)[0], state)
        shape = jnp.asarray(optax.apply_updates(shape, updates))
    return False, shape
