"""The dipole-dipole interaction of every pair of sites with all images of one of them, in double precision (NumPy).

T(r) = 1/r^3 - 3 r r/r^5 = - grad grad 1/r. Along periodic axes T decays too slowly to be summed. Ewald writes
1/r = (2/sqrt(pi)) int_0^inf exp(-t^2 r^2) dt: from t = a on the sum over images converges fast, and the rest is a
smooth function, a sum over the reciprocal vectors G of the p periodic axes. With z the part of r across them,

    (2/sqrt(pi)) (sqrt(pi)^p / V) sum_G exp(i G . r) int_0^a t^-p exp(-G^2/4t^2 - t^2 z^2) dt

For p = 3 that is Ewald's sum without a field of the surface, for p = 2 Parry's, for p = 1 the same for a wire.

Sources: P. P. Ewald, Ann. Phys. 369, 253 (1921), doi:10.1002/andp.19213690304; D. E. Parry, Surf. Sci. 49, 433 (1975),
doi:10.1016/0039-6028(75)90362-3; A. Grzybowski, E. Gwozdz and A. Brodka, Phys. Rev. B 61, 6706 (2000),
doi:10.1103/PhysRevB.61.6706.
"""

import functools
import itertools

import numpy as np
import scipy.special

from jaxspin.classical.convolution import lengthened
from jaxspin.lattice import Lattice

# exp(-x^2) and erfc(x) are rounding here
_END = 6.1
# Points of the integral over ln t: 1e-14 of the largest number.
_POINTS = 40
# The six different components of a symmetric matrix, and where they stand.
PARTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@functools.lru_cache(maxsize=2)
def dipole_kernel(lattice: Lattice, split: float = 0.5) -> np.ndarray:
    """sum_R T_ab(R) exp(i q . R) for every wavevector of the lattice, open axes twice as long.

    `(sublattices^2, 6, *cells)`, the components as in `PARTS`; real where there is one sublattice. `split` a is in
    units of 1/(size of a cell): the result does not depend on it.
    """
    large = lengthened(lattice, lattice.cells)
    wraps = np.array(lattice.periodic)
    vectors, basis = (
        np.pad(np.array(x), ((0, 0), (0, 3 - lattice.dimension))) for x in (lattice.vectors, lattice.basis)
    )
    pairs = list(itertools.product(range(lattice.sublattices), repeat=2))
    kernel = np.zeros((len(pairs), len(PARTS), *large.cells), float if len(pairs) == 1 else complex)
    inverse_length = split / _cell(vectors[wraps]) ** (1 / max(1, wraps.sum())) if wraps.any() else 0.0
    for n, (a, b) in enumerate(pairs):
        if a > b:  # r from the other end
            kernel[n] = kernel[b * lattice.sublattices + a].conj()
        elif a == b > 0:
            kernel[n] = kernel[0]
        else:
            total = _transformed(lattice, large, vectors, basis[b] - basis[a], inverse_length)
            kernel[n] = np.real(total) if len(pairs) == 1 else np.conj(total)
    return kernel


def _transformed(lattice: Lattice, large: Lattice, vectors: np.ndarray, apart: np.ndarray, a: float) -> np.ndarray:
    """sum_R T(R + apart) exp(-i q . R), `(6, *cells)`."""
    axes = range(1, 1 + lattice.dimension)
    if not any(lattice.periodic):
        return np.fft.fftn(_all_pairs(large, vectors, apart), axes=axes)
    near = _near(lattice, large, vectors, apart, a)
    if not apart.any():  # the smooth rest holds a site's own, too
        near[(slice(None), *(0,) * lattice.dimension)] -= _diagonal(4 * a**3 / (3 * np.sqrt(np.pi)))
    far = _far(lattice, large, vectors, apart, a)
    across = [axis for axis, wraps in zip(axes, lattice.periodic, strict=True) if not wraps]
    return np.fft.fftn(near, axes=axes) + np.fft.fftn(far, axes=across)


def _cell(vectors: np.ndarray) -> float:
    """The length, area or volume that some vectors span."""
    return float(np.sqrt(np.linalg.det(vectors @ vectors.T)))


def _diagonal(x: float) -> np.ndarray:
    return np.array([x, x, x, 0.0, 0.0, 0.0])


def _tensor(r: np.ndarray, isotropic: np.ndarray, along: np.ndarray) -> np.ndarray:
    """isotropic - along r r, `(6, ...)` for r `(3, ...)`."""
    return np.stack([(i == j) * isotropic - along * r[i] * r[j] for i, j in PARTS])


def _cells_from(n: int, wraps: bool) -> np.ndarray:
    """How far each place along an axis is from the first: half of those of an open axis lie before it."""
    place = np.arange(n)
    return place if wraps or n == 1 else np.where(place < n // 2, place, place - n)


def _all_pairs(large: Lattice, vectors: np.ndarray, apart: np.ndarray) -> np.ndarray:
    axes = [_cells_from(n, False) for n in large.cells]
    offsets = np.meshgrid(*axes, indexing="ij", sparse=True)
    r = np.stack([apart[i] + sum(n * v for n, v in zip(offsets, vectors[:, i], strict=True)) for i in range(3)])
    square = np.sum(r**2, axis=0)
    square[square == 0] = np.inf
    return _tensor(r, square**-1.5, 3 * square**-2.5)


def _near(lattice: Lattice, large: Lattice, vectors: np.ndarray, apart: np.ndarray, a: float) -> np.ndarray:
    """The sum over images from t = a on, `(6, *cells)`."""
    reach = np.ceil((_END / a + np.linalg.norm(apart)) * np.linalg.norm(np.linalg.pinv(vectors), axis=0)).astype(int)
    most = [n if wraps else min(n, c - 1) for n, c, wraps in zip(reach, lattice.cells, lattice.periodic, strict=True)]
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in most), indexing="ij"), -1)
    offsets = offsets.reshape(-1, len(most))
    r = (offsets @ vectors + apart).T
    length = np.linalg.norm(r, axis=0)
    within = (length > 0) & (length < _END / a)
    r, length, offsets = r[:, within], length[within], offsets[within]
    rest, bell = scipy.special.erfc(a * length), 2 * a / np.sqrt(np.pi) * np.exp(-((a * length) ** 2))
    isotropic = rest / length**3 + bell / length**2
    along = 3 * rest / length**5 + bell * (2 * a**2 + 3 / length**2) / length**2
    place = np.ravel_multi_index(tuple((offsets % np.array(large.cells)).T), large.cells)
    total = np.zeros((len(PARTS), *large.cells))
    # several offsets are one place where the lattice is narrow
    for part, values in zip(total.reshape(len(PARTS), -1), _tensor(r, isotropic, along), strict=True):
        np.add.at(part, place, values)
    return total


def _far(lattice: Lattice, large: Lattice, vectors: np.ndarray, apart: np.ndarray, a: float) -> np.ndarray:
    """The smooth rest, `(6, *cells)`: transformed along periodic axes, and at every distance along open ones."""
    wraps = np.array(lattice.periodic)
    periodic = vectors[wraps]
    reciprocal = 2 * np.pi * np.linalg.pinv(periodic).T
    cells = [n for n, wrap in zip(large.cells, wraps, strict=True) if wrap]
    waves = np.stack(np.meshgrid(*map(np.fft.fftfreq, cells), indexing="ij"), -1).reshape(-1, len(cells))
    steps = [_cells_from(n, False) for n, wrap in zip(large.cells, wraps, strict=True) if not wrap]
    across = (
        np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, len(steps)) if steps else np.zeros((1, 0), int)
    )
    r = across @ vectors[~wraps] + apart
    inside = r @ np.linalg.pinv(periodic) @ periodic
    z = (r - inside).T
    z[np.abs(z) < 1e-12 * (1 + np.abs(r).max())] = 0.0
    farthest = 2 * a * _END
    most = np.ceil(farthest * np.linalg.norm(periodic, axis=1) / (2 * np.pi) + 0.5).astype(int)
    total = np.zeros((len(PARTS), len(waves), len(r)), complex)
    for whole in itertools.product(*(range(-n, n + 1) for n in most)):
        g = (waves + np.array(whole)) @ reciprocal
        length = np.linalg.norm(g, axis=1)
        chosen = np.flatnonzero((length < farthest) & (length > 0))
        if chosen.size:
            total[:, chosen] += np.exp(1j * (g[chosen] @ inside.T)) * _of_wave(g[chosen], z, periodic, a)
        if not any(whole):
            total[:, 0] += _uniform(z, periodic, a)
    total *= 2 * np.pi ** ((len(cells) - 1) / 2) / _cell(periodic)
    order = [*np.flatnonzero(wraps), *np.flatnonzero(~wraps)]
    shaped = total.reshape(len(PARTS), *cells, *map(len, steps))
    shaped = np.moveaxis(shaped, range(1, shaped.ndim), [1 + k for k in order])
    for axis, (n, own) in enumerate(zip(large.cells, lattice.cells, strict=True), 1):
        if n > own:  # as far apart as no two sites are
            shaped[(slice(None),) * axis + (own,)] = 0
    return shaped


def _across(periodic: np.ndarray) -> np.ndarray:
    """The projector on directions across the periodic axes."""
    return np.eye(3) - np.linalg.pinv(periodic) @ periodic


def _of_wave(g: np.ndarray, z: np.ndarray, periodic: np.ndarray, a: float) -> np.ndarray:
    """-grad grad of exp(i G . r) int_0^a t^-p exp(-G^2/4t^2 - t^2 z^2) dt without the phase, `(6, G, z)`."""
    length = np.linalg.norm(g, axis=1)
    if len(periodic) == 3:
        first = 2 / length**2 * np.exp(-((length / (2 * a)) ** 2))
        return np.stack([g[:, i] * g[:, j] * first for i, j in PARTS])[..., None]
    first, second, third = _integrals(length, np.linalg.norm(z, axis=0), len(periodic), a)
    normal = _across(periodic)

    def part(i: int, j: int) -> np.ndarray:
        mixed = 2j * (g[:, i, None] * z[j] + g[:, j, None] * z[i]) + 2 * normal[i, j]
        return g[:, i, None] * g[:, j, None] * first + mixed * second - 4 * z[i] * z[j] * third

    return np.stack([part(i, j) for i, j in PARTS])


def _integrals(g: np.ndarray, z: np.ndarray, p: int, a: float) -> list[np.ndarray]:
    """int_0^a t^(2k - p) exp(-G^2/4t^2 - t^2 z^2) dt, k = 0, 1, 2, for all G > 0 and z, `(G, z)`."""
    low = np.log(g / (2 * _END))[:, None]
    high = np.log(np.minimum(a, _END / np.maximum(z, 1e-300)))
    width = np.maximum(high - low, 0) / 2
    found = [np.zeros(width.shape) for _ in range(3)]
    for place, weight in zip(*np.polynomial.legendre.leggauss(_POINTS), strict=True):
        t = np.exp(low + width * (1 + place))
        value = weight * width * t ** (1 - p) * np.exp(-((g[:, None] / (2 * t)) ** 2) - (t * z) ** 2)
        for k in range(3):
            found[k] += value * t ** (2 * k)
    return found


def _uniform(z: np.ndarray, periodic: np.ndarray, a: float) -> np.ndarray:
    """What the terms above are for G = 0, `(6, z)`; of three periodic axes it is the surface's, and left out."""
    p, square = len(periodic), np.sum(z**2, axis=0)
    if p == 3:
        return np.zeros((len(PARTS), 1))
    normal = _across(periodic)
    if p == 2:
        return np.stack([normal[i, j] * 2 * a * np.exp(-(a**2) * square) for i, j in PARTS])
    x, far = a**2 * square, square > 0
    safe = np.where(far, square, 1.0)
    isotropic = np.where(far, -np.expm1(-x) / safe, a**2)
    along = np.where(far, 2 * scipy.special.gammainc(2, x) / safe**2, 0.0)
    return np.stack([normal[i, j] * isotropic - along * z[i] * z[j] for i, j in PARTS])
