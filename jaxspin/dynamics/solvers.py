"""diffrax solvers for unit spins `(*cells, sublattices, 3)`, driven by the term `jaxspin.dynamics.llg.LLG`.

`DepondtMertens` (the default), `SemiImplicit` and `ProjectedHeun` take two fields a step, are of second order
without noise, and use one noise increment for both stages, so they converge to the Stratonovich solution.
`ProjectedTsit5` is of fifth order with an error estimate, for zero temperature.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxspin.arrays.vectors import add, cross, dot, scale, settled
from jaxspin.dynamics.llg import LLG, Interval, Push
from jaxspin.spins import normalize, retract


def _rate(terms, t0, y0, args):
    """dS/dt in solver time, without noise."""
    return terms.vf(t0, y0, args)(Interval(terms.contr(t0, t0 + 1).time, None))


class StepInterpolation(diffrax.AbstractLocalInterpolation):
    """The states at both ends of a step exactly, and the normalized chord between them."""

    # the checkers believe these to be class variables, as diffrax tells them for its abstract attributes
    t0: Float[Array, ""]  # pyright: ignore[reportIncompatibleVariableOverride]
    t1: Float[Array, ""]  # pyright: ignore[reportIncompatibleVariableOverride]
    y0: Float[Array, "..."]
    y1: Float[Array, "..."]

    def evaluate(self, t0, t1=None, left=True):
        if t1 is not None:
            return self.evaluate(t1) - self.evaluate(t0)
        between = normalize(self.y0 + (t0 - self.t0) / (self.t1 - self.t0) * (self.y1 - self.y0))
        return jnp.where(t0 >= self.t1, self.y1, jnp.where(t0 <= self.t0, self.y0, between))


class AbstractSpinSolver(diffrax.AbstractStratonovichSolver):
    """The base of solvers with two fields and one noise increment a step: a new scheme defines `move` alone.

    The solver's state is the square of the largest angle by which the field has turned a spin in a step so far.
    `phase_error` is what a scheme errs by: it sets when `simulate` warns of a step that is too long. Solvers refuse
    nothing themselves: `simulate` raises `ValueError` for one that does not take the noise or the step asked for, and
    `RuntimeError` where a step turns a spin by more than half a turn.

    Example:
        >>> isinstance(js.dynamics.DepondtMertens(), js.dynamics.AbstractSpinSolver)
        True
    """

    term_structure: ClassVar = LLG
    interpolation_cls: ClassVar[Callable[..., StepInterpolation]] = StepInterpolation
    # the phase error, in radians, of one radian of small waves, over the square of the angle turned in a step
    phase_error: ClassVar[float] = 1 / 6

    @abc.abstractmethod
    def move(self, terms, t0, t1, spins, interval: Interval) -> tuple[Float[Array, "..."], Push]:
        """The spins at `t1`, and the push at `t0`.

        Every `terms.vf` gets `t0` as args, so a field's own key is that of the step.
        """

    def advance(self, terms, t0, t1, spins, interval: Interval) -> Float[Array, "..."]:
        """The spins at `t1`."""
        return self.move(terms, t0, t1, spins, interval)[0]

    def order(self, terms):
        return 2

    def strong_order(self, terms):
        # the noise acts through rotations about three axes, which do not commute
        return 0.5

    def init(self, terms, t0, t1, y0, args) -> Float[Array, ""]:
        return jnp.zeros((), y0.dtype)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump) -> tuple[Any, None, dict[str, Any], Array, Any]:
        interval = terms.contr(t0, t1)
        y1, begun = self.move(terms, t0, t1, y0, interval)
        turned = jnp.maximum(solver_state, begun.square_of_turn(interval))
        return y1, None, {"y0": y0, "y1": y1}, turned, diffrax.RESULTS.successful

    def func(self, terms, t0, y0, args):
        return _rate(terms, t0, y0, args)


class ProjectedHeun(AbstractSpinSolver):
    """Heun's predictor and corrector, both normalized: S' = norm(S + (dS(S) + dS(norm(S + dS(S))))/2).

    The cheapest arithmetic. Where a spin precesses by an angle theta a step, its frequency is wrong by up to theta^2/6,
    even in a constant field. Prefer `DepondtMertens` unless the field costs nothing. With thermal noise too, at a fixed
    step; `simulate` raises `ValueError` for adaptive ones.

    Source: J. L. Garcia-Palacios and F. J. Lazaro, Phys. Rev. B 58, 14937 (1998), doi:10.1103/PhysRevB.58.14937, with
    the projection added.

    Example:
        >>> run = js.simulate(field, spins, duration=0.5, step=0.05, solver=js.dynamics.ProjectedHeun())
        >>> run.final.shape
        (4, 4, 1, 3)
    """

    def move(self, terms, t0, t1, spins, interval: Interval):
        start = terms.vf(t0, spins, t0)
        first = start(interval)
        predicted = start.hold(normalize(add(spins, first)))
        second = terms.vf(t1, predicted, t0)(interval)
        return start.hold(normalize(add(spins, scale(0.5, add(first, second))))), start


class DepondtMertens(AbstractSpinSolver):
    """Predict by a rotation about the local field, then rotate by the mean of both ends' rotation vectors.

    w = -(b - a S x b)/(1 + a^2);  P = exp([w(S)]x) S;  S' = exp([(w(S) + w(P))/2]x) S. A rotation does not change the
    length of a spin, and undamped precession in a constant field is exact. S' is normalized all the same, since the
    rounding of millions of rotations would add up. The default, with thermal noise too, at a fixed step; `simulate`
    raises `ValueError` for adaptive ones: use `ProjectedTsit5`. For undamped runs of many periods use
    `SphericalMidpoint`.

    Source: Depondt and Mertens, J. Phys.: Condens. Matter 21, 336005 (2009),
    doi:10.1088/0953-8984/21/33/336005.

    Example:
        >>> start = jnp.broadcast_to(jnp.array([1.0, 0.0, 0.0]), spins.shape)
        >>> turning, solver = js.Zeeman((0.0, 0.0, jnp.pi)), js.dynamics.DepondtMertens()
        >>> run = js.simulate(turning, start, duration=1.0, step=0.05, damping=0.0, solver=solver)
        >>> [round(float(s), 3) + 0.0 for s in run.final[0, 0, 0]]
        [-1.0, 0.0, 0.0]
    """

    def move(self, terms, t0, t1, spins, interval: Interval):
        start = terms.vf(t0, spins, t0)
        first = settled(start.rotation(interval))
        second = terms.vf(t1, retract(spins, first), t0).rotation(interval)
        return start.hold(normalize(retract(spins, settled(scale(0.5, add(first, second)))))), start


class SemiImplicit(AbstractSpinSolver):
    """Two implicit midpoint steps with the rotation vector given explicitly, each solved in closed form.

    P = S + w(S) x (S + P)/2;  S' = S + w(M) x (S + S')/2 with M = (S + P)/2. Each is a Cayley rotation, which does not
    change the length of a spin. S' is normalized all the same, since the rounding of millions of rotations would add
    up. M is shorter than one by a term of second order in the step, and the field gets it so: with M normalized the
    energy of undamped exchange would drift 50 times faster. With thermal noise too, at a fixed step; `simulate` raises
    `ValueError` for adaptive ones. A field that must see unit spins wants `DepondtMertens`.

    Source: Mentink, Tretyakov, Fasolino, Katsnelson and Rasing, J. Phys.: Condens. Matter 22, 176001 (2010),
    doi:10.1088/0953-8984/22/17/176001, scheme SIB.

    Example:
        >>> run = js.simulate(field, spins, duration=0.5, step=0.05, solver=js.dynamics.SemiImplicit())
        >>> run.final.shape
        (4, 4, 1, 3)
    """

    phase_error: ClassVar[float] = 1 / 12

    def move(self, terms, t0, t1, spins, interval: Interval):
        start = terms.vf(t0, spins, t0)
        predicted = cayley(spins, settled(start.rotation(interval)))
        middle = start.hold(scale(0.5, add(spins, predicted)))
        rotation = settled(terms.vf((t0 + t1) / 2, middle, t0).rotation(interval))
        return start.hold(normalize(settled(cayley(spins, rotation)))), start


def cayley(spins, rotation):
    """X with X = S + w x (S + X)/2: a rotation about w by 2 arctan(|w|/2)."""
    half = scale(0.5, rotation)
    turn = cross(half, spins)
    return add(spins, scale(2 / (1 + dot(half, half)), add(turn, cross(half, turn))))


def _ode(terms) -> diffrax.ODETerm:
    """The same equation with an array as its vector field, as Runge-Kutta solvers need it."""
    return diffrax.ODETerm(lambda t, y, args: _rate(terms, t, y, args))


def _on_the_sphere(start, spins):
    """`spins` normalized; unchanged to the last bit where they are those of `start`."""
    return jnp.where(jnp.any(spins != start, axis=-1, keepdims=True), normalize(spins), spins)


class ProjectedTsit5Interpolation(diffrax.AbstractLocalInterpolation):
    """The interpolation of Tsit5, brought back to the sphere."""

    # the checkers believe these to be class variables, as diffrax tells them for its abstract attributes
    t0: Float[Array, ""]  # pyright: ignore[reportIncompatibleVariableOverride]
    t1: Float[Array, ""]  # pyright: ignore[reportIncompatibleVariableOverride]
    y0: Float[Array, "..."]
    y1: Float[Array, "..."]
    k: Float[Array, "..."]

    def evaluate(self, t0, t1=None, left=True):
        if t1 is not None:
            return self.evaluate(t1) - self.evaluate(t0)
        chord = diffrax.Tsit5.interpolation_cls(t0=self.t0, t1=self.t1, y0=self.y0, y1=self.y1, k=self.k)
        return jnp.where(t0 >= self.t1, self.y1, _on_the_sphere(self.y0, chord.evaluate(t0)))


class ProjectedTsit5(diffrax.AbstractAdaptiveSolver):
    """Tsitouras' 5(4) pair, brought back to the sphere at the end of every step; six fields a step.

    The solver of `simulate(step="adaptive")`, which takes a fixed step as well.

    Raises `ValueError` for thermal noise; use one of the other solvers and a fixed step.

    Source: Tsitouras, Comput. Math. Appl. 62, 770 (2011), doi:10.1016/j.camwa.2011.06.002.

    Example:
        >>> run = js.simulate(field, spins, duration=0.5, step="adaptive", solver=js.dynamics.ProjectedTsit5())
        >>> run.final.shape, bool(run.solved.all())
        ((4, 4, 1, 3), True)
    """

    # "bounded" can be differentiated in both modes
    inner: diffrax.Tsit5 = diffrax.Tsit5(scan_kind="bounded")
    term_structure: ClassVar = LLG
    interpolation_cls: ClassVar[Callable[..., ProjectedTsit5Interpolation]] = ProjectedTsit5Interpolation

    def order(self, terms):
        return 5

    def init(self, terms, t0, t1, y0, args):
        if terms.contr(t0, t1).wiener is not None:
            raise ValueError(
                "ProjectedTsit5 does not take thermal noise; use DepondtMertens(), SemiImplicit() or ProjectedHeun()."
            )
        return self.inner.init(_ode(terms), t0, t1, y0, args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        y1, error, dense, state, result = self.inner.step(_ode(terms), t0, t1, y0, args, solver_state, made_jump)
        y1 = _on_the_sphere(y0, y1)
        return y1, error, {**dense, "y1": y1}, state, result

    def func(self, terms, t0, y0, args):
        return _rate(terms, t0, y0, args)
