"""Spinors: vectors of electrons as real arrays, which a CPU moves and adds up fast.

A spinor has four arrays `(*cells, columns)` for each sublattice: Re and Im of the up component, then of the down one.
These four are its parts. `python -m experiments.benchmarks.layouts` compares other layouts.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Int

Parts = tuple[Array, ...]
Spinor = tuple[Parts, ...]


def split(vectors: Complex[Array, "..."]) -> Spinor:
    """Complex vectors `(*cells, sublattices, 2, columns)` as a spinor."""
    real, imaginary = jnp.real(vectors), jnp.imag(vectors)
    return tuple(
        (real[..., a, 0, :], imaginary[..., a, 0, :], real[..., a, 1, :], imaginary[..., a, 1, :])
        for a in range(vectors.shape[-3])
    )


def join(spinor: Spinor) -> Complex[Array, "..."]:
    """A spinor as complex vectors `(*cells, sublattices, 2, columns)`: the inverse of `split`."""
    pairs = [jnp.stack([jax.lax.complex(ur, ui), jax.lax.complex(dr, di)], axis=-2) for ur, ui, dr, di in spinor]
    return jnp.stack(pairs, axis=-3)


def unit_spinor(shape: tuple[int, ...], site: Int[Array, " k"], dtype, occupied: Array | None = None) -> Spinor:
    """Two columns, spin up and spin down on one `site` of a lattice of this `shape`; zero on a vacancy.

    `shape` is `(*cells, sublattices)`, and `site` the indices in it.
    """
    value = 1 if occupied is None else occupied[tuple(site)].astype(dtype)
    one = jnp.zeros(shape, dtype).at[tuple(site)].set(value)[..., None]
    zero = jnp.zeros_like(one)
    up, down, none = (jnp.concatenate(pair, -1) for pair in ((one, zero), (zero, one), (zero, zero)))
    return tuple((up[..., a, :], none[..., a, :], down[..., a, :], none[..., a, :]) for a in range(shape[-1]))


# --- arithmetic, with complex numbers as pairs of real ones ----------------------------------------------------------


def complex_of(dtype):
    """The complex numbers of a real precision."""
    return jnp.complex128 if dtype == jnp.float64 else jnp.complex64


def complex_parts(value: Array, dtype) -> tuple[Array, Array | None]:
    """Re and Im as factors of `(*cells, columns)`; None for the imaginary part of a real number."""
    value = value[..., None] if value.ndim else value
    return jnp.real(value).astype(dtype), jnp.imag(value).astype(dtype) if jnp.iscomplexobj(value) else None


def multiply(z: tuple[Array, Array | None], parts: Parts) -> Parts:
    """A number, as `complex_parts` has it, times the parts of a spinor."""
    a, b = z
    ur, ui, dr, di = parts
    if b is None:
        return a * ur, a * ui, a * dr, a * di
    return a * ur - b * ui, a * ui + b * ur, a * dr - b * di, a * di + b * dr


def mix(matrix: Array | None, parts: Parts) -> Parts:
    """The 2x2 matrix on the spin, None for 1."""
    if matrix is None:
        return parts
    dtype = parts[0].dtype
    rows = []
    for s in range(2):
        up = multiply(complex_parts(matrix[s, 0], dtype), parts)
        down = multiply(complex_parts(matrix[s, 1], dtype), parts)
        rows += [up[0] + down[2], up[1] + down[3]]
    return rows[0], rows[1], rows[2], rows[3]
