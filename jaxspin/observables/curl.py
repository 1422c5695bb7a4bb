"""Which part of a field has an energy: the Jacobian of the torques on the sphere, and its antisymmetric part."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.precision import matmul
from jaxspin.arrays.vectors import one_program
from jaxspin.field import AbstractField, Spins
from jaxspin.spins import check_finite, takes_spins, tangent_frame


@takes_spins(unit=True)
@eqx.filter_jit
def field_jacobian(
    field: AbstractField, spins: Spins, *, key: PRNGKeyArray | None = None, batch: int = 16
) -> Float[Array, "n n"]:
    """D_(ia),(jb) = e_a(i) . dB_i/dS_j . e_b(j) - (S_i . B_i) delta_ij delta_ab, n = 2N, in energy units.

    The covariant derivative of the tangential field, e_1(i) and e_2(i) being `spins.tangent_frame`: for
    B_i = -dE/dS_i it is minus the Hessian of E on the product of spheres, a symmetric matrix, whatever the values of E
    off the sphere. `batch` columns are computed at once. The field must be differentiable; time is 0. For a potential
    in the state it rests in use `tangent_hessian`, its negative.

    Raises `ValueError` for spins that do not fit the field's lattice or are longer than 1, and a `batch` below 1.

    Example:
        >>> up = js.textures.ferromagnet(js.chain(4))
        >>> jacobian = js.observables.field_jacobian(js.Exchange(js.chain(4), 1.0), up)
        >>> jacobian.shape, bool(jnp.allclose(jacobian, jacobian.T))
        ((8, 8), True)
    """
    if batch < 1:
        raise ValueError(f"batch = {batch} columns are none; give 1 or more, 16 are usual.")
    frame = tangent_frame(spins)
    flat = frame.reshape(-1, 2, 3)
    sites = flat.shape[0]
    value, push = jax.linearize(lambda s: field.field(s, 0.0, key=key), spins)

    def column(k):
        site, which = k // 2, k % 2
        direction = jnp.zeros_like(flat[:, 0]).at[site].set(flat[site, which])
        moved = push(direction.reshape(spins.shape)).reshape(-1, 3)
        return jnp.sum(flat * moved[:, None], axis=-1).reshape(-1)

    columns = jax.lax.map(column, jnp.arange(2 * sites), batch_size=batch)
    along = jnp.repeat(jnp.sum(spins * value, axis=-1).reshape(-1), 2)
    return columns.T - jnp.diag(along)


@takes_spins(unit=True)
def curl_fraction(
    field: AbstractField, spins: Spins, *, key: PRNGKeyArray | None = None, batch: int = 16
) -> Float[Array, ""]:
    """||(D - D^T)/2|| / ||D||, Frobenius norms of `field_jacobian`: zero where B is a gradient, at most 1.

    In general B_i = -dE/dS_i - S_i x dG/dS_i in the tangent planes (Zhang and Chern, npj Comput. Mater. 9, 32 (2023));
    a current through the electrons brings in the second part, and more (`unreachable_fraction`). Costs 2N derivatives
    of the field.

    Raises `ValueError` for spins that are not finite, do not fit the field's lattice or are longer than 1, and a
    `batch` below 1.

    Example:
        >>> round(float(js.observables.curl_fraction(field, spins)), 3)
        0.0
    """
    check_finite(spins)
    jacobian = field_jacobian(field, spins, key=key, batch=batch)
    return _share((jacobian - jacobian.T) / 2, jacobian)


@takes_spins(unit=True)
def unreachable_fraction(
    field: AbstractField, spins: Spins, *, key: PRNGKeyArray | None = None, batch: int = 16
) -> Float[Array, ""]:
    """The share of `field_jacobian` D that no E and G of a `GeneralizedPotential` can have, at most `curl_fraction`.

    With R the right-angle turn of every tangent plane about its spin, -S x dG/dS has the Jacobian -R Hess G. Its
    antisymmetric part commutes with R, so what of A = (D - D^T)/2 does not, (A + R A R)/2, is that of no such field:
    its Frobenius norm over that of D. Zero for one spin, where E and G describe any field. Costs 2N derivatives of the
    field.

    Raises `ValueError` for spins that are not finite, do not fit the field's lattice or are longer than 1, and a
    `batch` below 1.

    Source: P. Zhang and G.-W. Chern, npj Comput. Mater. 9, 32 (2023), doi:10.1038/s41524-023-00990-0.

    Example:
        >>> torque = js.torques.SpinOrbitTorque(polarization=(0.0, 1.0, 0.0), dampinglike=0.1)
        >>> round(float(js.observables.unreachable_fraction(field + torque, spins)), 3)
        0.0
    """
    check_finite(spins)
    jacobian = field_jacobian(field, spins, key=key, batch=batch)
    return _unreachable(jacobian)


@one_program
def _unreachable(jacobian: Array) -> Array:
    curl = (jacobian - jacobian.T) / 2
    # e_1 -> S x e_1 = e_2 -> -e_1, in the frames' order
    turn = jnp.kron(jnp.eye(len(curl) // 2, dtype=curl.dtype), jnp.asarray([[0, -1], [1, 0]], curl.dtype))
    return _share((curl + matmul(turn, curl, turn)) / 2, jacobian)


@one_program
def _share(part: Array, whole: Array) -> Array:
    """|part|/|whole|, Frobenius norms; 0 of nothing, and with a finite derivative where the part is zero."""
    square, total = jnp.sum(part * part), jnp.sum(whole * whole)
    some = (square > 0) & (total > 0)
    return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1) / jnp.where(some, total, 1)), 0)
