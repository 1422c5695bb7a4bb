"""Error of the probed field against the number of colours, for metals and insulators, random and ordered.

    python -m experiments.probing                   # a few minutes on two cores, writes runs/probing
    python -m experiments.probing --help            # every setting

Compares the gradient of the probed energy, which `KernelPolynomial` takes, with the probed density matrix, at equal
probing vectors; the reference is exact diagonalization. The expected powers, number^-(d+2)/2d and number^-1/2 for a
metal at T = 0 in d = 2 dimensions, are drawn beside them.
"""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import tyro
from tqdm import tqdm

import jaxspin as js
from jaxspin.electrons import direct_field
from jaxspin.io import new_folder, provenance, to_json
from jaxspin.training import perturbed_configurations


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings. Energies in units of the hopping."""

    output: Path = Path("runs/probing")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    overwrite: bool = False
    """Empty an existing output folder first."""
    seed: int = 0
    """Of spins and phases."""
    side: int = 24
    """Side of the lattices; even, for the tetrahedral order."""
    temperature: float = 0.02
    """Of the electrons."""
    colors: tuple[int, ...] = (4, 9, 16, 36, 64, 144)
    """Numbers of colours."""
    draws: int = 4
    """Sets of random phases averaged over."""

    def __post_init__(self):
        if self.side % 2 or self.side < 4:
            raise ValueError(f"side = {self.side} does not hold the tetrahedral order; use {max(4, self.side + 1)}.")
        if self.draws < 1 or not self.colors or min(self.colors) < 1:
            raise ValueError("draws and colors must be at least 1; see --help for the defaults.")


def cases(config: Config) -> dict[str, tuple[js.SDModel, jax.Array, float]]:
    """Model, spins and filling of each curve."""
    key = jax.random.key(config.seed)
    square, triangular = js.square(config.side), js.triangular(config.side)
    amplitude = jnp.full(1, 0.05)
    ordered = perturbed_configurations(js.tetrahedral(triangular), amplitude, key=key)[0]
    aligned = perturbed_configurations(js.ferromagnet(square), amplitude, key=key)[0]
    return {
        "random spins, J = 1 (metal)": (js.SDModel(square), js.random_spins(square, key=key), 0.35),
        "random spins, J = 3 (metal)": (js.SDModel(triangular, 1.0, 3.0), js.random_spins(triangular, key=key), 0.25),
        "ferromagnet, J = 1 (clean metal)": (js.SDModel(square), aligned, 0.35),
        "tetrahedral, J = 3 (gap)": (js.SDModel(triangular, 1.0, 3.0), ordered, 0.25),
    }


def run(config: Config) -> dict[str, Any]:
    """Rms errors of a site's field for every case, number of colours and method."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    rows = []
    with jax.enable_x64(True):
        found = cases(config)
        bar = tqdm(total=len(found) * len(config.colors), desc="probing", unit="solver")
        for name, (model, spins, filling) in found.items():
            exact = js.ExactDiagonalization(model, filling=filling, temperature=config.temperature).field(spins)
            for number in config.colors:
                rows.append({"case": name, **measure(config, model, spins, filling, number, exact)})
                bar.update()
        bar.close()
    draw(folder / "probing.png", rows)
    summary = {"rows": rows, "provenance": provenance(config, config.seed)}
    (folder / "summary.json").write_text(to_json(summary, indent=1))
    return summary


def measure(config: Config, model: js.SDModel, spins, filling: float, number: int, exact) -> dict[str, float]:
    """Errors of both methods with the same vectors."""
    solver = js.KernelPolynomial(
        model, filling=filling, temperature=config.temperature, probes=js.Coloring(number), tolerance=1e-4
    )

    def rms(field) -> float:
        one = eqx.filter_jit(lambda k: jnp.mean(jnp.sum((field(k) - exact) ** 2, axis=-1)))
        keys = jax.random.split(jax.random.key(config.seed + 1), config.draws)
        return float(np.sqrt(np.mean([one(k) for k in keys])))

    return {
        "colours": int(solver.probes.colors(model.lattice).max()) + 1,
        "moments": solver.order,
        "field": float(jnp.sqrt(jnp.mean(jnp.sum(exact**2, axis=-1)))),
        "error of the gradient": rms(lambda k: solver.field(spins, key=k)),
        "error of the density matrix": rms(lambda k: direct_field(solver, spins, key=k)),
    }


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Errors over field against colours."""
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for n, name in enumerate(dict.fromkeys(row["case"] for row in rows)):
        part = [row for row in rows if row["case"] == name]
        colours, field = (np.array([row[column] for row in part]) for column in ("colours", "field"))
        for method, style in (("gradient", "o-"), ("density matrix", "s:")):
            error = np.array([row[f"error of the {method}"] for row in part])
            label = name if method == "gradient" else None
            axes.loglog(colours, error / field, style, color=f"C{n}", markersize=4, label=label)
    x = np.array([rows[0]["colours"], max(row["colours"] for row in rows)], float)
    axes.loglog(x, 0.6 / x, "k-", linewidth=0.8, label=r"$\propto S^{-1}$ (gradient, $T=0$ metal)")
    axes.loglog(x, 0.6 / x**0.5, "k:", linewidth=0.8, label=r"$\propto S^{-1/2}$")
    axes.set(xlabel="colours $S$", ylabel="rms error / rms field", title="solid: gradient, dotted: density matrix")
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    settings = tyro.cli(Config, description=__doc__)
    run(settings)
    print(f"everything is in {settings.output}")
