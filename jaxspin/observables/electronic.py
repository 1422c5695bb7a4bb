"""Where the electrons are at frozen spins `(*cells, sublattices, 3)`: density, density of states, local and total."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.electrons import ExactDiagonalization, GreensFunction, KernelPolynomial
from jaxspin.electrons.chebyshev import jackson_kernel, lorentz_kernel, moments
from jaxspin.electrons.model import unit_spinor
from jaxspin.field import Spins
from jaxspin.precision import matmul
from jaxspin.spins import takes_spins


@takes_spins(half=False)
@eqx.filter_jit
def electron_density(
    solver: ExactDiagonalization | KernelPolynomial | GreensFunction,
    spins: Spins,
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, "*cells sublattices"]:
    """n_i = sum_s <c+_is c_is> = dE/dV_i, the number of electrons on each site, between 0 and 2.

    The derivative of the solver's energy with respect to site energies V, so each solver gives the density that belongs
    to its own energy. Green's functions, which have none, give the diagonal of their density matrix.
    """
    if isinstance(solver, GreensFunction):
        return solver.density(spins)
    model = solver.model
    given = jnp.zeros((), spins.dtype) if model.potential is None else model.potential.astype(spins.dtype)

    def energy(potential):
        moved = eqx.tree_at(lambda s: s.model.potential, solver, potential, is_leaf=lambda x: x is None)
        return moved.energy(spins, key=key)

    return jax.grad(energy)(jnp.broadcast_to(given, model.lattice.shape))


@takes_spins(half=False)
def density_of_states(
    solver: ExactDiagonalization | KernelPolynomial,
    spins: Spins,
    energies: Float[Array, " n"],
    *,
    resolution: float,
    kernel: str = "jackson",
    key: PRNGKeyArray | None = None,
) -> Float[Array, " n"]:
    """rho(e) per site and unit of energy, broadened to `resolution` in units of the hopping.

    Its integral is the number of orbitals per site, 2 without vacancies. `kernel` "jackson" broadens a level to nearly
    a Gaussian of standard deviation `resolution`, "lorentz" to nearly a Lorentzian of that half-width, the imaginary
    part of a Green's function; exact diagonalization sums exactly those. Kernel polynomials: rho(e) =
    [g_0 mu_0 + 2 sum_m g_m mu_m T_m(x)]/(pi sqrt(1 - x^2) a) with as many moments as the resolution needs,
    pi a/`resolution` (Jackson) or 4 a/`resolution` (Lorentz, lambda = 4); zero outside the solver's window, and with
    the noise of its probes.

    Raises `ValueError` for a resolution that is not positive, or another kernel.
    Source: Weisse et al., Rev. Mod. Phys. 78, 275 (2006), eqs. 71, 76 and 79, 10.1103/RevModPhys.78.275.
    """
    _check(resolution, kernel)
    if isinstance(solver, ExactDiagonalization):
        return _broadened(solver, spins, energies, resolution, kernel)
    damping = _damping(solver, resolution, kernel)
    found = solver.moments(spins, key=key, order=len(damping))
    return _series(solver, found, energies, damping) / solver.lattice.sites


@takes_spins(half=False)
def local_density_of_states(
    solver: ExactDiagonalization | KernelPolynomial,
    spins: Spins,
    energies: Float[Array, " n"],
    sites: Array | np.ndarray,
    *,
    resolution: float,
    kernel: str = "jackson",
) -> Float[Array, "sites n"]:
    """rho_i(e) = sum_k |psi_k(i)|^2 delta(e - e_k), summed over spin, at `sites` `(m, d + 1)` (cells and sublattice).

    What a scanning tunnelling microscope sees; broadened as in `density_of_states`, which is its average over the
    sites. Kernel polynomials take the local moments <i|T_m|i> without random probes, one site after another.

    Raises `ValueError` for a resolution that is not positive, another kernel, or indices of the wrong shape.
    """
    _check(resolution, kernel)
    sites = np.asarray(sites)
    if sites.ndim != 2 or sites.shape[1] != solver.lattice.dimension + 1:
        raise ValueError(
            f"sites must be indices of shape (m, {solver.lattice.dimension + 1}), got {sites.shape}; see np.argwhere."
        )
    if isinstance(solver, ExactDiagonalization):
        return _broadened_at(solver, spins, energies, resolution, kernel, jnp.asarray(sites))
    return _series_at(solver, spins, energies, _damping(solver, resolution, kernel), jnp.asarray(sites))


def _check(resolution: float, kernel: str) -> None:
    if not resolution > 0:
        raise ValueError(f"resolution must be a positive energy, got {resolution}; 0.1 resolves most bands.")
    if kernel not in ("jackson", "lorentz"):
        raise ValueError(f"there is no kernel {kernel!r}; choose 'jackson' or 'lorentz'.")


def _damping(solver: KernelPolynomial, resolution: float, kernel: str) -> np.ndarray:
    halfwidth = float(solver.scaling()[1])
    if kernel == "jackson":
        return jackson_kernel(max(16, 2 * int(np.ceil(np.pi * halfwidth / resolution / 2))))
    return lorentz_kernel(max(16, 2 * int(np.ceil(_LAMBDA * halfwidth / resolution / 2))), _LAMBDA)


_LAMBDA = 4.0  # larger follows the Lorentzian's tails further and costs more moments


def _peaks(energies, levels, resolution, kernel):
    x = (energies[:, None] - levels[None, :]) / resolution
    if kernel == "lorentz":
        return 1 / (np.pi * resolution * (1 + x**2))
    return jnp.exp(-(x**2) / 2) / (resolution * (2 * np.pi) ** 0.5)


@eqx.filter_jit
def _broadened(solver, spins, energies, resolution, kernel):
    levels = solver.levels(spins)
    real = jnp.arange(levels.shape[0]) < jnp.asarray(solver.model.orbitals())
    peaks = _peaks(energies.astype(spins.dtype), levels, resolution, kernel)
    return jnp.sum(jnp.where(real[None], peaks, 0), axis=1) / solver.lattice.sites


@eqx.filter_jit
def _broadened_at(solver, spins, energies, resolution, kernel, sites):
    levels, states = jnp.linalg.eigh(solver.model.dense(spins))
    real = jnp.arange(levels.shape[0]) < jnp.asarray(solver.model.orbitals())
    here = jnp.abs(states.reshape(*solver.lattice.shape, 2, -1)[tuple(sites.T)]) ** 2
    weights = jnp.where(real[None], jnp.sum(here, axis=1), 0)
    return matmul(weights, _peaks(energies.astype(spins.dtype), levels, resolution, kernel).T)


@eqx.filter_jit
def _series(solver, found, energies, damping):
    dtype = found.dtype
    center, scale = (value.astype(dtype) for value in solver.scaling())
    x = (energies.astype(dtype) - center) / scale
    inside = jnp.abs(x) < 1
    angle = jnp.arccos(jnp.where(inside, x, 0))
    m = jnp.arange(len(damping), dtype=dtype)
    weights = jnp.where(m == 0, 1, 2) * jnp.asarray(damping, dtype) * found
    series = jax.lax.map(lambda theta: jnp.sum(weights * jnp.cos(m * theta)), angle)
    return jnp.where(inside, series / (np.pi * scale * jnp.sin(angle)), 0)


@eqx.filter_jit
def _series_at(solver, spins, energies, damping, sites):
    operator, model = solver.rescaled(spins), solver.model

    def at(site):
        unit = unit_spinor(model.lattice, site, spins.dtype, model.occupied)
        return _series(solver, moments(operator, unit, len(damping)), energies, damping)

    return jax.lax.map(at, sites)
