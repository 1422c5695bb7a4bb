"""Training of a committee: the same model and data, other weights to begin with, other splits, other batches."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.devices.hosts import to_host
from jaxspin.forcefield import BehlerParrinello, Committee
from jaxspin.lattice import Lattice
from jaxspin.training.dataset import SpinData, check_data
from jaxspin.training.trainer import Learnt, TrainConfig, refuse_attribute, train


class LearntCommittee(eqx.Module):
    """A trained committee with the story of each member's training (`Learnt.history`, `Learnt.best_step`).

    What `train_committee` returns; a record, without checks of its own: `on` raises `ValueError` for a lattice smaller
    than the neighbourhood or of another kind.

    Example:
        >>> ring = js.chain(8)
        >>> frames = js.training.random_configurations(ring, 8, key=jax.random.key(0))
        >>> data = js.sample(js.Exchange(ring, 1.0), frames)
        >>> features = js.Bispectrum(ring, radius=1.0, bond_radius=1.0, bispectrum=False)
        >>> config = js.TrainConfig(steps=2, batch=2, evaluate_every=1, validation=0.25)
        >>> model = js.BehlerParrinello(descriptor=features, hidden=(4,))
        >>> learnt = js.training.train_committee(model, data, config, members=2)
        >>> [member.best_step > 0 for member in learnt.members]
        [True, True]
    """

    model: Committee
    members: tuple[Learnt[BehlerParrinello], ...]

    def on(self, lattice: Lattice) -> Committee:
        """The trained committee on another size of the lattice."""
        return self.model.on(lattice)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            refuse_attribute(self, name)


def train_committee(
    model: BehlerParrinello,
    data: SpinData,
    config: TrainConfig | None = None,
    *,
    members: int = 4,
    key: PRNGKeyArray | None = None,
    known: Float[Array, "n *cells sublattices 3"] | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> LearntCommittee:
    """Train `members` force fields of the descriptor and layers of `model` and calibrate their committee.

    Each member has its own key for the weights it begins with, the part it holds back to choose its best step, and
    its batches; the weights of `model` are not used. A committee's first members are those of a smaller one with the
    same key. The committee is calibrated (`Committee.calibrated`) on the configurations `known`, none of them among
    the data, where members agree better than elsewhere; where None, a fraction `config.validation` of the data is held
    back from all members for it.

    With `checkpoint` each member keeps its state in a folder of its own in there: a run that was killed goes on where
    it stopped, with the result of an unbroken one.

    Raises `ValueError` for fewer than two members, for `known` that hold configurations of the data, and, as `train`
    does, for data that do not fit and checkpoints of another training; `FloatingPointError` if a loss is no longer
    finite. Source: see `Committee`.

    Example:
        >>> ring = js.chain(8)
        >>> frames = js.training.random_configurations(ring, 8, key=jax.random.key(0))
        >>> data = js.sample(js.Exchange(ring, 1.0), frames)
        >>> features = js.Bispectrum(ring, radius=1.0, bond_radius=1.0, bispectrum=False)
        >>> config = js.TrainConfig(steps=2, batch=2, evaluate_every=1, validation=0.25)
        >>> model = js.BehlerParrinello(descriptor=features, hidden=(4,))
        >>> learnt = js.training.train_committee(model, data, config, members=2)
        >>> learnt.model.size
        2
    """
    if members < 2:
        raise ValueError(f"members must be at least 2, got {members}; 4 is usual, and train gives a single one.")
    check_data(data)
    config = TrainConfig() if config is None else config
    key = jax.random.key(0) if key is None else key
    split_key, member_key = jax.random.split(key)
    if known is not None:
        _refuse_learnt(known, data)
    else:
        held, data = data.split((config.validation, 1 - config.validation), key=split_key, by=config.split)
        known = held.spins
    learnt = []
    for number in range(members):
        start_key, training_key = jax.random.split(jax.random.fold_in(member_key, number))
        learnt.append(
            train(
                model.redrawn(start_key),
                data,
                config,
                key=training_key,
                checkpoint=None if checkpoint is None else Path(checkpoint) / f"member_{number}",
                progress=progress,
            )
        )
    committee = Committee([member.model for member in learnt]).calibrated(known.astype(model.mean.dtype))
    return LearntCommittee(committee, tuple(learnt))


def _refuse_learnt(known: Float[Array, "n *cells sublattices 3"], data: SpinData) -> None:
    learnt = {np.asarray(spins, np.float32).tobytes() for spins in to_host(data.spins)}
    number = sum(np.asarray(spins, np.float32).tobytes() in learnt for spins in to_host(known))
    if number:
        raise ValueError(
            f"{number} of the {len(known)} configurations to calibrate with are among those learnt from, where the "
            "members agree better than elsewhere; give others of their kind, or known=None to hold some back."
        )
