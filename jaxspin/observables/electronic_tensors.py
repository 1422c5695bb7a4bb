"""Exchange tensors from electrons with spin-orbit coupling: small turns of two spins of a collinear texture.

d^2 Omega/(dS_i^a dS_j^b) = T sum_n Tr sigma_a V_i G_ij(i w_n) sigma_b V_j G_ji(i w_n), a and b perpendicular to the
spins. In a basis of spin along them the sigma of a turn has only elements between up and down, so that four products
of blocks of G have it all: S_st = Tr V_i G_st V_j G_(-t)(-s).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxspin.arrays.precision import einsum, matmul
from jaxspin.arrays.spinors import complex_of
from jaxspin.electrons.bloch import BlochDiagonalization
from jaxspin.electrons.hoppings import PAULI
from jaxspin.field import AbstractPotential, Spins
from jaxspin.observables.exchange_tensors import ExchangeTensors, completed
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
    traces,
)
from jaxspin.spins import takes_spins

# By how much spins of one axis may differ from it.
_STRAIGHT = 1e-3


@takes_spins(half=False, unit=True)
def exchange_tensors(
    electrons: AbstractPotential, spins: Spins, *, whole: bool = True, onsite: bool = False, frequencies: int = 64
) -> ExchangeTensors:
    """J_ij^ab = - 1/2 d^2 Omega/(de_i^a de_j^b) between all sites, from electrons with spin-orbit coupling.

    J_ij^ab = - T/2 sum_n Tr sigma_a V_i G_ij(i w_n) sigma_b V_j G_ji(i w_n), over all Matsubara frequencies, for E =
    - sum_(i != j) e_i . J_ij e_j. The spins `(*cells, sublattices, 3)` of the magnetic cell are along one axis or
    against it, any axis; the hoppings may have any spin-orbit coupling: `js.electrons.rashba`, `OrbitalModel` with
    hoppings `(vectors, 2n, 2n)`. Small turns tell the two components perpendicular to the spins: J, the component of D
    along the axis, and the difference of the two axes across it.

    - `whole`: the texture is turned as a whole along its axis and two more at right angles, and the three make the
      matrices complete. Along x, y or z these are x, y and z. False: along its own axis only, a third of the time.
    - `onsite`, `frequencies`: as in `exchange_couplings`, which is the same without spin-orbit coupling, and faster.

    R runs over the mesh of `electrons.points`^d cells, and J is exactly that of the lattice repeated so often at fixed
    mu. At fixed filling mu is that of each texture and stays where spins turn; what it would add falls as the inverse
    of the number of cells. The energy of a single site's spin by itself, the anisotropy, is not in it. Turned textures
    need not be at rest. `moments` are those of the electrons with the spins as given, as in `exchange_couplings`.

    Differentiable by everything: hoppings, spin-orbit coupling, splittings, filling, mu, temperature.

    Raises `ValueError` for spins that do not fit, are not along one axis or traced (in `jit` close over them), and when
    it runs for too few `frequencies`. `TypeError` for electrons that are no `BlochDiagonalization`.

    Source: L. Udvardi, L. Szunyogh, K. Palotas and P. Weinberger, Phys. Rev. B 68, 104436 (2003),
    doi:10.1103/PhysRevB.68.104436; three axes: X. He, N. Helbig, M. J. Verstraete and E. Bousquet, Comput. Phys.
    Commun. 264, 107938 (2021), doi:10.1016/j.cpc.2021.107938.

    Example:
        >>> cell = js.square(1)
        >>> hoppings = (*js.electrons.kinetic(cell, 1.0), *js.electrons.rashba(cell, 0.3))
        >>> solver = js.ExactDiagonalization(js.SDModel(cell, hoppings, 3.0), filling=0.2, temperature=0.1)
        >>> electrons = js.electrons.BlochDiagonalization(solver, points=6)
        >>> found = js.observables.exchange_tensors(electrons, js.textures.ferromagnet(cell))
        >>> [abs(round(float(d), 4)) for d in found.dzyaloshinskii_moriya()[1, 0, 0, 0]]
        [0.0, 0.0216, 0.0]
    """
    crystal = as_crystal(electrons, spins)
    axes, signs = _axes(np.asarray(spins, float))
    axes = axes if whole else axes[:1]
    runs = []
    for axis in axes:
        along = jnp.asarray(signs[:, None] * axis, spins.dtype).reshape(spins.shape)
        basis = jnp.asarray(_along(axis), complex_of(spins.dtype))
        found, moments, missed = _found(crystal, along, basis, onsite, frequencies)
        runs.append((resolved(found, missed), moments))
    couplings, disagreement = completed(jnp.stack([found for found, _ in runs]), jnp.asarray(axes, spins.dtype))
    return ExchangeTensors(
        repeated(crystal.lattice, crystal.points),
        couplings,
        signs=signs.tolist(),
        moments=jnp.asarray(signs, spins.dtype) * runs[0][1],
        axis=axes[0],
        disagreement=disagreement,
    )


def _axes(spins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The axis of the spins and two at right angles, `(3, 3)`, and for each site 1 along the first or -1."""
    flat = spins.reshape(-1, 3)
    lengths = np.linalg.norm(flat, axis=1)
    if not lengths.all():
        raise ValueError("there is a vacancy, which has no exchange; take a magnetic cell without that site.")
    axis = flat[0] / lengths[0]
    axis = np.where(np.abs(axis) < _STRAIGHT * 1e-2, 0, axis)
    axis *= np.sign(axis[np.argmax(np.abs(axis))]) / np.linalg.norm(axis)
    along = flat @ axis / lengths
    if np.max(1 - np.abs(along)) > _STRAIGHT**2:
        raise ValueError(
            "the spins are not along one axis; take a collinear texture, or tangent_hessian of a lattice of few sites."
        )
    # along x, y or z the other two are the next ones in turn
    second = np.roll(axis, 1) if np.count_nonzero(axis) == 1 else np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    second /= np.linalg.norm(second)
    return np.stack([axis, second, np.cross(axis, second)]), np.sign(along).astype(int)


def _along(axis: np.ndarray) -> np.ndarray:
    """The spinors up and down along an axis, as columns."""
    _, states = np.linalg.eigh(np.einsum("c,cab->ab", axis, PAULI))
    return states[:, ::-1]


@eqx.filter_jit
def _found(
    electrons: BlochDiagonalization, spins: Spins, basis: Complex[Array, "2 2"], onsite: bool, frequencies: int
) -> tuple[Float[Array, "*n 3 3"], Float[Array, " sites"], Array]:
    """J_ab(R) `(*mesh, sites, sites, 3, 3)` perpendicular to the spins, the moment of each site along the axis, and
    whether the frequencies were too few."""
    lattice, model = electrons.lattice, electrons.solver.model
    mesh, k = mesh_of(electrons, spins.dtype)
    dimension, n = lattice.dimension, lattice.sites
    h = model.bloch(spins, k)
    orbitals = h.shape[-1] // 2
    h = einsum("sp,kmsnt,tq->kpmqn", jnp.conj(basis), h.reshape(-1, orbitals, 2, orbitals, 2), basis).reshape(h.shape)
    missed, mu, temperature, x, weights = frequencies_of(electrons, h, frequencies, spins.dtype)
    sites = sites_of(model, lattice)
    half, local = half_splitting(model, spins, k, onsite)
    half = half[0] if local else half.reshape(*mesh, orbitals, orbitals)
    h = h.reshape(*mesh, *h.shape[-2:])

    @jax.checkpoint
    def add(total, frequency):
        x, weight = frequency
        z = jax.lax.complex(mu, jnp.pi * temperature * x)
        g = jnp.linalg.inv(z * jnp.broadcast_to(jnp.eye(h.shape[-1]), h.shape).astype(h.dtype) - h)
        g = jnp.moveaxis(g.reshape(*mesh, 2, orbitals, 2, orbitals), (-4, -2), (0, 1))
        found = [traces(g[s, t], g[1 - t, 1 - s], half, sites, local, dimension) for s in (0, 1) for t in (0, 1)]
        moment = 2 * jnp.mean(jnp.real(jnp.diagonal(g[0, 0] - g[1, 1], axis1=-2, axis2=-1)), axis=range(dimension))
        return (total[0] + weight.astype(h.dtype) * jnp.stack(found), total[1] + weight * moment), None

    start = (jnp.zeros((4, *mesh, n, n), h.dtype), jnp.zeros(orbitals, spins.dtype))
    (found, moments), _ = jax.lax.scan(add, start, (x, weights))
    # of sigma only the elements between up and down: the spins do not change along themselves
    sigma = einsum("sp,cst,tq->cpq", jnp.conj(basis), jnp.asarray(PAULI, h.dtype), basis)
    left, right = sigma[:, jnp.array([1, 0]), jnp.array([0, 1])], sigma[:, jnp.array([0, 1]), jnp.array([1, 0])]
    turns = einsum("as,bt->abst", left, right).reshape(3, 3, 4)
    couplings = -temperature * jnp.real(einsum("abp,p...->ab...", turns, found))
    couplings = between_sites(couplings, dimension)
    # J_ab(R) and the transpose of J_ba(-R) are one to the last digit
    couplings = (couplings + jnp.swapaxes(seen_back(couplings, dimension), 0, 1)) / 2
    moments = temperature * matmul(jnp.asarray(sites, spins.dtype), moments)
    return jnp.moveaxis(couplings, (0, 1), (-2, -1)), moments, missed
