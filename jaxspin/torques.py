"""Torques of currents on spins `(*cells, sublattices, 3)`: spin transfer through a texture, and spin-orbit torque.

They have no energy. Each is written as the field B for which the equation of motion of `jaxspin.dynamics`,
(1 + a^2) dS/dt = S x B - a S x (S x B), or dS/dt = S x B - a S x dS/dt, contains the torque S x B, undamped;
so they add to any other field with `+`. The torque of `SpinTransferTorque` is given by a velocity and moves spins of
any moment alike; that of `SpinOrbitTorque` is in energy units and moves a spin of moment m by 1/m. Currents follow a
`profile` in time as the field of `ZeemanPulse`.
"""

import functools
from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.vectors import one_program
from jaxspin.callables import by_content
from jaxspin.classical.bonds import check_uniform
from jaxspin.classical.profiles import strength_at
from jaxspin.classical.sites import at_every_site, check_sites, check_uniform_sites, vector
from jaxspin.couplings import Numbers, finite_real, real
from jaxspin.field import AbstractField, Spins, Time, sum_of, times_of_change
from jaxspin.lattice import Bond, Lattice
from jaxspin.spins import normalize, takes_spins

__all__ = ["SpinOrbitTorque", "SpinTransferTorque", "directional_derivative"]

Profile = Callable[[Time], Float[Array, ""]]


def __dir__() -> list[str]:
    return __all__


class SpinTransferTorque(AbstractField):
    """The torque of a current on the texture it flows through, of Zhang and Li:

        dS/dt = S x B - a S x dS/dt - (u.grad) S - b S x (u.grad) S,   B_torque = S x (u.grad) S - b (u.grad) S.

    u is `drift`, the velocity at which the texture would drift with the electrons (lattice constants a unit
    of time): one vector `(dimension,)`, or one a site `(*cells, sublattices, dimension)`. b is
    `nonadiabaticity`; with b = a, the damping, any texture at rest drifts rigidly at u. The sign of b goes
    with that of the damping, which here is -a S x dS/dt as spins precess by S x B; papers in which the moment
    precesses by -M x B write both with a plus. `profile` maps the time to a factor of u: any callable that is a
    pytree, such as `GaussianPulse` or `Ramp`; 1 by default.

    The torque is a rate of motion and not an energy: `simulate(moment=...)` does not divide it, and a texture drifts
    at u whatever the length of its spins.

    (u.grad) S is `directional_derivative`, so the texture has to be smooth on the lattice: it is meant for
    ferromagnets. For a current perpendicular to a film use `SpinOrbitTorque`.

    Raises `ValueError` for a drift of another shape, numbers that are complex, infinite or NaN, and when used on spins
    of another lattice.

    Source: Zhang and Li, Phys. Rev. Lett. 93, 127204 (2004), doi:10.1103/PhysRevLett.93.127204;
    Thiaville, Nakatani, Miltat and Suzuki, Europhys. Lett. 69, 990 (2005), doi:10.1209/epl/i2004-10452-6.

    Example:
        >>> current = js.torques.SpinTransferTorque(lattice, drift=(0.1, 0.0), nonadiabaticity=0.05)
        >>> (field + current).field(spins).shape
        (4, 4, 1, 3)
    """

    drift: Float[Array, "*n dimension"]
    nonadiabaticity: Float[Array, ""]
    profile: Profile | None
    _lattice: Lattice
    # along the spin it has a small part on a lattice, which turns with it
    parallel_part_is_fixed: ClassVar[bool] = False
    is_velocity: ClassVar[bool] = True

    def __init__(
        self,
        lattice: Lattice,
        drift: Numbers,
        nonadiabaticity: float | int | Float[Array, ""] = 0.0,
        *,
        profile: Profile | None = None,
    ):
        self.drift = jnp.atleast_1d(finite_real(drift, "drift"))
        one, each = (lattice.dimension,), (*lattice.shape, lattice.dimension)
        if self.drift.shape not in (one, each):
            raise ValueError(
                f"a drift of shape {self.drift.shape} does not fit the {lattice.name} lattice; "
                f"give a velocity {one}, or {each} for one a site."
            )
        self.nonadiabaticity = finite_real(nonadiabaticity, "nonadiabaticity")
        if self.nonadiabaticity.ndim:
            raise ValueError(
                f"a nonadiabaticity of shape {self.nonadiabaticity.shape} is not one number; give one, and add torques "
                "for several."
            )
        self.profile = by_content(profile)
        self._lattice = lattice

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def on(self, lattice: Lattice) -> "SpinTransferTorque":
        """The same current on another size of the lattice; `ValueError` where it differs from site to site."""
        check_uniform(self._lattice, lattice, self.drift[0])
        return SpinTransferTorque(lattice, self.drift, self.nonadiabaticity, profile=self.profile)

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        drift = self.drift.astype(spins.dtype) * _strength(self.profile, t, spins)
        change = directional_derivative(self._lattice, spins, drift)
        return jnp.cross(spins, change) - self.nonadiabaticity.astype(spins.dtype) * change

    def times_of_change(self) -> tuple[Time, ...]:
        return times_of_change(self.profile)


class SpinOrbitTorque(AbstractField):
    """The torque of spins that a current carries into every site (spin Hall, Rashba, a polarizing layer):

        dS/dt = S x B - a S x dS/dt - d S x (S x p) + f S x p,   B_torque = f p + d p x S.

    p is `polarization`, a direction `(3,)`, `(sublattices, 3)` or `(*cells, sublattices, 3)`, of any length, zero for
    none; `dampinglike` d and `fieldlike` f, in energy units, one number or one a site `(*cells, sublattices)`. With
    d > 0 the spins turn towards p, as the damping turns them towards the field; the angular dependence of
    Slonczewski's efficiency is left out. `profile` as in `SpinTransferTorque`.

    Raises `ValueError` for a polarization without three components, numbers that are complex, infinite or NaN, and
    when used on spins of another shape. For a current along a film, through its texture, use `SpinTransferTorque`.

    Source: Slonczewski, J. Magn. Magn. Mater. 159, L1 (1996), doi:10.1016/0304-8853(96)00062-5;
    Manchon et al., Rev. Mod. Phys. 91, 035004 (2019), doi:10.1103/RevModPhys.91.035004.

    Example:
        >>> hall = js.torques.SpinOrbitTorque(polarization=(0.0, 1.0, 0.0), dampinglike=0.1)
        >>> [round(float(b), 3) + 0.0 for b in hall.field(js.textures.ferromagnet(lattice))[0, 0, 0]]
        [0.1, 0.0, 0.0]
    """

    polarization: Float[Array, "*n 3"]
    dampinglike: Float[Array, "..."]
    fieldlike: Float[Array, "..."]
    profile: Profile | None

    def __init__(
        self,
        polarization: Numbers,
        dampinglike: Numbers = 0.0,
        fieldlike: Numbers = 0.0,
        *,
        profile: Profile | None = None,
    ):
        self.polarization = vector(polarization, "polarization")
        self.dampinglike = finite_real(dampinglike, "dampinglike")
        self.fieldlike = finite_real(fieldlike, "fieldlike")
        self.profile = by_content(profile)

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        towards = at_every_site(normalize(self.polarization), spins, "polarization") * _strength(self.profile, t, spins)
        damping, field = (
            _by_site(values, spins, name)
            for values, name in ((self.dampinglike, "dampinglike"), (self.fieldlike, "fieldlike"))
        )
        return field * towards + damping * jnp.cross(towards, spins)

    def times_of_change(self) -> tuple[Time, ...]:
        return times_of_change(self.profile)

    def on(self, lattice: Lattice) -> "SpinOrbitTorque":
        """Itself; `ValueError` where it differs from site to site."""
        check_uniform_sites([self.dampinglike, self.fieldlike], [self.polarization])
        return self


@takes_spins
def directional_derivative(lattice: Lattice, spins: Spins, direction: Numbers) -> Float[Array, "*cells sublattices 3"]:
    """(u.grad) S at every site for u = `direction`, `(dimension,)` or `(*cells, sublattices, dimension)`.

    grad S is the least-squares solution of (r.grad) S = S_j - S_i over the nearest neighbours present, r from i
    to j: centred differences in the bulk of a Bravais lattice, one-sided ones at open edges and beside
    vacancies. It vanishes at a vacancy, and along directions in which no neighbour lies. In units of u over lattice
    constants.

    Raises `ValueError` for spins that do not fit the lattice, and for a direction of another shape or complex.

    Example:
        >>> helix = js.textures.spiral(js.chain(8), [jnp.pi / 4])
        >>> slope = js.torques.directional_derivative(js.chain(8), helix, jnp.array([1.0]))
        >>> [round(float(s), 3) + 0.0 for s in slope[0, 0]]
        [0.0, 0.707, 0.0]
    """
    along = real(direction, "direction").astype(spins.dtype)
    one, each = (lattice.dimension,), (*lattice.shape, lattice.dimension)
    if along.shape not in (one, each):
        raise ValueError(
            f"a direction of shape {along.shape} does not fit the {lattice.name} lattice; give {one}, or {each} for "
            "one a site."
        )
    return _directional_derivative(lattice, spins, along)


@one_program
def _directional_derivative(lattice: Lattice, spins: Spins, direction: Array) -> Array:
    occupied = jnp.any(spins != 0, axis=-1)
    present = occupied.astype(spins.dtype)
    changes = []
    for sublattice in range(lattice.sublattices):
        bonds, table = _difference_weights(lattice, sublattice)
        here = spins[..., sublattice, :]
        pattern = sum_of(
            (lattice.translate(present[..., bond.end], bond.offset) > 0).astype(jnp.int32) << k
            for k, bond in enumerate(bonds)
        )
        pattern = jnp.where(occupied[..., sublattice], pattern, 0)
        u = direction if direction.ndim == 1 else direction[..., sublattice, None, :]
        weights = jnp.asarray(table, spins.dtype)
        if direction.ndim == 1:
            weights = jnp.take(jnp.sum(weights * u[None, None], axis=-1), pattern, axis=0, mode="clip")
        else:
            weights = jnp.sum(jnp.take(weights, pattern, axis=0, mode="clip") * u, axis=-1)
        changes.append(
            sum_of(
                weights[..., k, None] * (lattice.translate(spins[..., bond.end, :], bond.offset) - here)
                for k, bond in enumerate(bonds)
            )
        )
    return jnp.stack(changes, axis=-2)


@functools.lru_cache(maxsize=64)
def _difference_weights(lattice: Lattice, sublattice: int) -> tuple[tuple[Bond, ...], np.ndarray]:
    """The nearest neighbours, and the weights `(2^z, z, dimension)` of their differences in the gradient.

    One entry for each set of neighbours present. There are at most 12 (spheres that touch one), so the table is small.
    """
    radius = 1.0
    while not (bonds := lattice.neighbors(radius, sublattice)):
        radius += 1.0
    nearest = min(bond.length for bond in bonds)
    bonds = tuple(bond for bond in bonds if bond.length <= nearest * (1 + lattice.tolerance))
    sets = np.arange(2 ** len(bonds))[:, None] >> np.arange(len(bonds)) & 1
    rows = sets[..., None] * np.array([bond.vector for bond in bonds])
    return bonds, np.swapaxes(np.linalg.pinv(rows), 1, 2)


def _strength(profile: Profile | None, t: Time, spins: Spins) -> Float[Array, ""]:
    return jnp.ones((), spins.dtype) if profile is None else strength_at(profile, t, spins.dtype)


def _by_site(values: Array, spins: Spins, name: str) -> Array:
    check_sites(values, spins.shape[:-1], name)
    return jnp.broadcast_to(values.astype(spins.dtype), spins.shape[:-1])[..., None]
