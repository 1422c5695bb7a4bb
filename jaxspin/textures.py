"""Named spin orders: arrays of unit spins `(*cells, sublattices, 3)`.

Angles in radians, lengths in lattice constants, wavevectors Cartesian; `dtype` defaults to JAX's own float.
An order that does not close around a periodic axis raises `ValueError` naming the size that fits.
"""

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxspin.arrays.precision import EXACT
from jaxspin.couplings import finite_and_positive, finite_real, holds
from jaxspin.lattice import Lattice

__all__ = [
    "domain_wall",
    "double_q",
    "ferromagnet",
    "neel",
    "one_hundred_twenty",
    "skyrmion",
    "spiral",
    "stripe",
    "tetrahedral",
]

Vector = Sequence[float | int] | np.ndarray
Scalar = float | int | Float[Array, ""]


def __dir__() -> list[str]:
    return __all__


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
    return _finish(np.broadcast_to(_unit(direction), (*lattice.shape, 3)), dtype)


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
    return _finish(_signs(lattice, steps, start, "Neel order")[..., None] * _unit(direction), dtype)


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
    return _finish(signs[..., None] * _unit(direction), dtype)


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
    u, v, n = _frame(axis)
    angle = (lattice.positions() @ closed + phase)[..., None]
    flat = u * np.cos(angle) + v * np.sin(angle)
    return _finish(math.sin(cone) * flat + math.cos(cone) * n, dtype)


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
    u, v, _ = _frame(axis)
    angle = (handedness * 2 * np.pi / 3 * colors)[..., None]
    return _finish(u * np.cos(angle) + v * np.sin(angle), dtype)


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
    return _finish(-chirality * handed * np.stack(waves, -1) / math.sqrt(3), dtype)


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
    return _finish(np.stack([first, second, np.zeros_like(first)], -1) / math.sqrt(2), dtype)


def skyrmion(
    lattice: Lattice,
    radius: Scalar,
    *,
    center: Vector | Float[Array, " 2"] | None = None,
    width: Scalar | None = None,
    helicity: Scalar = 0.0,
    polarity: int = -1,
    winding: int = 1,
    dtype: DTypeLike | None = None,
) -> Float[Array, "..."]:
    """A skyrmion of charge Q = `polarity` `winding` in a uniform background.

    At distance r and azimuth phi from `center` (default: the middle of the lattice)
    S = (sin A cos B, sin A sin B, -polarity cos A) with B = winding phi + helicity and the profile of a
    360-degree wall, A(r) = pi - gd((r + radius)/width) - gd((r - radius)/width), gd(x) = 2 arctan(tanh(x/2)):
    pi in the core, pi/2 near `radius`, 0 outside. The default, core down in an up background, has Q = -1.
    Helicity 0 or pi is Neel type (pointing outward or inward), +-pi/2 Bloch type; winding -1 is an
    antiskyrmion. `width` defaults to radius/2; periodic images meet with tails of order
    exp(-(period/2 - radius)/width). Differentiable in center, radius, width and helicity.

    Raises `ValueError` off two dimensions, for polarity other than +-1, a winding that is zero or no integer, a radius
    that is too large or not positive, a width that is not positive, a center or helicity that is not finite, and a
    `dtype` that is no float.

    Source of the profile: Romming et al., PRL 114, 177203 (2015), doi:10.1103/PhysRevLett.114.177203.

    Example:
        >>> lattice = js.square(12)
        >>> round(float(js.observables.topological_charge(lattice, js.textures.skyrmion(lattice, radius=3.0))), 2)
        -1.0
    """
    if lattice.dimension != 2:
        raise ValueError(f"a skyrmion needs a two-dimensional lattice, got {lattice.name}; use square or such.")
    if polarity not in (1, -1):
        raise ValueError(f"polarity is the S_z of the core; use +1 or -1, got {polarity}.")
    for name, length in (("radius", radius), ("width", 1.0 if width is None else width)):
        if not holds(finite_and_positive, length):
            raise ValueError(
                f"{name} = {length} of a skyrmion must be positive; the core is turned by polarity=+1 or -1."
            )
    if winding == 0 or int(winding) != winding:
        raise ValueError(f"winding {winding} makes no skyrmion; use 1, or -1 for an antiskyrmion.")
    dtype = _float(dtype)
    period = min((np.linalg.norm(v) for v in _images(lattice) if np.any(v)), default=math.inf)
    if isinstance(radius, int | float) and 2 * radius >= period:
        raise ValueError(
            f"a skyrmion of radius {radius} does not fit a period of {period:.3g}; use lattice.resize(...)."
        )
    middle = finite_real(lattice.positions().reshape(-1, 2).mean(0) if center is None else center, "center")
    if middle.shape != (2,):
        raise ValueError(f"center {center} is no point of the plane; give two Cartesian components.")
    width = radius / 2 if width is None else width
    numbers = (middle, radius, width, finite_real(helicity, "helicity"))
    return _skyrmion(lattice, *(jnp.asarray(x, dtype) for x in numbers), polarity, winding)


@functools.partial(jax.jit, static_argnames=("polarity", "winding"))
def _skyrmion(
    lattice: Lattice, center: Array, radius: Array, width: Array, helicity: Array, polarity: int, winding: int
) -> Array:
    x, y = jnp.moveaxis(_displacement(lattice, center), -1, 0)
    square = x * x + y * y
    core = square == 0
    r = jnp.sqrt(jnp.where(core, 1, square))
    rise = _gudermannian((r + radius) / width) + _gudermannian((r - radius) / width)  # pi - A
    # sin A / r has a limit in the core, which the derivative with respect to the center needs
    slope = jnp.where(core, 2 / width * jnp.cos(_gudermannian(radius / width)), jnp.sin(rise) / r)
    up = jnp.where(core, 1, jnp.cos(rise))
    sense = 1 if winding > 0 else -1
    angle = sense * (abs(winding) - 1) * jnp.arctan2(y, jnp.where(core, 1, x)) + helicity
    sx = slope * (x * jnp.cos(angle) - sense * y * jnp.sin(angle))
    sy = slope * (x * jnp.sin(angle) + sense * y * jnp.cos(angle))
    return jnp.stack([sx, sy, polarity * up], -1)


def domain_wall(
    lattice: Lattice,
    position: Scalar | None = None,
    width: Scalar = 2.0,
    *,
    axis: int = 0,
    helicity: Scalar = 0.0,
    direction: Vector = (0.0, 0.0, 1.0),
    dtype: DTypeLike | None = None,
) -> Float[Array, "..."]:
    """A wall between two domains, S = -tanh(u) d + sech(u) [cos(helicity) e + sin(helicity) d x e].

    u = (x - position)/width; d is `direction`, which the spins follow before the wall (-d behind it); x runs
    along b_axis, so the wall lies along the other lattice vectors; e is its normal made perpendicular to d.
    `helicity` 0 or pi is a Neel wall, +-pi/2 a Bloch wall. On the square lattice exchange J and anisotropy K
    along d hold a wall of width about sqrt(J/(2 K)). Differentiable in `position`, `width` and `helicity`.

    Raises `ValueError` if the axis is periodic (one wall does not close), not of the lattice, or parallel to
    `direction`, for a width that is not positive, a position or helicity that is not finite, a direction that is none,
    and a `dtype` that is no float.

    Source: L. D. Landau and E. Lifshitz, Phys. Z. Sowjetunion 8, 153 (1935).

    Example:
        >>> wall = js.textures.domain_wall(js.chain(5, periodic=False), position=2.0, width=1.0)
        >>> [round(float(s), 3) + 0.0 for s in wall[:, 0, 2]]
        [0.964, 0.762, 0.0, -0.762, -0.964]
    """
    if not 0 <= axis < lattice.dimension:
        raise ValueError(f"axis {axis} is not an axis of the lattice; use 0 to {lattice.dimension - 1}.")
    if lattice.periodic[axis]:
        raise ValueError(
            f"one domain wall does not close around the periodic axis {axis}; open it with periodic=False."
        )
    if not holds(finite_and_positive, width):
        raise ValueError(f"width = {width} of a wall must be positive; turn the wall around by direction=.")
    dtype = _float(dtype)
    normal = lattice.reciprocal()[axis] / np.linalg.norm(lattice.reciprocal()[axis])
    x = lattice.positions() @ normal
    d = _unit(direction)
    through = np.pad(normal, (0, 3 - lattice.dimension))
    through = through - d * (d @ through)
    if np.linalg.norm(through) < 1e-6:
        raise ValueError(f"direction {tuple(direction)} is the wall's normal; use one across axis {axis}.")
    e = _unit(through)
    middle = finite_real(x.mean() if position is None else position, "position")
    values = (x, middle, width, finite_real(helicity, "helicity"), d, e, np.cross(d, e))
    return _domain_wall(*(jnp.asarray(v, dtype) for v in values))


@jax.jit
def _domain_wall(
    x: Array, middle: Array, width: Array, angle: Array, d: Array, e: Array, f: Array
) -> Float[Array, "*cells sublattices 3"]:
    turn = _gudermannian((x - middle) / width)[..., None]
    across = jnp.cos(angle) * e + jnp.sin(angle) * f
    rank = (1,) * x.ndim
    return -jnp.sin(turn) * d.reshape(*rank, 3) + jnp.cos(turn) * across.reshape(*rank, 3)


def _finish(spins: np.ndarray, dtype: DTypeLike | None) -> Array:
    return jnp.asarray(spins, _float(dtype))


def _float(dtype: DTypeLike | None) -> DTypeLike:
    if dtype is None:
        return jnp.result_type(float)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"spins of dtype {dtype} would be cut to integers or gain imaginary parts; give a float.")
    return dtype


def _unit(vector: Vector) -> np.ndarray:
    v = np.asarray(vector, float)
    if v.shape != (3,) or not 0 < np.linalg.norm(v) < np.inf:
        raise ValueError(f"{vector} is not a direction; give three finite components, not all zero.")
    return v / np.linalg.norm(v)


def _frame(axis: Vector) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = _unit(axis)
    start = np.eye(3)[0] if abs(n[0]) < 0.999 else np.eye(3)[1]
    u = _unit(start - n * (n @ start))
    return u, np.cross(n, u), n


def _gudermannian(x: Array) -> Array:
    # sin gd = tanh and cos gd = sech, without the overflow of cosh in value or derivative
    return 2 * jnp.arctan(jnp.tanh(x / 2))


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


def _images(lattice: Lattice) -> np.ndarray:
    """The translations `(images, dimension)` to the next copies of a periodic lattice, zero included."""
    copies = [(-1, 0, 1) if wraps else (0,) for wraps in lattice.periodic]
    return np.array(list(itertools.product(*copies))) * np.array(lattice.cells) @ np.array(lattice.vectors)


def _displacement(lattice: Lattice, center: Array) -> Array:
    """From `center` to every site by the shortest way `(*cells, sublattices, dimension)`."""
    dtype = center.dtype
    rank = (1,) * len(lattice.shape)
    away = jnp.asarray(lattice.positions(), dtype) - center.reshape(*rank, -1)
    box = np.array(lattice.vectors) * np.array(lattice.cells)[:, None]
    # accelerators round matrix products of single precision unless told not to
    turns = jnp.round(jnp.matmul(away, jnp.asarray(np.linalg.inv(box), dtype), precision=EXACT))
    turns = jnp.where(np.broadcast_to(lattice.periodic, away.shape), turns, 0)
    away = away - jnp.matmul(turns, jnp.asarray(box, dtype), precision=EXACT)
    images = jnp.asarray(_images(lattice), dtype).reshape(-1, *rank, lattice.dimension)
    candidates = away[None] + images
    nearest = jnp.argmin(jnp.sum(candidates**2, axis=-1), axis=0)[None, ..., None]
    return jnp.take_along_axis(candidates, nearest, axis=0)[0]
