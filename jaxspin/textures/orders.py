"""Orders that repeat: ferromagnet, Neel, stripes, spirals, and several wavevectors at once."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxspin.lattice import Lattice
from jaxspin.textures.directions import Vector, finish, frame, unit

# A wavevector fits if it closes around the lattice to this fraction of a turn: it may be typed with few digits.
_TURN_TOLERANCE = 1e-3


def ferromagnet(
    lattice: Lattice, direction: Vector = (0.0, 0.0, 1.0), *, dtype: DTypeLike | None = None
) -> Float[Array, "..."]:
    """Every spin along `direction` (of any length but zero).

    Raises `ValueError` for a direction that is not three finite numbers or is zero, and a `dtype` that is no float.

    Example:
        >>> js.textures.ferromagnet(lattice)[0, 0, 0].tolist(), js.textures.ferromagnet(lattice).shape
        ([0.0, 0.0, 1.0], (4, 4, 1, 3))
    """
    return finish(np.broadcast_to(unit(direction), (*lattice.shape, 3)), dtype)


def neel(
    lattice: Lattice, direction: Vector = (0.0, 0.0, 1.0), *, dtype: DTypeLike | None = None
) -> Float[Array, "..."]:
    """Nearest neighbours opposite, the first site along `direction`: chain, square, cubic, honeycomb.

    Raises `ValueError` where nearest neighbours form odd loops (use `one_hundred_twenty`), for odd sizes along periodic
    axes, a direction that is none, and a `dtype` that is no float.

    Example:
        >>> js.textures.neel(js.chain(4))[:, 0, 2].tolist()
        [1.0, -1.0, 1.0, -1.0]
    """
    coloring = _coloring(lattice, 2)
    if coloring is None:
        raise ValueError(
            f"the {lattice.name} lattice has no two-sublattice order: its nearest neighbours form odd loops; "
            "use one_hundred_twenty or stripe."
        )
    steps, start = coloring
    return finish(_signs(lattice, steps, start, "Neel order")[..., None] * unit(direction), dtype)


def stripe(
    lattice: Lattice,
    along: Sequence[int] = (0,),
    direction: Vector = (0.0, 0.0, 1.0),
    *,
    dtype: DTypeLike | None = None,
) -> Float[Array, "..."]:
    """S = direction (-1)^(sum of n_k for k in `along`): wavevector Q = sum of b_k/2, equal within a cell.

    On the triangular lattice (0,), (1,) and (0, 1) are the three M points; on the square lattice (pi, 0),
    (0, pi) and (pi, pi). For other wavevectors use `spiral`.

    Raises `ValueError` for an odd number of cells along a periodic axis of `along`, axes that the lattice does not
    have, a direction that is none, and a `dtype` that is no float.

    Example:
        >>> js.textures.stripe(lattice, along=(0,))[:, 0, 0, 2].tolist()
        [1.0, -1.0, 1.0, -1.0]
    """
    if not along or any(not 0 <= k < lattice.dimension for k in along):
        raise ValueError(f"along={tuple(along)} must name lattice axes; use some of 0 to {lattice.dimension - 1}.")
    steps = tuple(int(k in along) for k in range(lattice.dimension))
    signs = _signs(lattice, steps, (0,) * lattice.sublattices, "stripe order")
    return finish(signs[..., None] * unit(direction), dtype)


def spiral(
    lattice: Lattice,
    wavevector: Vector,
    axis: Vector = (0.0, 0.0, 1.0),
    *,
    cone: float = math.pi / 2,
    phase: float = 0.0,
    dtype: DTypeLike | None = None,
) -> Float[Array, "..."]:
    """S = sin(cone) [u cos(q.r + phase) + v sin(q.r + phase)] + cos(cone) axis, with u, v, axis right-handed.

    Along q the spins turn right-handed about `axis`; u is x made perpendicular to it (y if `axis` is x).
    `cone` = pi/2 is the flat spiral. The spiral has to close around the periodic axes: q is a sum of m_k b_k/L_k with
    integers m_k (`observables.wavevectors`). A q that misses by at most a thousandth of a turn, as one typed with few
    digits may, is replaced by the one that closes.

    Raises `ValueError` for any other, for numbers that are not finite, an axis that is none, and a `dtype` that is no
    float.

    Example:
        >>> helix = js.textures.spiral(js.chain(4), [jnp.pi / 2])
        >>> (jnp.round(helix[:, 0, :2]) + 0.0).tolist()
        [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    """
    q, vectors = np.asarray(wavevector, float), np.array(lattice.vectors)
    if q.shape != (lattice.dimension,) or not np.isfinite([*q, cone, phase]).all():
        raise ValueError(
            f"wavevector {wavevector}, cone {cone} and phase {phase} make no spiral; give {lattice.dimension} "
            "Cartesian components and angles in radians, all finite."
        )
    turns = vectors @ q * np.array(lattice.cells) / (2 * np.pi)
    misfit = np.abs(turns - np.round(turns)) * np.array(lattice.periodic)
    closed = np.where(lattice.periodic, np.round(turns), turns) / np.array(lattice.cells) @ lattice.reciprocal()
    if np.any(misfit > _TURN_TOLERANCE):
        nearest = tuple(float(f"{x:.9g}") + 0.0 for x in closed)
        raise ValueError(
            f"wavevector {q.tolist()} turns {np.round(turns, 4).tolist()} times around the lattice; "
            f"this must be integers along periodic axes; use {nearest} or an open axis."
        )
    u, v, n = frame(axis)
    angle = (lattice.positions() @ closed + phase)[..., None]
    flat = u * np.cos(angle) + v * np.sin(angle)
    return finish(math.sin(cone) * flat + math.cos(cone) * n, dtype)


def one_hundred_twenty(
    lattice: Lattice,
    axis: Vector = (0.0, 0.0, 1.0),
    *,
    handedness: int = 1,
    dtype: DTypeLike | None = None,
) -> Float[Array, "..."]:
    """Three sublattices at 120 degrees in the plane perpendicular to `axis`.

    Triangular: the K-point order, q = (b_1 + 2 b_2)/3 (its negative for `handedness` -1). Kagome: the q = 0
    order, turning counter-clockwise around upward triangles for `handedness` +1.

    Raises `ValueError` on a bipartite lattice (use `neel`), for sizes not multiples of 3 along periodic axes of the
    K-point order, a handedness other than +-1, an axis that is none, and a `dtype` that is no float.

    Example:
        >>> order = js.textures.one_hundred_twenty(js.triangular(3))
        >>> round(float(jnp.vdot(order[0, 0, 0], order[1, 0, 0])), 3)
        -0.5
    """
    if handedness not in (1, -1):
        raise ValueError(f"handedness is the sense of the turn, got {handedness}; use +1 or -1.")
    coloring = None if _coloring(lattice, 2) is not None else _coloring(lattice, 3)
    if coloring is None:
        raise ValueError(
            f"the {lattice.name} lattice has no three-sublattice nearest-neighbour order; use neel or spiral."
        )
    steps, start = coloring
    colors = _colors(lattice, steps, start, 3, "120 degree order")
    u, v, _ = frame(axis)
    angle = (handedness * 2 * np.pi / 3 * colors)[..., None]
    return finish(u * np.cos(angle) + v * np.sin(angle), dtype)


def tetrahedral(lattice: Lattice, *, chirality: int = 1, dtype: DTypeLike | None = None) -> Float[Array, "..."]:
    """The triple-Q all-out order S = -+(cos Q1.r, cos Q2.r, cos Q3.r)/sqrt3, Q = b_1/2, b_2/2, (b_1 + b_2)/2.

    Four sublattices along the corners of a tetrahedron. On the triangular lattice every counter-clockwise
    triangle has S_i . (S_j x S_k) = `chirality` 4/(3 sqrt3) and solid angle `chirality` pi. Square works too.

    Raises `ValueError` off two-dimensional Bravais lattices, for odd sizes along periodic axes, a chirality other than
    +-1, and a `dtype` that is no float.

    Source: Martin & Batista, PRL 101, 156402 (2008), doi:10.1103/PhysRevLett.101.156402.

    Example:
        >>> lattice = js.triangular(4)
        >>> chirality = js.observables.scalar_chirality(lattice, js.textures.tetrahedral(lattice))
        >>> round(float(chirality.mean()), 3)
        0.77
    """
    if chirality not in (1, -1):
        raise ValueError(f"chirality is the sign of S_i . (S_j x S_k), got {chirality}; use +1 or -1.")
    _check_plane(lattice, "tetrahedral order")
    waves = [_signs(lattice, q, (0,), "tetrahedral order") for q in ((1, 0), (0, 1), (1, 1))]
    # with the plus sign, upward triangles of a right-handed pair of lattice vectors have negative chirality
    handed = np.sign(np.linalg.det(np.array(lattice.vectors)))
    return finish(-chirality * handed * np.stack(waves, -1) / math.sqrt(3), dtype)


def double_q(lattice: Lattice, *, dtype: DTypeLike | None = None) -> Float[Array, "..."]:
    """The coplanar orthogonal double-Q order, S = (cos Q1.r, cos Q2.r, 0)/sqrt2 with Q = b_1/2, b_2/2.

    Four sublattices at right angles; the Q are M points on the triangular lattice, (pi, 0) and (0, pi) on the
    square one.

    Raises `ValueError` off two-dimensional Bravais lattices, for odd sizes along periodic axes, and a `dtype` that is
    no float.

    Example:
        >>> js.textures.double_q(lattice).shape, round(float(js.textures.double_q(lattice)[0, 0, 0, 0]), 3)
        ((4, 4, 1, 3), 0.707)
    """
    _check_plane(lattice, "double-Q order")
    first, second = (_signs(lattice, q, (0,), "double-Q order") for q in ((1, 0), (0, 1)))
    return finish(np.stack([first, second, np.zeros_like(first)], -1) / math.sqrt(2), dtype)


def _coloring(lattice: Lattice, colors: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """First (steps, start) for which color = steps . n + start[b] differs between all nearest neighbours."""
    bonds = lattice.shell(1)
    for steps in itertools.product(range(colors), repeat=lattice.dimension):
        for rest in itertools.product(range(colors), repeat=lattice.sublattices - 1):
            start = (0, *rest)
            if all((np.dot(steps, b.offset) + start[b.end] - start[b.start]) % colors for b in bonds):
                return steps, start
    return None


def _colors(lattice: Lattice, steps: Sequence[int], start: Sequence[int], number: int, order: str) -> np.ndarray:
    fits = [
        -(-cells // number) * number if wraps and step % number else cells
        for cells, wraps, step in zip(lattice.cells, lattice.periodic, steps, strict=True)
    ]
    if fits != list(lattice.cells):
        raise ValueError(
            f"{order} needs multiples of {number} cells along periodic axes, got {lattice.cells}; "
            f"use lattice.resize({', '.join(map(str, fits))}) or open axes."
        )
    return (np.tensordot(steps, np.indices(lattice.cells), 1)[..., None] + np.array(start)) % number


def _signs(lattice: Lattice, steps: Sequence[int], start: Sequence[int], order: str) -> np.ndarray:
    return 1.0 - 2 * _colors(lattice, steps, start, 2, order)


def _check_plane(lattice: Lattice, order: str) -> None:
    if lattice.dimension != 2 or lattice.sublattices != 1:
        raise ValueError(f"{order} needs the square or triangular lattice, got {lattice.name}; use one of them.")
