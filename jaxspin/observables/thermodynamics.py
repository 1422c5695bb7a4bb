"""Electrons at many temperatures and fillings from one spectrum: one diagonalization, or one set of moments."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.couplings import Numbers, finite_and_positive, holds, real
from jaxspin.electrons import (
    BlochDiagonalization,
    Ensemble,
    ExactDiagonalization,
    KernelPolynomial,
    bloch_levels,
    fermi,
)
from jaxspin.electrons.chebyshev import filling_error, order_for
from jaxspin.field import Spins
from jaxspin.spins import takes_spins


class Thermodynamics(eqx.Module):
    """What `thermodynamics` returns, each of the shape of temperatures and filling (or chemical potential) together.

    Of the whole lattice, in units of the hopping (entropy and heat capacity: of k_B).

    - `temperature`, `chemical_potential`, `electrons` N_e.
    - `grand_potential` Omega, `free_energy` F = Omega + mu N_e = U - T S.
    - `energy` U = sum_k e_k f_k, without the -mu N_e; `entropy` S.
    - `heat_capacity`: dU/dT at fixed N_e, or at fixed mu d(U - mu N_e)/dT, whichever was given.

    A record, without checks of its own.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> found = js.observables.thermodynamics(solver, spins, [0.1, 0.2])
        >>> bool(jnp.allclose(found.free_energy, found.energy - found.temperature * found.entropy, atol=1e-3))
        True
    """

    temperature: Float[Array, "*n"]
    chemical_potential: Float[Array, "*n"]
    electrons: Float[Array, "*n"]
    grand_potential: Float[Array, "*n"]
    free_energy: Float[Array, "*n"]
    energy: Float[Array, "*n"]
    entropy: Float[Array, "*n"]
    heat_capacity: Float[Array, "*n"]


@takes_spins(half=False, unit=True)
def thermodynamics(
    solver: ExactDiagonalization | BlochDiagonalization | KernelPolynomial,
    spins: Spins,
    temperatures: Numbers,
    *,
    filling: Numbers | None = None,
    chemical_potential: Numbers | None = None,
    key: PRNGKeyArray | None = None,
) -> Thermodynamics:
    """Energies, entropy, heat capacity and mu of the electrons at frozen `spins`, at many `temperatures`.

    One spectrum serves all: the levels, or of kernel polynomials one set of moments, whose quadrature gives
    Tr g(H) = sum_k w_k g(e_k). `filling` or `chemical_potential` are those of the solver unless one is given; numbers
    or arrays that broadcast with `temperatures`, `filling=jnp.linspace(0.1, 0.9, 50)[:, None]` for all pairs.

    F equals `solver.energy` of a solver built at each of them, up to the accuracy of its moments. `key` is that of the
    probes of kernel polynomials. Of a `BlochDiagonalization` the numbers are those of one cell.

    Raises `ValueError` for temperatures that are not positive, for both filling and chemical potential, and for kernel
    polynomials with too few moments for the lowest temperature: build the solver with temperature=<the lowest>.

    Source: Weisse et al., Rev. Mod. Phys. 78, 275 (2006), 10.1103/RevModPhys.78.275, section III.B.

    Example:
        >>> model = js.SDModel(lattice, coupling=2.0)
        >>> solver = js.KernelPolynomial(model, filling=0.25, temperature=0.1, probes=js.electrons.ExactTrace())
        >>> found = js.observables.thermodynamics(solver, spins, [0.1, 0.2, 0.4])
        >>> bool(jnp.all(jnp.diff(found.entropy) > 0)), found.heat_capacity.shape
        (True, (3,))
    """
    if filling is not None and chemical_potential is not None:
        raise ValueError("filling and chemical_potential were both given; leave one out.")
    base = solver.solver if isinstance(solver, BlochDiagonalization) else solver
    t = real(temperatures, "temperatures").astype(spins.dtype)
    if not holds(finite_and_positive, t):
        raise ValueError(f"temperatures must be positive, got {temperatures}; 0.001 is cold for most bands.")
    if filling is None and chemical_potential is None:
        filling, chemical_potential = base.filling, base.chemical_potential
    name = "chemical_potential" if filling is None else "filling"
    given = real(chemical_potential if filling is None else filling, name).astype(spins.dtype)
    if filling is not None and not holds(_is_filling, given):
        raise ValueError("filling is N_e/(2N), between 0 and 1 (half filling is 0.5); rescale it.")
    if isinstance(solver, KernelPolynomial):
        _check_order(solver, t)
    return _at_all(solver, spins, t, given, key, name)


def _is_filling(x: Any) -> Any:
    return (x > 0) & (x < 1)


def _check_order(solver: KernelPolynomial, temperatures: Array) -> None:
    low, high = solver.window
    if any(isinstance(x, Tracer) for x in (temperatures, low, high)):
        return
    lowest = float(np.min(np.asarray(temperatures)))
    # single precision rounds a temperature that is the solver's own
    if order_for(1.0001 * lowest, float(high - low) / 2, solver.tolerance) > solver.order:
        raise ValueError(
            f"{solver.order} moments are too few for temperatures down to {lowest:g}; build "
            f"KernelPolynomial(..., temperature={lowest:g})."
        )


@eqx.filter_jit
def _at_all(solver, spins, temperatures, given, key, name):
    if isinstance(solver, KernelPolynomial):
        levels, weights = solver.spectrum(spins, key=key)
        count = jnp.asarray(solver.model.orbitals(), levels.dtype)
        noise = solver.probes.filling_error(solver.model.orbital_lattice)
    elif isinstance(solver, BlochDiagonalization):
        levels = bloch_levels(solver.solver.model, spins, solver.points)
        weights = jnp.full_like(levels, 1 / solver.points**solver.lattice.dimension)
        count, noise = jnp.asarray(solver.solver.model.orbitals(), levels.dtype), 0.0
    else:
        levels = solver.levels(spins)
        count, noise = jnp.asarray(solver.model.orbitals(), levels.dtype), 0.0
        weights = (jnp.arange(levels.shape[0]) < jnp.asarray(solver.model.orbitals())).astype(levels.dtype)

    def at(temperature, value):
        resolution = None
        if isinstance(solver, KernelPolynomial):
            halfwidth = solver.scaling()[1].astype(levels.dtype)
            resolution = count * (filling_error(solver.order, temperature, halfwidth) + noise)
        ensemble = Ensemble(**{name: value}, temperature=temperature)

        def state(t):
            """mu, N_e, and U or U - mu N_e, whichever the heat comes from."""
            mu = eqx.tree_at(lambda e: e.temperature, ensemble, t).fermi_level(levels, weights, count, resolution)
            heat = jnp.sum(weights * levels * fermi.occupation(levels, mu, t))
            number = fermi.electrons(levels, weights, mu, t)
            return heat - (0 if ensemble.fixed_filling else mu * number), (mu, number, heat)

        (_, (mu, number, heat)), (capacity, _) = jax.jvp(state, (temperature,), (jnp.ones_like(temperature),))
        omega = fermi.grand_potential(levels, weights, mu, temperature)
        electrons = ensemble.constraint(count) if ensemble.fixed_filling else number
        entropy = fermi.entropy(levels, weights, mu, temperature)
        return Thermodynamics(temperature, mu, electrons, omega, omega + mu * electrons, heat, entropy, capacity)

    shape = jnp.broadcast_shapes(temperatures.shape, given.shape)
    rows = (jnp.broadcast_to(x, shape).reshape(-1) for x in (temperatures, given))
    found = jax.lax.map(lambda pair: at(*pair), tuple(rows))
    return jax.tree.map(lambda x: x.reshape(shape), found)
