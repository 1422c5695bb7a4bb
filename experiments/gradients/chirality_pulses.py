"""Pulses on the tetrahedral order: simple ones of many shapes, and what is shaped from the cheapest of them."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.gradients.chirality_cell import Cell
from experiments.stages.checks import check_counts
from experiments.stages.pulse_search import Search, cheapest_simple, lowered
from experiments.stages.pulses import Found, gaussian
from jaxspin.io import load_or_make

# The perfect order has its four spins along (-1, -1, -1), (-1, 1, 1), (1, -1, 1), (1, 1, -1).
DIRECTIONS = {
    "along a spin": (-1.0, -1.0, -1.0),
    "against a spin": (1.0, 1.0, 1.0),
    "between two spins": (0.0, 0.0, 1.0),
    "along an edge": (1.0, 1.0, 0.0),
    "askew": (1.0, 0.3, -0.5),
}


@dataclasses.dataclass(frozen=True)
class SimplePulses:
    """Rectangular pulses, and Gaussians with or without a carrier."""

    widths: tuple[float, ...] = (10.0, 20.0, 40.0, 80.0)
    """Lengths of rectangular pulses."""
    gaussians: tuple[float, ...] = (40.0, 80.0)
    """Four standard deviations of the Gaussians."""
    frequencies: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0)
    """Of the carriers, in units of the frequency of the twist."""
    prices: tuple[float, float, int] = (2.0, 7.0, 14)
    """Least, largest and number of the prices at which simple pulses are tried first. What switches at one price may
    turn back again at a higher one, so that steps of more than ten percent miss the cheapest."""

    def shapes(self, t: np.ndarray, resonance: float) -> tuple[list[str], jax.Array]:
        """All of them at the times t, with their names."""
        unit = {name: np.array(d) / np.linalg.norm(d) for name, d in DIRECTIONS.items()}
        found: dict[str, np.ndarray] = {}
        for name, direction in unit.items():
            for width in self.widths:
                found[f"rectangular, {width:g} long, {name}"] = (t <= width)[:, None] * direction
            for width in self.gaussians:
                found[f"Gaussian, {width:g} wide, {name}"] = gaussian(t, width)[:, None] * direction
        for width, ratio in itertools.product(self.gaussians, self.frequencies):
            envelope, turn = gaussian(t, width)[:, None], ratio * resonance * (t - t[-1] / 2)[:, None]
            for name in ("along a spin", "between two spins", "along an edge"):
                title = f"linear carrier, {width:g} wide, {name}, {ratio:g} of the twist"
                found[title] = envelope * np.cos(turn) * unit[name]
            for name in ("along a spin", "between two spins"):
                axis = unit[name]
                u = np.cross(axis, unit["along an edge"] if name == "between two spins" else (1.0, -1.0, 0.0))
                u = u / np.linalg.norm(u)
                v = np.cross(axis, u)
                for sense, sign in (("clockwise", -1), ("counter-clockwise", 1)):
                    title = f"rotating carrier, {width:g} wide, {sense} about the axis {name}, {ratio:g} of the twist"
                    found[title] = envelope * (np.cos(turn) * u + sign * np.sin(turn) * v)
        return list(found), jnp.asarray(np.stack(list(found.values())), jnp.result_type(float))


@dataclasses.dataclass(frozen=True)
class Shaping:
    """Pulses shaped from simple ones, at lower and lower prices."""

    begin: int = 2
    """The cheapest simple pulses, each of another kind, from which pulses are shaped."""
    ratio: float = 0.9
    """By which the price is lowered first."""
    tries: int = 6
    """Prices tried from each beginning."""

    def __post_init__(self):
        check_counts(self, "tries", "begin")


def of_kind(names: list[str], prices: np.ndarray) -> dict[str, dict[str, Any]]:
    """The cheapest of each kind, which is the first word of a name."""
    found = {}
    for number in np.argsort(prices, kind="stable"):
        kind = names[number].split(",")[0]
        found.setdefault(kind, {"pulse": names[number], "price": float(prices[number])})
    return found


def searched(
    folder: Path,
    cell: Cell,
    search: Search,
    simple: SimplePulses,
    shaping: Shaping,
    resonance: float,
    *,
    key: jax.Array,
) -> Found:
    """The least prices of the simple shapes, and the cheapest shaped pulse; read back where they are in the folder."""
    names, shapes = simple.shapes(search.times, resonance)
    first, last, number = simple.prices
    grid = np.geomspace(first, last, number)
    prices = load_or_make(folder / "simple.npy", lambda: cheapest_simple(search, cell.final, shapes, grid))
    if not np.isfinite(prices.min()):
        raise ValueError(f"no simple pulse switches at a price up to {last:g}; raise the prices.")
    shaped, price = shapes[int(np.argmin(prices))], float(prices.min())
    kinds = [kind for kind in of_kind(names, prices).values() if np.isfinite(kind["price"])]
    for number, kind in enumerate(kinds[: shaping.begin]):

        def from_simple(kind=kind):
            print(f"from the simple pulse {kind['pulse']}, price {kind['price']:.4g}", flush=True)
            begin = shapes[names.index(kind["pulse"])]
            found, least = lowered(search, cell.slope, begin, kind["price"], shaping.ratio, shaping.tries, key=key)
            return {"shape": np.asarray(found), "price": least}

        kept = load_or_make(folder / f"shaped_{number}.npz", from_simple)
        if float(kept["price"]) < price:
            shaped, price = jnp.asarray(kept["shape"]), float(kept["price"])
    print(f"shaped pulse: price {price:.4g}", flush=True)
    return Found(names, shapes, prices, shaped, price)
