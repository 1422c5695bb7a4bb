"""A channel between leads: its reservoirs and slices, what it chooses by itself, and its compiled programs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxspin.electrons.model import SDModel, only_sd
from jaxspin.electrons.negf import integrals, recursion
from jaxspin.electrons.negf.leads import AbstractTerminal, Contact, contact
from jaxspin.electrons.negf.measures import AbstractMeasure, Found, Matrix, OnBonds, OnSite
from jaxspin.electrons.negf.orbital_slices import reach, torque, torque_measure
from jaxspin.electrons.negf.poles import number_for
from jaxspin.electrons.negf.slices import Cut, cut_for
from jaxspin.electrons.negf.system import Setup, System, assemble
from jaxspin.electrons.orbital_bonds import Turned, from_slopes, no_phases
from jaxspin.electrons.orbitals import OrbitalModel
from jaxspin.field import AbstractField, Spins
from jaxspin.lattice import Lattice


class AbstractChannel(AbstractField):
    """What `GreensFunction` asks its questions of: the parts of it are told there."""

    model: eqx.AbstractVar[SDModel | OrbitalModel]
    leads: eqx.AbstractVar[tuple[AbstractTerminal, ...]]
    voltage: eqx.AbstractVar[Float[Array, ""]]
    mu: eqx.AbstractVar[Float[Array, ""]]
    temperature: eqx.AbstractVar[Float[Array, ""]]
    bath: eqx.AbstractVar[Float[Array, ""]]
    bath_mu: eqx.AbstractVar[Float[Array, ""] | None]
    bath_temperature: eqx.AbstractVar[Float[Array, ""] | None]
    corners: eqx.AbstractVar[Float[Array, " corners"]]
    tolerance: eqx.AbstractVar[float]
    axis: eqx.AbstractVar[int | None]
    method: eqx.AbstractVar[str]
    poles: eqx.AbstractVar[int]
    max_panels: eqx.AbstractVar[int]
    batch: eqx.AbstractVar[int]

    @property
    def lattice(self) -> Lattice:
        return self.model.lattice

    # --- reservoirs -----------------------------------------------------------------------------------------------

    def reservoirs(self) -> tuple[Float[Array, " terminals"], Float[Array, " terminals"]]:
        """mu and T of each lead, the voltage included, and of the reference last, in units of the hopping."""
        shares = {"left": 0.5, "right": -0.5}
        mu, temperature = [], []
        for lead in self.leads:
            share = shares.get(lead.sites, 0.0) if isinstance(lead.sites, str) else 0.0
            mu.append(self.mu + share * self.voltage if lead.mu is None else lead.mu)
            temperature.append(self.temperature if lead.temperature is None else lead.temperature)
        mu.append(self.mu if self.bath_mu is None else self.bath_mu)
        temperature.append(self.temperature if self.bath_temperature is None else self.bath_temperature)
        return jnp.stack(mu), jnp.stack(temperature)

    def _find_corners(self) -> Array:
        """Edges of the leads' bands inside the window, where they are known."""
        mu, temperature = self.reservoirs()
        if any(isinstance(x, Tracer) for x in jax.tree.leaves((self.leads, mu, temperature))):
            return jnp.zeros(0, jnp.result_type(float))
        corners = [np.zeros(0)]
        for lead, level in zip(self.leads, mu[:-1], strict=True):
            if isinstance(lead.sites, str) and self.axis is not None:
                corners.append(lead.band_edges(self.lattice, self.axis, float(level - self.mu)))
        edges = np.unique(np.round(np.concatenate(corners), 12))
        at, far = np.asarray(mu), np.log(100 / self.tolerance) * np.asarray(temperature)
        inside = (edges > np.min(at - far)) & (edges < np.max(at + far))
        return jnp.asarray(edges[inside], jnp.result_type(float))

    def _enough_poles(self) -> int:
        bound, extents = self.model.bound(), [lead.extent(self.lattice) for lead in self.leads]
        reference = [levels[-1] for levels in self.reservoirs()]
        if any(isinstance(x, Tracer) for x in (*reference, bound, self.bath, *jax.tree.leaves(extents))):
            raise ValueError("the number of poles cannot be found while tracing; give poles=, 32 suit most bands.")
        mu, temperature = (float(x) for x in reference)
        # orbitals of vacancies lie above the spectrum
        highest = (1 if self._cut().full(self.model.occupied) is None else 2) * float(bound) + 1
        loss = float(self.bath)
        for extent in extents:
            highest = max(highest, float(extent.levels)) + float(extent.coupling)
            loss += float(extent.loss)
        tolerance = max(1e-13, min(1e-3, self.tolerance / 10))
        return number_for(tolerance, (highest + abs(mu)) / temperature, loss / temperature / 2)

    # --- slices ---------------------------------------------------------------------------------------------------

    def _cut(self, *, whole: bool = False) -> Cut:
        lattice = self.model.orbital_lattice
        if whole or self.method == "dense" or self.axis is None:
            axis = 0 if self.axis is None else self.axis
            return Cut(lattice, axis, lattice.cells[axis])
        # a lead at the right end touches the last slice alone, unless it reaches further than any slice need be
        ends = [lead.depth(lattice, self.axis) for lead in self.leads if lead.sites == "right"]
        far = reach(self.model, self.axis)
        return cut_for(lattice, far, self.axis, min(max([1, *ends]), far))

    def _setup(self, *, whole: bool = False) -> Setup:
        where = self._cut(whole=whole)
        contacts: tuple[Contact, ...] = tuple(contact(lead, where, self.axis) for lead in self.leads)
        return Setup(where, contacts, self.poles, self.tolerance, self.max_panels, self.batch)

    def _system(self, setup: Setup, spins: Spins) -> System:
        return assemble(setup, self.model, self.leads, (*self.reservoirs(), self.mu, self.corners), self.bath, spins)

    # --- programs -------------------------------------------------------------------------------------------------

    def _measured(self, spins: Spins, measure: AbstractMeasure) -> tuple[Found, Array]:
        setup = self._setup(whole=measure.whole)
        return integrals.measured(setup, self._system(setup, spins), measure)

    @eqx.filter_jit
    def _on_sites(self, spins: Spins) -> tuple[Array, Array]:
        found, error = self._measured(spins, OnSite())
        whole = self._cut().back(found["onsite"])
        return whole if self.model.occupied is None else jnp.where(self.model.occupied[..., None], whole, 0), error

    @eqx.filter_jit
    def _pushed(self, spins: Spins) -> tuple[Spins, Array]:
        """-Tr rho dH/dS of an `OrbitalModel`."""
        where, model = self._cut(), self.model
        assert isinstance(model, OrbitalModel)
        found, error = self._measured(spins, torque_measure(where, model))
        return torque(where, model, found, spins), error

    @eqx.filter_jit
    def _matrix(self, spins: Spins) -> tuple[Array, Array]:
        found, error = self._measured(spins, Matrix())
        return self._ordered(found["matrix"][0]), error

    @eqx.filter_jit
    def _through_bonds(self, spins: Spins) -> tuple[Array, Array]:
        if isinstance(self.model, OrbitalModel):
            return self._between_orbitals(self.model, spins)
        hoppings = self.model.hoppings
        measure = OnBonds(self._cut(), tuple(h.bond for h in hoppings))
        found, error = self._measured(spins, measure)
        return measure.currents(hoppings, found), error

    def _between_orbitals(self, model: OrbitalModel, spins: Spins) -> tuple[Array, Array]:
        """From the whole density matrix."""
        rho, error = self._matrix(spins)

        def energy(phases):
            return jnp.sum(jnp.real(jnp.conj(rho) * Turned(model, phases).dense(spins)))

        return from_slopes(model, jax.grad(energy)(no_phases(model, spins.dtype))), error

    @eqx.filter_jit
    def _spins_through_bonds(self, spins: Spins) -> tuple[Array, Array]:
        hoppings = only_sd(self.model, "spin currents").hoppings
        measure = OnBonds(self._cut(), tuple(h.bond for h in hoppings))
        found, error = self._measured(spins, measure)
        return measure.spin_currents(hoppings, found), error

    @eqx.filter_jit
    def _out_of_leads(self, spins: Spins) -> tuple[Array, Array]:
        setup = self._setup()
        return integrals.currents(setup, self._system(setup, spins))

    @eqx.filter_jit
    def _panels(self, spins: Spins) -> Array:
        setup = self._setup()
        return integrals.window(setup, integrals.Density(OnSite()), self._system(setup, spins))[2].used

    @eqx.filter_jit
    def _between(self, spins: Spins, energies: Array) -> Array:
        setup = self._setup()
        system = self._system(setup, spins)

        def at(energy):
            return recursion.between(setup, system, energy)[0]

        return jax.lax.map(at, energies.astype(spins.dtype), batch_size=15 * self.batch)

    @eqx.filter_jit
    def _local(self, spins: Spins, energies: Array) -> Array:
        setup = self._setup()
        system = self._system(setup, spins)

        def at(energy):
            z = jax.lax.complex(energy, jnp.zeros_like(energy))
            return recursion.spectral(setup, system, z) / np.pi

        density = jax.lax.map(at, energies.astype(spins.dtype), batch_size=15 * self.batch)
        whole = setup.where.back(jnp.moveaxis(density, 0, -1))
        return whole if self.model.occupied is None else jnp.where(self.model.occupied[..., None], whole, 0)

    @eqx.filter_jit
    def _retarded(self, spins: Spins, energy: Array) -> Array:
        setup = self._setup(whole=True)
        z = jax.lax.complex(energy, jnp.zeros_like(energy))
        return self._ordered(recursion.retarded(setup, self._system(setup, spins), z))

    def _ordered(self, matrix: Array) -> Array:
        """Orbitals of the one slice back into the lattice's order."""
        order = self._cut(whole=True).order()[:, None] * 2 + np.arange(2)
        return matrix[order.reshape(-1)][:, order.reshape(-1)]


def open_axis(lattice: Lattice, axis: int | None) -> int | None:
    """`axis` if it is open, or the first open one; None if there is none. Raises `ValueError` for a periodic axis."""
    opened = [k for k, periodic in enumerate(lattice.periodic) if not periodic]
    if axis is None:
        return opened[0] if opened else None
    if axis not in opened:
        raise ValueError(f"axis {axis} is not an open axis of the lattice (open: {opened}); see Lattice.periodic.")
    return axis
