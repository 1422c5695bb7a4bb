"""Whether one force field says where it has not learnt: its unfamiliarity against its error, near and far.

    python -m experiments.accuracy.familiarity                                        # writes runs/familiarity
    python -m experiments.accuracy.familiarity --store jaxspin/forcefield/weights     # and keeps what was found there

For force fields of the package, configurations like those they learnt from are made by the recipe that is stored with
each (`jaxspin.forcefield.pretrained_metadata`): quenches, baths, perturbed orders and random spins. The force field
itself moves the spins, where the electrons moved those of its training, so that no label is needed. `familiar_with`
takes the mean and the covariance of their features.

Then its torques are compared with exact diagonalization on other configurations of those kinds, in hotter baths, and on
spirals, walls and a skyrmion that it never saw. Beside `unfamiliarity`, the distance of the features, stand the same
distance in the last hidden layer and the variance of the last layer's weights: rank correlation with the error of the
spins and of the frames, and how many of the spins each flags.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.accuracy.familiarity_figures import draw, table
from experiments.accuracy.familiarity_measures import in_layers, ranks, rms, site_values, torques_of
from experiments.accuracy.familiarity_recipe import Recipe
from experiments.stages import Resumable, main, open_folder, stored_table
from experiments.stages.checks import check_positive
from jaxspin.forcefield import pretrained_metadata, pretrained_names
from jaxspin.io import load_or_make, provenance, save_json, whole_file


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Resumable):
    """What is known, and what is tried."""

    output: Path = Path("runs/familiarity")
    """Folder for configurations, `summary.json` and the figure; an existing one is refused."""
    store: Path | None = None
    """Folder with the force fields by name, into which what they are familiar with is written; None: into none."""
    names: tuple[str, ...] = ("triangular-120", "triangular-tetrahedral", "triangular-tetrahedral-fast")
    """Of the force fields."""
    quenches: int | None = None
    """Of the configurations learnt from; None: as many as the recipe has."""
    displacement: float = 0.1
    """Standard deviation of each component of the displacements of the textures."""
    temperatures: tuple[float, ...] = (0.02, 0.1, 0.3, 1.0)
    """Of the baths that are tried."""
    seed: int = 0
    """Of starts, noise and displacements."""

    def __post_init__(self):
        check_positive(self, "displacement")
        known = [name for name in pretrained_names() if "sampling" in pretrained_metadata(name)["config"]]
        if unknown := set(self.names) - set(known):
            raise ValueError(f"{', '.join(unknown)} has no recipe of its data; choose of {', '.join(known)}.")


def run(config: Config) -> dict[str, Any]:
    """All force fields; returns what `summary.json` holds."""
    folder = open_folder(dataclasses.replace(config, store=None))
    found = {}
    # for all alike, so that a force field's part does not depend on which others are asked for
    known_key, tried_key = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 0))
    for name in config.names:
        recipe = Recipe.of(name, config.quenches)
        known = kept(folder / f"{name}.npz", lambda r=recipe, k=known_key: r.known(k))
        model = recipe.model.familiar_with(jnp.asarray(known))
        if config.store is not None:
            keep(config, name, model, len(known))
        found[name] = load_or_make(
            folder / f"{name}.json", lambda r=recipe, m=model, n=known, k=tried_key: compared(config, r, m, n, k)
        )
    draw(folder / "familiarity.png", found)
    summary = {"force fields": found, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    (folder / "table.md").write_text(table(summary))
    return summary


def kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array in a file, or what `make` returns, written there."""
    if not path.exists():
        with whole_file(path) as partial:
            np.savez(partial, spins=make())
    with np.load(path) as stored:
        return stored["spins"]


def keep(config: Config, name: str, model: js.BehlerParrinello, count: int) -> None:
    """Write the force field anew, with what it is familiar with and how that was found."""
    assert config.store is not None
    about = js.forcefield.load_metadata(config.store / name)
    about["familiarity"] = {
        "configurations": count,
        "how": "made anew by the recipe of the data, the spins moved by the force field itself; the 99 % quantile is 1",
        **provenance(config, config.seed),
    }
    js.forcefield.save(config.store / name, model, metadata=about, overwrite=True)


def compared(
    config: Config, recipe: Recipe, model: js.BehlerParrinello, known: np.ndarray, key: jax.Array
) -> dict[str, Any]:
    """Errors beside every measure, by case, and how well each measure ranks them."""
    exact = recipe.electrons.exact(recipe.sampling.side)
    near, far = recipe.tried(config.displacement, config.temperatures, key)
    errors, torques = {}, {}
    for name, spins in tqdm({**near, **far}.items(), desc="exact", unit="case"):
        pairs = [torques_of(exact, model, jnp.asarray(s)) for s in spins]
        torques[name], errors[name] = (np.stack(x) for x in zip(*pairs, strict=True))
    measures = {"features": {name: np.stack([site_values(model, s) for s in x]) for name, x in {**near, **far}.items()}}
    measures |= in_layers(model, known, {**near, **far})
    rows = [
        {
            "case": name,
            "learnt": name in near,
            "torque error": rms(errors[name]) / rms(torques[name]),
            "rms torque error": rms(errors[name]),
            "frames": [rms(e) / rms(t) for e, t in zip(errors[name], torques[name], strict=True)],
            "frames, unfamiliarity": [rms(x) for x in measures["features"][name]],
            **{f"{measure}, share": float(np.mean(values[name] > 1)) for measure, values in measures.items()},
        }
        for name in errors
    ]
    return {"configurations": len(known), "rows": rows, "ranks": ranks(errors, torques, measures)}


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
