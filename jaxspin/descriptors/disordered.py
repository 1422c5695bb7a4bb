"""Moments of the electrons on the cluster around each site, of lattices whose bonds and site energies differ."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from jaxspin.classical.bonds import bond_array, check_uniform
from jaxspin.couplings import at_least, finite_real
from jaxspin.descriptors.base import Own, Rows
from jaxspin.descriptors.clusters import Amplitudes, Cluster, Recursion, after
from jaxspin.descriptors.on_clusters import AbstractOnClusters
from jaxspin.electrons.base import AbstractElectrons
from jaxspin.electrons.model import SDModel, only_sd
from jaxspin.field import Spins, sum_of
from jaxspin.lattice import Bond, Lattice
from jaxspin.spins import check_spins

# Sites whose Jacobians are computed at once, as for clusters that are alike.
_JACOBIAN_CHUNK = 16


class DisorderedMoments(AbstractOnClusters):
    """`LocalMoments` of electrons whose hoppings and site energies differ from place to place: G_k(i) of each cluster
    with the amplitudes that it really has.

    The moments are those of `LocalMoments`, k = 3 ... `moments` + 2, of H_i/a with the t_ij and V_i of the cluster, and
    beside them what the first two say, which is no longer alike everywhere: sum_j t_ij^2/a^2 over the neighbours that
    have a spin, and V_i/a. The sample of the disorder is data, as the spins are: a network learnt on some samples
    serves others, `model = eqx.tree_at(lambda m: m.descriptor, model, model.descriptor.at(other))`. Vacancies are spins
    of length zero, here and in all descriptors: for dilution alone `LocalMoments` is enough, and faster.

    To learn from several samples at once lay them in layers: a lattice with one more axis whose layers are too far
    apart to hop is one configuration of many samples, see `experiments/accuracy/disorder.py`.

    **Arguments**

    - `coupling` J, a number. `hopping` t: for each shell a number or an array `(*cells, bonds)`, bonds in the order of
      `lattice.shell(n)`; `DisorderedMoments.of(model, ...)` reads them off an `SDModel`.
    - `potential`: V, an array `(*cells, sublattices)` or None.
    - `bound` a: no smaller than |H| of any sample that the network is to serve, |J| + |V_i| + sum_j |t_ij|, in units of
      your own; the unit of the features, so alike for all of them.
    - `hops`, `moments`, `surroundings`, `wrap`, `chunk`: as in `LocalMoments`.

    Raises `ValueError` for a bound that is too small, arrays that do not fit the lattice or are not finite, and what
    `LocalMoments` refuses; for another size of the lattice where anything varies. Sources: see `LocalMoments`.

    Example:
        >>> model = js.SDModel(lattice, js.electrons.random_bonds(lattice, 1.0, 0.4, key=jax.random.key(0)), 2.0)
        >>> features = js.descriptors.DisorderedMoments.of(model, bound=7.0, hops=1, moments=4)
        >>> features(spins).shape, features.labels[-1]
        ((4, 4, 1, 10), 'shell 1 squared hopping')
    """

    lattice: Lattice = eqx.field(static=True)
    coupling: float = eqx.field(static=True)
    hopping: tuple[float, ...] = eqx.field(static=True)
    amplitudes: tuple[Float[Array, "..."], ...]
    potential: Float[Array, "..."] | None
    bound: float = eqx.field(static=True)
    hops: int = eqx.field(static=True)
    moments: int = eqx.field(static=True)
    surroundings: int = eqx.field(static=True)
    wrap: bool = eqx.field(static=True)
    chunk: int | None = eqx.field(static=True)

    def __init__(
        self,
        lattice: Lattice,
        coupling: float | int,
        hopping: ArrayLike | Sequence[Any] = 1.0,
        *,
        potential: ArrayLike | Sequence[Any] | None = None,
        bound: float | int,
        hops: int = 3,
        moments: int = 24,
        surroundings: int = 1,
        wrap: bool = False,
        chunk: int | None = 128,
    ):
        shells = hopping if isinstance(hopping, Sequence) else (hopping,)
        self.lattice, self.coupling, self.bound = lattice, float(coupling), float(bound)
        self.amplitudes = tuple(bond_array(lattice, n, t) for n, t in enumerate(shells, start=1))
        # which shells hop: the clusters are made of them
        self.hopping = (1.0,) * len(self.amplitudes)
        self.potential = None if potential is None else finite_real(potential, "potential")
        self.hops, self.moments, self.surroundings = int(hops), int(moments), int(surroundings)
        self.wrap, self.chunk = bool(wrap), chunk

    def __check_init__(self):
        if self.moments < 2 or self.moments % 2:
            raise ValueError(f"moments must be even and at least 2, got {self.moments}; 24 is usual.")
        if self.potential is not None and self.potential.shape not in ((), self.lattice.shape):
            raise ValueError(
                f"potential of shape {self.potential.shape} does not fit; give a number or an array of shape "
                f"{self.lattice.shape}, one value a site."
            )
        self.check_clusters()
        largest = self._largest()
        if not isinstance(largest, Tracer) and not float(largest) <= self.bound * (1 + 1e-6):
            raise ValueError(
                f"bound = {self.bound:g} is smaller than |H| of this sample may be; give bound="
                f"{at_least(float(largest))} or more, alike for all samples."
            )

    @staticmethod
    def of(model: AbstractElectrons, *, bound: float | int, **settings: Any) -> "DisorderedMoments":
        """The features of the electrons of `model`; `settings` are the other arguments.

        Raises `ValueError` for hoppings that are complex, turn spins, or are not all of some shells, a coupling that is
        an array, and a model that is no `SDModel`.
        """
        model = only_sd(model, "moments of samples")
        hopping, coupling = _shells_of(model), model.coupling
        if coupling.ndim:
            raise ValueError("a coupling that varies has no moments here; give the model one number.")
        return DisorderedMoments(
            model.lattice, float(coupling), hopping, potential=model.potential, bound=bound, **settings
        )

    def at(self, model: AbstractElectrons) -> "DisorderedMoments":
        """The same features of the electrons of another sample, of any size; `ValueError` where `of` raises it, and
        for another coupling or other shells."""
        made = DisorderedMoments.of(model, **self._plain_settings())
        if (made.coupling, made.hopping, made.n_features) != (self.coupling, self.hopping, self.n_features):
            raise ValueError(
                "the model has another coupling, other shells, or site energies where this one has none; learn these "
                "electrons anew."
            )
        return made

    @property
    def halfwidth(self) -> float:
        """a, the unit of the features."""
        return self.bound

    @property
    def labels(self) -> tuple[str, ...]:
        """What each feature is, such as "moment 4", "potential", "shell 1 squared hopping"."""
        own = [f"moment {k}" for k in range(3, self.moments + 3)]
        own += [] if self.potential is None else ["potential"]
        own += ["squared hopping"]
        return (*own, *(f"shell {n + 1} {label}" for n in range(self.surroundings) for label in own))

    @property
    def n_own(self) -> int:
        return self.moments + (1 if self.potential is None else 2)

    def rows(self, spins: Spins) -> Rows:
        """The features as rows over the sites, the order in which they are computed."""
        return self._with_averages(self.own(spins))

    def own(self, spins: Spins) -> Own:
        """The features of the sites' own clusters alone."""
        check_spins(self.lattice, spins)
        found = [self._over(lambda r, s: r.features(s), c, self._gathered(spins, c)) for c in self.clusters]
        return jnp.concatenate([jnp.stack(found, axis=1), self._still(spins)])

    def completed(self, own: Own, occupied: Float[Array, "*cells sublattices"], held: Any = None) -> Rows:
        """The features from the own ones: with the averages over the neighbours. `occupied` changes nothing."""
        return self._with_averages(own)

    def pullback(self, spins: Spins, slopes: Rows) -> Spins:
        """The derivative of sum(slopes * rows(spins)) with respect to the spins."""
        check_spins(self.lattice, spins)
        (by_own,) = jax.linear_transpose(self._with_averages, slopes[: self.n_own])(slopes)
        found = jnp.zeros_like(spins)
        for sublattice, cluster in enumerate(self.clusters):
            given = by_own[: self.moments, sublattice]
            parts = self._over(lambda r, s, g: r.pullback(s, g), cluster, self._gathered(spins, cluster), given)
            (part,) = jax.linear_transpose(lambda s, c=cluster: self._gathered(s, c), spins)(parts)
            found = found + part
        return found

    def own_and_jacobian(
        self, spins: Spins, frames: Float[Array, "*cells sublattices 2 3"]
    ) -> tuple[Own, Float[Array, "sites m2 own"], Any]:
        """The own features, and their derivatives along two directions of each spin in their clusters."""
        slopes = []
        directions = jnp.moveaxis(frames, (-2, -1), (0, 1))
        for cluster in self.clusters:
            along = jnp.stack([self._gathered(jnp.moveaxis(d, 0, -1), cluster) for d in directions])
            parts = (self._gathered(spins, cluster), along)
            slopes.append(self._over(lambda r, s, a: r.slopes(s, a), cluster, *parts, chunk=_JACOBIAN_CHUNK))
        # (sublattices, m, d, f, *cells) -> (*cells, sublattices, m d, f); nothing moves what the spins do not
        jacobian = jnp.moveaxis(jnp.stack(slopes), (0, 1, 2, 3), (-4, -3, -2, -1))
        jacobian = jnp.pad(jacobian, [(0, 0)] * (jacobian.ndim - 1) + [(0, self.n_own - self.moments)])
        width = jacobian.shape[-3] * jacobian.shape[-2]
        return self.own(spins), jacobian.reshape(self.lattice.sites, width, -1), None

    def on(self, lattice: Lattice) -> "DisorderedMoments":
        """The same on another size of the lattice, where nothing varies; `ValueError` else: use `at(model)`."""
        arrays = [x for x in (*self.amplitudes, self.potential) if x is not None]
        check_uniform(self.lattice, lattice, *arrays)
        return DisorderedMoments(
            lattice, self.coupling, self.amplitudes, potential=self.potential, **self._plain_settings()
        )

    def settings(self) -> dict[str, Any]:
        """Every field but the lattice, as plain data, the sample of the disorder included."""
        amplitudes = [np.asarray(t).tolist() for t in self.amplitudes]
        potential = None if self.potential is None else np.asarray(self.potential).tolist()
        return {"coupling": self.coupling, "hopping": amplitudes, "potential": potential, **self._plain_settings()}

    def _plain_settings(self) -> dict[str, Any]:
        names = ("bound", "hops", "moments", "surroundings", "wrap", "chunk")
        return {name: getattr(self, name) for name in names}

    def _over(
        self, function: Callable[..., Array], cluster: Cluster, *arrays: Array, chunk: int | None = None
    ) -> Array:
        """`function(recursion, *arrays)` of the clusters around all sites."""
        neighbours, hopping = self._hops_in(cluster, arrays[0].dtype)
        local = [hopping]
        if self.potential is not None:
            energies = self._everywhere(self.potential, arrays[0].dtype, self.lattice.shape) / self.bound
            members = [self.lattice.translate(energies[..., b], offset) for offset, b in cluster.sites]
            local.append(jnp.stack([*members, jnp.zeros_like(members[0])]))

        def at(hopping, *rest):
            potential, rest = (None, rest) if self.potential is None else (rest[0], rest[1:])
            amplitudes = Amplitudes(neighbours, hopping, potential)
            return function(Recursion(cluster, -self.coupling / self.bound, amplitudes, self.moments, 0), *rest)

        return self._over_sites(at, *local, *arrays, chunk=chunk)

    def _hops_in(self, cluster: Cluster, dtype) -> tuple[np.ndarray, Float[Array, "n sites *cells"]]:
        """-t/a from every site of the clusters to each of its neighbours in them, and which these are."""
        place = {site: n for n, site in enumerate(cluster.sites)}
        found: list[list[tuple[int, tuple[int, ...], int]]] = []
        for site in cluster.sites:
            found.append([])
            for bond, column, back in self._from(site[1]):
                to = place.get(after(site, (bond.offset, bond.end), self._around))
                if to is not None:
                    # an array belongs to the cell where its bond starts
                    start = tuple(n + back * m for n, m in zip(site[0], bond.offset, strict=True))
                    found[-1].append((to, start, column))
        starts = list(dict.fromkeys(start for hops in found for _, start, _ in hops))
        values = jnp.moveaxis(self._amplitudes(dtype), -1, 0)
        brought = jnp.stack(self.lattice.translations(values, starts))
        # every t that occurs, and zero last, to be looked up by a table
        known = jnp.concatenate([brought.reshape(-1, *self.lattice.cells), jnp.zeros((1, *self.lattice.cells), dtype)])
        number = max(len(hops) for hops in found)
        neighbours = np.full((number, len(found) + 1), len(found))
        which = np.full(neighbours.shape, len(known) - 1)
        for site, hops in enumerate(found):
            for n, (to, start, column) in enumerate(hops):
                neighbours[n, site], which[n, site] = to, starts.index(start) * len(values) + column
        return neighbours, -known[which] / self.bound

    def _from(self, sublattice: int) -> list[tuple[Bond, int, bool]]:
        """Every bond that leaves a site of `sublattice`, its column, and whether that is listed at its end."""
        found, column = [], 0
        for nth in range(1, len(self.amplitudes) + 1):
            for bond in self.lattice.shell(nth):
                ends = ((bond, False), (bond.reversed(), True))
                found += [(b, column, back) for b, back in ends if b.start == sublattice]
                column += 1
        return found

    def _amplitudes(self, dtype) -> Float[Array, "*cells columns"]:
        """t of all bonds of all shells."""
        parts = []
        for nth, t in enumerate(self.amplitudes, start=1):
            parts.append(self._everywhere(t, dtype, (*self.lattice.cells, len(self.lattice.shell(nth)))))
        return jnp.concatenate(parts, axis=-1)

    def _around_site(self, function: Callable[[Array, Bond], Array], dtype) -> Float[Array, "*cells sublattices"]:
        """The sum of function(t, bond) over the bonds that leave each site."""
        lattice, values, sums = self.lattice, self._amplitudes(dtype), []
        for b in range(lattice.sublattices):
            terms = [jnp.zeros(lattice.cells, dtype)]
            for bond, column, back in self._from(b):
                t = values[..., column]
                terms.append(function(lattice.translate(t, bond.offset) if back else t, bond))
            sums.append(sum_of(terms))
        return jnp.stack(sums, axis=-1)

    def _still(self, spins: Spins) -> Float[Array, "still sublattices *cells"]:
        """What does not turn with the spins: V_i/a, and sum_j t_ij^2/a^2 over the neighbours that are there."""
        lattice, dtype = self.lattice, spins.dtype
        occupied = jax.lax.stop_gradient(jnp.any(spins != 0, axis=-1)).astype(dtype)

        def squared(t, bond):
            return t**2 * lattice.translate(occupied[..., bond.end], bond.offset)

        rows = [self._around_site(squared, dtype) / self.bound**2]
        if self.potential is not None:
            rows = [self._everywhere(self.potential, dtype, lattice.shape) / self.bound, *rows]
        return jnp.moveaxis(occupied[None] * jnp.stack(rows), -1, 1)

    def _largest(self) -> Array:
        """|J| + |V_i| + sum_j |t_ij|, at the site where it is largest."""
        dtype = jnp.result_type(float)
        total = abs(self.coupling) + self._around_site(lambda t, bond: abs(t), dtype)
        if self.potential is not None:
            total = total + abs(self._everywhere(self.potential, dtype, self.lattice.shape))
        return jnp.max(total)

    @staticmethod
    def _everywhere(values: Array, dtype, shape: tuple[int, ...]) -> Array:
        return jnp.broadcast_to(values.astype(dtype), shape)


def _shells_of(model: SDModel) -> list[Array]:
    """The amplitudes of a model by shell, a number or `(*cells, bonds)` each."""
    lattice, left = model.lattice, {}
    for h in model.hoppings:
        if h.spin is not None or jnp.iscomplexobj(h.amplitude):
            raise ValueError("a hopping that is complex or turns spins has no moments here; give real amplitudes.")
        amplitude = left.get(h.bond)
        left[h.bond] = h.amplitude if amplitude is None else amplitude + h.amplitude
    shells = []
    while left:
        bonds = lattice.shell(len(shells) + 1)
        if not left.keys() & set(bonds) and max(b.length for b in left) < bonds[0].length:
            break
        parts = [left.pop(bond, None) for bond in bonds]
        zero = jnp.zeros((), jnp.result_type(float))
        known = [zero if part is None else part for part in parts]
        alike = not any(t.ndim or isinstance(t, Tracer) for t in known) and len({float(t) for t in known}) == 1
        columns = [jnp.broadcast_to(t, lattice.cells) for t in known]
        # one number moves to other sizes of the lattice
        shells.append(known[0] if alike else jnp.stack(columns, axis=-1))
    if left:
        raise ValueError(
            f"{next(iter(left))} is no bond of lattice.shell(n); take the bonds of the model from lattice.shell."
        )
    return shells
