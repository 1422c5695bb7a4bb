"""Scalar chirality and topological charge of spins `(*cells, sublattices, 3)` in two dimensions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.precision import EXACT
from jaxspin.couplings import real
from jaxspin.lattice import Lattice
from jaxspin.observables.triangles import Triangle, edges_of, elementary_triangles, triangulation
from jaxspin.spins import check_unit, takes_spins


@takes_spins(unit=True)
@jax.jit
def scalar_chirality(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "*cells triangles"]:
    """chi = S_i . (S_j x S_k), corners counter-clockwise, on the `elementary_triangles` of every cell.

    Zero where a corner is vacant or beyond an open edge. For the charge of a texture use `topological_charge`.

    Raises `ValueError` off two dimensions (take a layer), and for spins of another lattice or longer than 1.

    Example:
        >>> lattice = js.triangular(4)
        >>> chirality = js.observables.scalar_chirality(lattice, js.textures.tetrahedral(lattice))
        >>> chirality.shape, round(float(chirality.mean()), 3)
        ((4, 4, 2), 0.77)
    """
    corners = [_corner_spins(lattice, spins, t) for t in elementary_triangles(lattice)]
    return jnp.stack([_triple(*c) for c in corners], axis=-1)


@takes_spins(unit=True)
@jax.jit
def vector_chirality(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "*cells triangles"]:
    """kappa = 2/(3 sqrt3) |S_1 x S_2 + S_2 x S_3 + S_3 x S_1| on the `elementary_triangles` of every cell.

    1 in the 120 degree order, whatever plane that lies in, and 0 in the core of a vortex of it and where spins are
    parallel. Zero where a corner is vacant or beyond an open edge. For noncoplanar order use `scalar_chirality`.

    Raises `ValueError` off two dimensions (take a layer), and for spins of another lattice or longer than 1.

    Source: H. Kawamura and S. Miyashita, J. Phys. Soc. Jpn. 53, 4138 (1984), doi:10.1143/JPSJ.53.4138.

    Example:
        >>> lattice = js.triangular(3)
        >>> chirality = js.observables.vector_chirality(lattice, js.textures.one_hundred_twenty(lattice))
        >>> chirality.shape, round(float(chirality.min()), 3)
        ((3, 3, 2), 1.0)
    """
    found = []
    for triangle in elementary_triangles(lattice):
        a, b, c = _corner_spins(lattice, spins, triangle)
        total = jnp.cross(a, b) + jnp.cross(b, c) + jnp.cross(c, a)
        square = jnp.sum(total**2, axis=-1)
        occupied = jnp.any(a != 0, axis=-1) & jnp.any(b != 0, axis=-1) & jnp.any(c != 0, axis=-1)
        counts = occupied & (square > 0)
        # the root of zero has no finite slope
        found.append(jnp.where(counts, jnp.sqrt(jnp.where(counts, square, 1)), 0))
    return 2 / (3 * 3**0.5) * jnp.stack(found, axis=-1)


@takes_spins
def charge_density(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "*cells"]:
    """Topological charge of each cell, the sum over its triangles (`triangulation`) of Omega/(4 pi).

    Omega, in [-2 pi, 2 pi], is the signed solid angle of the spins at counter-clockwise corners, tan(Omega/2)
    = S_1 . (S_2 x S_3) / (1 + S_1 . S_2 + S_2 . S_3 + S_3 . S_1) (Berg & Luescher, Nucl. Phys. B 190, 412
    (1981), doi:10.1016/0550-3213(81)90568-X). It is computed as the phase around the triangle of the overlaps of spin
    coherent states, Omega/2 = arg(<S_1|S_2> <S_2|S_3> <S_3|S_1>), each of which two triangles share: their sum over a
    closed lattice is an integer whatever the spins.

    Omega is not defined between antiparallel spins (here: to 1e-3), nor has it a sign on triangles of a great circle
    (to 1e-5, in single precision 1e-3). There it is that of spins which all lean a little towards one fixed direction.
    So collinear and coplanar states (Neel, stripes, 120 degrees) have the total charge 0. Triangles with a vacancy or
    beyond an open edge count zero.

    Raises `ValueError` off two dimensions, and for spins of another lattice or not of length one (or zero).

    Example:
        >>> lattice = js.triangular(4)
        >>> density = js.observables.charge_density(lattice, js.textures.tetrahedral(lattice))
        >>> density.shape, round(float(density[0, 0]), 3)
        ((4, 4), 0.5)
    """
    check_unit(spins)
    return _charge_density(lattice, spins)


@jax.jit
def _charge_density(lattice: Lattice, spins: Array) -> Array:
    leaning = jnp.asarray(_LEAN, spins.dtype)
    coherent = [_coherent(spins[..., b, :], leaning) for b in range(lattice.sublattices)]
    triangles, edges = triangulation(lattice), edges_of(lattice)
    links = {
        (start, end, step): _link(
            coherent[start], jax.tree.map(lambda x, n=step: lattice.translate(x, n), coherent[end])
        )
        for start, end, step in edges
    }
    occupied = jnp.any(spins != 0, axis=-1)
    total = jnp.zeros(lattice.cells, spins.dtype)
    for corners in triangles:
        sides = []
        for (a, n), (b, m) in zip(corners, (*corners[1:], corners[0]), strict=True):
            step = tuple(np.subtract(m, n).tolist())
            forward = (a, b, step) in links
            where = n if forward else m
            parts = links[(a, b, step) if forward else (b, a, tuple(-x for x in step))]
            parts = tuple(lattice.translate(x, where) for x in parts)
            sides.append(parts if forward else _conjugate(parts))
        whole = functools.reduce(jnp.logical_and, [lattice.translate(occupied[..., b], n) for b, n in corners])
        total = total + jnp.where(whole, _half_angle(sides), 0)
    return total / (2 * np.pi)


@takes_spins
def topological_charge(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, ""]:
    """Q = (1/4 pi) sum of solid angles: an integer, to rounding, on every periodic lattice without vacancies.

    A skyrmion with its core down in an up background has Q = -1. With vacancies or open edges it is the charge of the
    triangles that have all three corners, a part of a sphere and no integer. Its derivative is zero where it is an
    integer; `charge_density` says where the charge sits, and what counts where it is not defined.

    Raises `ValueError` off two dimensions (take a layer), and for spins of another lattice or not of length one (or
    zero).

    Source: B. Berg and M. Luescher, Nucl. Phys. B 190, 412 (1981), doi:10.1016/0550-3213(81)90568-X.

    Example:
        >>> lattice = js.triangular(4)
        >>> round(float(js.observables.topological_charge(lattice, js.textures.tetrahedral(lattice))), 3)
        8.0
    """
    check_unit(spins)
    return _charge(lattice, spins)


@jax.jit
def _charge(lattice: Lattice, spins: Array) -> Array:
    return jnp.sum(_charge_density(lattice, spins))


# A cell counts for the centre of a texture from this share of the largest smoothed weight on.
_COUNTS = 0.3

# How far spins lean where Omega is not defined, and where to: a direction that no lattice or texture singles out.
_LEAN = 3e-3 * np.array([0.536, -0.271, 0.799])

# Spins count as antiparallel where their overlap is below the first, and a triangle as one of a great circle within the
# second; in single precision within the third, which is as near as `relax` brings a state.
_ANTIPARALLEL, _FLAT, _FLAT_SINGLE = 1e-3, 1e-5, 1e-3


def _coherent(spins: Array, leaning: Array) -> tuple[Array, ...]:
    """Spinors along the spins and then along the leaning ones, each two complex numbers as four real ones.

    The gauge is that of the nearer pole, (1 + z, x + iy) or (x - iy, 1 - z), before it is divided by its length.
    """
    upper = spins[..., 2] >= 0

    def spinor(s):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        length = jnp.sqrt(2 * (1 + jnp.abs(z)))
        zero = jnp.zeros_like(x)
        up = (jnp.where(upper, 1 + z, x), jnp.where(upper, zero, -y))
        down = (jnp.where(upper, x, 1 - z), jnp.where(upper, y, zero))
        return tuple(part / length for part in (*up, *down))

    leant = spins + jnp.broadcast_to(leaning, spins.shape)
    return (*spinor(spins), *spinor(leant / jnp.linalg.norm(leant, axis=-1, keepdims=True)))


def _link(bra: tuple[Array, ...], ket: tuple[Array, ...]) -> tuple[Array, ...]:
    """Phases exp(i arg <a|b>), of the spins and of the leaning ones, and whether the spins are antiparallel."""

    def overlap(a, b):
        real = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
        imaginary = a[0] * b[1] - a[1] * b[0] + a[2] * b[3] - a[3] * b[2]
        size = real * real + imaginary * imaginary
        empty = size == 0
        inverse = jax.lax.rsqrt(jnp.where(empty, 1, size))
        return jnp.where(empty, 1, real * inverse), imaginary * inverse, size

    *plain, size = overlap(bra[:4], ket[:4])
    *leaning, _ = overlap(bra[4:], ket[4:])
    far = size < _ANTIPARALLEL**2
    plain = [jnp.where(far, y, x) for x, y in zip(plain, leaning, strict=True)]
    return (*plain, *leaning, far)


def _conjugate(link: tuple[Array, ...]) -> tuple[Array, ...]:
    real, imaginary, lean_real, lean_imaginary, far = link
    return real, -imaginary, lean_real, -lean_imaginary, far


def _half_angle(sides: list[tuple[Array, ...]]) -> Array:
    """Omega/2, the phase of the product of the three links around a triangle."""

    def times(a, b):
        return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]

    plain = functools.reduce(times, [s[:2] for s in sides])
    leaning = jax.lax.stop_gradient(functools.reduce(times, [s[2:4] for s in sides]))
    angle = jnp.arctan2(plain[1], plain[0])
    unclear = functools.reduce(jnp.logical_or, [s[4] for s in sides])
    flat = _FLAT if angle.dtype == jnp.float64 else _FLAT_SINGLE
    unclear |= (plain[0] < 0) & (jnp.abs(plain[1]) < flat)
    wanted = jnp.arctan2(leaning[1], leaning[0])
    turns = jnp.round((wanted - jax.lax.stop_gradient(angle)) / (2 * np.pi))
    return angle + jnp.where(unclear, turns, 0) * (2 * np.pi)


@jax.jit
def texture_center(lattice: Lattice, weights: Float[Array, "*cells"]) -> Float[Array, " dimension"]:
    """The Cartesian centre of `weights`, such as `charge_density` with its sign; it follows a moving skyrmion.

    Noise in cells far from the texture would shift a plain centre of mass. So the weights are smoothed, twice over five
    cells along every axis, in which thermal charges of both signs cancel. They are taken with the sign of their sum,
    and only what exceeds 0.3 of their maximum counts. On an open square of 40 cells, with spins that noise turns by
    0.1, the centre of a skyrmion of radius 3 is right to 0.08 a; that of abs(`charge_density`) itself is off by 7 a.
    Of several textures of like size it is the centre of all.

    Along a periodic axis it is the circular mean, which crosses the edge smoothly, along an open one the plain mean. A
    cell counts at its origin: add half a cell for `charge_density`, whose triangles fill the cell. NaN for weights that
    sum to zero. Differentiable, with the sign and the cells that count held fixed.

    Raises `ValueError` for weights that are not one real number a cell. For the place of a wall use `wall_position`.

    Source of the circular mean: L. Bai and D. Breen, J. Graph. Tools 13, 53 (2008),
    doi:10.1080/2151237X.2008.10129266.

    Example:
        >>> lattice = js.square(12)
        >>> density = js.observables.charge_density(lattice, js.textures.skyrmion(lattice, 2.5, center=(5.0, 6.0)))
        >>> [round(float(x) + 0.5, 1) for x in js.observables.texture_center(lattice, density)]
        [5.0, 6.0]
    """
    weights = real(weights, "weights")
    if weights.shape != lattice.cells:
        raise ValueError(
            f"weights of shape {weights.shape} do not fit the cells {lattice.cells} of the {lattice.name} lattice; "
            "give one number a cell, such as charge_density(lattice, spins)."
        )
    smooth = weights * jax.lax.stop_gradient(jnp.sign(jnp.sum(weights)))
    for axis in [*range(lattice.dimension)] * 2:
        steps = [tuple(n * int(k == axis) for k in range(lattice.dimension)) for n in range(-2, 3)]
        smooth = functools.reduce(jnp.add, [lattice.translate(smooth, step) for step in steps])
    weights = jnp.maximum(smooth - _COUNTS * jnp.max(smooth), 0)
    total = jnp.sum(weights)
    nonzero = total > 0
    total = jnp.where(nonzero, total, 1)
    along = []
    for axis, (cells, wraps) in enumerate(zip(lattice.cells, lattice.periodic, strict=True)):
        profile = jnp.sum(weights, axis=tuple(k for k in range(lattice.dimension) if k != axis)) / total
        n = np.arange(cells)
        if wraps:
            turn = 2 * np.pi / cells * n
            c, s = (jnp.sum(profile * jnp.asarray(f, weights.dtype)) for f in (np.cos(turn), np.sin(turn)))
            even = (s == 0) & (c == 0)
            along.append(jnp.mod(jnp.arctan2(s, jnp.where(even, 1, c)) * (cells / (2 * np.pi)), cells))
        else:
            along.append(jnp.sum(profile * jnp.asarray(n, weights.dtype)))
    center = jnp.matmul(jnp.stack(along), jnp.asarray(lattice.vectors, weights.dtype), precision=EXACT)
    return jnp.where(nonzero, center, jnp.nan)


def _corner_spins(lattice: Lattice, spins: Array, triangle: Triangle) -> list[Array]:
    return [lattice.translate(spins[..., b, :], offset) for b, offset in triangle]


def _triple(a: Array, b: Array, c: Array) -> Array:
    return jnp.sum(a * jnp.cross(b, c), axis=-1)
