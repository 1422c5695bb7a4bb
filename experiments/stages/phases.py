"""The named orders of the triangular lattice as phase diagrams show them."""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

import jaxspin as js
from experiments.stages.figures import PERFECT_CHIRALITY
from jaxspin.observables import high_symmetry_points, scalar_chirality, structure_factor_at

# with the cells along each axis of the magnetic cell
TEXTURES = {
    "ferromagnet": (js.textures.ferromagnet, 2),
    "120 degrees": (js.textures.one_hundred_twenty, 3),
    "stripe": (js.textures.stripe, 2),
    "tetrahedral": (js.textures.tetrahedral, 2),
    "coplanar double-Q": (js.textures.double_q, 2),
}
COLORS = ["#4477aa", "#66ccee", "#228833", "#ee6677", "#ccbb44"]


def check_side(name: str, side: int) -> None:
    """Raise `ValueError` where the setting `name` is a number of cells that some order does not fit."""
    if side < 6 or side % 6:
        raise ValueError(f"{name} = {side} does not hold all magnetic cells; use {6 * max(1, side // 6)}.")


def classified(lattice: js.Lattice, spins: jax.Array) -> tuple[str, dict[str, float], float]:
    """The texture that a state most looks like, or "other"; the shares of S(q) at Gamma, K and the three M; chirality.

    One wave vector, or star of them, must hold half of the weight. At M the participation of the three tells a stripe
    (one) from double-Q (two) and from the tetrahedral state (three), whose chirality is half the perfect one at least.
    """
    points = high_symmetry_points(lattice)
    names = ("Gamma", "K", "K'", "M", "M'", "M''")
    weights = structure_factor_at(lattice, spins, jnp.asarray([points[name] for name in names])) / lattice.sites
    share: dict[str, float] = dict(zip(names, map(float, weights), strict=True))
    chirality = float(jnp.mean(jnp.abs(scalar_chirality(lattice, spins)))) / PERFECT_CHIRALITY
    at_m = np.array([share[name] for name in names[3:]])
    totals = {"ferromagnet": share["Gamma"], "120 degrees": share["K"] + share["K'"], "M": float(at_m.sum())}
    order = max(totals, key=lambda name: totals[name])
    if totals[order] < 0.5:
        return "other", share, chirality
    if order == "M":
        waves = at_m.sum() ** 2 / np.sum(at_m**2)
        three = "tetrahedral" if chirality > 0.5 else "other"
        order = "stripe" if waves < 1.5 else "coplanar double-Q" if waves < 2.5 else three
    return order, share, chirality


def margin(table: np.ndarray) -> np.ndarray:
    """The distance of the lowest energy from the next, first axis the textures."""
    return np.diff(np.sort(table, axis=0)[:2], axis=0)[0]


def draw_lowest(ax: Axes, fillings: np.ndarray, couplings: np.ndarray, table: np.ndarray) -> None:
    """The lowest texture of energies `(textures, couplings, fillings)` as a coloured map.

    White where the next is less than 1e-4 t a site above it.
    """
    names = list(TEXTURES)
    lowest = np.where(margin(table) < 1e-4, "", np.array(names)[table.argmin(axis=0)])
    js.plotting.plot_phase_diagram(fillings, couplings, lowest, names=names, colours=COLORS, ax=ax)
