"""Figures of results: spins `(*cells, sublattices, 3)`, maps `(*cells, k)`, structure factors `(*cells,)`.

Every function draws into the axes it is given, or makes a figure of its own, and returns the figure. No
pyplot: no global state, no window, nothing to close. In a notebook a figure that ends a cell shows itself.
"""

from jaxspin.plotting.bands import plot_bands
from jaxspin.plotting.curves import plot_parity, plot_time_series, plot_training
from jaxspin.plotting.maps import plot_map, plot_spins, plot_structure_factor
from jaxspin.plotting.results import plot
from jaxspin.plotting.style import new_figure, save_figure

__all__ = [
    "new_figure",
    "plot",
    "plot_bands",
    "plot_map",
    "plot_parity",
    "plot_spins",
    "plot_structure_factor",
    "plot_time_series",
    "plot_training",
    "save_figure",
]
