"""Files: trajectories in Zarr, snapshots in OVF and VTK, run folders, and what a run says about itself; real crystals.

Spins are `(*cells, sublattices, 3)`, a trajectory `(frames, *cells, sublattices, 3)`; nothing here overwrites
or appends unless asked.
"""

from typing import Any

from jaxspin import renamed
from jaxspin.io.examples import example
from jaxspin.io.exchange import ExchangePairs
from jaxspin.io.exchange_files import read_exchange
from jaxspin.io.exchange_writers import save_spirit, save_uppasd, save_vampire
from jaxspin.io.ovf import load_ovf, save_ovf
from jaxspin.io.records import load_json, new_folder, provenance, save_json, to_json
from jaxspin.io.resumable import load_or_make, load_or_make_each, whole_file
from jaxspin.io.store import lattice_of
from jaxspin.io.trajectory import TrajectoryWriter, load_trajectory, save_trajectory
from jaxspin.io.vtk import save_vtk
from jaxspin.io.wannier import BandPath, WannierHamiltonian
from jaxspin.io.wannier90 import read_wannier90

__all__ = [
    "BandPath",
    "ExchangePairs",
    "TrajectoryWriter",
    "WannierHamiltonian",
    "example",
    "lattice_of",
    "load_json",
    "load_or_make",
    "load_or_make_each",
    "load_ovf",
    "load_trajectory",
    "new_folder",
    "provenance",
    "read_exchange",
    "read_wannier90",
    "save_json",
    "save_ovf",
    "save_spirit",
    "save_trajectory",
    "save_uppasd",
    "save_vampire",
    "save_vtk",
    "to_json",
    "whole_file",
]


def __getattr__(name: str) -> Any:
    if name != "kept":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; see dir({__name__}).")
    renamed.warn("jaxspin.io.kept", "jaxspin.io.load_or_make")
    return load_or_make
