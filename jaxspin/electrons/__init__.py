"""Electrons at frozen spins: the model and its solvers."""

from jaxspin.electrons.exact import ExactDiagonalization, bloch_energy
from jaxspin.electrons.kpm import KernelPolynomial
from jaxspin.electrons.model import Hopping, SDModel, kinetic, magnetic_flux, rashba
from jaxspin.electrons.probes import AbstractProbes, Coloring, ExactTrace

__all__ = [
    "AbstractProbes",
    "Coloring",
    "ExactDiagonalization",
    "ExactTrace",
    "Hopping",
    "KernelPolynomial",
    "SDModel",
    "bloch_energy",
    "kinetic",
    "magnetic_flux",
    "rashba",
]
