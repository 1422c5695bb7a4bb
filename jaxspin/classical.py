"""Energies of classical spins `(*cells, sublattices, 3)`: exchange, Dzyaloshinskii-Moriya, anisotropy, field.

Terms of single spins write their energy and derive B = -dE/dS, those of bonds write B, and E = -S . B/2. Couplings are
array leaves, so they can be differentiated, batched and trained; they act in the dtype of the spins. Sums run over each
bond once, bonds beyond an open edge are absent, and vacancies (spins of length zero) contribute nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.callables import by_content
from jaxspin.couplings import Numbers, real
from jaxspin.field import AbstractPotential, Spins, Time, times_of_change
from jaxspin.lattice import Bond, Lattice
from jaxspin.many_bonds import sum_over_bonds
from jaxspin.shards import reach_of, shards_of
from jaxspin.spins import check_finite, normalize, takes_spins
from jaxspin.vectors import add, components, cross, dot, of_planes, planes, scale, settled, stacked

# Where a Gaussian pulse is looked at, in widths from its center: all but 1e-8 of it lies between the outermost.
_PULSE = (-6, -3, -1, 0, 1, 3, 6)

# More bonds a cell than this are summed in a loop: that is three times slower to run, but 300 written out take
# minutes to compile.
_MANY = 48


@takes_spins
def bond_ends(lattice: Lattice, spins: Spins, bond: Bond) -> tuple[Float[Array, "*cells 3"], Float[Array, "*cells 3"]]:
    """(S_i, S_j) at the two ends of `bond` in every cell, S_j zero beyond an open edge."""
    return spins[..., bond.start, :], lattice.translate(spins[..., bond.end, :], bond.offset)


class Exchange(AbstractPotential):
    """Heisenberg exchange, E = - sum_shells sum_<ij> J_ij S_i . S_j; J > 0 is ferromagnetic.

    `couplings` is J of the nearest neighbours, or a tuple with one entry for each shell, nearest first. An
    entry is one number or an array `(*cells, bonds)` with a value for each bond of `lattice.shell(number)`.
    Raises `ValueError` for other shapes.
    """

    couplings: tuple[Float[Array, "..."], ...]
    _lattice: Lattice

    def __init__(self, lattice: Lattice, couplings: Numbers | tuple[Numbers, ...]):
        # a list of numbers is one entry a shell too; an array of a shell's bonds has the cells as its axes
        several = isinstance(couplings, tuple) or (
            isinstance(couplings, list) and all(np.ndim(j) == 0 for j in couplings)
        )
        shells: tuple[Any, ...] = tuple(couplings) if several else (couplings,)  # pyright: ignore[reportArgumentType]
        self.couplings = tuple(_bond_array(lattice, number, j) for number, j in enumerate(shells, 1))
        self._lattice = lattice

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def on(self, lattice: Lattice) -> "Exchange":
        """The same couplings on another size of the lattice; `ValueError` where they differ from bond to bond."""
        _check_uniform(self._lattice, lattice, *self.couplings)
        return Exchange(lattice, self.couplings)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return -jnp.sum(dot(spins, self._neighbors(spins))) / 2

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        """Both, without differentiating: B_i = sum_j J_ij S_j."""
        check_finite(spins)
        return _exchange(self, spins)

    def _neighbors(self, spins: Spins) -> Spins:
        """sum_j J_ij S_j."""
        shards = shards_of(self._lattice, spins)
        if shards is None:
            return _sum_of_neighbors(self._lattice, self.couplings, spins)
        # one exchange of edges: on 8 devices 1.3 to 7 times as fast as a translation of the shared lattice for each
        bonds = [bond for number in range(len(self.couplings)) for bond in self._lattice.shell(number + 1)]
        reach = reach_of([b.offset for bond in bonds for b in (bond, bond.reversed())])
        placed = shards.spec(after=2)
        uniform = jax.tree.map(lambda c: c.ndim == 0, self.couplings)

        def local(part, couplings):
            wide = [c if same else shards.widened(c, reach) for c, same in zip(couplings, uniform, strict=True)]
            found = _sum_of_neighbors(shards.widened_lattice(reach), wide, shards.widened(part, reach))
            return shards.home(found, reach)

        specs = (placed, tuple(P() if same else shards.spec(after=1) for same in uniform))
        return shards.run(local, (spins, self.couplings), specs, placed)


def _sum_of_neighbors(lattice: Lattice, couplings: Sequence[Array], spins: Spins) -> Spins:
    shells = [lattice.shell(number) for number in range(1, len(couplings) + 1)]
    return _over_bonds(lattice, shells, couplings, spins, lambda number, neighbor, sign: neighbor)


def _over_bonds(
    lattice: Lattice,
    shells: Sequence[Sequence[Bond]],
    couplings: Sequence[Array],
    spins: Spins,
    act: Callable[[Any, Array, Any], Array],
) -> Spins:
    """At every site the sum of coupling act(number of the bond, spin at its other end, 1 from its start or -1).

    `couplings` are one number or `(*cells, bonds)` for each shell; bonds are counted through all shells.
    """
    bonds = [bond for shell in shells for bond in shell]
    if len(bonds) > _MANY:
        return settled(sum_over_bonds(lattice.periodic, shells, couplings, spins, act))
    strengths = [c if c.ndim == 0 else c[..., n] for c, s in zip(couplings, shells, strict=True) for n in range(len(s))]
    around = _neighbors_of(lattice, spins, bonds)
    sites = [jnp.zeros_like(spins[..., 0, :]) for _ in range(lattice.sublattices)]
    for number, (bond, strength) in enumerate(zip(bonds, strengths, strict=True)):
        strength = strength.astype(spins.dtype)
        arriving = strength if strength.ndim == 0 else lattice.translate(strength, _back(bond))
        there, back = around[bond.end, bond.offset], around[bond.start, _back(bond)]
        sites[bond.start] = add(sites[bond.start], scale(strength, act(number, there, 1)))
        sites[bond.end] = add(sites[bond.end], scale(arriving, act(number, back, -1)))
    # components first here too; and stored, as every component of a torque reads all three of the field
    return settled(stacked([jnp.stack(parts, axis=-1) for parts in zip(*map(components, sites), strict=True)]))


def _neighbors_of(lattice: Lattice, spins: Spins, bonds: Sequence[Bond]) -> dict[tuple[int, tuple[int, ...]], Array]:
    """The spins `(*cells, 3)` of sublattice b at R + offset, by (b, offset), for both ends of every bond."""
    ends = [(bond.end, bond.offset) for bond in bonds] + [(bond.start, _back(bond)) for bond in bonds]
    found = {}
    for b in range(lattice.sublattices):
        offsets = list(dict.fromkeys(offset for end, offset in ends if end == b))
        if offsets:
            # components first: XLA cancels taking them apart against the stack the spins are, and copies otherwise
            brought = lattice.translations(planes(spins)[..., b], offsets)
            found |= {(b, offset): of_planes(parts) for offset, parts in zip(offsets, brought, strict=True)}
    return found


def _back(bond: Bond) -> tuple[int, ...]:
    return tuple(-n for n in bond.offset)


@eqx.filter_jit
def _exchange(exchange: Exchange, spins: Spins) -> tuple[Float[Array, ""], Spins]:
    field = exchange._neighbors(spins)
    return -jnp.sum(dot(spins, field)) / 2, field


class DzyaloshinskiiMoriya(AbstractPotential):
    """Antisymmetric exchange, E = - sum_<ij> D_ij . (S_i x S_j) with D_ij = `strength` d_ij, D_ji = -D_ij.

    `direction` names d_ij, r_ij being the unit vector from i to j:
    "interfacial": d_ij = z x r_ij (broken mirror z; Neel skyrmions, helicity pi for D > 0 and a core down);
    "bulk": d_ij = r_ij (no inversion; helices that turn right-handed about their wavevector for D > 0);
    or an array `(bonds, 3)` for the bonds of `lattice.shell(shell)`. `strength` is one number or an array
    `(*cells, bonds)`. Raises `ValueError` for other names or shapes.
    """

    strength: Float[Array, "..."]
    directions: Float[Array, "bonds 3"]
    shell: int = eqx.field(static=True)
    _lattice: Lattice

    def __init__(
        self,
        lattice: Lattice,
        strength: Numbers,
        direction: str | Numbers = "interfacial",
        *,
        shell: int = 1,
    ):
        bonds = lattice.shell(shell)
        along = np.array([np.pad(b.vector, (0, 3 - lattice.dimension)) / b.length for b in bonds])
        named = {"interfacial": np.cross([0.0, 0.0, 1.0], along), "bulk": along}
        if isinstance(direction, str) and direction not in named:
            raise ValueError(f"direction {direction!r} is unknown; use 'interfacial', 'bulk' or an array.")
        self.directions = real(named[direction] if isinstance(direction, str) else direction, "direction")
        if self.directions.shape != along.shape:
            raise ValueError(
                f"directions of shape {self.directions.shape} do not fit shell {shell} of the {lattice.name} "
                f"lattice; give one vector a bond, {along.shape}, in the order of lattice.shell({shell})."
            )
        self.strength = _bond_array(lattice, shell, strength)
        self.shell = shell
        self._lattice = lattice

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def on(self, lattice: Lattice) -> "DzyaloshinskiiMoriya":
        """The same couplings on another size of the lattice; `ValueError` where they differ from bond to bond."""
        _check_uniform(self._lattice, lattice, self.strength)
        return DzyaloshinskiiMoriya(lattice, self.strength, self.directions, shell=self.shell)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return -jnp.sum(dot(spins, self._field(spins))) / 2

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        """Both, without differentiating: B_i = sum_j S_j x D_ij."""
        check_finite(spins)
        return _antisymmetric(self, spins)

    def _field(self, spins: Spins) -> Spins:
        bonds = self._lattice.shell(self.shell)
        along = self.directions.astype(spins.dtype)

        def act(number: Any, neighbor: Array, sign: Any) -> Array:
            return cross(neighbor, sign * along[number])

        return _over_bonds(self._lattice, [bonds], [self.strength], spins, act)


@eqx.filter_jit
def _antisymmetric(term: DzyaloshinskiiMoriya, spins: Spins) -> tuple[Float[Array, ""], Spins]:
    field = term._field(spins)
    return -jnp.sum(dot(spins, field)) / 2, field


class Anisotropy(AbstractPotential):
    """Single-ion anisotropy, E = - sum_i K_i (S_i . n_i)^2: easy axis for K > 0, easy plane for K < 0.

    `strength` K is one number or `(*cells, sublattices)`; `axis` n is `(3,)` or `(*cells, sublattices, 3)`,
    of any length but zero. Raises `ValueError` when used on spins of another shape.
    """

    strength: Float[Array, "..."]
    axis: Float[Array, "*n 3"]

    def __init__(self, strength: Numbers, axis: Numbers = (0.0, 0.0, 1.0)):
        self.strength = real(strength, "strength")
        self.axis = _vector(axis, "axis")

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        _check_sites(self.strength, spins.shape[:-1], "strength")
        projection = dot(_spread(normalize(self.axis), spins, "axis"), spins)
        return -jnp.sum(self.strength.astype(spins.dtype) * projection**2)


class Zeeman(AbstractPotential):
    """A constant applied field, E = - sum_i m_i h_i . S_i, so B_i = m_i h_i.

    `applied` h is `(3,)` or `(*cells, sublattices, 3)`, in units of the hopping; `moment` m, the length of a spin, one
    number or `(*cells, sublattices)`, 1 unless given. The energies of a field do not know the moments of a run: pass
    those of `simulate(moment=...)` here too, and every spin precesses at the rate h. Raises `ValueError` when used on
    spins of another shape. For a field in time use `ZeemanPulse`.
    """

    applied: Float[Array, "*n 3"]

    def __init__(self, applied: Numbers, moment: Numbers | None = None):
        self.applied = _with_moment(_vector(applied, "applied"), moment)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return -jnp.sum(_spread(self.applied, spins, "applied") * spins)


class ZeemanPulse(AbstractPotential):
    """An applied field in time, E(t) = - profile(t) sum_i m_i h_i . S_i, with h and the `moment` m as in `Zeeman`.

    `profile` maps the time (hbar/t) to a number: `GaussianPulse`, `Sinusoid`, `Ramp`, or any callable that is
    a pytree (an `eqx.Module`, `jax.tree_util.Partial`). A short one should say in a method `times_of_change()`
    when it begins, peaks and ends, so that adaptive steps and suggested ones do not overlook it.
    """

    applied: Float[Array, "*n 3"]
    profile: Callable[[Time], Float[Array, ""]]

    def __init__(self, applied: Numbers, profile: Callable[[Time], Float[Array, ""]], moment: Numbers | None = None):
        self.applied = _with_moment(_vector(applied, "applied"), moment)
        self.profile = by_content(profile)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        strength = strength_at(self.profile, t, spins.dtype)
        return -strength * jnp.sum(_spread(self.applied, spins, "applied") * spins)

    def times_of_change(self) -> tuple[Time, ...]:
        return times_of_change(self.profile)


class GaussianPulse(eqx.Module):
    """exp(-(t - center)^2/(2 width^2)) cos(frequency (t - center) + phase); no oscillation by default."""

    center: Float[Array, ""] = eqx.field(converter=real)
    width: Float[Array, ""] = eqx.field(converter=real)
    frequency: Float[Array, ""] = eqx.field(converter=real, default=0.0)
    phase: Float[Array, ""] = eqx.field(converter=real, default=0.0)

    def __call__(self, t: Time) -> Float[Array, ""]:
        delay = jnp.asarray(t, self.center.dtype) - self.center
        return jnp.exp(-0.5 * (delay / self.width) ** 2) * jnp.cos(self.frequency * delay + self.phase)

    def times_of_change(self) -> tuple[Time, ...]:
        """Center, flanks and tails, and the crest of the oscillation nearest to the center."""
        angle = (jnp.pi / 2 - self.phase) % jnp.pi - jnp.pi / 2
        oscillates = self.frequency != 0
        crest = jnp.where(oscillates, angle / jnp.where(oscillates, self.frequency, 1), 0)
        return (self.center + crest, *(self.center + n * self.width for n in _PULSE))


class Sinusoid(eqx.Module):
    """cos(frequency t + phase), `frequency` in radians a unit of time; phase -pi/2 makes a sine."""

    frequency: Float[Array, ""] = eqx.field(converter=real)
    phase: Float[Array, ""] = eqx.field(converter=real, default=0.0)

    def __call__(self, t: Time) -> Float[Array, ""]:
        return jnp.cos(self.frequency * jnp.asarray(t, self.frequency.dtype) + self.phase)


class Ramp(eqx.Module):
    """0 before `start`, 1 after `stop`, a straight line between; a step where both are one time."""

    start: Float[Array, ""] = eqx.field(converter=real)
    stop: Float[Array, ""] = eqx.field(converter=real)

    def __call__(self, t: Time) -> Float[Array, ""]:
        elapsed = jnp.asarray(t, self.start.dtype) - self.start
        duration = self.stop - self.start
        done = jnp.clip(elapsed / jnp.where(duration > 0, duration, 1), 0, 1)
        return jnp.where(duration > 0, done, jnp.where(elapsed < 0, 0, 1))

    def times_of_change(self) -> tuple[Time, ...]:
        return (self.start, self.stop)


def strength_at(profile: Callable[[Time], Float[Array, ""]], t: Time, dtype) -> Float[Array, ""]:
    """The factor of a pulse at the time t; `ValueError` where it is not one number."""
    strength = jnp.asarray(profile(t))
    if strength.shape != ():
        raise ValueError(
            f"the profile at a time has the shape {strength.shape}; return one number, a factor of the whole."
        )
    return strength.astype(dtype)


def _vector(x: Numbers, name: str) -> Array:
    array = real(x, name)
    if array.ndim == 0 or array.shape[-1] != 3:
        raise ValueError(f"{name} of shape {array.shape} has no three components; give (3,) or (..., 3).")
    return array


def _with_moment(applied: Array, moment: Numbers | None) -> Array:
    """m h: what a term keeps, so that the field costs no more."""
    if moment is None:
        return applied
    lengths = real(moment, "moment").astype(applied.dtype)
    if lengths.ndim == 0:
        return lengths * applied
    applied = jnp.broadcast_to(applied, (*lengths.shape, 3)) if applied.ndim == 1 else applied
    if applied.shape[:-1] != lengths.shape:
        raise ValueError(
            f"moment of shape {lengths.shape} does not fit the applied field {applied.shape}; give one number, or one "
            "a site."
        )
    return lengths[..., None] * applied


def _bond_array(lattice: Lattice, number: int, values: Numbers) -> Array:
    array, shape = real(values, "a coupling"), (*lattice.cells, len(lattice.shell(number)))
    if array.shape not in ((), shape):
        raise ValueError(
            f"couplings of shape {array.shape} do not fit shell {number} of the {lattice.name} lattice; "
            f"give one number, or {shape} for a value on each bond of lattice.shell({number})."
        )
    return array


def _check_uniform(old: Lattice, new: Lattice, *couplings: Array) -> None:
    old.check_kind(new)
    if any(values.ndim for values in couplings):
        raise ValueError("only uniform couplings move to another size of their lattice; build a new term there.")


def _check_sites(values: Array, shape: tuple[int, ...], name: str) -> None:
    if values.shape not in ((), shape):
        raise ValueError(f"{name} of shape {values.shape} does not fit the sites {shape}; give one number, or {shape}.")


def _spread(vectors: Array, spins: Array, name: str) -> Array:
    if vectors.shape not in ((3,), spins.shape):
        raise ValueError(
            f"{name} of shape {vectors.shape} does not fit spins of shape {spins.shape}; give (3,) or {spins.shape}."
        )
    return jnp.broadcast_to(vectors.astype(spins.dtype), spins.shape)
