"""Error of the probed field against the number of colours, and against other ways to spend as many products with H.

    python -m experiments.checks.probing                   # about ten minutes on two cores, writes runs/probing
    python -m experiments.checks.probing --help            # every setting

States: metals and insulators, random and ordered. Lattices: random spins on one that fits the colourings, on odd sides,
with an open axis, and with several sublattices. Both compare the gradient of the probed energy, which
`KernelPolynomial` takes, with the probed density matrix, at equal probing vectors. The expected powers,
number^-(d+2)/2d and number^-1/2 for a metal at T = 0 in d = 2 dimensions, are drawn beside them.

Peers: the error at equal number of products with H of the usual stochastic method (vectors of random phases on all
sites, Jackson kernel, the full Chebyshev series of the density matrix), and of each of its ingredients alone.

The reference is always exact diagonalization.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

import jaxspin as js
from experiments.checks.probing_figures import draw
from experiments.checks.probing_peers import equal_cost, length, rms, used
from experiments.stages import Output, main
from jaxspin.electrons import direct_field
from jaxspin.io import new_folder, provenance, save_json
from jaxspin.training import perturbed_configurations

Cases = dict[str, tuple[js.SDModel, jax.Array, float]]


@dataclasses.dataclass(frozen=True)
class Config(Output):
    """Settings. Energies in units of the hopping."""

    output: Path = Path("runs/probing")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    seed: int = 0
    """Of spins and phases."""
    side: int = 24
    """Side of the lattices; even, for the tetrahedral order."""
    temperature: float = 0.02
    """Of the electrons."""
    colors: tuple[int, ...] = (4, 9, 16, 36, 144)
    """Numbers of colours."""
    peers_side: int = 32
    """Side of the square lattice where methods are compared at equal cost: J = 1, mu = -1, T = 0.05."""
    peers_colors: tuple[int, ...] = (4, 16, 64, 256)
    """Numbers of colours there; as many pairs of random vectors."""
    draws: int = 4
    """Sets of random phases averaged over."""

    def __post_init__(self):
        if self.side % 2 or self.side < 4:
            raise ValueError(f"side = {self.side} does not hold the tetrahedral order; use {max(4, self.side + 1)}.")
        if self.draws < 1 or not self.colors or min(self.colors) < 1:
            raise ValueError("draws and colors must be at least 1; see --help for the defaults.")

    @property
    def draw_keys(self) -> jax.Array:
        """A key for each set of random phases."""
        return jax.random.split(jax.random.key(self.seed + 1), self.draws)


def states(config: Config) -> Cases:
    """Model, spins and filling of each curve: what the electrons do."""
    key = jax.random.key(config.seed)
    square, triangular = js.square(config.side), js.triangular(config.side)
    amplitude = jnp.full(1, 0.05)
    ordered = perturbed_configurations(js.textures.tetrahedral(triangular), amplitude, key=key)[0]
    aligned = perturbed_configurations(js.textures.ferromagnet(square), amplitude, key=key)[0]
    return {
        "random spins, J = 1 (metal)": (js.SDModel(square), js.random_spins(square, key=key), 0.35),
        "random spins, J = 3 (metal)": (js.SDModel(triangular, 1.0, 3.0), js.random_spins(triangular, key=key), 0.25),
        "ferromagnet, J = 1 (clean metal)": (js.SDModel(square), aligned, 0.35),
        "tetrahedral, J = 3 (gap)": (js.SDModel(triangular, 1.0, 3.0), ordered, 0.25),
    }


def geometries(config: Config) -> Cases:
    """The same metal, random spins and J = 1, on lattices that colourings fit badly; all of about equal size."""
    side = config.side
    lattices = {
        f"square, {side - 1} x {side + 1}": js.square(side - 1, side + 1),
        "square, one axis open": js.square(side, periodic=(True, False)),
        "honeycomb": js.honeycomb(round(side / 2**0.5)),
        "kagome": js.kagome(round(side / 3**0.5)),
    }
    key = jax.random.key(config.seed)
    return {name: (js.SDModel(x), js.random_spins(x, key=key), 0.35) for name, x in lattices.items()}


def run(config: Config) -> dict[str, Any]:
    """Rms errors of a site's field for every case, number of colours and method."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    tables: dict[str, list] = {"states": [], "geometries": []}
    with jax.enable_x64(True):
        panels = {"states": states(config), "geometries": geometries(config)}
        bar = tqdm(total=sum(map(len, panels.values())) * len(config.colors), desc="probing", unit="solver")
        for panel, found in panels.items():
            for name, (model, spins, filling) in found.items():
                state: dict[str, Any] = {"filling": filling, "temperature": config.temperature}
                exact = js.ExactDiagonalization(model, **state).field(spins)
                seen = set()
                for number in config.colors:
                    probes = js.electrons.Coloring(number)
                    # no error but that of the probes
                    solver = js.KernelPolynomial(model, **state, probes=probes, tolerance=1e-4)
                    bar.update()
                    if used(solver) not in seen:  # a small lattice may have no more colours to offer
                        seen.add(used(solver))
                        tables[panel].append({"case": name, **measure(config, solver, spins, exact)})
        bar.close()
        tables["peers"] = peers(config)
    draw(folder / "probing.png", tables)
    summary = {**tables, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    return summary


def measure(config: Config, solver: js.KernelPolynomial, spins: jax.Array, exact: jax.Array) -> dict[str, float]:
    """Errors of both methods with the same vectors."""

    def fields(key: jax.Array) -> dict[str, jax.Array]:
        density = direct_field(solver, spins, key=key)
        return {"error of the gradient": solver.field(spins, key=key), "error of the density matrix": density}

    errors = rms(fields, exact, config.draw_keys)
    return {"colours": used(solver), "moments": solver.order, "field": length(exact), **errors}


def peers(config: Config) -> list[dict[str, Any]]:
    """Errors of the solver and of density matrices from colours or random vectors, with and without Jackson kernel."""
    lattice, rows = js.square(config.peers_side), []
    model, spins = js.SDModel(lattice), js.random_spins(lattice, key=jax.random.key(config.seed))
    state: dict[str, Any] = {"chemical_potential": -1.0, "temperature": 0.05}
    exact = js.ExactDiagonalization(model, **state).field(spins)
    for number in tqdm(config.peers_colors, desc="peers", unit="solver"):
        solver = js.KernelPolynomial(model, **state, probes=js.electrons.Coloring(number))
        rows += equal_cost(solver, spins, exact, config.draw_keys)
    return rows


if __name__ == "__main__":
    main(Config, run, __doc__)
