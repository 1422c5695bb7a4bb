"""How strongly each lead of a channel reaches a site through the spins in between."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxspin import renamed
from jaxspin.descriptors.around import AbstractAround
from jaxspin.descriptors.base import AbstractDescriptor, Rows
from jaxspin.field import Spins, sum_of
from jaxspin.lattice import Lattice

_ROWS = ("first lead", "last lead", "flow of first", "flow of last")


class BetweenLeads(AbstractAround):
    """The features of `descriptor`, then the voltage V, and V times how far each lead of a channel reaches.

    An electron of a double-exchange metal passes from spin to spin with the weight w_ij = (1 + S_i . S_j)/2: freely
    between parallel spins, not at all between antiparallel ones. The layers across the open `axis` are taken as a
    chain of such contacts: with g_x the sum of w over the bonds from layer x to x + 1, a site, the share u_x of the
    electrons in layer x that came from the lead at the first layer solves

        m [g_x (u_x+1 - u_x) + g_x-1 (u_x-1 - u_x)] + d_x0 lead (1 - u_x) - d_xN lead u_x - bath u_x = 0,

    and likewise that of the lead at the last; the rest came from the bath. Rows: V, then for each mobility m V u, V u',
    and V times the flows m g (u_x - u_x+1) through each layer. They are not local, as the filling of driven electrons
    is not: they tell a metal that a lead fills from an insulator that it does not reach, and how much of the current is
    lost on the way. Linear in the sites; invariant under rotations and the reversal of all spins; the ends are told
    apart. A random walk, and not the electrons: the network turns it into fields.

    - `voltage`: an array, which `at(voltage)` and `jaxspin.forcefield.at_voltage` replace: one model for all voltages.
      At V = 0 all rows vanish.
    - `lead`, `bath`: Gamma of leads and bath, as in `GreensFunction`.
    - `mobility` m: steps of the walk a unit of time, or several: in a ferromagnet a walk goes some (m/bath)^(1/2)
      cells before the bath takes it. Electrons of the band fly further than a walk of step 1.

    Source of the weights: Anderson and Hasegawa, Phys. Rev. 100, 675 (1955), doi:10.1103/PhysRev.100.675. Raises
    `ValueError` without an open axis, and for numbers that are not positive; without leads take `descriptor` itself.

    Example:
        >>> channel = js.chain(8, periodic=False)
        >>> inner = js.LocalMoments(channel, coupling=2.0, hops=2, moments=4)
        >>> features = js.descriptors.BetweenLeads(inner, voltage=0.5)
        >>> features(js.textures.ferromagnet(channel)).shape
        (8, 1, 13)
    """

    descriptor: AbstractDescriptor
    voltage: Float[Array, ""]
    axis: int = eqx.field(static=True)
    lead: float = eqx.field(static=True)
    bath: float = eqx.field(static=True)
    mobility: tuple[float, ...] = eqx.field(static=True)

    reach = renamed.attribute("BetweenLeads", "reach", "added")

    def __init__(
        self,
        descriptor: AbstractDescriptor,
        *,
        voltage: ArrayLike = 0.0,
        axis: int | None = None,
        lead: float | int = 2.0,
        bath: float | int = 0.02,
        mobility: float | int | Sequence[float | int] = 20.0,
    ):
        periodic = descriptor.lattice.periodic
        chosen = next((n for n, closed in enumerate(periodic) if not closed), None) if axis is None else int(axis)
        if chosen is None or not 0 <= chosen < len(periodic) or periodic[chosen]:
            raise ValueError(
                f"axis {axis} of the {descriptor.lattice.name} lattice, periodic {periodic}, has no leads at its ends; "
                "make the lattice with periodic=(False, ...), or use the descriptor by itself."
            )
        several = tuple(float(m) for m in np.atleast_1d(np.asarray(mobility, float)))
        if not several or not min(lead, bath, *several) > 0:
            raise ValueError(
                f"lead, bath and mobility must be positive, got {lead}, {bath}, {mobility}; (2, 0.02, 20) are usual."
            )
        self.descriptor, self.axis = descriptor, chosen
        self.voltage = jnp.asarray(voltage, jnp.result_type(float))
        self.lead, self.bath, self.mobility = float(lead), float(bath), several

    @property
    def added_labels(self) -> tuple[str, ...]:
        """ "voltage", then such as "first lead 20" and "flow of first 20" with the mobility."""
        return ("voltage", *(f"{name} {m:g}" for m in self.mobility for name in _ROWS))

    def added(self, spins: Spins) -> Rows:
        """V and the rows of each mobility, `(rows, sublattices, *cells)`, alike within a layer.

        Their derivative solves the transposed equations of the chain.
        """
        contacts = self._contacts(spins)
        found = [jnp.concatenate(self._walk(m * contacts)) for m in self.mobility]
        rows = self.voltage.astype(spins.dtype) * jnp.concatenate([jnp.ones_like(found[0][:1]), *found])
        shape = [1] * (self.lattice.dimension + 2)
        shape[0], shape[self.axis + 2] = len(rows), -1
        return jnp.broadcast_to(rows.reshape(shape), (len(rows), self.lattice.sublattices, *self.lattice.cells))

    def shares(self, spins: Spins) -> list[tuple[Float[Array, "2 layers"], Float[Array, "2 layers"]]]:
        """For each mobility: which part of the electrons in each layer came from either lead, and the mean of the
        flows on its sides."""
        contacts = self._contacts(spins)
        return [self._walk(m * contacts) for m in self.mobility]

    def _walk(self, contacts: Float[Array, " contacts"]) -> tuple[Float[Array, "2 layers"], Float[Array, "2 layers"]]:
        """Shares and flows."""
        layers, dtype = self.lattice.cells[self.axis], contacts.dtype
        at_an_end = np.zeros((2, layers))
        at_an_end[0, 0] = at_an_end[1, -1] = 1
        ends = self.lead * jnp.asarray(at_an_end, dtype)
        away = jnp.concatenate([contacts, jnp.zeros(1, dtype)])
        back = jnp.concatenate([jnp.zeros(1, dtype), contacts])
        chain = lx.TridiagonalLinearOperator(away + back + self.bath + jnp.sum(ends, axis=0), -contacts, -contacts)
        # diagonally dominant, so solvable; a check would ask the host at every evaluation
        shares = jnp.stack([lx.linear_solve(chain, end, lx.Tridiagonal(), throw=False).value for end in ends])
        flow = jnp.pad(contacts[None] * (shares[:, :-1] - shares[:, 1:]), ((0, 0), (1, 1)))
        return shares, (flow[:, 1:] + flow[:, :-1]) / 2

    def _contacts(self, spins: Spins) -> Float[Array, " contacts"]:
        """g_x, between layer x and the next."""
        layers = self.lattice.cells[self.axis]
        across = tuple(n for n in range(self.lattice.dimension) if n != self.axis)
        found = []
        for bond in self.lattice.shell(1):
            b = bond if bond.offset[self.axis] >= 0 else bond.reversed()
            if b.offset[self.axis] == 0:
                continue
            here, there = spins[..., b.start, :], self.lattice.translate(spins[..., b.end, :], b.offset)
            both = jnp.sum(here * here, axis=-1) * jnp.sum(there * there, axis=-1)
            weight = (both + jnp.sum(here * there, axis=-1)) / 2
            found.append(jnp.mean(weight, axis=across) / self.lattice.sublattices)
        return sum_of(found)[: layers - 1]

    def at(self, voltage: ArrayLike) -> "BetweenLeads":
        """The same at another voltage."""
        return eqx.tree_at(lambda d: d.voltage, self, jnp.asarray(voltage, self.voltage.dtype))

    def on(self, lattice: Lattice) -> "BetweenLeads":
        """The same on another size of the channel; `ValueError` for another kind of lattice, or a closed axis."""
        settings = {name: getattr(self, name) for name in ("axis", "lead", "bath", "mobility")}
        return BetweenLeads(self.descriptor.on(lattice), voltage=self.voltage, **settings)

    def own_settings(self) -> dict[str, Any]:
        """What the constructor takes beside `descriptor`, as plain data."""
        kept = {name: getattr(self, name) for name in ("axis", "lead", "bath")}
        return {"voltage": float(self.voltage), **kept, "mobility": list(self.mobility)}
