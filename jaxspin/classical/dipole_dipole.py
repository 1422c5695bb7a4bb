"""The dipole-dipole interaction."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from jaxspin.arrays.vectors import dot, scale
from jaxspin.classical.convolution import at_least_single, lengthened, sum_of_columns, summed
from jaxspin.classical.dipole_sums import PARTS, dipole_kernel
from jaxspin.couplings import Numbers, finite_real, scalar
from jaxspin.devices.shards import shards_of
from jaxspin.field import AbstractPotential, Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite

_PLACES = {pair: k for k, (i, j) in enumerate(PARTS) for pair in ((i, j), (j, i))}


class DipoleDipole(AbstractPotential):
    """The dipole-dipole interaction, E = g sum_(i<j) m_i m_j [S_i . S_j/r^3 - 3 (S_i . r)(S_j . r)/r^5].

    - `strength` g, an energy times u^3, u the unit of length that `lattice` has its vectors in: the energy of two
      moments of length 1 at the distance u. For moments m in Bohr magnetons g = mu_0 mu_B^2/(4 pi u^3): 0.05368 meV
      where lengths are in Angstrom, as in all lattices of `js.io`, and that over the cube of a where they are in
      lattice constants of a Angstrom. `js.units.Units(energy, length=u).dipole()` has it.
    - `moment` m: one number, one for each sublattice `(sublattices,)`, or `(*cells, sublattices)`; 1 unless given.
    - `demagnetization`: only with three periodic axes, see below; one number or three, for x, y and z.

    Lattices of one or two dimensions lie in the plane z = 0 of space. Along open axes the sum is that over all pairs.
    Along periodic axes all images count, a site's own too: Ewald's sum for three periodic axes, its forms for a film
    for two and for a wire for one. Of three periodic axes the sum depends on the shape of the sample that the texture
    fills, through the field of its surface. Without `demagnetization` there is none (a metal around it, "tin foil"; a
    texture without a net moment has none either). With factors N_x, N_y, N_z there is E = g (2 pi/V) sum_c N_c M_c^2, M
    the sum of m_i S_i over the periodic cell of volume V: 1/3 for a sphere in vacuum, (0, 0, 1) for a plate.

    Fast Fourier transforms take a time N log N, and 6 numbers a site and pair of sublattices of memory, 2 or 8 times
    as many along open axes. The sums are done once, when it is made, in double precision. Spins in single precision
    give fields to about 1e-6 of the largest.

    Raises `ValueError` for numbers that are complex, infinite or NaN, a moment of another shape, a `demagnetization` of
    a lattice with an open axis or fewer than three, and when used on spins of another lattice.

    Sources: J. M. Luttinger and L. Tisza, Phys. Rev. 70, 954 (1946), doi:10.1103/PhysRev.70.954, for energies of
    cubic lattices; S. W. de Leeuw, J. W. Perram and E. R. Smith, Proc. R. Soc. A 373, 27 (1980),
    doi:10.1098/rspa.1980.0135, for the surface; `jaxspin.classical.dipole_sums` for the sums.

    Example:
        >>> two = js.classical.DipoleDipole(js.chain(2, periodic=False), 1.0)
        >>> [round(float(two.energy(jnp.array([[[x, 0.0, z]]] * 2))), 3) for x, z in ((1.0, 0.0), (0.0, 1.0))]
        [-2.0, 1.0]
    """

    strength: Float[Array, ""]
    moment: Float[Array, "..."]
    demagnetization: Float[Array, " 3"] | None
    _kernel: Inexact[Array, "parts *waves"]
    _lattice: Lattice

    def __init__(
        self, lattice: Lattice, strength: Numbers, moment: Numbers = 1.0, *, demagnetization: Numbers | None = None
    ):
        self.strength = scalar(finite_real(strength, "strength"), "strength")
        self.moment = finite_real(moment, "moment")
        if self.moment.shape not in ((), (lattice.sublattices,), lattice.shape):
            raise ValueError(
                f"moment of shape {self.moment.shape} does not fit the {lattice.name} lattice; give one number, "
                f"{(lattice.sublattices,)} for one a sublattice, or {lattice.shape}."
            )
        self.demagnetization = None if demagnetization is None else _factors(lattice, demagnetization)
        kernel = dipole_kernel(lattice)
        # one axis before the cells, by which `devices.shard` knows what to share out
        self._kernel = jnp.asarray(kernel.reshape(-1, *kernel.shape[2:]))
        self._lattice = lattice

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def on(self, lattice: Lattice) -> "DipoleDipole":
        """The same on another size of the lattice; `ValueError` where the moment differs from cell to cell."""
        self._lattice.check_kind(lattice)
        if self.moment.ndim > 1:
            raise ValueError(
                "only a moment that is the same in every cell moves to another size of the lattice; build a new term."
            )
        return DipoleDipole(lattice, self.strength, self.moment, demagnetization=self.demagnetization)

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return -jnp.sum(dot(spins, self._field(spins))) / 2

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        """Both, without differentiating: B_i = - g m_i sum_j m_j [S_j/r^3 - 3 r (S_j . r)/r^5]."""
        check_finite(spins)
        return _dipole_dipole(self, spins)

    def _field(self, spins: Spins) -> Spins:
        lattice, moment = self._lattice, jnp.broadcast_to(self.moment.astype(spins.dtype), self._lattice.shape)
        large, moments = lengthened(lattice, lattice.cells), scale(moment, spins)
        kernel = jax.lax.stop_gradient(self._kernel)
        spread = shards_of(lattice, spins) is not None
        if not spread:
            kernel = kernel[..., : large.cells[-1] // 2 + 1]
        dtype = np.result_type(at_least_single(spins.dtype), *[np.complex64] * jnp.iscomplexobj(kernel))
        kernel = kernel.astype(dtype).reshape(lattice.sublattices, lattice.sublattices, len(PARTS), *kernel.shape[1:])

        def product(waves: Array) -> Array:
            rows = [[kernel[:, :, _PLACES[i, j]] for j in range(3)] for i in range(3)]
            return jnp.stack([sum_of_columns(row, waves) for row in rows], axis=1)

        total = summed(lattice, large, moments, product, spread)
        if self.demagnetization is not None:
            net = jnp.sum(moments, axis=tuple(range(moments.ndim - 1)))
            factor = (4 * jnp.pi / _volume(lattice) * self.demagnetization).astype(spins.dtype)
            total = total + jnp.broadcast_to(factor * net, total.shape)
        return scale(-self.strength.astype(spins.dtype) * moment, total)


def _factors(lattice: Lattice, demagnetization: Numbers) -> Array:
    factors = finite_real(demagnetization, "demagnetization")
    if factors.shape not in ((), (3,)):
        raise ValueError(
            f"demagnetization of shape {factors.shape} is no factor along x, y and z; give one number, or three."
        )
    if lattice.dimension < 3 or not all(lattice.periodic):
        raise ValueError(
            "along open axes the sample ends where the lattice does, and its demagnetization is in the sum already; "
            "leave demagnetization out, or make all three axes periodic."
        )
    return jnp.broadcast_to(factors, (3,))


def _volume(lattice: Lattice) -> float:
    return float(abs(np.linalg.det(np.array(lattice.vectors))) * np.prod(lattice.cells))


@eqx.filter_jit
def _dipole_dipole(term: DipoleDipole, spins: Spins) -> tuple[Float[Array, ""], Spins]:
    field = term._field(spins)
    return -jnp.sum(dot(spins, field)) / 2, field
