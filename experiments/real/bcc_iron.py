"""Iron from its bands: moment, exchange between all pairs, spin waves, stiffness and Curie temperature.

    python -m experiments.real.bcc_iron                # some minutes on one core
    python -m experiments.real.bcc_iron --smoke        # a coarse mesh
    python -m experiments.real.bcc_iron --help         # every setting

The Wannier Hamiltonian that comes with the package, 8 electrons a cell. "on the atom" turns the splitting on each atom
alone, as published codes do; "with hoppings" turns the split hoppings too, with the mean of the two spins. Energies
are eV inside, E = - sum_(i != j) J_ij e_i . e_j as in the reference, where five pairs are known independently.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.real.bcc_iron_figures import draw
from experiments.stages import Resumable, Timer, main, open_folder
from jaxspin.io import load_or_make, load_or_make_each, provenance, save_json
from jaxspin.observables import (
    ExchangeCouplings,
    exchange_couplings,
    magnon_energies,
    mean_field_temperature,
    random_phase_temperature,
    spin_wave_stiffness,
)

ELECTRONS = 8
PAIRS = ((1, 0, 0), (1, 0, 1), (1, 1, 0), (0, 1, 2), (2, 0, 0))
# Made in NumPy from the same file, mesh 8^3, T = 0.05 eV, on the atom, meV.
REFERENCE = {"mesh": 8, "temperature": 0.05, "mu": 12.6508, "J": [11.775, 8.813, 0.609, 0.137, -1.218]}
MEASURED = {"Curie temperature": 1043.0, "stiffness": [280.0, 330.0], "moment": 2.22}
TURNED = {"on the atom": True, "with hoppings": False}


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in eV."""

    output: Path = Path("runs/bcc_iron")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything on a coarse mesh."""
    meshes: tuple[int, ...] = (8, 12, 16)
    """Wavevectors along each axis, of the electrons and of the spin waves."""
    temperature: float = 0.05
    """k_B T of the electrons."""
    frequencies: int = 48
    """Of the Matsubara sum."""
    dampings: tuple[float, ...] = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
    """exp(-eta R) on every J in the sum for the stiffness, which is taken back to eta = 0; 1/Angstrom."""
    step: float = 1e-3
    """Of the differences that gradients are compared with, relative."""


def smoke_size(config: Config) -> Config:
    """Four wavevectors along each axis, hot electrons."""
    return dataclasses.replace(config, meshes=(4,), temperature=0.3, frequencies=24)


def run(config: Config) -> dict[str, Any]:
    """Exchange on every mesh, and its gradients on the first; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    timer = Timer(folder)
    with jax.enable_x64(True):
        iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
        makers = {
            f"{name}, {mesh}": functools.partial(study, config, iron, mesh, onsite)
            for mesh in config.meshes
            for name, onsite in TURNED.items()
        }
        with timer("exchange"):
            rows = load_or_make_each(folder / "rows", makers, progress=True)
        with timer("gradients"):
            slopes = load_or_make(folder / "gradients.json", functools.partial(gradients, config, iron))
        known = {"distance": np.linalg.norm(np.array(PAIRS) @ iron.cell, axis=-1), "J": REFERENCE["J"]}
        draw(folder / "bcc_iron.png", rows, iron.bands_on_path(40), known)
    summary = {
        "rows": rows,
        "gradients": slopes,
        "reference": REFERENCE,
        "largest deviation from the reference": compared(config, rows),
        "measured": MEASURED,
        "provenance": provenance(config, 0),
    }
    save_json(folder / "summary.json", summary)
    return summary


def model_of(iron: Any) -> js.OrbitalModel:
    return js.OrbitalModel.from_wannier(iron)


def electrons_of(config: Config, model: js.OrbitalModel, mesh: int, electrons: Any = float(ELECTRONS)):
    """So many electrons a cell, on a mesh of wavevectors."""
    solver = js.ExactDiagonalization(model, filling=model.filling_of(electrons), temperature=config.temperature)
    return js.electrons.BlochDiagonalization(solver, points=mesh)


def study(config: Config, iron: Any, mesh: int, onsite: bool) -> dict[str, Any]:
    """Exchange and what follows from it; meV, Angstrom, Kelvin, mu_B."""
    electrons, up = electrons_of(config, model_of(iron), mesh), js.textures.ferromagnet(iron.lattice(1))
    exchange = exchange_couplings(electrons, up, onsite=onsite, frequencies=config.frequencies)
    distance, mean, count = exchange.by_distance()
    path = iron.bands_on_path(40)
    waves = 1e3 * np.asarray(magnon_energies(exchange, path.k))[:, 0]
    every = 1e3 * np.asarray(magnon_energies(exchange, mesh_of(exchange)))[1:, 0]
    dampings = np.array(config.dampings)
    stable = bool(every.min() > 1e-3 * every.max())
    return {
        "mesh": mesh,
        "onsite": onsite,
        "mu": electrons.fermi_level(up),
        "moment": exchange.moments[0],
        "J": [1e3 * exchange.between(0, 0, r) for r in PAIRS],
        "J(0)": 1e3 * exchange.total()[0, 0],
        "by distance": {"distance": distance, "J": 1e3 * mean, "pairs": count},
        "waves": {"energy": waves, "distance": path.distances, "ticks": path.ticks, "labels": path.labels},
        "stable": stable,
        "stiffness": 1e3 * spin_wave_stiffness(exchange, dampings=config.dampings)[0, 0],
        "stiffness by damping": [1e3 * spin_wave_stiffness(exchange, dampings=[eta])[0, 0] for eta in dampings],
        "mean field": kelvin(mean_field_temperature(exchange)),
        "random phase": kelvin(random_phase_temperature(exchange)) if stable else None,
    }


def gradients(config: Config, iron: Any) -> dict[str, Any]:
    """dJ_1/d ln(splitting) and dT_c/d(electrons), mean field, on the first mesh, against differences."""
    mesh = config.meshes[0]
    up = js.textures.ferromagnet(iron.lattice(1))

    @eqx.filter_jit
    def found(model, scale, number):
        """With every splitting `scale` times as large."""
        model = eqx.tree_at(lambda m: (m.exchange, m.split), model, (scale * model.exchange, scale * model.split))
        electrons = electrons_of(config, model, mesh, number)
        exchange = exchange_couplings(electrons, up, onsite=True, frequencies=config.frequencies)
        return 1e3 * exchange.between(0, 0, PAIRS[0]), kelvin(mean_field_temperature(exchange))

    one, eight = jnp.asarray(1.0), jnp.asarray(float(ELECTRONS))
    still, along = jnp.zeros(()), jnp.ones(())
    model = model_of(iron)

    @eqx.filter_jit
    def slopes(model, a, b):
        return jax.jvp(functools.partial(found, model), (one, eight), (a, b))[1]

    step = config.step
    rows = {}
    for name, place, a, b in (("meV by ln(splitting)", 0, along, still), ("K by electrons", 1, still, along)):
        slope = float(slopes(model, a, b)[place])
        ends = [float(found(model, one + s * step * a, eight + s * step * b)[place]) for s in (1, -1)]
        rows[name] = {"gradient": slope, "difference": (ends[0] - ends[1]) / (2 * step)}
    return rows


def mesh_of(exchange: ExchangeCouplings) -> jax.Array:
    """The reduced wavevectors of the mesh, the first one zero."""
    axes = np.meshgrid(*(np.arange(n) / n for n in exchange.lattice.cells), indexing="ij")
    return jnp.asarray(np.stack(axes, -1).reshape(-1, len(axes)))


def kelvin(energy: Any) -> Any:
    return js.units.Units("eV").to_temperature(energy, "K")


def compared(config: Config, rows: dict[str, Any]) -> float | None:
    """The largest deviation of J from the reference, in units of the largest J; None for other settings."""
    name = f"on the atom, {REFERENCE['mesh']}"
    if name not in rows or config.temperature != REFERENCE["temperature"]:
        return None
    expected = np.array(REFERENCE["J"])
    return float(np.max(np.abs(np.array(rows[name]["J"], float) - expected)) / np.max(expected))


def shown(summary: dict[str, Any], _: Path) -> dict[str, Any]:
    """The numbers of each row, without its curves."""
    kept = ("mu", "moment", "J", "J(0)", "stable", "stiffness", "mean field", "random phase")
    rows = {name: {key: row[key] for key in kept} for name, row in summary["rows"].items()}
    return {"rows": rows, **{key: value for key, value in summary.items() if key not in ("rows", "provenance")}}


if __name__ == "__main__":
    main(Config, run, __doc__, shown)
