"""Small oscillations of spins `(*cells, sublattices, 3)` about a state without torque, for any potential.

Every spin has two coordinates, its displacements along the tangents (e, S x e) of `spins.tangent_frame`; matrices are
`(2N, 2N)` with coordinates in the C order of `(*cells, sublattices, 2)`.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxspin.arrays.precision import einsum
from jaxspin.classical.sites import check_moments
from jaxspin.field import AbstractPotential, Spins
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins, tangent, tangent_frame

# A torque above this fraction of the largest field is refused: spins do not oscillate about such a state.
_TORQUE = 1e-3


@takes_spins(half=False, unit=True)
def tangent_hessian(potential: AbstractPotential, spins: Spins, *, chunk: int = 16) -> Float[Array, "n2 n2"]:
    """H_(ia)(jb) = d^2 E / dx_ia dx_jb at x = 0, where S_i(x) = normalize(S_i + sum_a x_ia e_ia), e_ia the tangents.

    The second derivative of the energy on the sphere, in units of the hopping: energies of small displacements are
    E_0 + x H x/2, and the curvature of the sphere adds the parallel field S_i . B_i to the diagonal. `chunk` columns
    are computed at once, each the derivative of a field.

    Raises `ValueError` for vacancies, which have no tangents, where a spin feels a torque above 1e-3 of the largest
    field (`relax` first), and for spins that do not fit the lattice, are longer than 1 or in half precision. For a
    field without an energy use `field_jacobian`.

    Example:
        >>> js.observables.tangent_hessian(field, js.textures.ferromagnet(lattice)).shape
        (32, 32)
    """
    _check(potential, spins)
    return _hessian(potential, spins, chunk)


@eqx.filter_jit
def _hessian(potential: AbstractPotential, spins: Spins, chunk: int) -> Float[Array, "n2 n2"]:
    frames = tangent_frame(spins).reshape(-1, 2, 3)
    size = 2 * len(frames)
    # by reverse mode over the field: kernel polynomials have no forward mode. Of the field alone and not of normalized
    # spins, which would double the program: the curvature of the sphere is the diagonal below
    field, back = jax.vjp(potential.field, spins)

    def row(n: Array) -> Array:
        along = jnp.zeros_like(frames[:, 0]).at[n // 2].set(frames[n // 2, n % 2])
        (moved,) = back(along.reshape(spins.shape))
        return -jnp.sum(frames * moved.reshape(-1, 1, 3), axis=-1).reshape(-1)

    # whole chunks alone: a shorter last one would be a second program
    chunk = min(chunk, size)
    rows = jax.lax.map(row, jnp.arange(-(-size // chunk) * chunk) % size, batch_size=chunk)[:size]
    curvature = jnp.repeat(jnp.sum(spins * field, axis=-1).reshape(-1), 2)
    return (rows + rows.T) / 2 + jnp.diag(curvature)


class SpinWaves(eqx.Module):
    """The small oscillations about a state.

    - `frequencies` `(N,)`: those of the modes that precess, ascending, in units of the hopping (hbar = 1); zero for
      Goldstone modes.
    - `growth` `(2N,)`: the real parts of all eigenvalues of the equation of motion. A positive one above rounding means
      a displacement that grows without damping, see `stable`.
    - `curvatures` `(2N,)`: the eigenvalues of the Hessian. A negative one means that the state is no minimum.
    - `modes` `(2N, N)`: the displacements of each frequency, complex, x(t) = Re[modes exp(-i w t)].

    What `spin_waves` returns. A record, without checks of its own.

    Example:
        >>> waves = js.observables.spin_waves(js.Exchange(js.chain(4), 1.0), js.textures.ferromagnet(js.chain(4)))
        >>> waves.frequencies.shape, waves.modes.shape
        ((4,), (8, 4))
    """

    frequencies: Float[Array, " n"]
    growth: Float[Array, " n2"]
    curvatures: Float[Array, " n2"]
    modes: Complex[Array, "n2 n"]

    @property
    def stable(self) -> bool:
        """Whether no displacement grows: real frequencies, up to the root of rounding that a zero mode has."""
        size = float(jnp.max(jnp.abs(self.curvatures)))
        return bool(jnp.max(self.growth) <= _rounding(self.growth.dtype) * max(size, 1e-30))

    @property
    def minimum(self) -> bool:
        """Whether the energy rises (or stays) along every displacement."""
        size = float(jnp.max(jnp.abs(self.curvatures)))
        return bool(jnp.min(self.curvatures) >= -_rounding(self.curvatures.dtype) * max(size, 1e-30))


@takes_spins(half=False, unit=True)
def spin_waves(
    potential: AbstractPotential, spins: Spins, *, moment: float | Float[Array, "..."] | None = None
) -> SpinWaves:
    """Frequencies and modes of small oscillations, linear spin-wave theory for any texture.

    In tangent coordinates, with (e_1, e_2, S) right-handed up to sign, dS/dt = S x B becomes dx/dt = M x. M = Omega H,
    with H the `tangent_hessian` and Omega the rotation of the two coordinates of each spin by a right angle. Spins of
    the length m_i (`moment`, one number, one for each sublattice or one a site, as in `simulate`; 1 unless given) turn
    by B_i/m_i, and then M = Omega m^-1 H.

    The eigenvalues of M come in pairs -+i w, the Bogoliubov frequencies of classical spin waves. Where H is positive
    they are those of the Hermitian matrix i H^(1/2) Omega H^(1/2); otherwise some displacements may grow.

    Runs on the host (NumPy): time (2N)^3.

    Raises `ValueError` for a moment of another shape or not positive, and where `tangent_hessian` does. For the waves
    that a run has, at any temperature, use `dynamical_structure_factor`.

    Source: J. H. P. Colpa, Physica A 93,
    327 (1978), doi:10.1016/0378-4371(78)90160-7, for the reduction to a Hermitian problem.

    Example:
        >>> antiferromagnet = js.Exchange(js.chain(4), -1.0)
        >>> waves = js.observables.spin_waves(antiferromagnet, js.textures.neel(js.chain(4)))
        >>> [abs(round(float(w), 1)) for w in waves.frequencies]
        [0.0, 0.0, 2.0, 2.0]
    """
    hessian = np.asarray(tangent_hessian(potential, spins), float)
    if moment is None:
        return _modes(hessian, spins.dtype)
    given = np.asarray(moment, float)
    check_moments(given, spins.shape[:-1])
    lengths = np.broadcast_to(given, spins.shape[:-1]).reshape(-1)
    if not (lengths > 0).all():
        raise ValueError("moment must be positive; for a vacancy take a lattice without that site.")
    # in y = sqrt(m) x the motion is Omega (m^-1/2 H m^-1/2) y, as Omega acts within a spin
    root = np.repeat(np.sqrt(lengths), 2)
    waves = _modes(hessian / root[:, None] / root, spins.dtype)
    modes = np.asarray(waves.modes) / root[:, None]
    modes = modes / np.maximum(np.linalg.norm(modes, axis=0), np.finfo(float).tiny)
    return SpinWaves(
        waves.frequencies,
        waves.growth,
        jnp.asarray(np.linalg.eigvalsh(hessian), spins.dtype),
        jnp.asarray(modes, waves.modes.dtype),
    )


@takes_spins(half=False, unit=True)
def spin_wave_frequencies(
    potential: AbstractPotential, spins: Spins, *, moment: float | Float[Array, "..."] | None = None
) -> Float[Array, " n"]:
    """The frequencies w >= 0 of small oscillations, ascending, one for each spin, in units of the hopping.

    Raises `ValueError` where displacements grow instead (look at `spin_waves`), and where `spin_waves` does.

    Example:
        >>> ring = js.chain(4)
        >>> found = js.observables.spin_wave_frequencies(js.Exchange(ring, 1.0), js.textures.ferromagnet(ring))
        >>> [abs(round(float(w), 2)) for w in found]
        [0.0, 2.0, 2.0, 4.0]
    """
    waves = spin_waves(potential, spins, moment=moment)
    if not waves.stable:
        raise ValueError(
            f"displacements grow at the rate {float(jnp.max(waves.growth)):.3g}: the state is unstable; "
            "relax it after a small random turn, or look at spin_waves(...).growth."
        )
    return waves.frequencies


@takes_spins(half=False, unit=True)
@jax.jit
def effective_exchange(lattice: Lattice, hessian: Float[Array, "n2 n2"], spins: Spins) -> Float[Array, "n n"]:
    """J_ij of E = -sum_(i<j) J_ij S_i . S_j that has the off-diagonal blocks of `hessian` (`tangent_hessian`).

    H_ij = -J_ij e_ia . e_jb on the tangents: J_ij is the best fit over the four entries, exact for an exchange energy.
    In energy units. The diagonal is zero, and so are vacancies. Beyond bilinear energies it is the exchange that small
    displacements of this texture feel.

    Raises `ValueError` for a Hessian that is not `(2N, 2N)`, and for spins that do not fit the lattice, are longer than
    1 or in half precision.

    Source: A. I. Liechtenstein, M. I. Katsnelson, V. P. Antropov and V. A. Gubanov, J. Magn. Magn. Mater. 67, 65
    (1987), doi:10.1016/0304-8853(87)90721-9, for exchange from small rotations.

    Example:
        >>> ring = js.chain(4)
        >>> up = js.textures.ferromagnet(ring)
        >>> hessian = js.observables.tangent_hessian(js.Exchange(ring, 1.5), up)
        >>> round(float(js.observables.effective_exchange(ring, hessian, up)[0, 1]), 3)
        1.5
    """
    sites = lattice.sites
    if hessian.shape != (2 * sites, 2 * sites):
        raise ValueError(
            f"a Hessian of shape {hessian.shape} is not that of {sites} spins; give tangent_hessian(potential, spins)."
        )
    frames = tangent_frame(spins).reshape(sites, 2, 3)
    overlaps = einsum("iax,jbx->iajb", frames, frames)
    by_spins = hessian.reshape(sites, 2, sites, 2)
    weights = jnp.sum(overlaps**2, axis=(1, 3))
    exchange = -jnp.sum(by_spins * overlaps, axis=(1, 3)) / jnp.where(weights > 0, weights, 1)
    return jnp.where(jnp.eye(sites, dtype=bool), 0, exchange)


def _check(potential: AbstractPotential, spins: Spins) -> None:
    if bool(_any_vacant(spins)):
        raise ValueError("a vacancy has no tangents; take a lattice without vacancies.")
    torque, largest = map(float, _largest(potential, spins))
    if not torque <= _TORQUE * largest + 1e-9:
        raise ValueError(
            f"a spin feels the torque {torque:.3g} and does not stay; start from a state at rest: "
            "jaxspin.relax(potential, spins).spins."
        )


@jax.jit
def _any_vacant(spins: Spins) -> Array:
    return jnp.any(jnp.sum(spins * spins, axis=-1) == 0)


@eqx.filter_jit
def _largest(potential: AbstractPotential, spins: Spins) -> tuple[Array, Array]:
    """The largest torque and the largest field."""
    field = potential.field(spins)
    return jnp.max(jnp.linalg.norm(tangent(spins, field), axis=-1)), jnp.max(jnp.linalg.norm(field, axis=-1))


def _rounding(dtype: Any) -> float:
    # a Goldstone mode is a double eigenvalue zero, which rounding splits by its root
    return 10 * float(np.sqrt(jnp.finfo(dtype).eps))


def _modes(hessian: np.ndarray, dtype: Any) -> SpinWaves:
    n = len(hessian) // 2
    # S x e_1 = e_2, S x e_2 = -e_1 and dS/dt = S x B, B = -H x: dx_1/dt = -B_2, dx_2/dt = B_1
    turn = np.kron(np.eye(n), np.array([[0.0, 1.0], [-1.0, 0.0]]))
    curvatures, axes = np.linalg.eigh(hessian)
    ctype = np.result_type(dtype, np.complex64)
    largest = max(np.abs(curvatures).max(), 1e-30)
    if curvatures.min() >= -1e-10 * largest:
        # a double zero stays exactly zero this way, where the plain eigenvalues would split it
        root = (axes * np.sqrt(np.clip(curvatures, 0, None))) @ axes.T
        values, vectors = np.linalg.eigh(1j * root @ turn @ root)
        order = np.argsort(values)[n:]
        modes = turn @ root @ vectors[:, order]
        frequencies, growth = np.clip(values[order], 0, None), np.zeros(2 * n)
    else:
        values, vectors = np.linalg.eig(turn @ hessian)
        turning = np.imag(values)
        order = np.argsort(-turning)[:n][::-1]
        frequencies, growth = np.clip(turning[order], 0, None), np.sort(np.real(values))
        modes = np.conj(vectors[:, order])
    norms = np.linalg.norm(modes, axis=0)
    modes = modes / np.where(norms > 0, norms, 1)
    return SpinWaves(
        jnp.asarray(frequencies, dtype),
        jnp.asarray(growth, dtype),
        jnp.asarray(curvatures, dtype),
        jnp.asarray(modes, ctype),
    )
