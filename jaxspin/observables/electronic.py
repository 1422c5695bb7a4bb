"""Where the electrons are at frozen spins `(*cells, sublattices, 3)`: density, density of states, local and total."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from jaxspin.arrays.spinors import unit_spinor
from jaxspin.couplings import Numbers, real
from jaxspin.electrons import ExactDiagonalization, GreensFunction, KernelPolynomial
from jaxspin.electrons.chebyshev import moments, quadrature
from jaxspin.electrons.spectral import local_sums
from jaxspin.field import Spins
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins


@takes_spins(half=False, unit=True)
@eqx.filter_jit
def electron_density(
    solver: ExactDiagonalization | KernelPolynomial | GreensFunction,
    spins: Spins,
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, "*cells sublattices"]:
    """n_i = sum_s <c+_is c_is> = dE/dV_i, the number of electrons on each site, between 0 and 2.

    The derivative of the solver's energy with respect to site energies V, so each solver gives the density that belongs
    to its own energy. Green's functions, which have none, give the diagonal of their density matrix. `key` is that of
    the probes of kernel polynomials.

    Raises `ValueError` for spins that do not fit the solver's lattice, are longer than 1 or in half precision. For the
    density of a force field learn it from labels: a learnt field has no electrons.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> round(float(js.observables.electron_density(solver, spins).mean()), 3)
        0.5
    """
    if isinstance(solver, GreensFunction):
        return solver.density(spins)
    model = solver.model
    given = jnp.zeros((), spins.dtype) if model.potential is None else model.potential.astype(spins.dtype)

    def energy(potential):
        moved = eqx.tree_at(lambda s: s.model.potential, solver, potential, is_leaf=lambda x: x is None)
        return moved.energy(spins, key=key)

    return jax.grad(energy)(jnp.broadcast_to(given, model.lattice.shape))


@takes_spins(half=False, unit=True)
def density_of_states(
    solver: ExactDiagonalization | KernelPolynomial,
    spins: Spins,
    energies: Numbers,
    *,
    resolution: float,
    kernel: str = "gaussian",
    key: PRNGKeyArray | None = None,
) -> Float[Array, " n"]:
    """rho(e) = sum_k g(e - e_k)/N per site and unit of energy, every level broadened to `resolution`.

    Its integral is the number of orbitals per site, 2 without vacancies. g is a Gaussian of standard deviation
    `resolution` (in units of the hopping), or with `kernel` "lorentz" a Lorentzian of that half-width, the imaginary
    part of a Green's function. "jackson", whose peaks were sharper near the ends of the band, is "gaussian" now.

    Kernel polynomials expand g(e - H) itself, sum_k w_k g(e - e_k) with the weights of `KernelPolynomial.spectrum`, in
    as many moments as make it good to 1e-6 of a peak (5 a/`resolution`, a half the width of the window) or 1e-4
    (Lorentzian, 9 a/`resolution`): equal to exact diagonalization at any energy, ends of the window included, but for
    the noise of the probes. Derivatives by spins, couplings and energies are right where levels coincide.

    Raises `ValueError` for a resolution that is not positive, another kernel, energies that are no row of numbers, and
    spins that do not fit the solver's lattice, are longer than 1 or in half precision.

    Source: Weisse et al., Rev. Mod. Phys. 78, 275 (2006), 10.1103/RevModPhys.78.275, section II.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> energies = jnp.linspace(-8.0, 8.0, 161)
        >>> density = js.observables.density_of_states(solver, spins, energies, resolution=0.3)
        >>> round(float(density.sum() * 0.1), 2)
        2.0
    """
    kernel, width = _check(resolution, kernel), jnp.asarray(resolution, spins.dtype)
    energies = _row(energies)
    if isinstance(solver, ExactDiagonalization):
        return _broadened(solver, spins, energies, width, kernel)
    mu = solver.moments(spins, key=key, order=_order(solver, resolution, kernel))
    return _series_of(solver, mu, energies, width, kernel) / solver.lattice.sites


@takes_spins(half=False, unit=True)
def local_density_of_states(
    solver: ExactDiagonalization | KernelPolynomial,
    spins: Spins,
    energies: Numbers,
    sites: ArrayLike | Sequence,
    *,
    resolution: float,
    kernel: str = "gaussian",
) -> Float[Array, "sites n"]:
    """rho_i(e) = sum_k |psi_k(i)|^2 g(e - e_k), summed over spin, at `sites` `(m, d + 1)` (cells and sublattice).

    What a scanning tunnelling microscope sees; broadened as in `density_of_states`, which is its average over the
    sites. Kernel polynomials take the local moments <i|T_m|i> without random probes, one site after another.

    Raises `ValueError` for sites that are no indices of the lattice, and as `density_of_states`.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> energies, sites = jnp.linspace(-8.0, 8.0, 161), np.array([[0, 0, 0], [1, 2, 0]])
        >>> js.observables.local_density_of_states(solver, spins, energies, sites, resolution=0.3).shape
        (2, 161)
    """
    kernel, width = _check(resolution, kernel), jnp.asarray(resolution, spins.dtype)
    energies, indices = _row(energies), site_indices(solver.lattice, sites)
    if isinstance(solver, ExactDiagonalization):
        return _broadened_at(solver, spins, energies, width, kernel, indices)
    order = _order(solver, resolution, kernel)
    return _series_at(solver, spins, energies, width, kernel, order, indices)


def site_indices(lattice: Lattice, sites: ArrayLike | Sequence) -> Int[Array, "m axes"]:
    """Indices of sites `(m, d + 1)`; `ValueError` for another shape, and beyond the lattice."""
    given = np.asarray(sites)
    shape = lattice.shape
    if given.ndim != 2 or given.shape[1] != len(shape) or not np.issubdtype(given.dtype, np.integer):
        raise ValueError(
            f"sites must be integer indices of shape (m, {len(shape)}), got {given.dtype} {given.shape}; see "
            "np.argwhere."
        )
    if np.any(given < 0) or np.any(given >= shape):
        raise ValueError(f"a site lies outside of the lattice {shape}; count the cells and the sublattice from 0.")
    return jnp.asarray(given)


def _row(energies: Numbers) -> Array:
    found = real(energies, "energies")
    if found.ndim != 1:
        raise ValueError(f"energies of shape {found.shape} are no row; give one, such as jnp.linspace(-6.0, 6.0, 200).")
    return found


def _check(resolution: float, kernel: str) -> str:
    if not 0 < resolution < np.inf:
        raise ValueError(f"resolution must be a positive energy, got {resolution}; 0.1 resolves most bands.")
    kernel = "gaussian" if kernel == "jackson" else kernel
    if kernel not in _KERNELS:
        raise ValueError(f"there is no kernel {kernel!r}; choose 'gaussian' or 'lorentz'.")
    return kernel


def _gaussian(x: Array, width: Array) -> Array:
    return jnp.exp(-((x / width) ** 2) / 2) / (width * (2 * np.pi) ** 0.5)


def _lorentzian(x: Array, width: Array) -> Array:
    return 1 / (np.pi * width * (1 + (x / width) ** 2))


# The peak, and moments in units of a/resolution: Chebyshev coefficients of a peak inside the window fall as
# exp(-(m resolution/a)^2/2), those of a Lorentzian as exp(-m resolution/a).
_KERNELS = {"gaussian": (_gaussian, 5.0), "lorentz": (_lorentzian, 9.0)}


def _order(solver: KernelPolynomial, resolution: float, kernel: str) -> int:
    return max(16, 2 * int(np.ceil(_KERNELS[kernel][1] * float(solver.scaling()[1]) / resolution / 2)))


@eqx.filter_jit
def _broadened(solver, spins, energies, width, kernel):
    levels = solver.levels(spins)
    real = (jnp.arange(levels.shape[0]) < jnp.asarray(solver.model.orbitals())).astype(levels.dtype)
    return _peaks(levels, real, energies, width, kernel) / solver.lattice.sites


def _peaks(levels, weights, energies, width, kernel):
    peak = _KERNELS[kernel][0]
    return jax.lax.map(lambda e: jnp.sum(weights * peak(e - levels, width)), energies.astype(levels.dtype))


@eqx.filter_jit
def _broadened_at(solver, spins, energies, width, kernel, sites):
    dtype, model = spins.dtype, solver.model
    index = jnp.ravel_multi_index(tuple(sites.T), model.lattice.shape, mode="clip")
    rows = (2 * index[:, None] + np.arange(2)[None]).reshape(-1)
    peaks = local_sums(_KERNELS[kernel][0], model.dense(spins), rows, energies.astype(dtype), width)
    peaks = jnp.sum(peaks.reshape(len(sites), 2, -1), axis=1)
    if model.occupied is None:
        return peaks
    return jnp.where(model.occupied[tuple(sites.T)][:, None], peaks, 0)


def _series(solver, mu, energies, width, kernel):
    levels, weights = quadrature(mu, *(value.astype(mu.dtype) for value in solver.scaling()))
    return _peaks(levels, weights, energies, width, kernel)


_series_of = eqx.filter_jit(_series)


@eqx.filter_jit
def _series_at(solver, spins, energies, width, kernel, order, sites):
    operator, model = solver.rescaled(spins), solver.model

    def at(site):
        unit = unit_spinor(model.lattice.shape, site, spins.dtype, model.occupied)
        return _series(solver, moments(operator, unit, order), energies, width, kernel)

    return jax.lax.map(at, sites)
