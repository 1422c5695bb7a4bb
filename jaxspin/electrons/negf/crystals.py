"""Leads that are crystals, with or without spins of their own, going on for ever beyond an end of the channel."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxspin.arrays.precision import tensordot
from jaxspin.arrays.spinors import complex_of
from jaxspin.couplings import optional, real, scalar
from jaxspin.electrons.negf.leads import ENDS, AbstractSelfEnergy, AbstractTerminal, Contact, Extent, check_temperature
from jaxspin.electrons.negf.slices import reach
from jaxspin.electrons.negf.surfaces import Chains, Layers, MagneticChains, lead_modes, lead_slices
from jaxspin.electrons.terms import Site
from jaxspin.lattice import Lattice


class Crystal(AbstractTerminal):
    """A lead that is the lattice without spins, going on for ever beyond one end of the channel.

    Sigma^r(w) = V+ g(w) V with the surface Green's function g = (w - h - V+ g V)^-1 of slices h and hoppings V. On
    lattices whose slices share their modes with the hoppings between them (square, cubic, chains, ladders; periodic
    ones of a single sublattice) each mode is a chain and g has a closed form; elsewhere g comes from decimation.

    **Arguments**

    - `name`: of the terminal; "left" and "right" sit at these ends.
    - `hopping`: of the lead, a number or one for each shell of neighbours.
    - `coupling`: the hopping between lead and device, likewise; None takes `hopping`, zero cuts the lead off.
    - `potential`: energy of the lead's sites. The voltage moves the occupation only, not the band.
    - `rigid`: True lets the band move with the chemical potential, by mu_lead - mu.
    - `sites`: "left" or "right"; None takes the name.
    - `broadening`: the imaginary part of the energy in a decimation, in units of the hopping; closed forms need none.
    - `mu`, `temperature`: its chemical potential and temperature. None: of the solver; see `GreensFunction`.

    Raises `ValueError` for sites that are no end of the channel, another number of couplings than of hoppings, and a
    broadening or temperature that is not positive. `MagneticCrystal` has spins of its own.

    Source of the decimation: Lopez Sancho, Lopez Sancho and Rubio, J. Phys. F 15, 851 (1985),
    10.1088/0305-4608/15/4/009.

    Example:
        >>> model = js.SDModel(js.chain(6, periodic=False), coupling=0.0)
        >>> leads = (js.electrons.Crystal("left"), js.electrons.Crystal("right"))
        >>> wire = js.GreensFunction(model, leads=leads, voltage=0.5, temperature=0.1)
        >>> round(float(wire.transmission(js.textures.ferromagnet(wire.lattice), jnp.array([0.3]))[0]), 3)
        2.0
    """

    name: str = eqx.field(static=True)
    sites: str | tuple[int, ...] = eqx.field(static=True)
    rigid: bool = eqx.field(static=True)
    broadening: float = eqx.field(static=True)
    hopping: Float[Array, " shells"]
    coupling: Float[Array, " shells"]
    potential: Float[Array, ""]
    mu: Float[Array, ""] | None
    temperature: Float[Array, ""] | None

    def __init__(
        self,
        name: str,
        hopping: ArrayLike | Sequence[ArrayLike] = 1.0,
        *,
        coupling: ArrayLike | Sequence[ArrayLike] | None = None,
        potential: ArrayLike = 0.0,
        rigid: bool = False,
        sites: str | None = None,
        broadening: float = 1e-9,
        mu: ArrayLike | None = None,
        temperature: ArrayLike | None = None,
    ):
        self.name, self.sites, self.rigid = name, name if sites is None else sites, rigid
        if self.sites not in ENDS:
            raise ValueError(
                f"the crystal {name!r} goes on beyond an end of the channel; give sites='left' or 'right', or take "
                "WideBand(..., sites=mask) for other contacts."
            )
        if not broadening > 0:
            raise ValueError(f"broadening must be positive, got {broadening}; 1e-9 is near enough to zero.")
        self.broadening = float(broadening)
        self.hopping = _shells("hopping", hopping, name)
        self.coupling = self.hopping if coupling is None else _shells("coupling", coupling, name)
        if self.coupling.shape != self.hopping.shape:
            raise ValueError(f"lead {name!r} has {self.hopping.shape[0]} hoppings; give as many couplings, by shell.")
        self.potential = scalar(potential, f"potential of lead {name!r}")
        self.mu = optional(mu, "mu")
        self.temperature = None if temperature is None else check_temperature(temperature, f"lead {name!r}")

    def depth(self, lattice: Lattice, axis: int) -> int:
        return reach(tuple(b for n in range(self.hopping.shape[0]) for b in lattice.shell(n + 1)), axis)

    def connect(self, contact: Contact, raised: Float[Array, ""]) -> AbstractSelfEnergy:
        """Chains where slices and hoppings share their modes, else layers."""
        slicing = self._slicing(contact)
        modes = lead_modes(*slicing)
        if modes is None:
            return self.layers(contact, raised, slicing[2])
        dtype = raised.dtype
        t, tc = self.hopping.astype(dtype), self.coupling.astype(dtype)

        def square(amplitudes):
            re, im = (tensordot(amplitudes, jnp.asarray(part(modes[2]), dtype), axes=1) for part in (np.real, np.imag))
            return re**2 + im**2

        levels = self._shift(raised) - tensordot(t, jnp.asarray(modes[1], dtype), axes=1)
        return Chains(levels, square(t), square(tc), slicing)

    def layers(self, contact: Contact, raised: Float[Array, ""], thickness: int) -> Layers:
        """The lead in layers of `thickness` cells, at least as many as the longest hopping crosses, of either spin."""
        dtype, m = raised.dtype, len(contact.sites)
        t, tc = self.hopping.astype(dtype), self.coupling.astype(dtype)
        lattice, axis, _, shells = self._slicing(contact)
        h, v = (jnp.asarray(x, dtype) for x in lead_slices(lattice, axis, thickness, shells))
        onsite = self._shift(raised) * jnp.eye(h.shape[1], dtype=dtype) - tensordot(t, h, axes=1)
        hop, touching = -tensordot(t, v, axes=1), -tensordot(tc, v, axes=1)
        if contact.right:
            return Layers(onsite, hop, touching[-m:], self.broadening, degenerate=True)
        return Layers(onsite, hop.T, touching.T[:m], self.broadening, degenerate=True)

    def extent(self, lattice: Lattice) -> Extent:
        # row sums of the lead and of its contact bound the spectrum of all
        bonds = jnp.asarray([2 * len(lattice.shell(n + 1)) for n in range(self.hopping.shape[0])], self.hopping.dtype)
        rows = jnp.sum((jnp.abs(self.hopping) + jnp.abs(self.coupling)) * bonds)
        return Extent(rows + jnp.abs(self.potential), rows, jnp.zeros_like(rows))

    def band_edges(self, lattice: Lattice, axis: int, raised: float) -> np.ndarray:
        """Edges of the subbands of chains."""
        modes = lead_modes(lattice, axis, self.depth(lattice, axis), self.hopping.shape[0])
        if modes is None:
            return np.zeros(0)
        t = np.asarray(self.hopping, float)
        center = float(self.potential) + (raised if self.rigid else 0.0) - t @ modes[1]
        width = 2 * np.abs(t @ modes[2])
        return np.concatenate([center - width, center + width])

    def _slicing(self, contact: Contact) -> tuple[Lattice, int, int, int]:
        lattice, axis = contact.where.lattice, contact.axis
        assert axis is not None  # a lead at an end has one
        return lattice, axis, self.depth(lattice, axis), self.hopping.shape[0]

    def _shift(self, raised: Array) -> Array:
        shift = self.potential.astype(raised.dtype)
        return shift + raised if self.rigid else shift


class MagneticCrystal(AbstractTerminal):
    """A `crystal` whose electrons feel fixed spins: -J S.sigma on its sites, the spins repeated along the lead.

    Sigma^r = V_c g V_c+ of layers as thick as the spins' period (or a multiple that holds the hoppings), by decimation.
    A ferromagnet, one direction for all sites, has the closed form of `Crystal` where that has one, for either spin
    along its direction, and the edges of its bands are known. Two of them at an angle, with a device between, are a
    spin valve: what the current does to a lead is `GreensFunction.bond_spin_currents` in the bonds before it.

    - `crystal`: a `Crystal`, with all that belongs to it: name, end, hoppings, potential, mu and temperature.
    - `spins`: one direction `(3,)` for all sites, or `(*cells, sublattices, 3)` with as many cells along the channel as
      the period has and across as many as the device. The device's order along the axis holds in both leads: beyond the
      right end comes the first of these cells, and the last of them lies before the left end.
    - `exchange`: J of the lead, in units of the hopping.

    Raises `ValueError` in the solver for spins that do not fit the cross-section of the device.
    Source of the decimation: Lopez Sancho, Lopez Sancho and Rubio, J. Phys. F 15, 851 (1985),
    10.1088/0305-4608/15/4/009.

    Example:
        >>> left = js.electrons.MagneticCrystal(js.electrons.Crystal("left"), (0.0, 0.0, 1.0), exchange=2.0)
        >>> model = js.SDModel(js.chain(6, periodic=False), coupling=1.0)
        >>> js.GreensFunction(model, leads=(left, js.electrons.Crystal("right")), temperature=0.1).terminals
        ('left', 'right', 'bath')
    """

    name: str = eqx.field(static=True)
    sites: str | tuple[int, ...] = eqx.field(static=True)
    mu: Float[Array, ""] | None
    temperature: Float[Array, ""] | None
    crystal: Crystal
    spins: Float[Array, "*cells 3"]
    exchange: Float[Array, ""]

    def __init__(self, crystal: Crystal, spins: ArrayLike | Sequence[float], exchange: ArrayLike = 1.0):
        self.name, self.sites, self.mu, self.temperature = crystal.name, crystal.sites, crystal.mu, crystal.temperature
        self.crystal = crystal
        self.spins = real(spins, f"spins of lead {crystal.name!r}")
        self.exchange = scalar(exchange, f"exchange of lead {crystal.name!r}")
        if self.spins.ndim == 0 or self.spins.shape[-1] != 3:
            raise ValueError(
                f"spins of lead {crystal.name!r} have shape {self.spins.shape}; give (3,) or (*cells, sublattices, 3)."
            )

    def depth(self, lattice: Lattice, axis: int) -> int:
        return self.crystal.depth(lattice, axis)

    def check(self, lattice: Lattice, axis: int | None) -> None:
        if self.spins.ndim == 1 or axis is None:
            return
        wanted = (*lattice.cells[:axis], self.spins.shape[axis], *lattice.shape[axis + 1 :], 3)
        if self.spins.shape != wanted:
            period = ", ".join("period" if k == axis else str(n) for k, n in enumerate((*lattice.shape, 3)))
            raise ValueError(
                f"spins of lead {self.name!r} have shape {self.spins.shape}; give ({period}), or (3,) for all sites."
            )

    def connect(self, contact: Contact, raised: Float[Array, ""]) -> AbstractSelfEnergy:
        lattice, axis = contact.where.lattice, contact.axis
        assert axis is not None  # a lead at an end has one
        if self.spins.ndim == 1:
            plain = self.crystal.connect(contact, raised)
            if isinstance(plain, Chains):
                exchange = self.exchange.astype(raised.dtype) * self.spins.astype(raised.dtype)
                return MagneticChains(plain.levels, plain.square, plain.contact, exchange, plain.slicing)
        ctype = complex_of(raised.dtype)
        across = (*(1 if k == axis else n for k, n in enumerate(lattice.cells)), lattice.sublattices, 3)
        spins = jnp.broadcast_to(self.spins, across) if self.spins.ndim == 1 else self.spins
        period = spins.shape[axis]
        times = -(-self.depth(lattice, axis) // period)
        one = self.crystal.layers(contact, raised, times * period)
        along = jnp.concatenate([jnp.moveaxis(spins, axis, 0)] * times).reshape(-1, 3).astype(raised.dtype)
        local = Site(None, self.exchange.astype(raised.dtype) * along).block(ctype)
        h, hop, touching = (jnp.kron(x.astype(ctype), jnp.eye(2, dtype=ctype)) for x in (one.h, one.hop, one.contact))
        n = len(local)
        site = np.arange(n)
        h = h.reshape(n, 2, n, 2).at[site, :, site, :].add(local).reshape(2 * n, 2 * n)
        return Layers(h, hop, touching, self.crystal.broadening, degenerate=False)

    def band_edges(self, lattice: Lattice, axis: int, raised: float) -> np.ndarray:
        """Edges of the subbands of either spin, of a ferromagnet of chains."""
        if self.spins.ndim > 1:
            return np.zeros(0)
        edges = self.crystal.band_edges(lattice, axis, raised)
        shift = float(self.exchange) * float(np.linalg.norm(np.asarray(self.spins)))
        return np.concatenate([edges - shift, edges + shift])

    def extent(self, lattice: Lattice) -> Extent:
        levels, coupling, loss = self.crystal.extent(lattice)
        largest = jnp.max(jnp.sqrt(jnp.sum(self.spins**2, axis=-1))).astype(levels.dtype)
        return Extent(levels + jnp.abs(self.exchange) * largest, coupling, loss)


def _shells(what: str, value: ArrayLike | Sequence[ArrayLike], name: str) -> Array:
    shells = jnp.atleast_1d(real(value, f"{what} of lead {name!r}").astype(jnp.result_type(float)))
    if shells.ndim != 1:
        raise ValueError(f"{what} of lead {name!r} is a number or one for each shell, got shape {shells.shape}.")
    return shells
