"""Green's functions of a channel, slice after slice: cost linear in its length, cubic in its width.

With H block tridiagonal, the left-connected g_n = (z - H_(n,n) - H_(n,n-1) g_(n-1) H_(n-1,n))^-1 goes forwards once.
Backwards follow either the blocks G_(n,n), G_(n,n+1), G_(n+1,n), which hold the density matrix without bias, or the
columns of G at the leads' sites, which hold all that the leads fill in: G Gamma_a G+. One inverse and three to four
matrix products a slice and energy.

Source: recursive Green's functions, e.g. Thouless and Kirkpatrick, J. Phys. C 14, 235 (1981),
10.1088/0022-3719/14/3/007.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.arrays.precision import matmul
from jaxspin.electrons.negf.linalg import dagger, inverse, multiply
from jaxspin.electrons.negf.measures import AbstractMeasure, Found
from jaxspin.electrons.negf.rows import flattened
from jaxspin.electrons.negf.system import (
    Setup,
    System,
    broadenings,
    effective,
    sandwich,
    self_energies,
    step,
    step_back,
)


def _swept(setup: Setup, system: System, z: Array, sigmas: list[Array | None], pushed: Array | None):
    """g_n of all slices, and the forward part y_n of the columns that enter before the last slice."""
    count, size = system.diagonal.shape[:2]
    corrections = effective(setup, system, sigmas)
    homes = np.array([home for home, _ in corrections], int)
    one, here = np.eye(size, dtype=bool), homes[None, :] == np.arange(count)[:, None]

    def slice_(carry, at):
        g, y = carry
        h, before, enters, corrected = at
        a = jnp.where(one, z - h, -h) - sandwich(before, g)
        for which, (_, correction) in zip(corrected, corrections, strict=True):
            a = a - jnp.where(which, correction, 0)
        g = inverse(a)
        if y is None:
            return (g, None), (g, None)
        y = multiply(g, jnp.where(enters[None, :], system.entering[:, : y.shape[1]], 0) + step_back(before, y))
        return (g, y), (g, y)

    nothing = jnp.zeros((size, size), z.dtype)
    forward = None if pushed is None else jnp.zeros((size, pushed.shape[1]), z.dtype)
    arriving = jnp.concatenate([jnp.zeros_like(system.upper[:1]), system.upper[:-1]])
    return jax.lax.scan(slice_, (nothing, forward), (system.diagonal, arriving, pushed, jnp.asarray(here)))[1]


def undriven(setup: Setup, system: System, z: Array, measure: AbstractMeasure) -> Found:
    """What `measure` takes of G(z) + G(z)+, Im z > 0."""
    g, _ = _swept(setup, system, z, self_energies(setup, system, z), None)

    def slice_(after, at):
        g, upper = at
        forth = multiply(g, step(upper, after))
        back = step_back(upper, g)
        block = g + multiply(forth, back)
        return block, measure.undriven(block, forth, lambda: multiply(after, back))

    return jax.lax.scan(slice_, jnp.zeros_like(g[0]), (g, system.upper), reverse=True)[1]


def retarded(setup: Setup, system: System, z: Array) -> Array:
    """G(z) of a device that is one slice."""
    return _swept(setup, system, z, self_energies(setup, system, z), None)[0][0]


def spectral(setup: Setup, system: System, z: Array) -> Array:
    """-Im tr G_ii, `(slices, sites)`."""
    g, _ = _swept(setup, system, z, self_energies(setup, system, z), None)

    def slice_(after, at):
        g, upper = at
        block = g + multiply(multiply(g, step(upper, after)), step_back(upper, g))
        return block, -jnp.imag(jnp.diagonal(block)).reshape(-1, 2).sum(axis=1)

    return jax.lax.scan(slice_, jnp.zeros_like(g[0]), (g, system.upper), reverse=True)[1]


def driven(setup: Setup, system: System, energy: Array, weights: Array, measure: AbstractMeasure) -> Array:
    """sum_a w_a G Gamma_a G+ for each row of `weights` `(2, leads)`, at a real energy: `(slices, numbers)`.

    The first row gives what `measure` takes; the second, positive, the diagonal, which watches over the accuracy of
    the integral. `found` takes them apart.
    """
    z = jax.lax.complex(energy, jnp.zeros_like(energy))
    sigmas = self_energies(setup, system, z)
    gammas, columns = broadenings(setup, system, sigmas), setup.columns()
    filled, watched = (_weighted(gammas, columns, row, z.dtype) for row in weights)

    def look(n, x, after):
        return _seen(measure, filled(x), watched(x), x, after)

    x = jnp.zeros_like(system.entering)
    return _along_columns(setup, system, z, sigmas, flattened(look, 0, x, x)[0])


def found(system: System, measure: AbstractMeasure, rows: Array) -> Found:
    """The numbers of `driven` by name."""
    return jax.vmap(flattened(functools.partial(_seen, measure), *(system.entering,) * 4)[1])(rows)


def _seen(measure: AbstractMeasure, weighted: Array, watched: Array, x: Array, after: Array) -> Found:
    return {"watch": jnp.sum(jnp.real(watched * jnp.conj(x)), axis=1), **measure.driven(weighted, x, after)}


def between(setup: Setup, system: System, energy: Array) -> tuple[Array, Array]:
    """T_ab = Tr[Gamma_a G_ab Gamma_b G_ab+] `(leads, leads)`, and Tr[Gamma_a i (G_aa - G_aa+)] `(leads)`."""
    z = jax.lax.complex(energy, jnp.zeros_like(energy))
    sigmas = self_energies(setup, system, z)
    gammas, columns = broadenings(setup, system, sigmas), setup.columns()
    slices, at = np.arange(setup.where.slices), setup.entry()[0]
    enters = jnp.asarray(at[None, :] == slices[:, None])

    def rows(n, x, after):
        return jax.lax.cond(
            jnp.asarray(np.isin(slices, at))[n],
            lambda: jnp.where(enters[n][:, None], multiply(dagger(system.entering), x), 0),
            lambda: jnp.zeros((x.shape[1], x.shape[1]), x.dtype),
        )

    g = jnp.sum(_along_columns(setup, system, z, sigmas, rows), axis=0)
    times = _weighted(gammas, columns, jnp.ones(len(gammas), energy.dtype), g.dtype)
    left, right = dagger(times(dagger(g))), times(g)
    own = jnp.asarray([np.isin(np.arange(len(g)), mine) for mine in columns], energy.dtype)
    table = matmul(own, jnp.real(left * jnp.conj(right)), own.T)
    return table, -2 * matmul(own, jnp.imag(jnp.diagonal(left)))


def _along_columns(setup: Setup, system: System, z: Array, sigmas: list[Array | None], look: Callable[..., Any]) -> Any:
    """`look(n, x_n, x_(n+1))` of every slice, x_n the columns of G at the leads' sites."""
    at, early = setup.entry()
    slices = np.arange(setup.where.slices)
    enters = jnp.asarray(at[None, :] == slices[:, None])
    g, y = _swept(setup, system, z, sigmas, enters[:, :early] if early else None)
    last = jnp.where(enters[-1][None, :], system.entering, 0)

    def slice_(after, here):
        n, g, y, upper = here
        x = multiply(g, step(upper, after) + jnp.where(n == setup.where.slices - 1, last, 0))
        if early:
            x = x + jnp.concatenate([y, jnp.zeros((x.shape[0], x.shape[1] - early), x.dtype)], axis=1)
        return x, look(n, x, after)

    carried = (jnp.asarray(slices), g, y, system.upper)
    return jax.lax.scan(slice_, jnp.zeros_like(system.entering), carried, reverse=True)[1]


def _weighted(
    gammas: list[Array], columns: list[np.ndarray], weights: Array, dtype: jnp.dtype
) -> Callable[[Array], Array]:
    """What multiplies the columns x by w_a Gamma_a of each lead."""
    rows = [
        (w * gamma).astype(dtype) if gamma.ndim == 1 else jnp.zeros(len(gamma), dtype)
        for w, gamma in zip(weights, gammas, strict=True)
    ]
    flat = jnp.concatenate(rows)[np.argsort(np.concatenate(columns))]
    full = [
        (where, w.astype(dtype) * gamma.astype(dtype))
        for w, gamma, where in zip(weights, gammas, columns, strict=True)
        if gamma.ndim == 2
    ]

    def times(x: Array) -> Array:
        out = x * flat[None, :]
        for where, gamma in full:
            out = out.at[:, where].set(multiply(x[:, where], gamma))
        return out

    return times
