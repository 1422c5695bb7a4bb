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
from pathlib import Path
from typing import Any

import jaxspin as js
from experiments.gradients.rollout_arms import ARMS, measure_time, overall, trained
from experiments.gradients.rollout_memory import measure_memory
from experiments.gradients.rollout_runs import TURN, Judge, Runs, labelled
from experiments.gradients.rollout_training_figures import draw
from experiments.stages import Electrons, Moments, Network, Resumable, main, open_folder
from jaxspin.io import load_json, load_or_make, provenance, save_json
from jaxspin.training import RolloutConfig


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
    runs: Runs = dataclasses.field(default_factory=Runs)
    """The exact runs."""
    random: int = 80
    """Random configurations with exact fields: the general set."""
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
    rollouts: RolloutConfig = dataclasses.field(
        default_factory=lambda: RolloutConfig(
            steps=150, batch=6, learning_rate=3e-3, field_weight=1.0, evaluate_every=25, average=0.95
        )
    )
    """The training through rollouts."""
    memory_steps: tuple[int, ...] = (16, 64, 256)
    """Lengths of rollouts whose gradient's memory is measured; none leaves that out."""

    def __post_init__(self):
        if not self.seeds:
            raise ValueError("there is no seed, and so no comparison; give one at least, such as 0.")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    small, runs = dataclasses.replace, config.runs
    wait = min(runs.wait, runs.motion.step)
    return small(
        config,
        seeds=(0,),
        side=3 if runs.start == "one_hundred_twenty" else 4,
        runs=small(runs, wait=wait, learnt=3, tests=1, horizon=4, every=2),
        random=4,
        network=Network(Moments(hops=1, moments=2, surroundings=0), hidden=(2,)),
        fields=small(config.fields, steps=4, batch=2, evaluate_every=2, validation=0.4),
        rollouts=small(config.rollouts, steps=2, batch=2, evaluate_every=1, validation=0.4),
        memory_steps=(4,),
    )


def run(config: Config) -> dict[str, Any]:
    """Every seed's comparison, and the memory; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    kept = folder / "seeds.json"
    rows = load_json(kept) if kept.exists() else {}
    clock = load_or_make(folder / "time.json", lambda: time_of(config))
    for seed in config.seeds:
        if str(seed) not in rows:
            print(f"--- seed {seed}", flush=True)
            rows[str(seed)] = compare(config, seed, clock["steps on fields for the same time"])
            save_json(kept, rows, indent=None)
    rows = load_json(kept)
    print("--- memory", flush=True)
    untrained, motion = config.network.on(config.electrons, config.side), config.runs.motion
    memory = measure_memory(untrained, motion, config.memory_steps)
    told = {"told": ARMS, "time": clock, "memory": memory, "seeds": rows}
    summary = {**overall(rows), **told, "provenance": provenance(config, config.seeds[0])}
    draw(folder / "rollout_training.png", config.runs.horizon * motion.step, rows, memory, TURN)
    save_json(folder / "summary.json", summary)
    return summary


def time_of(config: Config) -> dict[str, Any]:
    """What the trainings of the first seed take."""
    told = config.runs.told(config.electrons.exact(config.side), config.random, config.seeds[0])
    model = config.network.on(config.electrons, config.side, told.keys[2])
    return measure_time(model, told, config.fields, config.rollouts)


def compare(config: Config, seed: int, steps: int) -> dict[str, Any]:
    """The errors of every training of a seed, with `steps` where it goes on on fields."""
    exact = config.electrons.exact(config.side)
    told = config.runs.told(exact, config.random, seed)
    judge, along = Judge(config.runs, exact, told.keys), labelled(exact, told.runs)
    model = config.network.on(config.electrons, config.side, told.keys[2])
    arms = trained(model, told, along, config.fields, config.rollouts, steps)
    found: dict[str, Any] = {}
    for name, learnt in arms.items():
        where = {"steps": int(learnt.history["step"][-1]), "best step": learnt.best_step}
        found[name] = where | judge.errors(learnt.model)
        print(name, {k: round(float(v), 4) for k, v in found[name].items() if k != "deviation"}, flush=True)
    found["deviation on the runs learnt from, per motion"] = arms["rollouts"].history["rollout"]
    found["torque from differences of frames, error"] = config.runs.difference_error(along)
    return found | judge.motion()


if __name__ == "__main__":
    apart = ("seeds", "provenance")
    main(Config, run, __doc__, lambda found, _: {k: v for k, v in found.items() if k not in apart})
