"""Nonequilibrium Green's functions: electrons in a channel between leads, with a current through it."""

from jaxspin.electrons.negf.crystals import Crystal, MagneticCrystal
from jaxspin.electrons.negf.hartree import Hartree, SelfConsistent, screened_coulomb
from jaxspin.electrons.negf.leads import AbstractLead, WideBand
from jaxspin.electrons.negf.matrix_lead import MatrixLead
from jaxspin.electrons.negf.model_crystals import ModelCrystal
from jaxspin.electrons.negf.modes import WideBandModes
from jaxspin.electrons.negf.solver import GreensFunction

__all__ = [
    "AbstractLead",
    "Crystal",
    "GreensFunction",
    "Hartree",
    "MagneticCrystal",
    "MatrixLead",
    "ModelCrystal",
    "SelfConsistent",
    "WideBand",
    "WideBandModes",
    "screened_coulomb",
]
