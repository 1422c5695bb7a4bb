"""The named orders of the triangular lattice as phase diagrams show them."""

import jaxspin as js

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
