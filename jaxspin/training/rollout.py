"""Training on trajectories: a learnt field is run for some steps, and the gradient goes back through the dynamics."""

import dataclasses
import functools
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from jaxspin.arguments import told
from jaxspin.forcefield import BehlerParrinello
from jaxspin.training import checkpoints
from jaxspin.training.dataset import SpinData
from jaxspin.training.fillings import told_apart
from jaxspin.training.linearized import LinearizedSet
from jaxspin.training.loop import Carry, check_loop, fit, updated
from jaxspin.training.losses import LossScales, evaluate, loss_and_slope
from jaxspin.training.trainer import Learnt, batch_rows, learnt_from, linearized, sourceless, with_weights
from jaxspin.training.trajectories import Observable, RolloutData, rollout_errors, rollout_loss


@dataclasses.dataclass(frozen=True)
class RolloutConfig:
    """How to train on trajectories; the same config, data and key give the same weights.

    **Arguments**

    - `steps`: optimizer steps; `batch`: pieces of reference runs per step.
    - `learning_rate`: peak of the schedule, linear warm-up over 3 % of the steps, then a cosine to zero.
    - `field_weight`: weight of the loss on fields beside that on trajectories, both in units of what is described.
    - `field_batch`: labelled configurations per step.
    - `energy_weight`: weight of the energies within the loss on fields; see `TrainConfig`.
    - `observable_weight`: weight of the observables, where some are given.
    - `clip`: gradients of larger global norm are scaled down to it; those through long rollouts can explode.
    - `average`: decay per step of the exponential average of the weights, which is what training returns.
    - `validation`: fraction of the runs held back to choose the best step.
    - `evaluate_every`: steps between evaluations on the validation runs, and between checkpoints.
    - `patience`: stop after so many evaluations without a better one; 0 uses all steps.
    - `memory`: gigabytes for the derivatives of the features of the labelled configurations; see `TrainConfig`.

    Raises `ValueError` for counts below 1, rates, weights and memory that are negative (`learning_rate` and `clip` must
    be positive), and a validation part that is no fraction. On fields alone: `TrainConfig`.

    Example:
        >>> js.training.RolloutConfig(steps=100, batch=2).batch
        2
    """

    steps: int = 300
    """Optimizer steps."""
    batch: int = 4
    """Pieces of reference runs per step."""
    learning_rate: float = 3e-4
    """Peak of the schedule: linear warm-up over 3 % of the steps, then a cosine to zero."""
    field_weight: float = 1.0
    """Weight of the loss on fields beside that on trajectories, both in units of what is to be described."""
    field_batch: int = 8
    """Labelled configurations per step."""
    energy_weight: float = 0.1
    """Weight of the energies within the loss on fields; see `TrainConfig`."""
    observable_weight: float = 1.0
    """Weight of the observables, where some are given."""
    clip: float = 1.0
    """Gradients of larger global norm are scaled down to it: those through long rollouts can explode."""
    average: float = 0.98
    """Decay per step of the exponential average of the weights, which is what training returns."""
    validation: float = 0.2
    """Fraction of the runs held back to choose the best step."""
    evaluate_every: int = 25
    """Steps between evaluations on the validation runs, and between checkpoints."""
    patience: int = 0
    """Stop after so many evaluations without a better one; 0 uses all steps."""
    memory: float = 4.0
    """Gigabytes for the derivatives of the features of the labelled configurations; see `TrainConfig`."""

    def __post_init__(self):
        check_loop(self)
        for name in ("batch", "field_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}; see RolloutConfig.")
        for name in ("field_weight", "energy_weight", "observable_weight", "memory"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}; 0 switches it off.")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation must be a fraction between 0 and 1, got {self.validation}; 0.2 is usual.")


def train_rollout(
    model: BehlerParrinello,
    data: RolloutData,
    config: RolloutConfig | None = None,
    *,
    fields: SpinData | None = None,
    observable: Observable | None = None,
    key: PRNGKeyArray | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> Learnt:
    """Fine-tune a trained `model` so that its trajectories stay with those of `data`.

    The loss is `rollout_loss` and, with labelled configurations `fields`, `field_weight` times the loss `train` uses,
    which holds the torque error of those down (in learnt levels with the electrons of each, in rollouts with the
    model's own). The gradient runs through `simulate`. Train on fields first, and use rollouts where spins are known
    and fields are not: frames of runs through states unlike the labelled ones. Labels of those frames, where they can
    be had, teach somewhat more in the same time (`experiments.gradients.rollout_training`).

    Returns the averaged weights with the least deviation on the runs held back; the features' standardization and the
    units of the energy stay those of `model`. `history` has the columns "step", "loss", "rollout" (rms deviation over
    rms motion on the runs held back), "torque" (relative error of `fields`, NaN without), "seconds". With `checkpoint`
    a run that was killed goes on with the result of an unbroken one.

    Raises `ValueError` for data on another lattice than the model, a single run, runs that do not move, or a checkpoint
    of another training; `TypeError` for what is no `RolloutData`; `FloatingPointError` if the loss is no longer finite:
    use a shorter horizon or a lower rate.

    Example:
        >>> ring = js.chain(8)
        >>> starts = js.training.random_configurations(ring, 2, key=jax.random.key(0))
        >>> options = {"frames": 2, "interval": 0.2, "step": 0.1, "damping": 0.1}
        >>> data = js.training.RolloutData.sample(js.Exchange(ring, 1.0), starts, **options)
        >>> features = js.Bispectrum(ring, radius=1.0, bond_radius=1.0, bispectrum=False)
        >>> model = js.BehlerParrinello(descriptor=features, hidden=(4,), key=jax.random.key(0))
        >>> config = js.training.RolloutConfig(steps=2, batch=1, evaluate_every=1, validation=0.5)
        >>> learnt = js.training.train_rollout(model, data, config)  # doctest: +SKIP
        >>> sorted(learnt.history)  # doctest: +SKIP
        ['loss', 'rollout', 'seconds', 'step', 'torque']
    """
    if not isinstance(data, RolloutData):
        raise TypeError(f"data = {told(data)} is no RolloutData; give RolloutData.sample(...), and labels as fields=.")
    config = RolloutConfig() if config is None else config
    for name, lattice in (("rollout data", data.lattice), ("fields", None if fields is None else fields.lattice)):
        if lattice is not None and lattice != model.lattice:
            raise ValueError(
                f"the {name} live on the {lattice.name} lattice {lattice.cells}, the model on the "
                f"{model.lattice.name} lattice {model.lattice.cells}; train model.on(data.lattice)."
            )
    key = jax.random.key(0) if key is None else key
    split_key, batch_key, field_key = jax.random.split(key, 3)
    held, fitted = data.split(config.validation, key=split_key)
    motion = jnp.sqrt(jnp.mean(fitted.motion**2))
    if not motion > 0:
        raise ValueError("the reference spins do not move; give runs that start away from equilibrium.")
    if fields is not None:
        fields = sourceless(told_apart(model, fields))
    scales = None if fields is None else LossScales.of(fields)

    @functools.cache
    def known() -> LinearizedSet | None:
        return None if fields is None else linearized(model, fields, config.memory, progress)

    def advance(number: int, carry: Carry) -> Carry:
        size = min(config.batch, len(fitted))
        rows = batch_rows(jax.random.fold_in(batch_key, number), len(fitted), size)
        chosen = None
        if fields is not None and config.field_weight > 0:
            size = min(config.field_batch, len(fields))
            which = batch_rows(jax.random.fold_in(field_key, number), len(fields), size)
            features = known()
            stored = None if features is None else features.batch(np.asarray(which))
            chosen = (jax.tree.map(lambda x: x[which], fields), stored, scales)
        return _advance(carry, model, fitted, rows, motion, chosen, observable, config)

    def judge(weights) -> dict[str, float]:
        tried = with_weights(model, weights)
        deviation = jnp.sqrt(jnp.mean(rollout_errors(tried, held) ** 2)) / motion
        torque = float("nan") if fields is None else evaluate(tried, fields).torque
        return {"rollout": float(deviation), "torque": torque}

    weights = eqx.filter(model.network, eqx.is_inexact_array)
    identity = {
        "config": dataclasses.asdict(config),
        "model": model.settings(),
        "initialization": checkpoints.digest(eqx.filter(model, eqx.is_inexact_array)),
        "data": [checkpoints.digest(data), data.interval, data.step, data.damping, data.temperature],
        "fields": None if fields is None else checkpoints.digest(learnt_from(fields)),
        "observable": None if observable is None else getattr(observable, "__qualname__", type(observable).__name__),
        "key": jax.random.key_data(key).tolist(),
    }
    best, history, best_step = fit(
        weights,
        advance,
        judge,
        config,
        columns=("rollout", "torque"),
        dtype=motion.dtype,
        identity=identity,
        checkpoint=checkpoint,
        progress=progress,
    )
    return Learnt(with_weights(model, best), history, best_step)


@eqx.filter_jit
def _advance(carry, model, data, rows, motion, fields, observable, config: RolloutConfig):
    part = jax.tree.map(lambda x: x[rows], data)

    def model_of(w):
        return with_weights(model, w)

    def along(w):
        return rollout_loss(
            model_of(w), part, motion, observable=observable, observable_weight=config.observable_weight
        )

    value, slope = jax.value_and_grad(along)(carry[0])
    if fields is not None:
        labelled, stored, scales = fields
        more, steeper = loss_and_slope(model_of, carry[0], labelled, scales, config.energy_weight, stored)
        value = value + config.field_weight * more
        slope = jax.tree.map(lambda a, b: a + config.field_weight * b, slope, steeper)
    return updated(carry, value, slope, config)
