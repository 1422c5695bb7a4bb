"""The density of states shared out among the orbitals of a cell."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.couplings import Numbers
from jaxspin.electrons import BlochDiagonalization, ExactDiagonalization
from jaxspin.electrons.chebyshev import moments
from jaxspin.electrons.packed import orbital_alone
from jaxspin.electrons.spectral import local_sums
from jaxspin.field import Spins
from jaxspin.observables.electronic import (
    KERNELS,
    Equilibrium,
    as_row,
    checked_kernel,
    model_of,
    order_of_peaks,
    series,
)
from jaxspin.spins import takes_spins

# The places of the spinor that belong to a choice of spin.
_SPINS = {None: (0, 1), "up": (0,), "down": (1,)}


@takes_spins(half=False, unit=True)
def partial_density_of_states(
    solver: Equilibrium,
    spins: Spins,
    energies: Numbers,
    *,
    resolution: float,
    kernel: str = "gaussian",
    key: PRNGKeyArray | None = None,
    spin: str | None = None,
) -> Float[Array, "orbitals n"]:
    """rho_m(e) = sum_k sum_r |psi_k(r, m)|^2 g(e - e_k)/cells of each orbital m of a cell, r all cells, both spins.

    `spin` "up" or "down" takes that component along z alone, whichever way the spins of the texture point.

    Of an `SDModel` the orbitals are the sublattices. The sum over those that an atom owns is the atom's share, and that
    over all is `density_of_states` times the sites of a cell. Broadened as there. Kernel polynomials take random probes
    (`key`) on one orbital after another: with a colour for each orbital, as most colourings have it, as many products
    as the total takes. For single cells take `local_density_of_states`.

    Raises `ValueError` as `density_of_states`, and for another `spin`.

    Example:
        >>> cell, levels = js.chain(8), np.stack([np.diag([-1.0, 1.0]), -np.eye(2) / 4, -np.eye(2) / 4])
        >>> model = js.OrbitalModel(cell, (0, 0), [(0,), (1,), (-1,)], levels, np.zeros((2, 2)))
        >>> solver = js.ExactDiagonalization(model, filling=0.5, temperature=0.1)
        >>> energies, up = jnp.linspace(-3.0, 3.0, 121), js.textures.ferromagnet(cell)
        >>> found = js.observables.partial_density_of_states(solver, up, energies, resolution=0.2)
        >>> found.shape, float(energies[jnp.argmax(found[0])]) < 0
        ((2, 121), True)
        >>> down = js.observables.partial_density_of_states(solver, up, energies, resolution=0.2, spin="down")
        >>> bool(jnp.all(down <= found))
        True
    """
    if spin not in _SPINS:
        raise ValueError(f'spin = {spin!r} is none; give "up" or "down", along z, or None for both.')
    spins_of = _SPINS[spin]
    kernel, width, row = checked_kernel(resolution, kernel), jnp.asarray(resolution, spins.dtype), as_row(energies)
    if isinstance(solver, ExactDiagonalization | BlochDiagonalization):
        return _of_levels(solver, spins, row, width, kernel, spins_of)
    return _of_series(solver, spins, row, width, kernel, order_of_peaks(solver, resolution, kernel), key, spins_of)


@eqx.filter_jit
def _of_levels(solver, spins, energies, width, kernel, spins_of):
    model, peak, energies = model_of(solver), KERNELS[kernel][0], energies.astype(spins.dtype)
    shape = model.orbital_lattice.shape
    rows = jnp.arange(2 * model.orbital_lattice.sites)
    if isinstance(solver, BlochDiagonalization):
        k, share = (jnp.asarray(x, spins.dtype) for x in solver.wavevectors())
        each = jax.lax.map(
            lambda q: q[0] * local_sums(peak, model.dense(spins, q[1]), rows, energies, width), (share, k)
        )
        peaks = jnp.sum(each, axis=0)
    else:
        peaks = local_sums(peak, model.dense(spins), rows, energies, width)
    peaks = jnp.sum(peaks.reshape(*shape, 2, -1)[..., np.array(spins_of), :], axis=-2)
    if model.occupied is not None:
        peaks = jnp.where(model.occupied[..., None], peaks, 0)
    return jnp.mean(peaks.reshape(-1, *peaks.shape[-2:]), axis=0)


@eqx.filter_jit
def _of_series(solver, spins, energies, width, kernel, order, key, spins_of):
    lattice, operator = solver.model.orbital_lattice, solver.rescaled(spins)
    start = solver.start(spins, key=key)
    columns = _columns_of(solver.probes.colors(lattice), spins_of)

    def at(orbital):
        mu = moments(operator, orbital_alone(start, *orbital), order)
        return series(solver, mu, energies, width, kernel)

    found = jax.lax.map(at, (jnp.arange(lattice.sublattices), jnp.asarray(columns)))
    return found * (lattice.sublattices / lattice.sites)


def _columns_of(colors: np.ndarray, spins_of: tuple[int, ...]) -> np.ndarray:
    """The vectors, spin up (0) and down (1), that touch each orbital of the cell, `(orbitals, columns)`.

    Where their numbers differ, the row is filled with vectors that are zero on the orbital.
    """
    count = int(colors.max()) + 1
    own = [np.unique(colors[..., m]) for m in range(colors.shape[-1])]
    most = max(map(len, own))
    rows = [np.concatenate([mine, np.setdiff1d(np.arange(count), mine)])[:most] for mine in own]
    return np.stack([np.concatenate([n * count + row for n in spins_of]) for row in rows])
