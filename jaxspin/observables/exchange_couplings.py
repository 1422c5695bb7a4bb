"""Exchange between all pairs of sites of a periodic, collinear magnet: J_ab(R) on a mesh, J_ab(q), and lists."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Complex, Float

from jaxspin.arrays.precision import matmul
from jaxspin.arrays.spinors import complex_of
from jaxspin.classical.pairs import Pair, Pairs
from jaxspin.couplings import real
from jaxspin.io.exchange import ExchangePairs
from jaxspin.lattice import Lattice
from jaxspin.observables.exchange_files import written
from jaxspin.observables.nearest_images import check_nearest, images, integers, listed, place_of
from jaxspin.units import Units

# J_ab(R) and J_ba(-R), and a coupling of a site with itself: what printed digits and single precision leave.
_DIGITS = 1e-4


class ExchangeCouplings(eqx.Module):
    """J of E = - sum_(i != j) J_ij e_i . e_j, e the unit vectors along the spins: every pair is counted twice.

    - `lattice`: its cell is the magnetic cell with all its sites as sublattices, its `cells` the mesh of R.
    - `couplings` J_ab(R), `(*cells, sublattices, sublattices)`: between site a of cell 0 and b of cell R, in the units
      of the electrons' energies. A site has none with itself. J > 0 is ferromagnetic. R is known up to the periods of
      the mesh: the nearest image is meant, and what is equally far is shared out evenly.
    - `signs`: for each sublattice 1 for a spin along z, -1 for one against it; all 1 unless given.
    - `moments` `(sublattices,)`: of each site along its own spin in mu_B, the difference of the numbers of its
      electrons with spin along and against e; 1 unless given.

    The convention is that of TB2J and of Liechtenstein et al. `js.Exchange` counts a pair once, E = - sum_<ij> J_ij
    S_i . S_j, and its J is twice this one: `pairs` has that.

    `exchange_couplings` makes one from electrons, `ExchangeCouplings.of_pairs` from a list.

    Raises `ValueError` for shapes that do not fit, an open axis, signs other than 1 and -1, a coupling of a site with
    itself, and where J_ab(R) differs from J_ba(-R) by more than 1e-4 of the largest.

    Example:
        >>> found = js.observables.ExchangeCouplings.of_pairs(js.chain(4), [(0, 0, (1,), 1.0)])
        >>> float(found.between(0, 0, (-1,))), found.pairs(1.0)
        (0.5, [(0, 0, (1,), 1.0)])
    """

    lattice: Lattice = eqx.field(static=True)
    couplings: Float[Array, "..."]
    signs: tuple[int, ...] = eqx.field(static=True)
    moments: Float[Array, " sublattices"]

    def __init__(
        self,
        lattice: Lattice,
        couplings: ArrayLike,
        *,
        signs: Sequence[int] | None = None,
        moments: ArrayLike | Sequence[float] | None = None,
    ):
        self.lattice = lattice
        self.couplings = real(couplings, "an exchange coupling")
        n, dtype = lattice.sublattices, self.couplings.dtype
        self.signs = (1,) * n if signs is None else tuple(int(sign) for sign in signs)
        self.moments = jnp.ones(n, dtype) if moments is None else real(moments, "a moment").astype(dtype)

    def __check_init__(self):
        n = self.lattice.sublattices
        check_periodic(self.lattice)
        if len(self.signs) != n or set(self.signs) - {1, -1}:
            raise ValueError(f"signs = {self.signs} do not fit {n} sublattices; give 1 or -1 for each.")
        for name, shape in (("couplings", (*self.lattice.cells, n, n)), ("moments", (n,))):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} of shape {getattr(self, name).shape} does not fit; give {shape}.")
        if not isinstance(self.couplings, Tracer):
            _check_two_ways(np.asarray(self.couplings), self.lattice.dimension)

    @classmethod
    def of_pairs(
        cls,
        lattice: Lattice,
        pairs: Sequence[Pair],
        *,
        signs: Sequence[int] | None = None,
        moments: ArrayLike | Sequence[float] | None = None,
    ) -> "ExchangeCouplings":
        """The couplings of a list of (i, j, R, J), as `js.Exchange` takes it: J counts a pair once, twice that of here.

        Each pair once, or all of them from both ends, as `js.io.read_exchange(...).pairs()` has them. `lattice` has the
        mesh, so wide that R is the nearest way from the one site to the other.

        Raises `ValueError` for lists that `js.Exchange` refuses, for a J that is a matrix, and for a pair that reaches
        halfway around the mesh.
        """
        check_periodic(lattice)
        listed = Pairs(lattice, pairs)
        if listed.strengths.ndim > 1:
            raise ValueError("the J of some pair is a matrix and is no number; take those of isotropic().")
        starts, ends = (np.array([pair[n] for pair in listed.ends]) for n in (0, 1))
        offsets = np.array([offset for *_, offset in listed.ends])
        check_nearest(lattice, starts, ends, offsets)
        n, half = lattice.sublattices, listed.strengths / 2
        total = jnp.zeros((*lattice.cells, n, n), half.dtype)
        there, back = ((sign * offsets % np.array(lattice.cells)).T for sign in (1, -1))
        for place in ((*there, starts, ends), (*back, ends, starts)):
            total = total.at[tuple(integers(axis) for axis in place)].add(half)
        return cls(lattice, total, signs=signs, moments=moments)

    def between(self, start: int, end: int, offset: Sequence[int]) -> Float[Array, ""]:
        """J between site `start` of cell 0 and site `end` of cell `offset`, which counts pairs twice.

        Raises `ValueError` for a site that the cell lacks, and an offset of another length.
        """
        return self.couplings[place_of(self.lattice, start, end, offset)]

    def total(self) -> Float[Array, "a b"]:
        """J_ab(q = 0), the sum over all R."""
        return jnp.sum(self.couplings, axis=range(self.lattice.dimension))

    def on_mesh(self) -> Complex[Array, "*cells a b"]:
        """J_ab(q) = sum_R J_ab(R) exp(2 pi i q . R) at q_a = m_a/cells_a."""
        axes = range(self.lattice.dimension)
        return jnp.fft.ifftn(self.couplings, axes=axes, norm="forward")

    def at(self, wavevectors: Float[Array | np.ndarray, "*q d"]) -> Complex[Array, "*q a b"]:
        """J_ab(q) at any reduced wavevectors, by the nearest images of R; on the mesh as `on_mesh`.

        Raises `ValueError` for wavevectors whose last axis is not that of the lattice's dimensions.
        """
        found, values = images(self.lattice), self.by_image()
        dtype = values.dtype
        q, dimension = jnp.asarray(wavevectors, dtype), self.lattice.dimension
        if q.shape[-1:] != (dimension,):
            raise ValueError(
                f"wavevectors of shape {q.shape} do not fit; give (..., {dimension}), reduced coordinates."
            )
        flat = q.reshape(-1, q.shape[-1])
        n = self.lattice.sublattices
        place = integers(found.start * n + found.end)
        angles = 2 * np.pi * matmul(flat, jnp.asarray(found.offset.T, dtype))
        waves = jnp.exp(jax.lax.complex(jnp.zeros_like(angles), angles)) * values.astype(complex_of(dtype))[None]
        summed = jnp.zeros((len(flat), n * n), waves.dtype).at[:, place].add(waves)
        return summed.reshape(*q.shape[:-1], n, n)

    def by_image(self) -> Float[Array, " images"]:
        """J of each of `images(lattice)`, its share of the coupling."""
        found = images(self.lattice)
        n = self.lattice.sublattices
        place = integers(found.cell), integers(found.start), integers(found.end)
        return self.couplings.reshape(-1, n, n)[place] * jnp.asarray(found.share, self.couplings.dtype)

    def resized(self, *cells: int) -> "ExchangeCouplings":
        """The same couplings on a mesh of another size: a finer one interpolates J(q), without new pairs.

        Raises `ValueError` where a coupling would reach around the new mesh.
        """
        lattice = self.lattice.resize(*cells)
        if any(new < old for new, old in zip(lattice.cells, self.lattice.cells, strict=True)):
            raise ValueError(f"a mesh of {lattice.cells} is smaller than {self.lattice.cells}; compute J on it anew.")
        found, n = images(self.lattice), self.lattice.sublattices
        home = tuple(integers(axis) for axis in np.moveaxis(found.offset % np.array(lattice.cells), -1, 0))
        total = jnp.zeros((*lattice.cells, n, n), self.couplings.dtype)
        total = total.at[(*home, integers(found.start), integers(found.end))].add(self.by_image())
        return ExchangeCouplings(lattice, total, signs=self.signs, moments=self.moments)

    def pairs(self, radius: float | None = None) -> list[tuple[int, int, tuple[int, ...], float]]:
        """(i, j, R, 2 J) of every pair within `radius`, once, by distance: for `js.Exchange(lattice, pairs=...)`.

        `radius` is in the unit of the lattice's vectors: Angstrom for lattices of `js.io`. None: all pairs that the
        mesh tells apart, so that J(q) is that of `at` on every lattice. The energy of all of them is
        E = - sum_<ij> (2 J_ij) S_i . S_j. What is left out of a metal changes it: compare temperatures of
        `ExchangeCouplings.of_pairs(lattice, pairs)`. Warns of a radius beyond half the mesh, where pairs are missing.

        Example:
            >>> found = js.observables.ExchangeCouplings.of_pairs(js.chain(5), [(0, 0, (2,), 1.0)])
            >>> found.pairs(1.0), found.pairs()
            ([(0, 0, (1,), 0.0)], [(0, 0, (1,), 0.0), (0, 0, (2,), 1.0)])
        """
        found, values = images(self.lattice), np.asarray(self.by_image())
        return [(*found.pair(n), 2 * float(values[n])) for n in listed(self.lattice, radius)]

    def for_files(self, radius: float | None, units: Units, *, names: Sequence[str] | None = None) -> ExchangePairs:
        """The pairs within `radius` for `js.io.save_vampire`, `save_uppasd` and `save_spirit`, in meV and Angstrom.

        `radius` is in the unit of the lattice's vectors, as in `pairs`; `units` says what that and the unit of J are.
        `names` are those of the sites, the lattice's name with a number unless given. The moments are along z. A chain
        or a film gets vectors of 10 Angstrom along the axes that it lacks, without couplings.

        Raises `ValueError` for names of another number.

        Example:
            >>> exchange = js.observables.ExchangeCouplings.of_pairs(js.chain(6), [(0, 0, (1,), 0.02)])
            >>> found = exchange.for_files(1.0, js.units.Units("eV", length=2.5), names=["Fe"])
            >>> js.io.save_vampire(tmp_path / "wire.ucf", found).name, found.isotropic().round(3).tolist()
            ('wire.ucf', [20.0])
        """
        moments = np.outer(np.array(self.signs) * np.asarray(self.moments), [0.0, 0.0, 1.0])
        return written(self.lattice, self.pairs(radius), moments, units, names)

    def by_distance(self) -> tuple[Float[np.ndarray, " shells"], Float[np.ndarray, " shells"], np.ndarray]:
        """Distances, ascending, the mean J of the pairs at each, and how many pairs a site has there on average."""
        found, values = images(self.lattice), np.asarray(self.by_image())
        length = np.linalg.norm(found.vector, axis=-1).round(6)
        shells, which = np.unique(length, return_inverse=True)
        count = np.bincount(which, found.share)
        mean = np.bincount(which, values) / count
        return shells[1:], mean[1:], count[1:] / self.lattice.sublattices


def check_periodic(lattice: Lattice) -> None:
    if not all(lattice.periodic):
        raise ValueError("couplings between cells belong to a periodic lattice; build it with periodic=True.")


def _check_two_ways(j: np.ndarray, dimension: int) -> None:
    axes = tuple(range(dimension))
    back = np.roll(np.flip(j, axes), 1, axes).swapaxes(-1, -2)
    itself = np.max(np.abs(np.diagonal(j[(0,) * dimension])))
    off, largest = np.max(np.abs(j - back)), np.max(np.abs(j))
    if itself > _DIGITS * largest:
        raise ValueError(
            f"a site is coupled to itself, J = {itself:.2g}; set couplings[0, ..., a, a] to zero at R = 0."
        )
    if off > _DIGITS * largest:
        raise ValueError(
            f"J_ab(R) and J_ba(-R) are one coupling, but differ by up to {off:.2g}; give their mean, or each pair once "
            "to ExchangeCouplings.of_pairs."
        )
