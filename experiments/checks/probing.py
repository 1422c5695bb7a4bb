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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.stages import Output, main
from jaxspin.arrays.spinors import Spinor, split
from jaxspin.electrons import chebyshev, direct_field, fermi
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
        total = sum(map(len, panels.values())) * len(config.colors) + len(config.peers_colors)
        bar = tqdm(total=total, desc="probing", unit="solver")
        for panel, found in panels.items():
            for name, (model, spins, filling) in found.items():
                exact = js.ExactDiagonalization(model, filling=filling, temperature=config.temperature).field(spins)
                seen = set()
                for number in config.colors:
                    solver = build(config, model, filling, number)
                    bar.update()
                    if used(solver) not in seen:  # a small lattice may have no more colours to offer
                        seen.add(used(solver))
                        tables[panel].append({"case": name, **measure(config, solver, spins, exact)})
        tables["peers"] = peers(config, bar)
        bar.close()
    draw(folder / "probing.png", tables)
    summary = {**tables, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    return summary


def build(config: Config, model: js.SDModel, filling: float, number: int) -> js.KernelPolynomial:
    """A solver with no error but that of the probes."""
    return js.KernelPolynomial(
        model, filling=filling, temperature=config.temperature, probes=js.electrons.Coloring(number), tolerance=1e-4
    )


def used(solver: js.KernelPolynomial) -> int:
    """Colours of the solver, at most as many as it was asked for."""
    return int(solver.probes.colors(solver.lattice).max()) + 1


def measure(config: Config, solver: js.KernelPolynomial, spins: jax.Array, exact: jax.Array) -> dict[str, float]:
    """Errors of both methods with the same vectors."""
    errors = rms(
        config,
        lambda k: {
            "error of the gradient": solver.field(spins, key=k),
            "error of the density matrix": direct_field(solver, spins, key=k),
        },
        exact,
    )
    return {"colours": used(solver), "moments": solver.order, "field": length(exact), **errors}


def peers(config: Config, bar: tqdm) -> list[dict[str, Any]]:
    """Errors of the solver and of density matrices from colours or random vectors, with and without Jackson kernel."""
    lattice, rows = js.square(config.peers_side), []
    model, spins = js.SDModel(lattice), js.random_spins(lattice, key=jax.random.key(config.seed))
    state: dict[str, Any] = {"chemical_potential": -1.0, "temperature": 0.05}
    exact = js.ExactDiagonalization(model, **state).field(spins)
    for number in config.peers_colors:
        solver = js.KernelPolynomial(model, **state, probes=js.electrons.Coloring(number))
        rows += equal_cost(config, solver, spins, exact)
        bar.update()
    return rows


def equal_cost(config: Config, solver: js.KernelPolynomial, spins: jax.Array, exact: jax.Array) -> list[dict[str, Any]]:
    """A row for each method, with as many vectors and moments."""
    vectors = 2 * used(solver)

    def fields(key: jax.Array) -> dict[str, jax.Array]:
        found = {"colours, gradient": solver.field(spins, key=key)}
        for kernel in ("no kernel", "Jackson kernel"):
            for name, start in (
                ("colours", solver.start(spins, key=key)),
                ("random vectors", random_vectors(solver.lattice, vectors, key)),
            ):
                found[f"{name}, {kernel}"] = density_field(solver, spins, start, jackson=kernel == "Jackson kernel")
        return found

    rows = []
    for method, error in rms(config, fields, exact).items():
        # of the gradient, half a product a moment forwards and one backwards
        products = round((1.5 if "gradient" in method else 1) * vectors * solver.order)
        costs = {"vectors": vectors, "moments": solver.order, "products": products}
        rows.append({"method": method, **costs, "field": length(exact), "error": error})
    return rows


def random_vectors(lattice: js.Lattice, number: int, key: jax.Array) -> Spinor:
    """`number` columns of random phases on every site and spin, with the average of r r^+ the identity."""
    angle = jax.random.uniform(key, (*lattice.shape, 2, number), maxval=2 * np.pi)
    return split(jnp.exp(1j * angle) / number**0.5)


def density_field(solver: js.KernelPolynomial, spins: jax.Array, start: Spinor, *, jackson: bool) -> jax.Array:
    """J Re sum_r r_i^+ sigma (f(H) r)_i by `solver.order` products with H for each vector."""
    assert solver.chemical_potential is not None
    level, temperature = solver.chemical_potential, solver.temperature
    weights = chebyshev.coefficients(lambda e: fermi.occupation(e, level, temperature), solver.order, *solver.scaling())
    if jackson:
        weights = weights * chebyshev.jackson_kernel(solver.order)
    filled = chebyshev.expand(solver.rescaled(spins), start, weights)

    def energy(s):
        product = solver.model.apply(s, filled)
        return sum(jnp.sum(x * y) for x, y in zip(jax.tree.leaves(start), jax.tree.leaves(product), strict=True))

    return -jax.grad(energy)(spins)


def rms(config: Config, fields: Callable[[jax.Array], dict[str, jax.Array]], exact: jax.Array) -> dict[str, float]:
    """Rms length of the error of each of `fields(key)` over sites and draws of the phases."""
    squares = eqx.filter_jit(lambda k: jax.tree.map(lambda x: jnp.mean(jnp.sum((x - exact) ** 2, axis=-1)), fields(k)))
    draws = [squares(k) for k in jax.random.split(jax.random.key(config.seed + 1), config.draws)]
    return {name: float(np.sqrt(np.mean([draw[name] for draw in draws]))) for name in draws[0]}


def length(field: jax.Array) -> float:
    """Rms length of a site's field."""
    return float(jnp.sqrt(jnp.mean(jnp.sum(field**2, axis=-1))))


def draw(path: Path, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Errors over field: against colours for states and lattices, against products with H for the peers."""
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.6), layout="constrained", sharey=True)
    for ax, panel in zip(axes, ("states", "geometries"), strict=False):
        rows = tables[panel]
        for n, part in enumerate(grouped(rows, "case")):
            colours, field = (np.array([row[column] for row in part]) for column in ("colours", "field"))
            for method, style in (("gradient", "o-"), ("density matrix", "s:")):
                error = np.array([row[f"error of the {method}"] for row in part])
                label = part[0]["case"] if method == "gradient" else None
                ax.loglog(colours, error / field, style, color=f"C{n}", markersize=4, label=label)
        x = np.array([min(row["colours"] for row in rows), max(row["colours"] for row in rows)], float)
        ax.loglog(x, 0.6 / x, "k--", linewidth=0.9, label=r"$S^{-(d+2)/2d}=S^{-1}$ (gradient, $T=0$ metal)")
        ax.loglog(x, 0.6 / x**0.5, "--", color="gray", linewidth=0.9, label=r"$S^{-1/2}$ (uncorrelated vectors)")
        ax.set(xlabel="colours $S$", title=f"{panel}: solid gradient, dotted density matrix")
    for part in grouped(tables["peers"], "method"):
        error = [row["error"] / row["field"] for row in part]
        name = part[0]["method"]
        style = "o-" if "gradient" in name else "s:" if "colours" in name else "^:"
        # hollow, since some of the points coincide
        look = {"markersize": 7, "markerfacecolor": "none"} if "no kernel" in name else {"markersize": 4}
        axes[2].loglog([row["products"] for row in part], error, style, label=name, **look)
    axes[2].set(xlabel="products of one vector with $H$", title="equal cost")
    axes[0].set(ylabel="rms error / rms field")
    for ax in axes:
        ax.legend(fontsize=7)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def grouped(rows: list[dict[str, Any]], column: str) -> list[list[dict[str, Any]]]:
    """Rows with equal entries, in order of appearance."""
    return [[row for row in rows if row[column] == name] for name in dict.fromkeys(row[column] for row in rows)]


if __name__ == "__main__":
    main(Config, run, __doc__)
