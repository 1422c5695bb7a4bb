"""Every public observable of spins or of a scalar, called again with new values, compiles nothing."""

import jax
import jax.numpy as jnp

import jaxspin as js
from jaxspin import observables as ob
from jaxspin.textures import ferromagnet
from tests.helpers import counting_compilations

# Of static tables, of solvers of electrons (tests of their own), what plots call, fits in NumPy.
ELSEWHERE = {
    "Autocorrelation",
    "Reweighted",
    "Thermodynamics",
    "autocorrelation",
    "partial_density_of_states",
    "reweighted",
    "thermodynamics",
    "DistanceShells",
    "ExchangeCouplings",
    "ExchangeTensors",
    "by_distance",
    "Growth",
    "Puddles",
    "Spectrum",
    "SpinWaves",
    "bond_currents",
    "conductivity",
    "density_of_states",
    "displacements",
    "exchange_couplings",
    "exchange_tensors",
    "electron_density",
    "elementary_triangles",
    "fit_growth",
    "high_symmetry_points",
    "local_chern_marker",
    "local_density_of_states",
    "magnetic_moments",
    "spin_polarization",
    "triangulation",
    "velocity",
    "wavevectors",
}


def test_every_observable_compiles_once(key):
    plane, line = js.square(4), js.chain(4, periodic=False)
    ring = js.chain(2)
    axes = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
    given = []
    for n, axis in enumerate(axes):
        spins, along, frames = (
            js.random_spins(lattice, key=jax.random.fold_in(key, n)) for lattice in (plane, line, js.square(4))
        )
        given.append(
            (
                js.Exchange(ring, 1.0 + n),
                ferromagnet(ring, axis),
                spins,
                along,
                jnp.stack([frames] * 4),
                spins[..., 0, n],
                jnp.arange(4.0) * (n + 1),
            )
        )

    def calls(potential, ordered, spins, along, frames, values, times):
        yield "magnetization", lambda: ob.magnetization(spins)
        yield "sublattice_magnetization", lambda: ob.sublattice_magnetization(plane, spins, (2, 2))
        for name in (
            "nearest_neighbor_correlations",
            "structure_factor",
            "correlation_function",
            "correlation_length",
            "scalar_chirality",
            "vector_chirality",
            "charge_density",
            "topological_charge",
            "site_correlations",
            "puddles",
        ):
            yield name, lambda name=name: getattr(ob, name)(plane, spins)
        for name in (
            "texture_center",
            "decay_length",
            "domain_length",
            "domain_labels",
            "domain_sizes",
            "moment_length",
        ):
            yield name, lambda name=name: getattr(ob, name)(plane, values)
        yield "correlation_of_holes", lambda: ob.correlation_of_holes(plane, spins, values[..., None])
        yield "structure_factor_at", lambda: ob.structure_factor_at(plane, spins, times[:2][None])
        yield "dynamical_structure_factor", lambda: ob.dynamical_structure_factor(plane, frames, 0.5)
        for name in ("spin_glass_susceptibility", "spin_glass_structure_factor", "two_time_correlation"):
            yield name, lambda name=name: getattr(ob, name)(plane, frames)
        yield "replica_overlap", lambda: ob.replica_overlap(spins, -spins)
        yield "wall_position", lambda: ob.wall_position(line, along)
        yield "wall_velocity", lambda: ob.wall_velocity(times, values[0])
        for name in ("tangent_hessian", "spin_waves", "spin_wave_frequencies"):
            yield name, lambda name=name: getattr(ob, name)(potential, ordered)
        yield "texture_path", lambda: ob.texture_path(plane, frames[:, 0, 0, 0, :2])
        yield "texture_velocity", lambda: ob.texture_velocity(plane, times, frames[:, 0, 0, 0, :2])
        yield "effective_exchange", lambda: ob.effective_exchange(ring, ob.tangent_hessian(potential, ordered), ordered)
        directions = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
        pairs = ob.ExchangeCouplings.of_pairs(js.cubic(4), [(0, 0, r, times[1]) for r in directions], moments=[2.0])
        yield "magnon_energies", lambda: ob.magnon_energies(pairs, 0.1 * times[None, 1:])
        for name in ("spin_wave_stiffness", "mean_field_temperature", "random_phase_temperature"):
            yield name, lambda name=name: getattr(ob, name)(pairs)
        for name in ("field_jacobian", "curl_fraction", "unreachable_fraction"):
            yield name, lambda name=name: getattr(ob, name)(potential, ordered)

    first, second = (dict(calls(*values)) for values in given)
    assert set(first) | ELSEWHERE == set(ob.__all__)
    again = {}
    for name, call in first.items():
        jax.block_until_ready(call())
        with counting_compilations() as compiled:
            jax.block_until_ready(second[name]())
        if compiled:
            again[name] = compiled
    assert again == {}
