"""The electrons' own electrostatic potential in a driven channel, made self-consistent with their density."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from jaxspin.arrays.precision import matmul
from jaxspin.couplings import finite_real
from jaxspin.electrons.model import only_sd
from jaxspin.electrons.negf.solver import GreensFunction
from jaxspin.field import AbstractField, Spins, Time
from jaxspin.lattice import Lattice

# Earlier iterations from which the next is extrapolated.
_HISTORY = 5
# What of a change an iteration without a history takes.
_MIXING = 0.3


class SelfConsistent(NamedTuple):
    """What `Hartree.solved` finds: V `(*cells, sublattices)` in units of the hopping, after how many iterations, and
    the largest |V_i - sum_j U_ij (n_j - n0_j)| that is left.

    A record, without checks of its own; V is NaN where it did not converge.

    Example:
        >>> model, leads = js.SDModel(js.chain(3, periodic=False)), (js.WideBand("left"), js.WideBand("right"))
        >>> solver = js.GreensFunction(model, leads=leads, voltage=0.5, temperature=0.3)
        >>> found = js.electrons.Hartree(solver, 1.0, tolerance=1e-4).solved(js.textures.ferromagnet(model.lattice))
        >>> found.potential.shape, bool(found.residual < 1e-3)
        ((3, 1), True)
    """

    potential: Float[Array, "*cells sublattices"]
    iterations: Int[Array, ""]
    residual: Float[Array, ""]


class Hartree(AbstractField):
    """The electrons of `solver` in the potential of their own charge: V_i = sum_j U_ij (n_j - n0_j), self-consistent.

    A voltage fills states and moves none; charge that piles up at the contacts does: it screens the voltage, so that in
    a clean channel V falls at the ends and in a disordered one along its length, where the resistance is. Leads have
    their own potential: a `Crystal(rigid=True)` moves with its voltage.

    **Arguments**

    - `solver`: a `GreensFunction`. Its model's own potential stays; V is added to it.
    - `interaction`: U in units of the hopping, a number or an array `(*cells, sublattices)` for V_i = U_i (n_i - n0_i),
      or a matrix `(N, N)` such as `screened_coulomb`, sites in C order.
    - `background`: n0, a number (1.0 for a half-filled channel) or `(*cells, sublattices)`; None takes the density of
      the same spins without a voltage and without U, which then has V = 0: the charge that the voltage brings.
    - `tolerance`: of V, in units of the hopping; 2.4e-4 at least in single precision, 4e-13 in double.
    - `max_iterations`: where it gives up. Each is one density.

    Iterations are mixed by Anderson's method from V = 0. Derivatives of any kind are those of the implicit function:
    of the solution, not of the way to it. Cost: a field for each iteration, some 5 to 20. Exchange is not in it; the
    field is B_i = J <sigma_i>.

    Raises `ValueError` for arrays that do not fit, a tolerance that is not positive, and counts below 1, `RuntimeError`
    where it does not converge; inside `jit`, where nothing can be raised, all results are NaN then.
    Sources: D. G. Anderson, J. ACM 12, 547 (1965), 10.1145/321296.321305; of the driven channel S. Datta, Electronic
    Transport in Mesoscopic Systems, Cambridge 1995, section 2.3.

    Example:
        >>> model, leads = js.SDModel(js.chain(3, periodic=False)), (js.WideBand("left"), js.WideBand("right"))
        >>> solver = js.GreensFunction(model, leads=leads, voltage=0.5, temperature=0.3)
        >>> hartree, up = js.electrons.Hartree(solver, 1.0, tolerance=1e-4), js.textures.ferromagnet(model.lattice)
        >>> hartree.field(up).shape, bool(hartree.at(up).current(up) > 0)
        ((3, 1, 3), True)
    """

    parallel_part_is_fixed: ClassVar[bool] = False
    half_precision: ClassVar[bool] = False

    solver: GreensFunction
    interaction: Float[Array, "..."]
    background: Float[Array, "..."] | None
    tolerance: float = eqx.field(static=True)
    max_iterations: int = eqx.field(static=True)

    def __init__(
        self,
        solver: GreensFunction,
        interaction: ArrayLike,
        *,
        background: ArrayLike | None = None,
        tolerance: float = 1e-5,
        max_iterations: int = 60,
    ):
        lattice = only_sd(solver.model, "Hartree potentials").lattice
        self.interaction = finite_real(interaction, "interaction")
        if self.interaction.shape not in ((), lattice.shape, (lattice.sites, lattice.sites)):
            raise ValueError(
                f"interaction of shape {self.interaction.shape} does not fit; give a number, an array of shape "
                f"{lattice.shape}, or a matrix {(lattice.sites, lattice.sites)}."
            )
        self.background = None if background is None else finite_real(background, "background")
        if self.background is not None and self.background.shape not in ((), lattice.shape):
            raise ValueError(
                f"background of shape {self.background.shape} does not fit; give a number of electrons a site or an "
                f"array of shape {lattice.shape}."
            )
        if not tolerance > 0 or max_iterations < 1:
            raise ValueError(
                f"tolerance must be positive and max_iterations at least 1, got {tolerance} and {max_iterations}; "
                "1e-5 and 60 are the defaults."
            )
        self.tolerance, self.max_iterations = float(tolerance), int(max_iterations)
        self.solver = _with_poles_for(solver, self.interaction)

    @property
    def lattice(self) -> Lattice:
        return self.solver.lattice

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        """B_i = J <sigma_i> of the electrons in their own potential."""
        return self.at(spins).field(spins)

    def at(self, spins: Spins) -> GreensFunction:
        """The solver in the potential of these spins: for its density, currents, transmission and all else."""
        return self._with(self.solved(spins).potential)

    def solved(self, spins: Spins) -> SelfConsistent:
        """V, with the iterations it took and what is left."""
        found = self._solved(spins)
        if not isinstance(found.residual, Tracer) and not float(found.residual) <= self._allowed(spins):
            raise RuntimeError(
                f"the potential is not self-consistent after {int(found.iterations)} iterations: {found.residual:.1e} "
                f"is left, tolerance {self._allowed(spins):.1e}; raise max_iterations, tolerance or the temperature, "
                "or lower the interaction."
            )
        return found

    @eqx.filter_jit
    def _solved(self, spins: Spins) -> SelfConsistent:
        background = self._background(spins)
        zero = jnp.zeros(self.lattice.shape, spins.dtype)

        def made(potential):
            return self._potential_of(self._with(potential).density(spins) - background)

        def root(potential):
            return potential - made(potential)

        def solve(function, start):
            x, (count, residual) = anderson(function, start, self._allowed(spins), self.max_iterations)
            # whole numbers have no tangents, which custom_root asks for
            return x, (count.astype(x.dtype), residual)

        def divided(slope, y):
            operator = lx.FunctionLinearOperator(slope, jax.ShapeDtypeStruct(y.shape, y.dtype))
            close = self._allowed(spins)
            return lx.linear_solve(operator, y, lx.GMRES(rtol=close, atol=close * 1e-3), throw=False).value

        potential, (iterations, residual) = jax.lax.custom_root(root, zero, solve, divided, has_aux=True)
        good = residual <= self._allowed(spins)
        count = jax.lax.stop_gradient(iterations).astype(int)
        return SelfConsistent(jnp.where(good, potential, jnp.nan), count, jax.lax.stop_gradient(residual))

    def _allowed(self, spins: Spins) -> float:
        """No smaller than the precision of the density resolves."""
        return max(self.tolerance, 2e3 * float(jnp.finfo(spins.dtype).eps))

    def _background(self, spins: Spins) -> Float[Array, "*cells sublattices"]:
        if self.background is not None:
            n0 = jnp.broadcast_to(self.background.astype(spins.dtype), self.lattice.shape)
            occupied = self.solver.model.occupied
            return n0 if occupied is None else jnp.where(occupied, n0, 0)
        still = eqx.tree_at(lambda s: s.voltage, self.solver, jnp.zeros_like(self.solver.voltage))
        return still.density(spins)

    def _with(self, potential: Float[Array, "*cells sublattices"]) -> GreensFunction:
        own = self.solver.model.potential
        total = potential if own is None else potential + own.astype(potential.dtype)
        return eqx.tree_at(lambda s: s.model.potential, self.solver, total, is_leaf=lambda x: x is None)

    def _potential_of(self, charge: Float[Array, "*cells sublattices"]) -> Float[Array, "*cells sublattices"]:
        u = self.interaction.astype(charge.dtype)
        if u.shape == (self.lattice.sites,) * 2:
            return matmul(u, charge.reshape(-1, 1)).reshape(charge.shape)
        return u * charge


def _with_poles_for(solver: GreensFunction, interaction: Array) -> GreensFunction:
    """With as many poles as the levels need where V moves them by the charge of an electron a site."""
    if any(isinstance(x, Tracer) for x in jax.tree.leaves((solver, interaction))):
        return solver
    matrix = interaction.shape == (solver.lattice.sites,) * 2
    most = jnp.max(jnp.sum(jnp.abs(interaction), axis=1) if matrix else jnp.abs(interaction))
    own = solver.model.potential
    moved = most + (0 if own is None else jnp.max(jnp.abs(own)))
    wider = eqx.tree_at(lambda m: m.potential, solver.model, moved, is_leaf=lambda x: x is None)
    names = ("leads", "voltage", "mu", "temperature", "bath", "bath_mu", "bath_temperature", "tolerance", "axis")
    settings = {name: getattr(solver, name) for name in (*names, "method", "max_panels", "batch")}
    poles = max(solver.poles, GreensFunction(wider, **settings).poles)
    return GreensFunction(solver.model, **settings, poles=poles)


def anderson(
    function: Callable[[Array], Array], start: Array, tolerance: float, most: int
) -> tuple[Array, tuple[Array, Array]]:
    """x with function(x) = 0, and (iterations, largest |function(x)|): x - mixing function(x), extrapolated.

    Of the last iterations it takes the combination whose residuals are least together; `function` is evaluated once an
    iteration. It stops at `tolerance`, after `most` iterations, or where a number is no longer finite.
    """
    shape, size, dtype = start.shape, start.size, start.dtype

    def residual(x):
        return -function(x.reshape(shape)).reshape(-1)

    def going(state):
        count, _, r, *_ = state
        largest = jnp.max(jnp.abs(r))
        return (count < most) & jnp.logical_not(largest <= tolerance) & jnp.isfinite(largest)

    def step(state):
        count, x, r, moves, changes = state
        gram = matmul(changes, changes.T)
        # rows not filled yet are zero, and get no weight
        ridge = 10 * jnp.finfo(dtype).eps * jnp.trace(gram) + jnp.finfo(dtype).tiny
        weights = jnp.linalg.solve(gram + ridge * jnp.eye(_HISTORY, dtype=dtype), matmul(changes, r[:, None]))[:, 0]
        move = _MIXING * r - jnp.sum(weights[:, None] * (moves + _MIXING * changes), axis=0)
        after = residual(x + move)
        row = count % _HISTORY
        return count + 1, x + move, after, moves.at[row].set(move), changes.at[row].set(after - r)

    none = jnp.zeros((_HISTORY, size), dtype)
    x = start.reshape(-1)
    count, x, r, *_ = jax.lax.while_loop(going, step, (jnp.ones((), int), x, residual(x), none, none))
    return x.reshape(shape), (count, jnp.max(jnp.abs(r)))


def screened_coulomb(lattice: Lattice, strength: float, length: float, *, onsite: float) -> Float[Array, "n n"]:
    """U_ij = strength exp(-r/length)/r between the sites, `onsite` of a site with itself, `(N, N)`: for `Hartree`.

    Energies in units of the hopping, lengths in lattice constants; `length` is that over which the surroundings of the
    channel (gates, a substrate) screen it. Along periodic axes all images count, those of a site itself too. NumPy, not
    to be traced.

    Raises `ValueError` for a strength or `onsite` that is negative, a length that is not positive, and an infinite one
    with a periodic axis.
    Source: N. W. Ashcroft and N. D. Mermin, Solid State Physics, 1976, chapter 17.

    Example:
        >>> u = js.electrons.screened_coulomb(js.chain(3, periodic=False), 1.0, 2.0, onsite=3.0)
        >>> [round(float(x), 3) for x in u[0]]
        [3.0, 0.607, 0.184]
    """
    if not (strength >= 0 and onsite >= 0 and length > 0):
        raise ValueError(
            f"strength and onsite must not be negative and length positive, got {strength}, {onsite} and {length}; "
            "1.0, 3.0 and 2.0 screen within a few sites."
        )
    if not np.isfinite(length) and any(lattice.periodic):
        raise ValueError(
            "without screening the images along a periodic axis have no finite sum; give a finite length, or open axes."
        )
    places = lattice.positions().reshape(lattice.sites, -1)
    vectors = np.array(lattice.vectors) * np.array(lattice.cells)[:, None]
    # beyond this no image counts in double precision; a cell is as high as its shortest height
    heights = 1 / np.linalg.norm(np.linalg.inv(vectors), axis=0)
    far = [int(np.ceil(36 * length / h)) + 1 if w else 0 for h, w in zip(heights, lattice.periodic, strict=True)]
    reach = [range(-n, n + 1) for n in far]
    total = np.zeros((lattice.sites, lattice.sites))
    for image in np.stack(np.meshgrid(*reach, indexing="ij"), -1).reshape(-1, lattice.dimension):
        distance = np.linalg.norm(places[:, None] - places[None] + image @ vectors, axis=-1)
        near = np.where(distance > 0, distance, 1)
        total += np.where(distance > 0, strength * np.exp(-near / length) / near, 0)
    return jnp.asarray(total + onsite * np.eye(lattice.sites), jnp.result_type(float))
