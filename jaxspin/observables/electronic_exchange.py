"""Exchange from the electrons of a crystal: second derivatives of the grand potential by the angles of the spins.

With H = H_0 - sum_i S_i . sigma V_i a rotation of two spins of a collinear state costs d^2 Omega/(dx_i dx_j) =
2 T sum_n Re Tr V_i G_up(i w_n) V_j G_down(i w_n). With split hoppings V_i = P_i B + B P_i, where P_i is the projection
on the orbitals of site i and B half the splitting in the whole crystal: a trace of four products of matrices,
restricted to i and j. Products in real space are convolutions over the wavevectors.
"""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Complex, Float

from jaxspin.arrays.precision import einsum, matmul
from jaxspin.electrons import spectral
from jaxspin.electrons.bloch import BlochDiagonalization
from jaxspin.electrons.negf.poles import matsubara
from jaxspin.field import AbstractPotential, Spins
from jaxspin.lattice import Lattice
from jaxspin.observables.exchange_couplings import ExchangeCouplings
from jaxspin.spins import takes_spins

# What the sum over frequencies may miss of an occupation, beyond rounding.
_TOLERANCE = 1e-7


@takes_spins(half=False, unit=True)
def exchange_couplings(
    electrons: AbstractPotential, spins: Spins, *, onsite: bool = False, frequencies: int = 64
) -> ExchangeCouplings:
    """J_ij = - 1/2 d^2 Omega/(de_i de_j), perpendicular to a collinear texture, between all sites: the force theorem.

    J_ij = - T sum_n Re Tr V_i G_up,ij(i w_n) V_j G_down,ji(i w_n), over all Matsubara frequencies, for E =
    - sum_(i != j) J_ij e_i . e_j; `spins` `(*cells, sublattices, 3)` of the magnetic cell are along z or against it. R
    runs over the mesh of `electrons.points`^d cells, and J is exactly that of the lattice repeated so often; the time
    is of order N_k log N_k. At fixed filling mu does not move with transverse
    angles, so that F and Omega have the same J.

    The moments are those of the model's electrons. In `SDModel` these are the conduction electrons alone: a spin wave
    carries the local spins, too. Give the whole moments m in mu_B before `magnon_energies` and `spin_wave_stiffness`,
    `exchange = eqx.tree_at(lambda e: e.moments, exchange, jnp.array([2.0]))`, or in `ExchangeCouplings(..., moments=)`.

    - `onsite`: the spins turn the splitting on their own atom alone, as in published LKAG codes; hoppings that are
      split remain in G. Otherwise everything is turned that H turns: a rotation of all spins together costs nothing.
    - `frequencies`: of the quadrature of the Matsubara sum; it takes about sqrt(band width/temperature).

    Differentiable by everything: hoppings, splittings, filling, mu, temperature.

    Raises `ValueError` for spins that do not fit, and for spins that are traced (in `jit` close over them); when it
    runs for a texture that is not along z, for spin-orbit coupling, and for too few `frequencies`. `TypeError` for
    electrons that are no `BlochDiagonalization`, which has the magnetic cell and its wavevectors. For other textures
    of few sites there is `tangent_hessian`.

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
    if not isinstance(electrons, BlochDiagonalization):
        raise TypeError(
            f"{type(electrons).__name__} has no wavevectors; give the magnetic cell by BlochDiagonalization("
            "ExactDiagonalization(model, ...), points=...) of js.electrons."
        )
    if isinstance(spins, Tracer):
        raise ValueError("which spins are up must be known when this is compiled; close over spins in jit.")
    signs = np.sign(np.asarray(spins)[..., 2]).reshape(-1).astype(int)
    if not signs.all():
        raise ValueError("a spin has no component along z, or there is a vacancy; turn the texture along z.")
    couplings, moments = _found(electrons, spins, onsite, frequencies)
    lattice = repeated(electrons.lattice, electrons.points)
    return ExchangeCouplings(
        lattice, couplings, signs=signs.tolist(), moments=jnp.asarray(signs, moments.dtype) * moments
    )


@eqx.filter_jit
def _found(electrons: BlochDiagonalization, spins: Spins, onsite: bool, frequencies: int) -> tuple[Array, Array]:
    """J_ab(R) `(*mesh, sites, sites)`, and the moment of each site along z."""
    lattice, model = electrons.lattice, electrons.solver.model
    points, dimension = electrons.points, lattice.dimension
    mesh = (points,) * dimension
    grid = np.stack(np.meshgrid(*(np.arange(points),) * dimension, indexing="ij"), -1).reshape(-1, dimension)
    k = jnp.asarray(grid / points, spins.dtype)
    h = _spin_blocks(model.bloch(spins, k))
    both = jnp.stack([h[0, 0], h[1, 1]])
    mixed = jnp.max(jnp.abs(h[0, 1])) > 1e-5 * jnp.max(jnp.abs(both))
    both = eqx.error_if(
        both,
        mixed,
        "H mixes the spins along z, by a texture that is not along z or by spin-orbit coupling; turn the spins, or use "
        "tangent_hessian.",
    )
    mu, temperature = _level(electrons, both)
    x, weights = (jnp.asarray(part, spins.dtype) for part in matsubara(frequencies))
    both = _resolved(both, mu, temperature, x, weights)
    sites = _sites(model, lattice)
    half, local = _half_splitting(model, spins, k, onsite)
    both = both.reshape(2, *mesh, *both.shape[-2:])
    half = half[0] if local else half.reshape(*mesh, *half.shape[-2:])

    @jax.checkpoint
    def add(total, frequency):
        x, weight = frequency
        z = jax.lax.complex(mu, jnp.pi * temperature * x)
        up, down = jnp.linalg.inv(z * jnp.broadcast_to(jnp.eye(both.shape[-1]), both.shape).astype(both.dtype) - both)
        found = _pair(up, down, half, sites, local, dimension) + _pair(down, up, half, sites, local, dimension)
        moment = 2 * jnp.mean(jnp.real(jnp.diagonal(up - down, axis1=-2, axis2=-1)), axis=range(dimension))
        return (total[0] - weight * found, total[1] + weight * moment), None

    n = lattice.sites
    start = (jnp.zeros((*mesh, n, n), spins.dtype), jnp.zeros(both.shape[-1], spins.dtype))
    (couplings, moments), _ = jax.lax.scan(add, start, (x, weights))
    couplings, moments = temperature * couplings, temperature * moments
    itself = (0,) * dimension
    couplings = couplings.at[itself].multiply(1 - jnp.eye(n, dtype=spins.dtype))
    # J_ab(R) = J_ba(-R) to the last digit
    axes = tuple(range(dimension))
    back = jnp.swapaxes(jnp.roll(jnp.flip(couplings, axes), (1,) * dimension, axes), -1, -2)
    couplings = (couplings + back) / 2
    return couplings, matmul(jnp.asarray(sites, spins.dtype), moments)


def _pair(up, down, half, sites, local: bool, dimension: int) -> Float[Array, "*mesh a b"]:
    """Re Tr V_a up(R) V_b down(-R) for all R, by the products of matrices of which it is made."""
    if local:
        # V is 2 B on the orbitals of a site
        products = [(matmul(2 * half, up), matmul(2 * half, down))]
    else:
        left_up, left_down = matmul(half, up), matmul(half, down)
        products = [
            (left_up, left_down),
            (matmul(left_up, half), down),
            (up, matmul(left_down, half)),
            (matmul(up, half), matmul(down, half)),
        ]
    axes = range(dimension)
    total: Any = 0.0
    for one, other in products:
        there = jnp.fft.fftn(one, axes=axes, norm="forward")  # <0 m|G|R n>
        back = jnp.fft.ifftn(other, axes=axes)  # <R n|G|0 m>
        total = total + jnp.real(there * jnp.swapaxes(back, -1, -2))
    owned = jnp.asarray(sites, total.dtype)
    return einsum("am,...mn,bn->...ab", owned, total, owned)


def _spin_blocks(h: Complex[Array, "k n2 n2"]) -> Complex[Array, "2 2 k n n"]:
    n = h.shape[-1] // 2
    return jnp.transpose(h.reshape(-1, n, 2, n, 2), (2, 4, 0, 1, 3))


def _level(electrons: BlochDiagonalization, both: Complex[Array, "2 k n n"]) -> tuple[Array, Array]:
    """mu and T of the electrons."""
    levels = jnp.sort(spectral.levels(both).reshape(-1))
    ensemble = electrons.solver.ensemble.astype(levels.dtype)
    copies = both.shape[1]
    weights = jnp.full_like(levels, 1 / copies)
    orbitals = jnp.asarray(2 * both.shape[-1], levels.dtype)
    return ensemble.fermi_level(levels, weights, orbitals), ensemble.temperature


def _resolved(both: Array, mu: Array, temperature: Array, x: Array, weights: Array) -> Array:
    """The same H, refused where the sum over frequencies misses occupations at the edges of its bands.

    They lie within the largest sum of a row; 1/2 - f = sum_p 2 W_p e/(e^2 + (pi x_p)^2), e in units of T.
    """
    reach = jnp.max(jnp.sum(jnp.abs(both), axis=-1)) + jnp.abs(mu)
    e = reach / temperature * jnp.asarray([0.01, 0.1, 0.3, 1.0], reach.dtype)
    found = jnp.sum(2 * weights[None] * e[:, None] / (e[:, None] ** 2 + (jnp.pi * x[None]) ** 2), axis=1)
    missed = jnp.max(jnp.abs(found - jnp.tanh(e / 2) / 2))
    tolerance = max(_TOLERANCE, 100 * float(jnp.finfo(reach.dtype).eps))
    return eqx.error_if(
        both, missed > tolerance, "the Matsubara sum misses occupations at the band edges; give more frequencies."
    )


def _sites(model: Any, lattice: Lattice) -> np.ndarray:
    """Which orbitals of the magnetic cell belong to which site, `(sites, orbitals)`."""
    owners = getattr(model, "owners", tuple(range(lattice.sublattices)))
    cells = lattice.sites // lattice.sublattices
    owner = np.array([-1 if o is None else o for o in owners])
    inside = np.arange(lattice.sublattices)[:, None] == owner
    return np.kron(np.eye(cells), inside)


def _half_splitting(model: Any, spins: Spins, k: Array, onsite: bool) -> tuple[Complex[Array, "k n n"], bool]:
    """B of what spins add to H, - sum_i S_i . sigma (P_i B + B P_i), and whether it lies on single sites.

    Read off H with all spins along z, where an element is counted at each of its ends that has a spin.
    """
    split = getattr(model, "split", None)
    if onsite and split is not None:
        model = eqx.tree_at(lambda m: m.split, model, None, is_leaf=lambda x: x is None)
    local = onsite or split is None
    k = k[:1] if local else k
    along = jnp.zeros_like(spins).at[..., 2].set(1)
    change = _spin_blocks(model.bloch(along, k) - model.bloch(jnp.zeros_like(spins), k))[0, 0]
    owned = np.sum(_sites(model, model.lattice), axis=0)
    ends = np.maximum(owned[:, None] + owned, 1)
    return -change / jnp.asarray(ends, change.dtype)[None], local


@functools.lru_cache(maxsize=16)
def repeated(lattice: Lattice, points: int) -> Lattice:
    """The magnetic cell `lattice`, with all its sites as sublattices, repeated `points` times each way."""
    vectors = np.array(lattice.vectors) * np.array(lattice.cells)[:, None]
    basis = lattice.positions().reshape(lattice.sites, -1)
    return Lattice(lattice.name, vectors, basis, (points,) * lattice.dimension, (True,) * lattice.dimension)
