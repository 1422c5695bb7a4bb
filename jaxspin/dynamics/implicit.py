"""Implicit midpoint rules for unit spins `(*cells, sublattices, 3)`: long undamped runs without a drift of energy."""

import abc
from typing import ClassVar

import diffrax
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jaxtyping import Array, Float

from jaxspin.arrays.vectors import add, dot, scale
from jaxspin.dynamics.llg import Interval
from jaxspin.dynamics.solvers import AbstractSpinSolver, cayley
from jaxspin.spins import normalize


class _Iteration(optx.FixedPointIteration):
    """The library's iteration, with its error in the dtype of the iterates rather than the default one."""

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        state = super().init(fn, y, args, options, f_struct, aux_struct, tags)
        return jax.tree.map(lambda x: x.astype(y.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, state)


class AbstractMidpoint(AbstractSpinSolver):
    """S' = S + w(M) x M by fixed-point iteration: a new rule is one `middle`.

    M is parallel to S + S', so S' - S is perpendicular to S + S' and the length is kept by construction. Each
    iterate is a rotation in closed form (Cayley), S' <- S + w(M) x (S + S') |M|/|S + S'|. It contracts where
    the step times the change of the field with the spins is below one; where it does not, the run stops with
    the error of the iteration and the remedy is a smaller step.
    """

    phase_error: ClassVar[float] = 1 / 12
    # of the spins, between two iterates; None: 10 units in the last place
    tolerance: float | None = None
    iterations: int = 64

    def __check_init__(self):
        if self.iterations < 1 or not (self.tolerance is None or 0 < self.tolerance < 1):
            raise ValueError(
                f"iterations = {self.iterations} and tolerance = {self.tolerance} make no step; give at least one "
                "iteration and a tolerance between 0 and 1, or leave them out."
            )

    @abc.abstractmethod
    def middle(self, start, end) -> tuple[Float[Array, "..."], Float[Array, "..."] | float]:
        """(M, |M| over the length of (S + S')/2)."""

    def move(self, terms, t0, t1, spins, interval: Interval):
        return self._solved(terms, t0, t1, spins, interval)[:2]

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        interval = terms.contr(t0, t1)
        y1, begun, result = self._solved(terms, t0, t1, y0, interval)
        turned = jnp.maximum(solver_state, begun.square_of_turn(interval))
        return y1, None, {"y0": y0, "y1": y1}, turned, diffrax.RESULTS.promote(result)

    def _solved(self, terms, t0, t1, spins, interval: Interval):
        def improved(end, given):
            terms, t0, t1, spins, interval = given
            middle, ratio = self.middle(spins, end)
            push = terms.vf((t0 + t1) / 2, middle, t0)
            return cayley(spins, scale(ratio, push.rotation(interval)))

        begun = terms.vf(t0, spins, t0)
        tolerance = 10 * float(jnp.finfo(spins.dtype).eps) if self.tolerance is None else self.tolerance
        solution = optx.fixed_point(
            improved,
            _Iteration(rtol=0.0, atol=tolerance),
            jax.lax.stop_gradient(cayley(spins, begun.rotation(interval))),
            (terms, t0, t1, spins, interval),
            max_steps=self.iterations,
            # matrix-free: the default would write down the Jacobian, which grows with the square of the spins
            adjoint=optx.ImplicitAdjoint(lx.GMRES(rtol=tolerance, atol=tolerance)),
            throw=False,
        )
        return begun.hold(normalize(solution.value)), begun, solution.result


class ImplicitMidpoint(AbstractMidpoint):
    """S' = S + w(M) x M, M = (S + S')/2: without damping the energy of a model quadratic in the spins stays.

    Exchange, Dzyaloshinskii-Moriya, anisotropy and constant fields are quadratic; their energy is conserved to
    the tolerance of the iteration, whatever the step. M is shorter than one by a term of second order in the
    step: a field must accept it, and one that is no quadratic form conserves nothing. Four to seven fields a
    step in single precision, eight to fifteen in double (nearest-neighbour exchange K, steps 0.01/K to 0.1/K).

    `tolerance` is that of the spins between two of at most `iterations`; 10 units in the last place unless given.

    Raises `ValueError` for a tolerance that is not between 0 and 1 or no iterations; `simulate` raises `RuntimeError`
    at a step whose iteration does not converge (use a smaller one). Where the field is no quadratic form use
    `SphericalMidpoint`, and with damping `DepondtMertens`, which is faster.

    Source: d'Aquino, Serpico and Miano, J. Comput. Phys. 209, 730 (2005), doi:10.1016/j.jcp.2005.04.001.

    Example:
        >>> solver = js.dynamics.ImplicitMidpoint()
        >>> run = js.simulate(field, spins, duration=0.5, step=0.05, damping=0.0, solver=solver)
        >>> round(float(run.energy(field)[-1] - run.energy(field)[0]), 2) + 0.0
        0.0
    """

    term_structure: ClassVar = AbstractSpinSolver.term_structure

    def middle(self, start, end):
        return scale(0.5, add(start, end)), 1.0


class SphericalMidpoint(AbstractMidpoint):
    """S' = S + w(M) x M, M = (S + S')/|S + S'|: symplectic on the product of spheres for any potential.

    Without damping the energy of any smooth potential, learnt and electronic ones included, swings within a
    bound of second order in the step and does not drift. The field sees unit spins only. As many fields a step
    as `ImplicitMidpoint`, and the same `tolerance` and `iterations`. Thermal kicks sqrt(2 damping temperature step)
    must stay below 0.2 rad: at 0.3 its iteration fails for one spin in 10^7.

    Raises `ValueError` for a tolerance that is not between 0 and 1 or no iterations; `simulate` raises `RuntimeError`
    at a step whose iteration does not converge (use a smaller one). With damping `DepondtMertens` is faster.

    Source: McLachlan, Modin and Verdier, Phys. Rev. E 89, 061301 (2014), doi:10.1103/PhysRevE.89.061301.

    Example:
        >>> solver = js.dynamics.SphericalMidpoint()
        >>> run = js.simulate(field, spins, duration=0.5, step=0.05, damping=0.0, solver=solver)
        >>> round(float(jnp.linalg.norm(run.final, axis=-1).min()), 3)
        1.0
    """

    term_structure: ClassVar = AbstractSpinSolver.term_structure

    def middle(self, start, end):
        total = add(start, end)
        square = dot(total, total)
        # a vacancy has no direction, and needs none
        return normalize(total), 2 / jnp.sqrt(jnp.where(square > 0, square, 4))
