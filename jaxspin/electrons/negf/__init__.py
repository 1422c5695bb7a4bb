"""Nonequilibrium Green's functions: electrons in a channel between leads, with a current through it."""

from jaxspin.electrons.negf.crystals import Crystal, MagneticCrystal
from jaxspin.electrons.negf.leads import AbstractLead, WideBand
from jaxspin.electrons.negf.modes import WideBandModes
from jaxspin.electrons.negf.solver import GreensFunction

__all__ = ["AbstractLead", "Crystal", "GreensFunction", "MagneticCrystal", "WideBand", "WideBandModes"]
