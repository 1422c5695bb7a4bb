"""Annealed states beside the named textures."""

from typing import Any

import jax.numpy as jnp
import xarray as xr

import jaxspin as js
from experiments.quenches.phase_diagram_textures import all_textures
from experiments.stages.phases import classified


def compare(annealed: xr.Dataset, cells: tuple[int, int], side: int, temperature: float) -> list[dict[str, Any]]:
    """Each annealed state of the lattice of `cells`: its order, and its energy above that of the lowest texture.

    On its own small lattice a state may owe its energy to a few shells of levels. So it is repeated, too, until it
    fills the lattice of the textures, `side` a side: a state that is lower there is a better one.
    """
    lattice = js.triangular(*cells)
    along = tuple(max(1, side // n) for n in cells)
    large = (along[0] * cells[0], along[1] * cells[1])
    rows = []
    for coupling in annealed.coupling.values:
        for filling in annealed.filling.values:
            point = annealed.sel(coupling=coupling, filling=filling).isel(seed=0)
            spins = js.normalize(jnp.asarray(point.spins.values, float))
            model = js.SDModel(lattice, 1.0, coupling)
            exact = js.ExactDiagonalization(model, filling=filling, temperature=temperature)
            energy = float(js.electrons.bloch_energy(exact, spins, along))
            named = all_textures(coupling, filling, temperature, large)
            small = all_textures(coupling, filling, temperature, cells)
            lowest = min(named, key=lambda name: named[name])
            order, shares, chirality = classified(lattice, spins)
            rows.append(
                {
                    "coupling": coupling,
                    "filling": filling,
                    "order": order,
                    "lowest texture": lowest,
                    "energy per site": energy,
                    "above the lowest texture": energy - named[lowest],
                    "the same on its own lattice": float(exact.energy(spins)) / lattice.sites - min(small.values()),
                    "shares of S(q)": shares,
                    "chirality, mean of the absolute value": chirality,
                    "largest torque": float(point.torque),
                    "pieces": int(point.pieces),
                    "why not at rest": str(point.reason.values),
                }
            )
    return rows
