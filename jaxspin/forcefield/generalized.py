"""The learnt field of driven electrons: a conservative part and one that turns spins about the slope of a potential."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from jaxspin.arrays.vectors import cross
from jaxspin.descriptors import AbstractDescriptor, BetweenLeads
from jaxspin.field import AbstractField, Spins, Time
from jaxspin.forcefield.behler_parrinello import BehlerParrinello
from jaxspin.forcefield.committee import Committee
from jaxspin.forcefield.networks import MultilayerPerceptron, multilayer_perceptron
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite, check_spins, takes_spins


class GeneralizedPotential(AbstractField):
    """B_i = -dE/dS_i - S_i x dG/dS_i, with E and G each a sum over sites of a network on the same features.

    For electrons that carry a current, whose field has no energy. E is `conservative`, a `BehlerParrinello`; G has a
    network of its own, `rotor`, on the same standardized features and in the same units. The features are computed
    once, and their derivative is taken twice. G = 0, the start of every training, is the conservative model;
    `GeneralizedPotential.of(conservative)` makes it from one that is trained. Made, moved to other sizes, trained
    (`jaxspin.training.train`; configurations without energies will do) and stored (`jaxspin.forcefield.save`) like a
    `BehlerParrinello`, with the layers `hidden` in both networks, or a `MessagePassing` network for E and one like it,
    drawn anew, for G. Not an `AbstractPotential`: nothing relaxes in it.

    The symmetry is that of `descriptor`. A current along a direction breaks the mirror along it and time reversal:
    give `LocalMoments(..., direction=(1.0, 0.0))`, whose flows are odd under S -> -S, or `Bispectrum(...,
    direction=(1.0, 0.0), time_reversal=False)`, and wrap it in `NearEnds` in a channel between leads. An E even in S
    gives a field odd in S, a G even in S one that is even, such as what damps; odd ones, made of chiralities, the
    reverse: near a ferromagnet an E odd in S gives the adiabatic torque of a current, such a G the non-adiabatic one.

    Two functions cannot describe every field of more than one spin: that part of the antisymmetric Jacobian that
    changes sign when both ends are turned by a right angle about their spins stays out of reach, and
    `observables.unreachable_fraction` measures it for a given field.

    Raises `ValueError` for a network that takes another number of features, and for spins of another lattice.

    Source: P. Zhang and G.-W. Chern, npj Comput. Mater. 9, 32 (2023), doi:10.1038/s41524-023-00990-0.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> model = js.forcefield.GeneralizedPotential(features, hidden=(4,), key=jax.random.key(0))
        >>> model.field(js.textures.neel(js.chain(8))).shape
        (8, 1, 3)
    """

    parallel_part_is_fixed: ClassVar[bool] = False

    conservative: BehlerParrinello
    rotor: nnx.Module

    def __init__(
        self,
        descriptor: AbstractDescriptor | Lattice,
        network: nnx.Module | None = None,
        *,
        hidden: Sequence[int] = (64, 64),
        key: PRNGKeyArray | None = None,
        dtype=None,
    ):
        first, second = jax.random.split(jax.random.key(0) if key is None else key)
        self.conservative = BehlerParrinello(descriptor, network, hidden=hidden, key=first, dtype=dtype)
        self.rotor = self.conservative.redrawn(second).network

    @staticmethod
    def of(
        conservative: BehlerParrinello, *, hidden: Sequence[int] | None = None, key: PRNGKeyArray | None = None
    ) -> "GeneralizedPotential":
        """The field of `conservative` and no more: G = 0, of a network like its own unless `hidden` are given."""
        key = jax.random.key(0) if key is None else key
        if hidden is None:
            rotor = conservative.redrawn(key).network
        else:
            count, dtype = conservative.descriptor.n_features, conservative.mean.dtype
            rotor = multilayer_perceptron(count, tuple(int(n) for n in hidden), key=key, dtype=dtype)
        made = GeneralizedPotential(conservative.descriptor, conservative.network, dtype=conservative.mean.dtype)
        return eqx.tree_at(lambda m: (m.conservative, m.rotor), made, (conservative, rotor))

    @property
    def hidden(self) -> tuple[int, ...]:
        """The widths of the layers of the network of G, () of one without."""
        return self.rotor.widths if isinstance(self.rotor, MultilayerPerceptron) else ()

    @property
    def lattice(self) -> Lattice:
        return self.conservative.lattice

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        return self.conservative.narrowest_block

    @property
    def descriptor(self) -> AbstractDescriptor:
        return self.conservative.descriptor

    @property
    def network(self) -> tuple[nnx.Module, nnx.Module]:
        """What is trained: the networks of E and G."""
        return self.conservative.network, self.rotor

    @property
    def mean(self) -> Float[Array, " features"]:
        return self.conservative.mean

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        """B_i in units of the hopping; the part of G is perpendicular to the spins."""
        return self.potential_and_field(spins)[1]

    def potentials(self, spins: Spins) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(E, G) in units of the hopping. A constant in either means nothing, and E is no energy under a current."""
        check_spins(self.lattice, spins)
        return _potentials(self, spins)

    def energy_of_rows(self, rows: Float[Array, "features sublattices *cells"], spins: Spins) -> Float[Array, ""]:
        """E where the descriptor's rows are known."""
        return self.conservative.energy_of_rows(rows, spins)

    def generator_of_rows(self, rows: Float[Array, "features sublattices *cells"], spins: Spins) -> Float[Array, ""]:
        """G where the descriptor's rows are known: of what they know of the energy G has no part."""
        return self._of_rotor().energy_of_rows(rows, spins, known=False)

    def generator_and_slopes(
        self, rows: Float[Array, "features sublattices *cells"], spins: Spins
    ) -> tuple[Float[Array, ""], Float[Array, "features sublattices *cells"]]:
        """G and its derivative with respect to the rows."""
        return self._of_rotor().energy_and_slopes(rows, spins, known=False)

    def generator_from_rows(self, rows: Float[Array, "features *sites"]) -> Float[Array, "*sites"]:
        """The part of each site in G, of sites with these features."""
        return self._of_rotor().from_rows(rows, known=False)

    def _of_rotor(self) -> BehlerParrinello:
        """G as an energy, in the units of E; what the descriptor knows of E is no part of it."""
        where = lambda m: (m.network, m.shift)  # noqa: E731
        return eqx.tree_at(where, self.conservative, (self.rotor, jnp.zeros_like(self.conservative.shift)))

    def potential_and_field(self, spins: Spins) -> tuple[Float[Array, ""], Spins]:
        """E, and the whole of B."""
        check_finite(spins)
        energy, conservative, rest = _parts(self, spins)
        return energy, conservative + rest

    def parts(self, spins: Spins) -> tuple[Spins, Spins]:
        """(-dE/dS_i, -S_i x dG/dS_i), whose sum is the field."""
        check_finite(spins)
        return _parts(self, spins)[1:]

    def potential_along(self, spins: Spins, direction: Spins) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """E, and -sum_i direction_i . B_i: the derivative of E along d, and that of G along d_i x S_i.

        What training differentiates with respect to the weights, without a reverse pass through the descriptor.
        """
        return _along(self, spins, direction)

    def on(self, lattice: Lattice) -> "GeneralizedPotential":
        """The same field on another size of the lattice; `ValueError` if smaller than the neighbourhood."""
        return eqx.tree_at(lambda model: model.conservative, self, self.conservative.on(lattice))

    @takes_spins(batch=True)
    def standardized(
        self, spins: Float[Array, "n *cells sublattices 3"], *, shift: float | None = None, scale: float = 1.0
    ) -> "GeneralizedPotential":
        """With feature mean and deviation taken from configurations, and the units of E and G set."""
        scaled = self.conservative.standardized(spins, shift=shift, scale=scale)
        return eqx.tree_at(lambda model: model.conservative, self, scaled)

    @takes_spins(batch=True)
    def familiar_with(self, spins: Float[Array, "n *cells sublattices 3"]) -> "GeneralizedPotential":
        """With the `familiarity` of `conservative` taken from configurations, see `BehlerParrinello.familiar_with`."""
        return eqx.tree_at(lambda model: model.conservative, self, self.conservative.familiar_with(spins))

    def unfamiliarity(self, spins: Spins) -> Float[Array, "*cells sublattices"]:
        """How unlike those learnt from the features of every site are: `BehlerParrinello.unfamiliarity`."""
        return self.conservative.unfamiliarity(spins)

    def unfamiliar(self, spins: Spins) -> Float[Array, ""]:
        """The share of the spins whose `unfamiliarity` is above 1."""
        return self.conservative.unfamiliar(spins)

    def settings(self) -> dict[str, Any]:
        """Everything but the weights, as plain data: what `from_settings` takes."""
        return {
            "kind": type(self).__name__,
            "conservative": self.conservative.settings(),
            "hidden": list(self.hidden) if isinstance(self.rotor, MultilayerPerceptron) else None,
        }

    @staticmethod
    def from_settings(settings: dict[str, Any]) -> "GeneralizedPotential":
        """The untrained model described by `settings()`."""
        conservative = BehlerParrinello.from_settings(settings["conservative"])
        return GeneralizedPotential.of(conservative, hidden=settings["hidden"])


@eqx.filter_jit
def _potentials(model: GeneralizedPotential, spins: Spins) -> tuple[Float[Array, ""], Float[Array, ""]]:
    rows = model.descriptor.rows(spins)
    return model.energy_of_rows(rows, spins), model.generator_of_rows(rows, spins)


@eqx.filter_jit
def _along(model: GeneralizedPotential, spins: Spins, direction: Spins) -> tuple[Float[Array, ""], Float[Array, ""]]:
    def move(displacement):
        return jax.jvp(model.descriptor.rows, (spins,), (displacement,))

    directions = jnp.stack([direction, cross(direction, spins)])
    rows, moves = jax.vmap(move, out_axes=(None, 0))(directions)
    energy, slope = jax.jvp(lambda r: model.energy_of_rows(r, spins), (rows,), (moves[0],))
    _, turn = jax.jvp(lambda r: model.generator_of_rows(r, spins), (rows,), (moves[1],))
    return energy, slope + turn


@eqx.filter_jit
def _parts(model: GeneralizedPotential, spins: Spins) -> tuple[Float[Array, ""], Spins, Spins]:
    """E, -dE/dS_i and -S_i x dG/dS_i."""
    check_spins(model.lattice, spins)
    rows = model.descriptor.rows(spins)
    energy, of_energy = model.conservative.energy_and_slopes(rows, spins)
    _, of_generator = model.generator_and_slopes(rows, spins)
    slopes = jax.vmap(model.descriptor.pullback, in_axes=(None, 0))(spins, jnp.stack([of_energy, of_generator]))
    return energy, -slopes[0], -cross(spins, slopes[1])


Learnable = TypeVar("Learnable", BehlerParrinello, GeneralizedPotential)
"""What `jaxspin.training.train` fits: one kind or the other."""


Driven = TypeVar("Driven", BehlerParrinello, Committee, GeneralizedPotential)


def at_voltage(model: Driven, voltage: ArrayLike) -> Driven:
    """A model, or a committee, whose descriptor is a `BetweenLeads`, at another voltage.

    Raises `TypeError` for one that knows no voltage.

    Example:
        >>> inner = js.LocalMoments(js.chain(8, periodic=False), coupling=2.0, hops=2, moments=4)
        >>> features = js.descriptors.BetweenLeads(inner, voltage=0.5)
        >>> model = js.forcefield.GeneralizedPotential(features, hidden=(4,), key=jax.random.key(0))
        >>> float(js.forcefield.at_voltage(model, 1.5).descriptor.voltage)
        1.5
    """
    part = {GeneralizedPotential: "conservative", Committee: "members"}.get(type(model))
    inner: Any = model if part is None else getattr(model, part)
    if not isinstance(inner.descriptor, BetweenLeads):
        raise TypeError(
            f"a model on {type(inner.descriptor).__name__} knows no voltage; wrap its descriptor in BetweenLeads "
            "and train it anew."
        )
    known = inner.descriptor.voltage
    # one for each member of a committee
    value = jnp.broadcast_to(jnp.asarray(voltage, known.dtype), known.shape)
    moved = eqx.tree_at(lambda m: m.descriptor.voltage, inner, value)
    return moved if part is None else eqx.tree_at(lambda m: getattr(m, part), model, moved)
