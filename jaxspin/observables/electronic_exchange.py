"""Exchange from the electrons of a crystal: second derivatives of the grand potential by the angles of the spins.

With H = H_0 - sum_i S_i . sigma V_i a rotation of two spins of a collinear state without spin-orbit coupling costs
d^2 Omega/(dx_i dx_j) = 2 T sum_n Re Tr V_i G_up(i w_n) V_j G_down(i w_n).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.arrays.precision import matmul
from jaxspin.electrons.bloch import BlochDiagonalization
from jaxspin.field import AbstractPotential, Spins
from jaxspin.observables.exchange_couplings import ExchangeCouplings
from jaxspin.observables.force_theorem import (
    as_crystal,
    between_sites,
    frequencies_of,
    half_splitting,
    mesh_of,
    repeated,
    resolved,
    seen_back,
    sites_of,
    spin_blocks,
    traces,
)
from jaxspin.spins import takes_spins


@takes_spins(half=False, unit=True)
def exchange_couplings(
    electrons: AbstractPotential, spins: Spins, *, onsite: bool = False, frequencies: int = 64
) -> ExchangeCouplings:
    """J_ij = - 1/2 d^2 Omega/(de_i de_j), perpendicular to a collinear texture, between all sites: the force theorem.

    J_ij = - T sum_n Re Tr V_i G_up,ij(i w_n) V_j G_down,ji(i w_n), over all Matsubara frequencies, for E =
    - sum_(i != j) J_ij e_i . e_j; `spins` `(*cells, sublattices, 3)` of the magnetic cell are along z or against it. R
    runs over the mesh of `electrons.points`^d cells, and J is exactly that of the lattice repeated so often; the time
    is of order N_k log N_k. At fixed filling mu does not move with transverse angles, so that F and Omega have the same
    J.

    Nothing warns of a mesh that is too coarse for a Fermi surface: for the iron of `js.io.example` ordering
    temperatures by `random_phase_temperature` are 764, 975 and 1038 K for `points` 8, 12 and 16. Compare two meshes.

    The moments are those of the model's electrons. In `SDModel` these are the conduction electrons alone: a spin wave
    carries the local spins, too. Give the whole moments m in mu_B before `magnon_energies` and `spin_wave_stiffness`,
    `exchange = eqx.tree_at(lambda e: e.moments, exchange, jnp.array([2.0]))`, or in `ExchangeCouplings(..., moments=)`.

    - `onsite`: the spins turn the splitting on their own atom alone, as in published LKAG codes; hoppings that are
      split remain in G. Otherwise everything is turned that H turns: a rotation of all spins together costs nothing.
    - `frequencies`: of the quadrature of the Matsubara sum; it takes about sqrt(band width/temperature).

    Differentiable by everything: hoppings, splittings, filling, mu, temperature.

    Raises `ValueError` for spins that do not fit, and for spins that are traced (in `jit` close over them); when it
    runs for a texture that is not along z, for spin-orbit coupling, and for too few `frequencies`. `TypeError` for
    electrons that are no `BlochDiagonalization`, which has the magnetic cell and its wavevectors. With spin-orbit
    coupling take `exchange_tensors`; for other textures of few sites there is `tangent_hessian`.

    Source: A. I. Liechtenstein, M. I. Katsnelson, V. P. Antropov and V. A. Gubanov, J. Magn. Magn. Mater. 67, 65
    (1987), doi:10.1016/0304-8853(87)90721-9, eq. 19.

    Example:
        >>> cell = js.square(1)
        >>> solver = js.ExactDiagonalization(js.SDModel(cell, coupling=3.0), filling=0.2, temperature=0.1)
        >>> electrons = js.electrons.BlochDiagonalization(solver, points=6)
        >>> found = js.observables.exchange_couplings(electrons, js.textures.ferromagnet(cell))
        >>> round(float(found.between(0, 0, (1, 0))), 4), found.couplings.shape
        (0.0287, (6, 6, 1, 1))
    """
    crystal = as_crystal(electrons, spins)
    signs = np.sign(np.asarray(spins)[..., 2]).reshape(-1).astype(int)
    if not signs.all():
        raise ValueError("a spin has no component along z, or there is a vacancy; turn the texture along z.")
    couplings, moments, mixed, missed = _found(crystal, spins, onsite, frequencies)
    couplings = eqx.error_if(
        couplings,
        mixed,
        "H mixes the spins along z, by a texture that is not along z or by spin-orbit coupling; turn the spins, or use "
        "exchange_tensors.",
    )
    couplings = resolved(couplings, missed)
    lattice = repeated(crystal.lattice, crystal.points)
    return ExchangeCouplings(
        lattice, couplings, signs=signs.tolist(), moments=jnp.asarray(signs, moments.dtype) * moments
    )


@eqx.filter_jit
def _found(
    electrons: BlochDiagonalization, spins: Spins, onsite: bool, frequencies: int
) -> tuple[Array, Array, Array, Array]:
    """J_ab(R) `(*mesh, sites, sites)`, the moment of each site along z, and the two reasons to refuse them."""
    lattice, model = electrons.lattice, electrons.solver.model
    mesh, k = mesh_of(electrons, spins.dtype)
    dimension = lattice.dimension
    h = spin_blocks(model.bloch(spins, k))
    both = jnp.stack([h[0, 0], h[1, 1]])
    mixed = jnp.max(jnp.abs(h[0, 1])) > 1e-5 * jnp.max(jnp.abs(both))
    missed, mu, temperature, x, weights = frequencies_of(electrons, both, frequencies, spins.dtype)
    sites = sites_of(model, lattice)
    half, local = half_splitting(model, spins, k, onsite)
    both = both.reshape(2, *mesh, *both.shape[-2:])
    half = half[0] if local else half.reshape(*mesh, *half.shape[-2:])

    @jax.checkpoint
    def add(total, frequency):
        x, weight = frequency
        z = jax.lax.complex(mu, jnp.pi * temperature * x)
        up, down = jnp.linalg.inv(z * jnp.broadcast_to(jnp.eye(both.shape[-1]), both.shape).astype(both.dtype) - both)
        ways = [traces(one, other, half, sites, local, dimension) for one, other in ((up, down), (down, up))]
        moment = 2 * jnp.mean(jnp.real(jnp.diagonal(up - down, axis1=-2, axis2=-1)), axis=range(dimension))
        return (total[0] - weight * jnp.real(ways[0] + ways[1]), total[1] + weight * moment), None

    n = lattice.sites
    start = (jnp.zeros((*mesh, n, n), spins.dtype), jnp.zeros(both.shape[-1], spins.dtype))
    (couplings, moments), _ = jax.lax.scan(add, start, (x, weights))
    couplings, moments = temperature * couplings, temperature * moments
    couplings = between_sites(couplings, dimension)
    # J_ab(R) = J_ba(-R) to the last digit
    couplings = (couplings + seen_back(couplings, dimension)) / 2
    return couplings, matmul(jnp.asarray(sites, spins.dtype), moments), mixed, missed
