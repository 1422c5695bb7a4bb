"""What the benchmark of an accelerator is told."""

import dataclasses
import math

from experiments.benchmarks.kinds import MAKERS
from experiments.benchmarks.report import Report

NAMES = ("machine", "fields", "agreement", "dynamics", "electrons", "exact", "training", "batches")


@dataclasses.dataclass(frozen=True)
class Config(Report):
    """What to measure, and for how long."""

    minutes: float = 10.0
    """For everything; what is left out then is named, and a run with --resume measures it."""
    sections: tuple[str, ...] = NAMES
    """Which of machine, fields, agreement, dynamics, electrons, exact, training, batches."""
    kinds: tuple[str, ...] = tuple(MAKERS)
    """Kinds of fields, of which there are fields and agreement."""
    sizes: tuple[int, ...] = (64, 256, 1024, 4096)
    """Sides of the lattices of the fields, small ones first."""
    longest: float = 20.0
    """Seconds of the longest call that is tried, as the size before it lets expect."""
    seed: int = 0
    """Of spins and weights."""
    commit: str = ""
    """That of the code, for machines without its repository."""
    triad: int = 2**27
    """Numbers in each array of the triad that measures the bandwidth."""
    matrices: tuple[int, ...] = (2048, 8192)
    """Sides of the matrices whose products measure the rate of arithmetic."""
    agreement: int = 24
    """Side of the lattices on which fields are compared with double precision on the CPU."""
    quenched: tuple[str, ...] = ("exchange", "exchange-dmi-anisotropy", "triangular-120", "triangular-tetrahedral-fast")
    """Kinds of fields that run the dynamics."""
    spin_steps: float = 1e9
    """Of each run with a classical field; one with a learnt field makes a hundredth of them."""
    electrons: tuple[int, ...] = (64, 256, 1024)
    """Sides of the lattices of the kernel polynomials."""
    colors: int = 64
    """Their probing colours; twice as many columns."""
    widths: tuple[int, ...] = (0, 16, 32, 64)
    """Columns that they take at once; 0 takes all."""
    exact: tuple[int, ...] = (16, 24, 32, 40)
    """Sides of the lattices of exact diagonalization."""
    trained: tuple[str, ...] = ("bispectrum", "local-moments", "message-passing")
    """Kinds of models that are trained."""
    training_side: int = 24
    """Side of the lattices that they learn from."""
    training_steps: int = 20
    """Optimizer steps between two looks at the clock; the first of 5 looks comes after compiling."""
    batches: tuple[int, ...] = (1, 16, 256, 4096)
    """Numbers of lattices computed at once."""
    batch_side: int = 12
    """Side of each of them."""
    smoke: bool = False
    """Toy sizes, to see that it runs; the numbers mean nothing."""
    overwrite: bool = False
    """Replace the output of an earlier run."""
    resume: bool = False
    """Go on in the output of a run with the same settings, with what failed in it and what it had no time for."""

    def __post_init__(self):
        for name, known in (("sections", NAMES), ("kinds", MAKERS), ("quenched", MAKERS), ("trained", MAKERS)):
            if unknown := sorted(set(getattr(self, name)) - set(known)):
                raise ValueError(f"{name} {', '.join(unknown)} are unknown; choose from {', '.join(known)}.")
        for name in ("minutes", "longest", "spin_steps", "repeats", "triad", "colors", "training_steps"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}; see --help for the default.")
        sides = (*self.sizes, *self.electrons, *self.exact, self.agreement, self.training_side, self.batch_side)
        if min(sides) < 4 or min((*self.matrices, *self.batches, *(w + 1 for w in self.widths)), default=1) < 1:
            raise ValueError(f"lattices need sides of at least 4, got {min(sides)}, and all else 1; see --help.")


def smoke_size(config: Config) -> Config:
    """The same in seconds, with the kinds that compile fast."""
    learnt = "bispectrum-of-bonds"
    return dataclasses.replace(
        config,
        kinds=("exchange-dmi-anisotropy", learnt),
        sizes=(8,),
        triad=2**14,
        matrices=(64,),
        agreement=8,
        quenched=("exchange",),
        spin_steps=640.0,
        electrons=(8,),
        colors=4,
        widths=(4,),
        exact=(4,),
        trained=(learnt,),
        training_side=6,
        training_steps=1,
        batches=(2,),
        batch_side=6,
        repeats=2,
    )
