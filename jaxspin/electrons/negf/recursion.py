"""Green's functions of a channel, slice after slice: cost linear in its length, cubic in its width.

With H block tridiagonal, the left-connected g_n = (z - H_(n,n) - H_(n,n-1) g_(n-1) H_(n-1,n))^-1 goes forwards once.
Backwards follow either the blocks G_(n,n), G_(n,n+1), G_(n+1,n), which hold an equilibrium density matrix, or the
columns of G at the leads' sites, which hold all that the leads fill in: G Gamma_a G+. One inverse and three to four
matrix products a slice and energy.

Source: recursive Green's functions, e.g. Thouless and Kirkpatrick, J. Phys. C 14, 235 (1981),
10.1088/0022-3719/14/3/007.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.electrons.negf.linalg import dagger, inverse, multiply
from jaxspin.electrons.negf.system import (
    Setup,
    System,
    broadening,
    crystals,
    effective,
    sandwich,
    self_energy,
    step,
    step_back,
)


def _swept(setup: Setup, system: System, z: Array, sigmas: list, pushed: Array | None):
    """g_n of all slices, and the forward part y_n of the columns that enter before the last slice."""
    count, size = system.diagonal.shape[:2]
    one = jnp.eye(size, dtype=z.dtype)
    corrections = effective(setup, system, sigmas) if crystals(setup) else None
    number = np.arange(count)

    def slice_(carry, at):
        g, y, before = carry
        n, h, upper = at
        a = z * one - h - sandwich(before, g)
        if corrections is not None:
            first, last = (jnp.asarray(number == end, z.dtype)[n] for end in (0, count - 1))
            a = a - first * corrections[0] - last * corrections[1]
        g = inverse(a)
        if y is None:
            return (g, None, upper), (g, None)
        assert pushed is not None
        y = multiply(g, jnp.where(pushed[n][None, :], system.entering[:, : y.shape[1]], 0) + step_back(before, y))
        return (g, y, upper), (g, y)

    nothing = jnp.zeros((size, size), z.dtype)
    forward = None if pushed is None else jnp.zeros((size, pushed.shape[1]), z.dtype)
    _, found = jax.lax.scan(
        slice_, (nothing, forward, jnp.zeros_like(system.upper[0])), (number, system.diagonal, system.upper)
    )
    return found


def equilibrium(setup: Setup, system: System, z: Array) -> dict[str, Array]:
    """G(z) + G(z)+, where `setup.want` needs it, Im z > 0."""
    sigmas = [self_energy(c, held, z) for c, held in zip(setup.contacts, system.leads, strict=True)]
    g, _ = _swept(setup, system, z, sigmas, None)
    if setup.want == "matrix":
        return {"matrix": g[0] + dagger(g[0])}
    i, j = setup.inner_pairs()
    up_i, up_j = setup.upper_pairs()
    bonds = setup.want == "bonds"

    def slice_(after, at):
        g, upper = at
        forth = multiply(g, step(upper, after))
        back = step_back(upper, g)
        block = g + multiply(forth, back)
        found = {"onsite": _onsite(_diagonal_blocks(block), hermitian=False)}
        if bonds:
            found["inner"] = _blocks(block, i, j) + _adjoint(_blocks(block, j, i))
            found["upper"] = _blocks(forth, up_i, up_j) + _adjoint(_blocks(multiply(after, back), up_j, up_i))
        return block, found

    _, found = jax.lax.scan(slice_, jnp.zeros_like(g[0]), (g, system.upper), reverse=True)
    return found


def retarded(setup: Setup, system: System, z: Array) -> Array:
    """G(z) of a device that is one slice."""
    sigmas = [self_energy(c, held, z) for c, held in zip(setup.contacts, system.leads, strict=True)]
    return _swept(setup, system, z, sigmas, None)[0][0]


def spectral(setup: Setup, system: System, z: Array) -> Array:
    """-Im tr G_ii, `(slices, sites)`; `setup.want` is "field"."""
    sigmas = [self_energy(c, held, z) for c, held in zip(setup.contacts, system.leads, strict=True)]
    g, _ = _swept(setup, system, z, sigmas, None)

    def slice_(after, at):
        g, upper = at
        block = g + multiply(multiply(g, step(upper, after)), step_back(upper, g))
        return block, -jnp.imag(jnp.diagonal(block)).reshape(-1, 2).sum(axis=1)

    return jax.lax.scan(slice_, jnp.zeros_like(g[0]), (g, system.upper), reverse=True)[1]


def driven(setup: Setup, system: System, energy: Array, weights: Array) -> dict[str, Array]:
    """sum_a w_a G Gamma_a G+ for each row of `weights` `(2, leads)`, at a real energy.

    The first row gives what is filled in, "onsite", "inner", "upper" or "matrix"; the second, positive, only its
    diagonal, which watches over the accuracy of the integral. "rows": see `between`.
    """
    z = jax.lax.complex(energy, jnp.zeros_like(energy))
    sigmas = [self_energy(c, held, z) for c, held in zip(setup.contacts, system.leads, strict=True)]
    gammas = [broadening(c, held, sigma) for c, held, sigma in zip(setup.contacts, system.leads, sigmas, strict=True)]
    at, early = setup.entry()
    slices = np.arange(setup.where.slices)
    enters = jnp.asarray(at[None, :] == slices[:, None])
    g, y = _swept(setup, system, z, sigmas, enters[:, :early] if early else None)
    i, j = setup.inner_pairs()
    up_i, up_j = setup.upper_pairs()
    columns = setup.columns()
    last = jnp.where(enters[-1][None, :], system.entering, 0)

    def slice_(after, here):
        n, g, y, upper = here
        source = step(upper, after)
        x = multiply(g, source + jnp.where(n == setup.where.slices - 1, last, 0))
        if early:
            x = x + jnp.concatenate([y, jnp.zeros((x.shape[0], x.shape[1] - early), x.dtype)], axis=1)
        if setup.want == "rows":
            inner = jax.lax.cond(
                jnp.asarray(np.isin(slices, at))[n],
                lambda: jnp.where(enters[n][:, None], multiply(dagger(system.entering), x), 0),
                lambda: jnp.zeros((x.shape[1], x.shape[1]), x.dtype),
            )
            return x, inner
        filled = _weighted(x, gammas, columns, weights[0])
        watched = _weighted(x, gammas, columns, weights[1])
        found = {"watch": jnp.sum(jnp.real(watched * jnp.conj(x)), axis=1)}
        if setup.want == "matrix":
            return x, {**found, "matrix": multiply(filled, dagger(x))}
        found["onsite"] = _onsite(_products(filled, x, np.arange(len(x) // 2), np.arange(len(x) // 2)), hermitian=True)
        if setup.want == "bonds":
            found["inner"] = _products(filled, x, i, j)
            found["upper"] = _products(filled, after, up_i, up_j)
        return x, found

    carried = (jnp.asarray(slices), g, y, system.upper)
    _, found = jax.lax.scan(slice_, jnp.zeros_like(system.entering), carried, reverse=True)
    if isinstance(found, Array):
        return between(gammas, columns, jnp.sum(found, axis=0))
    if setup.want == "matrix":
        found["matrix"] = found["matrix"][0]
    return found


def between(gammas: list[Array], columns: list[np.ndarray], g: Array) -> dict[str, Array]:
    """ "between": T_ab = Tr[Gamma_a G_ab Gamma_b G_ab+] `(leads, leads)`; "spectral": Tr[Gamma_a i (G_aa - G_aa+)]."""
    real = jnp.finfo(g.dtype).dtype
    count = len(gammas)
    table, spectral = jnp.zeros((count, count), real), jnp.zeros(count, real)
    for a in range(count):
        for b in range(count):
            block = g[columns[a][:, None], columns[b][None, :]]
            left, right = dagger(_times(dagger(block), gammas[a])), _times(block, gammas[b])
            table = table.at[a, b].set(jnp.sum(jnp.real(left * jnp.conj(right))))
            if a == b:
                spectral = spectral.at[a].set(-2 * jnp.imag(jnp.trace(left)))
    return {"between": table, "spectral": spectral}


def _weighted(x: Array, gammas: list[Array], columns: list[np.ndarray], weights: Array) -> Array:
    """x times w_a Gamma_a of each lead."""
    flat = jnp.zeros(x.shape[1], x.dtype)
    for gamma, where, weight in zip(gammas, columns, weights, strict=True):
        if gamma.ndim == 1:
            flat = flat.at[where].set((weight * gamma).astype(x.dtype))
    out = x * flat[None, :]
    for gamma, where, weight in zip(gammas, columns, weights, strict=True):
        if gamma.ndim == 2:
            out = out.at[:, where].set(multiply(x[:, where], gamma * weight.astype(x.dtype)))
    return out


def _times(block: Array, gamma: Array) -> Array:
    """X Gamma."""
    return block * gamma.astype(block.dtype)[None, :] if gamma.ndim == 1 else multiply(block, gamma)


def _products(left: Array, right: Array, i: np.ndarray, j: np.ndarray) -> Array:
    """sum_m left_(is,m) conj(right_(jt,m)), `(pairs, 2, 2)`."""
    rows, columns = left.reshape(-1, 2, left.shape[1])[i], jnp.conj(right).reshape(-1, 2, right.shape[1])[j]
    return jnp.sum(rows[:, :, None] * columns[:, None, :], axis=-1)


def _blocks(block: Array, i: np.ndarray, j: np.ndarray) -> Array:
    """The 2x2 blocks (i, j) of a matrix, `(pairs, 2, 2)`."""
    size = block.shape[0] // 2
    return block.reshape(size, 2, size, 2)[i, :, j, :]


def _diagonal_blocks(block: Array) -> Array:
    site = np.arange(block.shape[0] // 2)
    return _blocks(block, site, site)


def _adjoint(pairs: Array) -> Array:
    return jnp.conj(jnp.swapaxes(pairs, -1, -2))


def _onsite(blocks: Array, *, hermitian: bool) -> Array:
    """(n, <sigma>) of the 2x2 blocks rho_(is,it), or of blocks + their adjoints: `(sites, 4)`."""
    whole = blocks if hermitian else blocks + _adjoint(blocks)
    up, down, cross = whole[:, 0, 0], whole[:, 1, 1], whole[:, 0, 1]
    values = (jnp.real(up + down), 2 * jnp.real(cross), -2 * jnp.imag(cross), jnp.real(up - down))
    return jnp.stack(values, axis=-1)
