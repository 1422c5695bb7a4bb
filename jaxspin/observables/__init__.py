"""What is measured on spins: order, correlations, topology, domains."""

from jaxspin.observables.autocorrelation import Autocorrelation, autocorrelation
from jaxspin.observables.curl import curl_fraction, field_jacobian, unreachable_fraction
from jaxspin.observables.distances import DistanceShells, by_distance
from jaxspin.observables.domains import decay_length, domain_labels, domain_length, domain_sizes, moment_length
from jaxspin.observables.dynamical import Spectrum, dynamical_structure_factor
from jaxspin.observables.electronic import (
    density_of_states,
    electron_density,
    local_density_of_states,
    magnetic_moments,
    spin_polarization,
)
from jaxspin.observables.electronic_exchange import exchange_couplings
from jaxspin.observables.electronic_tensors import exchange_tensors
from jaxspin.observables.exchange_couplings import ExchangeCouplings
from jaxspin.observables.exchange_tensors import ExchangeTensors
from jaxspin.observables.glass import (
    replica_overlap,
    spin_glass_structure_factor,
    spin_glass_susceptibility,
    two_time_correlation,
)
from jaxspin.observables.growth import Growth, fit_growth
from jaxspin.observables.magnetization import (
    magnetization,
    nearest_neighbor_correlations,
    sublattice_magnetization,
)
from jaxspin.observables.magnons import magnon_energies, spin_wave_stiffness
from jaxspin.observables.motion import texture_path, texture_velocity
from jaxspin.observables.ordering_temperature import mean_field_temperature, random_phase_temperature
from jaxspin.observables.partial_densities import partial_density_of_states
from jaxspin.observables.puddles import Puddles, correlation_of_holes, puddles, site_correlations
from jaxspin.observables.reweighting import Reweighted, reweighted
from jaxspin.observables.spin_waves import (
    SpinWaves,
    effective_exchange,
    spin_wave_frequencies,
    spin_waves,
    tangent_hessian,
)
from jaxspin.observables.structure_factor import (
    correlation_function,
    correlation_length,
    displacements,
    high_symmetry_points,
    structure_factor,
    structure_factor_at,
    wavevectors,
)
from jaxspin.observables.thermodynamics import Thermodynamics, thermodynamics
from jaxspin.observables.topology import (
    charge_density,
    scalar_chirality,
    texture_center,
    topological_charge,
    vector_chirality,
)
from jaxspin.observables.transport import bond_currents, conductivity, local_chern_marker
from jaxspin.observables.triangles import elementary_triangles, triangulation
from jaxspin.observables.velocities import velocity
from jaxspin.observables.walls import wall_position, wall_velocity

__all__ = [
    "Autocorrelation",
    "DistanceShells",
    "ExchangeCouplings",
    "ExchangeTensors",
    "Growth",
    "Puddles",
    "Reweighted",
    "Spectrum",
    "SpinWaves",
    "Thermodynamics",
    "autocorrelation",
    "bond_currents",
    "by_distance",
    "charge_density",
    "conductivity",
    "correlation_function",
    "correlation_length",
    "correlation_of_holes",
    "curl_fraction",
    "decay_length",
    "density_of_states",
    "displacements",
    "domain_labels",
    "domain_length",
    "domain_sizes",
    "dynamical_structure_factor",
    "effective_exchange",
    "electron_density",
    "elementary_triangles",
    "exchange_couplings",
    "exchange_tensors",
    "field_jacobian",
    "fit_growth",
    "high_symmetry_points",
    "local_chern_marker",
    "local_density_of_states",
    "magnetic_moments",
    "magnetization",
    "magnon_energies",
    "mean_field_temperature",
    "moment_length",
    "nearest_neighbor_correlations",
    "partial_density_of_states",
    "puddles",
    "random_phase_temperature",
    "replica_overlap",
    "reweighted",
    "scalar_chirality",
    "site_correlations",
    "spin_glass_structure_factor",
    "spin_glass_susceptibility",
    "spin_polarization",
    "spin_wave_frequencies",
    "spin_wave_stiffness",
    "spin_waves",
    "structure_factor",
    "structure_factor_at",
    "sublattice_magnetization",
    "tangent_hessian",
    "texture_center",
    "texture_path",
    "texture_velocity",
    "thermodynamics",
    "topological_charge",
    "triangulation",
    "two_time_correlation",
    "unreachable_fraction",
    "vector_chirality",
    "velocity",
    "wall_position",
    "wall_velocity",
    "wavevectors",
]
