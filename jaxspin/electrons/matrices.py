"""Electrons given as a matrix over orbitals, such as another program has it."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from jaxspin.electrons.hoppings import Hopping
from jaxspin.electrons.model import SDModel
from jaxspin.lattice import Bond, chain

# Part of the largest entry up to which a matrix counts as hermitian.
_ROUNDING = 1e-5


def model_of_matrix(hamiltonian: ArrayLike | Sequence, coupling: ArrayLike | Sequence = 0.0) -> SDModel:
    """The model of the matrix H `(n, n)`, hermitian, the same for both spins, with J of a spin on each orbital.

    H = sum_ij,s h_ij c+_is c_js - J_i sum_i S_i . c+_i sigma c_i: entries as they are, without the minus of `Hopping`.
    The orbitals are the sites of `js.chain(n, periodic=False)` in their order, wherever they are in space, so that
    spins and fields are `(n, 1, 3)`. `coupling` is one number or `(n,)`; give spins of length zero, or J_i = 0, where
    there is none. Every solver takes it: `ExactDiagonalization`, `KernelPolynomial`, and `GreensFunction` with
    `MatrixLead` and method="dense". It costs one hopping for each diagonal that is not zero: up to some hundred
    orbitals, or more of a narrow band.

    Raises `ValueError` for a matrix that is not square, finite and hermitian, and a coupling of another shape. For
    orbitals on a crystal use `OrbitalModel`, for hoppings that depend on spin `SDModel` with `Hopping(spin=...)`.

    Example:
        >>> ring = -np.roll(np.eye(6), 1, 0) - np.roll(np.eye(6), -1, 0)
        >>> model = js.electrons.model_of_matrix(ring)
        >>> up = js.textures.ferromagnet(model.lattice)
        >>> [abs(round(float(e), 3)) for e in jnp.linalg.eigvalsh(model.dense(up))[::2]]
        [2.0, 1.0, 1.0, 1.0, 1.0, 2.0]
    """
    h = np.asarray(hamiltonian)
    if h.ndim != 2 or h.shape[0] != h.shape[1] or not len(h):
        raise ValueError(f"a hamiltonian of shape {h.shape} is no square matrix; give (n, n), orbitals without spin.")
    h = h if np.iscomplexobj(h) else h.astype(float)
    if not np.all(np.isfinite(h)):
        raise ValueError("the hamiltonian holds inf or nan; give finite numbers.")
    off = np.abs(h - h.conj().T).max()
    if off > _ROUNDING * max(np.abs(h).max(), 1e-30):
        raise ValueError(f"the hamiltonian is off from hermitian by {off:.2g}; give (h + h.conj().T)/2.")
    n = len(h)
    j = np.asarray(coupling)
    if j.shape not in ((), (n,)):
        raise ValueError(f"coupling of shape {j.shape} does not fit {n} orbitals; give one number or ({n},).")
    hoppings = []
    for distance in range(1, n):
        entries = np.diagonal(h, distance)
        if np.any(entries):
            row = np.concatenate([-entries, np.zeros(distance, h.dtype)])
            row = np.real(row) if not np.any(np.imag(row)) else row
            hoppings.append(Hopping(Bond(0, 0, (distance,), (float(distance),)), _in_precision(row)))
    return SDModel(
        chain(n, periodic=False),
        tuple(hoppings),
        _in_precision(j if j.ndim == 0 else j[:, None]),
        potential=_in_precision(np.real(np.diagonal(h))[:, None]),
    )


def _in_precision(array: np.ndarray) -> Array:
    """In JAX's own precision, whatever NumPy had."""
    return jnp.asarray(array, jnp.result_type(complex if np.iscomplexobj(array) else float))
