"""Spin waves of a collinear magnet of which the exchange between all pairs is known: energies and stiffness.

A spin of the moment m (in mu_B, g = 2) has the angular momentum hbar m/2 and turns as (m/2) de/dt = e x B, B = -dE/de.
With E = - sum_(i != j) J_ij e_i . e_j and displacements u = e_x + i e_y about e_a = s_a z the energies w of the waves
are (s_a m_a/4) w u_a = sum_b H_ab(q) u_b, H_ab(q) = delta_ab s_a sum_c J_ac(0) s_c - J_ab(q). Of one spin a
cell it is w = (4/m) (J(0) - J(q)).
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from jaxspin.arrays.precision import einsum, matmul, tensordot
from jaxspin.observables.exchange_couplings import ExchangeCouplings
from jaxspin.observables.nearest_images import images

# Negative curvatures below this share of the largest are rounding.
_ROUNDING = 1e-5


def magnon_energies(
    exchange: ExchangeCouplings, wavevectors: Float[Array | np.ndarray, "*q d"]
) -> Float[Array, "*q n"]:
    """hbar w of the spin waves at reduced `wavevectors` of the magnetic cell, ascending, in the units of J.

    The eigenvalues of (s_a m_a/4) w u_a = sum_b [delta_ab s_a sum_c J_ac(0) s_c - J_ab(q)] u_b, `exchange.moments` m in
    mu_B with g = 2, s the `exchange.signs`. Where all spins are parallel it is w = (4/m)(J(0) - J(q)), whose negative
    values mean that the order is unstable. Of antiparallel spins |w| is returned.

    `js.simulate(..., moment=m / 2)` moves the spins so: its moment is the angular momentum in units of hbar. The
    moments must have all that turns with a spin: those that `exchange_couplings` finds of an `SDModel` lack the local
    spins; replace them, `eqx.tree_at(lambda e: e.moments, exchange, jnp.array([2.0]))`.

    Raises `ValueError` for moments that are not positive, and for antiparallel spins whose order is not stable.

    Source: M. Pajda, J. Kudrnovsky, I. Turek, V. Drchal and P. Bruno, Phys. Rev. B 64, 174402 (2001),
    doi:10.1103/PhysRevB.64.174402, eq. 8.

    Example:
        >>> exchange = js.observables.ExchangeCouplings.of_pairs(js.chain(6), [(0, 0, (1,), 1.0)], moments=[2.0])
        >>> [abs(round(float(w), 4)) for w in js.observables.magnon_energies(exchange, jnp.array([[0.0], [0.5]]))[:, 0]]
        [0.0, 4.0]
    """
    h, moments = stiffness_matrix(exchange, exchange.at(wavevectors)), _positive(exchange)
    if len(set(exchange.signs)) == 1:
        roots = jnp.sqrt(moments[:, None] * moments[None]) / 4
        return jnp.linalg.eigvalsh(h / jnp.broadcast_to(roots, h.shape).astype(h.dtype))
    curvatures, states = jnp.linalg.eigh(h)
    curvatures = _stable(curvatures)
    # of positive H the eigenvalues of eta^-1 H are those of the hermitian H^1/2 eta^-1 H^1/2
    half = states * jnp.sqrt(jnp.maximum(curvatures, 0))[..., None, :].astype(h.dtype)
    inverse = jnp.diag(4 * jnp.asarray(exchange.signs, moments.dtype) / moments).astype(h.dtype)
    w = jnp.linalg.eigvalsh(matmul(jnp.conj(jnp.swapaxes(half, -1, -2)), inverse, half))
    return jnp.sort(jnp.abs(w), axis=-1)


def spin_wave_stiffness(exchange: ExchangeCouplings, *, dampings: Sequence[float] = (0.0,)) -> Float[Array, "d d"]:
    """D of hbar w = sum_ab D_ab q_a q_b, the softest waves as q -> 0, q Cartesian: in units of J times length squared.

    D = (2/m) sum_R J(R) R R^T of one spin a cell; of several also what their sublattices yield to each other. Sums of
    metals converge badly: each J(R) is multiplied by exp(-eta R) for each eta of `dampings`, in inverse units of the
    lattice's lengths, and the quadratic through the results is taken at eta = 0. One damping is taken as it is.

    Raises `ValueError` where the moments cancel (waves are linear in q there), are not positive, or for two dampings.

    Source: Pajda et al., Phys. Rev. B 64, 174402 (2001), doi:10.1103/PhysRevB.64.174402, eqs. 9 to 11.

    Example:
        >>> exchange = js.observables.ExchangeCouplings.of_pairs(js.cubic(4), [(0, 0, (0, 0, 1), 1.0)], moments=[2.0])
        >>> round(float(js.observables.spin_wave_stiffness(exchange)[2, 2]), 6)
        1.0
    """
    signs = np.array(exchange.signs)
    moment = jnp.sum(jnp.asarray(signs, exchange.moments.dtype) * _positive(exchange))
    if len(dampings) not in (1, *range(3, 99)):
        raise ValueError(f"{len(dampings)} dampings fix no parabola; give one, or three and more.")
    moment = eqx.error_if(
        moment,
        jnp.abs(moment) < _ROUNDING * jnp.sum(exchange.moments),
        "the moments cancel: waves are linear in q; look at magnon_energies.",
    )
    vector = jnp.asarray(signs, exchange.couplings.dtype)
    every = jnp.stack([quadratic(exchange, vector, damping) for damping in dampings]) * 4 / jnp.abs(moment)
    if len(dampings) == 1:
        return every[0]
    # the value at eta = 0 of the least-squares parabola is a fixed combination of the values
    powers = np.array(dampings)[:, None] ** np.arange(3)
    return tensordot(jnp.asarray(np.linalg.pinv(powers)[0], every.dtype), every, axes=1)


def stiffness_matrix(
    exchange: ExchangeCouplings, coupling: Num[Array, "*q a b"], vector: Array | None = None
) -> Num[Array, "*q a b"]:
    """diag(sum_c J_ac(0) v_c/v_a) - J_ab(q), zero on v at q = 0; v are the signs unless given."""
    v = jnp.asarray(exchange.signs, exchange.couplings.dtype) if vector is None else vector
    still = jnp.diag(matmul(exchange.total(), v) / v).astype(coupling.dtype)
    return jnp.broadcast_to(still, coupling.shape) - coupling


def quadratic(exchange: ExchangeCouplings, vector: Float[Array, " n"], damping: float = 0.0) -> Float[Array, "d d"]:
    """C with v+ H_eff(q) v = sum_ab C_ab q_a q_b as q -> 0, for H of `stiffness_matrix`, which is zero on v at q = 0.

    By perturbation theory: H = H_0 + q.H_1 + q.H_2.q, C = v H_2 v - v H_1 H_0^-1 H_1 v.
    """
    found, n = images(exchange.lattice), exchange.lattice.sublattices
    dtype = exchange.couplings.dtype
    values = exchange.by_image() * jnp.asarray(np.exp(-damping * np.linalg.norm(found.vector, axis=-1)), dtype)
    r = jnp.asarray(found.offset @ np.array(exchange.lattice.vectors), dtype)
    start, end = jnp.asarray(found.start, jnp.int32), jnp.asarray(found.end, jnp.int32)
    second = einsum("i,id,ie->de", values * vector[start] * vector[end], r, r) / 2
    if n == 1:
        return second
    # H_1 v without its factor -i
    first = jnp.zeros((n, r.shape[1]), dtype).at[start].add((values * vector[end])[:, None] * r)
    still = stiffness_matrix(exchange, exchange.total(), vector)
    unit = vector / jnp.linalg.norm(vector)
    yielding = jnp.linalg.solve(still + jnp.linalg.norm(still) * jnp.outer(unit, unit), first)
    return second - matmul(first.T, yielding)


def _positive(exchange: ExchangeCouplings) -> Float[Array, " sublattices"]:
    return eqx.error_if(
        exchange.moments,
        jnp.any(exchange.moments <= 0),
        "moments must be positive along the spins; of electrons against them change the sign of the splitting.",
    )


def _stable(curvatures: Array) -> Array:
    return eqx.error_if(
        curvatures,
        jnp.min(curvatures) < -_ROUNDING * jnp.max(jnp.abs(curvatures)),
        "the order is not stable against these couplings; take the one that is lower in energy.",
    )
