"""Leads that are a model's own crystal, with fixed spins, going on for ever beyond an end of the channel."""

import dataclasses
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from jaxspin.couplings import optional, real, scalar
from jaxspin.electrons.base import AbstractElectrons
from jaxspin.electrons.negf.leads import ENDS, AbstractSelfEnergy, AbstractTerminal, Contact, Extent, check_temperature
from jaxspin.electrons.negf.linalg import dagger
from jaxspin.electrons.negf.orbital_slices import reach, sliced
from jaxspin.electrons.negf.slices import Cut
from jaxspin.electrons.negf.surfaces import Layers
from jaxspin.lattice import Lattice


class ModelCrystal(AbstractTerminal):
    """A lead of the same crystal as the device: `model` with fixed `spins`, going on for ever beyond an end.

    Sigma^r(w) = V g V+ with the surface Green's function g of layers that hold the hoppings of the model and the period
    of the spins, by decimation. With the device's own model and spins nothing is scattered: the transmission is the
    number of open channels. Across the contact electrons hop as between two layers of the lead: spin-split hoppings
    there follow the lead's spins, and act on no spin of the device.

    **Arguments**

    - `model`: an `OrbitalModel` or `SDModel` that is alike in all cells; of its lattice the kind counts alone.
    - `name`: of the terminal; "left" and "right" sit at these ends.
    - `spins`: one direction `(3,)` for all atoms, or `(*cells, sublattices, 3)` with as many cells along the channel as
      the period has and across as many as the device, in the device's order along the axis.
    - `potential`: added to all energies of the lead. The voltage moves the occupation only, not the band.
    - `rigid`: True lets the band move with the chemical potential, by mu_lead - mu.
    - `sites`: "left" or "right"; None takes the name.
    - `broadening`: the imaginary part of the energy in the decimation, in the unit of the model's energies. Where bands
      are many, a doubled layer is now and then close to a resonance, and rounding would exceed a much smaller one.
    - `mu`, `temperature`: its chemical potential and temperature. None: of the solver; see `GreensFunction`.

    Raises `ValueError` for sites that are no end, a broadening or temperature that is not positive, and in the solver
    for a lattice of another kind, spins that do not fit the device's cross-section, a channel shorter than the hoppings
    reach, and a model that is not alike in all cells.

    Source of the decimation: Lopez Sancho, Lopez Sancho and Rubio, J. Phys. F 15, 851 (1985),
    10.1088/0305-4608/15/4/009.

    Example:
        >>> cell, levels = js.chain(4, periodic=False), np.stack([np.diag([0.0, 1.0]), -np.eye(2), -np.eye(2)])
        >>> model = js.OrbitalModel(cell, (0, 0), [(0,), (1,), (-1,)], levels, exchange=np.diag([0.5, 0.2]))
        >>> leads = [js.electrons.ModelCrystal(model, end, (0.0, 0.0, 1.0)) for end in ("left", "right")]
        >>> wire = js.GreensFunction(model, leads=leads, voltage=0.1, temperature=0.1)
        >>> round(float(wire.transmission(js.textures.ferromagnet(cell), jnp.array([0.3]))[0]), 2)
        4.0
    """

    name: str = eqx.field(static=True)
    sites: str | tuple[int, ...] = eqx.field(static=True)
    rigid: bool = eqx.field(static=True)
    broadening: float = eqx.field(static=True)
    model: AbstractElectrons
    spins: Float[Array, "*cells 3"]
    potential: Float[Array, ""]
    mu: Float[Array, ""] | None
    temperature: Float[Array, ""] | None

    def __init__(
        self,
        model: AbstractElectrons,
        name: str,
        spins: ArrayLike | Sequence[float],
        *,
        potential: ArrayLike = 0.0,
        rigid: bool = False,
        sites: str | None = None,
        broadening: float = 1e-6,
        mu: ArrayLike | None = None,
        temperature: ArrayLike | None = None,
    ):
        self.model, self.name, self.sites, self.rigid = model, name, name if sites is None else sites, rigid
        if self.sites not in ENDS:
            raise ValueError(
                f"the crystal {name!r} goes on beyond an end of the channel; give sites='left' or 'right'."
            )
        if not broadening > 0:
            raise ValueError(f"broadening must be positive, got {broadening}; 1e-6 is near enough to zero.")
        self.broadening = float(broadening)
        self.spins = real(spins, f"spins of lead {name!r}")
        if self.spins.ndim not in (1, model.lattice.dimension + 2) or self.spins.shape[-1] != 3:
            raise ValueError(
                f"spins of lead {name!r} have shape {self.spins.shape}; give (3,) or (*cells, sublattices, 3)."
            )
        self.potential = scalar(potential, f"potential of lead {name!r}")
        self.mu = optional(mu, "mu")
        self.temperature = None if temperature is None else check_temperature(temperature, f"lead {name!r}")

    def depth(self, lattice: Lattice, axis: int) -> int:
        return reach(self.model, axis)

    def check(self, lattice: Lattice, axis: int | None) -> None:
        own = self.model.orbital_lattice
        if not own.is_kind_of(lattice):
            raise ValueError(
                f"lead {self.name!r} is a {own.name} lattice with {own.sublattices} orbitals a cell, the device a "
                f"{lattice.name} lattice with {lattice.sublattices}; give the lead the device's model."
            )
        if self.spins.ndim == 1 or axis is None:
            return
        shape = (*lattice.cells, self.model.lattice.sublattices, 3)
        if self.spins.shape != (*shape[:axis], self.spins.shape[axis], *shape[axis + 1 :]):
            period = ", ".join("period" if k == axis else str(n) for k, n in enumerate(shape))
            raise ValueError(
                f"spins of lead {self.name!r} have shape {self.spins.shape}; give ({period}), or (3,) for all atoms."
            )

    def connect(self, contact: Contact, raised: Float[Array, ""]) -> AbstractSelfEnergy:
        device, axis = contact.where.lattice, contact.axis
        assert axis is not None  # a lead at an end has one
        period = 1 if self.spins.ndim == 1 else self.spins.shape[axis]
        thickness = period * -(-self.depth(device, axis) // period)
        cells = tuple(2 * thickness if k == axis else n for k, n in enumerate(device.cells))
        periodic = tuple(p and k != axis for k, p in enumerate(device.periodic))
        model = self.model.on(dataclasses.replace(self.model.lattice, cells=cells, periodic=periodic))
        shape = (*model.lattice.shape, 3)
        if self.spins.ndim > 1:
            spins = jnp.concatenate([self.spins] * (2 * thickness // period), axis=axis)
        else:
            spins = jnp.broadcast_to(self.spins, shape)
        diagonal, upper = sliced(Cut(model.orbital_lattice, axis, thickness), model, spins.astype(raised.dtype))
        h, hop = diagonal[0], upper[0] if upper.ndim == 3 else jnp.diag(upper[0])
        shift = self.potential.astype(raised.dtype) + (raised if self.rigid else 0)
        h = h + shift.astype(h.dtype) * jnp.eye(len(h), dtype=h.dtype)
        touching = 2 * len(contact.sites)
        if contact.right:
            return Layers(h, hop, hop[-touching:], self.broadening, degenerate=False)
        return Layers(h, dagger(hop), dagger(hop)[:touching], self.broadening, degenerate=False)

    def extent(self, lattice: Lattice) -> Extent:
        bound = jnp.max(jnp.abs(jnp.stack(self.model.spectral_bounds())))
        largest = jnp.maximum(1, jnp.max(jnp.sqrt(jnp.sum(self.spins**2, axis=-1)))).astype(bound.dtype)
        return Extent(bound * largest + jnp.abs(self.potential).astype(bound.dtype), bound, jnp.zeros_like(bound))
