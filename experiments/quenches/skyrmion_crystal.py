"""Skyrmion crystals of an itinerant magnet in a magnetic field, by relaxing textures and by cooling random spins.

    python -m experiments.quenches.skyrmion_crystal            # ten minutes on two cores, writes runs/skyrmion_crystal
    python -m experiments.quenches.skyrmion_crystal --smoke    # a minute
    python -m experiments.quenches.skyrmion_crystal --resume   # after a kill: no finished row is made again
    python -m experiments.quenches.skyrmion_crystal --annealing.seeds 0 1     # random spins that are cooled, too
    python -m experiments.quenches.skyrmion_crystal --help     # every setting

Triangular lattice, hopping 1 to first and -0.85 to third neighbours, coupling 0.5, mu = -3.5: Ozawa, Hayami and Motome,
Phys. Rev. Lett. 118, 147205 (2017), 10.1103/PhysRevLett.118.147205, who write the electron's spin as sigma/2 and so
J = 1. They find |n_sk| = 2, 1, 0 a magnetic cell in fields of 0, 0.005, 0.008. The susceptibility of the electrons is
largest at waves of length pi/3 along the nearest bonds, whose magnetic cell has 48 sites.

Every start is relaxed in every field, with the grand potential of the electrons of the repeated cell. Of each field and
|n_sk| the lowest state is then compared on finer meshes of wavevectors: what changes is the error of the energies.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

from experiments.quenches.skyrmion_crystal_annealing import Annealing, annealed, cost
from experiments.quenches.skyrmion_crystal_figures import draw
from experiments.quenches.skyrmion_crystal_phases import contenders, crossings, lowest
from experiments.quenches.skyrmion_crystal_relaxed import Metal, add_energies, not_relaxed, relaxed_start, without_spins
from experiments.quenches.skyrmion_crystal_textures import STARTS, susceptibility
from experiments.stages import Resumable, Timer, main, open_folder
from experiments.stages.checks import check_counts, check_positive
from jaxspin.io import load_or_make_each, provenance, save_json


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping to the nearest neighbours."""

    output: Path = Path("runs/skyrmion_crystal")
    """Folder for the rows, `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the small random turns that every start but the ferromagnet gets."""
    metal: Metal = dataclasses.field(default_factory=Metal)
    """The electrons."""
    other_temperatures: tuple[float, ...] = (0.001, 0.01)
    """Of the electrons, at which the energies of the same states are compared, too."""
    fields: tuple[float, ...] = (0.0, 0.002, 0.004, 0.005, 0.006, 0.008)
    """Magnetic fields along z, ascending."""
    starts: tuple[str, ...] = ("ferromagnet", "conical", "double-Q", "triple-Q", "skyrmions")
    """Textures to begin with; "random" may be among them."""
    meshes: tuple[int, ...] = (10, 20, 30)
    """Wavevectors along each axis, ascending: textures relax on the first, the last two give the error."""
    tolerance: float = 2e-5
    """Largest torque on a spin of a relaxed state."""
    max_steps: int = 120
    """Most iterations of one start."""
    null_couplings: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Couplings at which the starts, not relaxed, are compared without a field."""
    annealing: Annealing = dataclasses.field(default_factory=Annealing)
    """Random spins that are cooled; none unless it has seeds."""

    def __post_init__(self):
        check_positive(self, "tolerance")
        check_counts(self, "max_steps")
        if unknown := [name for name in self.starts if name not in STARTS]:
            raise ValueError(f"{unknown[0]!r} is no start; give some of {', '.join(STARTS)}.")
        if len(self.meshes) < 2 or list(self.meshes) != sorted(set(self.meshes)) or self.meshes[0] < 1:
            raise ValueError(
                f"meshes = {self.meshes} do not become finer; give two positive numbers or more that rise."
            )
        if not self.starts or not self.fields or list(self.fields) != sorted(set(self.fields)):
            raise ValueError("starts and fields must not be empty; give each field once, in ascending order.")
        if any(not t > 0 for t in self.other_temperatures):
            raise ValueError("other_temperatures must be positive; 0.001 is low.")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    annealing = dataclasses.replace(config.annealing, points=1, duration=20.0, seeds=(0,), fields=(0.0,))
    small: dict[str, Any] = {"fields": (0.0, 0.012), "starts": ("ferromagnet", "triple-Q"), "max_steps": 5}
    return dataclasses.replace(config, **small, meshes=(1, 2), null_couplings=(0.5,), annealing=annealing)


def run(config: Config) -> dict[str, Any]:
    """All states, the lowest in each field, and the fields of transitions; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder, metal = open_folder(config), config.metal
    heat = (metal.temperature, *config.other_temperatures)
    timer, meshes = Timer(folder), [str(points) for points in config.meshes]
    how = {"points": config.meshes[0], "tolerance": config.tolerance, "max_steps": config.max_steps}
    if config.annealing.kernel_polynomials and config.annealing.seeds:
        print("kernel polynomials:", cost(config.annealing, metal), flush=True)

    made = partial(load_or_make_each, progress=True)
    with timer("relaxing"):
        makers = {
            f"{start} B={field:g}": partial(relaxed_start, start, metal, field, config.seed, **how)
            for field in config.fields
            for start in config.starts
        }
        states = made(folder / "relaxed", makers)
    with timer("energies"):
        add_energies(folder, metal, states, meshes[:1], heat)
        best = contenders(states, meshes[0])
        add_energies(folder, metal, best, meshes[1:], heat)
    with timer("other couplings"):
        makers = {
            f"J={coupling:g}": partial(
                not_relaxed, dataclasses.replace(metal, coupling=coupling), config.starts, how["points"], config.seed
            )
            for coupling in config.null_couplings
        }
        others = made(folder / "null", makers)
    with timer("annealing"):
        makers = {
            f"seed={seed} B={field:g}": partial(annealed, config.annealing, metal, field, seed, **how)
            for field in config.annealing.fields
            for seed in config.annealing.seeds
        }
        cooled = made(folder / "annealed", makers)
        if not config.annealing.kernel_polynomials:
            add_energies(folder, metal, cooled, meshes[:1], heat)

    draw(folder / "skyrmion_crystal.png", states, lowest(best, meshes), meshes)
    summary = {
        "susceptibility": {
            name: susceptibility(wave, metal.chemical_potential, metal.temperature)
            for name, wave in {
                "pi/3 along a bond": (1 / 6, 1 / 12),
                "a sixth of a reciprocal vector": (1 / 6, 0),
            }.items()
        },
        "lowest": lowest(best, meshes),
        "transitions": crossings(best, meshes),
        "other couplings, no field, not relaxed": list(others.values()),
        "annealed": without_spins(cooled),
        "states": without_spins(states),
        "wall time in seconds": timer.seconds,
        "provenance": provenance(config, config.seed),
    }
    save_json(folder / "summary.json", summary)
    return summary


def told(found: dict[str, Any], _: Path) -> str:
    """The table of the lowest states."""
    return "\n".join(
        f"B = {row['field']:g}: |n_sk| = {row['|n_sk|']}, others above it by {row['others above it, by |n_sk|']}"
        for row in found["lowest"]
    )


if __name__ == "__main__":
    main(Config, run, __doc__, told)
