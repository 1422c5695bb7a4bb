"""Several learnt potentials of one descriptor: their mean is the field, how far they differ says where it is known."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from jaxspin import renamed
from jaxspin.descriptors import AbstractDescriptor
from jaxspin.devices.hosts import to_host
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.forcefield.behler_parrinello import BehlerParrinello
from jaxspin.forcefield.familiarity import share_beyond
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite, check_spins, takes_spins, tangent


class Committee(AbstractPotential):
    """E = (1/M) sum_m E_m over M force fields of one descriptor and one architecture; B is the mean of their fields.

    Members trained from other weights, splits and batches agree where the data bind them and nowhere else:
    `standard_deviation` says per site how far they disagree, in units of the hopping. It is a measure of what is not
    known, not an error bar: errors that all members share (a descriptor that sees too little) do not show in it.

    `energy` and `field` compute the descriptor once and the networks M times; `member_fields` and
    `standard_deviation` go back through the descriptor M times. `calibrated(spins)` keeps as `reference` the deviation
    usual on known configurations, which `unfamiliar` compares with. `on(lattice)` moves the committee to any size of
    its lattice, and it is stored with `jaxspin.forcefield.save`. `members` holds the weights of all with a leading axis
    M; `committee[m]` is one.

    Raises `ValueError` for fewer than two members, and for members of different descriptors, layers or precision.
    Sources: H. S. Seung, M. Opper, H. Sompolinsky, COLT 1992, 287, 10.1145/130385.130417; C. Schran, K. Brezina,
    O. Marsalek, J. Chem. Phys. 153, 104105 (2020), 10.1063/5.0016004.

    Example:
        >>> features = js.LocalMoments(js.chain(8), coupling=2.0, hops=2, moments=4)
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> committee = js.Committee([js.BehlerParrinello(descriptor=features, hidden=(4,), key=key) for key in keys])
        >>> committee.size, committee.standard_deviation(js.textures.neel(js.chain(8))).shape
        (2, (8, 1))
    """

    parallel_part_is_fixed: ClassVar[bool] = False

    members: BehlerParrinello
    reference: Float[Array, ""] | None
    size: int = eqx.field(static=True)

    spread = renamed.attribute("Committee", "spread", "standard_deviation")

    def __init__(self, members: Sequence[BehlerParrinello]):
        if len(members) < 2:
            raise ValueError(f"a committee of {len(members)} cannot disagree; give at least two members.")
        first = members[0]
        for number, member in enumerate(members):
            for name in ("lattice", "descriptor", "hidden", "network", "dtype", "familiarity", "origin"):
                if member.settings().get(name) != first.settings().get(name):
                    raise ValueError(
                        f"member {number} has another {name} than the first; "
                        "train all from one model, as train_committee does, or move them with .on(lattice)."
                    )
        self.members = _stacked(list(members))
        self.reference = None
        self.size = len(members)

    @property
    def lattice(self) -> Lattice:
        return self.members.lattice

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        return self.members.narrowest_block

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> BehlerParrinello:
        """One member; `IndexError` if there are not so many."""
        if not -self.size <= index < self.size:
            raise IndexError(f"there is no member {index} of {self.size}; count from 0 to {self.size - 1}.")
        return _member(self.members, index)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """The mean of the members' energies, in units of the hopping."""
        check_spins(self.lattice, spins)
        return _energy(self.members, spins)

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        """Both means, for the price of one field of one member and the networks of the others."""
        check_finite(spins)
        check_spins(self.lattice, spins)
        return _energy_and_field(self.members, spins)

    def member_fields(self, spins: Spins) -> Float[Array, "members *cells sublattices 3"]:
        """B of every member, in units of the hopping; `field` is their mean, at less cost."""
        check_spins(self.lattice, spins)
        return _fields(self.members, spins)

    def standard_deviation(self, spins: Spins) -> Float[Array, "*cells sublattices"]:
        """sqrt((1/M) sum_m |B_m - B|^2) of the tangential fields at every site, in units of the hopping.

        Zero at vacancies.
        """
        check_spins(self.lattice, spins)
        return _standard_deviation(self.members, spins)

    @takes_spins(batch=True)
    def calibrated(self, spins: Float[Array, "n *cells sublattices 3"], *, quantile: float = 0.99) -> "Committee":
        """With `reference`, the deviation that this share of the sites of known configurations stays below.

        Give configurations of the kind the members know but were not trained on, such as validation data: on those of
        training the members agree better. Raises `ValueError` unless 0 < quantile < 1.
        """
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must be between 0 and 1, got {quantile}; 0.99 is usual.")
        found = np.stack([to_host(self.standard_deviation(spins[n])) for n in range(len(spins))])
        usual = jnp.asarray(np.nanquantile(found[np.any(to_host(spins) != 0, axis=-1)], quantile))
        return eqx.tree_at(
            lambda c: c.reference, self, usual.astype(self.members.mean.dtype), is_leaf=lambda x: x is None
        )

    def unfamiliarity(self, spins: Spins) -> Float[Array, "*cells sublattices"]:
        """`standard_deviation` over `reference` at every site: above 1 at 1 % of those like the ones calibrated with.

        Raises `ValueError` without calibration.
        """
        if self.reference is None:
            raise ValueError(
                "the committee has no reference to compare with; use committee.calibrated(spins) of known spins."
            )
        deviation = self.standard_deviation(spins)
        # members that are all alike
        return deviation / jnp.maximum(self.reference.astype(deviation.dtype), jnp.finfo(deviation.dtype).tiny)

    def unfamiliar(self, spins: Spins) -> Float[Array, ""]:
        """The share of the spins whose `unfamiliarity` is above 1.

        With the default calibration 0.01 on configurations like those it was made with; several times that is a
        warning: label some of these configurations and train again. Raises `ValueError` without calibration.
        """
        return share_beyond(spins, self.unfamiliarity(spins))

    def filled(self, *, filling: ArrayLike | None = None, temperature: ArrayLike | None = None) -> "Committee":
        """The same committee of other electrons in the levels of all members: `BehlerParrinello.filled`."""
        # one number for each member, where a program takes it as an argument
        each = {
            name: jnp.broadcast_to(value, (self.size,)) if isinstance(value, Tracer) else value
            for name, value in (("filling", filling), ("temperature", temperature))
        }
        return eqx.tree_at(lambda c: c.members, self, self.members.filled(**each))

    def on(self, lattice: Lattice) -> "Committee":
        """The same committee on another size of the lattice; `ValueError` if smaller than the neighbourhood."""
        return eqx.tree_at(lambda c: c.members, self, self.members.on(lattice))

    def settings(self) -> dict[str, Any]:
        """Everything but the weights, as plain data: what `from_settings` takes."""
        return {
            "kind": type(self).__name__,
            "size": self.size,
            "calibrated": self.reference is not None,
            "member": self[0].settings(),
        }

    @staticmethod
    def from_settings(settings: dict[str, Any]) -> "Committee":
        """The untrained committee described by `settings()`."""
        member = BehlerParrinello.from_settings(settings["member"])
        made = Committee([member] * settings["size"])
        if not settings["calibrated"]:
            return made
        zero = jnp.zeros((), member.mean.dtype)
        return eqx.tree_at(lambda c: c.reference, made, zero, is_leaf=lambda x: x is None)


# Of the stacked members alone, so that calibration compiles nothing anew; jitted, so that a call outside jit compiles
# once and not operation by operation.


@jax.jit
def _stacked(members: list[BehlerParrinello]) -> BehlerParrinello:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


@jax.jit
def _member(members: BehlerParrinello, index: Array) -> BehlerParrinello:
    return jax.tree.map(lambda leaf: leaf[index], members)


def _descriptor(members: BehlerParrinello) -> AbstractDescriptor:
    """That of each: the arrays it may have, such as a voltage, are stacked with the rest and all alike."""
    return jax.tree.map(lambda leaf: leaf[0], members.descriptor)


def _energies(
    members: BehlerParrinello, rows: Float[Array, "features sublattices *cells"], spins: Spins
) -> Float[Array, " members"]:
    """E_m of every member."""
    return eqx.filter_vmap(lambda member: member.energy_of_rows(rows, spins))(members)


def _energies_and_slopes(
    members: BehlerParrinello, rows: Float[Array, "features sublattices *cells"], spins: Spins
) -> tuple[Float[Array, " members"], Float[Array, "members features sublattices *cells"]]:
    """E_m of every member and its derivative with respect to the rows."""
    return eqx.filter_vmap(lambda member: member.energy_and_slopes(rows, spins))(members)


@eqx.filter_jit
def _energy(members: BehlerParrinello, spins: Spins) -> Float[Array, ""]:
    return jnp.mean(_energies(members, _descriptor(members).rows(spins), spins))


@eqx.filter_jit
def _energy_and_field(members: BehlerParrinello, spins: Spins) -> tuple[Float[Array, ""], Spins]:
    rows, pullback = _descriptor(members).rows_and_pullback(spins)
    energies, slopes = _energies_and_slopes(members, rows, spins)
    return jnp.mean(energies), -pullback(jnp.mean(slopes, axis=0))


@eqx.filter_jit
def _fields(members: BehlerParrinello, spins: Spins) -> Float[Array, "members *cells sublattices 3"]:
    descriptor = _descriptor(members)
    rows = descriptor.rows(spins)
    slopes = _energies_and_slopes(members, rows, spins)[1]
    return -jax.vmap(descriptor.pullback, in_axes=(None, 0))(spins, slopes)


@eqx.filter_jit
def _standard_deviation(members: BehlerParrinello, spins: Spins) -> Float[Array, "*cells sublattices"]:
    fields = _fields(members, spins)
    apart = tangent(jnp.broadcast_to(spins, fields.shape), fields - jnp.mean(fields, axis=0, keepdims=True))
    return jnp.where(jnp.any(spins != 0, axis=-1), jnp.sqrt(jnp.mean(jnp.sum(apart**2, axis=-1), axis=0)), 0)
