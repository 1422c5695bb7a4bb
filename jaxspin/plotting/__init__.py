"""Figures of results: spins `(*cells, sublattices, 3)`, maps `(*cells, k)`, structure factors `(*cells,)`.

Every function draws into the axes it is given, or makes a figure of its own, and returns the figure. No
pyplot: no global state, no window, nothing to close. In a notebook a figure that ends a cell shows itself.
"""

from jaxspin.plotting.bands import plot_bands
from jaxspin.plotting.colours import direction_colours
from jaxspin.plotting.curves import plot_parity, plot_time_series, plot_training
from jaxspin.plotting.diagrams import plot_phase_diagram, plot_sweep
from jaxspin.plotting.films import animate
from jaxspin.plotting.lattices import plot_lattice
from jaxspin.plotting.maps import plot_map, plot_spins, plot_structure_factor
from jaxspin.plotting.results import plot
from jaxspin.plotting.solid import plot_spins_3d
from jaxspin.plotting.spectra import plot_density_of_states, plot_spectrum
from jaxspin.plotting.style import new_figure, save_figure
from jaxspin.plotting.textures import plot_kymograph, plot_slices, plot_texture

__all__ = [
    "animate",
    "direction_colours",
    "new_figure",
    "plot",
    "plot_bands",
    "plot_density_of_states",
    "plot_kymograph",
    "plot_lattice",
    "plot_map",
    "plot_parity",
    "plot_phase_diagram",
    "plot_slices",
    "plot_spectrum",
    "plot_spins",
    "plot_spins_3d",
    "plot_structure_factor",
    "plot_sweep",
    "plot_texture",
    "plot_time_series",
    "plot_training",
    "save_figure",
]
