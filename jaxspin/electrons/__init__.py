"""Electrons at frozen spins: the model and its solvers."""

from jaxspin.electrons.accuracy import Accuracy, direct_field, measure_accuracy, spectral_edges, tune
from jaxspin.electrons.base import AbstractElectrons
from jaxspin.electrons.bloch import BlochDiagonalization
from jaxspin.electrons.disorder import diluted, displaced, exponential, random_bonds, random_potential
from jaxspin.electrons.ensemble import Ensemble
from jaxspin.electrons.exact import ExactDiagonalization, bloch_energy, bloch_levels
from jaxspin.electrons.hoppings import Hopping, kinetic, magnetic_flux, rashba
from jaxspin.electrons.kpm import KernelPolynomial
from jaxspin.electrons.matrices import model_of_matrix
from jaxspin.electrons.model import SDModel
from jaxspin.electrons.negf import (
    AbstractLead,
    Crystal,
    GreensFunction,
    Hartree,
    MagneticCrystal,
    MatrixLead,
    ModelCrystal,
    SelfConsistent,
    WideBand,
    WideBandModes,
    screened_coulomb,
)
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
    "Hartree",
    "Hopping",
    "KernelPolynomial",
    "MagneticCrystal",
    "MatrixLead",
    "ModelCrystal",
    "OrbitalModel",
    "SDModel",
    "SelfConsistent",
    "WideBand",
    "WideBandModes",
    "bloch_energy",
    "bloch_levels",
    "diluted",
    "direct_field",
    "displaced",
    "exponential",
    "kinetic",
    "magnetic_flux",
    "measure_accuracy",
    "model_of_matrix",
    "random_bonds",
    "random_potential",
    "rashba",
    "screened_coulomb",
    "spectral_edges",
    "tune",
]
