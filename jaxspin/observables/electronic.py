"""What the electrons do at frozen spins `(*cells, sublattices, 3)`: their density, and their density of states."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.electrons import ExactDiagonalization, KernelPolynomial
from jaxspin.electrons.chebyshev import jackson_kernel
from jaxspin.field import Spins


@eqx.filter_jit
def electron_density(
    solver: ExactDiagonalization | KernelPolynomial, spins: Spins, *, key: PRNGKeyArray | None = None
) -> Float[Array, "*cells sublattices"]:
    """n_i = sum_s <c+_is c_is> = dE/dV_i, the number of electrons on each site, between 0 and 2.

    The derivative of the solver's energy with respect to site energies V, so each solver gives the density that belongs
    to its own energy.
    """
    model = solver.model
    given = jnp.zeros((), spins.dtype) if model.potential is None else model.potential.astype(spins.dtype)

    def energy(potential):
        moved = eqx.tree_at(lambda s: s.model.potential, solver, potential, is_leaf=lambda x: x is None)
        return moved.energy(spins, key=key)

    return jax.grad(energy)(jnp.broadcast_to(given, model.lattice.shape))


def density_of_states(
    solver: ExactDiagonalization | KernelPolynomial,
    spins: Spins,
    energies: Float[Array, " n"],
    *,
    resolution: float,
    key: PRNGKeyArray | None = None,
) -> Float[Array, " n"]:
    """rho(e) per site and unit of energy, broadened to `resolution` (standard deviation, in units of the hopping).

    Its integral is the number of orbitals per site, 2 without vacancies. Exact diagonalization: sum_k of Gaussians.
    Kernel polynomials: rho(e) = [g_0 mu_0 + 2 sum_m g_m mu_m T_m(x)]/(pi sqrt(1 - x^2) a) with the Jackson kernel
    g_m and as many moments as the resolution needs, pi a/`resolution`; zero outside the solver's window, and with the
    noise of its probes.

    Raises `ValueError` for a resolution that is not positive.
    Source: Weisse et al., Rev. Mod. Phys. 78, 275 (2006), eqs. 71 and 76, 10.1103/RevModPhys.78.275.
    """
    if not resolution > 0:
        raise ValueError(f"resolution must be a positive energy, got {resolution}; 0.1 resolves most bands.")
    if isinstance(solver, ExactDiagonalization):
        return _gaussians(solver, spins, energies, resolution)
    order = max(16, 2 * int(np.ceil(np.pi * float(solver.scaling()[1]) / resolution / 2)))
    return _jackson(solver, spins, energies, order, key)


@eqx.filter_jit
def _gaussians(solver, spins, energies, resolution):
    levels = solver.levels(spins)
    real = jnp.arange(levels.shape[0]) < jnp.asarray(solver.model.orbitals())
    x = (energies.astype(spins.dtype)[:, None] - levels[None, :]) / resolution
    gaussians = jnp.exp(-(x**2) / 2) / (resolution * (2 * np.pi) ** 0.5)
    return jnp.sum(jnp.where(real[None], gaussians, 0), axis=1) / solver.lattice.sites


@eqx.filter_jit
def _jackson(solver, spins, energies, order, key):
    damped = solver.moments(spins, key=key, order=order) * jnp.asarray(jackson_kernel(order), spins.dtype)
    center, scale = (value.astype(spins.dtype) for value in solver.scaling())
    x = (energies.astype(spins.dtype) - center) / scale
    inside = jnp.abs(x) < 1
    angle = jnp.arccos(jnp.where(inside, x, 0))
    m = jnp.arange(order, dtype=spins.dtype)
    weights = jnp.where(m == 0, 1, 2) * damped
    series = jax.lax.map(lambda theta: jnp.sum(weights * jnp.cos(m * theta)), angle)
    return jnp.where(inside, series / (np.pi * scale * jnp.sin(angle)), 0) / solver.lattice.sites
