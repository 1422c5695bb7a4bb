"""Spin correlations in reciprocal and real space, of spins `(*cells, sublattices, 3)`.

Wavevectors are Cartesian, `(..., dimension)`, in inverse lattice constants; S(q) on the grid has shape
`(*cells)`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.precision import EXACT
from jaxspin.couplings import real
from jaxspin.devices.shards import fourier_transform
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins


def wavevectors(lattice: Lattice) -> np.ndarray:
    """The grid q_m = sum_k m_k b_k/L_k, 0 <= m_k < L_k, of `structure_factor`: `(*cells, dimension)`.

    Cartesian, in inverse lattice constants, the reciprocal vectors b_k being the rows of `lattice.reciprocal()`. An
    open axis has the same ones, though only a periodic lattice has waves of just these. Any lattice will do. Named
    points are `high_symmetry_points`.

    Example:
        >>> [round(float(q), 3) for q in js.observables.wavevectors(js.chain(4))[:, 0]]
        [0.0, 1.571, 3.142, 4.712]
    """
    return np.moveaxis(np.indices(lattice.cells) / _column(lattice), 0, -1) @ lattice.reciprocal()


@takes_spins(half=False, unit=True)
@jax.jit
def structure_factor(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "*cells"]:
    """S(q) = (1/N) abs(sum_i S_i exp(-i q.r_i))^2 on the grid `wavevectors(lattice)`.

    A ferromagnet has S(0) = N; N counts all sites, vacant ones included. With one site a cell S(q) repeats
    with the reciprocal lattice, and its sum over the grid is N. With more it does not, as r_i includes the basis:
    `structure_factor_at` has it in other zones.

    Raises `ValueError` for spins of another lattice, longer than 1, or in half precision.

    Example:
        >>> factor = js.observables.structure_factor(js.chain(4), js.textures.neel(js.chain(4)))
        >>> [abs(round(float(s), 3)) for s in factor]
        [0.0, 0.0, 4.0, 0.0]
    """
    amplitudes = fourier_transform(lattice, spins)
    phases = np.exp(-1j * wavevectors(lattice) @ np.array(lattice.basis).T)
    total = jnp.sum(amplitudes * jnp.asarray(phases, amplitudes.dtype)[..., None], axis=-2)
    return jnp.sum(total.real**2 + total.imag**2, axis=-1) / lattice.sites


@takes_spins(half=False, unit=True)
@jax.jit
def structure_factor_at(
    lattice: Lattice, spins: Float[Array, "*cells sublattices 3"], q: Float[Array, "*q dimension"]
) -> Float[Array, "*q"]:
    """S(q) = (1/N) abs(sum_i S_i exp(-i q.r_i))^2 at any wavevectors `(..., dimension)`, in inverse lattice constants.

    By direct sums: memory and time of order N for each q. On the grid `wavevectors` use `structure_factor`.

    Raises `ValueError` for wavevectors of another dimension or complex, and for spins of another lattice, longer than
    1, or in half precision.

    Example:
        >>> at = jnp.array(js.observables.high_symmetry_points(lattice)["M"])
        >>> round(float(js.observables.structure_factor_at(lattice, js.textures.neel(lattice), at)), 3)
        16.0
    """
    q = real(q, "q")
    if not q.ndim or q.shape[-1] != lattice.dimension:
        raise ValueError(
            f"q of shape {q.shape} has not the {lattice.dimension} components of the {lattice.name} lattice; give "
            f"Cartesian wavevectors (..., {lattice.dimension}), such as high_symmetry_points(lattice)['Gamma']."
        )
    positions = jnp.asarray(lattice.positions(), spins.dtype)
    angles = jnp.tensordot(q.astype(spins.dtype), positions, axes=(-1, -1), precision=EXACT)
    sites = spins.ndim - 1
    even, odd = (jnp.tensordot(wave(angles), spins, axes=sites, precision=EXACT) for wave in (jnp.cos, jnp.sin))
    return jnp.sum(even**2 + odd**2, axis=-1) / lattice.sites


def high_symmetry_points(lattice: Lattice) -> dict[str, np.ndarray]:
    """Named Cartesian wavevectors of the Brillouin zone.

    Chain: Gamma, X. Square: Gamma, X, Y, M = (pi, pi). Triangular, honeycomb, kagome: Gamma, K, K', and the
    three edge centres M = b_1/2, M' = b_2/2, M'' = (b_1 + b_2)/2. Cubic: Gamma, X, M, R. Raises `ValueError`
    for other lattice vectors: make points from `lattice.reciprocal()`.

    Example:
        >>> [round(float(q), 3) for q in js.observables.high_symmetry_points(lattice)["M"]]
        [3.142, 3.142]
    """
    gram = np.array(lattice.vectors) @ np.array(lattice.vectors).T
    for names, shape in _POINTS:
        if gram.shape == np.shape(shape) and np.allclose(gram, gram[0, 0] * np.array(shape)):
            return {name: np.array(m) @ lattice.reciprocal() for name, m in names.items()}
    raise ValueError(
        f"the {lattice.name} lattice has no named points; combine the rows of lattice.reciprocal() instead."
    )


def displacements(lattice: Lattice) -> np.ndarray:
    """The displacements R of `correlation_function`, wrapped along each axis to at most half its length.

    `(*n, dimension)`, Cartesian in lattice constants, with n = L along a periodic axis of L cells and 2 L along an open
    one. Between cells; those between sublattices add differences of `lattice.basis`. Any lattice will do.

    Example:
        >>> js.observables.displacements(js.chain(4))[:, 0].tolist()
        [0.0, 1.0, 2.0, -1.0]
    """
    sizes = _correlation_shape(lattice)
    steps = np.indices(sizes).astype(float)
    for n, size in zip(steps, sizes, strict=True):
        n[n > size / 2] -= size
    return np.moveaxis(steps, 0, -1) @ np.array(lattice.vectors)


@takes_spins(half=False, unit=True)
@jax.jit
def correlation_function(lattice: Lattice, spins: Float[Array, "*cells sublattices 3"]) -> Float[Array, "..."]:
    """C(R) = mean of S_(n,b) . S_(n+R,b) over all occupied pairs, R as in `displacements(lattice)`; C(0) = 1.

    Equal sublattices only. A periodic axis of L cells has L entries; an open one 2L, for R of both signs.
    Zero where no pair exists. By fast Fourier transforms, of order N log N. For a length use `correlation_length`.

    Raises `ValueError` for spins of another lattice, longer than 1, or in half precision.

    Example:
        >>> correlation = js.observables.correlation_function(js.chain(4), js.textures.neel(js.chain(4)))
        >>> [round(float(c), 3) for c in correlation]
        [1.0, -1.0, 1.0, -1.0]
    """
    occupied = jnp.any(spins != 0, axis=-1, keepdims=True).astype(spins.dtype)
    pairs = autocorrelation(lattice, occupied)
    exist = pairs > 0.5
    return jnp.where(exist, autocorrelation(lattice, spins) / jnp.where(exist, pairs, 1), 0)


def autocorrelation(lattice: Lattice, values: Float[Array, "*cells b c"]) -> Float[Array, "..."]:
    """sum over n, b, c of values[n, b, c] values[n + R, b, c], by FFT; nothing beyond an open edge."""
    sizes = _correlation_shape(lattice)
    longer = [(0, size - cells) for size, cells in zip(sizes, lattice.cells, strict=True)]
    large = lattice.resize(*sizes)
    waves = fourier_transform(large, jnp.pad(values, [*longer, (0, 0), (0, 0)]))
    power = jnp.sum(waves.real**2 + waves.imag**2, axis=(-2, -1))
    return fourier_transform(large, power, inverse=True).real


@takes_spins(half=False, batch=True, unit=True)
@jax.jit
def correlation_length(lattice: Lattice, spins: Float[Array, "..."]) -> Float[Array, ""]:
    """xi from the width of the highest peak Q of S(q) = sum_a S_aa(q), the second-moment estimator.

    xi^2 is the mean over the axes k of (S(Q)/S(Q +- q_k) - 1)/kappa_k^2. q_k = b_k/L_k is the smallest wavevector along
    axis k, S(Q +- q_k) the mean of both sides, and kappa_k = abs(b_k) sin(pi/L_k)/pi. Axes of fewer than 3 cells are
    left out. xi is infinite in perfect order, with the derivative 0.

    S_aa is the structure factor of sublattice a alone. So S(q) repeats with the reciprocal lattice and does not depend
    on how the sublattices are turned against each other: a Neel state of the honeycomb has the length of its
    ferromagnet. With one site a cell S(q) is `structure_factor`. Leading axes of `spins` are snapshots, over which S is
    averaged first.

    Raises `ValueError` if no axis remains, and for spins of another lattice, longer than 1, or in half precision.

    Source: Cooper, Freedman & Preston, Nucl. Phys. B 210, 210 (1982),
    doi:10.1016/0550-3213(82)90240-1.

    Example:
        >>> snapshots = js.training.random_configurations(lattice, 64, key=jax.random.key(0))
        >>> bool(js.observables.correlation_length(lattice, snapshots) < 1)
        True
    """
    axes = [k for k, cells in enumerate(lattice.cells) if cells > 2]
    if not axes:
        raise ValueError(f"cells {lattice.cells} are too few for a correlation length; use 3 along some axis.")
    snapshots = spins.reshape(-1, *lattice.shape, 3)
    amplitudes = jax.vmap(lambda s: fourier_transform(lattice, s))(snapshots)
    grid = jnp.mean(jnp.sum(amplitudes.real**2 + amplitudes.imag**2, axis=(-2, -1)), axis=0)
    peak = jnp.unravel_index(jnp.argmax(grid), grid.shape)
    kappa = np.linalg.norm(lattice.reciprocal(), axis=1) * np.sin(np.pi / np.array(lattice.cells)) / np.pi
    sides = jnp.stack([(jnp.roll(grid, 1, k) + jnp.roll(grid, -1, k))[peak] / 2 for k in axes])
    # in perfect order the sides are rounding: derivatives of that, and of the root of zero, are masked
    finite = sides > jnp.finfo(spins.dtype).eps * grid[peak]
    squares = (grid[peak] / jnp.where(finite, sides, 1) - 1) / jnp.asarray(kappa[axes] ** 2, spins.dtype)
    mean = jnp.mean(squares)
    length = jnp.where(mean > 0, jnp.sqrt(jnp.where(mean > 0, mean, 1)), 0)
    return jnp.where(jnp.all(finite), length, jnp.inf)


_POINTS = (
    ({"Gamma": (0,), "X": (0.5,)}, [[1]]),
    ({"Gamma": (0, 0), "X": (0.5, 0), "Y": (0, 0.5), "M": (0.5, 0.5)}, [[1, 0], [0, 1]]),
    (
        {
            "Gamma": (0, 0),
            "K": (2 / 3, 1 / 3),
            "K'": (1 / 3, 2 / 3),
            "M": (0.5, 0),
            "M'": (0, 0.5),
            "M''": (0.5, 0.5),
        },
        [[1, 0.5], [0.5, 1]],
    ),
    (
        {"Gamma": (0, 0, 0), "X": (0.5, 0, 0), "M": (0.5, 0.5, 0), "R": (0.5, 0.5, 0.5)},
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    ),
)


def _column(lattice: Lattice, trailing: int | None = None) -> np.ndarray:
    return np.array(lattice.cells).reshape(-1, *(1,) * (trailing or lattice.dimension))


def _correlation_shape(lattice: Lattice) -> tuple[int, ...]:
    return tuple(n if wraps else 2 * n for n, wraps in zip(lattice.cells, lattice.periodic, strict=True))
