"""Sums over all pairs of sites that depend on their distance alone, by fast Fourier transforms over the cells.

A sum B(R) = sum_R' K(R') S(R + R') is a product for every wavevector, in time N log N however far K reaches. Open axes
are made longer by zeros, so that nothing comes back from the other end.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxspin.devices.shards import Shards, fourier_transform, shards_of
from jaxspin.field import Spins
from jaxspin.lattice import Bond, Lattice


def at_least_single(dtype: Any) -> Any:
    """The precision of the transforms, which there are none of in half."""
    return np.promote_types(dtype, np.float32)


def lengthened(lattice: Lattice, reach: Sequence[int]) -> Lattice:
    """The lattice with open axes as long as a sum needs that goes so many cells in either direction."""
    cells = zip(lattice.cells, lattice.periodic, reach, strict=True)
    # twice as long and no less: whatever number of devices shares the cells shares these too
    longer = tuple(n if wraps or not most or n == 1 else 2 * n for n, wraps, most in cells)
    return dataclasses.replace(lattice, cells=longer)


def summed(lattice: Lattice, large: Lattice, spins: Spins, product: Callable[[Array], Array], spread: bool) -> Spins:
    """The spins `(sublattices, 3, *waves)` of every wavevector of the `large` lattice through `product`, and back.

    The waves are those of `transform`, all or half of them.
    """
    d = lattice.dimension
    values = spins.astype(at_least_single(spins.dtype))
    longer = [(0, n - own) for n, own in zip(large.cells, lattice.cells, strict=True)]
    values = jnp.pad(values, [*longer, (0, 0), (0, 0)]) if any(map(any, longer)) else values
    waves = product(transform(large, jnp.moveaxis(values, (-2, -1), (0, 1)), spread))
    back = jnp.moveaxis(inverse(large, waves, spread), (0, 1), (-2, -1))
    return jax.lax.slice(back, (0,) * (d + 2), spins.shape).astype(spins.dtype)


def transform(lattice: Lattice, values: Shaped[Array, "..."], spread: bool) -> Shaped[Array, "..."]:
    """sum_R values(R) exp(-i q . R) of real numbers, cells last.

    Half of the last axis holds it all, and is the result unless the cells are `spread` over devices.
    """
    axes = tuple(range(-lattice.dimension, 0))
    if not spread:
        return jnp.fft.rfftn(values, axes=axes)
    first = tuple(range(lattice.dimension))
    return jnp.moveaxis(fourier_transform(lattice, jnp.moveaxis(values, axes, first)), first, axes)


def inverse(lattice: Lattice, waves: Shaped[Array, "..."], spread: bool) -> Shaped[Array, "..."]:
    """What `transform` was given."""
    axes = tuple(range(-lattice.dimension, 0))
    if not spread:
        return jnp.fft.irfftn(waves, s=lattice.cells, axes=axes)
    first = tuple(range(lattice.dimension))
    whole = fourier_transform(lattice, jnp.moveaxis(waves, axes, first), inverse=True)
    return jnp.moveaxis(whole.real, first, axes)


def sum_over_pairs(
    lattice: Lattice, bonds: Sequence[Bond], strengths: Float[Array, "bonds *matrix"], spins: Spins
) -> Spins:
    """At every site the sum of J S over both ends of all bonds, J one number or matrix a bond and J^T from its end."""
    ends = [*bonds, *(bond.reversed() for bond in bonds)]
    reach = np.abs([bond.offset for bond in bonds]).max(axis=0)
    large = lengthened(lattice, reach.tolist())
    matrix = strengths.ndim > 1
    values = strengths.astype(at_least_single(spins.dtype))
    values = jnp.concatenate([values, jnp.swapaxes(values, -1, -2) if matrix else values])
    # beyond the other end of an open axis there is nothing
    inside = [
        all(p or abs(n) < c for n, p, c in zip(b.offset, lattice.periodic, lattice.cells, strict=True)) for b in ends
    ]
    values = values * jnp.asarray(np.array(inside).reshape(-1, *(1,) * (values.ndim - 1)), values.dtype)
    pair = np.array([bond.start * lattice.sublattices + bond.end for bond in ends])
    cell = np.array([bond.offset for bond in ends]) % np.array(large.cells)

    def scattered(own: tuple[int, ...], origin: Sequence[Array | int], values: Array) -> Array:
        """The part of K with the cells `own` from `origin` on, `(*matrix, sublattices^2, *own)`."""
        where = [jnp.asarray(cell[:, k], jnp.int32) - start for k, start in enumerate(origin)]
        # negative indices would count from the end
        where = [jnp.where(x < 0, own[k], x) for k, x in enumerate(where)]
        empty = jnp.zeros((lattice.sublattices**2, *own, *values.shape[1:]), values.dtype)
        full = empty.at[(jnp.asarray(pair, jnp.int32), *where)].add(values, mode="drop")
        return jnp.moveaxis(full, (-2, -1), (0, 1)) if matrix else full

    shards = shards_of(large, spins)
    if shards is None:
        kernel = scattered(large.cells, (0,) * lattice.dimension, values)
    else:
        kernel = _on_each_device(shards, scattered, values, before=3 if matrix else 1)
    kernel = transform(large, kernel, shards is not None).conj()
    kernel = kernel.reshape(
        *kernel.shape[: 2 * matrix], lattice.sublattices, lattice.sublattices, *kernel.shape[1 + 2 * matrix :]
    )

    def product(waves: Array) -> Array:
        if not matrix:
            return jnp.sum(kernel[:, :, None] * waves[None], axis=1)
        return jnp.stack([sum_of_columns([kernel[i, j] for j in range(3)], waves) for i in range(3)], axis=1)

    return summed(lattice, large, spins, product, shards is not None)


def sum_of_columns(row: Sequence[Array], waves: Array) -> Array:
    """One component of K S: `row` holds three of K `(sublattices, sublattices, *waves)`, complex or real."""
    parts = [_times(k, waves[None, :, j]) for j, k in enumerate(row)]
    return jnp.sum(parts[0] + parts[1] + parts[2], axis=1)


def _times(kernel: Array, waves: Array) -> Array:
    if jnp.iscomplexobj(kernel):
        return kernel * waves
    return jax.lax.complex(kernel * waves.real, kernel * waves.imag)


def _on_each_device(shards: Shards, scattered: Callable[..., Array], values: Array, before: int) -> Array:
    def local(values: Array) -> Array:
        origin = [
            0 if name is None else jax.lax.axis_index(name) * own
            for name, own in zip(shards.names, shards.cells, strict=True)
        ]
        return scattered(shards.cells, origin, values)

    return shards.run(local, (values,), (jax.sharding.PartitionSpec(),), shards.spec(before=before))
