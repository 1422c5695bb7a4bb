"""The colour of a direction in space: spins `(..., 3)` to red, green, blue and opacity `(..., 4)`, and its legend."""

from typing import TYPE_CHECKING

import numpy as np

from jaxspin.io.store import Numbers
from jaxspin.spins import takes_spins

if TYPE_CHECKING:
    import matplotlib.axes

# Pixels across the legend.
_WHEEL = 161
# Of phases, told apart by eyes that do not tell red from green too (P. Tol's "bright").
PHASES = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#332288", "#ddaa77", "#117733")


@takes_spins(batch=True, host=True)
def direction_colours(spins: Numbers) -> np.ndarray:
    """Hue by the angle of (S_x, S_y), lightness by S_z: `(..., 4)`, red, green, blue and opacity from 0 to 1.

    Spins along +x are red, then counter-clockwise yellow, green, cyan, blue, magenta; +z is white and -z black. Of a
    spin shorter than one, such as an average, the colour is paler, and a vacancy is grey. NaN is transparent. Without a
    unit; lengths above one count as one.

    Raises `ValueError` for an array without three components.

    Source: the colours of micromagnetic programs, as in A. Vansteenkiste et al., AIP Adv. 4, 107133 (2014),
    10.1063/1.4899186.

    Example:
        >>> js.plotting.direction_colours([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).tolist()
        [[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    """
    values = np.asarray(spins, np.float64)
    if values.ndim == 0 or values.shape[-1] != 3:
        raise ValueError(f"spins of shape {values.shape} have no three components; give an array of shape (..., 3).")
    known = np.isfinite(values).all(axis=-1)
    x, y, z = np.moveaxis(np.where(np.expand_dims(known, -1), values, 0.0), -1, 0)
    length = np.clip(np.sqrt(x * x + y * y + z * z), 0, 1)
    lightness = np.clip((1 + z) / 2, 0, 1)
    chroma = (1 - np.abs(2 * lightness - 1)) * length
    sector = np.mod(np.arctan2(y, x) / (2 * np.pi), 1) * 6
    # each colour is full within two sixths of the circle about its own direction, and falls over one sixth
    shares = [np.clip(2 - np.abs(np.mod(sector - own + 3, 6) - 3), 0, 1) for own in (0, 2, 4)]
    parts = [lightness + chroma * (share - 0.5) for share in shares]
    return np.stack([*(np.clip(part, 0, 1) for part in parts), known.astype(float)], axis=-1)


def add_wheel(axes: "list[matplotlib.axes.Axes]") -> None:
    """The legend of `direction_colours` beside `axes`: S_x to the right, S_y up, +z in the middle and -z at the rim."""
    from matplotlib.colorbar import make_axes

    # room is made as for a scale of colours, which the layout knows
    wheel, _ = make_axes(
        axes, location="right", fraction=0.2 / len(axes), pad=0.02, shrink=0.5, aspect=1, anchor=(0.0, 0.95)
    )
    line = np.linspace(-1.02, 1.02, _WHEEL)
    x, y = np.meshgrid(line, line)
    radius = np.hypot(x, y)
    polar = np.pi * np.minimum(radius, 1)
    around = np.arctan2(y, x)
    spins = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    spins[radius > 1] = np.nan
    wheel.imshow(direction_colours(spins), extent=(-1.02, 1.02, -1.02, 1.02), origin="lower", interpolation="bilinear")
    wheel.set(xlim=(-1.05, 1.95), ylim=(-1.35, 1.65), aspect="equal", anchor="NW")
    wheel.axis("off")
    small = {"fontsize": 8, "ha": "center", "va": "center"}
    wheel.text(1.5, 0, "$S_x$", **small)
    wheel.text(0, 1.38, "$S_y$", **small)
    wheel.text(0, 0, "$+z$", color="0.25", fontsize=6.5, ha="center", va="center")
    wheel.text(0.8, -0.95, "$-z$", color="0.25", fontsize=6.5, ha="left", va="center")
