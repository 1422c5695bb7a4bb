"""Sums over very many bonds in a loop, so that the length of the program does not grow with their number.

Without a loop every bond is some ten operations, and as many again in every derivative: a few hundred bonds a cell take
minutes to compile. The loop moves the whole array for each bond, so few bonds are faster without it.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

from jaxspin.arrays.vectors import of_planes, planes, scale
from jaxspin.lattice import Bond


def moved(array: Shaped[Array, "3 *cells"], offset: Int[Array, " d"], periodic: Sequence[bool]) -> Array:
    """A translation by an offset that is traced: result[:, R] = array[:, R + offset], zero beyond an open edge."""
    for axis, wraps in enumerate(periodic, 1):
        cells = array.shape[axis]
        if wraps:
            array = jnp.roll(array, -offset[axis - 1], axis)
            continue
        wide = jnp.pad(array, [(cells, cells) if k == axis else (0, 0) for k in range(array.ndim)])
        array = jax.lax.dynamic_slice_in_dim(wide, jnp.clip(cells + offset[axis - 1], 0, 2 * cells), cells, axis)
    return array


def sum_over_bonds(
    periodic: Sequence[bool],
    shells: Sequence[Sequence[Bond]],
    couplings: Sequence[Array],
    spins: Shaped[Array, "*cells sublattices 3"],
    act: Callable[[Array, Array, Array], Array],
) -> Array:
    """At every site the sum of coupling act(index of the bond, spin at its other end, 1 from its start or -1).

    `couplings` are one number or `(*cells, bonds)` for each of the `shells`, through which bonds are counted.
    Derivatives need the memory of a few fields.
    """
    # components before cells: numbers that lie next to each other are moved together
    by_sublattice = jnp.moveaxis(spins, (-2, -1), (0, 1))
    total = jnp.zeros_like(by_sublattice)
    first = np.cumsum([0, *map(len, shells)])
    one = jnp.ones((), spins.dtype)

    # recomputed in a derivative: keeping it would store the field once for every bond
    @jax.checkpoint
    def push(index, start, end, offset, strength, spins):
        there, here = of_planes(moved(spins[end], offset, periodic)), of_planes(spins[start])
        along, against = (scale(strength, act(index, s, sign)) for s, sign in ((there, one), (here, -one)))
        return planes(along), moved(planes(against), -offset, periodic)

    def step(total, bond):
        _, start, end, *_ = bond
        along, against = push(*bond, by_sublattice)
        total = jax.lax.dynamic_update_index_in_dim(total, total[start] + along, start, 0)
        return jax.lax.dynamic_update_index_in_dim(total, total[end] + against, end, 0), None

    # those of one number a shell are stacked as numbers, not as arrays
    for uniform in (True, False):
        group = [k for k, c in enumerate(couplings) if (c.ndim == 0) == uniform]
        if not group:
            continue
        bonds = [bond for k in group for bond in shells[k]]
        indices = np.concatenate([first[k] + np.arange(len(shells[k])) for k in group])
        tables = (indices, *(np.array([getattr(b, name) for b in bonds]) for name in ("start", "end", "offset")))
        strength = jnp.concatenate(
            [
                jnp.broadcast_to(c, (len(shells[k]),)) if uniform else jnp.moveaxis(c, -1, 0)
                for k in group
                for c in (couplings[k].astype(spins.dtype),)
            ]
        )
        total, _ = jax.lax.scan(step, total, (*(jnp.asarray(t, jnp.int32) for t in tables), strength))
    return jnp.moveaxis(total, (0, 1), (-2, -1))
