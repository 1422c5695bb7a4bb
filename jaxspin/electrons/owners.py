"""Orbitals and the atoms that own them: whose spin an orbital feels, where it is, and what may couple it to which."""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Num

from jaxspin.arrays.spinors import complex_of
from jaxspin.couplings import numeric
from jaxspin.electrons.blocks import Offsets, hermitian
from jaxspin.lattice import Lattice

Owners = tuple[int | None, ...]


def same_owner(owners: Sequence[int | None]) -> np.ndarray:
    """Which pairs of orbitals `(n, n)` feel one and the same spin."""
    number = np.array([-1 if o is None else o for o in owners])
    return (number[:, None] == number) & (number >= 0)


@functools.lru_cache(maxsize=64)
def orbital_lattice(lattice: Lattice, owners: Owners) -> Lattice:
    """A site for each orbital: at its atom, or anywhere without one, and a little apart from the others there."""
    step = np.array(lattice.vectors[0]) * 1e-4
    home = [np.array(lattice.basis[0 if o is None else o]) for o in owners]
    basis = [x + m * step for m, x in enumerate(home)]
    return Lattice(f"{lattice.name} of orbitals", lattice.vectors, basis, lattice.cells, lattice.periodic)


def checked_blocks(
    name: str, offsets: Offsets, value: ArrayLike, shapes: list[tuple[int, ...]]
) -> Num[Array, "vectors m m"]:
    """Hermitian blocks of one of the `shapes`; `ValueError` for others."""
    found = numeric(value, name)
    if found.shape not in shapes:
        given = [s[1:] if name == "exchange" else s for s in shapes]
        shape = found.shape[1:] if name == "exchange" else found.shape
        raise ValueError(
            f"{name} of shape {shape} does not fit {len(offsets)} lattice vectors and the owners; give "
            f"{' or '.join(map(str, given))}."
        )
    return hermitian(name, offsets, found)


def checked_positions(
    value: ArrayLike | Sequence[Sequence[float | int]] | None, shape: tuple[int, int]
) -> tuple[tuple[float, ...], ...] | None:
    """Positions of orbitals as numbers that programs are compiled for; `ValueError` for another shape."""
    if value is None:
        return None
    found = np.asarray(value, float)
    if found.shape != shape or not np.all(np.isfinite(found)):
        raise ValueError(
            f"positions of shape {found.shape} are none of {shape[0]} orbitals; give {shape}, one finite position each."
        )
    return tuple(tuple(float(x) for x in row) for row in found)


def check_zero(name: str, value: Array, where: np.ndarray, what: str) -> None:
    """Refuse elements other than zero at the pairs of orbitals `where`: raises `ValueError`."""
    if isinstance(value, Tracer) or not np.any(np.asarray(value)[..., where]):
        return
    largest = np.max(np.abs(np.asarray(value)[..., where]))
    raise ValueError(f"{name} has elements up to {largest:.2g} between {what}.")


def as_complex(x: Array) -> Array:
    """The same numbers as complex ones of their precision."""
    return x if jnp.iscomplexobj(x) else x.astype(complex_of(x.dtype))
