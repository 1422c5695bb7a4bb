"""Atoms with one classical spin and many orbitals each: the model of real magnets.

H = sum_R,mn c+_(R',m) H0_mn(R) c_(R'+R,n) (x) 1 - sum_i S_i.sigma (x) M_i - sum_R D_mn(R) (S_i + S_j)/2 . sigma

Shapes: spins `(*cells, sublattices, 3)`, one for each magnetic atom; electron vectors `(*cells, orbitals, 2, columns)`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Complex, Float, Num

from jaxspin.arguments import in_short, told
from jaxspin.arrays.spinors import Spinor, complex_of, join
from jaxspin.couplings import Numbers, numeric, real
from jaxspin.devices.shards import shards_of
from jaxspin.electrons.base import AbstractElectrons, Spins
from jaxspin.electrons.blocks import Offsets, as_offsets, grid_for, on_grid
from jaxspin.electrons.left_out import warn_of_left_out, warn_of_minority, warn_of_the_rest
from jaxspin.electrons.orbital_matrices import bounds, dense, field_of, halves
from jaxspin.electrons.orbital_product import OrbitalProduct
from jaxspin.electrons.owners import (
    Owners,
    as_complex,
    check_zero,
    checked_blocks,
    checked_positions,
    orbital_lattice,
    same_owner,
)
from jaxspin.io.wannier import WannierHamiltonian
from jaxspin.lattice import Lattice
from jaxspin.spins import takes_spins


class OrbitalModel(AbstractElectrons):
    """Electrons with many orbitals an atom, whose spins split them: real magnets, from files or by hand.

    H = sum_R,mn c+_(R',m) H0_mn(R) c_(R'+R,n) (x) 1 - sum_i S_i.sigma (x) M_i - sum_R D_mn(R) (S_i + S_j)/2 . sigma

    H0_mn(R) = <0 m|H|R n> has the sign of tight-binding files: a hopping t of `SDModel` is H0 = -t here, and its
    coupling J is M = J.

    **Arguments**

    - `lattice`: its sublattices are the magnetic atoms, with one spin each.
    - `owners`: for each orbital of a cell the sublattice whose spin it feels, None for one of a non-magnetic atom.
    - `offsets` R, integers `(vectors, dimension)` in lattice vectors, and with each also -R.
    - `hopping` H0, `(vectors, n, n)`, at R = 0 with levels and crystal field; with spin-orbit coupling
      `(vectors, 2n, 2n)`, spin up and down of the first orbital first, then those of the second.
    - `exchange` M, hermitian `(n, n)`, between orbitals of one owner: an orbital with M = m is split by 2m.
    - `split` D, `(vectors, n, n)` or None: spin-split hoppings, which follow the mean of the spins at their ends; where
      one end has no owner, the spin of the other.
    - `potential`: more energies of the orbitals, a number, `(n,)` or `(*cells, n)`.
    - `zeeman` h, of a field on the electrons' spins, -h.sigma: `(3,)`, `(n, 3)` or `(*cells, n, 3)`.
    - `positions` of the orbitals in the first cell, `(n, d)` in units of the lattice vectors' own length: what currents
      and Chern markers ask for. None: each orbital is at the atom that owns it.

    Energies are in one unit of your own (eV in files), spins `(*cells, sublattices, 3)`. `collinear` makes it from
    hoppings of spin up and down. Solvers and observables are those of `SDModel`, with an orbital wherever that has a
    site: densities, currents, conductivities, Chern markers, `GreensFunction` with `WideBand` and `ModelCrystal` leads;
    but for spin currents, `WideBandModes` and `Hartree`. Products with H take Fourier transforms over the cells, in a
    time that does not grow with the number of vectors R. Derivatives by `hopping`, `exchange` and `split` are those
    along hermitian changes.

    Raises `ValueError` for shapes that do not fit, R without -R, matrices that are not hermitian (the message has the
    largest violation), and elements of M between orbitals of different owners.

    Example:
        >>> cell, levels = js.cubic(4), np.diag([0.0, 1.0])
        >>> hopping = np.stack([levels, -np.eye(2), -np.eye(2)])
        >>> offsets = [(0, 0, 0), (1, 0, 0), (-1, 0, 0)]
        >>> model = js.OrbitalModel(cell, (0, 0), offsets, hopping, exchange=np.diag([0.5, 0.2]))
        >>> model.dense(js.textures.ferromagnet(cell)).shape
        (256, 256)
    """

    lattice: Lattice = eqx.field(static=True)
    owners: Owners = eqx.field(static=True)
    offsets: Offsets = eqx.field(static=True)
    hopping: Num[Array, "vectors m m"]
    exchange: Num[Array, "n n"]
    split: Num[Array, "vectors n n"] | None
    potential: Float[Array, "..."] | None
    zeeman: Float[Array, "..."] | None
    positions: tuple[tuple[float, ...], ...] | None = eqx.field(static=True)
    # no vacancies: an atom that is missing is a zero spin, and a potential far above
    occupied: Bool[Array, "..."] | None = None

    def __init__(
        self,
        lattice: Lattice,
        owners: Sequence[int | None],
        offsets: Sequence[Sequence[int]] | np.ndarray,
        hopping: ArrayLike,
        exchange: ArrayLike,
        *,
        split: ArrayLike | None = None,
        potential: Numbers | None = None,
        zeeman: Numbers | None = None,
        positions: ArrayLike | Sequence[Sequence[float | int]] | None = None,
    ):
        self.lattice = lattice
        self.owners = tuple(None if o is None else int(o) for o in owners)
        n = len(self.owners)
        strange = [o for o in self.owners if o is not None and not 0 <= o < lattice.sublattices]
        if not n or strange:
            raise ValueError(
                f"owners are sublattices from 0 to {lattice.sublattices - 1} or None, one for each orbital of a cell, "
                f"got {self.owners}; give the magnetic atoms alone as sublattices."
            )
        self.offsets = as_offsets(offsets, lattice.dimension)
        count = len(self.offsets)
        self.hopping = checked_blocks("hopping", self.offsets, hopping, [(count, n, n), (count, 2 * n, 2 * n)])
        zero = ((0,) * lattice.dimension,)
        self.exchange = checked_blocks("exchange", zero, numeric(exchange, "exchange")[None], [(1, n, n)])[0]
        own = same_owner(self.owners)
        check_zero(
            "exchange", self.exchange, ~own, "orbitals of different owners, or of none; such elements belong in split"
        )
        self.split = None if split is None else checked_blocks("split", self.offsets, split, [(count, n, n)])
        if self.split is not None:
            nobody = np.array([o is None for o in self.owners])
            check_zero(
                "split", self.split, nobody[:, None] & nobody, "two orbitals without owner, which no spin splits; use 0"
            )
        self.potential = None if potential is None else real(potential, "potential")
        self.zeeman = None if zeeman is None else real(zeeman, "zeeman")
        self.positions = checked_positions(positions, (n, lattice.dimension))

    def __check_init__(self):
        n = len(self.owners)
        cells = self.lattice.cells
        for name, shapes in (("potential", [(), (n,), (*cells, n)]), ("zeeman", [(3,), (n, 3), (*cells, n, 3)])):
            value = getattr(self, name)
            if value is not None and value.shape not in shapes:
                raise ValueError(f"{name} of shape {value.shape} does not fit; give one of the shapes {shapes}.")

    def __pdoc__(self, **settings: Any) -> Any:
        del settings
        parts = [f"{len(self.owners)} orbitals a cell", f"{len(self.offsets)} vectors R"]
        parts += [name for name in ("split", "potential", "zeeman") if getattr(self, name) is not None]
        return in_short(f"OrbitalModel({told(self.lattice)}, {', '.join(parts)})")

    @classmethod
    def collinear(
        cls,
        lattice: Lattice,
        owners: Sequence[int | None],
        offsets: Sequence[Sequence[int]] | np.ndarray,
        up: ArrayLike,
        down: ArrayLike,
        *,
        split: bool = True,
        potential: Numbers | None = None,
        zeeman: Numbers | None = None,
        positions: ArrayLike | Sequence[Sequence[float | int]] | None = None,
    ) -> "OrbitalModel":
        """The model whose ferromagnet along +z has the hoppings `up` and `down`, each `(vectors, n, n)`.

        H0 = (up + down)/2. Of -(up - down)/2 the blocks of an atom at R = 0 are M, and the rest is D, without what lies
        between two orbitals without owner, with a warning where that exceeds 0.05. `split=False` leaves out D: the
        splitting on the atoms only.

        Raises `ValueError` for shapes that differ, and as the model itself.

        Example:
            >>> up, down = np.array([[[-1.0]], [[0.5]], [[0.5]]]), np.array([[[1.0]], [[0.7]], [[0.7]]])
            >>> model = js.OrbitalModel.collinear(js.chain(4), (0,), [(0,), (1,), (-1,)], up, down)
            >>> float(model.exchange[0, 0]), [round(float(x), 2) for x in model.split[:, 0, 0]]
            (1.0, [0.0, 0.1, 0.1])
        """
        up, down = numeric(up, "up"), numeric(down, "down")
        listed = as_offsets(offsets, lattice.dimension)
        n = len(owners)
        if up.shape != (len(listed), n, n) or down.shape != up.shape:
            raise ValueError(
                f"up of shape {up.shape} and down of shape {down.shape} do not fit {len(listed)} lattice vectors and "
                f"{n} owners; give both as {(len(listed), n, n)}."
            )
        own, home = same_owner(owners), np.array([not any(r) for r in listed])
        nobody = np.array([o is None for o in owners])
        half = (down - up) / 2
        onsite = own[None] & home[:, None, None]
        alone = (nobody[:, None] & nobody)[None]
        rest = ~onsite & ~alone
        if not isinstance(half, Tracer):
            warn_of_left_out(np.max(np.abs(np.asarray(half)), where=alone, initial=0.0), "units of energy")
        return cls(
            lattice,
            owners,
            listed,
            (up + down) / 2,
            jnp.sum(jnp.where(onsite, half, 0), axis=0),
            split=jnp.where(rest, half, 0) if split else None,
            potential=potential,
            zeeman=zeeman,
            positions=positions,
        )

    @classmethod
    def from_wannier(
        cls,
        hamiltonian: WannierHamiltonian,
        cells: int | np.integer | Sequence[int] = 1,
        *,
        magnetic: Sequence[int] | None = None,
        axis: Sequence[float | int] | np.ndarray | None = None,
        split: bool = True,
    ) -> "OrbitalModel":
        """The model of a magnet that `js.io.read_wannier90` has read, energies in eV, lengths in Angstrom.

        `cells` is the size of the lattice, one number or three, `magnetic` the atoms that have a spin, those with an
        on-site splitting unless given. Each orbital is at its atom. Spins along +z give the bands of the first file.
        `split=False` leaves out the split hoppings. Splittings between orbitals of atoms without a spin are left out,
        with a warning where they exceed 0.05 eV. Also warns of atoms whose M has a negative trace: there the first file
        is the minority spin.

        Of one file with spin-orbit coupling what time reversal keeps becomes the hoppings `(vectors, 2n, 2n)`, which
        stay as the spins turn, and the splitting along `axis` turns with them. The axis is that of the spins in the
        file, `hamiltonian.magnetic_axis()` unless given; spins along it give the bands of the file. Splittings across
        it and spin-independent currents are left out, with a warning where they exceed 0.05 eV. The orbitals must be
        real functions times spin up or down along z, as projections without minimizing are.

        Raises `ValueError` where no atom is magnetic, for an `axis` that is no direction or given without spin-orbit
        coupling, and where what is left out with it is more than 0.3 of the splitting.

        Example:
            >>> iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
            >>> model = js.OrbitalModel.from_wannier(iron, 4)
            >>> model.lattice.shape, model.orbitals()
            ((4, 4, 4, 1), 1152)
        """
        parts = hamiltonian.model_parts(magnetic, axis=axis)
        warn_of_left_out(parts.left_out, "eV")
        warn_of_the_rest(parts)
        warn_of_minority(parts, [hamiltonian.names[atom] for atom in parts.atoms], hamiltonian.is_collinear)
        return cls(
            hamiltonian.lattice(cells, magnetic),
            parts.owners,
            parts.offsets,
            parts.hopping,
            parts.exchange,
            split=parts.split if split and np.any(parts.split) else None,
            positions=hamiltonian.positions[hamiltonian.owners],
        )

    def on(self, lattice: Lattice) -> "OrbitalModel":
        """The same model on another size of the lattice; `ValueError` for another kind, or where cells differ."""
        self.lattice.check_kind(lattice)
        if any(x is not None and x.ndim > y for x, y in ((self.potential, 1), (self.zeeman, 2))):
            raise ValueError(
                "only a uniform model moves to another size of its lattice; build a new OrbitalModel there."
            )
        return OrbitalModel(
            lattice,
            self.owners,
            self.offsets,
            self.hopping,
            self.exchange,
            split=self.split,
            potential=self.potential,
            zeeman=self.zeeman,
            positions=self.positions,
        )

    @property
    def orbital_lattice(self) -> Lattice:
        return orbital_lattice(self.lattice, self.owners)

    @property
    def strength(self) -> float | None:
        """The largest eigenvalue of |M|; None while it is traced."""
        if isinstance(self.exchange, Tracer):
            return None
        return float(np.linalg.norm(np.asarray(self.exchange), 2))

    def places(self) -> np.ndarray:
        """Where the orbitals of the first cell are, `(n, d)`; `ValueError` where one has neither owner nor position."""
        if self.positions is not None:
            return np.array(self.positions)
        if None in self.owners:
            raise ValueError(
                f"orbital {self.owners.index(None)} has no owner, and so no position; give positions= to the model."
            )
        return np.array(self.lattice.basis)[np.array(self.owners)]

    def is_even(self) -> bool:
        """Whether all hoppings are hermitian matrices, H(-R) = H(R); False while they are traced."""
        given = [x for x in (self.hopping, self.split) if x is not None]
        if any(isinstance(x, Tracer) for x in given):
            return False
        values = [np.asarray(x) for x in given]
        return all(np.allclose(x, np.conj(np.swapaxes(x, -1, -2)), rtol=0, atol=1e-6 * np.abs(x).max()) for x in values)

    # --- products with H --------------------------------------------------------------------------------------

    @takes_spins(half=False)
    def hamiltonian(self, spins: Spins) -> OrbitalProduct:
        ctype = complex_of(spins.dtype)
        points = grid_for(self.lattice, self.offsets, shards_of(self.lattice, spins))
        blocks = on_grid(self.lattice, self.offsets, as_complex(self.hopping), points)
        spin_blocks = None
        if self.split is not None:
            offsets, half = halves(self)
            spin_blocks = on_grid(self.lattice, offsets, half, points).astype(ctype)
        n = len(self.owners)
        zeeman = self.zeeman
        if zeeman is not None:
            zeeman = jnp.broadcast_to(zeeman.astype(spins.dtype), (*self.lattice.cells, n, 3))
        potential = self.potential
        if potential is not None:
            potential = jnp.broadcast_to(potential.astype(spins.dtype), (*self.lattice.cells, n))
        return OrbitalProduct(
            spins=spins,
            blocks=blocks.astype(ctype),
            spin_blocks=spin_blocks,
            exchange=self.exchange.astype(ctype),
            potential=potential,
            zeeman=zeeman,
            owners=self.owners,
            grid=dataclasses.replace(self.lattice, cells=points),
        )

    def packed(self, spinor: Spinor) -> Complex[Array, "*cells n 2 columns"]:
        return join(spinor)

    @takes_spins(half=False)
    def apply(
        self, spins: Spins, vectors: Complex[Array, "*cells n 2 columns"]
    ) -> Complex[Array, "*cells n 2 columns"]:
        """H psi; `matvec` is the same for vectors in another precision than the spins."""
        return self.hamiltonian(spins)(vectors)

    @takes_spins(half=False)
    @eqx.filter_jit
    def matvec(
        self, spins: Spins, vectors: Complex[Array, "*cells n 2 columns"]
    ) -> Complex[Array, "*cells n 2 columns"]:
        """H times each column. Agrees with `dense` and `bloch`."""
        return self.apply(spins, vectors.astype(complex_of(spins.dtype)))

    # --- matrices ---------------------------------------------------------------------------------------------

    @takes_spins(half=False)
    @eqx.filter_jit
    def dense(self, spins: Spins, wavevector: Float[Array, " d"] | None = None) -> Complex[Array, "n n"]:
        """H as a matrix `(2N, 2N)`, N orbitals in all cells, in the C order of `(*cells, orbitals, 2)`.

        `wavevector` k (one reduced coordinate in [0, 1) an axis) twists the boundary, each wrap along axis a
        giving exp(2 pi i k_a): the Bloch Hamiltonian of the texture repeated without end, see `bloch`.
        """
        return dense(self, spins, wavevector)

    @takes_spins(half=False)
    @eqx.filter_jit
    def field_of(
        self, density: Complex[Array, "*k n n"], spins: Spins, wavevectors: Float[Array, "k d"] | None = None
    ) -> Spins:
        """B_i = -Tr rho dH/dS_i, with H(k) where the density matrix has one part at each wavevector."""
        return field_of(self, density, spins, wavevectors)

    # --- bounds -----------------------------------------------------------------------------------------------

    def spectral_bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(lowest, highest) energy that any spin configuration can have, of unit spins.

        The band edges of H0, widened by what is local and by the largest |M + D(k)| (Weyl's inequality; the spins are
        an operator of norm 1). Along open axes the edges are those of the infinite crystal, a little widened.
        """
        return bounds(self)

    def bound(self) -> Float[Array, ""]:
        """An upper bound of |H|, of unit spins."""
        return jnp.max(jnp.abs(jnp.stack(self.spectral_bounds())))
