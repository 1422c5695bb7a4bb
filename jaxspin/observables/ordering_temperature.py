"""Ordering temperatures of classical spins from the exchange between all pairs: mean field, and random phases."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float

from jaxspin.arrays.precision import einsum
from jaxspin.observables.exchange_couplings import ExchangeCouplings
from jaxspin.observables.magnons import quadratic, stiffness_matrix

# Curvatures below this share of the largest are none.
_ROUNDING = 1e-6


def mean_field_temperature(exchange: ExchangeCouplings) -> Float[Array, ""]:
    """k_B T_c of classical spins in the mean field of the others, in the units of J: (2/3) J(0) of one spin a cell.

    J(0) = sum_(R != 0) J(R), of E = - sum_(i != j) J_ij e_i . e_j. Of several sublattices it is the largest eigenvalue
    of (2/3) J_ab(q = 0): the order that repeats with the magnetic cell. It is above the exact one, for want of waves:
    those are in `random_phase_temperature`.

    Example:
        >>> exchange = js.observables.ExchangeCouplings.of_pairs(js.cubic(4), [(0, 0, (1, 0, 0), 1.0)])
        >>> round(float(js.observables.mean_field_temperature(exchange)), 6)
        0.666667
    """
    return 2 / 3 * jnp.linalg.eigvalsh(exchange.total())[-1]


def random_phase_temperature(exchange: ExchangeCouplings) -> Float[Array, ""]:
    """k_B T_c of classical spins in the random-phase approximation: 1/(k_B T_c) = (3/2) <1/(J(0) - J(q))>_q.

    In units of J, of E = - sum_(i != j) J_ij e_i . e_j, averaged over the mesh of `exchange`, which `resized` makes
    finer. About q = 0 the integrand is 1/q.C.q: a function with that singularity whose integral is known is taken off,
    so that the error falls with the number of wavevectors and not with their spacing.

    With several sublattices the averages p_a of the spins vanish together: 1/3 = k_B T <[A(q)^-1]_aa>_q for each a, of
    the curvatures A_ab(q) = 2 delta_ab sum_c J_ac(0) p_c/p_a - 2 J_ab(q) (Tyablikov's decoupling, classical).

    Raises `ValueError` for fewer dimensions than three, where no order of a continuous symmetry survives, and where
    another order is lower in energy.

    Source: Pajda et al., Phys. Rev. B 64, 174402 (2001), doi:10.1103/PhysRevB.64.174402, eq. 14; J. Rusz, I. Turek and
    M. Divis, Phys. Rev. B 71, 174408 (2005), doi:10.1103/PhysRevB.71.174408, for sublattices.

    Example:
        >>> bonds = [(0, 0, r, 1.0) for r in [(1, 0, 0), (0, 1, 0), (0, 0, 1)]]
        >>> exchange = js.observables.ExchangeCouplings.of_pairs(js.cubic(8), bonds)
        >>> ratio = js.observables.random_phase_temperature(exchange) / js.observables.mean_field_temperature(exchange)
        >>> round(float(ratio), 3)
        0.659
    """
    if exchange.lattice.dimension != 3:
        raise ValueError(f"in {exchange.lattice.dimension} dimensions the integral diverges: T_c is zero; use 3.")
    return _temperature(exchange)


@eqx.filter_jit
def _temperature(exchange: ExchangeCouplings) -> Float[Array, ""]:
    n, dtype = exchange.lattice.sublattices, exchange.couplings.dtype
    signs = jnp.asarray(exchange.signs, dtype)

    def spins_of(logarithms: Array) -> Array:
        return signs * jnp.exp(jnp.concatenate([jnp.zeros(1, dtype), logarithms]))

    logarithms = jnp.zeros(n - 1, dtype)
    if n > 1:

        def apart(logarithms: Array, exchange: ExchangeCouplings) -> Array:
            found = jnp.log(_fluctuations(exchange, spins_of(logarithms)))
            return found[1:] - found[0]

        solver = optx.Newton(rtol=1e-6, atol=1e-6)
        logarithms = optx.root_find(apart, solver, logarithms, args=exchange, max_steps=50).value
    return 1 / (3 * jnp.mean(_fluctuations(exchange, spins_of(logarithms))))


def _fluctuations(exchange: ExchangeCouplings, p: Float[Array, " n"]) -> Float[Array, " n"]:
    """<[A(q)^-1]_aa>_q, the transverse fluctuations of each sublattice over k_B T."""
    n = exchange.lattice.sublattices
    curvature = 2 * stiffness_matrix(exchange, exchange.on_mesh(), p).reshape(-1, n, n)
    form = 2 * quadratic(exchange, p)
    levels, bowl = jax.lax.stop_gradient((jnp.linalg.eigvalsh(curvature[1:]), jnp.linalg.eigvalsh(form)))
    soft = (jnp.min(levels) <= _ROUNDING * jnp.max(levels)) | (jnp.min(bowl) <= _ROUNDING * jnp.max(bowl))
    curvature = eqx.error_if(
        curvature, soft, "another order has a lower energy with these couplings, or as low a one; start from that."
    )
    inverse = jnp.linalg.inv(curvature[1:])
    found = jnp.real(jnp.diagonal(inverse, axis1=-2, axis2=-1))
    # near q = 0 the inverse is p p^T/(q.C.q)
    at_mesh, integral = _singular(exchange, form)
    points = math.prod(exchange.lattice.cells)
    return (jnp.sum(found, axis=0) - p**2 * jnp.sum(at_mesh)) / points + p**2 * integral


def _singular(exchange: ExchangeCouplings, form: Float[Array, "d d"]) -> tuple[Array, Array]:
    """g(q) = sum_G exp(-w Q(q + G))/Q(q + G), Q = q.C.q, at the mesh, and its average over all q.

    The first entry is q = 0, there g less its pole: what 1/Q is to be replaced by.
    """
    lattice, dtype = exchange.lattice, form.dtype
    reciprocal = lattice.reciprocal()
    numbers = [np.fft.fftfreq(cells) for cells in lattice.cells]
    q = np.stack(np.meshgrid(*numbers, indexing="ij"), -1).reshape(-1, 3) @ reciprocal
    shifts = np.array(list(itertools.product(range(-2, 3), repeat=3))) @ reciprocal
    own = len(shifts) // 2
    every = jnp.asarray(q[:, None] + shifts, dtype)
    size = einsum("qgd,de,qge->qg", every, form, every)
    # so narrow that it has decayed in the next zone, and no narrower
    width = jax.lax.stop_gradient(4 / jnp.min(jnp.delete(size[0], own)))
    pole = np.zeros(size.shape, bool)
    pole[0, own] = True
    safe = jnp.where(pole, 1, size)
    g = jnp.sum(jnp.where(pole, -width, jnp.exp(-width * safe) / safe), axis=1)
    volume = abs(np.linalg.det(reciprocal))
    return g, 2 * np.pi**1.5 / (jnp.sqrt(width * jnp.linalg.det(form)) * volume)
