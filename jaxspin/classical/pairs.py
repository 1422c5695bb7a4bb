"""Couplings of pairs of sites, each pair with its own number or matrix."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxspin.arrays.vectors import components, stacked
from jaxspin.classical.bonds import are_many, over_bonds, shared_out
from jaxspin.classical.convolution import sum_over_pairs
from jaxspin.couplings import finite_real
from jaxspin.field import Spins
from jaxspin.lattice import Bond, Lattice

# (i, j, R, J): atom i of cell 0, atom j of cell R, and J, one number or (3, 3); checked where it is read
Pair = Any

# Lists from both ends may differ by so much of their largest number, as printed numbers do.
_DIGITS = 1e-4


class Pairs(eqx.Module):
    """Pairs of sites, each once: `strengths` `(pairs,)` or `(pairs, 3, 3)`, and the (i, j, R) they belong to."""

    strengths: Float[Array, "pairs *matrix"]
    ends: tuple[tuple[int, int, tuple[int, ...]], ...] = eqx.field(static=True)

    def __init__(self, lattice: Lattice, pairs: Sequence[Pair]):
        ends, values = _read(lattice, pairs)
        reverse = _reversals(ends)
        self.strengths = finite_real(values, "the J of a pair")
        self.ends = tuple(ends)
        if reverse is not None:
            first = np.array([n for n, other in enumerate(reverse) if n < other])
            self.strengths = _joined(self.strengths, values, ends, first, np.array(reverse)[first])
            self.ends = tuple(ends[n] for n in first)

    def check(self, lattice: Lattice) -> None:
        """Refuse a lattice without these atoms, or of another dimension: raises `ValueError`."""
        for pair in self.ends:
            _check_ends(lattice, *pair)

    def field(self, lattice: Lattice, spins: Spins) -> Spins:
        """sum_j J_ij S_j over the pairs of every site."""
        bonds = [Bond(start, end, offset, ()) for start, end, offset in self.ends]
        if are_many(bonds):
            return sum_over_pairs(lattice, bonds, self.strengths, spins)
        return shared_out(lattice, bonds, [self.strengths], [True], spins, lambda *part: _written_out(bonds, *part))


def _written_out(bonds: Sequence[Bond], lattice: Lattice, couplings: Sequence[Array], spins: Spins) -> Spins:
    (strengths,) = couplings
    if strengths.ndim == 1:
        return over_bonds(lattice, [[b] for b in bonds], list(strengths), spins, lambda n, neighbor, sign: neighbor)
    turned = jnp.swapaxes(strengths, -1, -2)
    even, odd = ((strengths + turned) / 2).astype(spins.dtype), ((strengths - turned) / 2).astype(spins.dtype)

    def act(index: Any, neighbor: Array, sign: Any) -> Array:
        # J from the start of a bond, its transpose from the end
        matrix, (x, y, z) = even[index] + sign * odd[index], components(neighbor)
        return stacked([row[0] * x + row[1] * y + row[2] * z for row in (matrix[0], matrix[1], matrix[2])])

    return over_bonds(lattice, [bonds], [jnp.ones((), spins.dtype)], spins, act)


def _read(lattice: Lattice, pairs: Sequence[Pair]) -> tuple[list[tuple[int, int, tuple[int, ...]]], Any]:
    """The (i, j, R), and the J in one array: numbers, or matrices if one of them is."""
    if callable(getattr(pairs, "pairs", None)):
        kind = type(pairs).__name__
        raise TypeError(f"{kind} is no list of pairs; give the one that its method .pairs(...) returns.")
    ends, values = [], []
    for pair in pairs:
        try:
            i, j, offset, value = pair
            i, j, offset = _whole(i), _whole(j), tuple(_whole(n) for n in offset)
        except (TypeError, ValueError):
            raise ValueError(f"{pair!r} is no pair; give (i, j, R, J), such as (0, 0, (1, 0, 0), 1.5).") from None
        _check_ends(lattice, i, j, offset)
        shape = np.shape(value)
        if shape not in ((), (3, 3)):
            vector = ", for a vector D [[0, D_z, -D_y], [-D_z, 0, D_x], [D_y, -D_x, 0]]" if shape == (3,) else ""
            raise ValueError(
                f"J of shape {shape} of the pair {i, j, offset} couples no spins; give a number or (3, 3){vector}."
            )
        ends.append((i, j, offset))
        values.append(value)
    if not ends:
        raise ValueError("pairs is empty; give at least one (i, j, R, J), or leave it out.")
    stack = jnp if any(isinstance(value, Tracer) for value in values) else np
    values = [stack.asarray(value) for value in values]
    if any(value.ndim for value in values):
        dtype = stack.result_type(*values, *([] if stack is jnp else [np.float32]))
        identity = np.eye(3)
        values = [value if value.ndim else value * stack.asarray(identity, dtype) for value in values]
    return ends, stack.stack(values)


def _whole(n: Any) -> int:
    if int(n) != n:
        raise ValueError
    return int(n)


def _check_ends(lattice: Lattice, i: int, j: int, offset: tuple[int, ...]) -> None:
    for atom in (i, j):
        if not 0 <= atom < lattice.sublattices:
            raise ValueError(
                f"the {lattice.name} lattice has no atom {atom} for the pair {i, j, offset}; count them from 0 to "
                f"{lattice.sublattices - 1}."
            )
    if len(offset) != lattice.dimension:
        raise ValueError(
            f"R = {offset} of the pair {i, j, offset} needs {lattice.dimension} entries, one per lattice vector."
        )
    if i == j and not any(offset):
        raise ValueError(
            f"the pair {i, j, offset} joins a site to itself; give that energy as a term of sites, such as Anisotropy."
        )


def _reversals(ends: Sequence[tuple[int, int, tuple[int, ...]]]) -> list[int] | None:
    """For a list from both ends the place of every pair's reverse; None for one that has each pair once."""
    places = {pair: n for n, pair in enumerate(ends)}
    if len(places) < len(ends):
        twice = next(pair for n, pair in enumerate(ends) if places[pair] != n)
        raise ValueError(f"the pair {twice} is listed twice; give one J, the sum.")
    back = [places.get((j, i, tuple(-n for n in offset))) for i, j, offset in ends]
    if all(place is None for place in back):
        return None
    if None in back:
        alone, both = ends[back.index(None)], next(p for p, place in zip(ends, back, strict=True) if place is not None)
        raise ValueError(
            f"the pair {both} is listed from both ends, {alone} from one; give each pair once, or all from both ends."
        )
    return [place for place in back if place is not None]


def _joined(strengths: Array, values: Any, ends: Sequence[Any], first: np.ndarray, second: np.ndarray) -> Array:
    """One J for a pair and its reverse; `ValueError` where they contradict each other."""

    def turned(x: Any) -> Any:
        return x.swapaxes(-1, -2) if x.ndim > 1 else x

    if not isinstance(values, Tracer):
        off = np.abs(values[first] - turned(values[second])).reshape(len(first), -1).max(axis=1)
        worst = int(np.argmax(off))
        if off[worst] > _DIGITS * np.abs(values).max():
            raise ValueError(
                f"the pair {ends[first[worst]]} and its reverse differ: J_ji must be the transpose of J_ij; give each "
                "pair once, or make the two agree."
            )
    return (strengths[first] + turned(strengths[second])) / 2
