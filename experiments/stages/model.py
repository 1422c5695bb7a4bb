"""Settings of the electrons and of the motion of the spins, and the named textures by name."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jax

import jaxspin as js
from experiments.stages.checks import check_counts, check_positive
from jaxspin.lattice import Lattice

Texture = Literal["ferromagnet", "neel", "stripe", "one_hundred_twenty", "tetrahedral", "double_q"]


@dataclasses.dataclass(frozen=True)
class Electrons:
    """The s-d model H = -t sum c+_i c_j - J sum S_i . c+ sigma c at fixed filling. Energies in units of t."""

    lattice: Literal["triangular", "square"] = "triangular"
    """On which lattice, with hopping between nearest neighbours."""
    coupling: float = 3.0
    """J of the s-d model."""
    filling: float = 0.25
    """Electrons per spin-orbital."""
    temperature: float = 0.05
    """Fermi temperature of the electrons."""

    def __post_init__(self):
        if not 0 < self.filling < 1:
            raise ValueError(f"filling counts electrons per spin-orbital, got {self.filling}; 0.5 is half filling.")
        if not self.temperature > 0:
            raise ValueError(f"the electrons need a positive temperature, got {self.temperature}; 0.05 is usual.")

    def on(self, side: int) -> Lattice:
        """The periodic lattice of `side` x `side` cells."""
        return (js.triangular if self.lattice == "triangular" else js.square)(side)

    def exact(self, side: int) -> js.ExactDiagonalization:
        """The field by exact diagonalization."""
        model = js.SDModel(self.on(side), 1.0, self.coupling)
        return js.ExactDiagonalization(model, filling=self.filling, temperature=self.temperature)

    def kernel_polynomial(self, side: int, colors: int) -> js.KernelPolynomial:
        """The field by kernel polynomials with `colors` probing colours, to 1e-2."""
        return js.KernelPolynomial(
            js.SDModel(self.on(side), 1.0, self.coupling),
            filling=self.filling,
            temperature=self.temperature,
            probes=js.electrons.Coloring(colors),
            tolerance=1e-2,
        )


@dataclasses.dataclass(frozen=True)
class Dynamics:
    """How the spins move: Landau-Lifshitz-Gilbert; a bath, if there is one, is set apart."""

    damping: float = 0.5
    """Gilbert damping."""
    step: float = 0.5
    """Time step, in hbar over the unit of energy."""

    def __post_init__(self):
        if not self.step > 0:
            raise ValueError(f"the time step must be positive, got {self.step}; 0.5 is usual.")
        if not self.damping >= 0:
            raise ValueError(f"damping must not be negative, got {self.damping}; 0.5 is usual.")

    def at(self, temperature: float) -> "Motion":
        """The same in a bath of this temperature."""
        return Motion(self.damping, self.step, temperature)


@dataclasses.dataclass(frozen=True)
class Motion(Dynamics):
    """How the spins move: stochastic Landau-Lifshitz-Gilbert at constant temperature."""

    temperature: float = 0.001
    """Of the bath the spins are coupled to."""

    def __post_init__(self):
        super().__post_init__()
        if not self.temperature >= 0:
            raise ValueError(f"temperature must not be negative, got {self.temperature}; 0.001 is usual.")


@dataclasses.dataclass(frozen=True)
class Quench:
    """How large a quench is."""

    side: int
    """Side of the lattice."""
    duration: float
    """Length, in hbar over the unit of energy."""
    frames: int
    """Configurations kept of it."""

    def __post_init__(self):
        check_counts(self, "frames")
        check_positive(self, "duration")
        if self.side < 0:
            raise ValueError(f"the side of a lattice is not negative, got {self.side}; see --help for the default.")


def textures_on(lattice: Lattice, names: Sequence[Texture]) -> dict[str, jax.Array]:
    """The named textures; `ValueError` naming the size that fits where one does not close around the lattice."""
    return {name: getattr(js.textures, name)(lattice) for name in names}
