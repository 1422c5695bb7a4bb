"""Terminals: reservoirs that fill a device's sites, each with a chemical potential and a temperature of its own."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxspin.couplings import holds, optional, real, scalar
from jaxspin.electrons.negf.linalg import dagger, inverse, multiply
from jaxspin.electrons.negf.slices import Cut, pairs, reach
from jaxspin.lattice import Lattice

ENDS = ("left", "right")


class WideBand(eqx.Module):
    """A lead without structure: Sigma^r = -i Gamma/2 on its sites, at all energies.

    **Arguments**

    - `name`: of the terminal. "left" and "right" sit at the ends of the channel's open axis.
    - `coupling`: Gamma >= 0 in units of the hopping, the rate at which an electron leaves a site of the contact.
    - `sites`: "left", "right", or a mask `(*cells, sublattices)`; None takes the name.
    - `mu`, `temperature`: its chemical potential and temperature. None: of the solver; see `GreensFunction`.

    `Crystal` has a band and a contact that depends on energy.
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


class Crystal(eqx.Module):
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

    Source of the decimation: Lopez Sancho, Lopez Sancho and Rubio, J. Phys. F 15, 851 (1985),
    10.1088/0305-4608/15/4/009.
    """

    name: str = eqx.field(static=True)
    sites: str = eqx.field(static=True)
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


Lead = WideBand | Crystal


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


def _shells(what: str, value: ArrayLike | Sequence[ArrayLike], name: str) -> Array:
    shells = jnp.atleast_1d(real(value, f"{what} of lead {name!r}").astype(jnp.result_type(float)))
    if shells.ndim != 1:
        raise ValueError(f"{what} of lead {name!r} is a number or one for each shell, got shape {shells.shape}.")
    return shells


def _sites(name: str, sites: Any) -> tuple[str | tuple[int, ...], tuple[int, ...] | None]:
    chosen = name if sites is None else sites
    if isinstance(chosen, str):
        if chosen not in ENDS:
            raise ValueError(f"lead {name!r} sits nowhere; name it 'left' or 'right', or give sites=mask.")
        return chosen, None
    mask = np.asarray(chosen)
    if mask.dtype != bool:
        raise ValueError(f"sites of lead {name!r} must be a mask, got {mask.dtype}; make it with dtype bool.")
    return tuple(int(n) for n in np.flatnonzero(mask)), mask.shape


# --- where a lead sits ----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Contact:
    """The static side of a lead: for each of its sites the slice and the number within it."""

    kind: str  # "wide", "modes" or "decimated"
    slices: tuple[int, ...]
    sites: tuple[int, ...]
    right: bool = False
    rigid: bool = False
    broadening: float = 0.0
    shells: int = 0
    thickness: int = 1


def depth(lead: Crystal, lattice: Lattice, axis: int) -> int:
    """How many cells of the device the hoppings of a crystal reach."""
    return reach(tuple(b for n in range(lead.hopping.shape[0]) for b in lattice.shell(n + 1)), axis)


def contact(lead: Lead, where: Cut, axis: int | None) -> Contact:
    """Where `lead` touches. Raises `ValueError` where it cannot."""
    lattice = where.lattice
    if isinstance(lead.sites, str):
        if axis is None:
            raise ValueError(
                f"lead {lead.name!r} sits at an end, but no axis of the lattice is open; "
                "build it with periodic=(False, True), or give the lead sites=mask."
            )
        right = lead.sites == "right"
        thickness = 1
        if isinstance(lead, Crystal):
            thickness = depth(lead, lattice, axis)
            if thickness > lattice.cells[axis]:
                raise ValueError(
                    f"the hopping of lead {lead.name!r} reaches {thickness} cells; lengthen the channel to as many."
                )
        layer = where.sites // where.thickness
        last = lattice.cells[axis] * layer
        sites = range(last - thickness * layer, last) if right else range(thickness * layer)
        at, within = tuple(s // where.sites for s in sites), tuple(s % where.sites for s in sites)
        if isinstance(lead, WideBand):
            return Contact("wide", at, within)
        if len(set(at)) > 1:
            raise ValueError(
                f"the hopping of lead {lead.name!r} reaches further than that of the device; "
                "give it no more shells than the model has, or method='dense'."
            )
        shells = lead.hopping.shape[0]
        kind = "decimated" if lead_modes(lattice, axis, thickness, shells) is None else "modes"
        return Contact(kind, at, within, right, lead.rigid, lead.broadening, shells, thickness)
    assert isinstance(lead, WideBand)
    if lead.shape != lattice.shape:
        raise ValueError(f"sites of lead {lead.name!r} have shape {lead.shape}; give a mask of shape {lattice.shape}.")
    places = [where.place(site) for site in lead.sites]
    return Contact("wide", tuple(p[0] for p in places), tuple(p[1] for p in places))


# --- crystals -------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def lead_slices(lattice: Lattice, axis: int, thickness: int, shells: int) -> tuple[np.ndarray, np.ndarray]:
    """(h, V) of unit hopping for each shell, `(shells, m, m)`: within a slice of the lead, and to the next one."""
    cells = list(lattice.cells)
    cells[axis] = 2 * thickness
    periodic = tuple(p and k != axis for k, p in enumerate(lattice.periodic))
    where = Cut(dataclasses.replace(lattice, cells=tuple(cells), periodic=periodic), axis, thickness)
    h, v = np.zeros((2, shells, where.sites, where.sites))
    bonds = [(shell, bond) for shell in range(shells) for bond in lattice.shell(shell + 1)]
    for n, bond in bonds:
        for p in pairs(where, *bond[:3]):
            if p.step == 0:
                np.add.at(h[n], (p.i, p.j), 1.0)
                np.add.at(h[n], (p.j, p.i), 1.0)
            else:
                np.add.at(v[n], (p.i, p.j) if p.step == 1 else (p.j, p.i), 1.0)
    return h, v


@functools.lru_cache(maxsize=64)
def lead_modes(
    lattice: Lattice, axis: int, thickness: int, shells: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(U, e, v): columns U diagonalize all of h and V, with values e and v `(shells, m)`; None if nothing does."""
    h, v = lead_slices(lattice, axis, thickness, shells)
    family = [*h, *(v + np.swapaxes(v, 1, 2)), *(1j * (v - np.swapaxes(v, 1, 2)))]
    if not any(np.iscomplexobj(x) and np.abs(x).max() > 0 for x in family):
        family = [np.real(x) for x in family]
    # coefficients without a common measure, so that no two different modes fall together
    mixture = np.sum([c * x for c, x in zip(_irrational(), family, strict=False)], axis=0)
    u = np.linalg.eigh(mixture)[1]
    seen = [np.conj(u.T) @ x @ u for x in (*h, *v)]
    if any(np.abs(x - np.diag(np.diagonal(x))).max() > 1e-10 for x in seen):
        return None
    values = [np.diagonal(x) for x in seen]
    return u, np.real(np.stack(values[:shells])), np.stack(values[shells:])


def _irrational():
    return ((n * 0.6180339887498949 + 0.37) % 1 + 0.5 for n in itertools.count(1))


def chain_surface(x: Array, square: Array, coupling: Array) -> Array:
    """|c|^2 g with g = [x - sqrt(x^2 - 4 |v|^2)]/(2 |v|^2), the root that is small far from the band (Im x >= 0)."""
    inside = x * x - 4 * square.astype(x.dtype)
    # At an edge the root has no derivative and a clean wire no inverse; a rounding inside the band it has both.
    # The root of a rounding, 1e-8, is what any energy so near an edge is good for.
    edge = inside == 0
    least = jax.lax.stop_gradient(jnp.abs(x)) * jnp.finfo(x.dtype).eps ** 0.5
    least = jax.lax.complex(jnp.zeros_like(least), least)
    root = jnp.where(edge, least, jnp.sqrt(jnp.where(edge, 1, inside)))
    wrong = jnp.where(jnp.imag(root) == 0, jnp.real(root) * jnp.real(x) < 0, jnp.imag(root) < 0)
    below = x + jnp.where(wrong, -root, root)
    empty = below == 0
    return jnp.where(empty, 0, 2 * coupling.astype(x.dtype) / jnp.where(empty, 1, below))


def decimate(z: Array, h: Array, v: Array, steps: int) -> Array:
    """g = (z - h - V g V+)^-1 by doubling the distance `steps` times; Im z > 0."""
    one = jnp.eye(h.shape[0], dtype=h.dtype)

    def double(state, _):
        surface, bulk, forth, back = state
        g = inverse(z * one - bulk)
        there, here = multiply(forth, g), multiply(back, g)
        add, other = multiply(there, back), multiply(here, forth)
        return (surface + add, bulk + add + other, multiply(there, forth), multiply(here, back)), None

    start = (h, h, v, dagger(v))
    (surface, *_), _ = jax.lax.scan(double, start, None, length=steps)
    return inverse(z * one - surface)
