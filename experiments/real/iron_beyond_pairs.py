"""How much of the torques of iron's electrons do pairs of spins explain, and what does a learnt field add?

    python -m experiments.real.iron_beyond_pairs              # a quarter of an hour on one core
    python -m experiments.real.iron_beyond_pairs --smoke      # few electrons and labels, short training
    python -m experiments.real.iron_beyond_pairs --help       # every setting

Exact torques of the Wannier Hamiltonian of bcc iron, 8 electrons an atom, on a box of few atoms that is repeated for
the electrons' wavevectors. Kinds of spins: random, of the pairs' own thermal runs at several temperatures, and conical
spirals whose spins are turned at random. Fields that are compared:

- "force theorem": the pairs of the ferromagnet's second derivative with the same electrons, nothing is fitted;
- "fitted pairs": one J for each distance in the box, by least squares from the torques;
- "learnt": `BehlerParrinello` with a `Bispectrum` of the two nearest shells, alone and on top of the fitted pairs.

Each is judged on configurations that were held out, and on whole kinds that were. Null cases: a field learnt from the
torques of other configurations, and none, whose error is 1. Last the magnetization of a large box by each field.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.real.bcc_iron import ELECTRONS, kelvin, model_of
from experiments.real.iron_beyond_pairs_figures import draw
from experiments.real.iron_fits import Fitting, beyond_pairs, fits, of_kind, of_other_spins, single, split, without
from experiments.real.iron_states import SMALL, Kinds, states
from experiments.real.pair_fits import fitted_pairs, folded
from experiments.stages import Resumable, Timer, main, open_folder
from jaxspin.io import load_or_make, load_or_make_each, provenance, save_json
from jaxspin.observables import ExchangeCouplings, exchange_couplings
from jaxspin.training import SpinData

FOLDED = "force theorem, folded"


@dataclasses.dataclass(frozen=True)
class Config(Kinds, Fitting, Resumable):
    """Settings. Energies in eV, lengths in Angstrom."""

    output: Path = Path("runs/iron_beyond_pairs")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    seed: int = 0
    """Of spins, splits, weights and noise."""
    smoke: bool = False
    """Run everything small."""
    cells: int = 3
    """Atoms along each axis of the box."""
    points: int = 2
    """Wavevectors of the electrons along each axis, for the repeated box."""
    smearing: float = 0.2
    """k_B T of the electrons."""
    kinds_held_out: tuple[str, ...] = ("random",)
    """Whole kinds that are held out, one after the other."""
    side: int = 16
    """Atoms along each axis of the large box."""
    large_temperatures: tuple[float, ...] = (300.0, 700.0, 1100.0)
    """Kelvin."""
    large_learnt: bool = True
    """Whether the learnt field runs on the large box too, which takes longest."""
    large_steps: int = 500
    """Of the large runs; the second half is averaged over."""

    def __post_init__(self):
        if unknown := set(self.kinds_held_out) - set(self.names()):
            raise ValueError(f"there is no kind {', '.join(sorted(unknown))}; choose of {', '.join(self.names())}.")
        if not 0 < self.held_out < 1 or round(self.held_out * self.per_kind) < 1:
            raise ValueError(f"held_out = {self.held_out} leaves no configuration of {self.per_kind}; use 0.25 of 8.")


def smoke_size(config: Config) -> Config:
    """Hot electrons at one wavevector, two configurations of each kind."""
    training = dataclasses.replace(config.training, steps=4, batch=1, evaluate_every=2, validation=0.5)
    small = {"points": 1, "smearing": 0.5, "per_kind": 2, "kelvins": (900.0,), "hidden": (4,), "held_out": 0.5}
    large = {"side": 4, "large_temperatures": (300.0, 1500.0), "large_steps": 20, "kinds_held_out": ("random",)}
    return dataclasses.replace(config, training=training, **small, **large)


def run(config: Config) -> dict[str, Any]:
    """Labels, fits and errors, and the large runs; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    timer = Timer(folder)
    iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
    with timer("force theorem"), jax.enable_x64(True):
        couplings = load_or_make(folder / "couplings.npy", functools.partial(force_theorem, config, iron))
        exchange = ExchangeCouplings(iron.lattice(config.cells * config.points), couplings)
        box = folded(exchange, config.cells)
        lists = {"force theorem, all pairs": exchange.pairs(), FOLDED: box.pairs()}
    with timer("labels"):
        data = labelled(config, iron, lists[FOLDED], folder)
    splits = {"all kinds": split(config, data)}
    splits |= {f"without {kind}": without(data, kind, config) for kind in config.kinds_held_out}
    models = {name: folder / "models" / name.replace(" ", "_") for name in splits}
    makers = {
        name: functools.partial(fits, config, lists[FOLDED], *parts, models[name]) for name, parts in splits.items()
    }
    with timer("fits"):
        rows = load_or_make_each(folder / "fits", makers, progress=True)
        null = load_or_make(folder / "null.json", functools.partial(of_other_spins, config, *splits["all kinds"]))
    learnt, _ = splits["all kinds"]
    fitted = fitted_pairs(learnt)
    with timer("large runs"):
        lists |= {"fitted pairs": fitted}
        magnets = {name: functools.partial(pairs_on, config, iron, pairs) for name, pairs in lists.items()}
        if config.large_learnt:
            both = functools.partial(both_on, config, iron, learnt, models["all kinds"])
            magnets |= {"fitted pairs and learnt": both}
        tried = {name: functools.partial(magnetization, config, iron, make) for name, make in magnets.items()}
        large = load_or_make_each(folder / "large", tried, progress=True)
    summary = {
        "rms torque": {kind: of_kind(data, kind).torque_scale for kind in sorted(set(data.sources))},
        "labels": len(data),
        "learnt from": len(learnt),
        "J": {name: by_distance(pairs, iron.cell) for name, pairs in lists.items() if name in (FOLDED, "fitted pairs")},
        "mean field (K)": {name: mean_field(pairs) for name, pairs in lists.items()},
        "fits": rows,
        "null": null,
        "large": large,
        "seconds": timer.seconds,
        "provenance": provenance(config, config.seed),
    }
    draw(folder / "iron_beyond_pairs.png", summary)
    save_json(folder / "summary.json", summary)
    return summary


def solver(config: Config, iron: Any, cells: int, points: int) -> js.electrons.BlochDiagonalization:
    model = model_of(iron).on(iron.lattice(cells))
    exact = js.ExactDiagonalization(model, filling=model.filling_of(float(ELECTRONS)), temperature=config.smearing)
    return js.electrons.BlochDiagonalization(exact, points=points)


def force_theorem(config: Config, iron: Any) -> np.ndarray:
    """J(R) of the ferromagnet, for the same electrons as the labels'."""
    electrons = solver(config, iron, 1, config.cells * config.points)
    up = js.textures.ferromagnet(electrons.lattice)
    return np.asarray(exchange_couplings(electrons, up, frequencies=32).couplings)


def labelled(config: Config, iron: Any, pairs: Any, folder: Path) -> SpinData:
    """Every configuration with the electrons' field, kind by kind."""
    electrons = solver(config, iron, config.cells, config.points)
    paths = {kind: folder / "labels" / kind.replace(" ", "_") for kind in (*config.names(), SMALL)}
    if not all(path.exists() for path in paths.values()):
        for kind, spins in states(config, electrons.lattice, pairs).items():
            if not paths[kind].exists():
                js.sample(electrons, spins, source=kind, batch=1, progress=True).save(paths[kind])
    parts = [SpinData.load(path) for path in paths.values()]
    return SpinData.concatenate(parts)


def by_distance(pairs: Any, vectors: np.ndarray) -> dict[str, list[float]]:
    """The sum of J over the pairs of a site at each distance, meV, the convention of E = - sum_(i != j)."""
    length = np.array([np.linalg.norm(np.array(r) @ vectors) for _, _, r, _ in pairs]).round(4)
    values = np.array([float(value) for *_, value in pairs]) * 1e3
    shells = np.unique(length)
    return {"distance": shells.tolist(), "sum": [float(values[length == shell].sum()) for shell in shells]}


def mean_field(pairs: Any) -> float:
    """T_c in kelvin: a list has each pair once, with 2 J."""
    return kelvin(2 / 3 * sum(float(value) for *_, value in pairs))


def pairs_on(config: Config, iron: Any, pairs: Any) -> js.Exchange:
    return js.Exchange(iron.lattice(config.side), pairs=single(pairs))


def both_on(config: Config, iron: Any, learnt: SpinData, folder: Path) -> js.AbstractField:
    """The fitted pairs and what is learnt on top of them, on the large box."""
    pairs, more = beyond_pairs(config, learnt, folder)
    return pairs.on(iron.lattice(config.side)) + more.on(iron.lattice(config.side))


def magnetization(config: Config, iron: Any, make: Any) -> dict[str, Any]:
    """Mean |m| of runs from the ferromagnet, and its scatter in time."""
    field, lattice = make(), iron.lattice(config.side)
    step = 0.06 / js.units.Units("eV").temperature(1000.0)
    found = []
    for n, temperature in enumerate(config.large_temperatures):
        run = js.simulate(
            field,
            js.textures.ferromagnet(lattice, dtype=jnp.float32),
            duration=config.large_steps * step,
            step=step,
            damping=1.0,
            temperature=js.units.Units("eV").temperature(temperature),
            key=jax.random.key(config.seed + n),
            save_every=config.large_steps * step / 20,
            save=lambda t, spins: jnp.linalg.norm(jnp.mean(spins, (0, 1, 2, 3))),
        )
        late = np.asarray(run.saved, float)[10:]
        found.append({"temperature": temperature, "m": float(late.mean()), "scatter": float(late.std())})
    return {"rows": found}


def shown(summary: dict[str, Any], _: Path) -> dict[str, Any]:
    """Errors without their kinds."""
    kept = ("all held out", "fitted to")
    fits = {name: {f: {k: row[f][k] for k in kept} for f in row} for name, row in summary["fits"].items()}
    return {"fits": fits, "null": summary["null"], "large": summary["large"]}


if __name__ == "__main__":
    main(Config, run, __doc__, shown)
