"""How the electrons carry current at frozen spins `(*cells, sublattices, 3)`: bonds, conductivity, Chern marker.

Charge, hbar and the lattice constant are one: a current is a number of electrons per hbar/t.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float, PRNGKeyArray

from jaxspin.arrays.precision import einsum, matmul
from jaxspin.arrays.spinors import complex_of, unit_spinor
from jaxspin.electrons import (
    AbstractElectrons,
    ExactDiagonalization,
    GreensFunction,
    Hopping,
    KernelPolynomial,
    OrbitalModel,
    chebyshev,
    fermi,
    spectral,
)
from jaxspin.electrons.model import only_sd
from jaxspin.electrons.orbital_bonds import Turned, from_slopes, no_phases
from jaxspin.electrons.packed import imaginary_product, overlaps, weighted
from jaxspin.field import Spins
from jaxspin.observables.electronic import site_indices
from jaxspin.observables.velocities import area_of, orbital_positions, spins_of, velocity
from jaxspin.spins import takes_spins

Solver = ExactDiagonalization | KernelPolynomial


@takes_spins(half=False, unit=True)
def bond_currents(
    solver: Solver | GreensFunction, spins: Spins, *, key: PRNGKeyArray | None = None
) -> Float[Array, "*cells hoppings"] | Float[Array, "*cells vectors n n"]:
    """I = 2 Im(t <c+_i M c_j>), electrons per unit time from i = (R, start) to j = (R + offset, end).

    One column for each entry of `solver.model.hoppings`. Of an `OrbitalModel` `(*cells, vectors, n, n)`: from orbital m
    of a cell to orbital n of the cell at each of `model.offsets` further, I = -2 Im <c+_m H c_n> with all that H has
    there, every current from both of its ends; sums over the orbitals of atoms are the currents between atoms. It is
    the derivative of the solver's energy with respect to a phase of the bond, t -> t exp(i phi), so each solver gives
    the current that belongs to its own energy. In equilibrium it is divergence-free; it circulates where time reversal
    is broken, as in chiral textures or a magnetic flux. Green's functions give the current that is driven as well,
    which enters and leaves at the leads.

    Raises `ValueError` for spins that do not fit the solver's lattice, are longer than 1 or in half precision. For the
    current through the leads alone use `GreensFunction.currents`.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> js.observables.bond_currents(solver, spins).shape
        (4, 4, 2)
    """
    if isinstance(solver, GreensFunction):
        return solver.bond_currents(spins)
    if isinstance(solver.model, OrbitalModel):
        return _orbital_currents(solver, spins, key)
    only_sd(solver.model, "bond currents")
    return _equilibrium_currents(solver, spins, key)


@eqx.filter_jit
def _equilibrium_currents(solver, spins, key):
    model = solver.model
    cells, ctype = model.lattice.cells, complex_of(spins.dtype)

    def energy(phases):
        turned = tuple(
            Hopping(h.bond, h.amplitude.astype(ctype) * jnp.exp(1j * phases[..., n].astype(ctype)), h.spin)
            for n, h in enumerate(model.hoppings)
        )
        return eqx.tree_at(lambda s: s.model.hoppings, solver, turned).energy(spins, key=key)

    return jax.grad(energy)(jnp.zeros((*cells, len(model.hoppings)), spins.dtype))


@eqx.filter_jit
def _orbital_currents(solver, spins, key):
    model = solver.model

    def energy(phases):
        return eqx.tree_at(lambda s: s.model, solver, Turned(model, phases)).energy(spins, key=key)

    return from_slopes(model, jax.grad(energy)(no_phases(model, spins.dtype)))


@takes_spins(half=False, unit=True)
def conductivity(
    solver: Solver,
    spins: Spins,
    axes: tuple[int, int] = (0, 0),
    *,
    broadening: float,
    frequency: float = 0.0,
    points: int | tuple[int, ...] = 1,
    order: int | None = None,
    key: PRNGKeyArray | None = None,
) -> Complex[Array, ""]:
    """sigma_ab(w) by the Kubo formula, in e^2/h (times a^(2-d) in d dimensions), at the solver's T and filling or mu.

    sigma_ab = (2 pi i/A) sum_mn [(f_m - f_n)/(e_n - e_m)] v^a_mn v^b_nm/(w + e_m - e_n + i eta), A the area, v the
    `velocity` (which says where orbitals are); at w = 0 it is real, and axes (0, 1) give the anomalous Hall
    conductivity. `broadening` eta > 0 is the scattering rate: it keeps the Drude peak of a clean metal finite, and
    hides the single levels of a finite lattice. Make it larger than the level spacing of a metal. First derivatives, by
    spins and couplings, are right where levels coincide; second ones of exact diagonalization only elsewhere.

    Exact diagonalization takes `points` wavevectors along each axis, the texture being repeated so many times. Kernel
    polynomials (`points` must be 1) take the same sum from the moments Tr[T_m v_a T_n v_b], with m and n up to `order`
    (None: as many as eta and T need). There is no damping kernel, since the summand is smooth. That takes `order`/32
    times `order` products with H.

    Raises `ValueError` for T = 0 (use a temperature well below the gap), for an open axis (no wavevectors and no bulk
    current), a `broadening` that is not positive, a frequency that is not finite, fewer than one of `points`, an axis
    that the lattice does not have, orbitals without owner and position, and spins that do not fit it, are longer than 1
    or in half precision.

    Sources: Kubo, J. Phys. Soc. Jpn. 12, 570 (1957), 10.1143/JPSJ.12.570; double expansion: Garcia, Covaci and
    Rappoport, Phys. Rev. Lett. 114, 116602 (2015), 10.1103/PhysRevLett.114.116602.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> sigma = js.observables.conductivity(solver, spins, axes=(0, 0), broadening=0.5)
        >>> bool(sigma.real > 0)
        True
    """
    lattice = solver.lattice
    if not 0 < broadening < np.inf:
        raise ValueError(f"broadening must be a positive energy, got {broadening}; 0.05 suits a gap of 0.5.")
    if not abs(frequency) < np.inf:
        raise ValueError(f"frequency must be a finite energy, got {frequency}; 0.0 is the conductivity at rest.")
    if not all(lattice.periodic):
        raise ValueError("a conductivity needs periodic axes; build the lattice with periodic=True.")
    if isinstance(solver, ExactDiagonalization) and solver.ground_state:
        raise ValueError("the Kubo sum needs temperature > 0; give one well below the gap, such as 0.01.")
    along = (points,) * lattice.dimension if isinstance(points, int) else tuple(points)
    if len(along) != lattice.dimension or min(along) < 1:
        raise ValueError(f"points = {points} are no wavevectors; give one number, 1 or more, or one for each axis.")
    operators = tuple(velocity(solver.model, axis) for axis in axes)
    eta, omega = (jnp.asarray(x, spins.dtype) for x in (broadening, frequency))
    if isinstance(solver, ExactDiagonalization):
        return _kubo_exact(solver, operators, spins, eta, omega, along)
    if along != (1,) * lattice.dimension:
        raise ValueError("kernel polynomials take one wavevector; use points=1 and a larger lattice.")
    if order is None:
        narrow = min(broadening, np.pi * float(solver.temperature))
        order = chebyshev.order_for(narrow / np.pi, float(solver.scaling()[1]), 1e-4)
    return _kubo_chebyshev(solver, operators, spins, eta, omega, -(-order // _CHUNK) * _CHUNK, key)


@takes_spins(half=False, unit=True)
def local_chern_marker(
    solver: Solver, spins: Spins, sites: ArrayLike | Sequence | None = None
) -> Float[Array, " sites"]:
    """C(r) = (4 pi/A) Im <r|P x Q y P|r>, summed over spin, P = f(H), Q = 1 - P, A the area per site.

    In the bulk of an open sample its average over the sites is the Chern number of the occupied states, with the sign
    of sigma_xy in e^2/h; over the whole sample, for filled and empty states only, it adds up to zero. `sites`
    `(n, d + 1)` are indices of sites (cells and sublattice), None takes all, in C order; of an `OrbitalModel` the last
    index is the orbital, A the area per orbital, and the average that over the orbitals. Exact diagonalization costs
    one density matrix; kernel polynomials two expansions of `solver.order` terms a site, memory linear in the sites.

    Raises `ValueError` on a periodic axis, where position is not an operator, in other than two dimensions, for sites
    that are no indices of the lattice, and spins that do not fit it, are longer than 1 or in half precision. On a
    periodic lattice take `conductivity` with axes=(0, 1).

    Source: Bianco and Resta, Phys. Rev. B 84, 241106 (2011), 10.1103/PhysRevB.84.241106.

    Example:
        >>> sheet = js.triangular(4, periodic=False)
        >>> solver = js.ExactDiagonalization(js.SDModel(sheet, coupling=3.0), filling=0.25, temperature=0.05)
        >>> js.observables.local_chern_marker(solver, js.textures.tetrahedral(sheet)).shape
        (16,)
    """
    lattice = solver.lattice
    if lattice.dimension != 2 or any(lattice.periodic):
        raise ValueError("the local Chern marker is that of an open sheet; build a 2D lattice with periodic=False.")
    orbitals = solver.model.orbital_lattice
    indices = np.argwhere(np.ones(orbitals.shape, bool)) if sites is None else sites
    return _marker(solver, spins, site_indices(orbitals, indices))


# --- Kubo sums ------------------------------------------------------------------------------------------------------

_CHUNK = 32


def _kubo_weight(e, other, mu, temperature, eta, omega):
    """i [(f - f')/(e' - e)]/(w + e - e' + i eta); the derivative of f where the difference would cancel."""
    gap = e - other
    close = jnp.abs(gap) < temperature * jnp.finfo(e.dtype).eps ** (1 / 3)
    f, g = fermi.occupation(e, mu, temperature), fermi.occupation(other, mu, temperature)
    middle = fermi.occupation((e + other) / 2, mu, temperature)
    ratio = jnp.where(close, middle * (1 - middle) / temperature, (g - f) / jnp.where(close, 1, gap))
    resonance = jax.lax.complex(omega + gap, jnp.broadcast_to(eta, gap.shape))
    return jax.lax.complex(jnp.zeros_like(ratio), ratio) / resonance


@eqx.filter_jit
def _kubo_exact(solver, operators, spins, eta, omega, along):
    model, dtype = solver.model, spins.dtype
    k = jnp.stack(jnp.meshgrid(*(jnp.arange(n) / n for n in along), indexing="ij"), -1)
    k = k.reshape(-1, model.lattice.dimension).astype(dtype)
    real = jnp.arange(2 * model.orbital_lattice.sites) < jnp.asarray(model.orbitals())
    ensemble = solver.ensemble.astype(dtype)
    temperature = ensemble.temperature
    if ensemble.fixed_filling:
        levels = jax.lax.map(lambda q: spectral.levels(model.dense(spins, q)), k)
        weights = jnp.broadcast_to(real, levels.shape).reshape(-1).astype(dtype)
        mu = ensemble.fermi_level(levels.reshape(-1), weights, jnp.sum(weights))
    else:
        mu = ensemble.chemical_potential

    smooth = jnp.minimum(temperature, eta)

    def at(q):
        first, second = (_matrix(v, spins, q) for v in operators)
        parameters = (mu, temperature, eta, omega)
        return spectral.pair_sum(_kubo_weight, model.dense(spins, q), first, second, smooth, *parameters)

    return 2 * np.pi * jnp.sum(jax.lax.map(at, k)) / (area_of(model) * len(k))


def _matrix(operator: AbstractElectrons, spins, wavevector):
    """A velocity as a matrix, zero on vacancies (whose orbitals `dense` moves above the spectrum)."""
    matrix = operator.dense(spins_of(operator, spins), wavevector)
    if operator.occupied is None:
        return matrix
    full = jnp.repeat(operator.occupied.reshape(-1), 2)
    return jnp.where(full[:, None] & full[None, :], matrix, 0)


@eqx.filter_jit
def _kubo_chebyshev(solver, operators, spins, eta, omega, order, key):
    dtype = spins.dtype
    mu = solver.fermi_level(spins, key=key)
    first, second = (v.hamiltonian(spins_of(v, spins)) for v in operators)
    scaled, start = solver.rescaled(spins), solver.start(spins, key=key)
    after = second(start)
    vectors = (after, scaled(after))

    def chunk(pair, _):
        pair, columns = jax.lax.scan(lambda p, _: (_advance(scaled, p), first(p[0])), pair, None, length=_CHUNK)
        _, rows = jax.lax.scan(
            lambda p, _: (_advance(scaled, p), overlaps(p[0], columns)), (start, scaled(start)), None, length=order
        )
        return pair, rows

    (_, last), chunks = jax.lax.scan(chunk, vectors, None, length=order // _CHUNK)
    chunks = chebyshev.held(last, after, chunks)
    moments = jnp.moveaxis(chunks, 0, 1).reshape(order, order)  # (m, n)
    nodes = 2 * order
    theta = np.pi * (np.arange(nodes) + 0.5) / nodes
    cosines = np.cos(np.arange(order)[:, None] * theta[None]) * np.where(np.arange(order) > 0, 2, 1)[:, None] / nodes
    cosines = jnp.asarray(cosines, moments.dtype)
    weights = einsum("mk,mn,nl->kl", cosines, moments, cosines)
    center, halfwidth = (x.astype(dtype) for x in solver.scaling())
    e = center + halfwidth * jnp.asarray(np.cos(theta), dtype)
    kernel = _kubo_weight(e[:, None], e[None, :], mu, solver.temperature.astype(dtype), eta, omega)
    return 2 * np.pi * jnp.sum(weights * kernel) / area_of(solver.model)


def _advance(operator, pair):
    before, now = pair
    return now, jax.tree.map(lambda p, b: 2 * p - b, operator(now), before)


# --- Chern marker ---------------------------------------------------------------------------------------------------


@eqx.filter_jit
def _marker(solver, spins, sites):
    lattice, dtype = solver.model.orbital_lattice, spins.dtype
    positions = orbital_positions(solver.model)
    x, y = (jnp.asarray(positions[..., a] - positions[..., a].mean(), dtype) for a in range(2))
    factor = 4 * np.pi * lattice.sites / area_of(solver.model)
    if isinstance(solver, ExactDiagonalization):
        p = solver.density_matrix(spins)
        xs, ys = (jnp.repeat(r.reshape(-1), 2).astype(p.dtype) for r in (x, y))
        b = ys[:, None] * p
        diagonal = jnp.sum(jnp.conj(xs[:, None] * p) * (b - matmul(p, b)), axis=0)
        per_site = factor * jnp.imag(diagonal.reshape(*lattice.shape, 2).sum(axis=-1))
        return per_site[tuple(sites.T)]
    mu, temperature = solver.fermi_level(spins), solver.temperature.astype(dtype)
    center, halfwidth = (v.astype(dtype) for v in solver.scaling())
    coefficients = chebyshev.coefficients(
        lambda e: fermi.occupation(e, mu, temperature), solver.order, center, halfwidth
    )
    scaled = solver.rescaled(spins)

    def project(vectors):
        return chebyshev.expand(scaled, vectors, coefficients)

    def at(site):
        unit = unit_spinor(lattice.shape, site, dtype, solver.model.occupied)
        p = project(solver.model.packed(unit))
        b = weighted(y, p)
        rest = jax.tree.map(jnp.subtract, b, project(b))
        return factor * imaginary_product(weighted(x, p), rest)

    return jax.lax.map(at, sites)
