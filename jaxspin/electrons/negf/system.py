"""A channel with its leads, cut into slices and ready for any energy: arrays in `System`, all else in `Setup`."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.arrays.precision import tensordot
from jaxspin.electrons.model import SDModel
from jaxspin.electrons.negf.leads import Contact, Lead, WideBand, chain_surface, decimate, lead_modes, lead_slices
from jaxspin.electrons.negf.linalg import dagger, multiply
from jaxspin.electrons.negf.slices import Cut, blocks, pairs
from jaxspin.field import Spins
from jaxspin.lattice import Bond


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a program is compiled for. `want` is "field", "bonds", "matrix" or "rows"."""

    where: Cut
    bonds: tuple[Bond, ...]
    contacts: tuple[Contact, ...]
    want: str
    poles: int
    tolerance: float
    max_panels: int
    batch: int

    def columns(self) -> list[np.ndarray]:
        """The columns of each lead among all: those that enter in the last slice come last."""
        first, last = [], []
        for number, c in enumerate(self.contacts):
            for k, at in enumerate(c.slices):
                (last if at == self.where.slices - 1 else first).extend([(number, 2 * k), (number, 2 * k + 1)])
        found = [np.zeros(2 * len(c.slices), int) for c in self.contacts]
        for column, (number, k) in enumerate(first + last):
            found[number][k] = column
        return found

    def entry(self) -> tuple[np.ndarray, int]:
        """The slice in which each column enters, and how many do so before the last one."""
        at = np.zeros(sum(2 * len(c.slices) for c in self.contacts), int)
        for c, columns in zip(self.contacts, self.columns(), strict=True):
            at[columns] = np.repeat(c.slices, 2)
        return at, int(np.sum(at < self.where.slices - 1))

    def upper_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Sites (i in slice n, j in slice n + 1) of all bonds between slices, bond after bond."""
        found = [(p.i, p.j) if p.step == 1 else (p.j, p.i) for p in self._pairs() if p.step != 0]
        return _joined(found)

    def inner_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Sites (i, j) of all bonds within a slice."""
        return _joined([(p.i, p.j) for p in self._pairs() if p.step == 0])

    def _pairs(self):
        return [p for bond in self.bonds for p in pairs(self.where, *bond[:3])]


def _joined(found: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    empty = np.zeros(0, int)
    i, j = (np.concatenate([empty, *(pair[k] for pair in found)]) for k in range(2))
    return i, j


class System(NamedTuple):
    """Arrays of one calculation, in the precision of the spins; `leads` holds what each contact's kind needs."""

    diagonal: Array  # H_(n,n) - i/2 (wide-band couplings and bath), (slices, 2m, 2m)
    upper: Array  # H_(n,n+1)
    entering: Array  # the columns' vectors within their slices, (2m, columns)
    leads: tuple[tuple[Array, ...], ...]
    mu: Array  # of each lead
    temperature: Array
    reference: Array  # (mu, temperature) of the equilibrium part
    edges: Array  # energies where the integrand has a corner


def assemble(
    setup: Setup, model: SDModel, leads: tuple[Lead, ...], levels: tuple[Array, ...], bath: Array, spins: Spins
) -> System:
    """`levels` are mu and temperature of the leads, then (mu, temperature) of the reference, the solver's mu, edges."""
    where, dtype = setup.where, spins.dtype
    mu, temperature, reference, center, edges = (x.astype(dtype) for x in levels)
    diagonal, upper = blocks(where, model, spins)
    ctype, m = diagonal.dtype, where.sites
    present = where.full(model.occupied)
    full = jnp.ones((where.slices, m), dtype) if present is None else present.astype(dtype)
    loss = bath.astype(dtype) * full
    for lead, c in zip(leads, setup.contacts, strict=True):
        if isinstance(lead, WideBand):
            at, within = np.array(c.slices, int), np.array(c.sites, int)
            loss = loss.at[at, within].add(lead.coupling.astype(dtype) * full[at, within])
    absorbed = jnp.repeat(loss, 2, axis=1).astype(ctype)
    diagonal = diagonal - 0.5j * absorbed[:, :, None] * jnp.eye(2 * m, dtype=ctype)[None]

    entering = jnp.zeros((2 * m, len(setup.entry()[0])), ctype)
    held = []
    for number, (lead, c, columns) in enumerate(zip(leads, setup.contacts, setup.columns(), strict=True)):
        at, within = np.array(c.slices, int), np.array(c.sites, int)
        present = full[at, within]
        if isinstance(lead, WideBand):
            basis = np.eye(len(within))
            held.append((jnp.repeat(lead.coupling.astype(dtype) * present, 2),))
        else:
            shift = lead.potential.astype(dtype)
            shift = shift + mu[number] - center if lead.rigid else shift
            basis, arrays = _crystal(setup, lead, c, shift, dtype)
            held.append(arrays)
        doubled = jnp.kron(jnp.asarray(basis * np.ones((1, 1)), ctype), jnp.eye(2, dtype=ctype))
        doubled = doubled * jnp.repeat(present, 2).astype(ctype)[:, None]
        rows = (2 * within[:, None] + np.arange(2)).reshape(-1)
        entering = entering.at[rows[:, None], columns[None, :]].set(doubled)
    return System(diagonal, upper, entering, tuple(held), mu, temperature, reference, edges)


def _crystal(setup: Setup, lead: Any, c: Contact, shift: Array, dtype) -> tuple[np.ndarray, tuple[Array, ...]]:
    """The basis of a crystal's columns (site by mode), and its levels, |V|^2 and |V_c|^2, or its matrices."""
    lattice, axis = setup.where.lattice, setup.where.axis
    t, tc = lead.hopping.astype(dtype), lead.coupling.astype(dtype)
    if c.kind == "modes":
        modes = lead_modes(lattice, axis, c.thickness, c.shells)
        assert modes is not None
        u, e, v = modes

        def square(amplitudes):
            re, im = (tensordot(amplitudes, jnp.asarray(part(v), dtype), axes=1) for part in (np.real, np.imag))
            return re**2 + im**2

        levels = shift - tensordot(t, jnp.asarray(e, dtype), axes=1)
        return u, (levels, square(t), square(tc))
    h, v = (jnp.asarray(x, dtype) for x in lead_slices(lattice, axis, c.thickness, c.shells))
    onsite = shift * jnp.eye(h.shape[1], dtype=dtype) - tensordot(t, h, axes=1)
    return np.eye(h.shape[1]), (onsite, -tensordot(t, v, axes=1), -tensordot(tc, v, axes=1))


# --- self-energies --------------------------------------------------------------------------------------------------


def self_energy(c: Contact, held: tuple[Array, ...], z: Array) -> Array | None:
    """Sigma^r(z) in the basis of the lead's columns, `(columns)` where diagonal; None for the wide band (in H)."""
    if c.kind == "wide":
        return None
    if c.kind == "modes":
        levels, square, coupling = held
        return jnp.repeat(chain_surface(z - levels.astype(z.dtype), square, coupling), 2)
    h, v, vc = (x.astype(z.dtype) for x in held)
    real = jnp.finfo(z.dtype).dtype
    # below rounding a broadening would do nothing
    broadening = max(c.broadening, 4 * float(jnp.finfo(real).eps))
    steps = int(np.ceil(np.log2(200 / broadening)))
    v, vc = (v, vc) if c.right else (v.T, vc.T)
    g = decimate(z + jnp.asarray(1j * broadening, z.dtype), h, v, steps)
    sigma = multiply(multiply(vc, g), dagger(vc))
    return jnp.kron(sigma, jnp.eye(2, dtype=z.dtype))


def broadening(c: Contact, held: tuple[Array, ...], sigma: Array | None) -> Array:
    """Gamma = i (Sigma^r - Sigma^a), `(columns)` where diagonal."""
    if sigma is None:
        return held[0]
    if sigma.ndim == 1:
        return -2 * jnp.imag(sigma)
    return 1j * (sigma - dagger(sigma))


def effective(setup: Setup, system: System, sigmas: list[Array | None]) -> list[Array]:
    """What the crystals add to H_(n,n) of the first slice and of the last."""
    first = last = jnp.zeros(system.diagonal.shape[1:], system.diagonal.dtype)
    for c, columns, sigma in zip(setup.contacts, setup.columns(), sigmas, strict=True):
        if sigma is None:
            continue
        vectors = system.entering[:, columns]
        weighted = vectors * sigma[None] if sigma.ndim == 1 else multiply(vectors, sigma)
        whole = multiply(weighted, dagger(vectors))
        if c.right:
            last = last + whole
        else:
            first = first + whole
    return [first, last]


def step(upper: Array, x: Array) -> Array:
    """H_(n,n+1) x."""
    return upper[:, None] * x if upper.ndim == 1 else multiply(upper, x)


def step_back(upper: Array, x: Array) -> Array:
    """H_(n+1,n) x."""
    return jnp.conj(upper)[:, None] * x if upper.ndim == 1 else multiply(dagger(upper), x)


def sandwich(upper: Array, g: Array) -> Array:
    """H_(n+1,n) g H_(n,n+1)."""
    if upper.ndim == 1:
        return jnp.conj(upper)[:, None] * g * upper[None, :]
    return multiply(multiply(dagger(upper), g), upper)


def crystals(setup: Setup) -> bool:
    """Whether any self-energy depends on the energy."""
    return any(c.kind != "wide" for c in setup.contacts)
