"""A field learnt on some samples of a disorder, judged on samples that it has never seen.

    python -m experiments.accuracy.disorder                 # writes runs/disorder
    python -m experiments.accuracy.disorder --help          # every setting

Two disorders of a square lattice: a share of the sites vacant, or every hopping drawn anew. Each sample has its exact
fields on random spins and on perturbed antiferromagnets, at a fixed chemical potential, so that no Fermi level is
shared. The samples learnt from are layers of one lattice, too far apart to hop between them, and so are those held out:
one data set, one training. Twice for each disorder: with the moments of a clean lattice (`LocalMoments`, which sees
vacancies, since these have no spin, but no hopping), and with those of the electrons that are there
(`DisorderedMoments`). The network is moved from sample to sample by its descriptor alone.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxspin as js
from experiments.stages import Output, main
from experiments.stages.checks import check_counts, check_positive
from jaxspin.electrons import diluted, kinetic, random_bonds
from jaxspin.io import new_folder, provenance, save_json, to_json

KINDS = ("dilution", "bonds")
# Lattice constants between layers: further than any shell that hops.
APART = 9.0


@dataclasses.dataclass(frozen=True)
class Config(Output):
    """Disorder, samples and network."""

    output: Path = Path("runs/disorder")
    """Folder for `summary.json`; an existing one is refused."""
    kinds: tuple[str, ...] = KINDS
    """Of disorder: dilution, bonds."""
    dilution: float = 0.2
    """Share of the sites that are vacant."""
    width: float = 1.0
    """W: hoppings lie evenly between 1 - W/2 and 1 + W/2."""
    side: int = 12
    """Cells along each axis of a sample."""
    coupling: float = 3.0
    """J of the s-d model."""
    chemical_potential: float = 0.0
    """mu of the electrons; 0 is half filling, with every disorder here."""
    temperature: float = 0.05
    """Of the electrons."""
    samples: int = 16
    """Samples of the disorder to learn from."""
    held_out: int = 4
    """Samples to judge by."""
    configurations: int = 16
    """Of spins on each sample, a half of them random, the others perturbed antiferromagnets."""
    amplitudes: tuple[float, float] = (0.2, 1.0)
    """The smallest and the largest perturbation."""
    hops: int = 3
    """Radius of the clusters."""
    moments: int = 24
    """Of each cluster."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the network's layers."""
    training: js.TrainConfig = dataclasses.field(default_factory=lambda: js.TrainConfig(steps=2000, batch=2))
    """A configuration of the training holds all its samples."""
    seed: int = 0
    """Of samples, spins and weights."""

    def __post_init__(self):
        check_counts(self, "side", "samples", "held_out", "hops")
        check_positive(self, "temperature")
        unknown = set(self.kinds) - set(KINDS)
        if unknown or not self.kinds:
            raise ValueError(f"kinds are some of {', '.join(KINDS)}, got {self.kinds}; leave it out for both.")
        if self.side % 2:
            raise ValueError(f"an antiferromagnet needs an even side, got {self.side}; use {self.side + 1}.")
        if self.configurations < 4:
            raise ValueError(f"configurations must be at least 4, got {self.configurations}; some are held back.")
        if not (0 <= self.dilution < 1 and 0 <= self.width <= 2):
            raise ValueError("dilution lies between 0 and 1, width between 0 and 2; see --help for the defaults.")

    @property
    def lattice(self) -> js.Lattice:
        """Of one sample."""
        return js.square(self.side)

    @property
    def bound(self) -> float:
        """No smaller than |H| of any sample."""
        return abs(self.coupling) + 4 * (1 + self.width / 2)


def run(config: Config) -> dict[str, Any]:
    """Trains two models for each disorder; returns what summary.json holds."""
    folder = new_folder(config.output, overwrite=config.overwrite)
    rows = []
    for kind in config.kinds:
        key = jax.random.fold_in(jax.random.key(config.seed), KINDS.index(kind))
        learnt_key, held_key, model_key = jax.random.split(key, 3)
        learnt_from = labelled(config, kind, config.samples, learnt_key)
        held_out = labelled(config, kind, config.held_out, held_key)
        for name in ("moments of a clean lattice", "moments of the electrons that are there"):
            began = time.perf_counter()
            clean = name.endswith("clean lattice")
            here, there = (features(config, model, clean) for model, _ in (learnt_from, held_out))
            model = js.BehlerParrinello(descriptor=here, hidden=config.hidden, key=model_key)
            learnt = js.train(model, learnt_from[1], config.training, key=model_key, progress=True)
            moved = eqx.tree_at(lambda m: m.descriptor, learnt.model, there)
            rows.append(
                {
                    "disorder": kind,
                    "descriptor": name,
                    "torque error": {
                        "samples learnt from": float(learnt.history["torque"].min()),
                        "samples never seen": js.training.evaluate(moved, held_out[1]).torque,
                        **{
                            f"samples never seen, {source}": js.training.evaluate(moved, part).torque
                            for source, part in by_source(held_out[1]).items()
                        },
                    },
                    "best step": learnt.best_step,
                    "seconds": round(time.perf_counter() - began, 1),
                }
            )
            print(to_json(rows[-1]), flush=True)
    summary = {"rows": rows, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    return summary


def labelled(config: Config, kind: str, samples: int, key: jax.Array) -> tuple[js.SDModel, js.SpinData]:
    """Samples of a disorder as layers of one lattice: the model of all of them, and their exact fields.

    The energy of a configuration is the sum of its samples'.
    """
    models, spins, energies, fields = [], [], [], []
    for sample_key in jax.random.split(key, samples):
        disorder, texture = jax.random.split(sample_key)
        model = sample(config, kind, disorder)
        models.append(model)
        spins.append(configurations(config, model, texture))
        energy, field = exact(config, model, spins[-1])
        energies.append(energy)
        fields.append(field)
    lattice = layers(config.lattice, samples)
    sources = ["random"] * (config.configurations // 2)
    sources += ["perturbed"] * (config.configurations - len(sources))
    along = (jnp.stack(x, axis=1) for x in (spins, fields))
    data = js.SpinData(lattice, next(along), next(along), jnp.sum(jnp.stack(energies), axis=0), source=sources)
    return stacked(lattice, models), data


def sample(config: Config, kind: str, key: jax.Array) -> js.SDModel:
    """One sample."""
    lattice = config.lattice
    if kind == "dilution":
        occupied = diluted(lattice, config.dilution, key=key)
        return js.SDModel(lattice, kinetic(lattice, jnp.ones(lattice.cells)), config.coupling, occupied=occupied)
    return js.SDModel(lattice, random_bonds(lattice, 1.0, config.width, key=key), config.coupling)


def configurations(config: Config, model: js.SDModel, key: jax.Array) -> jax.Array:
    """Random spins, then perturbed antiferromagnets."""
    random, perturbed = jax.random.split(key)
    lattice, half = model.lattice, config.configurations // 2
    drawn = js.training.random_configurations(lattice, half, key=random)
    sizes = jnp.linspace(*config.amplitudes, config.configurations - half)
    near = js.training.perturbed_configurations(js.textures.neel(lattice), sizes, key=perturbed)
    spins = jnp.concatenate([drawn, near.astype(drawn.dtype)])
    if model.occupied is None:
        return spins
    return jax.vmap(lambda s: js.spins.dilute(s, model.occupied))(spins)


def exact(config: Config, model: js.SDModel, spins: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Energies and fields of one sample."""
    return _exact(model, spins, config.chemical_potential, config.temperature)


@eqx.filter_jit
def _exact(model, spins, level, temperature):
    solver = js.ExactDiagonalization(model, chemical_potential=level, temperature=temperature)
    return jax.lax.map(lambda s: solver.energy_and_field(s), spins)


def layers(lattice: js.Lattice, samples: int) -> js.Lattice:
    """A lattice with one more axis, in front, whose layers are too far apart to hop."""
    vectors = ((APART, 0.0, 0.0), *((0.0, *v) for v in lattice.vectors))
    basis = tuple((0.0, *b) for b in lattice.basis)
    return js.Lattice("layers", vectors, basis, (samples, *lattice.cells), (True, *lattice.periodic))


def stacked(lattice: js.Lattice, models: list[js.SDModel]) -> js.SDModel:
    """The samples as one model on the layers."""
    hoppings = []
    for bond in lattice.shell(1):
        parts = [h.amplitude for m in models for h in m.hoppings if h.bond.offset == bond.offset[1:]]
        hoppings.append(js.Hopping(bond, jnp.stack(parts)))
    return js.SDModel(lattice, hoppings, models[0].coupling)


def features(config: Config, model: js.SDModel, clean: bool) -> js.descriptors.AbstractDescriptor:
    """The moments of a clean lattice, or those of the model."""
    settings: dict[str, Any] = {"hops": config.hops, "moments": config.moments}
    if clean:
        return js.LocalMoments(model.lattice, config.coupling, **settings)
    return js.descriptors.DisorderedMoments.of(model, bound=config.bound, **settings)


def by_source(data: js.SpinData) -> dict[str, js.SpinData]:
    """The configurations of each kind."""
    return {name: data[[s == name for s in data.sources]] for name in data.source_names}


if __name__ == "__main__":
    main(Config, run, __doc__, lambda found, _: [{**row, "seconds": None} for row in found["rows"]])
