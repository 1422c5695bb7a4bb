"""The slices of a channel whose atoms have many orbitals: their blocks of H, what is measured on them, the torque.

An orbital takes the place of a site in `jaxspin.electrons.negf.slices`. What hops is the same in every slice, so that
its blocks are made once; the spins turn what they split.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from jaxspin.arrays.precision import einsum
from jaxspin.arrays.spinors import complex_of
from jaxspin.electrons.blocks import Offsets, between_cells
from jaxspin.electrons.hoppings import PAULI
from jaxspin.electrons.negf import slices
from jaxspin.electrons.negf.linalg import dagger, multiply
from jaxspin.electrons.negf.measures import AbstractMeasure, Found, OnSite
from jaxspin.electrons.negf.slices import Cut
from jaxspin.electrons.orbital_matrices import halves
from jaxspin.electrons.orbital_product import at_orbitals
from jaxspin.electrons.orbitals import OrbitalModel
from jaxspin.electrons.owners import as_complex
from jaxspin.field import Spins


def reach(model: Any, axis: int) -> int:
    """How many cells along `axis` the longest hopping of either model goes."""
    if isinstance(model, OrbitalModel):
        return max([1, *(abs(offset[axis]) for offset in model.offsets)])
    return slices.reach(tuple(h.bond for h in model.hoppings), axis)


def sliced(where: Cut, model: Any, spins: Spins) -> tuple[Array, Array]:
    """H_(n,n) and H_(n,n+1) of either model, as `slices.hamiltonian` gives them."""
    return (
        hamiltonian(where, model, spins) if isinstance(model, OrbitalModel) else slices.hamiltonian(where, model, spins)
    )


def hamiltonian(where: Cut, model: OrbitalModel, spins: Spins) -> tuple[Array, Array]:
    """H_(n,n) and H_(n,n+1), `(slices, 2m, 2m)`. Orbitals that the last slice lacks lie above the spectrum."""
    count, m, ctype = where.slices, where.sites, complex_of(spins.dtype)
    one = jnp.eye(2, dtype=ctype)[None, :, None, :]
    h, v = _blocks(where, model.offsets, as_complex(model.hopping).astype(ctype))
    if len(h) == m:
        h, v = (x[:, None, :, None] * one for x in (h, v))
    h, v = (x.reshape(m, 2, m, 2) for x in (h, v))
    offsets, half = halves(model)
    g, u = (x[:, None, :, None] for x in _blocks(where, offsets, half.astype(ctype)))
    s = where.into(at_orbitals(model.owners, spins)).astype(ctype)
    rows = einsum("kxc,cab->kxab", s, jnp.asarray(PAULI, ctype))[:, :, :, None, :]
    columns = jnp.swapaxes(rows[:, :, :, 0, :], 1, 2)[:, None]
    after = jnp.concatenate([columns[1:], jnp.zeros_like(columns[:1])])
    diagonal = h[None] - g[None] * (rows + columns)
    upper = v[None] - u[None] * (rows + after)
    local = _local(where, model, ctype)
    if local is not None:
        site = np.arange(m)
        diagonal = diagonal.at[:, site, :, site, :].add(jnp.swapaxes(local, 0, 1))
    diagonal, upper = (x.reshape(count, 2 * m, 2 * m) for x in (diagonal, upper))
    upper = jnp.where((np.arange(count) < count - 1)[:, None, None], upper, 0)
    present = where.full(None)
    if present is None:
        return diagonal, upper
    full = jnp.repeat(present, 2, axis=1)
    after = jnp.concatenate([full[1:], full[:1]])
    diagonal = jnp.where(full[:, :, None] & full[:, None, :], diagonal, 0)
    above = jnp.where(full, 0, 2 * jax.lax.stop_gradient(model.bound()).astype(spins.dtype) + 1).astype(ctype)
    diagonal = diagonal + above[:, :, None] * jnp.eye(2 * m, dtype=ctype)[None]
    return diagonal, jnp.where(full[:, :, None] & after[:, None, :], upper, 0)


def _blocks(where: Cut, offsets: Offsets, blocks: Complex[Array, "vectors n n"]) -> tuple[Array, Array]:
    """The blocks within a slice and to the next one, `(cells n, cells n)` each."""
    axis, whole = where.axis, where.slices == 1
    order = [axis, *(k for k in range(where.lattice.dimension) if k != axis)]
    cells, periodic = ([x[k] for k in order] for x in (where.lattice.cells, where.lattice.periodic))
    if not whole:
        cells[0], periodic[0] = 2 * where.thickness, False
    vectors = [where.lattice.vectors[k] for k in order]
    two = dataclasses.replace(where.lattice, vectors=vectors, cells=cells, periodic=periodic)
    turned = tuple(tuple(offset[k] for k in order) for offset in offsets)
    found = jnp.swapaxes(between_cells(two, turned, blocks, None), 1, 2)
    size = found.shape[0] * found.shape[1] // (1 if whole else 2)
    found = found.reshape(-1, found.shape[0] * found.shape[1])
    here = found[:size, :size]
    return (here, jnp.zeros_like(here)) if whole else (here, found[:size, size:])


def _local(where: Cut, model: OrbitalModel, ctype) -> Array | None:
    """Energies and fields of the orbitals, `(slices, m, 2, 2)`."""
    if model.potential is None and model.zeeman is None:
        return None
    shape = (*model.lattice.cells, len(model.owners))
    local = jnp.zeros((where.slices, where.sites, 2, 2), ctype)
    if model.potential is not None:
        potential = where.into(jnp.broadcast_to(model.potential, shape)).astype(ctype)
        local = local + potential[..., None, None] * jnp.eye(2, dtype=ctype)[None, None]
    if model.zeeman is not None:
        field = where.into(jnp.broadcast_to(model.zeeman, (*shape, 3))).astype(ctype)
        local = local - einsum("kxc,cab->kxab", field, jnp.asarray(PAULI, ctype))
    return local


# --- the torque -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class OnBlocks(AbstractMeasure):
    """Those of `OnSite`, rho_(n,n) as "here" and, where `linked`, rho_(n,n+1) as "next", `(slices, 2m, 2m)` each."""

    linked: bool

    def undriven(self, here, forth, back):
        found = {**OnSite().undriven(here, forth, back), "here": here + dagger(here)}
        return found | {"next": forth + dagger(back())} if self.linked else found

    def driven(self, weighted, x, after):
        found = {**OnSite().driven(weighted, x, after), "here": multiply(weighted, dagger(x))}
        return found | {"next": multiply(weighted, dagger(after))} if self.linked else found

    def with_half(self, found):
        half = 0.5 * jnp.eye(found["here"].shape[-1], dtype=found["here"].dtype)[None]
        return OnSite().with_half(found) | {"here": found["here"] + half}


def torque_measure(where: Cut, model: OrbitalModel) -> OnBlocks:
    """What of rho the spins feel: only spin-split hoppings join slices."""
    return OnBlocks(model.split is not None and where.slices > 1)


def torque(where: Cut, model: OrbitalModel, found: Found, spins: Spins) -> Spins:
    """B_i = -Tr rho dH/dS_i, `(*cells, sublattices, 3)`: the derivative of the blocks of H, which are linear in S."""

    def coupled(s):
        diagonal, upper = hamiltonian(where, model, s)
        total = jnp.sum(jnp.real(jnp.conj(found["here"]) * diagonal))
        # rho_(n,n+1) and its adjoint
        return -total if "next" not in found else -total - 2 * jnp.sum(jnp.real(jnp.conj(found["next"]) * upper))

    return jax.grad(coupled)(jnp.zeros_like(spins))
