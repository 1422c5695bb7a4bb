"""Fine-tuning through rollouts against more training on fields, for the same time of computing.

    python -m experiments.gradients.rollout_training          # a quarter of an hour on one core
    python -m experiments.gradients.rollout_training --smoke  # the same in a minute, without meaning
    python -m experiments.gradients.rollout_training --help   # every setting

A force field is trained on the exact fields of a general set, random spins, and is then wanted for runs that visit
other states: near an order, or late in a quench. Of some such runs the spins are known at intervals, and no field. From
the first training on, three ways take the same time of the optimizer, without compilation:

(a) "more fields": on the fields of the general set further. It never sees a run.
(b) "runs labelled": on these and on the exact fields of every frame of the runs, the best that labels can do and more
    than rollouts are told; what the labels cost is not counted.
(c) "rollouts": through rollouts between the frames of the runs, the spins alone, with the loss on the fields of the
    general set beside it.

All are judged on other runs, which none of them has seen, over ten times the steps of a rollout, and by their torque
errors on other random spins, along these runs, and on as many of either together. The target, set beforehand, compares
(c) with (a): at least 30 % less deviation at ten horizons, the torque error on both together at most 5 % higher. How
fast the motion itself forgets is shown by exact runs from slightly other starts: ten horizons should lie within that.
Also measured: how far off the torques are that differences between frames tell without any rollout, and the memory that
the gradient of a rollout takes against its steps, with the checkpointed and the direct adjoint of diffrax (both bound
the steps by a power of two, at least 64) and with a plain loop.
"""

import dataclasses
import math
import time
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.gradients.rollout_memory import measure_memory
from experiments.gradients.rollout_training_figures import draw
from experiments.stages import Dynamics, Electrons, Moments, Network, Resumable, Texture, main, open_folder, textures_on
from jaxspin.io import load_json, provenance, save_json
from jaxspin.training import (
    RolloutData,
    SpinData,
    evaluate,
    perturbed_configurations,
    random_configurations,
    rollout_errors,
)

# Rms turn of the starts of the exact runs that show how fast the motion forgets.
TURN = 0.01

# What each training is told, for the summary.
ARMS = {
    "at first": "exact fields and energies of random spins",
    "more fields": "the same, for longer",
    "runs labelled": "the same, and the exact fields and energies of every frame of the runs",
    "rollouts": "the same, and the spins of every frame of the runs without their fields",
}


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/rollout_training")
    """Folder for `summary.json` and the figures; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of starts, weights and batches: one comparison each."""
    electrons: Electrons = dataclasses.field(
        default_factory=lambda: Electrons("triangular", coupling=4.0, filling=0.5, temperature=0.05)
    )
    """The model."""
    side: int = 6
    """Side of the lattice."""
    start: Texture | Literal["random"] = "one_hundred_twenty"
    """What runs start from: an order with every spin turned at random, or random spins."""
    amplitudes: tuple[float, float] = (0.1, 0.4)
    """Rms turns of the spins of an order at the start, spread evenly over the runs."""
    wait: float = 0.0
    """Time that a run goes on before it is looked at: a quench from random spins is learnt from at its later stage."""
    runs: int = 6
    """Exact runs to learn from."""
    test_runs: int = 4
    """Exact runs to judge by."""
    random: int = 80
    """Random configurations with exact fields: the general set."""
    motion: Dynamics = dataclasses.field(default_factory=lambda: Dynamics(damping=0.01, step=0.5))
    """Of every run."""
    horizon: int = 8
    """Steps of a rollout in training; the runs are ten times as long."""
    every: int = 8
    """Steps between frames, of the runs to learn from as well."""
    network: Network = dataclasses.field(
        default_factory=lambda: Network(Moments(hops=1, moments=8, surroundings=1), hidden=(16,))
    )
    """The force field: small, so that its errors are systematic."""
    fields: js.TrainConfig = dataclasses.field(
        default_factory=lambda: js.TrainConfig(
            steps=1000, batch=8, learning_rate=1e-2, evaluate_every=500, split="run", validation=0.2
        )
    )
    """The first training on fields; more of it has the same settings but for the number of steps and the rate."""
    rollouts: js.training.RolloutConfig = dataclasses.field(
        default_factory=lambda: js.training.RolloutConfig(
            steps=150, batch=6, learning_rate=3e-3, field_weight=1.0, evaluate_every=25, average=0.95
        )
    )
    """The training through rollouts."""
    memory_steps: tuple[int, ...] = (16, 64, 256)
    """Lengths of rollouts whose gradient's memory is measured; none leaves that out."""

    def __post_init__(self):
        if self.horizon % self.every:
            raise ValueError(f"horizon = {self.horizon} is no multiple of every = {self.every}; choose one that is.")
        if len(self.seeds) < 1 or self.runs < 3 or self.test_runs < 1:
            raise ValueError("give a seed, three runs to learn from and one to judge by; see --help for the defaults.")
        if not self.wait >= 0:
            raise ValueError(f"wait is a time, got {self.wait}; 0 looks at runs from their start.")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    return dataclasses.replace(
        config,
        seeds=(0,),
        side=3 if config.start == "one_hundred_twenty" else 4,
        wait=min(config.wait, config.motion.step),
        runs=3,
        test_runs=1,
        random=4,
        horizon=4,
        every=2,
        network=Network(Moments(hops=1, moments=2, surroundings=0), hidden=(2,)),
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
    clock = json_or_empty(folder / "time.json") or measure_time(config)
    save_json(folder / "time.json", clock, indent=None)
    for seed in config.seeds:
        if str(seed) not in rows:
            print(f"--- seed {seed}", flush=True)
            rows[str(seed)] = compare(config, seed, clock["steps on fields for the same time"])
            save_json(kept, rows, indent=None)
    rows = json_or_empty(kept)
    print("--- memory", flush=True)
    untrained = config.network.on(config.electrons, config.side)
    memory = measure_memory(untrained, config.motion, config.memory_steps)
    summary: dict[str, Any] = {**overall(rows), "told": ARMS, "time": clock, "memory": memory, "seeds": rows}
    draw(folder / "rollout_training.png", config.horizon * config.motion.step, rows, memory, TURN)
    summary["provenance"] = provenance(config, config.seeds[0])
    save_json(folder / "summary.json", summary)
    return summary


def json_or_empty(path: Path) -> dict[str, Any]:
    """What an earlier run left there."""
    return load_json(path) if path.exists() else {}


def starts_of(config: Config, exact: js.ExactDiagonalization, key: jax.Array, number: int) -> jax.Array:
    """The spins that runs start with, after the time that they are not looked at."""
    if config.start == "random":
        starts = random_configurations(exact.lattice, number, key=key)
    else:
        order = textures_on(exact.lattice, (config.start,))[config.start]
        starts = perturbed_configurations(order, jnp.linspace(*config.amplitudes, number), key=key)
    if not config.wait:
        return starts
    settings: dict[str, Any] = {"duration": config.wait, "step": config.motion.step, "damping": config.motion.damping}
    return jnp.stack([js.simulate(exact, s, save_every=config.wait, **settings).final for s in starts])


def reference_runs(config: Config, exact: js.ExactDiagonalization, starts: jax.Array) -> list[js.Trajectory]:
    """Exact runs of ten horizons."""
    return [
        js.simulate(
            exact,
            start,
            duration=10 * config.horizon * config.motion.step,
            step=config.motion.step,
            damping=config.motion.damping,
            save_every=config.every * config.motion.step,
        )
        for start in starts
    ]


def labels(exact: js.AbstractPotential, runs: list[js.Trajectory]) -> SpinData:
    """The exact fields of the runs' frames."""
    return SpinData.concatenate([js.sample(exact, run) for run in runs])


def measure_time(config: Config) -> dict[str, Any]:
    """Processor time of the first training and of that through rollouts, and the steps on fields that take as long.

    Each is done twice and the second time counts, in which nothing is compiled. Held to one core that is the wall time
    of a machine that does nothing else.
    """
    _, general, pieces, keys = to_learn_from(config, config.electrons.exact(config.side), config.seeds[0])
    model = config.network.on(config.electrons, config.side, keys[2])
    first = js.train(model, general, config.fields, key=keys[3]).model
    js.training.train_rollout(first, pieces, config.rollouts, fields=general, key=keys[3])
    began = time.process_time()
    js.train(model, general, config.fields, key=keys[3])
    between = time.process_time()
    js.training.train_rollout(first, pieces, config.rollouts, fields=general, key=keys[3])
    seconds = (between - began, time.process_time() - between)
    every = config.fields.evaluate_every
    steps = math.ceil(seconds[1] / seconds[0] * config.fields.steps / every) * every
    print(f"{seconds} seconds, {steps} steps on fields", flush=True)
    return {
        "seconds on fields": seconds[0],
        "seconds through rollouts": seconds[1],
        "steps on fields for the same time": steps,
    }


def to_learn_from(config: Config, exact: js.ExactDiagonalization, seed: int) -> tuple:
    """The runs, the general set, the pieces of the runs, and keys for all else."""
    keys = jax.random.split(jax.random.key(seed), 7)
    runs = reference_runs(config, exact, starts_of(config, exact, keys[0], config.runs))
    general = js.sample(exact, random_configurations(exact.lattice, config.random, key=keys[4]), source="random")
    return runs, general, RolloutData.of(runs, config.horizon // config.every), keys


def compare(config: Config, seed: int, steps: int) -> dict[str, Any]:
    """The force field as trained on fields first, and after each way of going on, with `steps` where on fields."""
    exact = config.electrons.exact(config.side)
    runs, general, pieces, keys = to_learn_from(config, exact, seed)
    starts = starts_of(config, exact, keys[1], config.test_runs)
    tests = reference_runs(config, exact, starts)
    along, near = labels(exact, runs), labels(exact, tests)
    elsewhere = js.sample(exact, random_configurations(exact.lattice, len(near), key=keys[5]), source="random")
    judged = {
        "torque error": SpinData.concatenate([elsewhere, near]),
        "torque error, random": elsewhere,
        "torque error, runs": near,
    }
    long = RolloutData.of(tests, 10 * config.horizon // config.every)
    turned = jnp.concatenate(
        [perturbed_configurations(s, (TURN,), key=jax.random.fold_in(keys[6], n)) for n, s in enumerate(starts)]
    )
    forgets = RolloutData.of(reference_runs(config, exact, turned), long.frames).spins[:, 1:] - long.spins[:, 1:]

    model = config.network.on(config.electrons, config.side, keys[2])
    first = js.train(model, general, config.fields, key=keys[3])
    through = js.training.train_rollout(first.model, pieces, config.rollouts, fields=general, key=keys[3])
    more = dataclasses.replace(config.fields, steps=steps, learning_rate=config.fields.learning_rate / 3)
    further = js.train(first.model, general, more, key=keys[3])
    labelled = js.train(first.model, SpinData.concatenate([general, along]), more, key=keys[3])
    found: dict[str, Any] = {}
    for name, learnt in zip(ARMS, (first, further, labelled, through), strict=True):
        deviation = rollout_errors(learnt.model, long)
        found[name] = {
            "steps": int(learnt.history["step"][-1]),
            "best step": learnt.best_step,
            "deviation": deviation,
            "deviation at ten horizons": deviation[-1],
            "mean deviation over ten horizons": jnp.sqrt(jnp.mean(deviation**2)),
            **{kind: evaluate(learnt.model, data).torque for kind, data in judged.items()},
        }
        print(name, {k: round(float(v), 4) for k, v in found[name].items() if k != "deviation"}, flush=True)
    found["deviation on the runs learnt from, per motion"] = through.history["rollout"]
    found["torque from differences of frames, error"] = difference_error(config, along, len(runs))
    found["motion"] = long.motion
    found["exact, other starts"] = jnp.sqrt(jnp.mean(jnp.sum(forgets**2, axis=-1), axis=(0, *range(2, 5))))
    found["times"] = config.every * config.motion.step * np.arange(1, long.frames + 1)
    return found


def difference_error(config: Config, along: SpinData, runs: int) -> float:
    """Rms error, relative, of dS/dt from the frames before and after against that of the exact fields."""
    shape = (runs, -1, *along.lattice.shape, 3)
    spins, field = along.spins.reshape(shape), along.field.reshape(shape)
    torque = jnp.cross(spins, field)
    rate = (torque - config.motion.damping * jnp.cross(spins, torque)) / (1 + config.motion.damping**2)
    seen = (spins[:, 2:] - spins[:, :-2]) / (2 * config.every * config.motion.step)
    return float(
        jnp.linalg.norm(js.spins.tangent(spins[:, 1:-1], seen) - rate[:, 1:-1]) / jnp.linalg.norm(rate[:, 1:-1])
    )


def overall(rows: dict[str, Any]) -> dict[str, Any]:
    """Ratios, each seed's and their mean, and whether the target is met: 30 % less deviation, 5 % more torque error."""
    names = ("deviation at ten horizons", "mean deviation over ten horizons")
    names += ("torque error", "torque error, random", "torque error, runs")
    found: dict[str, Any] = {}
    for other in ("at first", "more fields", "runs labelled"):
        ratios = {name: [row["rollouts"][name] / row[other][name] for row in rows.values()] for name in names}
        found[f"rollouts over {other}"] = {n: {"mean": float(np.mean(r)), "seeds": r} for n, r in ratios.items()}
    target = found["rollouts over more fields"]
    met = target["deviation at ten horizons"]["mean"] <= 0.7 and target["torque error"]["mean"] <= 1.05
    return {**found, "target met": bool(met)}


if __name__ == "__main__":
    apart = ("seeds", "provenance")
    main(Config, run, __doc__, lambda found, _: {k: v for k, v in found.items() if k not in apart})
