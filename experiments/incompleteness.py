"""Which neighbourhoods a set of features cannot tell apart, and which set can.

    python -m experiments.incompleteness            # minutes on one core, writes runs/incompleteness
    python -m experiments.incompleteness --help     # every setting

A set of features G maps the n spins of a neighbourhood, which have 2 n - 3 degrees of freedom up to a global rotation,
to numbers. Two neighbourhoods S and S' collide if G(S) = G(S') although no rotation, point-group element or time
reversal maps one on the other; a force field of these features gives both the same energy. Two measurements:

- The rank of dG/dS at a random S, beside the rank of the bonds and chiralities that the features are made of. By the
  constant-rank theorem a deficit of k means that every generic S lies in a family of collisions with k parameters.
- Pairs: from an independent random start S', |G(S') - G(S)|^2 is minimized by Levenberg-Marquardt. Where it vanishes
  and no symmetry maps the bonds and chiralities of S' on those of S, the pair is a collision, and its distance in the
  other sets says which of them tell it apart. Finding none proves nothing.

Everything outside the neighbourhood is empty, so that all sets are functions of the same spins. Source of the question:
S. N. Pozdnyakov et al., Phys. Rev. Lett. 125, 166001 (2020), 10.1103/PhysRevLett.125.166001.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import tyro
from jaxtyping import Array
from scipy.linalg import block_diag
from tqdm import tqdm

import jaxspin as js
from jaxspin.descriptors import LocalMoments
from jaxspin.descriptors.invariants import invariants
from jaxspin.descriptors.neighborhood import Neighborhood
from jaxspin.io import new_folder, provenance, to_json
from jaxspin.spins import normalize, retract

# Of the rms difference of independent neighbourhoods, in double precision.
SAME = 1e-10
# Far above what a collision's tolerance leaves of an equivalent pair, far below independent pairs.
APART = 1e-3
# Singular values below this fraction of the largest are zero: rounding of some hundred operations.
NEGLIGIBLE = 1e-9


@dataclasses.dataclass(frozen=True)
class Case:
    """A neighbourhood, as in `Bispectrum`."""

    lattice: str
    """square, triangular, ..."""
    radius: float
    """Reach of the bonds to the centre."""
    bond_radius: float
    """Reach of the other bonds and of the chiralities; 0 leaves the bonds to the centre alone."""

    def __str__(self):
        return f"{self.lattice}, radius {self.radius:g}, others {self.bond_radius:g}"


@dataclasses.dataclass(frozen=True)
class Config:
    """What is compared."""

    output: Path = Path("runs/incompleteness")
    """Folder for `summary.json` and `table.md`; an existing one is refused."""
    overwrite: bool = False
    """Empty an existing output folder first."""
    cases: tuple[Case, ...] = (
        Case("square", 1.5, 0.0),
        Case("square", 1.5, 1.5),
        Case("triangular", 1.8, 0.0),
        Case("triangular", 1.0, 1.0),
    )
    """Neighbourhoods."""
    hops: tuple[int, ...] = (1, 2)
    """Clusters of `LocalMoments`."""
    moments: int = 12
    """Moments of each cluster."""
    coupling: float = 3.0
    """J of its electrons, t = 1."""
    tries: int = 40
    """Pairs started for each set of features; 0 computes ranks alone."""
    steps: int = 200
    """Levenberg-Marquardt steps at most."""
    seed: int = 0
    """Of the spins."""

    def __post_init__(self):
        if self.tries < 0 or self.steps < 1:
            raise ValueError(f"got tries={self.tries}, steps={self.steps}; use tries 40 (or 0 for ranks), steps 200.")
        for case in self.cases:
            if case.lattice not in ("square", "triangular", "honeycomb", "kagome", "chain", "cubic"):
                raise ValueError(f"there is no lattice {case.lattice!r}; choose square, triangular, honeycomb, ...")


class Surroundings:
    """All features of one neighbourhood as functions of its spins `(n, 3)`, the centre first.

    `sets` maps a name to the mask of its features; those of the `Bispectrum` are nested.
    """

    def __init__(self, case: Case, config: Config):
        make = getattr(js, case.lattice)
        seen = js.Bispectrum(make(9), case.radius, case.bond_radius, bispectrum=True)
        self.around: Neighborhood = seen.neighborhood
        cells = self.around.smallest_cells()
        self.lattice = make(*cells, periodic=False)
        offsets = np.array([offset for offset, _ in self.around.sites[0]])
        places = (*(offsets - offsets.min(axis=0)).T, np.array([s for _, s in self.around.sites[0]]))
        self.places, self.center = places, tuple(int(p[0]) for p in places)
        self.polynomials = seen.on(self.lattice)
        self.moments = [
            LocalMoments(self.lattice, config.coupling, hops=h, moments=config.moments, surroundings=0)
            for h in config.hops
        ]
        kinds = ["phase" if "phase" in x else "bispectrum" if "bispectrum" in x else "power" for x in seen.labels]
        names = {"power": ("power",), "+ phases": ("power", "phase"), "+ bispectrum": ("power", "phase", "bispectrum")}
        blocks = np.repeat(np.arange(1 + len(config.hops)), [len(kinds), *(m.n_features for m in self.moments)])
        whole = np.array([*kinds, *["moments"] * int(np.sum(blocks > 0))])
        self.sets = {name: np.isin(whole, parts) for name, parts in names.items()}
        self.sets |= {f"moments, {h} hops": blocks == n for n, h in enumerate(config.hops, start=1)}

    @property
    def number(self) -> int:
        """Of spins."""
        return len(self.around.vectors)

    def draw(self, key, count: int) -> Array:
        """Independent random neighbourhoods `(count, n, 3)`."""
        return normalize(jax.random.normal(key, (count, self.number, 3)))

    def embedded(self, spins: Array) -> Array:
        """The neighbourhood alone on its lattice."""
        return jnp.zeros((*self.lattice.shape, 3)).at[self.places].set(spins)

    def features(self, spins: Array) -> Array:
        """Of all sets, one after another."""
        whole = self.embedded(spins)
        return jnp.concatenate([describe(whole)[self.center] for describe in (self.polynomials, *self.moments)])

    def variables(self, spins: Array) -> Array:
        """Bonds and chiralities."""
        return invariants(self.lattice, self.embedded(spins), self.around)[(slice(None), 0, *self.center[:-1])]

    def images(self) -> np.ndarray:
        """What the point group and time reversal do to the variables, `(2 order, variables, variables)`."""
        orbits = (*self.around.bonds, *self.around.triangles)
        turns = np.array([block_diag(*parts) for parts in zip(*(o.representation for o in orbits), strict=True)])
        odd = np.repeat(
            [1.0, -1.0], [sum(len(o.members) for o in x) for x in (self.around.bonds, self.around.triangles)]
        )
        return np.concatenate([turns, odd[:, None] * turns])

    def apart(self, first: Array, second: Array) -> np.ndarray:
        """rms difference of the variables of pairs of neighbourhoods, the least over all symmetries."""
        x, y = (np.asarray(jax.vmap(self.variables)(s)) for s in (first, second))
        moved = np.einsum("gvw,pw->pgv", self.images(), x)
        return np.sqrt(np.mean((moved - y[:, None]) ** 2, axis=-1)).min(axis=1)


def run(config: Config) -> dict[str, Any]:
    """Ranks and collisions of every set in every neighbourhood."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    rows = []
    with jax.enable_x64(True):
        for number, case in enumerate(tqdm(config.cases, desc="neighbourhoods", unit="case")):
            rows += measure(Surroundings(case, config), str(case), config, jax.random.key(config.seed + number))
    summary = {"rows": rows, "provenance": provenance(config, config.seed)}
    (folder / "summary.json").write_text(to_json(summary, indent=1))
    (folder / "table.md").write_text(markdown(rows))
    return summary


def measure(around: Surroundings, name: str, config: Config, key) -> list[dict[str, Any]]:
    """One row for each set of features of a neighbourhood."""
    draws, starts, goals = jax.random.split(key, 3)
    features = jax.jit(jax.vmap(around.features))
    deviation = np.std(features(around.draw(draws, 200)), axis=0)
    scale = jnp.asarray(np.where(deviation > NEGLIGIBLE * deviation.max(), deviation, 1))
    some = around.draw(draws, 3)
    slopes = slopes_of(lambda s: around.features(s) / scale, some)
    seen = max(map(rank, slopes_of(around.variables, some)))
    first, begin = (around.draw(k, config.tries) for k in (goals, starts))
    rows = []
    for chosen, mask in around.sets.items():
        row: dict[str, Any] = {
            "neighbourhood": name,
            "set": chosen,
            "features": int(mask.sum()),
            "degrees of freedom": 2 * around.number - 3,
            "rank of the variables": seen,
            "rank": max(rank(slope[mask]) for slope in slopes),
        }
        if config.tries:
            second = nearest(around.features, first, begin, jnp.asarray(mask) / scale, config.steps)
            difference = np.asarray((features(second) - features(first)) / scale)
            distances = {other: rms(difference[:, m]) for other, m in around.sets.items()}
            solved = distances[chosen] < SAME
            found = solved & (around.apart(first, second) > APART)
            row |= {"tries": config.tries, "solved": int(solved.sum()), "collisions": int(found.sum())}
            if found.any():
                example = int(np.argmax(found))
                row["least distance"] = {other: float(d[found].min()) for other, d in distances.items()}
                row["median distance"] = {other: float(np.median(d[found])) for other, d in distances.items()}
                row["apart by"] = float(around.apart(first, second)[found].min())
                row["example"] = {"first": first[example], "second": second[example]}
        rows.append(row)
    return rows


def slopes_of(function: Callable[[Array], Array], spins: Array) -> np.ndarray:
    """d function / d rotation vectors of the spins, `(count, values, 3 n)`."""

    def slope(s):
        return jax.jacfwd(lambda w: function(retract(s, w)))(jnp.zeros_like(s))

    found = jax.jit(jax.vmap(slope))(spins)
    return np.asarray(found).reshape(*found.shape[:2], -1)


def rank(matrix: np.ndarray) -> int:
    """The number of singular values that are not rounding."""
    values = np.linalg.svd(matrix, compute_uv=False)
    return int(np.sum(values > NEGLIGIBLE * values[0]))


def nearest(function: Callable[[Array], Array], goals: Array, starts: Array, weights: Array, steps: int) -> Array:
    """Spins `(tries, n, 3)` near `starts` where the weighted function is a local minimum from that of `goals`."""
    solver = optx.LevenbergMarquardt(rtol=1e-13, atol=1e-13)

    def residual(free, goal):
        return weights * (function(normalize(free)) - goal)

    @jax.jit
    def solve(goal, start):
        return normalize(
            optx.least_squares(residual, solver, start, function(goal), max_steps=steps, throw=False).value
        )

    return jnp.stack([solve(goal, start) for goal, start in zip(goals, starts, strict=True)])


def rms(difference: np.ndarray) -> np.ndarray:
    """1 for independent neighbourhoods, if `difference` is in units of the deviations."""
    return np.sqrt(np.mean(difference**2, axis=-1) / 2)


def markdown(rows: list[dict[str, Any]]) -> str:
    """One line a set; the last column says how far apart the closest collision is in the other sets."""
    heads = [
        "neighbourhood",
        "set",
        "features",
        "rank",
        "of",
        "spins' freedom",
        "collisions",
        "least distance elsewhere",
    ]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        least = {k: d for k, d in row.get("least distance", {}).items() if k != row["set"]}
        numbers = [row[k] for k in ("features", "rank", "rank of the variables", "degrees of freedom")]
        count = f"{row['collisions']} of {row['tries']}" if "tries" in row else ""
        words = "; ".join(f"{k}: {d:.1g}" for k, d in least.items())
        lines.append([row["neighbourhood"], row["set"], *map(str, numbers), count, words])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    settings = tyro.cli(Config, description=__doc__)
    run(settings)
    print((settings.output / "table.md").read_text())
    print(f"everything is in {settings.output}")
