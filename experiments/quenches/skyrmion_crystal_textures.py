"""The magnetic cell of the skyrmion crystals, the textures to begin with, and what tells the phases apart."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.observables import structure_factor_at, topological_charge

# Neighbours 1 and 3 of the triangular lattice, the second shell has none.
HOPPINGS = (1.0, 0.0, -0.85)
# The three ordering vectors, of length pi/3 along the nearest bonds, 120 degrees apart: their sum is zero.
ANGLES = np.arange(3) * 2 * np.pi / 3
VECTORS = np.pi / 3 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
SITES = 48
STARTS = ("ferromagnet", "conical", "double-Q", "triple-Q", "skyrmions", "random")


def magnetic_cell() -> js.Lattice:
    """The triangular lattice on the smallest cell with the period of all three waves, `SITES` sites.

    Its edges 4 (a1 + a2) and 4 (2 a2 - a1) are those of 4 x 4 cells of three sites. A rhombus of 6 x 6 sites does not
    hold these waves, only shorter ones along other directions.
    """
    root = 3**0.5
    return js.Lattice(
        "triangular, three sites a cell",
        ((1.5, root / 2), (0.0, root)),
        ((0.0, 0.0), (1.0, 0.0), (0.5, root / 2)),
        (4, 4),
        (True, True),
    )


def start(name: str, field: float, seed: int) -> jax.Array:
    """Spins of a named texture in a field along z, shaken so that no symmetry holds them; the ferromagnet is not."""
    cell = magnetic_cell()
    positions = cell.positions()
    phases = positions @ VECTORS.T
    lean = 40 * field  # most of the magnetization that relaxing gives
    up = np.broadcast_to([0.0, 0.0, 1.0], (*positions.shape[:-1], 3))
    cosines, sines = np.cos(phases), np.sin(phases)
    generator = np.random.default_rng(seed)
    if name == "ferromagnet":
        return jnp.asarray(up, float)
    if name == "random":
        spins = generator.normal(size=up.shape)
    elif name == "conical":
        spins = np.stack([cosines[..., 0], sines[..., 0], np.full_like(sines[..., 0], lean)], axis=-1)
    elif name == "double-Q":
        shifted = np.cos(phases + 0.3)
        spins = np.stack([shifted[..., 0], shifted[..., 1], np.full_like(shifted[..., 0], lean)], axis=-1)
    elif name == "triple-Q":
        spins = cosines + lean * up
    elif name == "skyrmions":
        # three helices that turn about the axes normal to their wave vectors; cores against the field
        plane = sines @ np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
        spins = np.concatenate([plane, 0.3 + lean - cosines.sum(axis=-1, keepdims=True)], axis=-1)
    else:
        raise ValueError(f"{name!r} is no start; give some of {', '.join(STARTS)}.")
    spins = spins / np.linalg.norm(spins, axis=-1, keepdims=True) + 0.02 * generator.normal(size=up.shape)
    return jnp.asarray(spins / np.linalg.norm(spins, axis=-1, keepdims=True), float)


def measured(lattice: js.Lattice, spins: jax.Array) -> dict[str, Any]:
    """Topological charge of 48 sites, magnetization along z, and the shares of S(q) at the pairs +-Q."""
    shares = 2 * structure_factor_at(lattice, spins, jnp.asarray(VECTORS, spins.dtype)) / lattice.sites
    cells = lattice.sites / SITES
    return {
        "topological charge": round(float(topological_charge(lattice, spins)) / cells, 3),
        "magnetization": round(float(jnp.mean(spins[..., 2])), 4),
        "shares of S(q)": [round(float(share), 4) for share in shares],
    }


def susceptibility(wavevector: Any, chemical_potential: float, temperature: float, points: int = 144) -> float:
    """Lindhard's chi(q) = (1/N) sum_k [f(k) - f(k + q)]/[e(k + q) - e(k)] of the electrons without spins, per spin.

    `wavevector` in units of the reciprocal vectors, on the mesh of `points` a side.
    """
    steps = np.rint(np.asarray(wavevector) * points).astype(int)
    a, b = np.meshgrid(*(2 * np.pi * np.arange(points) / points,) * 2, indexing="ij")
    waves = [np.cos(n * a) + np.cos(n * b) + np.cos(n * (a - b)) for n in (1, 2)]
    energies = -2 * (HOPPINGS[0] * waves[0] + HOPPINGS[2] * waves[1])
    occupied = 0.5 * (1 - np.tanh((energies - chemical_potential) / (2 * temperature)))
    moved, after = (np.roll(x, tuple(-steps), (0, 1)) for x in (energies, occupied))
    gap = moved - energies
    close = np.abs(gap) < 1e-6 * temperature
    slope = occupied * (1 - occupied) / temperature
    return float(np.mean(np.where(close, slope, (occupied - after) / np.where(close, 1, gap))))
