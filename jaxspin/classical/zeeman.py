"""Applied fields, constant and in time."""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.callables import by_content
from jaxspin.classical.profiles import strength_at
from jaxspin.classical.sites import at_every_site, check_uniform_sites, no_lattice, vector, with_moment
from jaxspin.couplings import Numbers
from jaxspin.field import AbstractPotential, Spins, Time, times_of_change
from jaxspin.lattice import Lattice


class Zeeman(AbstractPotential):
    """A constant applied field, E = - sum_i m_i h_i . S_i, so B_i = m_i h_i.

    - `applied`: h, `(3,)`, `(sublattices, 3)` or `(*cells, sublattices, 3)`, in units of the hopping.
    - `moment`: m, the length of a spin, one number, one for each sublattice `(sublattices,)` or
      `(*cells, sublattices)`; 1 unless given. A field does not know the moments of a run: give those of
      `simulate(moment=...)` here too. Then every spin precesses at the rate h.

    In tesla, at moments of 2.2 mu_B: `js.Zeeman(js.units.Units(energy="eV").field((0, 0, 5.0), "T", moment=2.2))`.

    Raises `ValueError` for numbers that are complex, infinite or NaN, vectors without three components, and when used
    on spins of another shape; `TypeError` for a lattice, which is not needed. For a field in time use `ZeemanPulse`.

    Example:
        >>> up = js.textures.ferromagnet(lattice)
        >>> round(float(js.Zeeman((0.0, 0.0, 0.1)).energy(up)), 3)
        -1.6
    """

    is_cheap: ClassVar[bool] = True

    applied: Float[Array, "*n 3"]

    def __init__(self, applied: Numbers, moment: Numbers | None = None):
        no_lattice(applied, "applied", "js.Zeeman((0.0, 0.0, 1.0))")
        self.applied = with_moment(vector(applied, "applied"), moment)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return -jnp.sum(at_every_site(self.applied, spins, "applied") * spins)

    def on(self, lattice: Lattice) -> "Zeeman":
        """Itself; `ValueError` where it differs from site to site."""
        check_uniform_sites([], [self.applied])
        return self


class ZeemanPulse(AbstractPotential):
    """An applied field in time, E(t) = - profile(t) sum_i m_i h_i . S_i, with h and the `moment` m as in `Zeeman`.

    `profile` maps the time (hbar/t) to a number: `GaussianPulse`, `PiecewiseLinear`, `Sinusoid`, `Ramp` or any callable
    that is a pytree (an `eqx.Module`, `jax.tree_util.Partial`). A short one should say in a method `times_of_change()`
    when it begins, peaks and ends, so that adaptive steps and suggested ones do not overlook it.

    Raises `ValueError` as `Zeeman` does, and when used with a profile that gives another shape than one number.

    Example:
        >>> pulse = js.classical.ZeemanPulse((0.0, 0.0, 0.1), js.classical.GaussianPulse(center=5.0, width=1.0))
        >>> [round(float(pulse.energy(js.textures.ferromagnet(lattice), t)), 3) for t in (5.0, 6.0)]
        [-1.6, -0.97]
    """

    is_cheap: ClassVar[bool] = True

    applied: Float[Array, "*n 3"]
    profile: Callable[[Time], Float[Array, ""]]

    def __init__(self, applied: Numbers, profile: Callable[[Time], Float[Array, ""]], moment: Numbers | None = None):
        self.applied = with_moment(vector(applied, "applied"), moment)
        self.profile = by_content(profile)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        strength = strength_at(self.profile, t, spins.dtype)
        return -strength * jnp.sum(at_every_site(self.applied, spins, "applied") * spins)

    def times_of_change(self) -> tuple[Time, ...]:
        return times_of_change(self.profile)

    def on(self, lattice: Lattice) -> "ZeemanPulse":
        """Itself; `ValueError` where it differs from site to site."""
        check_uniform_sites([], [self.applied])
        return self
