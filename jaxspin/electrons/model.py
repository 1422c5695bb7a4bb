"""The s-d (Kondo-lattice, double-exchange) Hamiltonian at frozen spins.

H = - sum_(ij),ss' c+_is t_ij M_ss' c_js' + h.c. + sum_i V_i n_i - J sum_i S_i . c+_ia sigma_ab c_ib

Shapes: spins `(*cells, sublattices, 3)`; electron vectors `(*cells, sublattices, 2, columns)` in public, and inside
solvers a spinor, see `jaxspin.arrays.spinors`. Dense matrices are `(2N, 2N)` with orbitals in the C order of
`(*cells, sublattices, 2)`.
"""

from collections.abc import Iterator, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Complex, Float

from jaxspin.arguments import check_lattice
from jaxspin.arrays.precision import einsum
from jaxspin.arrays.spinors import Spinor, complex_of, complex_parts, join, mix, multiply, split
from jaxspin.couplings import holds, real
from jaxspin.electrons.base import AbstractElectrons, Spins, check_wavevector
from jaxspin.electrons.bounds import band_edges, row_sums
from jaxspin.electrons.hoppings import PAULI, Hopping
from jaxspin.electrons.terms import Site, Term, both_directions
from jaxspin.lattice import Lattice, check_bonds
from jaxspin.spins import takes_spins


class SDModel(AbstractElectrons):
    """Electrons hopping on `lattice`, coupled to the spins: the s-d, Kondo-lattice or double-exchange model.

    H = - sum_(ij) c+_i t_ij M c_j + h.c. + sum_i V_i n_i - J sum_i S_i . c+_i sigma c_i; at a site -J S.sigma has the
    eigenvalues -+J.

    **Arguments**

    - `hopping`: t of the nearest neighbours, or a tuple (t_1, t_2, ...) by shell, or a tuple of `Hopping`.
    - `coupling`: J, a number or an array `(*cells, sublattices)`.
    - `potential`: site energies V, `(*cells, sublattices)`, or None.
    - `occupied`: a mask `(*cells, sublattices)`, False at vacancies: sites without orbital (and without spin).

    Energies are in units of the hopping, spins `(*cells, sublattices, 3)`. It has H as a matrix (`dense`), as products
    with vectors (`matvec`) and of a cell that repeats (`bloch`); energies and fields come from solvers such as
    `ExactDiagonalization` and `KernelPolynomial`.

    Raises `ValueError` for arrays that do not fit the lattice, a complex `coupling` or `potential`, a bond given
    together with its reverse, and where every site is vacant; `TypeError` for what is no lattice.

    Example:
        >>> model = js.SDModel(lattice, (1.0, -0.3), coupling=2.0)
        >>> model.dense(spins).shape, model.matvec(spins, jnp.ones((4, 4, 1, 2, 5), complex)).shape
        ((32, 32), (4, 4, 1, 2, 5))
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
        check_lattice(lattice, "js.SDModel(lattice, 1.0, coupling=2.0)")
        self.lattice = lattice
        shells = tuple(hopping) if isinstance(hopping, Sequence) else (hopping,)
        if 0 < sum(isinstance(entry, Hopping) for entry in shells) < len(shells):
            raise ValueError(
                "hopping mixes numbers, which count shells, with Hopping entries; "
                "write the numbers as (*js.electrons.kinetic(lattice, t_1, t_2, ...), *others)."
            )
        hoppings = []
        for shell, entry in enumerate(shells, start=1):
            if isinstance(entry, Hopping):
                hoppings.append(entry)
            else:
                hoppings += [Hopping(bond, entry) for bond in lattice.shell(shell)]
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

    @property
    def orbital_lattice(self) -> Lattice:
        """The lattice itself: one orbital a site."""
        return self.lattice

    @property
    def strength(self) -> float | None:
        """The largest |J|; None while it is traced."""
        return None if isinstance(self.coupling, Tracer) else float(np.max(np.abs(np.asarray(self.coupling))))

    def is_even(self) -> bool:
        """Whether r -> -r about a site maps each hopping onto itself, in cells that are their own images."""
        return all(_even(self.lattice, hop) for hop in self.hoppings)

    @takes_spins(half=False)
    def coupled_spins(self, spins: Spins) -> Spins:
        """J_i S_i, zero at vacancies: the exchange field an electron feels."""
        j = self.coupling.astype(spins.dtype)
        coupled = spins * (j[..., None] if j.ndim else j)
        return coupled if self.occupied is None else jnp.where(self.occupied[..., None], coupled, 0)

    # --- the terms of H ---------------------------------------------------------------------------------------

    def terms(self) -> Iterator[Term]:
        """What hops: each bond in both directions."""
        for h in self.hoppings:
            yield from both_directions(self.lattice, h)

    @takes_spins(half=False)
    def onsite(self, spins: Spins) -> tuple[Site, ...]:
        """What stays: V - J S.sigma on the sites of each sublattice, without exchange at vacancies."""
        coupled = self.coupled_spins(spins)
        potential = None if self.potential is None else self.potential.astype(spins.dtype)
        return tuple(
            Site(None if potential is None else potential[..., a] if potential.ndim else potential, coupled[..., a, :])
            for a in range(self.lattice.sublattices)
        )

    def above(self, dtype) -> Float[Array, ""]:
        """An energy above all levels, where matrices keep the orbitals of vacancies."""
        return 2 * jax.lax.stop_gradient(self.bound().astype(dtype)) + 1

    # --- products with H --------------------------------------------------------------------------------------

    @takes_spins(half=False)
    def hamiltonian(self, spins: Spins) -> "Product":
        return Product(self, spins)

    def packed(self, spinor: Spinor) -> Spinor:
        return spinor

    @takes_spins(half=False)
    def apply(self, spins: Spins, spinor: Spinor) -> Spinor:
        """H psi of a spinor, which must be zero at vacancies."""
        lattice, dtype = self.lattice, spins.dtype
        out = [site.times(parts) for site, parts in zip(self.onsite(spins), spinor, strict=True)]
        for term in self.terms():
            moved = tuple(lattice.translate(p, term.offset) for p in spinor[term.column])
            product = multiply(complex_parts(term.amplitude, dtype), mix(term.spin, moved))
            out[term.row] = tuple(o - p for o, p in zip(out[term.row], product, strict=True))
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
        check_wavevector(self.lattice, wavevector)
        lattice, n, ctype = self.lattice, self.lattice.sites, complex_of(spins.dtype)
        h = jnp.zeros((n, 2, n, 2), ctype)
        for term in self.terms():
            i, j, wraps, inside = term.ends(lattice)
            block = jnp.broadcast_to(term.block(ctype), (*lattice.cells, 2, 2)).reshape(-1, 2, 2)[inside]
            if wavevector is not None:
                phase = jnp.sum(jnp.asarray(wraps, spins.dtype) * wavevector.astype(spins.dtype)[None], axis=1)
                block = block * jnp.exp(2j * np.pi * phase.astype(ctype))[:, None, None]
            h = h.at[i, :, j, :].add(block)
        local = [jnp.broadcast_to(x.block(ctype), (*lattice.cells, 2, 2)) for x in self.onsite(spins)]
        site = np.arange(n)
        h = h.at[site, :, site, :].add(jnp.stack(local, axis=-3).reshape(n, 2, 2))
        if self.occupied is not None:
            full = self.occupied.reshape(n)
            h = jnp.where(full[:, None, None, None] & full[None, None, :, None], h, 0)
            above = jnp.where(full, 0, self.above(spins.dtype)).astype(ctype)
            h = h.at[site, :, site, :].add(above[:, None, None] * jnp.eye(2, dtype=ctype)[None])
        return h.reshape(2 * n, 2 * n)

    @takes_spins(half=False)
    @eqx.filter_jit
    def field_of(
        self, density: Complex[Array, "*k n n"], spins: Spins, wavevectors: Float[Array, "k d"] | None = None
    ) -> Spins:
        """B_i = J sum_ab sigma_ab <c+_ia c_ib> from rho_(ib)(ia) = <c+_ia c_ib>."""
        if wavevectors is not None:  # at a site all wavevectors are alike
            density = jnp.sum(density, axis=0)
        n = self.lattice.sites
        site = jnp.arange(n)
        on_site = density.reshape(n, 2, n, 2)[site, :, site, :]
        sigma = jnp.real(einsum("cab,nba->nc", jnp.asarray(PAULI, density.dtype), on_site))
        return self.coupled_spins(jnp.ones_like(spins)) * sigma.reshape(spins.shape).astype(spins.dtype)

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
        shift = jnp.max(jnp.abs(self.coupling)).astype(low.dtype)
        if self.potential is None:
            return low - shift, high + shift
        v = self.potential.astype(low.dtype)
        return low - shift + jnp.min(v), high + shift + jnp.max(v)


class Product(eqx.Module):
    """H at these spins, as an operator on spinors."""

    model: SDModel
    spins: Spins

    def __call__(self, spinor: Spinor) -> Spinor:
        return self.model.apply(self.spins, spinor)


def only_sd(model: AbstractElectrons, what: str) -> SDModel:
    """The model, where it is one; raises `ValueError` for what is written for one orbital a site alone."""
    if not isinstance(model, SDModel):
        raise ValueError(
            f"{what} for {type(model).__name__} are not there; give an SDModel, or take energies, fields and densities "
            "from ExactDiagonalization, BlochDiagonalization or KernelPolynomial."
        )
    return model


def _even(lattice: Lattice, hop: Hopping) -> bool:
    """Whether r -> -r about a site maps the bond's hopping onto itself, in cells that are their own images."""
    amplitude, spin = hop.amplitude, hop.spin
    plain = amplitude.ndim == 0 and spin is None and not jnp.iscomplexobj(amplitude)
    if plain or any(isinstance(x, Tracer) for x in (amplitude, spin)):
        return plain  # real whatever its value; of other traced ones nothing is known
    t = np.broadcast_to(np.asarray(amplitude), lattice.cells)[..., None, None]
    block = t * (np.eye(2) if spin is None else np.asarray(spin))
    # the image of the bond from R to R + d is that from -R - d = R + d to -R = R, read backwards
    image = np.conj(np.swapaxes(np.roll(block, [-n for n in hop.bond.offset], range(lattice.dimension)), -1, -2))
    return bool(np.allclose(block, image, rtol=0, atol=1e-6 * np.abs(block).max()))
