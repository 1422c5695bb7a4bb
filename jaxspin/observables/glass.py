"""Order of a spin glass, which no wavevector shows: overlaps of replicas, their susceptibility, and aging.

Replicas are configurations of one sample of the disorder that know nothing of each other: runs from other random spins
with another noise, `(n, *cells, sublattices, 3)`. Averages over samples of the disorder are the caller's.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.arrays.precision import EXACT
from jaxspin.couplings import holds
from jaxspin.devices.shards import fourier_transform
from jaxspin.lattice import Lattice
from jaxspin.observables.structure_factor import wavevectors
from jaxspin.spins import takes_spins


@takes_spins(name="first", half=False, unit=True)
@takes_spins(name="second", half=False, unit=True)
@jax.jit
def replica_overlap(first: Float[Array, "*n 3"], second: Float[Array, "*m 3"]) -> Float[Array, "3 3"]:
    """q_mn = (1/N) sum_i S^a_im S^b_in of two configurations, `(3, 3)`; N counts the sites that have a spin in both.

    The order parameter of a vector spin glass is q^2 = sum_mn q_mn^2, which a rotation of either configuration as a
    whole leaves alone. Where one is the other, turned, it is 1/3 for directions spread evenly, 1 for collinear ones;
    for unrelated ones 1/N.

    Raises `ValueError` for spins of different shapes, longer than 1, or in half precision.
    Sources: S. F. Edwards and P. W. Anderson, J. Phys. F 5, 965 (1975), 10.1088/0305-4608/5/5/017; for vectors
    K. Binder and A. P. Young, Rev. Mod. Phys. 58, 801 (1986), 10.1103/RevModPhys.58.801.

    Example:
        >>> up = js.textures.ferromagnet(lattice)
        >>> js.observables.replica_overlap(up, -up)[2].tolist()
        [0.0, 0.0, -1.0]
    """
    if first.shape != second.shape:
        raise ValueError(
            f"configurations of shapes {first.shape} and {second.shape} are of two lattices; give two of one."
        )
    axes = tuple(range(first.ndim - 1))
    return jnp.tensordot(first, second, axes=(axes, axes), precision=EXACT) / _occupied(first, second)


@takes_spins(name="replicas", half=False, batch=True, unit=True)
@jax.jit
def spin_glass_susceptibility(lattice: Lattice, replicas: Float[Array, "n *cells sublattices 3"]) -> Float[Array, ""]:
    """chi_SG = (1/N) sum_ij <S_i . S_j>^2 of one sample of the disorder, by the overlaps of its n replicas.

    The square of a thermal mean is the mean over pairs of independent replicas, and the double sum over sites is one of
    their overlaps: chi_SG = N <sum_mn (q^ab_mn)^2> over the n(n - 1)/2 pairs a < b, see `replica_overlap`. So it has no
    bias for any n >= 2, in time n^2 N and memory n N. N counts the sites that have a spin. Without order chi_SG is 1
    (i = j alone); in a glass with the order parameter q it grows as N q^2.

    Frames of one run that are correlated in time are no replicas: they make chi_SG too large.

    Raises `ValueError` for fewer than two replicas, and for spins of another lattice, longer than 1, or in half
    precision.
    Sources: K. Binder and A. P. Young, Rev. Mod. Phys. 58, 801 (1986), 10.1103/RevModPhys.58.801; of vectors L. W. Lee
    and A. P. Young, Phys. Rev. B 76, 024405 (2007), 10.1103/PhysRevB.76.024405.

    Example:
        >>> keys = jax.random.split(jax.random.key(0), 20)
        >>> replicas = jax.vmap(lambda key: js.random_spins(lattice, key=key))(keys)
        >>> bool(abs(js.observables.spin_glass_susceptibility(lattice, replicas) - 1) < 0.2)
        True
    """
    _check_replicas(lattice, replicas)
    one, other = np.triu_indices(len(replicas), 1)
    flat = replicas.reshape(len(replicas), -1, 3)

    def square(pair):
        a, b = flat[pair[0]], flat[pair[1]]
        total = jnp.tensordot(a, b, axes=(0, 0), precision=EXACT)
        return jnp.sum(total**2) / _occupied(a, b)

    return jnp.mean(jax.lax.map(square, (jnp.asarray(one), jnp.asarray(other))))


@takes_spins(name="replicas", half=False, batch=True, unit=True)
@jax.jit
def spin_glass_structure_factor(
    lattice: Lattice, replicas: Float[Array, "n *cells sublattices 3"]
) -> Float[Array, "*cells"]:
    """chi_SG(k) = (1/N) sum_ij <S_i . S_j>^2 cos(k.(r_i - r_j)) on the grid `wavevectors(lattice)`.

    As `spin_glass_susceptibility`, which is chi_SG(0), with q_mn(k) = (1/N) sum_i S^a_im S^b_in exp(-i k.r_i) by
    Fourier transforms, pair after pair, in memory n N. The length over which a glass is ordered, at the smallest k
    along an axis, is xi = [chi_SG(0)/chi_SG(k) - 1]^(1/2)/(2 sin(k/2)); curves of xi/L for several sizes L cross where
    the glass orders.

    Raises `ValueError` for fewer than two replicas, and for spins of another lattice, longer than 1, or in half
    precision.
    Source: L. W. Lee and A. P. Young, Phys. Rev. B 76, 024405 (2007), 10.1103/PhysRevB.76.024405.

    Example:
        >>> replicas = jnp.stack([js.textures.neel(lattice), js.textures.ferromagnet(lattice)])
        >>> js.observables.spin_glass_structure_factor(lattice, replicas)[:, 2].round(3).tolist()
        [0.0, 0.0, 16.0, 0.0]
    """
    _check_replicas(lattice, replicas)
    phases = np.exp(-1j * wavevectors(lattice) @ np.array(lattice.basis).T)[..., None]
    one, other = np.triu_indices(len(replicas), 1)

    def add(total, pair):
        a, b = replicas[pair[0]], replicas[pair[1]]
        products = (a[..., :, None] * b[..., None, :]).reshape(*lattice.shape, 9)
        waves = fourier_transform(lattice, products)
        amplitude = jnp.sum(waves * jnp.asarray(phases, waves.dtype), axis=-2)
        return total + jnp.sum(amplitude.real**2 + amplitude.imag**2, axis=-1) / _occupied(a, b), None

    start = jnp.zeros(lattice.cells, replicas.dtype)
    return jax.lax.scan(add, start, (jnp.asarray(one), jnp.asarray(other)))[0] / len(one)


@takes_spins(name="frames", half=False, batch=True, unit=True)
def two_time_correlation(lattice: Lattice, frames: Float[Array, "n *cells sublattices 3"]) -> Float[Array, "n n"]:
    """C(t_a, t_b) = (1/N) sum_i S_i(t_a) . S_i(t_b) between all frames of a run, `(n, n)`: how it ages.

    Row w is C(t, t_w). In equilibrium C depends on t - t_w alone; in a glass, and while domains grow, it falls the
    later the longer the run has waited, often as a function of t/t_w. Frames at times that grow geometrically
    (`simulate(..., save_at=np.geomspace(...))`) suit it. N counts the sites that have a spin. Directions that spins
    keep for ever leave C above zero: subtract abs(m)^2 of a ferromagnet yourself.

    Raises `ValueError` for frames without a leading axis, none of them, or with different vacancies, and for spins of
    another lattice, longer than 1, or in half precision.
    Source: L. F. Cugliandolo and J. Kurchan, Phys. Rev. Lett. 71, 173 (1993), 10.1103/PhysRevLett.71.173.

    Example:
        >>> run = js.simulate(field, spins, duration=2.0, step=0.1, save_every=0.5)
        >>> correlation = js.observables.two_time_correlation(lattice, run.spins)
        >>> correlation.shape, [round(float(c), 3) for c in jnp.diag(correlation)]
        ((5, 5), [1.0, 1.0, 1.0, 1.0, 1.0])
    """
    if frames.ndim != lattice.dimension + 3:
        raise ValueError(f"frames of shape {frames.shape} are not (n, *lattice.shape, 3); stack those of a run.")
    if len(frames) == 0:
        raise ValueError("there is no frame to correlate; give those of a run, (n, *lattice.shape, 3).")
    if not holds(_same_vacancies, frames):
        raise ValueError("the frames have different vacancies; give those of one run, whose vacancies stay.")
    return _products(frames)


def _same_vacancies(frames):
    # NumPy's arrays or JAX's
    there = (frames != 0).any(-1)
    return there == there[:1]


@jax.jit
def _products(frames: Array) -> Array:
    flat = frames.reshape(len(frames), -1)
    return jnp.tensordot(flat, flat, axes=(1, 1), precision=EXACT) / _occupied(frames[0], frames[0])


def _check_replicas(lattice: Lattice, replicas: Array) -> None:
    if replicas.ndim != lattice.dimension + 3 or len(replicas) < 2:
        raise ValueError(
            f"replicas of shape {replicas.shape} are not two or more configurations; give (n, *lattice.shape, 3) of n "
            "independent runs."
        )


def _occupied(first: Array, second: Array) -> Array:
    both = jnp.any(first != 0, axis=-1) & jnp.any(second != 0, axis=-1)
    return jnp.maximum(jnp.sum(both), 1).astype(first.dtype)
