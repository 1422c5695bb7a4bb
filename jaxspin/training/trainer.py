"""Training of a force field on fields and energies."""

import dataclasses
import functools
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from jaxtyping import Array, PRNGKeyArray
from tqdm import tqdm

from jaxspin.descriptors import LocalMoments
from jaxspin.forcefield import BehlerParrinello
from jaxspin.lattice import Lattice
from jaxspin.training.dataset import SpinData
from jaxspin.training.linearized import LinearizedSet
from jaxspin.training.losses import Errors, LossScales, evaluate, loss_and_slope


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How to train; the same config, data and key give the same weights."""

    steps: int = 3000
    """Optimizer steps."""
    batch: int = 8
    """Configurations per step."""
    learning_rate: float = 3e-3
    """Peak of the schedule: linear warm-up over 3 % of the steps, then a cosine to zero."""
    energy_weight: float = 0.1
    """Weight of the squared energy error, both errors in units of their spread in the training set."""
    balance: float = 0.0
    """0 counts every torque alike; 1 measures the torques of each configuration in units of their own rms, so that
    nearly ordered configurations count as much as random ones; see `LossScales`."""
    clip: float = 1.0
    """Gradients of larger global norm are scaled down to it."""
    average: float = 0.99
    """Decay per step of the exponential average of the weights, which is what training returns."""
    validation: float = 0.1
    """Fraction of the configurations held back to choose the best step."""
    split: str = "configuration"
    """What stays together in the validation split: "configuration", or "run" for whole simulations."""
    evaluate_every: int = 250
    """Steps between evaluations on the validation set, and between checkpoints."""
    patience: int = 0
    """Stop after so many evaluations without a better one; 0 uses all steps."""
    memory: float = 4.0
    """Gigabytes for the derivatives of the features. Where those of all configurations fit (`LocalMoments` on periodic
    lattices) they are computed once, and a step takes a tenth of the time or less; otherwise at every step."""

    def __post_init__(self):
        for name in ("steps", "batch", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}; see TrainConfig.")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}; see TrainConfig.")
        if not 0 <= self.balance <= 1:
            raise ValueError(f"balance must be between 0 and 1, got {self.balance}; 0.5 serves mixed sets.")
        if self.patience < 0:
            raise ValueError(f"patience must not be negative, got {self.patience}; 0 uses all steps.")
        if not self.memory >= 0:
            raise ValueError(f"memory must not be negative, got {self.memory}; 0 computes features at every step.")
        if not self.energy_weight >= 0:
            raise ValueError(f"energy_weight must not be negative, got {self.energy_weight}; 0 trains on fields alone.")
        if self.split not in ("configuration", "run"):
            raise ValueError(f"cannot split by {self.split!r}; choose split='configuration' or split='run'.")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation must be a fraction between 0 and 1, got {self.validation}; 0.1 is usual.")
        if not 0 <= self.average < 1:
            raise ValueError(f"average must be in [0, 1), got {self.average}; 0 switches averaging off.")


class Learnt(eqx.Module):
    """A trained model with the story of its training.

    `history` holds, per evaluation, the columns "step", "loss" (mean training loss since the last evaluation),
    "torque" and "energy" (validation errors, see `Errors`), "seconds".
    """

    model: BehlerParrinello
    history: dict[str, np.ndarray]
    best_step: int = eqx.field(static=True)

    def on(self, lattice: Lattice) -> BehlerParrinello:
        """The trained potential on another size of the lattice."""
        return self.model.on(lattice)


def train(
    model: BehlerParrinello,
    data: SpinData,
    config: TrainConfig | None = None,
    *,
    key: PRNGKeyArray | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> Learnt:
    """Fit the weights of `model` to the fields and energies of `data`.

    Features are standardized on the training part, the loss is `loss`, the optimizer Adam with a warm-up-cosine
    schedule, and the averaged weights with the least validation torque error are returned. With `checkpoint` (a
    folder) the state is written at every evaluation and a run that was killed goes on from there, with the result of
    an unbroken one. Raises `ValueError` if the data live on another lattice than the model, or the checkpoint belongs
    to another config, model, initialization of its weights, data set or key; `FloatingPointError` if the loss is no
    longer finite.
    """
    config = TrainConfig() if config is None else config
    if data.lattice != model.lattice:
        raise ValueError(
            f"the data live on the {data.lattice.name} lattice {data.lattice.cells}, the model on the "
            f"{model.lattice.name} lattice {model.lattice.cells}; train model.on(data.lattice)."
        )
    key = jax.random.key(0) if key is None else key
    split_key, batch_key = jax.random.split(key)
    held, fitted = data.split(
        (config.validation, 1 - config.validation),
        key=split_key,
        by=config.split,
    )
    scales = LossScales.of(fitted, config.balance)
    per_site = np.asarray(fitted.energy)[np.asarray(fitted.has_energy)] / data.lattice.sites
    shift = float(per_site.mean()) if per_site.size else 0.0
    model = model.standardized(fitted.spins, shift=shift, scale=float(scales.torque))

    # how configurations arose plays no part in a step, and as static data would compile it anew
    fitted = SpinData(fitted.lattice, fitted.spins, fitted.field, fitted.energy, has_energy=fitted.has_energy)

    weights = eqx.filter(model.network, eqx.is_inexact_array)
    optimizer = _optimizer(config).init(weights)
    state = _State(weights, weights, weights, optimizer, jnp.asarray(jnp.inf), 0, 0)
    history: dict[str, list] = {name: [] for name in ("step", "loss", "torque", "energy", "seconds")}

    batch = min(config.batch, len(fitted))
    manager = _manager(checkpoint)
    identity = {
        "config": dataclasses.asdict(config),
        "model": model.settings(),
        "initialization": _digest(weights),
        "data": [len(data), shift, float(scales.torque), float(scales.energy)],
        "key": jax.random.key_data(key).tolist(),
    }
    began = time.perf_counter()
    if manager is not None and manager.latest_step() is not None:
        state, history = _restore(manager, state, identity)
        began -= (history["seconds"] or [0.0])[-1]
    known = _linearized(model, fitted, config, progress)
    bar = tqdm(total=config.steps, initial=state.step, desc="training", disable=not progress, unit="step")
    while state.step < config.steps and not _exhausted(state, config):
        count = min(config.evaluate_every, config.steps - state.step)
        # one call a step: inside a loop of its own XLA's CPU backend runs the same step several times slower
        carry = (state.weights, state.average, state.optimizer, jnp.zeros((), scales.torque.dtype))
        for number in range(state.step, state.step + count):
            rows = _rows(jax.random.fold_in(batch_key, number), len(fitted), batch)
            stored = None if known is None else known.batch(np.asarray(rows))
            carry = _advance(carry, model, fitted, rows, stored, scales, config)
        weights, average, opt_state, total = carry
        value = total / count
        step = state.step + count
        if not np.isfinite(float(value)):
            bar.close()
            raise FloatingPointError(f"the loss is not finite at step {step}; lower learning_rate or clip.")
        # early on the average still remembers the start
        average = weights if step < 3 / (1 - config.average) else average
        errors = evaluate(_with_weights(model, average), held)
        better = errors.torque < float(state.best_error)
        state = _State(
            weights,
            average,
            average if better else state.best,
            opt_state,
            jnp.asarray(errors.torque if better else state.best_error),
            step if better else state.best_step,
            step,
        )
        _record(history, step, float(value), errors, time.perf_counter() - began)
        bar.update(count)
        bar.set_postfix(loss=f"{float(value):.3g}", torque=f"{100 * errors.torque:.1f} %")
        if manager is not None:
            _store(manager, state, history, identity)
    bar.close()
    if manager is not None:
        manager.close()
    columns = {name: np.asarray(column) for name, column in history.items()}
    return Learnt(_with_weights(model, state.best), columns, state.best_step)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _rows(key: PRNGKeyArray, number: int, size: int) -> Array:
    """Which of `number` configurations make a batch: a function of the key alone, for a resumed run to see the same."""
    return jax.random.choice(key, number, (size,), replace=False)


@eqx.filter_jit  # of arguments alone, so that trainings of one shape (members, rounds, seeds) share one compilation
def _advance(
    carry,
    model: BehlerParrinello,
    data: SpinData,
    rows: Array,
    stored: LinearizedSet | None,
    scales: LossScales,
    config: TrainConfig,
):
    """One optimizer step: weights, their average, the optimizer's state and the sum of the losses."""
    weights, average, opt_state, total = carry
    part = jax.tree.map(lambda x: x[rows], data)

    def model_of(w):
        return _with_weights(model, w)

    value, slope = loss_and_slope(model_of, weights, part, scales, config.energy_weight, stored)
    updates, opt_state = _optimizer(config).update(slope, opt_state, weights)
    weights = optax.apply_updates(weights, updates)
    average = optax.incremental_update(weights, average, 1 - config.average)
    return weights, average, opt_state, total + value


def _with_weights(model: BehlerParrinello, weights: Any) -> BehlerParrinello:
    return eqx.tree_at(lambda m: m.network, model, eqx.combine(weights, model.network))


def _linearized(model: BehlerParrinello, data: SpinData, config: TrainConfig, progress: bool) -> LinearizedSet | None:
    """The derivatives of the features of all configurations, where there is room for them."""
    descriptor = model.descriptor
    if not isinstance(descriptor, LocalMoments) or not all(descriptor.lattice.periodic):
        return None
    if LinearizedSet.bytes_needed(descriptor, len(data), data.spins.dtype) > config.memory * 1e9:
        return None
    with tqdm(total=len(data), desc="features", disable=not progress, unit="configuration") as bar:
        return LinearizedSet.of(descriptor, data.spins, bar.update)


class _State(eqx.Module):
    weights: Any
    average: Any
    best: Any
    optimizer: Any
    best_error: Array
    best_step: int
    step: int


def _exhausted(state: _State, config: TrainConfig) -> bool:
    """Whether `patience` evaluations have passed since the best one."""
    return 0 < config.patience * config.evaluate_every <= state.step - state.best_step


def _digest(weights: Any) -> str:
    """A fingerprint of arrays: their types, shapes and bits."""
    leaves = [np.asarray(x) for x in jax.tree.leaves(weights)]
    return hashlib.sha256(b"".join(f"{x.dtype}{x.shape}".encode() + x.tobytes() for x in leaves)).hexdigest()


def _optimizer(config: TrainConfig) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(config.clip), optax.adam(_schedule(config)))


def _schedule(config: TrainConfig) -> optax.Schedule:
    warmup = max(1, config.steps * 3 // 100)
    return optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(config.steps, warmup + 1))


def _record(history: dict[str, list], step: int, value: float, errors: Errors, seconds: float) -> None:
    row = (step, value, errors.torque, errors.energy, seconds)
    for column, entry in zip(history.values(), row, strict=True):
        column.append(entry)


def _manager(folder: str | Path | None) -> ocp.CheckpointManager | None:
    if folder is None:
        return None
    options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
    return ocp.CheckpointManager(Path(folder).absolute(), options=options, item_names=("state", "story"))


def _leaves(state: _State) -> dict[str, Any]:
    return {f"{n:04d}": jnp.asarray(x) for n, x in enumerate(jax.tree.leaves(state))}


def _store(manager, state: _State, history, identity: dict[str, Any]) -> None:
    story = {"history": history, "identity": identity}
    items = ocp.args.Composite(state=ocp.args.StandardSave(_leaves(state)), story=ocp.args.JsonSave(story))
    manager.save(state.step, args=items)


def _restore(manager, state: _State, identity: dict[str, Any]):
    step = manager.latest_step()
    story = manager.restore(step, args=ocp.args.Composite(story=ocp.args.JsonRestore()))["story"]
    known = story.get("identity", {})
    other = " and ".join(name for name, value in identity.items() if known.get(name) != json.loads(json.dumps(value)))
    if other:
        raise ValueError(
            f"the checkpoint belongs to a run with another {other}; "
            f"choose another checkpoint folder, or the same {other}."
        )
    stored = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(_leaves(state))))["state"]
    leaves = [stored[name] for name in sorted(stored)]
    leaves = [
        type(old)(new) if isinstance(old, int) else new for old, new in zip(jax.tree.leaves(state), leaves, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(state), leaves), story["history"]
