"""Invariant features of the surroundings of each site, the input of the force fields."""

from jaxspin.descriptors.around import AbstractAround
from jaxspin.descriptors.base import AbstractDescriptor
from jaxspin.descriptors.bispectrum import Bispectrum
from jaxspin.descriptors.disordered import DisorderedMoments
from jaxspin.descriptors.electrons import LocalElectrons
from jaxspin.descriptors.ends import NearEnds
from jaxspin.descriptors.filling import AtFilling
from jaxspin.descriptors.moments import LocalMoments
from jaxspin.descriptors.reach import BetweenLeads
from jaxspin.descriptors.vectors import SpinVectors

__all__ = [
    "AbstractAround",
    "AbstractDescriptor",
    "AtFilling",
    "BetweenLeads",
    "Bispectrum",
    "DisorderedMoments",
    "LocalElectrons",
    "LocalMoments",
    "NearEnds",
    "SpinVectors",
]
