"""Training of a force field on fields and energies."""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from tqdm import tqdm

from jaxspin.arguments import told
from jaxspin.descriptors.base import AbstractClusterDescriptor
from jaxspin.devices.hosts import to_host
from jaxspin.devices.shards import shards_of
from jaxspin.forcefield import BehlerParrinello, GeneralizedPotential, Learnable
from jaxspin.lattice import Lattice
from jaxspin.training import checkpoints
from jaxspin.training.contradictions import warn_of_contradictions
from jaxspin.training.dataset import SpinData, check_data
from jaxspin.training.fillings import prepared, references
from jaxspin.training.linearized import LinearizedSet
from jaxspin.training.loop import Carry, check_loop, fit, updated
from jaxspin.training.losses import LossScales, evaluate, loss_and_slope
from jaxspin.training.splitting import check_way


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How to train; the same config, data and key give the same weights.

    **Arguments**

    - `steps`: optimizer steps; `batch`: configurations per step.
    - `learning_rate`: peak of the schedule, linear warm-up over 3 % of the steps, then a cosine to zero.
    - `energy_weight`: weight of the squared energy error, both errors in units of their spread in the training set.
    - `balance`: 0 counts every torque alike, 1 measures those of a configuration in units of their own rms, so that
      nearly ordered ones count as much as random ones; see `LossScales`.
    - `clip`: gradients of larger global norm are scaled down to it.
    - `average`: decay per step of the exponential average of the weights, which is what training returns.
    - `validation`: fraction of the configurations held back to choose the best step.
    - `split`: how that is taken, "block" (blocks in time of each run), "run" (whole runs) or "configuration" (one by
      one); see `SpinData.split`.
    - `evaluate_every`: steps between evaluations on the validation set, and between checkpoints.
    - `patience`: stop after so many evaluations without a better one; 0 uses all steps.
    - `memory`: gigabytes for the derivatives of the features, see below.

    Where the derivatives of all configurations fit in `memory` (descriptors of clusters on periodic lattices on one
    device) they are computed once, and a step takes a tenth of the time or less; otherwise at every step.

    Raises `ValueError` for counts below 1, rates, weights and memory that are negative (`learning_rate` and `clip` must
    be positive), fractions that are none, and another `split`. On trajectories: `RolloutConfig`.

    Example:
        >>> config = js.TrainConfig(steps=500, batch=4)
        >>> config.steps, config.learning_rate
        (500, 0.003)
    """

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
    split: str = "block"
    """How the validation part is taken: "block", blocks in time of each run, "run", whole runs, or "configuration", one
    by one; see `SpinData.split`."""
    evaluate_every: int = 250
    """Steps between evaluations on the validation set, and between checkpoints."""
    patience: int = 0
    """Stop after so many evaluations without a better one; 0 uses all steps."""
    memory: float = 4.0
    """Gigabytes for the derivatives of the features. Where those of all configurations fit (descriptors of clusters on
    periodic lattices on one device) they are computed once, and a step takes a tenth of the time or less; otherwise at
    every step."""

    def __post_init__(self):
        check_loop(self)
        if self.batch < 1:
            raise ValueError(f"batch must be at least 1, got {self.batch}; give TrainConfig(batch=8), say.")
        if not 0 <= self.balance <= 1:
            raise ValueError(f"balance must be between 0 and 1, got {self.balance}; 0.5 serves mixed sets.")
        if not self.memory >= 0:
            raise ValueError(f"memory must not be negative, got {self.memory}; 0 computes features at every step.")
        if not self.energy_weight >= 0:
            raise ValueError(f"energy_weight must not be negative, got {self.energy_weight}; 0 trains on fields alone.")
        check_way(self.split)
        if not 0 < self.validation < 1:
            raise ValueError(f"validation must be a fraction between 0 and 1, got {self.validation}; 0.1 is usual.")


class Learnt(eqx.Module, Generic[Learnable]):
    """A trained model with the story of its training.

    `history` holds, per evaluation, the columns "step", "loss" (mean training loss since the last evaluation),
    "torque" and "energy" (validation errors, see `Errors`), "seconds". `model` has the weights of step `best_step`,
    that of the least validation torque error.

    What `train` returns; a record, without checks of its own: `on` raises `ValueError` for a lattice smaller than the
    neighbourhood or of another kind.

    Example:
        >>> ring = js.chain(8)
        >>> frames = js.training.random_configurations(ring, 8, key=jax.random.key(0))
        >>> data = js.sample(js.Exchange(ring, 1.0), frames)
        >>> features = js.Bispectrum(ring, radius=1.0, bond_radius=1.0, bispectrum=False)
        >>> config = js.TrainConfig(steps=2, batch=2, evaluate_every=1, validation=0.25)
        >>> learnt = js.train(js.BehlerParrinello(descriptor=features, hidden=(4,)), data, config)
        >>> learnt.history["step"].tolist(), learnt.on(js.chain(32)).lattice.cells
        ([1, 2], (32,))
    """

    model: Learnable
    history: dict[str, np.ndarray]
    best_step: int = eqx.field(static=True)

    def on(self, lattice: Lattice) -> Learnable:
        """The trained potential on another size of the lattice."""
        return self.model.on(lattice)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            refuse_attribute(self, name)


def refuse_attribute(learnt: Any, name: str) -> NoReturn:
    """Raise the `AttributeError` of what a training returns where it is taken for the field that it has."""
    kind = type(learnt).__name__
    remedy = "" if name.startswith("_") else "; give its model, learnt.model, where a field is asked for"
    raise AttributeError(f"a {kind} is what a training returns and has no {name!r}{remedy}.")


def train(
    model: Learnable,
    data: SpinData,
    config: TrainConfig | None = None,
    *,
    key: PRNGKeyArray | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> Learnt[Learnable]:
    """Fit the weights of `model` to the fields and energies of `data`, or the fields alone where it has no energies.

    `model` is a `BehlerParrinello`, or a `GeneralizedPotential` for a field that has no energy.
    Features are standardized on the training part, the loss is `loss`, the optimizer Adam with a warm-up-cosine
    schedule, and the averaged weights with the least validation torque error are returned. With `checkpoint` (a
    folder) the state is written at every evaluation and a run that was killed goes on from there, with the result of
    an unbroken one.

    Labels of several fillings or temperatures (`data.filling`, `data.temperature`) are learnt by one network of
    `LearntLevels`, each configuration with its own electrons, or the network's own where the data do not know.
    Torques and energies are both trained across fillings. Energies of different fillings lie far apart, by 2 N mu for
    each step of n, where mu is many times the energy that the network counts as 1. So E/N = shift + 2 n origin is
    taken from the training part by least squares, and the levels, counted from `origin`, learn the rest: what spins do,
    and how mu moves with n. The unit of the energy's error is the standard deviation among configurations of the same
    electrons. The model obeys dE/dn = 2 N mu at any filling; how right its mu is between and beyond the fillings
    learnt from, held-out data must tell. Where all labels are of the same electrons the returned model holds those,
    otherwise its own still: take `learnt.model.filled(filling=...)`.

    Warns where neighbouring frames of a run show that the fields have the other sign than the energies, or these are
    those of a site.

    Raises `ValueError` if the data live on another lattice than the model, are too few to hold some back, feel no
    torque, or are of different electrons that the network cannot tell apart, or the checkpoint belongs to another
    config, model, initialization of its weights, data set or key; `TypeError` for what is no such model or no
    `SpinData`; `FloatingPointError` if the loss is no longer finite.
    For several models and their disagreement use `train_committee`, for trajectories `train_rollout`.

    Source of the optimizer: D. P. Kingma and J. Ba, ICLR 2015, arXiv:1412.6980.

    Example:
        >>> ring = js.chain(8)
        >>> frames = js.training.random_configurations(ring, 8, key=jax.random.key(0))
        >>> data = js.sample(js.Exchange(ring, 1.0), frames)
        >>> features = js.Bispectrum(ring, radius=1.0, bond_radius=1.0, bispectrum=False)
        >>> config = js.TrainConfig(steps=2, batch=2, evaluate_every=1, validation=0.25)
        >>> learnt = js.train(js.BehlerParrinello(descriptor=features, hidden=(4,)), data, config)
        >>> learnt.model.field(js.textures.neel(ring)).shape, sorted(learnt.history)
        ((8, 1, 3), ['energy', 'loss', 'seconds', 'step', 'torque'])
    """
    check_data(data)
    if not isinstance(model, BehlerParrinello | GeneralizedPotential):
        raise TypeError(f"model = {told(model)} cannot be trained; give js.BehlerParrinello(data.lattice) first.")
    config = TrainConfig() if config is None else config
    if data.lattice != model.lattice:
        raise ValueError(
            f"the data live on the {data.lattice.name} lattice {data.lattice.cells}, the model on the "
            f"{model.lattice.name} lattice {model.lattice.cells}; train model.on(data.lattice)."
        )
    warn_of_contradictions(data)
    model, data = prepared(model, data)
    key = jax.random.key(0) if key is None else key
    split_key, batch_key = jax.random.split(key)
    held, fitted = data.split(
        (config.validation, 1 - config.validation),
        key=split_key,
        by=config.split,
    )
    scales = LossScales.of(fitted, config.balance)
    shift, origin = references(fitted)
    levels = {} if origin is None else {"origin": origin}
    model = model.standardized(fitted.spins, shift=shift, scale=float(scales.torque), **levels)

    fitted = sourceless(fitted)

    weights = eqx.filter(model.network, eqx.is_inexact_array)
    batch = min(config.batch, len(fitted))
    identity = {
        "config": dataclasses.asdict(config),
        "model": model.settings(),
        "initialization": checkpoints.digest(weights),
        "data": checkpoints.digest(learnt_from(data)),
        "key": jax.random.key_data(key).tolist(),
    }

    @functools.cache  # not before the first step, for a checkpoint of another run to be refused at once
    def known() -> LinearizedSet | None:
        return linearized(model, fitted, config.memory, progress)

    def advance(number: int, carry: Carry) -> Carry:
        rows = batch_rows(jax.random.fold_in(batch_key, number), len(fitted), batch)
        features = known()
        stored = None if features is None else features.batch(np.asarray(rows))
        return _advance(carry, model, fitted, rows, stored, scales, config)

    def judge(weights) -> dict[str, float]:
        errors = evaluate(with_weights(model, weights), held)
        return {"torque": errors.torque, "energy": errors.energy}

    best, history, best_step = fit(
        weights,
        advance,
        judge,
        config,
        columns=("torque", "energy"),
        dtype=scales.torque.dtype,
        identity=identity,
        checkpoint=checkpoint,
        progress=progress,
    )
    learnt = with_weights(model, best)
    if not model.descriptor.components:  # of a network that reads spins there are no features to know again
        learnt = learnt.familiar_with(fitted.spins)
    return Learnt(learnt, history, best_step)


def learnt_from(data: SpinData) -> tuple[Array, ...]:
    """What of a data set a training depends on: not how the configurations arose."""
    known = (data.spins, data.field, data.energy, data.has_energy, data.run)
    electrons = (data.filling, data.temperature)
    # as before where they do not matter, for a training begun then to go on
    return known if all(np.isnan(to_host(x)).all() for x in electrons) else (*known, *electrons)


def sourceless(data: SpinData) -> SpinData:
    """How configurations arose plays no part in a step, and as static data would compile it anew."""
    bare = SpinData(data.lattice, data.spins, data.field, data.energy, has_energy=data.has_energy)
    return bare.with_electrons(filling=data.filling, temperature=data.temperature)


@functools.partial(jax.jit, static_argnums=(1, 2))
def batch_rows(key: PRNGKeyArray, number: int, size: int) -> Array:
    """Which of `number` configurations make a batch: a function of the key alone, for a resumed run to see the same."""
    return jax.random.choice(key, number, (size,), replace=False)


@eqx.filter_jit  # of arguments alone, so that trainings of one shape (members, rounds, seeds) share one compilation
def _advance(
    carry,
    model: Learnable,
    data: SpinData,
    rows: Array,
    stored: LinearizedSet | None,
    scales: LossScales,
    config: TrainConfig,
):
    """One optimizer step: weights, their average, the optimizer's state and the sum of the losses."""
    part = jax.tree.map(lambda x: x[rows], data)

    def model_of(w):
        return with_weights(model, w)

    value, slope = loss_and_slope(model_of, carry[0], part, scales, config.energy_weight, stored)
    return updated(carry, value, slope, config)


def with_weights(model: Learnable, weights: Any) -> Learnable:
    """The model with these arrays in its network."""
    return eqx.tree_at(lambda m: m.network, model, eqx.combine(weights, model.network))


def linearized(
    model: BehlerParrinello | GeneralizedPotential, data: SpinData, memory: float, progress: bool
) -> LinearizedSet | None:
    """The derivatives of the features of all configurations, where there is room for them (`memory` gigabytes)."""
    descriptor = model.descriptor
    if not isinstance(model, BehlerParrinello) or not isinstance(descriptor, AbstractClusterDescriptor):
        return None
    if not all(descriptor.lattice.periodic) or shards_of(data.lattice, data.spins[0]) is not None:
        return None
    if LinearizedSet.bytes_needed(descriptor, len(data), data.spins.dtype) > memory * 1e9:
        return None
    with tqdm(total=len(data), desc="features", disable=not progress, unit="configuration") as bar:
        return LinearizedSet.of(descriptor, data.spins, bar.update)
