"""The equation of motion and its solvers with spins held as three planes, `(3, *cells, sublattices)`, between steps.

Components that lie three to a site are read and written in strides, which costs more than the arithmetic of a step.
"""

from collections.abc import Callable
from typing import ClassVar

import diffrax
import equinox as eqx
from jaxtyping import Array, Float

from jaxspin.arrays.vectors import components, of_planes, planes, stacked
from jaxspin.dynamics.llg import LLG, Interval, Push
from jaxspin.dynamics.solvers import AbstractSpinSolver


class Apart(eqx.Module):
    """An interval with the components of its Brownian increment held apart.

    diffrax multiplies every array of a control by the direction of time. Of components side by side, that product
    would be written to memory, and every loop of the step would read it in strides.
    """

    time: Float[Array, ""]
    wiener: tuple[Array, Array, Array] | None
    bounded: bool = eqx.field(static=True)

    @staticmethod
    def of(interval: Interval) -> "Apart":
        wiener = None if interval.wiener is None else components(interval.wiener)
        return Apart(interval.time, wiener, interval.bounded)

    def together(self) -> Interval:
        return Interval(self.time, None if self.wiener is None else stacked(self.wiener), self.bounded)


class PlanarTerm(diffrax.AbstractTerm):
    """The term of spins, for a state in planes."""

    inner: LLG

    def vf(self, t, y, args) -> Push:
        return self.inner.vf(t, of_planes(y), args)

    def contr(self, t0, t1, **kwargs) -> Apart:
        return Apart.of(self.inner.contr(t0, t1, **kwargs))

    def prod(self, vf: Push, control: Apart):
        return planes(self.inner.prod(vf, control.together()))


class _OfSpins(diffrax.AbstractTerm):
    """A term for a state in planes (diffrax wraps it in others of its own), for spins again."""

    planar: diffrax.AbstractTerm

    def vf(self, t, y, args) -> Push:
        return self.planar.vf(t, planes(y), args)

    def contr(self, t0, t1, **kwargs) -> Interval:
        return self.planar.contr(t0, t1, **kwargs).together()

    def prod(self, vf: Push, control: Interval):
        return of_planes(self.planar.prod(vf, Apart.of(control)))


class PlanarSolver(diffrax.AbstractStratonovichSolver):
    """The steps of a solver of spins, for a state in planes."""

    inner: AbstractSpinSolver
    term_structure: ClassVar = PlanarTerm
    interpolation_cls: ClassVar[Callable[..., diffrax.LocalLinearInterpolation]] = diffrax.LocalLinearInterpolation

    def order(self, terms):
        return self.inner.order(_OfSpins(terms))

    def strong_order(self, terms):
        return self.inner.strong_order(_OfSpins(terms))

    def init(self, terms, t0, t1, y0, args):
        return self.inner.init(_OfSpins(terms), t0, t1, of_planes(y0), args)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        spins = of_planes(y0)
        spins, error, _, state, result = self.inner.step(_OfSpins(terms), t0, t1, spins, args, solver_state, made_jump)
        y1 = planes(spins)
        return y1, error, {"y0": y0, "y1": y1}, state, result

    def func(self, terms, t0, y0, args):
        return planes(self.inner.func(_OfSpins(terms), t0, of_planes(y0), args))
