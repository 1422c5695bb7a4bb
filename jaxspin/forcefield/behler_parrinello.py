"""The learnt potential: E(S) = sum_i epsilon_i, one network for all sites."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped

from jaxspin.descriptors import AbstractDescriptor, Bispectrum, SpinVectors
from jaxspin.devices.shards import Shards, shards_of
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.forcefield import tiles
from jaxspin.forcefield.architecture import check_network, described, drawn_network, in_a_line, network_settings
from jaxspin.forcefield.familiarity import Familiarity, distances_of, learnt_from, share_beyond, standardization
from jaxspin.forcefield.levels import LearntLevels
from jaxspin.forcefield.networks import (
    AbstractLatticeNetwork,
    MultilayerPerceptron,
    in_precision,
    multilayer_perceptron,
)
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite, check_spins, takes_spins


class BehlerParrinello(AbstractPotential):
    """E = sum_i [shift + scale epsilon((G_i - mean)/deviation)] with the invariants G_i of `descriptor`.

    A descriptor that knows an estimate of the energy (`LocalElectrons`) adds it: the network is left the rest.

    The field B_i = -dE/dS_i comes by automatic differentiation, so it is conservative, and it has every symmetry the
    descriptor has: global spin rotations, time reversal, the lattice's point group. Energies in units of the hopping.
    Sites with a vacancy have no energy. Time and memory are linear in the sites; `on(lattice)` moves the potential to
    any size of its lattice.

    **Arguments**

    - `descriptor`: a `LocalMoments`, a `LocalElectrons` or an `AbstractDescriptor` of your own; a lattice stands for
      `Bispectrum(lattice)`, or with a network that reads spins for `SpinVectors(lattice)`.
    - `network`: an NNX module from features `(sites, n_features)` to energies `(sites,)`, such as `LearntLevels` for
      electrons that share a Fermi level, or an `AbstractLatticeNetwork` such as `MessagePassing`. None makes a
      `MultilayerPerceptron` of layers `hidden`, with weights drawn with `key` in the precision `dtype` (None: that of
      the network); it is zero until trained.

    Train it with `jaxspin.training.train`, store it with `jaxspin.forcefield.save`. Raises `ValueError` for a network
    that takes another number of features.
    Sources: J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007), 10.1103/PhysRevLett.98.146401;
    P. Zhang and G.-W. Chern, Phys. Rev. Lett. 127, 146401 (2021), 10.1103/PhysRevLett.127.146401.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> model = js.BehlerParrinello(descriptor=features, hidden=(4,), key=jax.random.key(0))
        >>> model.field(js.textures.neel(js.chain(8))).shape, model.on(js.chain(32)).lattice.cells
        ((8, 1, 3), (32,))
    """

    parallel_part_is_fixed: ClassVar[bool] = False
    __pdoc__ = in_a_line

    descriptor: AbstractDescriptor
    network: nnx.Module
    mean: Float[Array, " features"]
    deviation: Float[Array, " features"]
    shift: Float[Array, ""]
    scale: Float[Array, ""]
    # last, so that the arrays of older files keep their order; the origin of learnt levels only of several fillings
    familiarity: Familiarity | None
    origin: Float[Array, ""] | None

    def __init__(
        self,
        descriptor: AbstractDescriptor | Lattice | None = None,
        network: nnx.Module | None = None,
        *,
        hidden: Sequence[int] = (64, 64),
        key: PRNGKeyArray | None = None,
        dtype=None,
    ):
        if descriptor is None:
            raise ValueError("a force field needs a descriptor=... or a lattice; give one of them.")
        if isinstance(descriptor, Lattice):
            reads_spins = isinstance(network, AbstractLatticeNetwork)
            descriptor = SpinVectors(descriptor) if reads_spins else Bispectrum(descriptor)
        if dtype is None:
            weights = jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))
            dtype = weights[0].dtype if weights else jnp.result_type(float)
        dtype = jnp.dtype(dtype)
        if network is None:
            widths = tuple(int(n) for n in hidden)
            key = jax.random.key(0) if key is None else key
            network = multilayer_perceptron(descriptor.n_features, widths, key=key, dtype=dtype)
        assert network is not None
        check_network(descriptor, network, dtype)
        self.descriptor, self.network, self.familiarity, self.origin = descriptor, network, None, None
        self.mean = jax.device_put(np.zeros(descriptor.n_features, dtype))
        self.deviation = jax.device_put(np.ones(descriptor.n_features, dtype))
        self.shift = jax.device_put(np.zeros((), dtype))
        self.scale = jax.device_put(np.ones((), dtype))

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths of the layers of a `MultilayerPerceptron`, () of another network."""
        return self.network.widths if isinstance(self.network, MultilayerPerceptron) else ()

    @property
    def lattice(self) -> Lattice:
        return self.descriptor.lattice

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        own = self.descriptor.narrowest_block
        if own is None or not isinstance(self.network, AbstractLatticeNetwork):
            return own
        return tuple(max(pair) for pair in zip(own, self.network.reach(self.lattice), strict=True))

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """E(S) in units of the hopping."""
        check_spins(self.lattice, spins)
        return jnp.sum(_site_energies(self, spins))

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        """Both, for the price of the field: the network by automatic differentiation, then `descriptor.pullback`."""
        check_finite(spins)
        return _energy_and_field(self, spins)

    def site_energies(self, spins: Spins) -> Float[Array, "*cells sublattices"]:
        """epsilon_i of every site: only their sum has a meaning."""
        check_spins(self.lattice, spins)
        return _site_energies(self, spins)

    def energy_of_rows(
        self, rows: Float[Array, "features sublattices *cells"], spins: Spins, *, known: bool = True
    ) -> Float[Array, ""]:
        """The energy where the descriptor's rows are known; of `spins` only vacancies matter.

        `known=False` leaves out what the descriptor knows: the network alone.
        """
        occupied = jnp.moveaxis(jnp.sum(spins * spins, axis=-1) > 0, -1, 0)
        return jnp.sum(jnp.where(occupied, self.from_rows(rows, occupied, known=known), 0))

    def energy_and_slopes(
        self, rows: Float[Array, "features sublattices *cells"], spins: Spins, *, known: bool = True
    ) -> tuple[Float[Array, ""], Float[Array, "features sublattices *cells"]]:
        """`energy_of_rows` and its derivative with respect to the rows, by tiles where a network reads the lattice."""
        if not isinstance(self.network, AbstractLatticeNetwork):
            return jax.value_and_grad(lambda rows: self.energy_of_rows(rows, spins, known=known))(rows)
        occupied = jnp.moveaxis(jnp.any(spins != 0, axis=-1), -1, 0)
        reach = self.network.reach(self.lattice)
        shards = shards_of(self.lattice, rows)
        if shards is None:
            energy, slopes = tiles.summed(self._network_energies, self.lattice, rows, reach)
        else:
            energy, slopes = tiles.summed_over_shards(self._network_energies, shards, rows, reach)
        shift = jax.lax.stop_gradient(self.shift).astype(rows.dtype)
        energy = energy + shift * jnp.sum(occupied).astype(rows.dtype)
        if known:
            estimate, of_estimate = jax.value_and_grad(self._known)(rows, occupied)
            energy, slopes = energy + estimate, slopes + of_estimate
        return energy, slopes

    def _known(self, rows: Array, occupied: Array) -> Float[Array, ""]:
        estimate = self.descriptor.known_energy(rows)
        return jnp.zeros((), rows.dtype) if estimate is None else jnp.sum(jnp.where(occupied, estimate, 0))

    def _network_energies(self, rows: Array, trim: tuple[bool, ...]) -> Array:
        """scale epsilon of the sites that have a spin, of a network that reads the lattice; zero elsewhere."""
        number, dtype = self.descriptor.components, rows.dtype
        local = {name: jax.lax.stop_gradient(getattr(self, name)).astype(dtype) for name in _CONSTANTS}
        shape = (-1, *(1,) * (rows.ndim - 1))
        mean, deviation = (local[name][number:].reshape(shape) for name in ("mean", "deviation"))
        network = cast(AbstractLatticeNetwork, in_precision(self.network, dtype))
        energies = network.energies(self.lattice, rows[:number], (rows[number:] - mean) / deviation, trim)
        occupied = jnp.any(rows[:number] != 0, axis=0)
        for axis, (n, cut) in enumerate(zip(network.reach(self.lattice), trim, strict=True), 1):
            if cut and n:
                occupied = jax.lax.slice_in_dim(occupied, n, occupied.shape[axis] - n, axis=axis)
        return jnp.where(occupied, local["scale"] * energies, 0)

    def from_rows(
        self,
        rows: Float[Array, "features *sites"],
        occupied: Shaped[Array, "*sites"] | None = None,
        *,
        known: bool = True,
    ) -> Float[Array, "*sites"]:
        """epsilon of sites with these features, whether or not they have a spin.

        With `LearntLevels` they share a Fermi level, to which those count that are `occupied`; None: all.
        """
        shards = shards_of(self.lattice, rows) if rows.shape[2:] == self.lattice.cells else None
        if isinstance(self.network, LearntLevels):
            return self._with_shift_and_estimate(self._filled(rows, occupied, shards), rows, known)
        if shards is None:
            return self._from_rows(rows, known)
        if isinstance(self.network, AbstractLatticeNetwork):
            reach = self.network.reach(self.lattice)
            energies = tiles.energies_over_shards(self._network_energies, shards, rows, reach)
            return self._with_shift_and_estimate(energies, rows, known)
        arrays, rest = eqx.partition(self, eqx.is_array)
        return shards.by_site(lambda own, part: eqx.combine(own, rest)._from_rows(part, known), arrays, rows)

    def _from_rows(self, rows: Float[Array, "features *sites"], known: bool) -> Float[Array, "*sites"]:
        local = {name: jax.lax.stop_gradient(getattr(self, name)).astype(rows.dtype) for name in _CONSTANTS}
        if isinstance(self.network, AbstractLatticeNetwork):
            energies = self._network_energies(rows, (False,) * self.lattice.dimension)
        else:
            network = in_precision(self.network, rows.dtype)
            energies = local["scale"] * cast(Any, network)(self._scaled(rows)).reshape(rows.shape[1:])
        return self._with_shift_and_estimate(energies, rows, known)

    def _scaled(self, rows: Float[Array, "features *sites"]) -> Float[Array, "n features"]:
        """What a network of single sites reads."""
        mean, deviation = (jax.lax.stop_gradient(x).astype(rows.dtype) for x in (self.mean, self.deviation))
        # a contiguous copy, which XLA on CPUs would otherwise make again for every product with it
        features = jax.lax.optimization_barrier(rows.reshape(rows.shape[0], -1).T)
        return jax.lax.optimization_barrier((features - mean[None]) / deviation[None])

    def _filled(self, rows: Float[Array, "features *sites"], occupied: Any, shards: Shards | None) -> Array:
        """The energies of sites with a common Fermi level."""

        def parts(model: BehlerParrinello, rows: Array) -> Array:
            network = in_precision(cast(LearntLevels, model.network), rows.dtype)
            return network.parts(model._scaled(rows)).T.reshape(-1, *rows.shape[1:])

        if shards is None:
            made = parts(self, rows)
        else:
            arrays, rest = eqx.partition(self, eqx.is_array)
            made = shards.by_site(lambda own, part: parts(eqx.combine(own, rest), part), arrays, rows)
        network = in_precision(cast(LearntLevels, self.network), rows.dtype)
        occupied = None if occupied is None else occupied.astype(rows.dtype)
        unit = jax.lax.stop_gradient(self.scale).astype(rows.dtype)
        energies = unit * network.energies(jnp.moveaxis(made, 0, -1), occupied, unit)
        origin = None if self.origin is None else jax.lax.stop_gradient(self.origin).astype(rows.dtype)
        return energies if origin is None else energies + 2 * network.filling * origin

    def _with_shift_and_estimate(self, energies: Array, rows: Array, known: bool) -> Array:
        estimate = self.descriptor.known_energy(rows) if known else None
        energies = jax.lax.stop_gradient(self.shift).astype(rows.dtype) + energies
        return energies if estimate is None else estimate + energies

    def filled(self, *, filling: ArrayLike | None = None, temperature: ArrayLike | None = None) -> "BehlerParrinello":
        """The same field of other electrons in the learnt levels; None: as they are. Traced values stay traced.

        Raises `ValueError` unless the network is a `LearntLevels`, and for a filling outside (0, 1).
        """
        if not isinstance(self.network, LearntLevels):
            raise ValueError(
                f"a {type(self.network).__name__} knows no filling; train a network of js.forcefield.LearntLevels."
            )
        other = self.network.at(filling=filling, temperature=temperature)
        return eqx.tree_at(lambda model: model.network, self, other)

    def redrawn(self, key: PRNGKeyArray) -> "BehlerParrinello":
        """An untrained copy with other weights: of the same descriptor and architecture, not standardized.

        Raises `ValueError` for a network that is not jaxspin's.
        """
        dtype = self.mean.dtype
        network = drawn_network(self.settings(), self.descriptor, key=key, dtype=dtype)
        return BehlerParrinello(self.descriptor, network, dtype=dtype)

    def on(self, lattice: Lattice) -> "BehlerParrinello":
        """The same potential on another size of the lattice; `ValueError` if smaller than the neighbourhood."""
        return eqx.tree_at(lambda model: model.descriptor, self, self.descriptor.on(lattice))

    @takes_spins(batch=True)
    def standardized(
        self,
        spins: Float[Array, "n *cells sublattices 3"],
        *,
        shift: float | None = None,
        scale: float = 1.0,
        origin: float | None = None,
    ) -> "BehlerParrinello":
        """With feature mean and deviation taken from configurations, and the energy's units set.

        `shift` is the mean energy per site, None if unknown, `scale` the size of what the network is to describe.
        `origin`, of `LearntLevels`, is where its levels count from: 2 n `origin` more a site at filling n.
        """
        mean, deviation, known = standardization(self.descriptor, spins.astype(self.mean.dtype))
        estimated = 0.0 if known is None else float(known)
        return eqx.tree_at(
            lambda m: (m.mean, m.deviation, m.shift, m.scale, m.familiarity, m.origin),
            self,
            (
                mean,
                deviation,
                jnp.asarray(0.0 if shift is None else shift - estimated, self.shift.dtype),
                jnp.asarray(scale, self.scale.dtype),
                None,
                None if origin is None else jnp.asarray(origin, self.scale.dtype),
            ),
            is_leaf=lambda x: x is None,
        )

    @takes_spins(batch=True)
    def familiar_with(self, spins: Float[Array, "n *cells sublattices 3"]) -> "BehlerParrinello":
        """With `familiarity` of these configurations, from which `unfamiliarity` measures: `train` gives that learnt.

        Raises `ValueError` for a network that reads spins instead of features, such as `MessagePassing`.
        """
        self._check_features()
        made = learnt_from(self, spins.astype(self.mean.dtype))
        return eqx.tree_at(lambda m: m.familiarity, self, made, is_leaf=lambda x: x is None)

    def unfamiliarity(self, spins: Spins) -> Float[Array, "*cells sublattices"]:
        """How unlike those learnt from the features of every site are: the distance of `Familiarity`, 0 at vacancies.

        Below 1 at 99 % of the sites learnt from, larger the further features are from all of them: where the network is
        asked what it was never told. Its price is that of the features and a matrix of their number squared, less than
        a field. It is a measure of what is not known and no error bar: a descriptor that sees too little is wrong on
        what it knows, too. For errors in units of the hopping train a committee.

        Raises `ValueError` where nothing is known of what it learnt from. Sources: K. Lee, K. Lee, H. Lee and J. Shin,
        NeurIPS 2018, arXiv:1807.03888; of force fields J. P. Janet et al., Chem. Sci. 10, 7913 (2019),
        10.1039/C9SC02298H, and V. Zaverkin and J. Kaestner, Mach. Learn.: Sci. Technol. 2, 035009 (2021),
        10.1088/2632-2153/abe294.
        """
        if self.familiarity is None:
            self._check_features()
            raise ValueError(
                "this force field does not know what it learnt from; use model.familiar_with(spins) of such "
                "configurations, or train it anew."
            )
        check_spins(self.lattice, spins)
        return distances_of(self, self.familiarity, spins)

    def unfamiliar(self, spins: Spins) -> Float[Array, ""]:
        """The share of the spins whose `unfamiliarity` is above 1: 0.01 on configurations learnt from."""
        return share_beyond(spins, self.unfamiliarity(spins))

    def _check_features(self) -> None:
        if isinstance(self.network, AbstractLatticeNetwork):
            raise ValueError(
                f"{type(self.network).__name__} reads spins and no features of a site to know again; train a "
                "committee, js.training.train_committee, which says where its members disagree."
            )

    # --- what a checkpoint needs to rebuild the model ----------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """Everything but the weights, as plain data."""
        return {
            "lattice": dataclasses.asdict(self.lattice),
            "descriptor": {"kind": type(self.descriptor).__name__, **self.descriptor.settings()},
            **network_settings(self.network),
            "dtype": str(self.mean.dtype),
            # older files do not say
            **({} if self.familiarity is None else {"familiarity": True}),
            **({} if self.origin is None else {"origin": True}),
        }

    @staticmethod
    def from_settings(settings: dict[str, Any]) -> "BehlerParrinello":
        """The untrained model described by `settings()`; `ValueError` for a network that is not jaxspin's."""
        stored = {k: _tuples(v) if isinstance(v, list | tuple) else v for k, v in settings["lattice"].items()}
        lattice = Lattice(**cast(Any, stored))
        dtype = jnp.dtype(settings["dtype"])
        if dtype == jnp.float64 and not jax.config.read("jax_enable_x64"):
            dtype = jnp.dtype(jnp.float32)  # weights of a double-precision run, used in single
        descriptor = described(lattice, settings["descriptor"])
        network = drawn_network(settings, descriptor, key=jax.random.key(0), dtype=dtype)
        return BehlerParrinello(descriptor, network, dtype=dtype).with_room(settings)

    def with_room(self, settings: dict[str, Any]) -> "BehlerParrinello":
        """With blanks for what only some force fields have, for that of these `settings`."""
        known = Familiarity.blank(self.mean.shape[-1], self.mean.dtype) if settings.get("familiarity") else None
        origin = jnp.zeros((), self.mean.dtype) if settings.get("origin") else None
        return eqx.tree_at(lambda m: (m.familiarity, m.origin), self, (known, origin), is_leaf=lambda x: x is None)


@eqx.filter_jit
def _site_energies(model: BehlerParrinello, spins: Spins) -> Float[Array, "*cells sublattices"]:
    occupied = jnp.sum(spins * spins, axis=-1) > 0
    energies = model.from_rows(model.descriptor.rows(spins), jnp.moveaxis(occupied, -1, 0))
    return jnp.where(occupied, jnp.moveaxis(energies, 0, -1), 0)


@eqx.filter_jit
def _energy_and_field(model: BehlerParrinello, spins: Spins) -> tuple[Float[Array, ""], Spins]:
    check_spins(model.lattice, spins)
    rows, pullback = model.descriptor.rows_and_pullback(spins)
    energy, slopes = model.energy_and_slopes(rows, spins)
    return energy, -pullback(slopes)


_CONSTANTS = ("mean", "deviation", "shift", "scale")


def _tuples(value):
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
