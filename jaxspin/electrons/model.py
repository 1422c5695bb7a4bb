"""The s-d (Kondo-lattice, double-exchange) Hamiltonian at frozen spins.

H = - sum_(ij),ss' c+_is t_ij M_ss' c_js' + h.c. + sum_i V_i n_i - J sum_i S_i . c+_ia sigma_ab c_ib

Shapes: spins `(*cells, sublattices, 3)`; electron vectors `(*cells, sublattices, 2, columns)` in public, and inside
solvers a *spinor*: for each sublattice four real arrays `(*cells, columns)`, Re and Im of the up and of the down
component, which a CPU moves and adds up fast (`python -m experiments.benchmarks.layouts` compares others). Dense
matrices are `(2N, 2N)` with orbitals in the C order of `(*cells, sublattices, 2)`.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Complex, Float, Int, Num

from jaxspin.arrays.precision import einsum
from jaxspin.couplings import holds, numeric, real
from jaxspin.electrons.bounds import band_edges, row_sums
from jaxspin.electrons.chebyshev import spread
from jaxspin.lattice import Bond, Lattice, check_bonds
from jaxspin.spins import takes_spins

Spins = Float[Array, "*cells sublattices 3"]
Parts = tuple[Array, ...]
Spinor = tuple[Parts, ...]

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


class Hopping(eqx.Module):
    """One bond per cell: -t c+_(R, start) M c_(R + offset, end), its hermitian conjugate added by the model.

    `amplitude` t is a number, real or complex, or an array `(*cells)` (disorder, magnetic flux); `spin` is the 2x2
    matrix M, the identity if None. `bond` comes from `lattice.shell(n)`, which lists every bond once; of
    `lattice.neighbors(radius)`, which lists each from both ends, take one of the two.

    Raises `ValueError` for a bond from a site to itself or another matrix.
    """

    bond: Bond = eqx.field(static=True)
    amplitude: Num[Array, "..."]
    spin: Num[Array, "2 2"] | None

    def __init__(self, bond: Bond, amplitude: ArrayLike, spin: ArrayLike | None = None):
        self.bond = bond
        self.amplitude = numeric(amplitude, "a hopping amplitude")
        self.spin = None if spin is None else numeric(spin, "the spin matrix of a hopping")

    def __check_init__(self):
        if self.bond.start == self.bond.end and not any(self.bond.offset):
            raise ValueError(f"{self.bond} joins a site to itself; energies of sites are SDModel(potential=...).")
        if self.spin is not None and self.spin.shape != (2, 2):
            raise ValueError(f"the spin matrix of a hopping is (2, 2), got {self.spin.shape}; give M of c+ M c.")


class SDModel(eqx.Module):
    """Electrons hopping on `lattice`, coupled to the spins with `coupling` J (eigenvalues -+J of -J S.sigma).

    **Arguments**

    - `hopping`: t of the nearest neighbours, or a tuple (t_1, t_2, ...) by shell, or a tuple of `Hopping`.
    - `coupling`: J, a number or an array `(*cells, sublattices)`.
    - `potential`: site energies V, `(*cells, sublattices)`, or None.
    - `occupied`: a mask `(*cells, sublattices)`, False at vacancies: sites without orbital (and without spin).

    Energies in units of the hopping. Raises `ValueError` for arrays that do not fit the lattice, a complex `coupling`
    or `potential`, a bond given together with its reverse, and where every site is vacant.
    """

    lattice: Lattice = eqx.field(static=True)
    hoppings: tuple[Hopping, ...]
    coupling: Float[Array, "..."]
    potential: Float[Array, "..."] | None
    occupied: Bool[Array, "..."] | None

    def __init__(
        self,
        lattice: Lattice,
        hopping: ArrayLike | Sequence[ArrayLike] | Sequence[Hopping] = 1.0,
        coupling: ArrayLike = 1.0,
        *,
        potential: ArrayLike | None = None,
        occupied: ArrayLike | None = None,
    ):
        self.lattice = lattice
        shells = tuple(hopping) if isinstance(hopping, Sequence) else (hopping,)
        if 0 < sum(isinstance(entry, Hopping) for entry in shells) < len(shells):
            raise ValueError(
                "hopping mixes numbers, which count shells, with Hopping entries; "
                "write the numbers as (*kinetic(lattice, t_1, t_2, ...), *others)."
            )
        hoppings = []
        for number, entry in enumerate(shells, start=1):
            if isinstance(entry, Hopping):
                hoppings.append(entry)
            else:
                hoppings += [Hopping(bond, entry) for bond in lattice.shell(number)]
        self.hoppings = tuple(hoppings)
        self.coupling = real(coupling, "coupling")
        self.potential = None if potential is None else real(potential, "potential")
        self.occupied = None if occupied is None else jnp.asarray(occupied, bool)

    def __check_init__(self):
        for h in self.hoppings:
            if h.amplitude.shape not in ((), self.lattice.cells):
                raise ValueError(
                    f"a hopping amplitude of shape {h.amplitude.shape} does not fit; "
                    f"give a number or an array of shape {self.lattice.cells}."
                )
            if len(h.bond.offset) != self.lattice.dimension or max(h.bond.start, h.bond.end) >= len(self.lattice.basis):
                raise ValueError(f"{h.bond} is not a bond of the {self.lattice.name} lattice; use lattice.neighbors.")
        check_bonds([h.bond for h in self.hoppings])
        if self.occupied is not None and not holds(jnp.any, self.occupied):
            raise ValueError("no site is occupied, and so there is no electron; give occupied= with some True.")
        for name in ("coupling", "potential", "occupied"):
            value = getattr(self, name)
            if value is not None and value.shape not in ((), self.lattice.shape):
                raise ValueError(
                    f"{name} of shape {value.shape} does not fit; give a number or an array of shape "
                    f"{self.lattice.shape}, one value a site."
                )

    def on(self, lattice: Lattice) -> "SDModel":
        """The same model on another size of the lattice; `ValueError` for another kind, or where sites differ."""
        arrays = [h.amplitude for h in self.hoppings] + [self.coupling, self.potential, self.occupied]
        self.lattice.check_kind(lattice)
        if any(x is not None and x.shape != () for x in arrays):
            raise ValueError("only a uniform model moves to another size of its lattice; build a new SDModel there.")
        return SDModel(lattice, self.hoppings, self.coupling, potential=self.potential)

    def orbitals(self) -> Int[Array, ""] | int:
        """The number of spin-orbitals, 2N less two for each vacancy."""
        return 2 * (self.lattice.sites if self.occupied is None else jnp.sum(self.occupied))

    @takes_spins(half=False)
    def coupled_spins(self, spins: Spins) -> Spins:
        """J_i S_i, zero at vacancies: the exchange field an electron feels."""
        j = self.coupling.astype(spins.dtype)
        coupled = spins * (j[..., None] if j.ndim else j)
        return coupled if self.occupied is None else jnp.where(self.occupied[..., None], coupled, 0)

    # --- products with H --------------------------------------------------------------------------------------

    @takes_spins(half=False)
    def apply(self, spins: Spins, spinor: Spinor) -> Spinor:
        """H psi in the solvers' layout. `spinor` must be zero at vacancies."""
        lattice, dtype = self.lattice, spins.dtype
        coupled = self.coupled_spins(spins)[..., None, :]
        out = []
        for a, (ur, ui, dr, di) in enumerate(spinor):
            x, y, z = spread(tuple(coupled[..., a, :, c] for c in range(3)), ur.shape[-1])
            onsite = (
                -(z * ur + x * dr + y * di),
                -(z * ui + x * di - y * dr),
                -(x * ur - y * ui - z * dr),
                -(y * ur + x * ui - z * di),
            )
            if self.potential is not None:
                v = self.potential.astype(dtype)
                v = v[..., a, None] if v.ndim else v
                onsite = tuple(o + v * p for o, p in zip(onsite, (ur, ui, dr, di), strict=True))
            out.append(onsite)
        for h in self.hoppings:
            start, end, offset = h.bond.start, h.bond.end, h.bond.offset
            back = tuple(-n for n in offset)
            t = _complex_parts(h.amplitude, dtype)
            # the amplitude of the bond that arrives, so that one pass multiplies what has been moved
            arriving = jax.tree.map(lambda x, back=back: lattice.translate(x, back) if x.ndim else x, _conjugate(t))
            there = _mix(h.spin, tuple(lattice.translate(p, offset) for p in spinor[end]), adjoint=False)
            here = _mix(h.spin, tuple(lattice.translate(p, back) for p in spinor[start]), adjoint=True)
            out[start] = _minus(out[start], _multiply(t, there))
            out[end] = _minus(out[end], _multiply(arriving, here))
        if self.occupied is not None:
            out = [tuple(jnp.where(self.occupied[..., a, None], p, 0) for p in parts) for a, parts in enumerate(out)]
        return tuple(tuple(parts) for parts in out)

    @takes_spins(half=False)
    @eqx.filter_jit
    def matvec(
        self, spins: Spins, vectors: Complex[Array, "*cells sublattices 2 columns"]
    ) -> Complex[Array, "*cells sublattices 2 columns"]:
        """H times each column; zero at vacancies. Agrees with `dense` and `bloch`."""
        if self.occupied is not None:
            vectors = jnp.where(self.occupied[..., None, None], vectors, 0)
        return join(self.apply(spins, split(vectors)))

    # --- matrices ---------------------------------------------------------------------------------------------

    @takes_spins(half=False)
    @eqx.filter_jit
    def dense(self, spins: Spins, wavevector: Float[Array, " d"] | None = None) -> Complex[Array, "n n"]:
        """H as a matrix `(2N, 2N)`. Orbitals of vacancies are decoupled and moved above the spectrum.

        `wavevector` k (one reduced coordinate in [0, 1) an axis) twists the boundary, each wrap along axis a
        giving exp(2 pi i k_a): the Bloch Hamiltonian of the texture repeated without end, see `bloch`.
        """
        if wavevector is not None and wavevector.shape != (self.lattice.dimension,):
            raise ValueError(
                f"a wavevector has {self.lattice.dimension} reduced coordinates, got shape {wavevector.shape}; "
                "give one for each axis."
            )
        n, ctype = self.lattice.sites, _complex(spins.dtype)
        h = jnp.zeros((n, 2, n, 2), ctype)
        for hop in self.hoppings:
            i, j, wraps, inside = _bond_index(self.lattice, hop.bond)
            value = jnp.broadcast_to(hop.amplitude.astype(ctype), self.lattice.cells).reshape(-1)[inside]
            if wavevector is not None:
                phase = jnp.sum(jnp.asarray(wraps, spins.dtype) * wavevector.astype(spins.dtype)[None], axis=1)
                value = value * jnp.exp(2j * np.pi * phase.astype(ctype))
            spin = jnp.eye(2, dtype=ctype) if hop.spin is None else hop.spin.astype(ctype)
            block = -value[:, None, None] * spin[None]
            h = h.at[i, :, j, :].add(block)
            h = h.at[j, :, i, :].add(jnp.conj(jnp.swapaxes(block, 1, 2)))
        coupled = self.coupled_spins(spins).reshape(n, 3).astype(ctype)
        local = -einsum("ic,cab->iab", coupled, jnp.asarray(PAULI, ctype))
        if self.potential is not None:
            v = jnp.broadcast_to(self.potential, self.lattice.shape).reshape(n).astype(ctype)
            local = local + v[:, None, None] * jnp.eye(2, dtype=ctype)[None]
        site = np.arange(n)
        h = h.at[site, :, site, :].add(local)
        if self.occupied is not None:
            full = self.occupied.reshape(n)
            h = jnp.where(full[:, None, None, None] & full[None, None, :, None], h, 0)
            above = jnp.where(full, 0, 2 * jax.lax.stop_gradient(self.bound().astype(spins.dtype)) + 1).astype(ctype)
            h = h.at[site, :, site, :].add(above[:, None, None] * jnp.eye(2, dtype=ctype)[None])
        return h.reshape(2 * n, 2 * n)

    @takes_spins(half=False)
    def bloch(self, spins: Spins, wavevectors: Float[Array, "k d"]) -> Complex[Array, "k n n"]:
        """H(k) of a magnetic unit cell (the model's lattice, periodic) at reduced `wavevectors` of that cell.

        With k = (m_1/n_1, m_2/n_2) it has the spectrum of the n_1 x n_2 times larger lattice.
        """
        if not all(self.lattice.periodic):
            raise ValueError("Bloch waves need a periodic lattice; build it with periodic=True, or use dense(spins).")
        return jax.vmap(lambda k: self.dense(spins, k))(wavevectors)

    # --- bounds -----------------------------------------------------------------------------------------------

    def bound(self) -> Float[Array, ""]:
        """An upper bound of |H|: the largest row sum of |t_ij| |M| plus |J| plus |V| (Gershgorin), unit spins."""
        rows = row_sums(self)
        onsite = jnp.abs(self.coupling).astype(rows.dtype)
        if self.potential is not None:
            onsite = onsite + jnp.abs(self.potential).astype(rows.dtype)
        return jnp.max(rows + onsite)

    def spectral_bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(lowest, highest) energy that any spin configuration can have.

        For uniform hoppings the band edges of the hopping alone, those of the infinite crystal where an axis is open
        (at most 0.5 % of the band too wide for each), widened by |J| and |V| (Weyl's inequality); otherwise
        -+`bound()`.
        """
        if any(h.amplitude.shape != () for h in self.hoppings):
            return -self.bound(), self.bound()
        low, high = band_edges(self)
        reach = jnp.max(jnp.abs(self.coupling)).astype(low.dtype)
        if self.potential is None:
            return low - reach, high + reach
        v = self.potential.astype(low.dtype)
        return low - reach + jnp.min(v), high + reach + jnp.max(v)


def rashba(lattice: Lattice, strength: ArrayLike) -> tuple[Hopping, ...]:
    """Rashba coupling, H = strength sum_(ij) c+_i i (z x d_ij) . sigma c_j + h.c., on nearest neighbours.

    d_ij is the unit vector from i to j. Add it to the plain hoppings: `SDModel(lattice, (*kinetic, *rashba(...)))`.
    Source: Y. A. Bychkov and E. I. Rashba, J. Phys. C 17, 6039 (1984), on a lattice.
    """
    terms = []
    for bond in lattice.shell(1):
        x, y, *_ = (*np.array(bond.vector) / bond.length, 0.0)
        terms.append(Hopping(bond, strength, -1j * (-y * PAULI[0] + x * PAULI[1])))
    return tuple(terms)


def kinetic(lattice: Lattice, *amplitudes: ArrayLike) -> tuple[Hopping, ...]:
    """Plain hoppings t_1, t_2, ... by shell, as a tuple to combine with others."""
    return tuple(Hopping(bond, t) for n, t in enumerate(amplitudes, start=1) for bond in lattice.shell(n))


def magnetic_flux(lattice: Lattice, quanta: int, *amplitudes: ArrayLike) -> tuple[Hopping, ...]:
    """Hoppings by shell in a uniform field with `quanta` flux quanta through the whole (periodic) 2D lattice.

    Peierls phases exp(i A.d) in Landau gauge along the second lattice vector, with a compensating phase on the bonds
    that wrap around the first axis, so that every plaquette holds the same flux `quanta`/(number of cells).
    """
    if lattice.dimension != 2:
        raise ValueError(f"a flux needs a two-dimensional lattice, not {lattice.name}; use kinetic(...) there.")
    if int(quanta) != quanta:
        raise ValueError(f"a periodic lattice holds a whole number of flux quanta, got {quanta}; round it.")
    phi = 2 * np.pi * quanta / (lattice.cells[0] * lattice.cells[1])
    inverse = np.linalg.inv(np.array(lattice.vectors))
    n1, n2 = np.meshgrid(*(np.arange(c) for c in lattice.cells), indexing="ij")
    terms = []
    for number, amplitude in enumerate(amplitudes, start=1):
        for bond in lattice.shell(number):
            b = np.array(lattice.basis[bond.start]) @ inverse
            d = np.array(bond.vector) @ inverse
            u1, u2 = n1 + b[0], n2 + b[1]
            angle = phi * (u1 + d[0] / 2) * d[1]
            target = n1 + bond.offset[0]
            wraps = target // lattice.cells[0] if lattice.periodic[0] else np.zeros_like(target)
            angle = angle - phi * wraps * lattice.cells[0] * (u2 + d[1])
            phase = jnp.asarray(np.exp(1j * angle))
            terms.append(Hopping(bond, numeric(amplitude, "a hopping amplitude").astype(phase.dtype) * phase))
    return tuple(terms)


def split(vectors: Complex[Array, "..."]) -> Spinor:
    """`(*cells, sublattices, 2, columns)` to the solvers' layout."""
    real, imaginary = jnp.real(vectors), jnp.imag(vectors)
    return tuple(
        (real[..., a, 0, :], imaginary[..., a, 0, :], real[..., a, 1, :], imaginary[..., a, 1, :])
        for a in range(vectors.shape[-3])
    )


def join(spinor: Spinor) -> Complex[Array, "..."]:
    """The inverse of `split`."""
    pairs = [jnp.stack([jax.lax.complex(ur, ui), jax.lax.complex(dr, di)], axis=-2) for ur, ui, dr, di in spinor]
    return jnp.stack(pairs, axis=-3)


def unit_spinor(lattice: Lattice, site: Int[Array, " k"], dtype, occupied: Array | None = None) -> Spinor:
    """Two columns, spin up and spin down on one site (cell indices and sublattice); zero on a vacancy."""
    value = 1 if occupied is None else occupied[tuple(site)].astype(dtype)
    one = jnp.zeros(lattice.shape, dtype).at[tuple(site)].set(value)[..., None]
    zero = jnp.zeros_like(one)
    up, down, none = (jnp.concatenate(pair, -1) for pair in ((one, zero), (zero, one), (zero, zero)))
    return tuple((up[..., a, :], none[..., a, :], down[..., a, :], none[..., a, :]) for a in range(lattice.sublattices))


def _complex(dtype):
    return jnp.complex128 if dtype == jnp.float64 else jnp.complex64


def _complex_parts(value: Array, dtype) -> tuple[Array, Array | None]:
    """Re and Im as factors of `(*cells, columns)`; None for the imaginary part of a real number."""
    value = value[..., None] if value.ndim else value
    return jnp.real(value).astype(dtype), jnp.imag(value).astype(dtype) if jnp.iscomplexobj(value) else None


def _conjugate(z: tuple[Array, Array | None]) -> tuple[Array, Array | None]:
    return z[0], None if z[1] is None else -z[1]


def _multiply(z: tuple[Array, Array | None], parts: Parts) -> Parts:
    a, b = z
    ur, ui, dr, di = parts
    if b is None:
        return a * ur, a * ui, a * dr, a * di
    return a * ur - b * ui, a * ui + b * ur, a * dr - b * di, a * di + b * dr


def _mix(matrix: Array | None, parts: Parts, *, adjoint: bool) -> Parts:
    """The 2x2 matrix (or its adjoint) on the spin."""
    if matrix is None:
        return parts
    matrix = jnp.conj(matrix.T) if adjoint else matrix
    dtype = parts[0].dtype
    rows = []
    for s in range(2):
        up = _multiply(_complex_parts(matrix[s, 0], dtype), parts)
        down = _multiply(_complex_parts(matrix[s, 1], dtype), parts)
        rows += [up[0] + down[2], up[1] + down[3]]
    return rows[0], rows[1], rows[2], rows[3]


def _minus(parts, others):
    return tuple(p - o for p, o in zip(parts, others, strict=True))


def _bond_index(lattice: Lattice, bond: Bond):
    """Site numbers (i, j) of a bond in every cell, how often each wraps around, and which stay inside."""
    cells = np.array(lattice.cells)
    r = np.stack(np.meshgrid(*(np.arange(c) for c in cells), indexing="ij"), -1).reshape(-1, len(cells))
    target = r + np.array(bond.offset)
    wraps, home = target // cells, target % cells
    inside = np.all((wraps == 0) | np.array(lattice.periodic), axis=1)
    i = np.asarray(np.ravel_multi_index(tuple(r.T), lattice.cells)) * lattice.sublattices + bond.start
    j = np.asarray(np.ravel_multi_index(tuple(home.T), lattice.cells)) * lattice.sublattices + bond.end
    return i[inside], j[inside], wraps[inside], inside
