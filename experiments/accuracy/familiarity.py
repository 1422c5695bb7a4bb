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
from experiments.accuracy.familiarity_figures import draw
from experiments.stages import Electrons, Motion, Resumable, Sampling, main, open_folder, stored_table, textures_on
from experiments.stages.checks import check_positive
from experiments.stages.motion import frames_of
from experiments.stages.tables import markdown
from jaxspin.forcefield import MultilayerPerceptron, pretrained_metadata, pretrained_names
from jaxspin.io import load_or_make, provenance, save_json, whole_file
from jaxspin.spins import tangent
from jaxspin.training import distinct, perturbed_configurations, random_configurations

States = dict[str, np.ndarray]


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


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a force field came to be, as its metadata tell."""

    electrons: Electrons
    sampling: Sampling
    motion: Motion
    model: js.BehlerParrinello

    @staticmethod
    def of(name: str, quenches: int | None) -> "Recipe":
        told = pretrained_metadata(name)["config"]
        plain: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in told["sampling"].items()}
        sampling = Sampling(**plain)
        sampling = sampling if quenches is None else dataclasses.replace(sampling, quenches=quenches)
        electrons = Electrons(**told["electrons"])
        return Recipe(electrons, sampling, Motion(**told["motion"]), js.pretrained(name, electrons.on(sampling.side)))

    def quench(self, number: int, key: jax.Array) -> np.ndarray:
        start_key, noise = jax.random.split(jax.random.fold_in(key, number))
        start = js.random_spins(self.model.lattice, key=start_key)
        length = {"duration": self.sampling.quench_duration, "frames": self.sampling.quench_frames}
        return np.asarray(frames_of(self.model, start, self.motion, spacing=self.sampling.spacing, **length, key=noise))

    def bath(self, temperature: float, frames: int, key: jax.Array) -> np.ndarray:
        (order,) = textures_on(self.model.lattice, self.sampling.hot_textures[:1]).values()
        length = {"duration": self.sampling.hot_duration, "frames": frames}
        return np.asarray(frames_of(self.model, order, self.motion.at(temperature), **length, key=key))

    def orders(self, amplitudes: Any, key: jax.Array) -> States:
        found = textures_on(self.model.lattice, self.sampling.textures)
        keys = jax.random.split(key, len(found))
        return {
            name: np.asarray(perturbed_configurations(texture, amplitudes, key=k))
            for (name, texture), k in zip(found.items(), keys, strict=True)
        }

    def known(self, key: jax.Array) -> np.ndarray:
        """What the force field learnt from, made anew."""
        one, two, three, four = jax.random.split(key, 4)
        sampling, bar = self.sampling, tqdm(total=self.sampling.quenches, desc="known", unit="quench")

        def kept(frames: np.ndarray) -> np.ndarray:
            return frames[distinct(jnp.asarray(frames), overlap=sampling.overlap)]

        parts = []
        for number in range(sampling.quenches):
            parts.append(kept(self.quench(number, one)))
            bar.update()
        for number, temperature in enumerate(sampling.hot_temperatures):
            parts.append(kept(self.bath(temperature, sampling.hot_frames, jax.random.fold_in(two, number))))
        amplitudes = jnp.linspace(*sampling.amplitudes, -(-sampling.ordered // len(sampling.textures)))
        parts += self.orders(amplitudes, three).values()
        parts.append(np.asarray(random_configurations(self.model.lattice, sampling.random, key=four)))
        return np.concatenate(parts)

    def tried(self, config: Config, key: jax.Array) -> tuple[States, States]:
        """Configurations of the kinds learnt from, and others."""
        one, two, three, four, five = jax.random.split(key, 5)
        lattice, amplitude = self.model.lattice, config.displacement
        some = np.linspace(0, self.sampling.quench_frames - 1, 6).astype(int)
        near = {f"quench {n}": self.quench(n, one)[some] for n in range(2)}
        near["random"] = np.asarray(random_configurations(lattice, 4, key=two))
        near |= {f"order {name}": found for name, found in self.orders(amplitude * jnp.ones(3), three).items()}
        baths = {
            f"bath {temperature:g}": self.bath(temperature, 3, jax.random.fold_in(four, number))
            for number, temperature in enumerate(config.temperatures)
        }
        far = {name: t for name, t in baths.items() if float(name.split()[1]) > max(self.sampling.hot_temperatures)}
        near |= {name: found for name, found in baths.items() if name not in far}
        for number, (name, texture) in enumerate(textures_elsewhere(lattice).items()):
            amplitudes = (amplitude, amplitude)
            moved = perturbed_configurations(
                texture.astype(jnp.float32), amplitudes, key=jax.random.fold_in(five, number)
            )
            far[name] = np.asarray(moved)
        return near, far


def textures_elsewhere(lattice: js.Lattice) -> dict[str, jax.Array]:
    """Those of `experiments.accuracy.transfer`, on any even number of cells."""
    side = lattice.cells[0]
    turn = lattice.reciprocal() / side
    half = dataclasses.replace(lattice, cells=(side // 2, side), periodic=(False, True))
    wall = js.textures.domain_wall(half)
    return {
        "spiral, long": js.textures.spiral(lattice, tuple(turn[0])),
        "spiral, short": js.textures.spiral(lattice, tuple(side // 4 * turn[0])),
        "conical spiral": js.textures.spiral(lattice, tuple(side // 6 * turn.sum(axis=0)), cone=0.8),
        "skyrmion": js.textures.skyrmion(lattice, side / 4),
        "pair of domain walls": jnp.concatenate([wall, wall[::-1]]),
    }


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
    near, far = recipe.tried(config, key)
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


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def torques_of(exact: Any, model: Any, spins: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of the exact torque and of the error of the learnt one, by site."""
    right, learnt = (tangent(spins, field.field(spins)) for field in (exact, model))
    return tuple(np.linalg.norm(np.asarray(x, float), axis=-1).ravel() for x in (right, learnt - right))


def site_values(model: js.BehlerParrinello, spins: np.ndarray) -> np.ndarray:
    """`unfamiliarity` by site."""
    return np.asarray(model.unfamiliarity(jnp.asarray(spins)), float).ravel()


def in_layers(model: js.BehlerParrinello, known: np.ndarray, tried: States) -> dict[str, States]:
    """The same distance in the last hidden layer, and sqrt(g^T (sum g g^T/N + r)^-1 g) of its activations g."""

    @jax.jit
    def activations(spins: jax.Array) -> jax.Array:
        x = (model.descriptor(spins) - model.mean) / model.deviation
        assert isinstance(model.network, MultilayerPerceptron)
        for layer in model.network.hidden:
            x = jax.nn.silu(layer(x))
        return x.reshape(-1, x.shape[-1])

    def of(frames: np.ndarray) -> np.ndarray:
        return np.stack([np.asarray(activations(jnp.asarray(s)), float) for s in frames])

    learnt = np.concatenate(of(known))
    found = {}
    for name, center in (("last hidden layer", learnt.mean(axis=0)), ("variance of the last layer", 0.0)):
        apart = learnt - center
        squares = apart.T @ apart / len(apart)
        inverse = np.linalg.inv(squares + 1e-8 * np.trace(squares) / len(squares) * np.eye(len(squares)))

        def distance(x: np.ndarray, inverse: np.ndarray = inverse, center: Any = center) -> np.ndarray:
            return np.sqrt(np.einsum("...i,ij,...j->...", x - center, inverse, x - center))

        usual = np.quantile(distance(learnt), 0.99)
        found[name] = {case: distance(of(frames)) / usual for case, frames in tried.items()}
    return found


def ranks(errors: States, torques: States, measures: dict[str, States]) -> dict[str, dict[str, float]]:
    """Spearman's rank correlation of each measure with the error: of spins, of frames, of frames over their torque."""
    from scipy.stats import spearmanr

    rank: Any = spearmanr

    error, torque = (np.concatenate(list(x.values())) for x in (errors, torques))
    size = np.sqrt(np.mean(error**2, axis=1))
    found = {}
    for name, values in measures.items():
        value = np.concatenate(list(values.values()))
        frames = np.sqrt(np.mean(value**2, axis=1))
        found[name] = {
            "spins": float(rank(value.ravel(), error.ravel())[0]),
            "frames": float(rank(frames, size)[0]),
            "frames, relative error": float(rank(frames, size / np.sqrt(np.mean(torque**2, axis=1)))[0]),
        }
    return found


def table(summary: dict[str, Any]) -> str:
    """Both, as Markdown."""
    text = ""
    for name, found in summary["force fields"].items():
        measures = list(found["ranks"])
        header = ["rank correlation with the error", "spins", "frames", "frames, error over torque"]
        lines = [[measure, *(f"{value:.2f}" for value in row.values())] for measure, row in found["ranks"].items()]
        text += f"`{name}`\n\n" + markdown(header, lines) + "\n"
        header = ["case", "learnt", "torque error", *(f"flagged by {measure}" for measure in measures)]
        lines = [
            [
                row["case"],
                "yes" if row["learnt"] else "no",
                f"{100 * row['torque error']:.1f} %",
                *(f"{100 * row[f'{measure}, share']:.0f} %" for measure in measures),
            ]
            for row in found["rows"]
        ]
        text += markdown(header, lines) + "\n"
    return text


if __name__ == "__main__":
    main(Config, run, __doc__, stored_table)
