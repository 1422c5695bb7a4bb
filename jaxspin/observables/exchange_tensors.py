"""Exchange between all pairs of sites of a periodic, collinear magnet with spin-orbit coupling: J_ab(R) as matrices."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from jaxspin.arrays.precision import einsum
from jaxspin.couplings import real
from jaxspin.io.exchange import LEVI_CIVITA, ExchangePairs
from jaxspin.lattice import Lattice
from jaxspin.observables.exchange_couplings import ExchangeCouplings, check_periodic
from jaxspin.observables.exchange_files import written
from jaxspin.observables.nearest_images import images, integers, listed, place_of
from jaxspin.units import Units


class ExchangeTensors(eqx.Module):
    """J of E = - sum_(i != j) e_i . J_ij e_j, e the unit vectors along the spins: every pair is counted twice.

    J_ij = J 1 + sum_c eps_abc D_c + a symmetric part without trace, so that J > 0 is ferromagnetic and the second part
    is -D . (e_i x e_j). `isotropic`, `dzyaloshinskii_moriya` and `anisotropic` have the three.

    - `lattice`: its cell is the magnetic cell with all its sites as sublattices, its `cells` the mesh of R.
    - `couplings` J_ab(R), `(*cells, sublattices, sublattices, 3, 3)`: between site a of cell 0 and b of cell R, by x, y
      and z, in the units of the electrons' energies. R is known up to the periods of the mesh: the nearest image is
      meant, and what is equally far is shared out evenly.
    - `signs`: for each sublattice 1 for a spin along `axis`, -1 for one against it; all 1 unless given.
    - `moments` `(sublattices,)`: of each site along its own spin in mu_B; 1 unless given.
    - `axis` `(3,)`: that of the spins, z unless given.
    - `disagreement`: a diagonal element is found twice, with the spins along each of the two other axes. This is the
      largest difference: what no bilinear energy has. None where the spins were along one axis only.

    The convention is that of `ExchangeCouplings` and TB2J; `js.Exchange` and the programs' files count a pair once, and
    `pairs` and `for_files` have their numbers. `exchange_tensors` makes one from electrons.

    Raises `ValueError` for shapes that do not fit, an open axis, and signs other than 1 and -1.

    Example:
        >>> couplings = np.zeros((4, 1, 1, 3, 3))
        >>> couplings[1, 0, 0], couplings[-1, 0, 0] = np.diag([1.0, 1.0, 2.5]), np.diag([1.0, 1.0, 2.5])
        >>> found = js.observables.ExchangeTensors(js.chain(4), couplings)
        >>> float(found.isotropic().between(0, 0, (1,))), found.anisotropic()[1, 0, 0].diagonal().tolist()
        (1.5, [-0.5, -0.5, 1.0])
    """

    lattice: Lattice = eqx.field(static=True)
    couplings: Float[Array, "*n 3 3"]
    signs: tuple[int, ...] = eqx.field(static=True)
    moments: Float[Array, " sublattices"]
    axis: Float[Array, "3"]
    disagreement: Float[Array, ""] | None

    def __init__(
        self,
        lattice: Lattice,
        couplings: ArrayLike,
        *,
        signs: Sequence[int] | None = None,
        moments: ArrayLike | Sequence[float | int] | None = None,
        axis: ArrayLike | Sequence[float | int] = (0.0, 0.0, 1.0),
        disagreement: ArrayLike | None = None,
    ):
        self.lattice = lattice
        self.couplings = real(couplings, "an exchange coupling")
        n, dtype = lattice.sublattices, self.couplings.dtype
        self.signs = (1,) * n if signs is None else tuple(int(sign) for sign in signs)
        self.moments = jnp.ones(n, dtype) if moments is None else real(moments, "a moment").astype(dtype)
        self.axis = real(axis, "an axis").astype(dtype)
        self.disagreement = None if disagreement is None else real(disagreement, "a disagreement")

    def __check_init__(self):
        n = self.lattice.sublattices
        check_periodic(self.lattice)
        if len(self.signs) != n or set(self.signs) - {1, -1}:
            raise ValueError(f"signs = {self.signs} do not fit {n} sublattices; give 1 or -1 for each.")
        shapes = {"couplings": (*self.lattice.cells, n, n, 3, 3), "moments": (n,), "axis": (3,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} of shape {getattr(self, name).shape} does not fit; give {shape}.")

    def between(self, start: int, end: int, offset: Sequence[int]) -> Float[Array, "3 3"]:
        """J between site `start` of cell 0 and site `end` of cell `offset`, which counts pairs twice.

        Raises `ValueError` for a site that the cell lacks, and an offset of another length.
        """
        return self.couplings[place_of(self.lattice, start, end, offset)]

    def isotropic(self) -> ExchangeCouplings:
        """J, a third of the trace: what `magnon_energies`, `random_phase_temperature` and the like take.

        As if the spins were along z, whatever `axis` is. Spin waves with all parts are those of
        `js.observables.spin_wave_frequencies(js.Exchange(lattice, pairs=found.pairs(radius)), spins)`.
        """
        trace = jnp.trace(self.couplings, axis1=-2, axis2=-1) / 3
        return ExchangeCouplings(self.lattice, trace, signs=self.signs, moments=self.moments)

    def dzyaloshinskii_moriya(self) -> Float[Array, "*n 3"]:
        """D of E = - sum_(i != j) D_ij . (e_i x e_j), `(*cells, sublattices, sublattices, 3)`.

        With the spins along one axis only, its component along it alone is known, and the others are zero here.
        """
        return einsum("abc,...ab->...c", jnp.asarray(LEVI_CIVITA / 2, self.couplings.dtype), self.couplings)

    def anisotropic(self) -> Float[Array, "*n 3 3"]:
        """The symmetric part without trace, `(*cells, sublattices, sublattices, 3, 3)`."""
        symmetric = (self.couplings + jnp.swapaxes(self.couplings, -1, -2)) / 2
        trace = jnp.trace(symmetric, axis1=-2, axis2=-1) / 3
        return symmetric - einsum("...,pq->...pq", trace, jnp.eye(3, dtype=symmetric.dtype))

    def pairs(self, radius: float | None = None) -> list[tuple[int, int, tuple[int, ...], np.ndarray]]:
        """(i, j, R, 2 J) of every pair within `radius`, once, by distance: for `js.Exchange(lattice, pairs=...)`.

        J is `(3, 3)`; `radius` is in the unit of the lattice's vectors, None for all pairs that the mesh tells apart.
        The energy of all of them is E = - sum_<ij> S_i . (2 J_ij) S_j; the anisotropies of single sites are no part of
        it. Warns of a radius beyond half the mesh, where pairs are missing.
        """
        found, n = images(self.lattice), self.lattice.sublattices
        flat = self.couplings.reshape(-1, n, n, 3, 3)[integers(found.cell), integers(found.start), integers(found.end)]
        values = 2 * np.asarray(flat) * found.share[:, None, None]
        return [(*found.pair(place), values[place]) for place in listed(self.lattice, radius)]

    def for_files(
        self, radius: float, units: Units, *, names: Sequence[str] | None = None, anisotropic: bool = True
    ) -> ExchangePairs:
        """The pairs within `radius` for `js.io.save_vampire`, `save_uppasd` and `save_spirit`, in meV and Angstrom.

        As `ExchangeCouplings.for_files`, with the matrices and the moments along `axis`. `anisotropic=False` leaves out
        the symmetric part without trace, which Spirit has not.

        Raises `ValueError` for names of another number.
        """
        moments = np.outer(np.array(self.signs) * np.asarray(self.moments), np.asarray(self.axis))
        found = written(self.lattice, self.pairs(radius), moments, units, names)
        if anisotropic:
            return found
        return dataclasses.replace(found, matrices=found.matrices - found.anisotropic())


def completed(runs: Float[Array, "c *n 3 3"], axes: Float[Array, "c 3"]) -> tuple[Any, Float[Array, ""] | None]:
    """J of its parts perpendicular to each of the `axes`, one or three; and how much these disagree.

    Of three axes an element on the diagonal is the mean of the two that know it, the others are known once. Of one axis
    the element along it is the mean of the two perpendicular ones.
    """
    total = jnp.sum(runs, axis=0)
    if len(axes) == 1:
        mean = jnp.trace(total, axis1=-2, axis2=-1) / 2
        return total + einsum("...,p,q->...pq", mean, axes[0], axes[0]), None
    along = einsum("ap,c...pq,aq->ca...", axes, runs, axes)
    apart = jnp.stack([jnp.max(jnp.abs(along[b, a] - along[c, a])) for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1))])
    half = jnp.sum(along, axis=0) / 2
    return total - einsum("a...,ap,aq->...pq", half, axes, axes), jnp.max(apart)
