"""Learnt fields: networks on descriptors, their energy and field, and their storage."""

from jaxspin.forcefield.behler_parrinello import BehlerParrinello
from jaxspin.forcefield.cards import Card, card
from jaxspin.forcefield.checkpoint import load, load_metadata, save
from jaxspin.forcefield.committee import Committee
from jaxspin.forcefield.familiarity import Familiarity
from jaxspin.forcefield.generalized import GeneralizedPotential, Learnable, at_voltage
from jaxspin.forcefield.levels import LearntLevels
from jaxspin.forcefield.message_passing import MessagePassing
from jaxspin.forcefield.networks import AbstractLatticeNetwork, MultilayerPerceptron
from jaxspin.forcefield.pretrained import pretrained, pretrained_metadata, pretrained_names

__all__ = [
    "AbstractLatticeNetwork",
    "BehlerParrinello",
    "Card",
    "Committee",
    "Familiarity",
    "GeneralizedPotential",
    "Learnable",
    "LearntLevels",
    "MessagePassing",
    "MultilayerPerceptron",
    "at_voltage",
    "card",
    "load",
    "load_metadata",
    "pretrained",
    "pretrained_metadata",
    "pretrained_names",
    "save",
]
