"""Nonequilibrium Green's functions: electrons in a channel between leads, with a current through it."""

from jaxspin.electrons.negf.leads import Crystal, WideBand
from jaxspin.electrons.negf.modes import WideBandModes
from jaxspin.electrons.negf.solver import GreensFunction

__all__ = ["Crystal", "GreensFunction", "WideBand", "WideBandModes"]
