"""Which levels are filled: an ensemble of fixed filling or of fixed chemical potential, at a temperature.

Levels are energies e_k of shape `(*k)` with weights w_k that count states: 1 each for exact levels (0 at vacancies),
those of a quadrature for a density of states. Energies and temperature are in units of the hopping.
"""

from typing import Any, NamedTuple, TypeGuard

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from jaxspin import renamed
from jaxspin.couplings import optional, scalar
from jaxspin.electrons import fermi
from jaxspin.electrons.base import AbstractElectrons
from jaxspin.field import AbstractPotential
from jaxspin.lattice import Lattice

Levels = Float[Array, "*k"]
Scalar = Float[Array, ""]


class Filled(NamedTuple):
    """Levels with electrons in them: what `Ensemble.fill` finds."""

    energy: Scalar  # F = Omega + mu N_e at fixed filling, Omega at fixed chemical potential
    mu: Scalar
    electrons: Scalar  # N_e
    occupations: Levels  # w_k f(e_k)

    number = renamed.attribute("Filled", "number", "electrons")


class Ensemble(eqx.Module):
    """Electrons at a fixed `filling` or at a fixed `chemical_potential`, and at a `temperature`.

    - `filling`: n = N_e/(number of spin-orbitals), between 0 and 1; the energy is the free energy
      F = Omega + mu N_e.
    - `chemical_potential`: mu; the energy is the grand potential Omega = -T sum_k w_k ln(1 + exp(-(e_k - mu)/T)).
    - `temperature`: T in units of the hopping. 0 is the ground state: levels below mu are full, and a degenerate one
      at mu is filled evenly.

    `ground_state` says whether T is 0. It has to be known when a program is compiled, so a traced temperature counts as
    above zero, and is made no smaller than rounding.

    Solvers make one from their own arguments; use it for levels of your own.

    Raises `ValueError` if both or neither of filling and chemical potential are given, or one is out of range.

    Example:
        >>> ensemble, levels = js.electrons.Ensemble(filling=0.5, temperature=0.1), jnp.array([-1.0, 1.0])
        >>> energy, mu, electrons, occupations = ensemble.fill(levels, jnp.ones_like(levels), levels.size)
        >>> float(electrons), [round(float(f), 3) for f in occupations]
        (1.0, [1.0, 0.0])
    """

    filling: Scalar | None
    chemical_potential: Scalar | None
    temperature: Scalar
    ground_state: bool = eqx.field(static=True)

    def __init__(
        self,
        *,
        filling: ArrayLike | None = None,
        chemical_potential: ArrayLike | None = None,
        temperature: ArrayLike = 0.0,
    ):
        if (filling is None) == (chemical_potential is None):
            got = "neither" if filling is None else "both"
            raise ValueError(
                f"filling or chemical_potential fixes the electrons, got {got}; give one, such as filling=0.5."
            )
        if _known(filling) and not 0 <= float(filling) <= 1:
            raise ValueError(f"filling is N_e/(2N), between 0 and 1, got {filling}; for half filling give filling=0.5.")
        if _known(temperature) and not float(temperature) >= 0:
            raise ValueError(f"temperature must not be negative, got {temperature}; use 0 for the ground state.")
        self.filling = optional(filling, "filling")
        self.chemical_potential = optional(chemical_potential, "chemical_potential")
        self.temperature = scalar(temperature, "temperature")
        self.ground_state = not isinstance(temperature, Tracer) and bool(np.asarray(temperature) == 0)

    @property
    def fixed_filling(self) -> bool:
        """Whether the number of electrons is given, and not mu."""
        return self.filling is not None

    def astype(self, dtype) -> "Ensemble":
        """The same in the precision of the levels, with the temperature above rounding."""
        # zero among mapped temperatures: cold enough that no level knows the difference
        coldest = 1e3 * jnp.finfo(dtype).eps
        parts = (None if x is None else x.astype(dtype) for x in (self.filling, self.chemical_potential))
        return eqx.tree_at(
            lambda e: (e.filling, e.chemical_potential, e.temperature),
            self,
            (*parts, jnp.maximum(self.temperature.astype(dtype), coldest)),
            is_leaf=lambda x: x is None,
        )

    def constraint(self, orbitals: ArrayLike) -> Scalar:
        """What is fixed: N_e, the filling of so many `orbitals`, or mu."""
        if self.filling is not None:
            return self.filling * jnp.asarray(orbitals, self.filling.dtype)
        assert self.chemical_potential is not None
        return self.chemical_potential

    def fermi_level(
        self, levels: Levels, weights: Levels, orbitals: ArrayLike, resolution: Scalar | None = None
    ) -> Scalar:
        """mu of ascending `levels`; in the ground state of fixed filling midway between highest occupied and lowest
        empty level.

        `orbitals` are the electrons of a filling of 1. `resolution` is the number of electrons to which a truncated
        density of states counts, see `fermi.resolved_potential`; None for levels that are exact.
        """
        ensemble = self.astype(levels.dtype)
        constraint, temperature = ensemble.constraint(orbitals), ensemble.temperature
        if not self.fixed_filling:
            return constraint
        if self.ground_state:
            homo, lumo = frontier(weights, constraint)
            return (levels[homo] + levels[lumo]) / 2
        if resolution is None:
            return fermi.chemical_potential(levels, weights, constraint, temperature)
        return fermi.resolved_potential(levels, weights, constraint, temperature, resolution)

    def energy(self, levels: Levels, weights: Levels, orbitals: ArrayLike, resolution: Scalar | None = None) -> Scalar:
        """F at fixed filling, Omega at fixed chemical potential; the arguments are those of `fermi_level`."""
        return self.fill(levels, weights, orbitals, resolution).energy

    def fill(self, levels: Levels, weights: Levels, orbitals: ArrayLike, resolution: Scalar | None = None) -> Filled:
        """Energy, mu, N_e and occupations w_k f(e_k); the arguments are those of `fermi_level`."""
        ensemble = self.astype(levels.dtype)
        constraint, temperature = ensemble.constraint(orbitals), ensemble.temperature
        mu = ensemble.fermi_level(levels, weights, orbitals, resolution)
        if self.ground_state:
            if self.fixed_filling:
                f = ground_filling(levels, weights, constraint)
                return Filled(jnp.sum(f * levels), mu, constraint, f)
            f = weights * _ground_occupation(levels, mu)
            return Filled(jnp.sum(f * (levels - mu)), mu, jnp.sum(f), f)
        f = weights * fermi.occupation(levels, mu, temperature)
        if not self.fixed_filling:
            return Filled(fermi.grand_potential(levels, weights, mu, temperature), mu, jnp.sum(f), f)
        if resolution is None:
            return Filled(fermi.free_energy_at(levels, weights, mu, constraint, temperature), mu, constraint, f)
        return Filled(fermi.grand_potential(levels, weights, mu, temperature) + mu * constraint, mu, constraint, f)


class AbstractEquilibrium(AbstractPotential):
    """A potential of the electrons of `model` in the equilibrium of an `ensemble`."""

    model: eqx.AbstractVar[AbstractElectrons]
    ensemble: eqx.AbstractVar[Ensemble]

    @property
    def lattice(self) -> Lattice:
        return self.model.lattice

    @property
    def filling(self) -> Scalar | None:
        """n = N_e/(number of spin-orbitals), or None at fixed chemical potential."""
        return self.ensemble.filling

    @property
    def chemical_potential(self) -> Scalar | None:
        """mu, or None at fixed filling; `fermi_level` gives it there."""
        return self.ensemble.chemical_potential

    @property
    def temperature(self) -> Scalar:
        """T of the electrons, in units of the hopping."""
        return self.ensemble.temperature


def check_partial(filling: float) -> None:
    """Refuse a filling that leaves no level at mu: one outside (0, 1)."""
    if not 0 < filling < 1:
        raise ValueError(f"filling counts electrons per spin-orbital, got {filling}; 0.5 is half filling.")


# --- the ground state -----------------------------------------------------------------------------------------------


def degenerate(levels: Levels) -> Scalar:
    """Levels closer than this are one level: the rounding of `eigh`."""
    return 32 * jnp.finfo(levels.dtype).eps * (1 + jnp.max(jnp.abs(levels)))


def ground_filling(levels: Levels, weights: Levels, electrons: Scalar) -> Levels:
    """Occupations of the lowest of ascending levels, a partly filled degenerate shell filled evenly."""
    apart = jnp.diff(levels, prepend=levels[:1]) > degenerate(levels)
    shell = jnp.cumsum(apart)
    below = jnp.searchsorted(shell, shell, side="left").astype(levels.dtype)
    upto = jnp.searchsorted(shell, shell, side="right").astype(levels.dtype)
    return weights * jnp.clip((electrons - below) / (upto - below), 0, 1)


def frontier(weights: Levels, electrons: Scalar) -> tuple[Array, Array]:
    """Indices of the highest occupied and the lowest empty level; one index where a level is partly filled."""
    rounding = 8 * jnp.finfo(electrons.dtype).eps * jnp.sum(weights)
    last = jnp.sum(weights).astype(int) - 1
    homo = jnp.ceil(electrons - rounding).astype(int) - 1
    lumo = jnp.floor(electrons + rounding).astype(int)
    return jnp.clip(homo, 0, last), jnp.clip(lumo, 0, last)


def _ground_occupation(levels: Levels, mu: Scalar) -> Levels:
    delta = degenerate(levels)
    return jnp.where(levels < mu - delta, 1.0, jnp.where(levels > mu + delta, 0.0, 0.5)).astype(levels.dtype)


def _known(value: Any) -> TypeGuard[float]:
    return value is not None and not isinstance(value, Tracer) and jnp.ndim(value) == 0
