"""Differentiable dynamics of classical spins in metals.

Write down a model, get exact forces, learn them, run the learnt field on a lattice a thousand times larger, and ask for
the gradient of what came out. Importing changes no global flag.

Here are the names of a first week; each room has the rest: `js.textures.skyrmion`, `js.observables.topological_charge`,
`js.electrons.BlochDiagonalization`, `js.dynamics.Ramp`, `js.training.train_rollout`, `js.sweeps.sweep`,
`js.devices.mesh`, `js.torques.SpinTransferTorque`, `js.io.load_ovf`, `js.plotting.plot_map`.

The examples of all docstrings start from these lines, with `tmp_path` an empty folder (`pathlib.Path`):

    import jax
    import jax.numpy as jnp
    import numpy as np
    import jaxspin as js

    lattice = js.square(4)
    spins = js.random_spins(lattice, key=jax.random.key(0))
    field = js.Exchange(lattice, 1.0)
"""

import warnings
from importlib.metadata import version
from typing import Any

from jaxspin import classical as classical
from jaxspin import descriptors as descriptors
from jaxspin import devices as devices
from jaxspin import dynamics as dynamics
from jaxspin import electrons as electrons
from jaxspin import forcefield as forcefield
from jaxspin import io as io
from jaxspin import observables as observables
from jaxspin import plotting as plotting
from jaxspin import problems as problems
from jaxspin import spins as spins
from jaxspin import sweeps as sweeps
from jaxspin import symmetry as symmetry
from jaxspin import testing as testing
from jaxspin import textures as textures
from jaxspin import torques as torques
from jaxspin import training as training
from jaxspin.classical import Anisotropy, DzyaloshinskiiMoriya, Exchange, Zeeman
from jaxspin.descriptors import Bispectrum, LocalElectrons, LocalMoments
from jaxspin.dynamics import Trajectory, relax, simulate, suggest_timestep
from jaxspin.electrons import ExactDiagonalization, GreensFunction, Hopping, KernelPolynomial, SDModel, WideBand
from jaxspin.field import AbstractField, AbstractPotential
from jaxspin.forcefield import BehlerParrinello, Committee, pretrained
from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular
from jaxspin.loading import load
from jaxspin.plotting import plot
from jaxspin.spins import normalize, random_spins
from jaxspin.training import SpinData, TrainConfig, sample, train

__version__ = version("jaxspin")

__all__ = [
    "AbstractField",
    "AbstractPotential",
    "Anisotropy",
    "BehlerParrinello",
    "Bispectrum",
    "Committee",
    "DzyaloshinskiiMoriya",
    "ExactDiagonalization",
    "Exchange",
    "GreensFunction",
    "Hopping",
    "KernelPolynomial",
    "Lattice",
    "LocalElectrons",
    "LocalMoments",
    "SDModel",
    "SpinData",
    "TrainConfig",
    "Trajectory",
    "WideBand",
    "Zeeman",
    "chain",
    "classical",
    "cubic",
    "descriptors",
    "devices",
    "dynamics",
    "electrons",
    "forcefield",
    "honeycomb",
    "io",
    "kagome",
    "load",
    "normalize",
    "observables",
    "plot",
    "plotting",
    "pretrained",
    "problems",
    "random_spins",
    "relax",
    "sample",
    "simulate",
    "spins",
    "square",
    "suggest_timestep",
    "sweeps",
    "symmetry",
    "testing",
    "textures",
    "torques",
    "train",
    "training",
    "triangular",
]

# Names that were here, and the room that has them.
_MOVED = {
    "AtFilling": "descriptors",
    "Coloring": "electrons",
    "Crystal": "electrons",
    "ExactTrace": "electrons",
    "GeneralizedPotential": "forcefield",
    "Learnt": "training",
    "Leaves": "dynamics",
    "NearEnds": "descriptors",
    "Relaxed": "dynamics",
    "RolloutConfig": "training",
    "RolloutData": "training",
    "SpinOrbitTorque": "torques",
    "SpinTransferTorque": "torques",
    "bloch_energy": "electrons",
    "domain_wall": "textures",
    "double_q": "textures",
    "ferromagnet": "textures",
    "load_forcefield": "forcefield.load",
    "neel": "textures",
    "one_hundred_twenty": "textures",
    "rotate": "spins",
    "save_forcefield": "forcefield.save",
    "skyrmion": "textures",
    "spiral": "textures",
    "stripe": "textures",
    "tangent": "spins",
    "tetrahedral": "textures",
    "train_committee": "training",
    "train_rollout": "training",
}


def __getattr__(name: str) -> Any:
    if name == "scale":
        raise AttributeError(
            "jaxspin.scale is now jaxspin.devices (mesh, shard, save, load) and jaxspin.sweeps (sweep)."
        )
    if name not in _MOVED:
        raise AttributeError(f"jaxspin has no {name!r}; see dir(jaxspin), or the rooms it names in help(jaxspin).")
    room, _, new = _MOVED[name].partition(".")
    warnings.warn(f"jaxspin.{name} is now jaxspin.{room}.{new or name}.", DeprecationWarning, stacklevel=2)
    return getattr(globals()[room], new or name)
