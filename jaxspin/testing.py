"""Assertions that a user's own fields, descriptors and operators obey the laws: raise `AssertionError` if
not.

Spins `(*cells, sublattices, 3)`; tolerances are absolute, and keys draw the configurations that are tried.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.precision import EXACT
from jaxspin.field import AbstractPotential
from jaxspin.lattice import Lattice
from jaxspin.spins import random_rotation, random_spins, retract, rotate, takes_spins
from jaxspin.symmetry import point_group, transform_sites

__all__ = ["assert_field_is_gradient", "assert_hermitian", "assert_invariant"]


def __dir__() -> list[str]:
    return __all__


@takes_spins
def assert_field_is_gradient(
    potential: AbstractPotential,
    spins: Float[Array, "*cells sublattices 3"],
    *,
    key: PRNGKeyArray,
    atol: float = 1e-7,
    step: float = 1e-4,
    directions: int = 3,
) -> None:
    """(E(exp(+h w) S) - E(exp(-h w) S)) / 2h = -sum_i B_i . (w_i x S_i) along random rotations w of unit
    norm.

    Central differences err by h^2 and by (rounding of E)/h: give double precision, or in single atol=1e-2 and
    step=1e-2; `atol` is in energy units. A time-dependent or stochastic potential is tried at t = 0 with `key`.

    Raises `AssertionError` with the largest difference where it is above `atol` or NaN, and `ValueError` for fewer than
    one of the `directions`, a step that is not positive, and spins of another lattice. Of a field without an energy
    `jaxspin.observables.curl_fraction` says how far it is from a gradient.

    Example:
        >>> js.testing.assert_field_is_gradient(field, spins, key=jax.random.key(1), atol=0.1, step=0.01)
        >>> print("passed")
        passed
    """
    if directions < 1 or not 0 < step < np.inf:
        raise ValueError(f"{directions} directions with steps of {step} test nothing; give 3 of 1e-4.")
    # what rounding alone makes of a correct term
    single = (
        f". Spins in {spins.dtype} round the energy, and the step divides that: give spins in double precision "
        '(jax.config.update("jax_enable_x64", True) first), or atol=1e-2 and step=1e-2'
    )
    remedy = single if jnp.finfo(spins.dtype).bits < 64 else ""
    draws = jax.random.split(key, directions + 1)
    field = jax.jit(lambda s: potential.field(s, key=draws[0]))(spins)
    energy = jax.jit(lambda s: potential.energy(s, key=draws[0]))
    for draw in draws[1:]:
        turn = jax.random.normal(draw, spins.shape, spins.dtype)
        turn = turn / jnp.linalg.norm(turn)
        slope = (energy(retract(spins, step * turn)) - energy(retract(spins, -step * turn))) / (2 * step)
        work = -jnp.sum(field * jnp.cross(turn, spins))
        what = "the field is not minus the gradient of the energy: -B . dS"
        _assert_close(work, slope, atol, what, remedy=remedy)


@takes_spins
def assert_invariant(
    function: Callable[[Array], Any],
    lattice: Lattice,
    *,
    key: PRNGKeyArray,
    atol: float = 1e-10,
    per_site: bool = False,
    rotations: int = 2,
    time_reversal: bool = True,
    spins: Float[Array, "*cells sublattices 3"] | None = None,
) -> None:
    """f(S) is unchanged by global rotations, S -> -S, all point-group elements about a site of each
    sublattice, maps between sublattices, and translations; with `per_site`, f gives arrays `(*cells,
    sublattices, ...)` that move along with the sites.

    Tried on random spins in double precision where it is on, unless `spins` are given. Translations go along periodic
    axes.

    Raises `AssertionError` that names the symmetry where the difference is above `atol` or NaN, and `ValueError` for
    symmetries that the cluster's shape breaks (see `symmetry.site_images`) and spins of another lattice.

    Example:
        >>> small = js.Exchange(js.square(3), 1.0)
        >>> js.testing.assert_invariant(small.energy, js.square(3), key=jax.random.key(1), atol=1e-3)
        >>> print("passed")
        passed
    """
    draws = jax.random.split(key, rotations + 1)
    spins = random_spins(lattice, key=draws[0]) if spins is None else spins
    function = eqx.filter_jit(function)
    expected = function(spins)
    for draw in draws[1:]:
        turned = function(rotate(spins, random_rotation(key=draw, dtype=spins.dtype)))
        _assert_close(turned, expected, atol, "not invariant under a global spin rotation")
    if time_reversal:
        _assert_close(function(-spins), expected, atol, "not invariant under time reversal S -> -S")
    for sublattice in range(lattice.sublattices):
        for element in point_group(lattice, sublattice).matrices:
            moved = function(transform_sites(lattice, spins, element, sublattice=sublattice))
            image = transform_sites(lattice, expected, element, sublattice=sublattice) if per_site else expected
            what = f"not invariant under the point-group element {np.round(element, 3).tolist()}"
            _assert_close(moved, image, atol, what)
    for axis in np.flatnonzero(lattice.periodic):
        offset = [int(k == axis) for k in range(lattice.dimension)]
        moved = function(lattice.translate(spins, offset))
        image = lattice.translate(expected, offset) if per_site else expected
        _assert_close(moved, image, atol, f"not invariant under the translation {offset}")


def assert_hermitian(
    matvec: Callable[[Array], Array], example: Array, *, key: PRNGKeyArray, atol: float = 1e-10
) -> None:
    """<x|A y> = <A x|y> for random vectors of the shape and dtype of `example`, relative to |x| |A y|.

    Complex vectors test hermiticity, real ones symmetry. One pair is tried: an operator that is wrong in a few elements
    alone needs a larger number of keys.

    Raises `AssertionError` where the difference is above `atol` or NaN, and `ValueError` for an example of integers.

    Example:
        >>> js.testing.assert_hermitian(lambda x: 2 * x, jnp.ones(8), key=jax.random.key(1), atol=1e-4)
        >>> print("passed")
        passed
    """
    x, y = jax.random.normal(key, (2, *example.shape), example.dtype)
    ax, ay = matvec(x), matvec(y)
    error = jnp.abs(jnp.vdot(x, ay, precision=EXACT) - jnp.vdot(ax, y, precision=EXACT)) / (
        jnp.linalg.norm(x) * jnp.linalg.norm(ay)
    )
    _assert_close(error, jnp.zeros_like(error), atol, "the operator is not hermitian: <x|A y> - <A x|y>")


def _assert_close(found: Any, expected: Any, atol: float, what: str, *, remedy: str = "") -> None:
    # the maximum of Python would pass over nan
    error = jax.tree.reduce(
        np.maximum,
        jax.tree.map(lambda a, b: float(np.max(np.abs(np.asarray(a) - np.asarray(b)), initial=0.0)), found, expected),
        0.0,
    )
    assert error <= atol, f"{what}; largest difference {error:.3g}, allowed {atol:.3g}{remedy}"
