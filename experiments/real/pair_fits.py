"""Couplings of pairs in a small box: those of a larger mesh folded into it, and those that fit torques best."""

from typing import Any

import jax
import numpy as np

import jaxspin as js
from jaxspin.observables import ExchangeCouplings
from jaxspin.spins import tangent
from jaxspin.training import SpinData


def folded(exchange: ExchangeCouplings, cells: int) -> ExchangeCouplings:
    """J of a box of `cells`^3 that is repeated to the mesh of `exchange`: the sum over all R that differ by its sides.

    What folds a site onto itself is a constant of the energy and is left out. Raises `ValueError` where the mesh is no
    repetition of the box.
    """
    lattice = exchange.lattice
    if any(n % cells for n in lattice.cells):
        raise ValueError(f"a mesh of {lattice.cells} repeats no box of {cells}^3; give a divisor of its sides.")
    copies = [n // cells for n in lattice.cells]
    split = [size for n in copies for size in (n, cells)]
    summed = np.asarray(exchange.couplings).reshape(*split, lattice.sublattices, lattice.sublattices).sum((0, 2, 4))
    own = np.arange(lattice.sublattices)
    summed[0, 0, 0, own, own] = 0
    return ExchangeCouplings(lattice.resize(*(cells,) * 3), summed)


def fitted_pairs(data: SpinData) -> list[Any]:
    """(i, j, R, J) of all pairs of the box, with one J for each distance: least squares of the torques of `data`.

    The field of pairs is linear in J, so that this is the best that pairs of the box can do on these data.
    """
    lattice = data.lattice
    n = lattice.sublattices
    ones = np.ones((*lattice.cells, n, n))
    ones[0, 0, 0, np.arange(n), np.arange(n)] = 0
    pairs = ExchangeCouplings(lattice, ones).pairs()
    vectors, basis = np.array(lattice.vectors), np.array(lattice.basis)
    length = np.array([np.linalg.norm(np.array(r) @ vectors + basis[j] - basis[i]) for i, j, r, _ in pairs]).round(4)
    shells = np.unique(length)
    columns = []
    for shell in shells:
        inside = [(i, j, r, np.float32(v)) for (i, j, r, v), x in zip(pairs, length, strict=True) if x == shell]
        magnet = js.Exchange(lattice, pairs=inside)
        columns.append(np.asarray(tangent(data.spins, jax.vmap(magnet.field)(data.spins)), float).ravel())
    target = np.asarray(tangent(data.spins, data.field), float).ravel()
    strengths = np.linalg.lstsq(np.stack(columns, -1), target, rcond=None)[0]
    which = np.searchsorted(shells, length)
    return [(i, j, r, float(v * strengths[k])) for (i, j, r, v), k in zip(pairs, which, strict=True)]
