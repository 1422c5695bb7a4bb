"""Energies that no state of an `SDModel` leaves."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@eqx.filter_jit
def row_sums(model: Any) -> Float[Array, "*cells sublattices"]:
    """The sum of |t_ij| |M| over the bonds of each site."""
    rows = jnp.zeros(model.lattice.shape)
    for term in model.terms():
        norm = 1.0 if term.spin is None else jnp.linalg.norm(term.spin, ord=2)
        rows = rows.at[..., term.row].add((jnp.abs(term.amplitude) * norm).astype(rows.dtype))
    return rows


_POINTS = 2**17  # wavevectors that open axes are looked at with


@eqx.filter_jit
def band_edges(model: Any) -> tuple[Array, Array]:
    """Bounds of the hopping's energies, for open axes and vacancies too: both are cut out of the infinite crystal.

    Along a periodic axis the wavevectors are those of the lattice (and some between). Along an open one every k counts,
    and H(k) is computed at N of them. <u|H(k)|u> is a trigonometric polynomial whose degree d is that of the longest
    hopping. Between N > 2d even points it exceeds its largest value there at most by the factor 1/cos(pi d/N), about
    the middle of its range (Ehlich and Zeller, Math. Z. 86, 41 (1964), 10.1007/BF01111276).
    """
    lattice = model.lattice
    degrees = [max((abs(h.bond.offset[a]) for h in model.hoppings), default=0) for a in range(lattice.dimension)]
    whole = [c * max(1, -(-24 // c)) for c in lattice.cells]
    fine = max(8, int(_POINTS ** (1 / lattice.dimension)) // max(1, *degrees))
    points = [
        w if periodic else max(1, d * min(32, fine))
        for w, d, periodic in zip(whole, degrees, lattice.periodic, strict=True)
    ]
    k = np.stack(np.meshgrid(*(np.arange(p) / p for p in points), indexing="ij"), -1).reshape(-1, lattice.dimension)
    ctype = jnp.result_type(complex)
    n = lattice.sublattices
    h = jnp.zeros((len(k), n, 2, n, 2), ctype)
    for term in model.terms():
        phase = jnp.asarray(np.exp(2j * np.pi * k @ np.array(term.offset)), ctype)
        h = h.at[:, term.row, :, term.column, :].add(phase[:, None, None] * term.block(ctype)[None])
    levels = jnp.linalg.eigvalsh(h.reshape(len(k), 2 * n, 2 * n))
    low, high = jnp.min(levels), jnp.max(levels)
    opened = [(d, p) for d, p, periodic in zip(degrees, points, lattice.periodic, strict=True) if not periodic and d]
    above = float(np.prod([1 / np.cos(np.pi * d / p) for d, p in opened]))
    half = above * (high - low) / 2
    bound = jnp.max(row_sums(model)).astype(low.dtype)  # which the factor need not exceed
    return jnp.maximum((low + high) / 2 - half, -bound), jnp.minimum((low + high) / 2 + half, bound)
