"""Differentiable dynamics of classical spins in metals.

Write down a model, get exact forces, learn them, run the learnt field on a lattice a thousand times larger, and ask for
the gradient of what came out. Importing changes no global flag, and loads a room when a name of it is first used.

Here are the names of a first week; each room has the rest: `js.textures.skyrmion`, `js.observables.topological_charge`,
`js.electrons.rashba`, `js.dynamics.Ramp`, `js.training.train_rollout`, `js.sweeps.sweep`,
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

import sys
import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxspin import classical as classical
    from jaxspin import costs as costs
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
    from jaxspin import units as units
    from jaxspin.classical import Anisotropy, DzyaloshinskiiMoriya, Exchange, Zeeman
    from jaxspin.costs import cost
    from jaxspin.descriptors import Bispectrum, LocalElectrons, LocalMoments
    from jaxspin.dynamics import Trajectory, relax, simulate, suggest_timestep
    from jaxspin.electrons import (
        BlochDiagonalization,
        ExactDiagonalization,
        GreensFunction,
        Hopping,
        KernelPolynomial,
        OrbitalModel,
        SDModel,
        WideBand,
    )
    from jaxspin.field import AbstractField, AbstractPotential
    from jaxspin.forcefield import BehlerParrinello, Committee, pretrained
    from jaxspin.lattice import Lattice, chain, cubic, honeycomb, kagome, square, triangular
    from jaxspin.loading import load
    from jaxspin.plotting import animate, plot
    from jaxspin.spins import normalize, random_spins
    from jaxspin.training import SpinData, TrainConfig, sample, train

try:
    __version__ = version("jaxspin")
except PackageNotFoundError:  # a copy of the sources that was not installed
    __version__ = "unknown"

__all__ = [
    "AbstractField",
    "AbstractPotential",
    "Anisotropy",
    "BehlerParrinello",
    "Bispectrum",
    "BlochDiagonalization",
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
    "OrbitalModel",
    "SDModel",
    "SpinData",
    "TrainConfig",
    "Trajectory",
    "WideBand",
    "Zeeman",
    "animate",
    "chain",
    "classical",
    "cost",
    "costs",
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
    "units",
]

# Where each name is. A module is loaded when a name of it is first used: with all of them an import takes seconds.
_HOMES = {
    "classical": ("Anisotropy", "DzyaloshinskiiMoriya", "Exchange", "Zeeman"),
    "costs": ("cost",),
    "descriptors": ("Bispectrum", "LocalElectrons", "LocalMoments"),
    "dynamics": ("Trajectory", "relax", "simulate", "suggest_timestep"),
    "electrons": (
        "BlochDiagonalization",
        "ExactDiagonalization",
        "GreensFunction",
        "Hopping",
        "KernelPolynomial",
        "OrbitalModel",
        "SDModel",
        "WideBand",
    ),
    "field": ("AbstractField", "AbstractPotential"),
    "forcefield": ("BehlerParrinello", "Committee", "pretrained"),
    "lattice": ("Lattice", "chain", "cubic", "honeycomb", "kagome", "square", "triangular"),
    "loading": ("load",),
    "plotting": ("animate", "plot"),
    "spins": ("normalize", "random_spins"),
    "training": ("SpinData", "TrainConfig", "sample", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

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
    if name in _HOME_OF:
        value = getattr(import_module(f"jaxspin.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    if find_spec(f"jaxspin.{name}") is not None:
        return import_module(f"jaxspin.{name}")
    if name == "scale":
        raise AttributeError(
            "jaxspin.scale is now jaxspin.devices (mesh, shard, save, load) and jaxspin.sweeps (sweep)."
        )
    if name not in _MOVED:
        raise AttributeError(f"jaxspin has no {name!r}; see dir(jaxspin), or the rooms it names in help(jaxspin).")
    room, _, new = _MOVED[name].partition(".")
    warnings.warn(f"jaxspin.{name} is now jaxspin.{room}.{new or name}.", DeprecationWarning, stacklevel=2)
    return getattr(import_module(f"jaxspin.{room}"), new or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "pdoc" in sys.modules:  # it takes names from the dictionary of a module, and asks for none
    for _name in __all__:
        __getattr__(_name)
