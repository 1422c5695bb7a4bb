"""How far the push of the electrons reaches: the exact torque on a spin when everything beyond a radius is replaced.

    python -m experiments.accuracy.locality                  # seven minutes on two cores, writes runs/locality
    python -m experiments.accuracy.locality --help           # every setting

Pairs of configurations that agree within a radius of one spin and nowhere else: random ones, or a random disc once in
random surroundings and once in those of an order. The best estimate of the torque from the spins within the radius
alone is its mean over the rest, and its relative rms error sqrt(<|T - T'|^2>/2)/sqrt(<|T|^2>), T and T' the torques of
a pair. No field that sees only so far can be more accurate on such spins, whatever its descriptors and its network. A
sum of site energies, each of a neighbourhood of radius r, sees 2 r far.

The electrons of a pair have either the same filling, as in all simulations here, or the same Fermi level, that of the
first of the pair: the difference is what the surroundings do through the Fermi level alone, one number that
`jaxspin.descriptors.AtFilling` tells a local force field.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.accuracy.locality_figures import draw
from experiments.stages import Output, Texture, main, textures_on
from jaxspin.io import new_folder, provenance, save_json
from jaxspin.spins import tangent


@dataclasses.dataclass(frozen=True)
class Case:
    """A model and the size on which its torques are computed."""

    lattice: str
    """square, triangular, ..."""
    side: int
    """Cells along each axis."""
    coupling: float
    """J of the s-d model."""
    filling: float
    """Electrons per spin-orbital."""
    temperature: float
    """Of the electrons."""
    order: Texture = "tetrahedral"
    """That surrounds a random disc in the second kind of pairs."""

    def __str__(self):
        return f"{self.lattice}, $J = {self.coupling:g}$, $n = {self.filling:g}$, $T = {self.temperature:g}$"


@dataclasses.dataclass(frozen=True)
class Config(Output):
    """Models and radii."""

    output: Path = Path("runs/locality")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    cases: tuple[Case, ...] = (
        Case("square", 14, 3.5, 0.48, 0.0, "neel"),
        Case("square", 14, 6.0, 0.485, 0.0, "neel"),
        Case("triangular", 14, 3.0, 0.25, 0.05, "tetrahedral"),
        Case("triangular", 15, 4.0, 0.5, 0.05, "one_hundred_twenty"),
    )
    """What to compare."""
    radii: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)
    """In lattice constants; less than half the side."""
    pairs: int = 40
    """Pairs of configurations for each radius."""
    seed: int = 0
    """Of the configurations."""

    def __post_init__(self):
        smallest = min(case.side for case in self.cases)
        if not 0 < max(self.radii) < smallest / 2:
            raise ValueError(
                f"a radius must be below half the side, {smallest / 2:g}; lower --radii or take larger cases."
            )
        if self.pairs < 2:
            raise ValueError(f"pairs must be at least 2, got {self.pairs}; 40 give errors to a tenth of themselves.")


def run(config: Config) -> dict[str, Any]:
    """The error at each radius for each case."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    bar = tqdm(total=len(config.cases) * len(config.radii), desc="radii", unit="radius")
    rows = []
    for number, case in enumerate(config.cases):
        for place, radius in enumerate(config.radii):
            key = jax.random.fold_in(jax.random.key(config.seed), 1000 * number + place)
            rows.append({"case": str(case), "radius": radius, **floor(case, radius, config.pairs, key)})
            bar.update()
    bar.close()
    draw(folder / "locality.png", [(str(case), case.order) for case in config.cases], config.radii, rows)
    summary = {"rows": rows, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    return summary


def floor(case: Case, radius: float, pairs: int, key) -> dict[str, Any]:
    """The least relative error of a field that sees the spins within `radius`, and its standard error, for both kinds
    of surroundings, with the filling and with the Fermi level in common."""
    lattice = getattr(js, case.lattice)(case.side)
    model = js.SDModel(lattice, 1.0, case.coupling)
    center = (*(n // 2 for n in lattice.cells), 0)
    inside = np.zeros(lattice.shape, bool)
    inside[center] = True
    for bond in lattice.neighbors(radius, 0):
        inside[(*(np.array(center[:-1]) + bond.offset), bond.end)] = True

    @jax.jit
    def at_filling(spins):
        exact = js.ExactDiagonalization(model, filling=case.filling, temperature=case.temperature)
        return tangent(spins, exact.field(spins))[center], exact.fermi_level(spins)

    @jax.jit
    def at_level(spins, level):
        exact = js.ExactDiagonalization(model, chemical_potential=level, temperature=case.temperature)
        return tangent(spins, exact.field(spins))[center]

    drawn = jax.vmap(lambda k: js.random_spins(lattice, key=k))(jax.random.split(key, 2 * pairs))
    order = textures_on(lattice, (case.order,))[case.order]
    surroundings = {"random": drawn[pairs:], case.order: jnp.broadcast_to(order, drawn[pairs:].shape)}
    first, levels = map(np.array, zip(*(at_filling(s) for s in drawn[:pairs]), strict=True))
    found: dict[str, Any] = {"rms torque": float(np.sqrt(np.mean(np.sum(first**2, axis=-1))))}
    for name, around in surroundings.items():
        others = jnp.where(inside[..., None], drawn[:pairs], around)
        pushed, moved = map(np.array, zip(*(at_filling(s) for s in others), strict=True))
        kept = np.array([at_level(s, level) for s, level in zip(others, levels, strict=True)])
        found[name] = {
            "filling in common": relative_error(first, pushed),
            "Fermi level in common": relative_error(first, kept),
            "rms change of the Fermi level": float(np.sqrt(np.mean((moved - levels) ** 2))),
        }
    return found


def relative_error(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """sqrt(<|T - T'|^2>/2)/sqrt(<|T|^2>) of torques `(pairs, 3)`, and its standard error."""
    apart, size = np.sum((first - second) ** 2, axis=-1) / 2, np.sum(first**2 + second**2, axis=-1) / 2
    error = np.sqrt(apart.mean() / size.mean())
    deviation = apart.std() / np.sqrt(len(apart)) / size.mean() / (2 * error) if error > 0 else 0.0
    return {"error": float(error), "standard error": float(deviation)}


if __name__ == "__main__":
    main(Config, run, __doc__)
