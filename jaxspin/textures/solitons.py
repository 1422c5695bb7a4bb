"""Skyrmions and domain walls, differentiable in their place and size."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxspin.arrays.precision import EXACT
from jaxspin.couplings import finite_and_positive, finite_real, holds
from jaxspin.lattice import Lattice
from jaxspin.textures.directions import Scalar, Vector, float_dtype, unit


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
    dtype = float_dtype(dtype)
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
    dtype = float_dtype(dtype)
    normal = lattice.reciprocal()[axis] / np.linalg.norm(lattice.reciprocal()[axis])
    x = lattice.positions() @ normal
    d = unit(direction)
    through = np.pad(normal, (0, 3 - lattice.dimension))
    through = through - d * (d @ through)
    if np.linalg.norm(through) < 1e-6:
        raise ValueError(f"direction {tuple(direction)} is the wall's normal; use one across axis {axis}.")
    e = unit(through)
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


def _gudermannian(x: Array) -> Array:
    # sin gd = tanh and cos gd = sech, without the overflow of cosh in value or derivative
    return 2 * jnp.arctan(jnp.tanh(x / 2))


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
