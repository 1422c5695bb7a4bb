"""Pieces of reference runs, and how far another field goes astray from them."""

from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from jaxspin.couplings import finite_and_positive, holds
from jaxspin.dynamics import Trajectory, simulate
from jaxspin.field import AbstractField, Spins
from jaxspin.lattice import Lattice
from jaxspin.spins import check_spins
from jaxspin.training.dataset import rows_of

Observable = Callable[[Spins], Array]

# Frames and steps are counted from times that may come from single precision.
_TOLERANCE = 1e-4


class RolloutData(eqx.Module):
    """n pieces of reference runs, each a start and the frames that follow at equal intervals.

    `spins` `(n, frames, *cells, sublattices, 3)`; frames are `interval` apart (hbar/t), and a rollout makes steps of
    `step`, which divides it. `damping` and `temperature` are those of the reference. At a temperature above zero `keys`
    `(n,)` are those the pieces were made with, each from t = 0, so that a rollout meets the same noise. Pieces with one
    number in `run` are kept together by a split.

    Make it with `RolloutData.sample` or `RolloutData.of`.

    Raises `ValueError` for shapes that do not fit, less than two frames, a step that does not divide the interval, a
    damping or temperature that is negative or not finite, spins that are not finite, or noise without keys.

    Example:
        >>> options = {"frames": 2, "interval": 0.2, "step": 0.1, "damping": 0.1}
        >>> data = js.training.RolloutData.sample(field, jnp.stack([spins, -spins]), **options)
        >>> data.spins.shape, data.frames
        ((2, 3, 4, 4, 1, 3), 2)
    """

    lattice: Lattice
    spins: Float[Array, "n frames *cells sublattices 3"]
    run: Int[Array, " n"]
    keys: Key[Array, " n"] | None
    interval: float = eqx.field(static=True)
    step: float = eqx.field(static=True)
    damping: float = eqx.field(static=True)
    temperature: float = eqx.field(static=True)

    def __init__(
        self,
        lattice: Lattice,
        spins: Float[Array, "n frames *cells sublattices 3"],
        *,
        interval: float,
        step: float,
        damping: float,
        temperature: float = 0.0,
        keys: Key[Array, " n"] | None = None,
        run: Any = None,
    ):
        if spins.ndim < 3 or not len(spins) or spins.shape[1] < 2:
            raise ValueError(f"spins of shape {spins.shape} are no pieces of runs; give a start and frames after it.")
        check_spins(lattice, spins[0, 0])
        if not np.isfinite(np.asarray(spins)).all():
            raise ValueError("the reference holds nan or inf; make it with a smaller time step.")
        ratio = interval / step if step > 0 and 0 < interval < np.inf else 0.0
        if round(ratio) < 1 or abs(ratio - round(ratio)) > _TOLERANCE * ratio:
            raise ValueError(f"step = {step:g} does not divide the interval {interval:g} of the frames; choose one.")
        for name, value in (("damping", damping), ("temperature", temperature)):
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} = {value} is negative or not finite; give that of the reference runs.")
        if temperature > 0 and keys is None:
            raise ValueError("a reference with noise needs the keys it was made with; use RolloutData.sample.")
        self.lattice, self.spins, self.keys = lattice, spins, keys if temperature > 0 else None
        self.interval, self.step = float(interval), float(interval) / round(ratio)
        self.damping, self.temperature = float(damping), float(temperature)
        self.run = jnp.asarray(np.arange(len(spins)) if run is None else np.asarray(run), jnp.int32)
        if self.run.shape != (len(spins),):
            raise ValueError(f"run has shape {self.run.shape}; give {len(spins)} numbers, one per piece.")

    def __len__(self) -> int:
        return self.spins.shape[0]

    def __getitem__(self, index) -> "RolloutData":
        """The pieces of these numbers: data again."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        if len(rows) == 0:
            raise ValueError(f"no piece of {len(self)} is selected; choose at least one.")
        leaves, structure = jax.tree.flatten(self)
        return jax.tree.unflatten(structure, rows_of(leaves, rows))

    @property
    def frames(self) -> int:
        """The number of frames after the start."""
        return self.spins.shape[1] - 1

    @property
    def horizon(self) -> int:
        """The number of time steps of a piece."""
        return self.frames * round(self.interval / self.step)

    @property
    def motion(self) -> Float[Array, " frames"]:
        """The rms distance the reference spins move from their start by each frame: the unit of an error."""
        return _rms(self.spins[:, 1:] - self.spins[:, :1])

    def split(self, fraction: float, *, key: PRNGKeyArray) -> tuple["RolloutData", "RolloutData"]:
        """A random part of about this size, and the rest; pieces of one run stay together.

        Raises `ValueError` for a fraction that is not between 0 and 1, and pieces of a single run.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction must be between 0 and 1, got {fraction}; 0.2 is usual.")
        names = np.unique(np.asarray(self.run))
        count = min(max(1, round(fraction * len(names))), len(names) - 1)
        if count < 1:
            raise ValueError("one run cannot be split; give pieces of at least two.")
        chosen = np.isin(np.asarray(self.run), names[np.asarray(jax.random.permutation(key, len(names)))[:count]])
        return self[np.flatnonzero(chosen)], self[np.flatnonzero(~chosen)]

    @staticmethod
    def of(runs: Sequence[Trajectory], frames: int, *, stride: int | None = None) -> "RolloutData":
        """Pieces of `frames` frames after the start, cut from runs without noise every `stride` frames (None: end to
        end).

        Lattice, damping and step are those of the runs. Raises `ValueError` for runs with noise, with other intervals
        than one another, with changing temperature, or too short for a piece.
        """
        if not runs or frames < 1 or (stride is not None and stride < 1):
            raise ValueError("give at least one run and one frame to cut pieces from, and a stride of 1 or more.")
        stride = frames if stride is None else stride
        first = runs[0]
        if first.lattice is None or first.damping.ndim:
            raise ValueError("the runs need a lattice and one damping; simulate(..., lattice=lattice, damping=0.1).")
        pieces, origin = [], []
        for number, one in enumerate(runs):
            if one.spins is None or np.any(np.asarray(one.temperature)):
                raise ValueError("pieces are cut from runs that kept their spins, at T = 0; use RolloutData.sample.")
            times = np.asarray(one.times, float)
            interval = times[1] - times[0] if len(times) > 1 else np.nan
            # the last frame may come early
            usable = len(times) if np.isclose(times[-1] - times[-2], interval) else len(times) - 1
            alike = np.isclose(interval, float(first.times[1] - first.times[0])) and one.damping == first.damping
            if usable <= frames or not alike or one.lattice != first.lattice or not np.isclose(one.step, first.step):
                raise ValueError("the runs are too short or unlike one another; give runs of one kind, or less frames.")
            starts = range(0, usable - frames, stride)
            pieces += [one.spins[k : k + frames + 1] for k in starts]
            origin += [number] * len(starts)
        return RolloutData(
            first.lattice,
            jnp.stack(pieces),
            interval=float(first.times[1] - first.times[0]),
            step=float(first.step),
            damping=float(first.damping),
            run=origin,
        )

    @staticmethod
    def sample(
        field: AbstractField,
        starts: Float[Array, "n *cells sublattices 3"],
        *,
        frames: int,
        interval: float,
        step: float,
        damping: float,
        temperature: float = 0.0,
        key: PRNGKeyArray | None = None,
    ) -> "RolloutData":
        """A short reference run of `field` from each of the `starts`; `key` for a temperature above zero.

        Raises `ValueError` for a field without a lattice, no `frames`, and settings that `simulate` refuses.
        """
        if field.lattice is None:
            raise ValueError("the field has no lattice; add a term that has one, such as the electrons.")
        if frames < 1:
            raise ValueError(f"frames = {frames} after the start are no run; give 1 or more.")
        keys = None if key is None or not temperature > 0 else jax.random.split(key, len(starts))

        settings = (frames, interval, step, damping, temperature, None)
        found = [_frames(field, s, None if keys is None else keys[n], *settings) for n, s in enumerate(starts)]
        return RolloutData(
            field.lattice,
            jnp.concatenate([starts[:, None], jnp.stack(found)], axis=1),
            interval=interval,
            step=step,
            damping=damping,
            temperature=temperature,
            keys=keys,
        )


def rollout(
    field: AbstractField, data: RolloutData, *, adjoint: diffrax.AbstractAdjoint | None = None
) -> Float[Array, "n frames *cells sublattices 3"]:
    """The frames after each start of `data` with this field in place of the reference's.

    All pieces at once, with the damping, temperature and noise of the reference. Differentiable; `adjoint` is how
    diffrax goes back (None: checkpointed). A run that fails is NaN. For longer runs use `jaxspin.simulate`.

    Raises `ValueError` for data on another lattice than the field.

    Example:
        >>> options = {"frames": 2, "interval": 0.2, "step": 0.1, "damping": 0.1}
        >>> data = js.training.RolloutData.sample(field, spins[None], **options)
        >>> bool(jnp.allclose(js.training.rollout(field, data)[:, -1], data.spins[:, -1], atol=1e-3))
        True
    """

    def one(start, key):
        settings = (data.frames, data.interval, data.step, data.damping, data.temperature)
        return _frames(field, start, key, *settings, adjoint)

    if data.keys is None:
        return jax.vmap(lambda start: one(start, None))(data.spins[:, 0])
    return jax.vmap(one)(data.spins[:, 0], data.keys)


def rollout_loss(
    field: AbstractField,
    data: RolloutData,
    motion: Float[Array, ""],
    *,
    observable: Observable | None = None,
    observable_weight: float = 1.0,
    adjoint: diffrax.AbstractAdjoint | None = None,
) -> Float[Array, ""]:
    """<|S - S_ref|^2>/motion^2 over pieces, frames and sites, plus that of an observable over its own mean square.

    `observable` maps spins to an array; `motion` is the unit of length. `adjoint` is how diffrax goes back: None is the
    checkpointed one, which takes a tenth of the memory of `diffrax.DirectAdjoint()` at 16 to 256 steps. A number
    without a unit; `data.motion` is the usual one of length. For errors to quote use `rollout_errors`.

    Raises `ValueError` for a motion that is not positive, a negative weight, and data on another lattice than the
    field.

    Example:
        >>> options = {"frames": 2, "interval": 0.2, "step": 0.1, "damping": 0.1}
        >>> data = js.training.RolloutData.sample(field, spins[None], **options)
        >>> round(float(js.training.rollout_loss(field, data, jnp.asarray(1.0))), 3)
        0.0
    """
    if not holds(finite_and_positive, motion):
        raise ValueError(f"motion = {motion} is no unit of length; give the rms of data.motion, which must be above 0.")
    if not isinstance(observable_weight, jax.Array) and not 0 <= observable_weight < np.inf:
        raise ValueError(f"observable_weight must not be negative, got {observable_weight}; 0 switches it off.")
    found, expected = rollout(field, data, adjoint=adjoint), data.spins[:, 1:]
    total = jnp.mean(jnp.sum((found - expected) ** 2, axis=-1)) / motion**2
    if observable is None:
        return total
    each = jax.vmap(jax.vmap(observable))
    seen, reference = each(found), each(expected)
    square = jnp.mean(reference**2)
    unit = jnp.where(square > 0, square, 1)
    return total + observable_weight * jnp.mean((seen - reference) ** 2) / unit


@eqx.filter_jit
def rollout_errors(field: AbstractField, data: RolloutData) -> Float[Array, " frames"]:
    """The rms deviation |S - S_ref| of a spin at each frame after the start, over all pieces.

    Between 0 and 2: sqrt(2) for spins that have nothing to do with the reference. To compare with how far the reference
    moves divide by `data.motion`.

    Raises `ValueError` for data on another lattice than the field.

    Example:
        >>> options = {"frames": 2, "interval": 0.2, "step": 0.1, "damping": 0.1}
        >>> data = js.training.RolloutData.sample(field, spins[None], **options)
        >>> [round(float(error), 2) + 0.0 for error in js.training.rollout_errors(field, data)]
        [0.0, 0.0]
    """
    return _rms(rollout(field, data) - data.spins[:, 1:])


def _frames(field, start, key, frames, interval, step, damping, temperature, adjoint):
    run = simulate(
        field,
        start,
        duration=frames * interval,
        step=step,
        save_every=interval,
        damping=damping,
        temperature=temperature,
        key=key,
        adjoint=adjoint,
        throw=False,
    )
    assert run.spins is not None
    return run.spins[1:]


def _rms(difference: Float[Array, "n frames ..."]) -> Float[Array, " frames"]:
    square = jnp.sum(difference**2, axis=-1)
    return jnp.sqrt(jnp.mean(square, axis=(0, *range(2, square.ndim))))
