"""Spins in time: the Landau-Lifshitz-Gilbert equation on diffrax, thermal noise, and relaxation."""

from jaxspin.classical.profiles import Constant as Constant
from jaxspin.classical.profiles import Exponential as Exponential
from jaxspin.classical.profiles import Quench as Quench
from jaxspin.classical.profiles import Ramp as Ramp
from jaxspin.dynamics.events import Leaves as Leaves
from jaxspin.dynamics.events import Relaxed as Relaxed
from jaxspin.dynamics.implicit import ImplicitMidpoint as ImplicitMidpoint
from jaxspin.dynamics.implicit import SphericalMidpoint as SphericalMidpoint
from jaxspin.dynamics.llg import LLG as LLG
from jaxspin.dynamics.llg import Clock as Clock
from jaxspin.dynamics.llg import Interval as Interval
from jaxspin.dynamics.llg import Push as Push
from jaxspin.dynamics.noise import StepNoise as StepNoise
from jaxspin.dynamics.relax import Relaxation as Relaxation
from jaxspin.dynamics.relax import relax as relax
from jaxspin.dynamics.simulate import simulate as simulate
from jaxspin.dynamics.solvers import (
    AbstractSpinSolver as AbstractSpinSolver,
)
from jaxspin.dynamics.solvers import (
    DepondtMertens as DepondtMertens,
)
from jaxspin.dynamics.solvers import (
    ProjectedHeun as ProjectedHeun,
)
from jaxspin.dynamics.solvers import (
    ProjectedTsit5 as ProjectedTsit5,
)
from jaxspin.dynamics.solvers import (
    SemiImplicit as SemiImplicit,
)
from jaxspin.dynamics.timestep import suggest_timestep as suggest_timestep
from jaxspin.dynamics.trajectory import Trajectory as Trajectory
