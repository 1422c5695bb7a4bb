"""Differentiable dynamics of classical spins in metals.

Write down a model, get exact forces, learn them, run the learnt field on a lattice a thousand times larger, and ask for
the gradient of what came out. Importing changes no global flag.
"""

from importlib.metadata import version

from jaxspin import devices, sweeps
from jaxspin.classical import Anisotropy, DzyaloshinskiiMoriya, Exchange, Zeeman
from jaxspin.descriptors import AtFilling, Bispectrum, LocalElectrons, LocalMoments, NearEnds
from jaxspin.dynamics import Leaves, Relaxed, Trajectory, relax, simulate, suggest_timestep
from jaxspin.electrons import (
    Coloring,
    Crystal,
    ExactDiagonalization,
    ExactTrace,
    GreensFunction,
    Hopping,
    KernelPolynomial,
    SDModel,
    WideBand,
    bloch_energy,
)
from jaxspin.field import AbstractField, AbstractPotential
from jaxspin.forcefield import BehlerParrinello, Committee, GeneralizedPotential, pretrained
from jaxspin.forcefield import load as load_forcefield
from jaxspin.forcefield import save as save_forcefield
from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.loading import load
from jaxspin.plotting import plot
from jaxspin.spins import normalize, random_spins, rotate, tangent
from jaxspin.textures import (
    domain_wall,
    double_q,
    ferromagnet,
    neel,
    one_hundred_twenty,
    skyrmion,
    spiral,
    stripe,
    tetrahedral,
)
from jaxspin.torques import SpinOrbitTorque, SpinTransferTorque
from jaxspin.training import (
    Learnt,
    RolloutConfig,
    RolloutData,
    SpinData,
    TrainConfig,
    sample,
    train,
    train_committee,
    train_rollout,
)

__version__ = version("jaxspin")

__all__ = [
    "AbstractField",
    "AbstractPotential",
    "Anisotropy",
    "AtFilling",
    "BehlerParrinello",
    "Bispectrum",
    "Coloring",
    "Committee",
    "Crystal",
    "DzyaloshinskiiMoriya",
    "ExactDiagonalization",
    "ExactTrace",
    "Exchange",
    "GeneralizedPotential",
    "GreensFunction",
    "Hopping",
    "KernelPolynomial",
    "Lattice",
    "Learnt",
    "Leaves",
    "LocalElectrons",
    "LocalMoments",
    "NearEnds",
    "Relaxed",
    "RolloutConfig",
    "RolloutData",
    "SDModel",
    "SpinData",
    "SpinOrbitTorque",
    "SpinTransferTorque",
    "TrainConfig",
    "Trajectory",
    "WideBand",
    "Zeeman",
    "bloch_energy",
    "chain",
    "cubic",
    "devices",
    "domain_wall",
    "double_q",
    "ferromagnet",
    "honeycomb",
    "kagome",
    "load",
    "load_forcefield",
    "neel",
    "normalize",
    "one_hundred_twenty",
    "plot",
    "pretrained",
    "random_spins",
    "relax",
    "rotate",
    "sample",
    "save_forcefield",
    "simulate",
    "skyrmion",
    "spiral",
    "square",
    "stripe",
    "suggest_timestep",
    "sweeps",
    "tangent",
    "tetrahedral",
    "train",
    "train_committee",
    "train_rollout",
    "triangular",
]
