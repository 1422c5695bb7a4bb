"""Electrons of the magnetic cell, states relaxed in their field, and energies on meshes of wavevectors."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.quenches.skyrmion_crystal_textures import HOPPINGS, magnetic_cell, measured, start
from experiments.stages.checks import check_positive
from jaxspin.io import load_or_make_each


@dataclasses.dataclass(frozen=True)
class Metal:
    """The electrons. Energies in units of the hopping to the nearest neighbours."""

    coupling: float = 0.5
    """J of H = - J sum_i S_i . sigma_i, half of the J that multiplies the electron's spin sigma/2."""
    chemical_potential: float = -3.5
    """With it 0.2 of the spin-orbitals are filled."""
    temperature: float = 0.003
    """Of the electrons."""

    def __post_init__(self):
        check_positive(self, "temperature")

    def on_cell(self, points: int) -> js.electrons.BlochDiagonalization:
        """The electrons of the magnetic cell, repeated `points` times along each axis."""
        model = js.SDModel(magnetic_cell(), HOPPINGS, self.coupling)
        mu, temperature = self.chemical_potential, self.temperature
        exact = js.ExactDiagonalization(model, chemical_potential=mu, temperature=temperature)
        return js.electrons.BlochDiagonalization(exact, points=points)


def relax(
    metal: Metal, spins: jax.Array, field: float, points: int, tolerance: float, max_steps: int
) -> dict[str, Any]:
    """What the spins relax to in single precision, which is half the work: energies are compared in double."""
    with jax.enable_x64(False):
        zeeman = js.Zeeman(jnp.asarray([0.0, 0.0, field], jnp.float32))
        start_ = jnp.asarray(np.asarray(spins), jnp.float32)
        found = js.relax(metal.on_cell(points) + zeeman, start_, tolerance=tolerance, max_steps=max_steps)
        return {
            "field": field,
            **measured(magnetic_cell(), found.spins),
            "largest torque": float(found.max_torque),
            "steps": int(found.steps),
            "stopped": found.reason,
            "spins": np.asarray(found.spins, float),
        }


def relaxed_start(name: str, metal: Metal, field: float, seed: int, **how: Any) -> dict[str, Any]:
    """A named start, relaxed."""
    return {"start": name, **relax(metal, start(name, field, seed), field, **how)}


def energies(metal: Metal, row: dict[str, Any], points: int, temperatures: tuple[float, ...]) -> list[float]:
    """Grand potential a site at each temperature of the electrons, field included."""
    with jax.enable_x64(True):
        spins = js.normalize(jnp.asarray(row["spins"], float))
        model = js.SDModel(magnetic_cell(), HOPPINGS, metal.coupling)
        above = js.electrons.bloch_levels(model, spins, points) - metal.chemical_potential
        sites = len(above) / 2
        zeeman = -row["field"] * float(jnp.mean(spins[..., 2]))
        return [float(-t * jnp.sum(jnp.logaddexp(0.0, -above / t))) / sites + zeeman for t in temperatures]


def not_relaxed(metal: Metal, names: tuple[str, ...], points: int, seed: int) -> dict[str, Any]:
    """The starts without a field as they are, at another coupling: energies above the lowest, and its charge."""
    with jax.enable_x64(True):
        spins = {name: start(name, 0.0, seed) for name in names}
        found = {
            name: energies(metal, {"spins": x, "field": 0.0}, points, (metal.temperature,))[0]
            for name, x in spins.items()
        }
        best = min(found, key=lambda name: found[name])
        return {
            "coupling": metal.coupling,
            "lowest": best,
            "topological charge": measured(magnetic_cell(), spins[best])["topological charge"],
            "energies above it": {name: value - found[best] for name, value in found.items()},
        }


def add_energies(
    folder: Path, metal: Metal, states: dict[str, Any], meshes: list[str], heat: tuple[float, ...]
) -> None:
    """Give every state its energies at the temperatures `heat`, by mesh, kept in the folder."""
    for mesh in meshes:
        makers = {name: partial(energies, metal, row, int(mesh), heat) for name, row in states.items()}
        for name, found in load_or_make_each(folder / f"energies {mesh}", makers, progress=True).items():
            states[name].setdefault("energies", {})[mesh] = found


def without_spins(states: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows as they go into the summary."""
    return [{name: value for name, value in row.items() if name != "spins"} for row in states.values()]
