"""Velocities of the electrons, v = i [H, r], and where their orbitals are."""

import jax.numpy as jnp
import numpy as np

from jaxspin.electrons import AbstractElectrons, Hopping, OrbitalModel, SDModel
from jaxspin.electrons.model import only_sd
from jaxspin.electrons.owners import as_complex
from jaxspin.field import Spins


def velocity(model: AbstractElectrons, axis: int) -> SDModel | OrbitalModel:
    """The operator v_a = i [H, r_a] along the Cartesian `axis`, as a model of its own: hoppings i d_a t, i d_a H(R).

    d is the vector between the two orbitals, each of which is a point: at its site, or where an `OrbitalModel` has it
    (`positions`, else its atom). Dipoles between orbitals of one atom are not in it. In units of the hopping times
    that of the lattice vectors over hbar. It is what `conductivity` sums; `dense` writes it as a matrix. That of an
    `SDModel` has no spins in it; spin-split hoppings of an `OrbitalModel` follow them, and so does their velocity.

    Raises `ValueError` for an axis that the lattice does not have, and for orbitals without owner and position.

    Example:
        >>> velocity = js.observables.velocity(js.SDModel(lattice, coupling=2.0), axis=0)
        >>> matrix = velocity.dense(spins)
        >>> matrix.shape, bool(jnp.allclose(matrix, matrix.conj().T))
        ((32, 32), True)
    """
    dimension = model.lattice.dimension
    if not 0 <= axis < dimension:
        raise ValueError(
            f"the {model.lattice.name} lattice has axes 0 to {dimension - 1}, got {axis}; use one of them."
        )
    if isinstance(model, OrbitalModel):
        return _of_orbitals(model, axis)
    model = only_sd(model, "velocities and conductivities")
    # a bond at a right angle to the axis carries nothing along it
    moved = tuple(
        Hopping(h.bond, as_complex(h.amplitude) * (1j * h.bond.vector[axis]), h.spin)
        for h in model.hoppings
        if abs(h.bond.vector[axis]) > 1e-9
    )
    return SDModel(model.lattice, moved, 0.0, occupied=model.occupied)


def _of_orbitals(model: OrbitalModel, axis: int) -> OrbitalModel:
    along, places = np.array(model.lattice.vectors)[:, axis], model.places()[:, axis]
    # from orbital m of the first cell to orbital n of cell R
    moved = 1j * ((np.array(model.offsets) @ along)[:, None, None] + places[None, None, :] - places[None, :, None])
    hopping, n = as_complex(model.hopping), len(places)
    wide = moved if hopping.shape[-1] == n else moved.repeat(2, axis=1).repeat(2, axis=2)
    split = None if model.split is None else as_complex(model.split)
    return OrbitalModel(
        model.lattice,
        model.owners,
        model.offsets,
        hopping * jnp.asarray(wide, hopping.dtype),
        jnp.zeros_like(model.exchange),
        split=None if split is None else split * jnp.asarray(moved, split.dtype),
        positions=model.positions,
    )


def spins_of(operator: AbstractElectrons, spins: Spins) -> Spins:
    """The spins that a velocity depends on: none where only sites are coupled to them."""
    return spins if isinstance(operator, OrbitalModel) and operator.split is not None else jnp.zeros_like(spins)


def orbital_positions(model: AbstractElectrons) -> np.ndarray:
    """Cartesian positions of all orbitals, `(*cells, orbitals, dimension)`."""
    lattice = model.lattice
    if not isinstance(model, OrbitalModel):
        return model.orbital_lattice.positions()
    origins = lattice.positions()[..., :1, :] - np.array(lattice.basis[0])
    return origins + model.places()


def area_of(model: AbstractElectrons) -> float:
    """The length, area or volume of the lattice."""
    return float(abs(np.linalg.det(np.array(model.lattice.vectors))) * np.prod(model.lattice.cells))
