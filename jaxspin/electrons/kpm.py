"""The kernel-polynomial solver: energy and field linear in the number of sites."""

import functools
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from jaxspin.couplings import at_least
from jaxspin.devices.shards import Shards, shards_of
from jaxspin.electrons import chebyshev
from jaxspin.electrons.base import AbstractElectrons, check_model
from jaxspin.electrons.ensemble import AbstractEquilibrium, Ensemble
from jaxspin.electrons.memory import warn_of_memory
from jaxspin.electrons.probes import AbstractProbes, Coloring, ExactTrace, colors_for
from jaxspin.field import Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite, check_spins


class KernelPolynomial(AbstractEquilibrium):
    """The electrons of `model` in thermal equilibrium, from Chebyshev moments of H.

    The energy is the grand potential Omega = sum_m c_m Tr T_m((H - c)/a), or the free energy at fixed filling, with
    traces over probing vectors. The field is the exact gradient of that estimate, by the recursion run backwards.
    Time and memory are linear in the sites, and memory does not depend on the order. There is no damping kernel: at
    T > 0 the series converges exponentially, as exp(-m pi T/a).

    Spins on a mesh (`jaxspin.devices`) share out the probing vectors, as far as their number divides, and only then the
    lattice. The vectors meet in one sum at the end, while a lattice that is shared out exchanges the edges of all
    vectors in every product with H. That is less only beyond tens of thousands of sites along an axis.

    **Arguments**

    - `filling` n in (0, 1), or `chemical_potential`: exactly one.
    - `temperature` of the electrons, above zero; for T = 0 use `ExactDiagonalization`.
    - `tolerance` of the field: its rms error at a site, in units of the hopping. It chooses colours and order where
      they are not given, for the hardest case. `tune` looks at the spins instead, and `measure_accuracy` measures.
    - `probes`: `Coloring(colours)`, or `ExactTrace()` for no sampling error. The colours are those of sites, or of an
      `OrbitalModel` those of orbitals, at least one for each orbital of a cell.
    - `order`: the number of moments; None takes as many as bring the error of the series to a tenth of `tolerance`.
    - `window`: (lowest, highest) energy that must hold the spectrum of every configuration; None takes
      `model.spectral_bounds()`. A spectrum that leaves the window gives NaN.

    Energies are in units of the hopping, spins and field `(*cells, sublattices, 3)`. Pass `key` to `energy` and `field`
    for new random phases in every call; without it they are always the same, so that the field conserves the energy.
    First and second derivatives, in reverse mode, by spins and every array of the model.

    Raises `ValueError` for T <= 0, both or neither of filling and chemical potential, an empty window, an order that is
    odd or beyond 20 000, and traced values from which colours or order would have to be chosen; `TypeError` for what is
    no model, such as a lattice.
    Sources: Weisse, Wellein, Alvermann and Fehske, Rev. Mod. Phys. 78, 275 (2006), 10.1103/RevModPhys.78.275;
    Barros and Kato, Phys. Rev. B 88, 235101 (2013), 10.1103/PhysRevB.88.235101.

    Example:
        >>> model, probes = js.SDModel(lattice, coupling=2.0), js.electrons.ExactTrace()
        >>> solver = js.KernelPolynomial(model, filling=0.25, temperature=0.1, probes=probes)
        >>> round(float(solver.energy(js.textures.ferromagnet(lattice))), 2), solver.field(spins).shape
        (-28.48, (4, 4, 1, 3))
    """

    parallel_part_is_fixed: ClassVar[bool] = False
    half_precision: ClassVar[bool] = False

    model: AbstractElectrons
    ensemble: Ensemble
    window: tuple[Float[Array, ""], Float[Array, ""]]
    probes: AbstractProbes
    order: int = eqx.field(static=True)
    bounded: bool = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    colored: bool = eqx.field(static=True)

    def __init__(
        self,
        model: AbstractElectrons,
        *,
        filling: ArrayLike | None = None,
        chemical_potential: ArrayLike | None = None,
        temperature: ArrayLike,
        probes: AbstractProbes | None = None,
        order: int | None = None,
        window: tuple[ArrayLike, ArrayLike] | None = None,
        tolerance: float = 1e-2,
    ):
        check_model(model, "KernelPolynomial")
        self.ensemble = Ensemble(filling=filling, chemical_potential=chemical_potential, temperature=temperature)
        if not 0 < tolerance < np.inf:
            raise ValueError(f"tolerance must be positive, got {tolerance}; 0.01 is usual.")
        self.model = model
        self.tolerance = float(tolerance)
        self.colored = probes is None  # then another size of the lattice has other colours
        self.probes = _probes(model, tolerance) if probes is None else probes
        _warn(model, self.probes)
        self.bounded = window is None  # then another size of the lattice may have another window
        self.window = low, high = _bounds(model) if window is None else _window(window)
        _check(self.temperature, low, high)
        if order is None:
            order = _order(self.temperature, (high - low) / 2, tolerance)
        chebyshev.check_order(order)
        self.order = order

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """The estimate of F at fixed filling, of Omega at fixed chemical potential."""
        levels, weights = self.spectrum(spins, key=key)
        return self.ensemble.energy(levels, weights, *self._counted(levels.dtype))

    @eqx.filter_jit
    def moments(
        self, spins: Spins, *, key: PRNGKeyArray | None = None, order: int | None = None
    ) -> Float[Array, " order"]:
        """mu_m = Tr T_m((H - c)/a) over the probing vectors, `order` of them (None: as many as the energy needs)."""
        check_spins(self.lattice, spins)
        start = self.start(spins, key=key)
        order = self.order if order is None else order
        shards = shards_of(self.lattice, spins)
        names = () if shards is None else shared_probes(shards, jax.tree.leaves(start)[0].shape[-1])
        if shards is None or not names:
            return self._moments(self.rescaled(spins), start, order)
        # the lattice is whole along the axes of the mesh that share out the vectors
        columns = jax.tree.map(lambda x: P(*(None,) * (x.ndim - 1), names), start)
        operator, rest = eqx.partition(self.rescaled(spins), eqx.is_array)

        def local(arrays, start):
            return jax.lax.psum(self._moments(eqx.combine(arrays, rest), start, order), names)

        over = jax.shard_map(
            local, mesh=shards.mesh, in_specs=(P(), columns), out_specs=P(), axis_names=set(names), check_vma=False
        )
        return jax.jit(over)(operator, start)

    def _moments(self, operator: "Rescaled", start: Any, order: int) -> Float[Array, " order"]:
        part = jax.tree.leaves(start)[0]
        width = group_width(part)
        if width == part.shape[-1] or shards_of(self.lattice, operator.spins) is not None:
            return chebyshev.moments(operator, start, order)
        # vectors in the cache of a CPU; an accelerator wants all columns at once
        arrays, rest = eqx.partition(operator, eqx.is_array)

        def by_width(width, arrays, start):
            return chebyshev.moments(eqx.combine(arrays, rest), start, order, width=width)

        in_groups, whole = (functools.partial(by_width, w) for w in (width, None))
        return jax.lax.platform_dependent(arrays, start, cpu=in_groups, default=whole)

    def rescaled(self, spins: Spins) -> "Rescaled":
        """(H - c)/a as an operator on vectors in the model's layout, its spectrum inside [-1, 1]."""
        return Rescaled(self.model.hamiltonian(spins), *(x.astype(spins.dtype) for x in self.scaling()))

    def start(self, spins: Spins, *, key: PRNGKeyArray | None = None) -> Any:
        """The probing vectors in the model's layout, zero at vacancies."""
        start = self.probes.vectors(self.model.orbital_lattice, key=key, dtype=spins.dtype)
        if self.model.occupied is None:
            return self.model.packed(start)
        full = [self.model.occupied[..., a, None] for a in range(self.lattice.sublattices)]
        start = jax.tree.map(lambda mask, parts: tuple(jnp.where(mask, p, 0) for p in parts), tuple(full), start)
        return self.model.packed(start)

    def scaling(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(c, a), the centre and half-width of the window, with a margin that keeps rounding inside [-1, 1]."""
        low, high = self.window
        return (low + high) / 2, 1.01 * (high - low) / 2

    def spectrum(self, spins: Spins, *, key: PRNGKeyArray | None = None) -> tuple[Array, Array]:
        """Energies and weights with Tr g(H) = sum_k w_k g(e_k) for every smooth g: use it for many (mu, T) at once."""
        check_finite(spins)
        mu = self.moments(spins, key=key)
        return chebyshev.quadrature(mu, *(x.astype(spins.dtype) for x in self.scaling()))

    def fermi_level(self, spins: Spins, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """The chemical potential."""
        if self.chemical_potential is not None:
            return self.chemical_potential.astype(spins.dtype)
        levels, weights = self.spectrum(spins, key=key)
        return self.ensemble.fermi_level(levels, weights, *self._counted(levels.dtype))

    def _counted(self, dtype) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The number of orbitals, and the error in electrons of series and probes together at a given mu."""
        orbitals = jnp.asarray(self.model.orbitals(), dtype)
        temperature, halfwidth = (x.astype(dtype) for x in (self.temperature, self.scaling()[1]))
        noise = chebyshev.filling_error(self.order, temperature, halfwidth) + self.probes.filling_error(
            self.model.orbital_lattice
        )
        return orbitals, noise * orbitals

    def with_order(self, order: int) -> "KernelPolynomial":
        """The same solver with another number of moments."""
        return KernelPolynomial(
            self.model,
            filling=self.filling,
            chemical_potential=self.chemical_potential,
            temperature=self.temperature,
            probes=None if self.colored else self.probes,
            order=order,
            window=None if self.bounded else self.window,
            tolerance=self.tolerance,
        )

    def on(self, lattice: Lattice) -> "KernelPolynomial":
        """The same solver on another size of the lattice; window and colours are chosen anew unless they were given.

        Warns where an `ExactTrace` that was given takes gigabytes on this lattice.
        """
        model = self.model.on(lattice)
        window = _bounds(model) if self.bounded else self.window
        probes = _probes(model, self.tolerance) if self.colored and model.strength is not None else self.probes
        _warn(model, probes)
        return eqx.tree_at(lambda s: (s.model, s.window, s.probes), self, (model, window, probes))


class Rescaled(eqx.Module):
    """(H - center)/halfwidth as an operator on vectors."""

    hamiltonian: Any
    center: Array
    halfwidth: Array

    @property
    def spins(self) -> Spins:
        return self.hamiltonian.spins

    def __call__(self, vectors: Any) -> Any:
        product = self.hamiltonian(vectors)
        center, factor = self.center, 1 / self.halfwidth
        return jax.tree.map(lambda p, x: (p - center.astype(x.dtype) * x) * factor.astype(x.dtype), product, vectors)


def group_width(part: Array) -> int:
    """How many columns of vectors like `part` to treat at once on a CPU, so that they stay in its cache.

    As many as make the fewest groups, all of one width, and a multiple of four.
    """
    columns = part.shape[-1]
    fit = max(_NARROWEST, _CACHED // (4 * part.size // columns * part.dtype.itemsize))
    width = -(-columns // -(-columns // fit))
    return min(columns, width + -width % 4)


def shared_probes(shards: Shards, columns: int) -> tuple[str, ...]:
    """The axes of the mesh that share out `columns` probing vectors: as many devices as divide their number.

    The vectors of different devices meet in one sum at the end, while a lattice that is shared out exchanges the edges
    of all vectors in every product with H.
    """
    names, rest = [], columns
    for name in sorted((n for n in shards.names if n is not None), key=shards.count, reverse=True):
        if rest % shards.count(name) == 0:
            names.append(name)
            rest //= shards.count(name)
    return tuple(names)


# Bytes of a vector: the reverse pass reuses four vectors from a cache. Below so many columns the short last axis costs
# more than the cache gains. Both measured on 32 to 128 squared sites.
_CACHED = 1 << 18
_NARROWEST = 16

# Above this the series costs more than exact diagonalization of any lattice that fits into memory.
LARGEST_ORDER = 20_000


def _window(bounds) -> tuple[Float[Array, ""], Float[Array, ""]]:
    # the window only scales the recursion: the result does not depend on it, nor should a derivative
    low, high = (jax.lax.stop_gradient(jnp.asarray(x, jnp.result_type(float))) for x in bounds)
    return low, high


def _bounds(model: AbstractElectrons) -> tuple[Float[Array, ""], Float[Array, ""]]:
    low, high = _window(model.spectral_bounds())
    flat = jnp.where(high > low, 0.0, 1.0)  # no hopping and no coupling: any window will do
    return low - flat, high + flat


def _check(temperature, low, high) -> None:
    if not isinstance(temperature, Tracer) and not temperature > 0:
        raise ValueError(
            f"the kernel-polynomial method needs temperature > 0, got {float(temperature):g}; use ExactDiagonalization "
            "for T = 0."
        )
    if not any(isinstance(x, Tracer) for x in (low, high)) and not low < high:
        raise ValueError(
            f"the window ({float(low):g}, {float(high):g}) is empty; give (lowest, highest) energy of the spectrum."
        )


def _warn(model: AbstractElectrons, probes: AbstractProbes) -> None:
    if isinstance(probes, ExactTrace):
        # start, the last two vectors and their derivative, of two columns a site and four numbers an orbital pair
        orbitals = model.orbital_lattice.sites
        needed = 4.0 * (4 * orbitals) * (2 * orbitals) * 4
        what = "sites" if orbitals == model.lattice.sites else "orbitals"
        warn_of_memory(
            f"ExactTrace on {orbitals} {what}",
            needed,
            "give probes=Coloring(64), say, or leave them to be chosen by tolerance, or use fewer sites",
        )


def _probes(model: AbstractElectrons, tolerance: float) -> AbstractProbes:
    if model.strength is None:
        raise ValueError("the colours cannot be chosen from a traced coupling; pass probes=Coloring(...).")
    count = default_colors(model, tolerance, model.strength)
    return Coloring(count) if count < model.orbital_lattice.sites else ExactTrace()


def default_colors(model: AbstractElectrons, tolerance: float, strength: float) -> int:
    """Colours for `tolerance` where each orbital of an atom has its own."""
    each = -(-model.orbital_lattice.sublattices // model.lattice.sublattices)
    return each * colors_for(tolerance, strength, model.lattice.dimension)


def _order(temperature, halfwidth, tolerance: float) -> int:
    try:
        t, a = float(temperature), float(halfwidth)
    except jax.errors.ConcretizationTypeError:
        raise ValueError(
            "the number of moments cannot be chosen from traced values; build the solver outside jit, "
            "or pass order=... (about 10 (half-width of the spectrum)/(pi temperature))."
        ) from None
    order = chebyshev.order_for(t, a, tolerance)
    if order > LARGEST_ORDER:
        lowest = t * order / LARGEST_ORDER
        raise ValueError(
            f"temperature {t:g} would need {order} moments; use a temperature of {at_least(lowest)} or more, "
            "pass order=... to accept the truncation, or use ExactDiagonalization."
        )
    return order
