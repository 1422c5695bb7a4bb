"""Learnt fields: networks on descriptors, their energy and field, and their storage."""

from jaxspin.forcefield.behler_parrinello import BehlerParrinello
from jaxspin.forcefield.checkpoint import load, load_metadata, save
from jaxspin.forcefield.committee import Committee
from jaxspin.forcefield.networks import MultilayerPerceptron

__all__ = ["BehlerParrinello", "Committee", "MultilayerPerceptron", "load", "load_metadata", "save"]
