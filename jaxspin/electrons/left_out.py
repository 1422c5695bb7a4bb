"""Warnings of what a model made from files leaves out, and of spins that point the other way."""

import warnings
from collections.abc import Sequence

import numpy as np

from jaxspin.io.wannier_parts import ModelParts
from jaxspin.warned import caller

# eV, or the model's unit; a splitting below it on atoms without a spin is not worth a word.
_LEFT_OUT = 0.05


def warn_of_left_out(largest: float, unit: str) -> None:
    """Where a model is made without splittings that no spin turns; for the one who called what calls this."""
    if largest > _LEFT_OUT:
        warnings.warn(
            f"a splitting of {largest:.2g} {unit} between orbitals of atoms without a spin is left out; give these "
            "atoms a spin (magnetic= of files, else owners), or accept it where it matters little.",
            stacklevel=caller(),
        )


def warn_of_the_rest(parts: ModelParts) -> None:
    """Where a file with spin-orbit coupling has more than spins turn; for the one who called what calls this."""
    if max(parts.across, parts.currents) > _LEFT_OUT:
        warnings.warn(
            f"up to {parts.across:.2g} eV of splitting across {parts.axis.round(3).tolist()} and {parts.currents:.2g} "
            "eV of spin-independent currents, which time reversal changes too, are left out, and levels move by up to "
            "about that; give the axis of the spins as axis=, or accept it where it matters little.",
            stacklevel=caller(),
        )


def warn_of_minority(parts: ModelParts, names: Sequence[str], is_collinear: bool) -> None:
    """Where spins along z, or the axis, are not the majority of an atom; for the one who called what calls this."""
    diagonal, owners = np.real(np.diagonal(parts.exchange)), np.array([-1 if o is None else o for o in parts.owners])
    traces = [float(np.sum(diagonal[owners == atom])) for atom in range(len(names))]
    against = [f"{name} ({trace:.2g} eV)" for name, trace in zip(names, traces, strict=True) if trace < 0]
    if against:
        turned = "the first file holds the minority spin; swap the two" if is_collinear else "give axis= turned over"
        along = "z" if is_collinear else parts.axis.round(3).tolist()
        remedy = (
            turned
            if len(against) == len(names)
            else f"their spins point against their moments, and all spins along {along} are the magnet of the files"
        )
        warnings.warn(f"M has a negative trace on {', '.join(against)}: {remedy}.", stacklevel=caller())
