"""Matrices of an `OrbitalModel`, what its spins add to them, and the energies that no state leaves."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxspin.arrays.precision import einsum
from jaxspin.arrays.spinors import complex_of
from jaxspin.electrons.base import Spins, check_wavevector
from jaxspin.electrons.blocks import Offsets, band_edges, between_cells
from jaxspin.electrons.hoppings import PAULI
from jaxspin.electrons.orbital_product import at_orbitals
from jaxspin.electrons.owners import as_complex


def dense(model: Any, spins: Spins, wavevector: Float[Array, " d"] | None) -> Complex[Array, "n n"]:
    """H as a matrix, see `OrbitalModel.dense`."""
    check_wavevector(model.lattice, wavevector)
    ctype, n = complex_of(spins.dtype), len(model.owners)
    sites = model.orbital_lattice.sites
    blocks = between_cells(model.lattice, model.offsets, model.hopping.astype(ctype), wavevector)
    blocks = jnp.swapaxes(blocks, 1, 2)
    if blocks.shape[-1] == n:
        h = blocks.reshape(sites, 1, sites, 1) * jnp.eye(2, dtype=ctype)[None, :, None, :]
    else:
        h = blocks.reshape(sites, 2, sites, 2)
    h = h + spin_part(model, spins, wavevector)
    local = jnp.zeros((sites, 2, 2), ctype)
    if model.potential is not None:
        potential = jnp.broadcast_to(model.potential, (*model.lattice.cells, n)).reshape(sites, 1, 1)
        local = local + potential.astype(ctype) * jnp.eye(2, dtype=ctype)[None]
    if model.zeeman is not None:
        field = jnp.broadcast_to(model.zeeman, (*model.lattice.cells, n, 3)).reshape(sites, 3)
        local = local - einsum("xc,cab->xab", field.astype(ctype), jnp.asarray(PAULI, ctype))
    site = np.arange(sites)
    return h.at[site, :, site, :].add(local).reshape(2 * sites, 2 * sites)


def field_of(
    model: Any, density: Complex[Array, "*k n n"], spins: Spins, wavevectors: Float[Array, "k d"] | None
) -> Spins:
    """B_i = -Tr rho dH/dS_i, see `OrbitalModel.field_of`."""
    if wavevectors is not None and model.split is None:  # on the atoms all wavevectors are alike
        density, wavevectors = jnp.sum(density, axis=0), None

    def coupled(s):
        parts = (
            spin_part(model, s, None)
            if wavevectors is None
            else jax.vmap(lambda k: spin_part(model, s, k))(wavevectors)
        )
        # Tr rho H, both hermitian
        return -jnp.sum(jnp.real(jnp.conj(density.reshape(parts.shape)) * parts))

    return jax.grad(coupled)(jnp.zeros_like(spins)).astype(spins.dtype)


def spin_part(model: Any, spins: Spins, wavevector) -> Complex[Array, "sites 2 sites 2"]:
    """What the spins add to H, linear in them: -(S.sigma G + G S.sigma), with S of each orbital."""
    ctype, sites = complex_of(spins.dtype), model.orbital_lattice.sites
    offsets, half = halves(model)
    blocks = between_cells(model.lattice, offsets, half.astype(ctype), wavevector)
    blocks = jnp.swapaxes(blocks, 1, 2).reshape(sites, 1, sites, 1)
    s = at_orbitals(model.owners, spins).reshape(sites, 3).astype(ctype)
    matrices = einsum("xc,cab->xab", s, jnp.asarray(PAULI, ctype))
    both = matrices[:, :, None, :] + jnp.swapaxes(matrices, 0, 1)[None]
    return -blocks * both


def halves(model: Any) -> tuple[Offsets, Complex[Array, "vectors n n"]]:
    """(R, G(R)) with the coupling to the spins -(S_i G_ij + G_ij S_j).sigma, in which no owner is S = 0.

    G is half of M and D together, and all of D where one end has no owner.
    """
    zero = (0,) * model.lattice.dimension
    half = as_complex(model.exchange) / 2
    if model.split is None:
        return (zero,), half[None]
    nobody = np.array([o is None for o in model.owners])
    weight = jnp.asarray(np.where(nobody[:, None] | nobody, 1.0, 0.5), half.dtype)
    split = as_complex(model.split) * weight[None]
    if zero in model.offsets:
        return model.offsets, split.at[model.offsets.index(zero)].add(half)
    return (zero, *model.offsets), jnp.concatenate([half[None], split])


@eqx.filter_jit
def bounds(model: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(lowest, highest) energy of any unit spins, by Weyl's inequality."""
    model = jax.lax.stop_gradient(model)
    low, high = band_edges(model.lattice, model.offsets, as_complex(model.hopping))
    if model.split is None:
        shift = jnp.linalg.norm(model.exchange, 2)
    else:
        offsets, half = halves(model)
        shift = 2 * jnp.max(jnp.abs(jnp.stack(band_edges(model.lattice, offsets, half))))
    shift = shift.astype(low.dtype)
    if model.zeeman is not None:
        shift = shift + jnp.max(jnp.linalg.norm(model.zeeman, axis=-1)).astype(low.dtype)
    low, high = low - shift, high + shift
    if model.potential is not None:
        v = model.potential.astype(low.dtype)
        low, high = low + jnp.min(v), high + jnp.max(v)
    return low, high
