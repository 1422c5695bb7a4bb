"""Terminals: reservoirs that fill a device's sites, each with a chemical potential and a temperature of its own."""

import abc
import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from jaxspin.couplings import holds, optional, real, scalar
from jaxspin.electrons.negf.linalg import dagger
from jaxspin.electrons.negf.slices import Cut
from jaxspin.lattice import Lattice

ENDS = ("left", "right")
SelfEnergy = Complex[Array, "orbitals orbitals"] | Complex[Array, " orbitals"] | Complex[Array, ""]


@dataclasses.dataclass(frozen=True)
class Contact:
    """Where a lead touches: for each of its m sites the slice and the index within it, in C order along the axis."""

    where: Cut
    axis: int | None
    slices: tuple[int, ...]
    sites: tuple[int, ...]
    right: bool = False


class Extent(NamedTuple):
    """How far a lead's levels lie from zero, how strongly it couples, and its largest rate Gamma at all energies."""

    levels: Array
    coupling: Array
    loss: Array


class AbstractSelfEnergy(eqx.Module):
    """The self-energy of a lead on the m sites of its contact."""

    @abc.abstractmethod
    def self_energy(self, energy: Complex[Array, ""]) -> SelfEnergy:
        """Sigma^r(z), Im z >= 0: a matrix `(2m, 2m)`, or `(2m,)` or a number where it is diagonal.

        Orbitals are (site, spin) in C order, sites along the axis first. In units of the hopping.
        """

    def broadening(self, energy: Complex[Array, ""]) -> Array:
        """Gamma = i (Sigma^r - Sigma^a), of the shape of the self-energy."""
        return broadening_of(self.self_energy(energy))

    def rate(self) -> Float[Array, "..."] | None:
        """Gamma, `(2m,)` or a number, of a self-energy -i Gamma/2 at all energies; None for any other.

        Such a lead is a part of H, and may touch sites anywhere.
        """
        return None

    def modes(self) -> np.ndarray | None:
        """Columns U `(m, m)` such that Sigma is U s U+ with s what `self_energy` gives; None for the sites."""
        return None


class AbstractTerminal(eqx.Module):
    """A lead as it is given to `GreensFunction`: its name, where it sits, its chemical potential and its temperature.

    `sites` is "left", "right" or a tuple of site numbers, in C order of `(*cells, sublattices)`; `mu` and
    `temperature` are those of the solver where they are None.
    """

    name: eqx.AbstractVar[str]
    sites: eqx.AbstractVar[str | tuple[int, ...]]
    mu: eqx.AbstractVar[Float[Array, ""] | None]
    temperature: eqx.AbstractVar[Float[Array, ""] | None]

    @abc.abstractmethod
    def connect(self, contact: Contact, raised: Float[Array, ""]) -> AbstractSelfEnergy:
        """The self-energy at `contact`; `raised` is how far the lead's mu lies above the solver's."""

    @abc.abstractmethod
    def extent(self, lattice: Lattice) -> Extent:
        """Bounds from which the solver takes its number of complex frequencies."""

    def depth(self, lattice: Lattice, axis: int) -> int:
        """How many cells of the device the lead touches at an end."""
        return 1

    def band_edges(self, lattice: Lattice, axis: int, raised: float) -> np.ndarray:
        """Energies where the self-energy has a corner, as far as they are known."""
        return np.zeros(0)

    def check(self, lattice: Lattice, axis: int | None) -> None:
        """Refuse a lattice, open along `axis`, that the lead does not fit."""


class AbstractLead(AbstractTerminal, AbstractSelfEnergy):
    """A lead that is its own self-energy Sigma^r(z): subclass it, with `self_energy`, for one of your own.

    Sigma^r is `(2m, 2m)` on the m sites of the contact, in units of the hopping; see `self_energy`. Unless it is a
    `rate`, the sites have to lie in one slice: with the solver's method="dense" the device is one slice. Give the
    solver `poles` where the lead has levels further from zero than the device has.

    The solver raises `ValueError` for a self-energy of another shape. `WideBand` and `Crystal` are there.

    Example:
        >>> import equinox as eqx
        >>> class Wire(js.electrons.AbstractLead):
        ...     gamma: float = 0.5
        ...     name: str = eqx.field(static=True, default="left")
        ...     sites: str = eqx.field(static=True, default="left")
        ...     mu: None = None
        ...     temperature: None = None
        ...
        ...     def self_energy(self, energy):
        ...         return -0.5j * jnp.asarray(self.gamma, energy.dtype)
        >>> model = js.SDModel(js.chain(6, periodic=False))
        >>> js.GreensFunction(model, leads=[Wire(), js.WideBand("right")], temperature=0.1).terminals
        ('left', 'right', 'bath')
    """

    def connect(self, contact: Contact, raised: Float[Array, ""]) -> AbstractSelfEnergy:
        return self

    def extent(self, lattice: Lattice) -> Extent:
        sigma = self.self_energy(jnp.asarray(1j))
        zero = jnp.zeros((), jnp.result_type(float))
        return Extent(zero, zero, 2 * jnp.max(jnp.abs(sigma)).astype(zero.dtype))


class WideBand(AbstractLead):
    """A lead without structure: Sigma^r = -i Gamma/2 on its sites, at all energies.

    **Arguments**

    - `name`: of the terminal. "left" and "right" sit at the ends of the channel's open axis.
    - `coupling`: Gamma >= 0 in units of the hopping, the rate at which an electron leaves a site of the contact.
    - `sites`: "left", "right", or a mask `(*cells, sublattices)`; None takes the name.
    - `mu`, `temperature`: its chemical potential and temperature. None: of the solver; see `GreensFunction`.

    Raises `ValueError` for a coupling that is no number or negative, a temperature that is not positive, and a name
    that is no end without `sites`. `Crystal` has a band, and a contact that depends on energy.

    Example:
        >>> lead = js.WideBand("left", 0.5)
        >>> complex(lead.self_energy(jnp.asarray(0.3 + 0.0j)))
        -0.25j
    """

    name: str = eqx.field(static=True)
    sites: str | tuple[int, ...] = eqx.field(static=True)
    shape: tuple[int, ...] | None = eqx.field(static=True)
    coupling: Float[Array, ""]
    mu: Float[Array, ""] | None
    temperature: Float[Array, ""] | None

    def __init__(
        self,
        name: str,
        coupling: ArrayLike = 1.0,
        *,
        sites: str | ArrayLike | None = None,
        mu: ArrayLike | None = None,
        temperature: ArrayLike | None = None,
    ):
        self.name = name
        self.coupling = _positive("coupling", coupling, f"lead {name!r}")
        self.sites, self.shape = _sites(name, sites)
        self.mu = optional(mu, "mu")
        self.temperature = None if temperature is None else check_temperature(temperature, f"lead {name!r}")

    def self_energy(self, energy: Complex[Array, ""]) -> SelfEnergy:
        return -0.5j * self.coupling.astype(energy.dtype)

    def rate(self) -> Float[Array, ""]:
        return self.coupling

    def extent(self, lattice: Lattice) -> Extent:
        zero = jnp.zeros_like(self.coupling)
        return Extent(zero, zero, self.coupling)

    def check(self, lattice: Lattice, axis: int | None) -> None:
        if self.shape is not None and self.shape != lattice.shape:
            raise ValueError(
                f"sites of lead {self.name!r} have shape {self.shape}; give a mask of shape {lattice.shape}."
            )


def broadening_of(sigma: Array) -> Array:
    """Gamma = i (Sigma^r - Sigma^a), real where the self-energy is diagonal."""
    return 1j * (sigma - dagger(sigma)) if sigma.ndim == 2 else -2 * jnp.imag(sigma)


def contact(lead: AbstractTerminal, where: Cut, axis: int | None) -> Contact:
    """Where `lead` touches. Raises `ValueError` where it cannot."""
    lattice = where.lattice
    lead.check(lattice, axis)
    at = _end_of(lead, where, axis) if isinstance(lead.sites, str) else [where.locate(site) for site in lead.sites]
    touching = Contact(where, axis, tuple(p[0] for p in at), tuple(p[1] for p in at), lead.sites == "right")
    anywhere = isinstance(lead, AbstractSelfEnergy) and lead.rate() is not None
    if not anywhere and len(set(touching.slices)) > 1:
        raise ValueError(
            f"the hopping of lead {lead.name!r} reaches further than that of the device; "
            "give it no more shells than the model has, or sites in one slice, or method='dense'."
        )
    return touching


def _end_of(lead: AbstractTerminal, where: Cut, axis: int | None) -> list[tuple[int, int]]:
    lattice = where.lattice
    if axis is None:
        raise ValueError(
            f"lead {lead.name!r} sits at an end, but no axis of the lattice is open; "
            "build it with periodic=(False, True), or give the lead sites=mask."
        )
    if lead.sites not in ENDS:
        raise ValueError(f"lead {lead.name!r} sits at {lead.sites!r}; its sites are 'left', 'right', or numbers.")
    depth = lead.depth(lattice, axis)
    if depth > lattice.cells[axis]:
        raise ValueError(f"the hopping of lead {lead.name!r} reaches {depth} cells; lengthen the channel to as many.")
    layer = where.sites // where.thickness
    last = lattice.cells[axis] * layer
    sites = range(last - depth * layer, last) if lead.sites == "right" else range(depth * layer)
    return [divmod(site, where.sites) for site in sites]


# --- what the numbers of a lead may be ------------------------------------------------------------------------------


def check_temperature(value: ArrayLike, whose: str) -> Array:
    """A temperature above zero, as an array."""
    checked = scalar(value, f"temperature of {whose}")
    if not holds(lambda t: t > 0, checked):
        raise ValueError(f"temperature of {whose} must be positive, got {value}; 0.01 is cold for most bands.")
    return checked


def _positive(what: str, value: ArrayLike, whose: str) -> Array:
    checked = real(value, f"{what} of {whose}")
    if checked.ndim or not holds(lambda x: x >= 0, checked):
        raise ValueError(f"{what} of {whose} must be a number, zero or more, got {value}; 1.0 is a good contact.")
    return checked.astype(jnp.result_type(float))


def _sites(name: str, sites: Any) -> tuple[str | tuple[int, ...], tuple[int, ...] | None]:
    where = name if sites is None else sites
    if isinstance(where, str):
        if where not in ENDS:
            raise ValueError(f"lead {name!r} sits nowhere; name it 'left' or 'right', or give sites=mask.")
        return where, None
    mask = np.asarray(where)
    if mask.dtype != bool:
        raise ValueError(f"sites of lead {name!r} must be a mask, got {mask.dtype}; make it with dtype bool.")
    return tuple(int(n) for n in np.flatnonzero(mask)), mask.shape
