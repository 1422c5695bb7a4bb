"""Invariant features of the surroundings of each site, the input of the force fields."""

from jaxspin.descriptors.bispectrum import Bispectrum

__all__ = ["Bispectrum"]
