"""A channel with its leads, cut into slices and ready for any energy: arrays in `System`, all else in `Setup`."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.arrays.spinors import complex_of
from jaxspin.electrons.base import AbstractElectrons
from jaxspin.electrons.negf.leads import AbstractSelfEnergy, AbstractTerminal, Contact, broadening_of
from jaxspin.electrons.negf.linalg import dagger, multiply
from jaxspin.electrons.negf.orbital_slices import sliced
from jaxspin.electrons.negf.slices import Cut
from jaxspin.field import Spins


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a program is compiled for."""

    where: Cut
    contacts: tuple[Contact, ...]
    poles: int
    tolerance: float
    max_panels: int
    batch: int

    def columns(self) -> list[np.ndarray]:
        """The columns of each lead among all: those that enter in the last slice come last."""
        first, last = [], []
        for lead, c in enumerate(self.contacts):
            for k, at in enumerate(c.slices):
                (last if at == self.where.slices - 1 else first).extend([(lead, 2 * k), (lead, 2 * k + 1)])
        columns = [np.zeros(2 * len(c.slices), int) for c in self.contacts]
        for column, (lead, k) in enumerate(first + last):
            columns[lead][k] = column
        return columns

    def entry(self) -> tuple[np.ndarray, int]:
        """The slice in which each column enters, and how many do so before the last one."""
        at = np.zeros(sum(2 * len(c.slices) for c in self.contacts), int)
        for c, columns in zip(self.contacts, self.columns(), strict=True):
            at[columns] = np.repeat(c.slices, 2)
        return at, int(np.sum(at < self.where.slices - 1))


class System(NamedTuple):
    """Arrays of one calculation, in the precision of the spins."""

    diagonal: Array  # H_(n,n) - i/2 (rates of leads and bath), (slices, 2m, 2m)
    upper: Array  # H_(n,n+1)
    entering: Array  # the columns' vectors within their slices, (2m, columns)
    leads: tuple[AbstractSelfEnergy, ...]
    mu: Array  # of each lead, and last of the reference: the part without bias
    temperature: Array
    edges: Array  # energies where the integrand has a corner


def assemble(
    setup: Setup,
    model: AbstractElectrons,
    leads: tuple[AbstractTerminal, ...],
    levels: tuple[Array, ...],
    bath: Array,
    spins: Spins,
) -> System:
    """`levels` are mu and temperature of the leads and the reference, the solver's mu, edges."""
    where, dtype = setup.where, spins.dtype
    mu, temperature, center, edges = (x.astype(dtype) for x in levels)
    diagonal, upper = sliced(where, model, spins)
    ctype, m = diagonal.dtype, where.sites
    present = where.full(model.occupied)
    full = jnp.ones((where.slices, m), dtype) if present is None else present.astype(dtype)
    connected = tuple(
        _in_precision(lead.connect(c, mu[index] - center), dtype)
        for index, (lead, c) in enumerate(zip(leads, setup.contacts, strict=True))
    )
    loss = jnp.repeat(bath.astype(dtype) * full, 2, axis=1)
    for lead, c in zip(connected, setup.contacts, strict=True):
        rate = lead.rate()
        if rate is not None:
            # the number of its orbital in the contact, and one further where the lead does not touch
            place = np.full((where.slices, m, 2), 2 * len(c.sites))
            place[list(c.slices), list(c.sites)] = np.arange(2 * len(c.sites)).reshape(-1, 2)
            rates = jnp.append(_fitting(rate, c), 0).astype(dtype)
            loss = loss + rates[place.reshape(where.slices, -1)] * jnp.repeat(full, 2, axis=1)
    diagonal = diagonal - 0.5j * loss.astype(ctype)[:, :, None] * jnp.asarray(np.eye(2 * m), ctype)[None]
    entering = jnp.asarray(_vectors(setup, connected), ctype)
    if present is not None:
        entering = entering * jnp.repeat(full[setup.entry()[0]], 2, axis=1).T.astype(ctype)
    return System(diagonal, upper, entering, connected, mu, temperature, edges)


def _vectors(setup: Setup, leads: tuple[AbstractSelfEnergy, ...]) -> np.ndarray:
    """Vectors of the columns within their slices, `(2m, columns)`, as if no site were vacant."""
    entering = np.zeros((2 * setup.where.sites, len(setup.entry()[0])), complex)
    for lead, c, columns in zip(leads, setup.contacts, setup.columns(), strict=True):
        rows = (2 * np.array(c.sites, int)[:, None] + np.arange(2)).reshape(-1)
        modes = lead.modes()
        entering[np.ix_(rows, columns)] = np.kron(np.eye(len(c.sites)) if modes is None else modes, np.eye(2))
    return entering


def _in_precision(lead: AbstractSelfEnergy, dtype) -> AbstractSelfEnergy:
    """The lead with all its numbers in the precision of the spins."""

    def cast(x):
        if isinstance(x, float):
            return jnp.asarray(x, dtype)
        if not jnp.issubdtype(jnp.result_type(x), jnp.inexact):
            return x
        return x.astype(complex_of(dtype) if jnp.iscomplexobj(x) else dtype)

    return jax.tree.map(cast, lead)


# --- self-energies --------------------------------------------------------------------------------------------------


def self_energies(setup: Setup, system: System, z: Array) -> list[Array | None]:
    """Sigma^r(z) in the basis of each lead's columns, `(columns)` where diagonal; None for a rate, which is in H."""
    return [
        None if lead.rate() is not None else _fitting(lead.self_energy(z), c)
        for lead, c in zip(system.leads, setup.contacts, strict=True)
    ]


def broadenings(setup: Setup, system: System, sigmas: list[Array | None]) -> list[Array]:
    """Gamma of each lead, `(columns)` where diagonal."""
    gammas = []
    for lead, c, sigma in zip(system.leads, setup.contacts, sigmas, strict=True):
        gammas.append(_fitting(lead.rate(), c) if sigma is None else broadening_of(sigma))
    return gammas


def _fitting(values: Array | None, c: Contact) -> Array:
    """`values` for the orbitals of a contact. Raises `ValueError` for another shape."""
    size = 2 * len(c.sites)
    assert values is not None
    if values.shape not in ((), (size,), (size, size)):
        raise ValueError(
            f"a self-energy of shape {values.shape} does not fit a contact of {len(c.sites)} sites; give "
            f"({size}, {size}), or ({size},) or a number where it is diagonal."
        )
    return jnp.broadcast_to(values, (size,)) if values.ndim == 0 else values


def effective(setup: Setup, system: System, sigmas: list[Array | None]) -> list[tuple[int, Array]]:
    """What the self-energies add to H_(n,n), with the slice n of each."""
    added = []
    for c, columns, sigma in zip(setup.contacts, setup.columns(), sigmas, strict=True):
        if sigma is None:
            continue
        vectors = system.entering[:, columns]
        weighted = vectors * sigma[None] if sigma.ndim == 1 else multiply(vectors, sigma)
        added.append((c.slices[0], multiply(weighted, dagger(vectors))))
    return added


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
