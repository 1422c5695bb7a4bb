"""Hoppings of electrons, bond by bond, and makers of the usual ones."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Num

from jaxspin.arguments import told
from jaxspin.couplings import numeric
from jaxspin.lattice import Bond, Lattice

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


class Hopping(eqx.Module):
    """One bond in every cell R: -t_R c+_(R, start) M c_(R + offset, end). The model adds the hermitian conjugate.

    - `bond` from `lattice.shell(n)`, which lists every bond once. `lattice.neighbors(radius)` lists each from both of
      its ends: take one of the two.
    - `amplitude` t: a number, real or complex, or an array `(*cells)` (disorder, magnetic flux), in units of your own,
      which those of all energies are.
    - `spin`: the matrix M `(2, 2)`, the identity if None.

    Raises `ValueError` for a bond from a site to itself, which is `SDModel(potential=...)`, and a matrix of another
    shape; `TypeError` for what is no bond. For plain hoppings by shell give `SDModel` the numbers.

    Example:
        >>> hoppings = [js.Hopping(bond, 1.0) for bond in lattice.shell(1)]
        >>> len(hoppings), js.SDModel(lattice, hoppings).hoppings[0].amplitude.shape
        (2, ())
    """

    bond: Bond = eqx.field(static=True)
    amplitude: Num[Array, "..."]
    spin: Num[Array, "2 2"] | None

    def __init__(self, bond: Bond, amplitude: ArrayLike, spin: ArrayLike | None = None):
        if not isinstance(bond, Bond):
            raise TypeError(f"bond = {told(bond)} is no bond; give one first, js.Hopping(lattice.shell(1)[0], 1.0).")
        self.bond = bond
        self.amplitude = numeric(amplitude, "a hopping amplitude")
        self.spin = None if spin is None else numeric(spin, "the spin matrix of a hopping")

    def __check_init__(self):
        if self.bond.start == self.bond.end and not any(self.bond.offset):
            raise ValueError(f"{self.bond} joins a site to itself; energies of sites are SDModel(potential=...).")
        if self.spin is not None and self.spin.shape != (2, 2):
            raise ValueError(f"the spin matrix of a hopping is (2, 2), got {self.spin.shape}; give M of c+ M c.")


def rashba(lattice: Lattice, strength: ArrayLike) -> tuple[Hopping, ...]:
    """Rashba spin-orbit coupling, H = strength sum_(ij) c+_i i (z x d_ij) . sigma c_j + h.c., on nearest neighbours.

    d_ij is the unit vector from i to j; `strength` is a number or an array `(*cells)`, in units of the hopping. Add it
    to the plain hoppings, as below.
    Source: Y. A. Bychkov and E. I. Rashba, J. Phys. C 17, 6039 (1984), 10.1088/0022-3719/17/33/015, on a lattice.

    Example:
        >>> hoppings = (*js.electrons.kinetic(lattice, 1.0), *js.electrons.rashba(lattice, 0.2))
        >>> len(js.SDModel(lattice, hoppings).hoppings)
        4
    """
    terms = []
    for bond in lattice.shell(1):
        x, y, *_ = (*np.array(bond.vector) / bond.length, 0.0)
        terms.append(Hopping(bond, strength, -1j * (-y * PAULI[0] + x * PAULI[1])))
    return tuple(terms)


def kinetic(lattice: Lattice, *amplitudes: ArrayLike) -> tuple[Hopping, ...]:
    """Plain hoppings t_1, t_2, ... by shell of neighbours, as a tuple to combine with others.

    A number or an array `(*cells)` for each shell. Alone, they are `SDModel(lattice, (t_1, t_2))`.

    Example:
        >>> len(js.electrons.kinetic(lattice, 1.0, -0.3))
        4
    """
    return tuple(Hopping(bond, t) for n, t in enumerate(amplitudes, start=1) for bond in lattice.shell(n))


def magnetic_flux(lattice: Lattice, quanta: int, *amplitudes: ArrayLike) -> tuple[Hopping, ...]:
    """Hoppings by shell in a uniform field with `quanta` flux quanta through the whole (periodic) 2D lattice.

    `amplitudes` t_1, t_2, ... by shell get Peierls phases exp(i A.d), in Landau gauge along the second lattice vector.
    Bonds that wrap around the first axis get a phase more, so that every plaquette holds the same flux,
    `quanta`/(number of cells). Each hopping has an amplitude `(*cells)`.

    Raises `ValueError` for a lattice that is not two-dimensional, or a number of quanta that is not whole.
    Source: R. Peierls, Z. Phys. 80, 763 (1933), 10.1007/BF01342591.

    Example:
        >>> hoppings = js.electrons.magnetic_flux(lattice, 2, 1.0)
        >>> len(hoppings), hoppings[0].amplitude.shape
        (2, (4, 4))
    """
    if lattice.dimension != 2:
        raise ValueError(f"a flux needs a two-dimensional lattice, not {lattice.name}; use kinetic(...) there.")
    if int(quanta) != quanta:
        raise ValueError(f"a periodic lattice holds a whole number of flux quanta, got {quanta}; round it.")
    phi = 2 * np.pi * quanta / (lattice.cells[0] * lattice.cells[1])
    inverse = np.linalg.inv(np.array(lattice.vectors))
    n1, n2 = np.meshgrid(*(np.arange(c) for c in lattice.cells), indexing="ij")
    terms = []
    for shell, amplitude in enumerate(amplitudes, start=1):
        for bond in lattice.shell(shell):
            b = np.array(lattice.basis[bond.start]) @ inverse
            d = np.array(bond.vector) @ inverse
            u1, u2 = n1 + b[0], n2 + b[1]
            angle = phi * (u1 + d[0] / 2) * d[1]
            target = n1 + bond.offset[0]
            wraps = target // lattice.cells[0] if lattice.periodic[0] else np.zeros_like(target)
            angle = angle - phi * wraps * lattice.cells[0] * (u2 + d[1])
            phase = jnp.asarray(np.exp(1j * angle))
            terms.append(Hopping(bond, numeric(amplitude, "a hopping amplitude").astype(phase.dtype) * phase))
    return tuple(terms)
