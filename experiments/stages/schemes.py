"""The integrators that are compared."""

from typing import Any

from jaxspin.dynamics import (
    DepondtMertens,
    ImplicitMidpoint,
    ProjectedHeun,
    ProjectedTsit5,
    SemiImplicit,
    SphericalMidpoint,
)

EXPLICIT: tuple[Any, ...] = (ProjectedHeun(), DepondtMertens(), SemiImplicit())
IMPLICIT: tuple[Any, ...] = (SphericalMidpoint(), ImplicitMidpoint())
# those that take noise
STOCHASTIC = (*EXPLICIT, *IMPLICIT)
SOLVERS = (*STOCHASTIC, ProjectedTsit5())


def name_of(solver: Any) -> str:
    """For tables."""
    return type(solver).__name__
