"""Exact diagonalization: the reference for every other solver. Cubic in the number of sites."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Complex, Float, PRNGKeyArray

from jaxspin.arrays.precision import matmul
from jaxspin.devices.memory import check_memory
from jaxspin.electrons import fermi, spectral
from jaxspin.electrons.base import AbstractElectrons, check_model
from jaxspin.electrons.ensemble import AbstractEquilibrium, Ensemble, degenerate, frontier
from jaxspin.electrons.memory import warn_of_memory
from jaxspin.field import Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite, check_spins, takes_spins


class ExactDiagonalization(AbstractEquilibrium):
    """The electrons of `model` in thermal equilibrium, from all eigenvalues and eigenvectors.

    Give exactly one of

    - `filling` n = N_e/(number of spin-orbitals): the energy is the free energy F = Omega + mu N_e;
    - `chemical_potential` mu: the energy is the grand potential Omega = -T sum_k ln(1 + exp(-(e_k - mu)/T)).

    `temperature` is that of the electrons; 0 is the ground state, where degenerate states at the Fermi energy share
    their electrons equally. The field is B_i = -dE/dS_i, J <sigma_i> of an `SDModel`. Spins and field are
    `(*cells, sublattices, 3)`, energies in units of the hopping.

    First and second derivatives are right at degeneracies too, by divided differences of the Fermi function (Daleckii
    and Krein, AMS Transl. 47, 1 (1965)); third derivatives are not. Time grows as (2N)^3 and memory as (2N)^2: use
    `KernelPolynomial` beyond about a thousand sites, `BlochDiagonalization` for textures that repeat.

    Raises `ValueError` if both or neither of filling and chemical potential are given, or one is out of range, and for
    spins that do not fit the lattice or are not finite; `TypeError` for what is no model, such as a lattice;
    `MemoryError`, before anything is computed, where the matrices would not fit into the memory.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> round(float(solver.energy(js.textures.ferromagnet(lattice))), 3), solver.field(spins).shape
        (-28.478, (4, 4, 1, 3))
    """

    parallel_part_is_fixed: ClassVar[bool] = False
    half_precision: ClassVar[bool] = False

    model: AbstractElectrons
    ensemble: Ensemble

    def __init__(
        self,
        model: AbstractElectrons,
        *,
        filling: ArrayLike | None = None,
        chemical_potential: ArrayLike | None = None,
        temperature: ArrayLike = 0.0,
    ):
        check_model(model, "ExactDiagonalization")
        self.ensemble = Ensemble(filling=filling, chemical_potential=chemical_potential, temperature=temperature)
        _warn(model)
        self.model = model

    @property
    def ground_state(self) -> bool:
        """Whether the temperature is zero."""
        return self.ensemble.ground_state

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """F at fixed filling, Omega at fixed chemical potential."""
        return self._solve(spins)[0]

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        energy, _, _, density = self._solve(spins)
        return energy, self.model.field_of(density, spins)

    def density_matrix(self, spins: Spins) -> Complex[Array, "n n"]:
        """rho = f(H), rho_ij = <c+_j c_i>, in the C order of `(*cells, orbitals, 2)`."""
        return self._solve(spins)[3]

    def fermi_level(self, spins: Spins) -> Float[Array, ""]:
        """The chemical potential; at T = 0 and fixed filling midway between highest occupied and lowest empty level."""
        return self._solve(spins)[1]

    def levels(self, spins: Spins) -> Float[Array, " n"]:
        """All one-electron energies, ascending (those of vacancies last, above the spectrum)."""
        return spectral.levels(self.model.dense(spins))

    def electrons(self, spins: Spins) -> Float[Array, ""]:
        """N_e."""
        return self._solve(spins)[2]

    def on(self, lattice: Lattice) -> "ExactDiagonalization":
        """The same solver on another size of the lattice; warns of one that takes gigabytes."""
        model = self.model.on(lattice)
        _warn(model)
        return eqx.tree_at(lambda s: s.model, self, model)

    def _solve(self, spins: Spins):
        check_spins(self.lattice, spins)
        check_finite(spins)
        check_memory(_name(self.model), _needed(self.model, spins.dtype.itemsize), _REMEDY)
        return self._solved(spins)

    @eqx.filter_jit
    def _solved(self, spins: Spins):
        h = self.model.dense(spins)
        orbitals = jnp.asarray(self.model.orbitals())
        weights = (jnp.arange(h.shape[0]) < orbitals).astype(spins.dtype)
        return fill_matrix(self.ensemble.astype(spins.dtype), h, weights, orbitals.astype(spins.dtype))


_REMEDY = "use KernelPolynomial, linear in the sites"


def _warn(model: AbstractElectrons) -> None:
    warn_of_memory(_name(model), _needed(model, 4), _REMEDY)


def _needed(model: AbstractElectrons, itemsize: int) -> float:
    """Bytes with reals of this size: H, its eigenvectors and their workspace, the density matrix and its factors."""
    return 6.0 * (2 * model.orbital_lattice.sites) ** 2 * 2 * itemsize


def _name(model: AbstractElectrons) -> str:
    orbitals = model.orbital_lattice.sites
    return f"ExactDiagonalization of {orbitals} {'sites' if orbitals == model.lattice.sites else 'orbitals'}"


@takes_spins(half=False)
@eqx.filter_jit
def bloch_levels(model: AbstractElectrons, spins: Spins, points: int | tuple[int, ...]) -> Float[Array, " levels"]:
    """All one-electron energies, ascending, of the texture `spins` repeated `points` times along each axis.

    The model's lattice is the magnetic cell of N sites; the result has `(2 N points^d,)` energies, in units of the
    hopping, those of vacancies last. `points` is one number, or one for each axis.

    Raises `ValueError` for an open axis, or another number of `points` than of axes.

    Example:
        >>> model, cell_spins = js.SDModel(js.square(2), coupling=2.0), js.textures.neel(js.square(2))
        >>> js.electrons.bloch_levels(model, cell_spins, 3).shape
        (72,)
    """
    dimension = model.lattice.dimension
    along = (points,) * dimension if isinstance(points, int) else points
    if len(along) != dimension:
        raise ValueError(f"points must be a number or {dimension} numbers, got {points}; one for each axis.")
    grid = jnp.stack(jnp.meshgrid(*(jnp.arange(n) / n for n in along), indexing="ij"), -1)
    k = grid.reshape(-1, dimension).astype(spins.dtype)
    return jnp.sort(spectral.levels(model.bloch(spins, k)).reshape(-1))


@takes_spins(half=False)
@eqx.filter_jit
def bloch_energy(solver: ExactDiagonalization, spins: Spins, points: int | tuple[int, ...]) -> Float[Array, ""]:
    """Energy per site of the texture whose magnetic cell is `spins`, repeated `points` times along each axis.

    The model's lattice is the magnetic cell. It equals the energy of `ExactDiagonalization` on the repeated lattice
    divided by its sites, in units of the hopping, with one small `eigh` for each wavevector in place of one large.
    `BlochDiagonalization` has the field too.

    Raises `ValueError` for an open axis, or another number of `points` than of axes.

    Example:
        >>> cell = js.square(1)
        >>> solver = js.ExactDiagonalization(js.SDModel(cell, coupling=2.0), filling=0.25, temperature=0.1)
        >>> round(float(js.electrons.bloch_energy(solver, js.textures.ferromagnet(cell), 4)), 3)
        -1.78
    """
    model = solver.model
    levels = bloch_levels(model, spins, points)
    copies = levels.shape[0] // (2 * model.orbital_lattice.sites)
    inside = jnp.arange(levels.shape[0]) < jnp.asarray(model.orbitals() * copies)
    weights = inside.astype(levels.dtype)
    energy = solver.ensemble.energy(levels, weights, jnp.sum(weights))
    return energy / (copies * model.lattice.sites)


# --- a matrix filled with electrons, with its derivatives -----------------------------------------------------------


@jax.custom_jvp
def fill_matrix(ensemble: Ensemble, h: Array, weights: Array, orbitals: Array) -> tuple[Array, Array, Array, Array]:
    """(energy, mu, N_e, rho) of the matrix `h` `(n, n)`, all in one precision. A filling of 1 is `orbitals` electrons.

    Above T = 0 also of many matrices `(..., n, n)` that share their electrons: `weights` `(..., n)` count the states of
    each. The sum of rho over them is the density matrix, each already with its weight.
    """
    levels, states = jnp.linalg.eigh(h)
    energy, mu, electrons, f = ensemble.fill(levels, weights, orbitals)
    return energy, mu, electrons, matmul(states * f[..., None, :].astype(states.dtype), _adjoint(states))


def _adjoint(matrix):
    return jnp.conj(jnp.swapaxes(matrix, -1, -2))


@fill_matrix.defjvp
def _fill_matrix_jvp(primals, tangents):
    ensemble, h, weights, orbitals = primals
    d_ensemble, dh, _, _ = tangents
    fixed_filling, ground_state = ensemble.fixed_filling, ensemble.ground_state
    constraint, d_constraint = ensemble.constraint(orbitals), d_ensemble.constraint(orbitals)
    temperature, d_temperature = ensemble.temperature, d_ensemble.temperature
    out = fill_matrix(*primals)
    _, mu, electrons, density = out
    dh = (dh + _adjoint(dh)) / 2

    levels, states = jnp.linalg.eigh(h)
    in_states = matmul(_adjoint(states), dh, states)
    d_levels = jnp.real(jnp.diagonal(in_states, axis1=-2, axis2=-1))
    if ground_state:
        f = ensemble.fill(levels, weights, orbitals).occupations
        by_level = by_mu = by_temperature = jnp.zeros_like(levels)
        entropy = jnp.zeros_like(mu)
    else:
        occupation = fermi.occupation(levels, mu, temperature)
        f = weights * occupation
        by_mu = f * (1 - occupation) / temperature
        by_level = -by_mu
        by_temperature = by_mu * (levels - mu) / temperature
        entropy = fermi.entropy(levels, weights, mu, temperature)

    if fixed_filling:
        d_electrons = d_constraint
        if ground_state:
            homo, lumo = frontier(weights, constraint)
            d_mu = (d_levels[homo] + d_levels[lumo]) / 2
            d_occupations = jnp.zeros_like(levels)
        else:
            # shares of levels, since in a gap by_mu may be smaller than any number
            share, compressibility = fermi.shares(levels, weights, mu, temperature)
            d_mu = jnp.sum(share * (d_levels - (levels - mu) / temperature * d_temperature))
            d_occupations = by_mu * d_mu + share * d_constraint
            d_mu = d_mu + d_constraint / compressibility
        d_energy = mu * d_electrons
    else:
        d_mu = d_constraint
        d_electrons = jnp.sum(by_level * d_levels) + jnp.sum(by_mu) * d_mu + jnp.sum(by_temperature) * d_temperature
        d_energy = -electrons * d_mu
        d_occupations = by_mu * d_mu
    d_energy = d_energy - entropy * d_temperature + jnp.real(jnp.sum(jnp.conj(density) * dh))

    # Daleckii-Krein; the midpoint derivative where the difference would cancel
    gap = levels[..., :, None] - levels[..., None, :]
    if ground_state:
        close = jnp.abs(gap) < degenerate(levels)
        middle = jnp.zeros_like(gap)
    else:
        close = jnp.abs(gap) < temperature * jnp.finfo(levels.dtype).eps ** (1 / 3)
        middle = (by_level[..., :, None] + by_level[..., None, :]) / 2
    ratio = jnp.where(close, middle, (f[..., :, None] - f[..., None, :]) / jnp.where(close, 1, gap))
    in_states = in_states * ratio.astype(states.dtype)
    direct = (d_occupations + by_temperature * d_temperature).astype(states.dtype)
    diagonal = jnp.broadcast_to(jnp.eye(levels.shape[-1], dtype=states.dtype), states.shape)
    in_states = in_states + direct[..., None] * diagonal
    d_density = matmul(states, in_states, _adjoint(states))
    return out, (d_energy, d_mu, d_electrons, d_density)
