"""Electrons at frozen spins: the model and its solvers."""

from jaxspin.electrons.accuracy import Accuracy, direct_field, measure_accuracy, spectral_edges, tune
from jaxspin.electrons.base import AbstractElectrons
from jaxspin.electrons.bloch import BlochDiagonalization
from jaxspin.electrons.ensemble import Ensemble
from jaxspin.electrons.exact import ExactDiagonalization, bloch_energy, bloch_levels
from jaxspin.electrons.hoppings import Hopping, kinetic, magnetic_flux, rashba
from jaxspin.electrons.kpm import KernelPolynomial
from jaxspin.electrons.model import SDModel
from jaxspin.electrons.negf import AbstractLead, Crystal, GreensFunction, MagneticCrystal, WideBand, WideBandModes
from jaxspin.electrons.orbitals import OrbitalModel
from jaxspin.electrons.probes import AbstractProbes, Coloring, ExactTrace

__all__ = [
    "AbstractElectrons",
    "AbstractLead",
    "AbstractProbes",
    "Accuracy",
    "BlochDiagonalization",
    "Coloring",
    "Crystal",
    "Ensemble",
    "ExactDiagonalization",
    "ExactTrace",
    "GreensFunction",
    "Hopping",
    "KernelPolynomial",
    "MagneticCrystal",
    "OrbitalModel",
    "SDModel",
    "WideBand",
    "WideBandModes",
    "bloch_energy",
    "bloch_levels",
    "direct_field",
    "kinetic",
    "magnetic_flux",
    "measure_accuracy",
    "rashba",
    "spectral_edges",
    "tune",
]
