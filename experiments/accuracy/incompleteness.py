"""Which neighbourhoods a set of features cannot tell apart, and which set can.

    python -m experiments.accuracy.incompleteness            # minutes on one core, writes runs/incompleteness
    python -m experiments.accuracy.incompleteness --help     # every setting

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
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.linalg import block_diag
from tqdm import tqdm

import jaxspin as js
from experiments.stages import Output, main, stored_table
from experiments.stages.tables import markdown
from jaxspin.descriptors import LocalMoments
from jaxspin.descriptors.neighborhood import Orbit
from jaxspin.io import new_folder, provenance, save_json
from jaxspin.spins import normalize, retract

VARIABLES = "bonds and chiralities"

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
class Config(Output):
    """What is compared."""

    output: Path = Path("runs/incompleteness")
    """Folder for `summary.json` and `table.md`; an existing one is refused."""
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
    """Pairs started for each set of features."""
    steps: int = 200
    """Levenberg-Marquardt steps at most."""
    seed: int = 0
    """Of the spins."""

    def __post_init__(self):
        if self.tries < 3 or self.steps < 1:
            raise ValueError(f"got tries={self.tries}, steps={self.steps}; use at least 3 tries, and 200 steps.")
        for case in self.cases:
            if case.lattice not in ("square", "triangular", "honeycomb", "kagome", "chain", "cubic"):
                raise ValueError(f"there is no lattice {case.lattice!r}; choose square, triangular, honeycomb, ...")


class Surroundings:
    """Bonds, chiralities and all features of one neighbourhood as functions of its n spins, the centre first.

    `sets` maps a name to the mask of its features; `VARIABLES` are the bonds and chiralities themselves.
    """

    def __init__(self, case: Case, config: Config):
        make = getattr(js, case.lattice)
        self.polynomials = js.Bispectrum(make(9), case.radius, case.bond_radius, bispectrum=True)
        self.around = self.polynomials.neighborhood
        self.spins = len(self.around.vectors)
        self.lattice = make(*self.around.smallest_cells(), periodic=False)
        offsets = np.array([offset for offset, _ in self.around.sites[0]])
        self.places = (*(offsets - offsets.min(axis=0)).T, np.array([s for _, s in self.around.sites[0]]))
        self.moments = [
            LocalMoments(self.lattice, config.coupling, hops=h, moments=config.moments, surroundings=0)
            for h in config.hops
        ]
        number = sum(len(orbit.members) for orbit in (*self.around.bonds, *self.around.triangles))
        kinds = [x.split()[-1].rstrip("0123456789") for x in self.polynomials.labels]
        kinds = np.array([VARIABLES] * number + [x if x in ("phase", "bispectrum") else "power" for x in kinds])
        clusters = {f"moments, {hops} hops": m.n_features for hops, m in zip(config.hops, self.moments, strict=True)}
        kinds = np.concatenate([kinds, np.repeat(list(clusters), list(clusters.values()))])
        parts = {VARIABLES: (VARIABLES,), "power": ("power",), "+ phases": ("power", "phase")}
        parts |= {"+ bispectrum": ("power", "phase", "bispectrum"), **{name: (name,) for name in clusters}}
        self.sets = {name: np.isin(kinds, some) for name, some in parts.items()}
        self.values_and_slopes = jax.jit(jax.vmap(self._value_and_slope))

    def draw(self, key, count: int) -> Array:
        """Independent random neighbourhoods `(count, n, 3)`."""
        return normalize(jax.random.normal(key, (count, self.spins, 3)))

    def values(self, spins: Array) -> Array:
        """Everything in `sets`, one after another, at spins `(n, 3)`."""
        j, k = (spins[numbers] for numbers in _members(self.around.bonds, 2))
        bonds = jnp.sum(j * k, axis=-1)
        j, k, l = (spins[numbers] for numbers in _members(self.around.triangles, 3))
        variables = jnp.concatenate([bonds, jnp.sum(j * jnp.cross(k, l), axis=-1)])
        polynomials = self.polynomials.of_variables(variables[:, None])[:, 0]
        alone = jnp.zeros((*self.lattice.shape, 3)).at[self.places].set(spins)
        center = tuple(int(p[0]) for p in self.places)
        return jnp.concatenate([variables, polynomials, *(moments(alone)[center] for moments in self.moments)])

    def _value_and_slope(self, spins: Array) -> tuple[Array, Array]:
        """The values, and their derivatives with respect to rotation vectors of the spins `(values, n, 3)`."""

        def moved(w):
            values = self.values(retract(spins, w))
            return values, values

        slope, values = jax.jacfwd(moved, has_aux=True)(jnp.zeros_like(spins))
        return values, slope

    def images(self) -> np.ndarray:
        """What the point group and time reversal do to the variables, `(2 order, variables, variables)`."""
        bonds, triangles = self.around.bonds, self.around.triangles
        orbits = [x.representation for x in (*bonds, *triangles)]
        turns = np.array([block_diag(*parts) for parts in zip(*orbits, strict=True)])
        odd = np.repeat([1.0, -1.0], [sum(len(x.members) for x in kind) for kind in (bonds, triangles)])
        return np.concatenate([turns, odd[:, None] * turns])

    def apart(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """rms difference of the variables `(pairs, variables)`, the least over all symmetries."""
        moved = np.einsum("gvw,pw->pgv", self.images(), first)
        return np.sqrt(np.mean((moved - second[:, None]) ** 2, axis=-1)).min(axis=1)


def _members(orbits: tuple[Orbit, ...], corners: int) -> np.ndarray:
    """The sites of all bonds or triangles, `(corners, number)`."""
    return np.array([member for orbit in orbits for member in orbit.members], int).reshape(-1, corners).T


def run(config: Config) -> dict[str, Any]:
    """Ranks and collisions of every set in every neighbourhood."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    rows = []
    with jax.enable_x64(True):
        for number, case in enumerate(tqdm(config.cases, desc="neighbourhoods", unit="case")):
            key = jax.random.fold_in(jax.random.key(config.seed), number)
            rows += measure(Surroundings(case, config), str(case), config, key)
    summary = {"rows": rows, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    (folder / "table.md").write_text(table_of(rows))
    return summary


def measure(around: Surroundings, name: str, config: Config, key) -> list[dict[str, Any]]:
    """One row for each set of features of a neighbourhood."""
    first, start = (around.draw(k, config.tries) for k in jax.random.split(key))
    goals, slopes = (np.asarray(x) for x in around.values_and_slopes(first))
    deviation = goals.std(axis=0)
    scale = np.where(deviation > NEGLIGIBLE * deviation.max(), deviation, 1)
    rows = []
    for chosen, mask in around.sets.items():
        matrices = (slopes[:3] / scale[:, None, None])[:, mask].reshape(-1, mask.sum(), 3 * around.spins)
        row: dict[str, Any] = {
            "neighbourhood": name,
            "set": chosen,
            "features": int(mask.sum()),
            "degrees of freedom": 2 * around.spins - 3,
            "rank": max(map(rank, matrices)),
        }
        rows.append(row)
        if chosen == VARIABLES:
            continue
        second, values = nearest(around, goals, start, mask / scale, config.steps)
        distance = {other: rms(((values - goals) / scale)[:, m]) for other, m in around.sets.items()}
        apart = around.apart(*(x[:, around.sets[VARIABLES]] for x in (goals, values)))
        solved = distance[chosen] < SAME
        found = solved & (apart > APART)
        row |= {"tries": config.tries, "solved": int(solved.sum()), "collisions": int(found.sum())}
        if found.any():
            row["least distance"] = {other: float(d[found].min()) for other, d in distance.items()}
            row["median distance"] = {other: float(np.median(d[found])) for other, d in distance.items()}
            # the clearest one
            best = int(np.argmax(np.where(found, apart, 0)))
            row["example"] = {"first": np.asarray(first)[best], "second": np.asarray(second)[best]}
    return rows


def rank(matrix: np.ndarray) -> int:
    """The number of singular values that are not rounding."""
    values = np.linalg.svd(matrix, compute_uv=False)
    return int(np.sum(values > NEGLIGIBLE * values[0]))


def nearest(
    around: Surroundings, goals: np.ndarray, spins: Array, weights: np.ndarray, steps: int
) -> tuple[Array, np.ndarray]:
    """Levenberg-Marquardt descents of sum (weight (value - goal))^2 over the spins, from `spins` `(tries, n, 3)`.

    A step turns the spins by w with (J^T J + damping) w = -J^T r; it is taken back, and the damping raised, where it
    does not lower the sum. Returns the spins reached and all their values.
    """
    values, slopes = (np.asarray(x) for x in around.values_and_slopes(spins))
    damping = np.ones(len(goals))
    for _ in range(steps):
        rest = weights * (values - goals)
        matrix = (weights[:, None, None] * slopes).reshape(*values.shape, -1)
        normal = np.einsum("pvi,pvj->pij", matrix, matrix) + damping[:, None, None] * np.eye(matrix.shape[-1])
        turn = -np.linalg.solve(normal, np.einsum("pvi,pv->pi", matrix, rest)[..., None])
        trial = normalize(retract(spins, jnp.asarray(turn).reshape(spins.shape)))
        found, changed = (np.asarray(x) for x in around.values_and_slopes(trial))
        better = np.sum((weights * (found - goals)) ** 2, axis=1) < np.sum(rest**2, axis=1)
        spins = jnp.where(better[:, None, None], trial, spins)
        values = np.where(better[:, None], found, values)
        slopes = np.where(better[:, None, None, None], changed, slopes)
        damping = np.clip(damping * np.where(better, 0.2, 5.0), 1e-10, 1e6)
    return spins, values


def rms(difference: np.ndarray) -> np.ndarray:
    """1 for independent neighbourhoods, if `difference` is in units of the deviations."""
    return np.sqrt(np.mean(difference**2, axis=-1) / 2)


def table_of(rows: list[dict[str, Any]]) -> str:
    """One line a set; the last column says how far apart its closest collision is in the other sets."""
    heads = ["neighbourhood", "set", "features", "rank", "spins' freedom", "collisions", "least distance in other sets"]
    lines = []
    for row in rows:
        numbers = [str(row[k]) for k in ("features", "rank", "degrees of freedom")]
        count = f"{row['collisions']} of {row['tries']}" if "tries" in row else ""
        least = [f"{k}: {d:.1g}" for k, d in row.get("least distance", {}).items() if k != row["set"]]
        lines.append([row["neighbourhood"], row["set"], *numbers, count, "; ".join(least)])
    return markdown(heads, lines)


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
