"""The loop of every training: optimizer steps, an average of the weights, judgement, early stopping, checkpoints."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree
from tqdm import tqdm

from jaxspin.training import checkpoints

# Weights, their average, the optimizer's state, and the sum of the losses since the last judgement.
Carry = tuple[PyTree[Array], PyTree[Array], Any, Array]


@runtime_checkable
class LoopConfig(Protocol):
    """What the loop needs of a training's settings."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def clip(self) -> float: ...
    @property
    def average(self) -> float: ...
    @property
    def evaluate_every(self) -> int: ...
    @property
    def patience(self) -> int: ...


def check_loop(config: LoopConfig) -> None:
    """`ValueError` for settings of the loop that cannot be."""
    for name in ("steps", "evaluate_every"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(config, name)}; {_usual(config, name)}.")
    for name in ("learning_rate", "clip"):
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} must be positive, got {getattr(config, name)}; {_usual(config, name)}.")
    if config.patience < 0:
        raise ValueError(f"patience must not be negative, got {config.patience}; 0 uses all steps.")
    if not 0 <= config.average < 1:
        raise ValueError(f"average must be in [0, 1), got {config.average}; 0 switches averaging off.")


def _usual(config: LoopConfig, name: str) -> str:
    """What to type: the default of the setting."""
    kind = type(config).__name__
    return f"give {kind}({name}={getattr(type(config), name)}), the default"


class _State(eqx.Module):
    weights: Any
    average: Any
    best: Any
    optimizer: Any
    best_error: Array
    best_step: int
    step: int


def fit(
    weights: PyTree[Array],
    advance: Callable[[int, Carry], Carry],
    judge: Callable[[PyTree[Array]], dict[str, float]],
    config: LoopConfig,
    *,
    columns: tuple[str, ...],
    dtype: Any,
    identity: dict[str, Any],
    checkpoint: str | Path | None,
    progress: bool,
) -> tuple[PyTree[Array], dict[str, np.ndarray], int]:
    """The averaged weights of the least validation error, the history, and their step.

    `advance(number, carry)` makes one optimizer step, `judge(weights)` gives the `columns` of validation errors, of
    which the first chooses. With `checkpoint` a killed run goes on where it stopped. Raises `FloatingPointError` if the
    loss is no longer finite, `ValueError` where the checkpoint has another `identity`.
    """
    start = _started(config, weights)
    state = _State(weights, weights, weights, start, jnp.asarray(jnp.inf), 0, 0)
    history: dict[str, list] = {name: [] for name in ("step", "loss", *columns, "seconds")}
    manager = checkpoints.manager(checkpoint)
    began = time.perf_counter()
    if manager is not None and manager.latest_step() is not None:
        state, history = checkpoints.restore(manager, state, identity)
        began -= (history["seconds"] or [0.0])[-1]
    bar = tqdm(total=config.steps, initial=state.step, desc="training", disable=not progress, unit="step")
    while state.step < config.steps and not _exhausted(state, config):
        count = min(config.evaluate_every, config.steps - state.step)
        # one call a step: inside a loop of its own XLA's CPU backend runs the same step several times slower
        carry = (state.weights, state.average, state.optimizer, jnp.zeros((), dtype))
        for number in range(state.step, state.step + count):
            carry = advance(number, carry)
        weights, average, opt_state, total = carry
        value = float(total / count)
        step = state.step + count
        if not np.isfinite(value):
            bar.close()
            raise FloatingPointError(f"the loss is not finite at step {step}; lower learning_rate or clip.")
        # early on the average still remembers the start
        average = weights if step < 3 / (1 - config.average) else average
        errors = judge(average)
        error = errors[columns[0]]
        if not np.isfinite(error):  # never better than another, so that the start would be returned as the best
            bar.close()
            raise FloatingPointError(
                f"the validation error is not finite at step {step}; look for NaN in the validation data, or lower "
                "learning_rate or clip."
            )
        better = error < float(state.best_error)
        state = _State(
            weights,
            average,
            average if better else state.best,
            opt_state,
            jnp.asarray(error if better else state.best_error),
            step if better else state.best_step,
            step,
        )
        row = {"step": step, "loss": value, **errors, "seconds": time.perf_counter() - began}
        for name, column in history.items():
            column.append(row[name])
        bar.update(count)
        bar.set_postfix({"loss": f"{value:.3g}", columns[0]: f"{100 * error:.1f} %"})
        if manager is not None:
            checkpoints.store(manager, state.step, state, history, identity)
    bar.close()
    if manager is not None:
        manager.close()
    return state.best, {name: np.asarray(column) for name, column in history.items()}, state.best_step


def updated(carry: Carry, value: Array, slope: PyTree[Array], config: LoopConfig) -> Carry:
    """The carry after a step down `slope`."""
    weights, average, opt_state, total = carry
    updates, opt_state = optimizer(config).update(slope, opt_state, weights)
    weights = optax.apply_updates(weights, updates)
    average = optax.incremental_update(weights, average, 1 - config.average)
    return weights, average, opt_state, total + value


def optimizer(config: LoopConfig) -> optax.GradientTransformation:
    """Adam with clipped gradients; a linear warm-up over 3 % of the steps, then a cosine to zero."""
    warmup = max(1, config.steps * 3 // 100)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(config.steps, warmup + 1))
    return optax.chain(optax.clip_by_global_norm(config.clip), optax.adam(schedule))


@eqx.filter_jit
def _started(config: LoopConfig, weights: PyTree[Array]) -> Any:
    return optimizer(config).init(weights)


def _exhausted(state: _State, config: LoopConfig) -> bool:
    """Whether `patience` evaluations have passed since the best one."""
    return 0 < config.patience * config.evaluate_every <= state.step - state.best_step
