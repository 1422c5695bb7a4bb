"""Features from electrons that fill the clusters around all sites up to a Fermi level in common."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

from jaxspin.arrays.precision import einsum
from jaxspin.couplings import at_least
from jaxspin.descriptors import haydock
from jaxspin.descriptors.base import Own, Rows
from jaxspin.descriptors.chains import Chains, units
from jaxspin.descriptors.on_clusters import AbstractOnClusters
from jaxspin.electrons.ensemble import check_partial
from jaxspin.field import Spins, sum_of
from jaxspin.lattice import Lattice
from jaxspin.spins import check_spins

# Sites whose Jacobians are computed at once, and chains that are filled at once: what they keep stays in the cache.
_JACOBIAN_CHUNK = 16
_FILLED_CHUNK = 1024
# Bound of |H| over the lowest temperature for which the poles are computed; a hundredth of it is sensible.
_COLDEST = 4000
# Halvings that find the Fermi level to well within the temperature, after which Newton's method has it in three steps.
_HALVINGS = 9
# Deep in a gap the number of electrons does not determine the Fermi level mu, which has no effect there. To choose one,
# smoothly, _IN_GAP * mu is added to the number of electrons of each site (mu in units of the bound of |H|).
_IN_GAP = 1e-4


class LocalElectrons(AbstractOnClusters):
    """The electrons of overlapping clusters at fixed filling: a first estimate of the energy, and features beside it.

    On the sites within `hops` hops of each site i, Haydock's recursion of `steps` steps makes of the orbital along the
    spin S_i, and of that against it, a chain with the local density of states of the cluster: its 2 `steps` first
    moments exactly, and states bound to a few sites nearly so, wherever they lie. The chains are filled at the
    temperature T = `temperature` to a common Fermi level,

        sum_i n_i(mu) = 2 n N,    n_i = sum_s <s_i|f(H_i - mu)|s_i>,
        F_i = -T sum_s <s_i|ln(1 + exp(-(H_i - mu)/T))|s_i> + 2 n mu,

    for N sites at the filling n = `filling`. E_0 = sum_i F_i is stationary in mu and by itself a solver of electrons
    that is linear in the sites. A `BehlerParrinello` on these features adds to E_0 what the network has to say. How
    good E_0 is depends on how far electrons move. In the doped double-exchange model (J = 6, n = 0.485) it misses 14 %
    of the torque with the defaults and 6 % on 6 hops (25 steps, temperature 0.02); in a metal of the triangular
    lattice (J = 3, n = 1/4, electrons at 0.05) 45 % with the defaults at temperature 0.2 and 12 to 17 % on 6 hops (31
    steps, temperature 0.1). Larger clusters bear lower temperatures: raise one, lower the other.

    The features of a site are the Chebyshev moments k = 3 ... 2 `steps` - 1 of the orbital along the spin, n_i and F_i,
    the averages of all these over the neighbours of the first `surroundings` shells, where hopping does not connect two
    halves of the lattice the moments of the orbital against the spin, and mu. They are invariant under spin rotations,
    time reversal and the lattice's symmetries, mean the same on any size of the lattice, and their gradient, which
    includes that of mu, is exact.

    **Arguments**

    - `coupling` J and `hopping` t, or a tuple of t by shell, as in `SDModel`; real and uniform.
    - `filling`: electrons per spin-orbital, in (0, 1).
    - `hops`: radius of the cluster.
    - `steps`: of the recursion, more than `hops`. Take an odd number, and at least 15 for 4 hops, 21 for 5, 25 for 6:
      the end of a shorter chain may leave a level in the gap at the Fermi level, and the torque of a site in 10^4 is
      far off.
    - `temperature` in units of the hopping, at least that of the electrons: what makes n_i a smooth function of
      surroundings that end at `hops` hops. With 4 hops 0.1 suits states bound in a gap, 0.2 extended ones.
    - `surroundings`: neighbour shells whose averages are added, 0 for none.
    - `wrap`: lets a cluster that is wider than a periodic axis close around it, each site counted once.
    - `chunk`: sites treated at once on a CPU, None for all; see `LocalMoments`.

    Sites without spin have no orbital. Raises `ValueError` for a filling outside (0, 1), a temperature that is not
    positive, too few steps, or a periodic axis shorter than the cluster. `LocalMoments` inside `AtFilling` resolve
    levels to 3 a/K alone (a: bound of |H|, K: moments) and take half the time.
    Sources: recursion method: R. Haydock, V. Heine and M. J. Kelly, J. Phys. C 5, 2845 (1972),
    10.1088/0022-3719/5/16/004; a common Fermi level of overlapping clusters: W. Yang, Phys. Rev. Lett. 66, 1438 (1991),
    10.1103/PhysRevLett.66.1438.

    Example:
        >>> features = js.LocalElectrons(js.chain(8), coupling=2.0, filling=0.25, hops=2, steps=5)
        >>> features.n_features
        19
    """

    lattice: Lattice = eqx.field(static=True)
    coupling: float = eqx.field(static=True)
    hopping: tuple[float, ...] = eqx.field(static=True)
    filling: float = eqx.field(static=True)
    hops: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    temperature: float = eqx.field(static=True)
    surroundings: int = eqx.field(static=True)
    wrap: bool = eqx.field(static=True)
    chunk: int | None = eqx.field(static=True)

    def __init__(
        self,
        lattice: Lattice,
        coupling: float | int,
        hopping: float | int | Sequence[float | int] = 1.0,
        *,
        filling: float,
        hops: int = 4,
        steps: int = 15,
        temperature: float | int = 0.1,
        surroundings: int = 1,
        wrap: bool = False,
        chunk: int | None = 64,
    ):
        self.lattice = lattice
        self.coupling = float(coupling)
        self.hopping = tuple(float(t) for t in (hopping if isinstance(hopping, Sequence) else (hopping,)))
        self.filling, self.temperature = float(filling), float(temperature)
        self.hops, self.steps, self.surroundings = int(hops), int(steps), int(surroundings)
        self.wrap, self.chunk = bool(wrap), chunk

    def __check_init__(self):
        check_partial(self.filling)
        if not self.temperature > 0:
            raise ValueError(f"clusters are filled at T > 0, got temperature={self.temperature}; 0.1 is usual.")
        if self.steps <= self.hops:
            raise ValueError(
                f"{self.steps} steps of the recursion do not come back from {self.hops} hops; use steps="
                f"{3 * self.hops + 1}."
            )
        self.check_clusters()
        coldest = self.halfwidth / _COLDEST
        if self.temperature < coldest:
            raise ValueError(
                f"clusters resolve no temperature as low as {self.temperature:g}; "
                f"use temperature={at_least(coldest)} or more."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """What each feature is, such as "moment 4", "occupation", "free energy", "shell 1 moment 4"."""
        moments = [f"moment {k}" for k in range(3, 2 * self.steps)]
        own = [*moments, "occupation", "free energy"]
        around = [f"shell {n + 1} {label}" for n in range(self.surroundings) for label in own]
        against = [] if self.bipartite else [f"against {label}" for label in moments]
        return (*own, *around, *against, "Fermi level")

    @property
    def n_own(self) -> int:
        """Moments, occupation and grand potential of a site at a given Fermi level."""
        return (1 if self.bipartite else 2) * (2 * self.steps - 3) + 2

    def rows(self, spins: Spins) -> Rows:
        """The features as rows over the sites, the order in which they are computed."""
        return self._rows_of_chains(self._chains(spins), _occupied(spins))

    def completed(self, own: Own, occupied: Float[Array, "*cells sublattices"], held: Any = None) -> Rows:
        """The features from those at a Fermi level, to first order around the spins for which they were computed.

        `held` is what `own_and_jacobian` returned: that level, and what depends on it.
        """
        occupied = jnp.moveaxis(occupied, -1, 0)
        parts, of_level = self._parts(own), held.of_level
        lacking = held.occupation - parts.occupation
        change = jnp.sum(lacking) / (jnp.sum(of_level.occupation) + _IN_GAP * jnp.sum(occupied))
        moved = parts._replace(
            occupation=parts.occupation + change * of_level.occupation,
            grand_potential=parts.grand_potential + change * of_level.grand_potential,
        )
        return self._rows(moved, occupied, held.level + change)

    def known_energy(self, rows: Float[Array, "features *sites"]) -> Float[Array, "*sites"]:
        """F_i of every site, in units of the hopping."""
        return rows[self.labels.index("free energy")]

    def fermi_level(self, spins: Spins) -> Float[Array, ""]:
        """mu(S) in units of the hopping.

        In a gap it has no effect on energy and field, and clusters determine a part of it alone. Tetrahedral order,
        J = 6: at a quarter filling -6.12 with the defaults (gap from -7 to -5.32, exact -6.16), at half filling 0.14
        (gap from -4 to 5, exact 0.46), -2.4 on clusters of 2 hops. For dF/dn take `ExactDiagonalization`.
        """
        return self.halfwidth * self._level(self._chains(spins), jnp.moveaxis(_occupied(spins), -1, 0))

    def pullback(self, spins: Spins, slopes: Rows) -> Spins:
        """The derivative of sum(slopes * rows(spins)) with respect to the spins."""
        return self.rows_and_pullback(spins)[1](slopes)

    def rows_and_pullback(self, spins: Spins):
        """Both, for the price of one recursion and one Fermi level less than by themselves."""
        occupied, chains = jnp.moveaxis(_occupied(spins), -1, 0), self._chains(spins)
        level = self._level(chains, occupied)
        own, of_chains = jax.vjp(lambda chains: self._at_level(chains, occupied, level), chains)
        rows, of_own = jax.vjp(lambda own, level: self._rows(own, occupied, level), own, level)
        _, of_level = jax.jvp(lambda mu: self._filled(chains, occupied, mu), (level,), (jnp.ones_like(level),))

        def pullback(slopes: Rows) -> Spins:
            by_own, by_level = of_own(slopes)
            # the level follows the electrons of all sites: one more slope of their number, not another pass
            by_level = by_level + jnp.sum(by_own.grand_potential * of_level[0] + by_own.occupation * of_level[1])
            density = jnp.sum(of_level[1]) + _IN_GAP * jnp.maximum(jnp.sum(occupied), 1)
            by_own = by_own._replace(occupation=by_own.occupation - by_level / density)
            found = jnp.zeros_like(spins)
            for recursion, given in zip(self._recursions, jnp.moveaxis(of_chains(by_own)[0], 1, 0), strict=True):
                around = self._gathered(spins, recursion.cluster)
                parts = self._over_sites(recursion.pullback, around, given)
                (part,) = jax.linear_transpose(lambda s, r=recursion: self._gathered(s, r.cluster), spins)(parts)
                found = found + part
            return found

        return rows, pullback

    def own_and_jacobian(
        self, spins: Spins, frames: Float[Array, "*cells sublattices 2 3"]
    ) -> tuple[Own, Float[Array, "sites m2 own"], Any]:
        """Features at the Fermi level of these spins, their derivatives along two directions of each spin, and `held`.

        The middle axis counts (member, direction), members in the order of `members()`.
        """
        occupied = jnp.moveaxis(_occupied(spins), -1, 0)
        chains = self._chains(spins)
        level = self._level(chains, occupied)
        at_level, of_level = jax.jvp(lambda mu: self._at_level(chains, occupied, mu), (level,), (jnp.ones_like(level),))
        own = _Own(*at_level)
        held = _Held(level, own.occupation, _Own(*of_level))
        slopes = []
        directions = jnp.moveaxis(frames, (-2, -1), (0, 1))
        for number, recursion in enumerate(self._recursions):
            around = self._gathered(spins, recursion.cluster)
            along = jnp.stack([self._gathered(jnp.moveaxis(d, 0, -1), recursion.cluster) for d in directions])

            def jacobian(around, along, chains, occupied, recursion=recursion):
                _, of_chains = jax.vjp(lambda c: self._at_level(c[:, None], occupied, level).stacked()[:, 0], chains)
                (of_coefficients,) = jax.vmap(of_chains)(units(self.n_own, chains))
                return einsum("fc...,cdm...->mdf...", of_coefficients, recursion.jacobian(around, along))

            parts = (around, along, chains[:, number], occupied[number][None])
            slopes.append(self._over_sites(jacobian, *parts, chunk=_JACOBIAN_CHUNK))
        # (sublattices, m, d, f, *cells) -> (*cells, sublattices, m d, f)
        found = jnp.moveaxis(jnp.stack(slopes), (0, 1, 2, 3), (-4, -3, -2, -1))
        width = found.shape[-3] * found.shape[-2]
        return own.stacked(), found.reshape(self.lattice.sites, width, -1), held

    def _chains(self, spins: Spins) -> Float[Array, "coefficients sublattices *cells"]:
        """The coefficients of the chains of each site, energies in units of the bound `halfwidth` of |H|."""
        check_spins(self.lattice, spins)
        found = [self._over_sites(r.features, self._gathered(spins, r.cluster)) for r in self._recursions]
        return jnp.stack(found, axis=1)

    def _rows_of_chains(self, chains: Array, occupied: Float[Array, "*cells sublattices"]) -> Rows:
        occupied = jnp.moveaxis(occupied, -1, 0)
        level = self._level(chains, occupied)
        return self._rows(self._at_level(chains, occupied, level), occupied, level)

    def _at_level(self, chains: Array, occupied: Float[Array, "sublattices *many"], level: Float[Array, ""]) -> "_Own":
        omega, electrons = self._filled(chains, occupied, level)
        sides = [self._along(chains)] if self.bipartite else [self._along(chains), self._against(chains)]
        moments, *against = [occupied[None] * self._over_chains(haydock.moments, *side) for side in sides]
        return _Own(moments, electrons, omega, jnp.concatenate([moments[:0], *against]))

    def _parts(self, own: Own) -> "_Own":
        """The own features by name."""
        moments = 2 * self.steps - 3
        return _Own(own[:moments], own[moments], own[moments + 1], own[moments + 2 :])

    def _rows(self, own: "_Own", occupied: Float[Array, "sublattices *cells"], level: Float[Array, ""]) -> Rows:
        width = jnp.asarray(self.halfwidth, own.occupation.dtype)
        free = width * (own.grand_potential + 2 * self.filling * level * occupied)
        averaged = self._with_averages(jnp.concatenate([own.moments, own.occupation[None], free[None]]))
        return jnp.concatenate([averaged, own.against, jnp.broadcast_to(width * level, (1, *free.shape))])

    @property
    def _recursions(self) -> tuple[Chains, ...]:
        """One for each sublattice."""
        scales = (-self.coupling / self.halfwidth, -1 / self.halfwidth)
        return tuple(Chains(c, *scales, self.steps, not self.bipartite) for c in self.clusters)

    def _along(self, chains: Array) -> haydock.Chain:
        return haydock.chain(chains[: 2 * self.steps - 1])

    def _against(self, chains: Array) -> haydock.Chain:
        """The chain of the orbital against the spin.

        Where every hop leads to the other half of the cluster a change of sign on one half turns H into -H with the
        orbitals along and against the spins exchanged.
        """
        if self.bipartite:
            levels, squares = self._along(chains)
            return -levels, squares
        return haydock.chain(chains[2 * self.steps - 1 :])

    def _filled(self, chains: Array, occupied: Array, mu: Float[Array, ""]) -> tuple[Array, Array]:
        """Grand potential in units of `halfwidth`, and electrons, of every site."""
        temperature = self.temperature / self.halfwidth

        def filled(levels, squares, mu):
            return jnp.stack(haydock.filled(levels, squares, mu[0], temperature))

        everywhere = jnp.broadcast_to(mu, (1, *chains.shape[1:]))
        sides = (self._along(chains), self._against(chains))
        omega, number = occupied[None] * sum_of([self._over_chains(filled, *side, everywhere) for side in sides])
        return omega, number

    def _over_chains(self, function: Callable[..., Array], *arrays: Float[Array, "_ sublattices *many"]) -> Array:
        """`function` of the chains at each site; of those of a whole lattice so many at a time as stay in the cache."""
        if arrays[0].shape[2:] != self.lattice.cells:
            return function(*arrays)
        parts = zip(*(jnp.moveaxis(array, 1, 0) for array in arrays), strict=True)
        return jnp.stack([self._over_sites(function, *part, chunk=_FILLED_CHUNK) for part in parts], axis=1)

    def _level(self, chains: Array, occupied: Float[Array, "sublattices *cells"]) -> Float[Array, ""]:
        """mu in units of `halfwidth`; differentiated as an implicit function."""
        sites = jnp.maximum(jnp.sum(occupied), 1)
        # every level is filled less (more) than on average at the lower (upper) end
        reach = jnp.asarray(1 + 40 * self.temperature / self.halfwidth, chains.dtype)

        def excess(mu):
            number = jnp.sum(self._filled(chains, occupied, mu)[1]) / sites
            return number + _IN_GAP * mu - 2 * self.filling

        def solve(function, start):
            # flip is given since its detection would put a host callback into the program
            rough = optx.root_find(
                lambda mu, _: function(mu),
                optx.Bisection(rtol=0.0, atol=0.0, flip=False),
                start,
                options={"lower": -reach, "upper": reach},
                max_steps=_HALVINGS,
                throw=False,
            ).value
            width = reach * 2.0**-_HALVINGS
            return optx.root_find(
                lambda mu, _: function(mu),
                optx.Newton(rtol=0.0, atol=float(jnp.finfo(chains.dtype).eps)),
                rough,
                options={"lower": rough - width, "upper": rough + width},
                max_steps=5,
                throw=False,
            ).value

        def divided(slope, y):
            return y / slope(jnp.ones_like(y))

        return jax.lax.custom_root(excess, jnp.zeros((), chains.dtype), solve, divided)


class _Own(NamedTuple):
    """The features of a site's own cluster at a Fermi level: moments of the orbital along the spin, electrons, grand
    potential in units of `halfwidth`, and moments of the orbital against the spin where they do not follow."""

    moments: Float[Array, "moments sublattices *many"]
    occupation: Float[Array, "sublattices *many"]
    grand_potential: Float[Array, "sublattices *many"]
    against: Float[Array, "against sublattices *many"]

    def stacked(self) -> Own:
        """As the rows `own`."""
        return jnp.concatenate([self.moments, self.occupation[None], self.grand_potential[None], self.against])


class _Held(NamedTuple):
    """The Fermi level of a configuration, the electrons of each site there, and the derivatives of all own features
    with respect to the level."""

    level: Float[Array, ""]
    occupation: Float[Array, "sublattices *cells"]
    of_level: _Own


def _occupied(spins: Spins) -> Float[Array, "*cells sublattices"]:
    return jnp.any(spins != 0, axis=-1).astype(spins.dtype)
