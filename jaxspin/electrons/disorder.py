"""Makers of disorder: vacancies, site energies, random bonds, and hoppings of atoms that have moved.

Each gives the arrays that `SDModel` takes. Draws of one key are the same numbers every time; another key is another
sample of the disorder.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray

from jaxspin.couplings import finite, finite_real, holds, real, scalar
from jaxspin.electrons.hoppings import Hopping
from jaxspin.lattice import Lattice


def diluted(lattice: Lattice, fraction: ArrayLike, *, key: PRNGKeyArray) -> Bool[Array, "*cells sublattices"]:
    """A mask `(*cells, sublattices)` for `SDModel(occupied=...)`: round(fraction N) of the N sites are vacant.

    All choices of so many sites are equally likely. Spins get their vacancies by `js.spins.dilute(spins, occupied)`.
    On the square lattice the occupied sites fall apart into finite pieces above a fraction of 0.407 (site percolation).

    Raises `ValueError` for a fraction outside [0, 1), a traced one, and where no site would be left.
    Source: S. Kirkpatrick and T. P. Eggarter, Phys. Rev. B 6, 3598 (1972), 10.1103/PhysRevB.6.3598.

    Example:
        >>> occupied = js.electrons.diluted(lattice, 0.25, key=jax.random.key(0))
        >>> model = js.SDModel(lattice, occupied=occupied)
        >>> int(model.orbitals()), int((js.spins.dilute(spins, occupied) == 0).all(-1).sum())
        (24, 4)
    """
    if isinstance(fraction, Tracer) or jnp.ndim(fraction):
        raise ValueError("the fraction of vacancies sets how many sites are drawn; give one number, not traced.")
    share = float(np.asarray(fraction, float))
    if not 0 <= share < 1:
        raise ValueError(f"the fraction of vacancies lies between 0 and 1, got {fraction}; 0.2 is one site in five.")
    vacant = round(share * lattice.sites)
    if vacant == lattice.sites:
        raise ValueError(
            f"a fraction of {fraction} leaves none of the {lattice.sites} sites; lower it, or take a larger lattice."
        )
    return jax.random.permutation(key, jnp.arange(lattice.sites) >= vacant).reshape(lattice.shape)


def random_potential(lattice: Lattice, width: ArrayLike, *, key: PRNGKeyArray) -> Float[Array, "*cells sublattices"]:
    """Site energies V_i `(*cells, sublattices)` for `SDModel(potential=...)`, independent and even in [-W/2, W/2].

    Anderson's disorder. `width` W is a number in units of the hopping; the mean is zero, the variance W^2/12, and a
    sample is proportional to W. Levels of an alloy of two kinds of atoms are
    `jnp.where(js.electrons.diluted(lattice, fraction, key=key), 0.0, energy)`.

    Raises `ValueError` for a width that is no finite number or negative.
    Source: P. W. Anderson, Phys. Rev. 109, 1492 (1958), 10.1103/PhysRev.109.1492.

    Example:
        >>> potential = js.electrons.random_potential(lattice, 2.0, key=jax.random.key(0))
        >>> js.SDModel(lattice, potential=potential).potential.shape, bool(abs(potential).max() <= 1)
        ((4, 4, 1), True)
    """
    return _width(width) * _even(key, lattice.shape)


def random_bonds(
    lattice: Lattice, hopping: ArrayLike = 1.0, width: ArrayLike = 0.5, *, key: PRNGKeyArray, shell: int = 1
) -> tuple[Hopping, ...]:
    """Hoppings on the bonds of a shell, each t_ij independent and even in [t - W/2, t + W/2]: off-diagonal disorder.

    `hopping` t and `width` W in units of your own; W > 2 t changes the signs of some. One `Hopping` a bond of
    `lattice.shell(shell)`, with an amplitude `(*cells)`; add those of the second shell, say, as
    `(*random_bonds(...), *(js.Hopping(bond, t_2) for bond in lattice.shell(2)))`.
    Random couplings of a classical spin glass are arrays, `js.Exchange(lattice, jax.random.normal(key, shape))`.

    Raises `ValueError` for numbers that are not real and finite, and a negative width.
    Source: G. Theodorou and M. H. Cohen, Phys. Rev. B 13, 4597 (1976), 10.1103/PhysRevB.13.4597.

    Example:
        >>> model = js.SDModel(lattice, js.electrons.random_bonds(lattice, 1.0, 0.4, key=jax.random.key(0)))
        >>> [h.amplitude.shape for h in model.hoppings]
        [(4, 4), (4, 4)]
    """
    bonds = lattice.shell(shell)
    mean, deviations = (
        scalar(finite_real(hopping, "hopping"), "hopping"),
        _width(width) * _even(key, (len(bonds), *lattice.cells)),
    )
    return tuple(Hopping(bond, mean + d) for bond, d in zip(bonds, deviations, strict=True))


def displaced(
    lattice: Lattice,
    displacements: ArrayLike,
    hopping: Callable[[Float[Array, "*cells"]], ArrayLike],
    *,
    shells: int = 1,
) -> tuple[Hopping, ...]:
    """Hoppings t_ij = t(|r_j + u_j - r_i - u_i|) of atoms that have moved by u: phonons, distortions, strain.

    - `displacements` u: `(*cells, sublattices, n)` in lattice constants, n the dimension of the lattice or more;
      what is more moves out of it.
    - `hopping`: t of the distances `(*cells)` in lattice constants; `exponential(...)`, or a function of your own. The
      model of Su, Schrieffer and Heeger is `lambda d: t - alpha * (d - 1)`.
    - `shells`: how many shells of the lattice at rest hop; the list of bonds does not follow the atoms.

    Differentiable in u: -dE/du is the electrons' force on the atoms. Periodic axes keep their length.

    Raises `ValueError` for displacements that do not fit the lattice or are not finite, fewer shells than one, and a
    function whose values are not finite or of another shape.
    Sources: W. P. Su, J. R. Schrieffer and A. J. Heeger, Phys. Rev. Lett. 42, 1698 (1979),
    10.1103/PhysRevLett.42.1698; S. Barisic, J. Labbe and J. Friedel, Phys. Rev. Lett. 25, 919 (1970),
    10.1103/PhysRevLett.25.919, for a hopping that falls exponentially.

    Example:
        >>> moved = 0.05 * jax.random.normal(jax.random.key(0), (4, 4, 1, 2))
        >>> hoppings = js.electrons.displaced(lattice, moved, js.electrons.exponential(1.0, 2.0), shells=2)
        >>> len(hoppings), js.SDModel(lattice, hoppings).hoppings[0].amplitude.shape
        (4, (4, 4))
    """
    if not isinstance(shells, int | np.integer) or shells < 1:
        raise ValueError(f"shells counts the shells that hop, got {shells}; 1 is the nearest neighbours.")
    u = finite_real(displacements, "displacements")
    if u.ndim != len(lattice.shape) + 1 or u.shape[:-1] != lattice.shape or u.shape[-1] < lattice.dimension:
        raise ValueError(
            f"displacements of shape {u.shape} do not fit; give {(*lattice.shape, lattice.dimension)}, a vector a site."
        )
    found = []
    for bond in (b for nth in range(1, shells + 1) for b in lattice.shell(nth)):
        rest = jnp.pad(jnp.asarray(bond.vector, u.dtype), (0, u.shape[-1] - lattice.dimension))
        apart = lattice.translate(u[..., bond.end, :], bond.offset) - u[..., bond.start, :]
        distance = jnp.linalg.norm(apart + rest.reshape(*(1,) * lattice.dimension, -1), axis=-1)
        amplitude = real(hopping(distance), "a hopping of a distance")
        if amplitude.shape not in ((), lattice.cells) or not holds(finite, amplitude):
            raise ValueError(
                f"the hopping makes {amplitude.shape} of {lattice.cells} distances, or is not finite; return one "
                "finite number a distance, such as jnp.exp(-(d - 1))."
            )
        found.append(Hopping(bond, amplitude))
    return tuple(found)


def exponential(
    amplitude: ArrayLike, decay: ArrayLike, length: ArrayLike = 1.0
) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
    """t(d) = t exp(-a (d - length)), the overlap of atomic orbitals: for `displaced`.

    `amplitude` t in units of your own is that at the distance `length`, in lattice constants; `decay` a in units of one
    over them, some 2 to 4 in metals. All three may be traced.

    Raises `ValueError` for what is not one real number.
    Source: S. Barisic, J. Labbe and J. Friedel, Phys. Rev. Lett. 25, 919 (1970), 10.1103/PhysRevLett.25.919.

    Example:
        >>> hopping = js.electrons.exponential(1.0, 2.0)
        >>> [round(float(hopping(jnp.array(d))), 3) for d in (1.0, 1.5)]
        [1.0, 0.368]
    """
    t, a, rest = scalar(amplitude, "amplitude"), scalar(decay, "decay"), scalar(length, "length")

    def hopping(distance):
        t_, a_, rest_ = (x.astype(distance.dtype) for x in (t, a, rest))
        return t_ * jnp.exp(-a_ * (distance - rest_))

    return hopping


def _width(width: ArrayLike) -> Array:
    checked = scalar(width, "width")
    if not holds(lambda w: (w >= 0) & jnp.isfinite(w), checked):
        raise ValueError(
            f"width must be finite and not negative, got {width}; it is the whole width of the distribution."
        )
    return checked


def _even(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
    return jax.random.uniform(key, shape, jnp.result_type(float), -0.5, 0.5)
