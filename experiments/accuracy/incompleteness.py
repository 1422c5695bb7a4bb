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
import numpy as np
from tqdm import tqdm

from experiments.accuracy.surroundings import VARIABLES, Case, Surroundings, nearest
from experiments.stages import Output, main, stored_table
from experiments.stages.results import markdown
from jaxspin.io import new_folder, provenance, save_json

# Of the rms difference of independent neighbourhoods, in double precision.
SAME = 1e-10
# Far above what a collision's tolerance leaves of an equivalent pair, far below independent pairs.
APART = 1e-3
# Singular values below this fraction of the largest are zero: rounding of some hundred operations.
NEGLIGIBLE = 1e-9


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


def run(config: Config) -> dict[str, Any]:
    """Ranks and collisions of every set in every neighbourhood."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    rows = []
    with jax.enable_x64(True):
        for number, case in enumerate(tqdm(config.cases, desc="neighbourhoods", unit="case")):
            key = jax.random.fold_in(jax.random.key(config.seed), number)
            around = Surroundings(case, config.hops, config.moments, config.coupling)
            rows += measure(around, str(case), config, key)
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
