"""Fine-tuning through rollouts against more training on fields, for the same time of computing.

    python -m experiments.rollout_training            # minutes on one core, writes runs/rollout_training
    python -m experiments.rollout_training --smoke    # the same in a minute, without meaning
    python -m experiments.rollout_training --help     # every setting

Exact runs without noise start near an ordered state and hardly lose energy: small errors of a field add up in them. A
small force field is trained on their fields and on those of random spins, and from there (a) on the fields further, (b)
through rollouts of some steps of the same runs, the loss on fields mixed in. Both are judged on held-out runs ten times
as long as the rollouts, and by their torque error. Also measured: the memory that the gradient of a rollout takes
against its steps, with the checkpointed and the direct adjoint of diffrax (both bound the steps by a power of two, at
least 64) and with a plain loop.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jaxspin as js
from experiments.stages import Electrons, Network, Texture, open_folder, textures_on
from jaxspin import plotting
from jaxspin.dynamics import LLG, Clock, DepondtMertens
from jaxspin.io import provenance, to_json
from jaxspin.training import (
    RolloutData,
    SpinData,
    evaluate,
    perturbed_configurations,
    random_configurations,
    rollout_errors,
    rollout_loss,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/rollout_training")
    """Folder for `summary.json` and the figures; an existing one is refused."""
    overwrite: bool = False
    """Empty an existing output folder first."""
    resume: bool = False
    """Go on in an output folder of the same settings where a killed run stopped."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seeds: tuple[int, ...] = (0, 1)
    """Of starts, weights and batches: one comparison each."""
    electrons: Electrons = dataclasses.field(
        default_factory=lambda: Electrons("triangular", coupling=4.0, filling=0.5, temperature=0.05)
    )
    """The model."""
    side: int = 6
    """Side of the lattice."""
    texture: Texture = "one_hundred_twenty"
    """The order that runs start from, every spin turned at random."""
    amplitudes: tuple[float, float] = (0.1, 0.4)
    """Rms turns of the spins at the start, spread evenly over the runs."""
    runs: int = 5
    """Exact runs to learn from."""
    test_runs: int = 3
    """Exact runs to judge by."""
    random: int = 60
    """Random configurations among the labelled fields: a force field is trained for hot states as well, whose torques
    are large, and its loss hardly sees how well the small ones near the order come out."""
    test_random: int = 20
    """Random configurations among those that the torque error is taken on."""
    damping: float = 0.01
    """Of every run."""
    step: float = 0.5
    """Time step of every run."""
    horizon: int = 16
    """Steps of a rollout in training; the runs are ten times as long."""
    every: int = 4
    """Steps between frames."""
    network: Network = dataclasses.field(
        default_factory=lambda: Network(hops=1, moments=4, surroundings=0, hidden=(8,))
    )
    """The force field: small, so that its errors are systematic."""
    fields: js.TrainConfig = dataclasses.field(
        default_factory=lambda: js.TrainConfig(
            steps=1500, batch=8, learning_rate=1e-2, evaluate_every=250, split="run", validation=0.2
        )
    )
    """The first training on fields; more of it has the same settings but for the number of steps and the rate."""
    rollouts: js.RolloutConfig = dataclasses.field(
        default_factory=lambda: js.RolloutConfig(
            steps=80, batch=4, learning_rate=1e-3, field_weight=0.3, evaluate_every=20, average=0.9
        )
    )
    """The training through rollouts."""
    memory_steps: tuple[int, ...] = (16, 64, 256)
    """Lengths of rollouts whose gradient's memory is measured."""

    def __post_init__(self):
        if self.horizon % self.every:
            raise ValueError(f"horizon = {self.horizon} is no multiple of every = {self.every}; choose one that is.")
        if len(self.seeds) < 1 or self.runs < 3 or self.test_runs < 1:
            raise ValueError("give a seed, three runs to learn from and one to judge by; see --help for the defaults.")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    return dataclasses.replace(
        config,
        seeds=(0,),
        side=3 if config.texture == "one_hundred_twenty" else 4,
        runs=3,
        test_runs=1,
        random=4,
        test_random=2,
        horizon=4,
        every=2,
        network=Network(hops=1, moments=2, surroundings=0, hidden=(2,)),
        fields=dataclasses.replace(config.fields, steps=4, batch=2, evaluate_every=2, validation=0.4),
        rollouts=dataclasses.replace(config.rollouts, steps=2, batch=2, evaluate_every=1, validation=0.4),
        memory_steps=(4,),
    )


def run(config: Config) -> dict[str, Any]:
    """Every seed's comparison, and the memory; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    kept = folder / "seeds.json"
    rows = json_or_empty(kept)
    for seed in config.seeds:
        if str(seed) not in rows:
            print(f"--- seed {seed}", flush=True)
            rows[str(seed)] = compare(config, seed, folder)
            kept.write_text(to_json(rows))
    print("--- memory", flush=True)
    memory = measure_memory(config)
    summary: dict[str, Any] = {"seeds": rows, "memory": memory, **overall(rows)}
    draw(folder / "rollout_training.png", config, rows, memory)
    summary["provenance"] = provenance(config, config.seeds[0])
    (folder / "summary.json").write_text(to_json(summary, indent=1))
    return summary


def json_or_empty(path: Path) -> dict[str, Any]:
    """What an earlier run left there."""
    return json.loads(path.read_text()) if path.exists() else {}


def reference_runs(config: Config, key: jax.Array, number: int) -> list[js.Trajectory]:
    """Exact runs of ten horizons from the order with its spins turned at random."""
    exact = config.electrons.exact(config.side)
    order = textures_on(exact.lattice, (config.texture,))[config.texture]
    starts = perturbed_configurations(order, jnp.linspace(*config.amplitudes, number), key=key)
    return [
        js.simulate(
            exact,
            start,
            duration=10 * config.horizon * config.step,
            step=config.step,
            damping=config.damping,
            save_every=config.every * config.step,
        )
        for start in starts
    ]


def labels(exact: js.AbstractPotential, runs: list[js.Trajectory], random: int, key: jax.Array) -> SpinData:
    """The exact fields of the runs' frames and of random configurations."""
    parts = [js.sample(exact, run) for run in runs]
    if random:
        assert exact.lattice is not None
        parts.append(js.sample(exact, random_configurations(exact.lattice, random, key=key), source="random"))
    return SpinData.concatenate(parts)


def compare(config: Config, seed: int, folder: Path) -> dict[str, Any]:
    """The force field as trained on fields first, and after each way of going on for the same time."""
    exact = config.electrons.exact(config.side)
    keys = jax.random.split(jax.random.key(seed), 6)
    runs, tests = reference_runs(config, keys[0], config.runs), reference_runs(config, keys[1], config.test_runs)
    labelled, near = labels(exact, runs, config.random, keys[4]), labels(exact, tests, 0, keys[5])
    unseen = labels(exact, tests, config.test_random, keys[5])
    frames = config.horizon // config.every
    pieces, long = RolloutData.of(runs, frames), RolloutData.of(tests, 10 * frames)

    model = config.network.on(config.electrons, config.side, keys[2])
    first = js.train(model, labelled, config.fields, key=keys[3])
    through = js.train_rollout(first.model, pieces, config.rollouts, fields=labelled, key=keys[3])
    spent = seconds_of(through)
    steps = max(1, round(spent / seconds_of(first) * config.fields.steps))
    # of equal settings for all seeds as far as possible: a program is compiled for each number of steps
    steps = max(
        config.fields.evaluate_every, round(steps / config.fields.evaluate_every) * config.fields.evaluate_every
    )
    more = dataclasses.replace(config.fields, steps=steps, learning_rate=config.fields.learning_rate / 3)
    further = js.train(first.model, labelled, more, key=keys[3])
    found: dict[str, Any] = {
        "steps on fields": steps,
        "seconds on fields": seconds_of(further),
        "steps through rollouts": config.rollouts.steps,
        "seconds through rollouts": spent,
    }
    for name, learnt in (("at first", first), ("more fields", further), ("rollouts", through)):
        deviation = rollout_errors(learnt.model, long)
        found[name] = {
            "deviation": deviation,
            "deviation at ten horizons": deviation[-1],
            "mean deviation over ten horizons": jnp.sqrt(jnp.mean(deviation**2)),
            "torque error": evaluate(learnt.model, unseen).torque,
            "torque error near the order": evaluate(learnt.model, near).torque,
        }
    found["motion"] = long.motion
    found["times"] = config.every * config.step * np.arange(1, long.frames + 1)
    for name in ("deviation at ten horizons", "mean deviation over ten horizons", "torque error"):
        found[f"ratio: {name}"] = float(found["rollouts"][name]) / float(found["more fields"][name])
        print(f"{name}: {[round(float(found[x][name]), 4) for x in ('at first', 'more fields', 'rollouts')]}")
    return found


def seconds_of(learnt: js.Learnt) -> float:
    """The time of a training without its compilation: that of the median evaluation interval, times their number."""
    spent = np.diff(learnt.history["seconds"], prepend=0.0)
    return float(np.median(spent[1:]) * len(spent)) if len(spent) > 1 else float(spent[0])


def overall(rows: dict[str, Any]) -> dict[str, Any]:
    """Means over the seeds, and whether the targets are met: 30 % less deviation, at most 5 % more torque error."""
    names = ("deviation at ten horizons", "mean deviation over ten horizons", "torque error")
    ratios = {name: float(np.mean([row[f"ratio: {name}"] for row in rows.values()])) for name in names}
    met = ratios["deviation at ten horizons"] <= 0.7 and ratios["torque error"] <= 1.05
    return {"rollouts over more fields, mean of the seeds": ratios, "target met": bool(met)}


def measure_memory(config: Config) -> list[dict[str, Any]]:
    """Bytes of temporary arrays in the compiled gradient of a rollout of one piece, against its steps."""
    model = config.network.on(config.electrons, config.side)
    weights, rest = eqx.partition(model.network, eqx.is_inexact_array)
    start = textures_on(model.lattice, (config.texture,))[config.texture]
    rows = []
    for steps in config.memory_steps:
        spins = jnp.stack([start, start])[None]
        interval = steps * config.step
        data = RolloutData(model.lattice, spins, interval=interval, step=config.step, damping=config.damping)
        row: dict[str, Any] = {"steps": steps}
        adjoints = {"checkpointed": None, "direct adjoint": diffrax.DirectAdjoint(), "every step stored": "scan"}
        for name, adjoint in adjoints.items():

            def loss(w, adjoint=adjoint, data=data, steps=steps):
                field = eqx.tree_at(lambda m: m.network, model, eqx.combine(w, rest))
                if adjoint == "scan":
                    return jnp.mean((plain_loop(field, start, steps, config) - start) ** 2)
                return rollout_loss(field, data, jnp.ones(()), adjoint=adjoint)

            analysis = jax.jit(jax.grad(loss)).lower(weights).compile().memory_analysis()
            row[name] = None if analysis is None else analysis.temp_size_in_bytes
        rows.append(row)
        print(row, flush=True)
    return rows


def plain_loop(field: js.AbstractField, spins: jax.Array, steps: int, config: Config) -> jax.Array:
    """The same steps by `lax.scan`, whose reverse pass keeps what every step computed."""
    solver, dtype = DepondtMertens(), spins.dtype
    term = LLG(field, jnp.asarray(config.damping, dtype), clock=Clock(jnp.asarray(config.step, dtype)))

    def step(spins, n):
        return solver.advance(term, n, n + 1, spins, term.contr(n, n + 1)), None

    return jax.lax.scan(step, spins, jnp.arange(steps, dtype=dtype))[0]


def draw(path: Path, config: Config, rows: dict[str, Any], memory: list[dict[str, Any]]) -> None:
    """Deviation against time, torque errors, memory."""
    figure = plotting.new_figure(12.6, 3.3)
    left, middle, right = figure.subplots(1, 3)
    colors = {"at first": "C5", "more fields": "C0", "rollouts": "C1"}
    for number, row in enumerate(rows.values()):
        for name, color in colors.items():
            label = {"at first": "trained on fields", "more fields": "and more of it", "rollouts": "and rollouts"}[name]
            left.plot(row["times"], np.asarray(row[name]["deviation"]), color=color, label=None if number else label)
            x, y = (float(row[name][k]) for k in ("torque error", "deviation at ten horizons"))
            middle.plot(100 * x, y, "o", color=color)
    left.axvline(config.horizon * config.step, color="0.6", linestyle=":", linewidth=1)
    left.set(xlabel=r"time  ($\hbar/t$)", ylabel="rms deviation of a spin, held-out runs")
    left.legend()
    middle.set(xlabel="torque error  (%)", ylabel="rms deviation at ten horizons")
    steps = [row["steps"] for row in memory]
    for name, marker in (("checkpointed", "o-"), ("direct adjoint", "s--"), ("every step stored", "^:")):
        right.plot(steps, [row[name] / 1e6 for row in memory], marker, label=name)
    right.set_xscale("log", base=2)
    right.set(yscale="log", xlabel="steps of a rollout", ylabel="memory of its gradient  (MB)")
    right.legend()
    plotting.save_figure(figure, path)


if __name__ == "__main__":
    settings = tyro.cli(Config, description=__doc__)
    result = run(settings)
    print(to_json({k: v for k, v in result.items() if k not in ("seeds", "provenance")}, indent=1))
    print(f"everything is in {settings.output}")
