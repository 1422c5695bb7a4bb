"""Where the electrons are at frozen spins `(*cells, sublattices, 3)`: density, density of states, local and total."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from jaxspin.arrays.spinors import unit_spinor
from jaxspin.couplings import Numbers, real
from jaxspin.electrons import (
    BlochDiagonalization,
    ExactDiagonalization,
    GreensFunction,
    KernelPolynomial,
    OrbitalModel,
    bloch_levels,
)
from jaxspin.electrons.chebyshev import moments, quadrature
from jaxspin.electrons.spectral import local_sums
from jaxspin.field import Spins
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins

Equilibrium = ExactDiagonalization | BlochDiagonalization | KernelPolynomial


@takes_spins(half=False, unit=True)
@eqx.filter_jit
def electron_density(
    solver: Equilibrium | GreensFunction,
    spins: Spins,
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, "*cells orbitals"]:
    """n_i = sum_s <c+_is c_is> = dE/dV_i, the number of electrons on each site or orbital, between 0 and 2.

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
    model = model_of(solver)
    given = jnp.zeros((), spins.dtype) if model.potential is None else model.potential.astype(spins.dtype)

    def energy(potential):
        moved = eqx.tree_at(lambda s: model_of(s).potential, solver, potential, is_leaf=lambda x: x is None)
        return moved.energy(spins, key=key)

    return jax.grad(energy)(jnp.broadcast_to(given, model.orbital_lattice.shape))


@takes_spins(half=False, unit=True)
@eqx.filter_jit
def spin_polarization(
    solver: Equilibrium, spins: Spins, *, key: PRNGKeyArray | None = None
) -> Float[Array, "*cells orbitals 3"]:
    """<sigma> of the electrons in each orbital of an `OrbitalModel`: -dE/dh_i by a field -h_i.sigma on that orbital.

    The moment of an orbital in Bohr magnetons, along the electrons' spin; `magnetic_moments` adds up those of an atom.
    `key` is that of the probes of kernel polynomials.

    Raises `ValueError` for another model: of `SDModel` it is `solver.field(spins)` divided by J.

    Example:
        >>> cell = js.chain(1)
        >>> model = js.OrbitalModel(cell, (0, None), [(0,)], np.zeros((1, 2, 2)), np.diag([1.0, 0.0]))
        >>> solver = js.ExactDiagonalization(model, filling=0.5, temperature=0.1)
        >>> found = js.observables.spin_polarization(solver, js.textures.ferromagnet(cell))
        >>> [abs(round(float(z), 2)) for z in found[0, :, 2]]
        [1.0, 0.0]
    """
    model = model_of(solver)
    if not isinstance(model, OrbitalModel):
        raise ValueError(f"{type(model).__name__} has no field on single orbitals; divide solver.field(spins) by J.")
    shape = (*model.orbital_lattice.shape, 3)
    given = jnp.zeros(shape, spins.dtype) if model.zeeman is None else model.zeeman.astype(spins.dtype)

    def energy(zeeman):
        moved = eqx.tree_at(lambda s: model_of(s).zeeman, solver, zeeman, is_leaf=lambda x: x is None)
        return moved.energy(spins, key=key)

    return -jax.grad(energy)(jnp.broadcast_to(given, shape))


@takes_spins(half=False, unit=True)
def magnetic_moments(
    solver: Equilibrium, spins: Spins, *, key: PRNGKeyArray | None = None
) -> Float[Array, "*cells sublattices 3"]:
    """The moment of each magnetic atom in Bohr magnetons: <sigma> of the electrons in its orbitals, along their spin.

    The sum of `spin_polarization` over the orbitals that the atom owns, and raises the same.

    Example:
        >>> cell = js.chain(1)
        >>> model = js.OrbitalModel(cell, (0, 0), [(0,)], np.zeros((1, 2, 2)), np.diag([1.0, 1.0]))
        >>> solver = js.ExactDiagonalization(model, filling=model.filling_of(2), temperature=0.1)
        >>> round(float(js.observables.magnetic_moments(solver, js.textures.ferromagnet(cell))[0, 0, 2]), 2)
        2.0
    """
    found = spin_polarization(solver, spins, key=key)
    owners = model_of(solver).owners
    own = [np.flatnonzero([o == a for o in owners]) for a in range(spins.shape[-2])]
    return jnp.stack([jnp.sum(found[..., which, :], axis=-2) for which in own], axis=-2)


@takes_spins(half=False, unit=True)
def density_of_states(
    solver: Equilibrium,
    spins: Spins,
    energies: Numbers,
    *,
    resolution: float,
    kernel: str = "gaussian",
    key: PRNGKeyArray | None = None,
) -> Float[Array, " n"]:
    """rho(e) = sum_k g(e - e_k)/N per site and unit of energy, every level broadened to `resolution`.

    Its integral is the number of spin-orbitals per site, 2 of an `SDModel` without vacancies. g is a Gaussian of
    standard deviation `resolution` (in units of the hopping), or with `kernel` "lorentz" a Lorentzian of that
    half-width, the imaginary part of a Green's function. "jackson", whose peaks were sharper near the ends of the
    band, is "gaussian" now.

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
    kernel, width = checked_kernel(resolution, kernel), jnp.asarray(resolution, spins.dtype)
    energies = as_row(energies)
    if isinstance(solver, ExactDiagonalization | BlochDiagonalization):
        return _broadened(solver, spins, energies, width, kernel)
    mu = solver.moments(spins, key=key, order=order_of_peaks(solver, resolution, kernel))
    return _series_of(solver, mu, energies, width, kernel) / solver.lattice.sites


@takes_spins(half=False, unit=True)
def local_density_of_states(
    solver: Equilibrium,
    spins: Spins,
    energies: Numbers,
    sites: ArrayLike | Sequence,
    *,
    resolution: float,
    kernel: str = "gaussian",
) -> Float[Array, "sites n"]:
    """rho_i(e) = sum_k |psi_k(i)|^2 g(e - e_k), summed over spin, at `sites` `(m, d + 1)` (cells and sublattice).

    What a scanning tunnelling microscope sees; of an `OrbitalModel` the last index is the orbital, and the sum over an
    atom's is its density of states (`partial_density_of_states` has those of all orbitals, averaged over cells).
    Broadened as in `density_of_states`, which is its average over the sites. Kernel polynomials take the local moments
    <i|T_m|i> without random probes, one site after another.

    Raises `ValueError` for sites that are no indices of the lattice, and as `density_of_states`.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> energies, sites = jnp.linspace(-8.0, 8.0, 161), np.array([[0, 0, 0], [1, 2, 0]])
        >>> js.observables.local_density_of_states(solver, spins, energies, sites, resolution=0.3).shape
        (2, 161)
    """
    kernel, width = checked_kernel(resolution, kernel), jnp.asarray(resolution, spins.dtype)
    energies, indices = as_row(energies), site_indices(model_of(solver).orbital_lattice, sites)
    if isinstance(solver, ExactDiagonalization | BlochDiagonalization):
        return _broadened_at(solver, spins, energies, width, kernel, indices)
    order = order_of_peaks(solver, resolution, kernel)
    return _series_at(solver, spins, energies, width, kernel, order, indices)


def model_of(solver: Any) -> Any:
    """The model of a solver, that of its cell where it repeats one."""
    return solver.solver.model if isinstance(solver, BlochDiagonalization) else solver.model


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


def as_row(energies: Numbers) -> Array:
    """Energies as a row of numbers; `ValueError` for another shape."""
    found = real(energies, "energies")
    if found.ndim != 1:
        raise ValueError(f"energies of shape {found.shape} are no row; give one, such as jnp.linspace(-6.0, 6.0, 200).")
    return found


def checked_kernel(resolution: float, kernel: str) -> str:
    """The kernel by its present name; `ValueError` for one that is not there, or a resolution that is not positive."""
    if not 0 < resolution < np.inf:
        raise ValueError(f"resolution must be a positive energy, got {resolution}; 0.1 resolves most bands.")
    kernel = "gaussian" if kernel == "jackson" else kernel
    if kernel not in KERNELS:
        raise ValueError(f"there is no kernel {kernel!r}; choose 'gaussian' or 'lorentz'.")
    return kernel


def _gaussian(x: Array, width: Array) -> Array:
    return jnp.exp(-((x / width) ** 2) / 2) / (width * (2 * np.pi) ** 0.5)


def _lorentzian(x: Array, width: Array) -> Array:
    return 1 / (np.pi * width * (1 + (x / width) ** 2))


# The peak, and moments in units of a/resolution: Chebyshev coefficients of a peak inside the window fall as
# exp(-(m resolution/a)^2/2), those of a Lorentzian as exp(-m resolution/a).
KERNELS = {"gaussian": (_gaussian, 5.0), "lorentz": (_lorentzian, 9.0)}


def order_of_peaks(solver: KernelPolynomial, resolution: float, kernel: str) -> int:
    """How many moments a peak of this resolution takes."""
    return max(16, 2 * int(np.ceil(KERNELS[kernel][1] * float(solver.scaling()[1]) / resolution / 2)))


@eqx.filter_jit
def _broadened(solver, spins, energies, width, kernel):
    if isinstance(solver, BlochDiagonalization):
        levels = bloch_levels(solver.solver.model, spins, solver.points)
        real = jnp.full_like(levels, 1 / solver.points**solver.lattice.dimension)
    else:
        levels = solver.levels(spins)
        real = (jnp.arange(levels.shape[0]) < jnp.asarray(solver.model.orbitals())).astype(levels.dtype)
    return _peaks(levels, real, energies, width, kernel) / solver.lattice.sites


def _peaks(levels, weights, energies, width, kernel):
    peak = KERNELS[kernel][0]
    return jax.lax.map(lambda e: jnp.sum(weights * peak(e - levels, width)), energies.astype(levels.dtype))


@eqx.filter_jit
def _broadened_at(solver, spins, energies, width, kernel, sites):
    dtype, model = spins.dtype, model_of(solver)
    index = jnp.ravel_multi_index(tuple(sites.T), model.orbital_lattice.shape, mode="clip")
    rows = (2 * index[:, None] + np.arange(2)[None]).reshape(-1)
    peak, energies = KERNELS[kernel][0], energies.astype(dtype)
    if isinstance(solver, BlochDiagonalization):
        k, share = (jnp.asarray(x, dtype) for x in solver.wavevectors())
        each = jax.lax.map(
            lambda q: q[0] * local_sums(peak, model.dense(spins, q[1]), rows, energies, width), (share, k)
        )
        peaks = jnp.sum(each, axis=0)
    else:
        peaks = local_sums(peak, model.dense(spins), rows, energies, width)
    peaks = jnp.sum(peaks.reshape(len(sites), 2, -1), axis=1)
    if model.occupied is None:
        return peaks
    return jnp.where(model.occupied[tuple(sites.T)][:, None], peaks, 0)


def series(solver: KernelPolynomial, mu: Array, energies: Array, width: Array, kernel: str) -> Array:
    """Peaks at the levels whose Chebyshev moments are `mu`."""
    levels, weights = quadrature(mu, *(value.astype(mu.dtype) for value in solver.scaling()))
    return _peaks(levels, weights, energies, width, kernel)


_series_of = eqx.filter_jit(series)


@eqx.filter_jit
def _series_at(solver, spins, energies, width, kernel, order, sites):
    operator, model = solver.rescaled(spins), solver.model

    def at(site):
        unit = model.packed(unit_spinor(model.orbital_lattice.shape, site, spins.dtype, model.occupied))
        return series(solver, moments(operator, unit, order), energies, width, kernel)

    return jax.lax.map(at, sites)
