"""Models that several tests of kernel polynomials solve, and what the series may miss."""

import equinox as eqx
import jax
import numpy as np

import jaxspin.lattice as lattices
from jaxspin.electrons import SDModel, kinetic, magnetic_flux, rashba

SERIES = 1e-13  # the series is cut where its terms are this small
EXACT = 1e-8  # a hundred levels, the last terms of the series, and mu to the last bits


def _diluted():
    lattice = lattices.kagome(2)
    occupied = np.ones(lattice.shape, bool)
    occupied[1, 0, 2] = False
    return SDModel(lattice, 1.0, 2.0, occupied=occupied)


def _with_flux():
    lattice = lattices.square(4)
    return SDModel(lattice, (*magnetic_flux(lattice, 3, 1.0), *rashba(lattice, 0.4)), 1.5)


def _disordered():
    lattice = lattices.chain(9, periodic=False)
    coupling, potential = np.random.default_rng(3).uniform(size=(2, *lattice.shape))
    return SDModel(lattice, kinetic(lattice, 1.0, 0.2 + 0.3j), 1 + coupling, potential=potential)


CASES = {
    "kagome with a vacancy": (_diluted(), {"filling": 0.6}),
    "flux and Rashba": (_with_flux(), {"chemical_potential": -0.7}),
    "disorder, open ends": (_disordered(), {"chemical_potential": -0.4}),
}
WARM = {"temperature": 0.3}


class Matrix(eqx.Module):
    """A hermitian matrix, as the simplest operator."""

    lower: jax.Array

    def __call__(self, vectors):
        return (self.lower + self.lower.conj().T) @ vectors
