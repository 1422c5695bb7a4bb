"""What all exchange from the electrons of a crystal is made of: G and the splittings V, and traces of their products.

With H = H_0 - sum_i S_i . sigma V_i, linear in the spins, d^2 Omega/(dS_i^a dS_j^b) = T sum_n Tr sigma_a V_i G sigma_b
V_j G at the frequencies mu + i w_n. With split hoppings V_i = P_i B + B P_i, where P_i is the projection on the
orbitals of site i and B half the splitting in the whole crystal: a trace of four products of matrices, restricted to i
and j. Products in real space are convolutions over the wavevectors.
"""

import functools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Complex, Float

from jaxspin.arrays.precision import einsum, matmul
from jaxspin.electrons import spectral
from jaxspin.electrons.bloch import BlochDiagonalization
from jaxspin.electrons.negf.poles import matsubara
from jaxspin.field import Spins
from jaxspin.lattice import Lattice

# What the sum over frequencies may miss of an occupation, beyond rounding.
_TOLERANCE = 1e-7


def as_crystal(electrons: Any, spins: Any) -> BlochDiagonalization:
    """The electrons; `TypeError` for those without wavevectors, `ValueError` for spins that are traced."""
    if not isinstance(electrons, BlochDiagonalization):
        raise TypeError(
            f"{type(electrons).__name__} has no wavevectors; give the magnetic cell by BlochDiagonalization("
            "ExactDiagonalization(model, ...), points=...) of js.electrons."
        )
    if isinstance(spins, Tracer):
        raise ValueError("which spins are up must be known when this is compiled; close over spins in jit.")
    return electrons


def mesh_of(electrons: BlochDiagonalization, dtype: Any) -> tuple[tuple[int, ...], Float[Array, "k d"]]:
    """The mesh of R, which is that of k, and the reduced wavevectors in C order."""
    points, dimension = electrons.points, electrons.lattice.dimension
    mesh = (points,) * dimension
    grid = np.stack(np.meshgrid(*(np.arange(points),) * dimension, indexing="ij"), -1).reshape(-1, dimension)
    return mesh, jnp.asarray(grid / points, dtype)


def frequencies_of(
    electrons: BlochDiagonalization, h: Array, number: int, dtype: Any
) -> tuple[Array, Array, Array, Array, Array]:
    """Whether they are too few, mu, T, and the points x and weights of the Matsubara sum, at mu + i pi T x.

    H is `(*, k, n, n)`, hermitian blocks that have all the levels together.
    """
    mu, temperature = _level(electrons, h)
    x, weights = (jnp.asarray(part, dtype) for part in matsubara(number))
    return _misses(h, mu, temperature, x, weights), mu, temperature, x, weights


def resolved(couplings: Array, missed: Array) -> Array:
    """The couplings, refused where the frequencies were too few.

    For the caller of a compiled program: one that calls back to Python is not kept in JAX's cache.
    """
    return eqx.error_if(
        couplings, missed, "the Matsubara sum misses occupations at the band edges; give more frequencies."
    )


def traces(
    one: Array, other: Array, half: Array, sites: np.ndarray, local: bool, dimension: int
) -> Complex[Array, "*mesh a b"]:
    """Tr V_a one(R) V_b other(-R) for all R, by the products of matrices of which it is made."""
    if local:
        # V is 2 B on the orbitals of a site
        products = [(matmul(2 * half, one), matmul(2 * half, other))]
    else:
        left, right = matmul(half, one), matmul(half, other)
        products = [
            (left, right),
            (matmul(left, half), other),
            (one, matmul(right, half)),
            (matmul(one, half), matmul(other, half)),
        ]
    axes = range(dimension)
    total: Any = 0.0
    for first, second in products:
        there = jnp.fft.fftn(first, axes=axes, norm="forward")  # <0 m|G|R n>
        back = jnp.fft.ifftn(second, axes=axes)  # <R n|G|0 m>
        total = total + there * jnp.swapaxes(back, -1, -2)
    owned = jnp.asarray(sites, total.dtype)
    return einsum("am,...mn,bn->...ab", owned, total, owned)


def between_sites(couplings: Float[Array, "*n a b"], dimension: int) -> Float[Array, "*n a b"]:
    """J_ab(R) `(*, *mesh, a, b)` without that of a site with itself."""
    alone = 1 - jnp.eye(couplings.shape[-1], dtype=couplings.dtype)
    return couplings.at[(..., *(0,) * dimension, slice(None), slice(None))].multiply(alone)


def seen_back(couplings: Float[Array, "*n a b"], dimension: int) -> Float[Array, "*n a b"]:
    """J_ba(-R) of J_ab(R) `(*, *mesh, a, b)`."""
    axes = tuple(range(-2 - dimension, -2))
    return jnp.swapaxes(jnp.roll(jnp.flip(couplings, axes), (1,) * dimension, axes), -1, -2)


def spin_blocks(h: Complex[Array, "k n2 n2"]) -> Complex[Array, "2 2 k n n"]:
    """H(k) by the spins of its rows and columns."""
    n = h.shape[-1] // 2
    return jnp.transpose(h.reshape(-1, n, 2, n, 2), (2, 4, 0, 1, 3))


def _level(electrons: BlochDiagonalization, h: Complex[Array, "*blocks k n n"]) -> tuple[Array, Array]:
    """mu and T of the electrons."""
    levels = jnp.sort(spectral.levels(h).reshape(-1))
    ensemble = electrons.solver.ensemble.astype(levels.dtype)
    copies = h.shape[-3]
    weights = jnp.full_like(levels, 1 / copies)
    orbitals = jnp.asarray(levels.size // copies, levels.dtype)
    return ensemble.fermi_level(levels, weights, orbitals), ensemble.temperature


def _misses(h: Array, mu: Array, temperature: Array, x: Array, weights: Array) -> Array:
    """Whether the sum over frequencies misses occupations at the edges of the bands of H.

    They lie within the largest sum of a row; 1/2 - f = sum_p 2 W_p e/(e^2 + (pi x_p)^2), e in units of T.
    """
    reach = jnp.max(jnp.sum(jnp.abs(h), axis=-1)) + jnp.abs(mu)
    e = reach / temperature * jnp.asarray([0.01, 0.1, 0.3, 1.0], reach.dtype)
    found = jnp.sum(2 * weights[None] * e[:, None] / (e[:, None] ** 2 + (jnp.pi * x[None]) ** 2), axis=1)
    missed = jnp.max(jnp.abs(found - jnp.tanh(e / 2) / 2))
    return missed > max(_TOLERANCE, 100 * float(jnp.finfo(reach.dtype).eps))


def sites_of(model: Any, lattice: Lattice) -> np.ndarray:
    """Which orbitals of the magnetic cell belong to which site, `(sites, orbitals)`."""
    owners = getattr(model, "owners", tuple(range(lattice.sublattices)))
    cells = lattice.sites // lattice.sublattices
    owner = np.array([-1 if o is None else o for o in owners])
    inside = np.arange(lattice.sublattices)[:, None] == owner
    return np.kron(np.eye(cells), inside)


def half_splitting(model: Any, spins: Spins, k: Array, onsite: bool) -> tuple[Complex[Array, "k n n"], bool]:
    """B of what spins add to H, - sum_i S_i . sigma (P_i B + B P_i), and whether it lies on single sites.

    Read off H with all spins along z, where an element is counted at each of its ends that has a spin.
    """
    split = getattr(model, "split", None)
    if onsite and split is not None:
        model = eqx.tree_at(lambda m: m.split, model, None, is_leaf=lambda x: x is None)
    local = onsite or split is None
    k = k[:1] if local else k
    along = jnp.zeros_like(spins).at[..., 2].set(1)
    change = spin_blocks(model.bloch(along, k) - model.bloch(jnp.zeros_like(spins), k))[0, 0]
    owned = np.sum(sites_of(model, model.lattice), axis=0)
    ends = np.maximum(owned[:, None] + owned, 1)
    return -change / jnp.asarray(ends, change.dtype)[None], local


@functools.lru_cache(maxsize=16)
def repeated(lattice: Lattice, points: int) -> Lattice:
    """The magnetic cell `lattice`, with all its sites as sublattices, repeated `points` times each way."""
    vectors = np.array(lattice.vectors) * np.array(lattice.cells)[:, None]
    basis = lattice.positions().reshape(lattice.sites, -1)
    return Lattice(lattice.name, vectors, basis, (points,) * lattice.dimension, (True,) * lattice.dimension)
