"""How far a model is from its labels: what is trained on, and what is reported."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PyTree

from jaxspin.arguments import told
from jaxspin.couplings import finite_and_positive, holds
from jaxspin.devices.hosts import to_host
from jaxspin.field import AbstractField, AbstractPotential, Spins
from jaxspin.forcefield import BehlerParrinello, GeneralizedPotential
from jaxspin.spins import takes_spins, tangent
from jaxspin.training.dataset import SpinData, check_data
from jaxspin.training.electrons import centered, electrons_of_each, sets_of
from jaxspin.training.fillings import check_filled_in_part, filled_as, fills_levels
from jaxspin.training.linearized import LinearizedSet


class LossScales(eqx.Module):
    """The units of the two terms: rms torque, and standard deviation of the energy per site, of the training set, that
    among configurations of the same electrons where there are several.

    `balance` b weighs a configuration of rms torque c by (torque/c)^2b: 0 counts every torque alike, 1 measures each
    configuration in its own unit. Torques below a hundredth of the set's count as that. Both units in those of the
    hopping; made by `LossScales.of(data)`.

    Raises `ValueError` for units that are not positive, and a balance that is not between 0 and 1.

    Example:
        >>> data = js.sample(field, js.training.random_configurations(lattice, 2, key=jax.random.key(0)))
        >>> scales = js.training.LossScales.of(data)
        >>> bool(scales.torque > 0), bool(scales.energy > 0)
        (True, True)
    """

    torque: Float[Array, ""]
    energy: Float[Array, ""]
    balance: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not 0 <= self.balance <= 1:
            raise ValueError(f"balance must be between 0 and 1, got {self.balance}; 0.5 serves mixed sets.")
        if not all(holds(finite_and_positive, unit) for unit in (self.torque, self.energy)):
            raise ValueError(
                f"the units {self.torque} and {self.energy} of torque and energy must be positive; take "
                "LossScales.of(data)."
            )

    @staticmethod
    def of(data: SpinData, balance: float = 0.0) -> "LossScales":
        """Taken from the data; 1 where the data cannot tell (no torque at all, one energy or none)."""
        check_data(data)
        energy = data.energy
        if len(sets_of(data.filling, data.temperature)[0]) > 1:  # else as it lies, on however many devices
            energy = jax.device_put(centered(to_host(energy), data.filling, data.temperature))
        torque, energy = _scales(energy, data.has_energy, data.lattice.sites, data.torque_scale)
        return LossScales(torque, energy, balance)

    def weights(self, data: SpinData) -> Float[Array, " n"]:
        """Of the torques of each configuration."""
        square = _mean_square(data.spins, tangent(data.spins, data.field)) / self.torque**2
        return jnp.maximum(square, 1e-4) ** -self.balance


@jax.jit
def _scales(energy: Array, known: Array, sites: Array, torque: Array) -> tuple[Array, Array]:
    deviation = jnp.nanstd(jnp.where(known, energy, jnp.nan) / sites.astype(energy.dtype))
    deviation = jnp.where(jnp.isfinite(deviation) & (deviation > 0), deviation, 1)
    return jnp.where(torque > 0, torque, 1), deviation


def loss(
    model: AbstractPotential | GeneralizedPotential, data: SpinData, scales: LossScales, energy_weight: float
) -> Float[Array, ""]:
    """<w |tangential field error|^2>/torque^2 + weight <(error of the energy per site)^2>/energy^2, units in `scales`.

    w are the weights of `scales` (1 unless balanced), `weight` is `energy_weight`. A number without a unit. The
    parallel part of a field does nothing and is left out, and so are vacancies. Configurations without energy count in
    the first term. Learnt levels are filled with the electrons of each configuration, as far as the data know them:
    energies of different fillings are compared as they are, so that dE/dn = 2 N mu is learnt too. To quote errors take
    `evaluate`, for the slope `loss_and_slope`.

    Raises `ValueError` for a negative weight, and for data on another lattice than the model.

    Example:
        >>> data = js.sample(field, js.training.random_configurations(lattice, 2, key=jax.random.key(0)))
        >>> scales = js.training.LossScales.of(data)
        >>> round(float(js.training.loss(0.9 * field, data, scales, energy_weight=0.0)), 3)
        0.01
    """
    _check_weight(energy_weight)
    energy, field = _energies_and_fields(model, data)
    return _mismatch(energy, field, data, scales, energy_weight)


def loss_and_slope(
    model_of: Callable[[PyTree], BehlerParrinello | GeneralizedPotential],
    weights: PyTree[Array],
    data: SpinData,
    scales: LossScales,
    energy_weight: float,
    linearized: LinearizedSet | None = None,
) -> tuple[Float[Array, ""], PyTree[Array]]:
    """`loss` of `model_of(weights)` and its derivative with respect to the weights.

    With g the derivative of the loss with respect to the fields, held fixed, d loss = <g, dB> = -d (dE along g): the
    weights are differentiated through a directional derivative of the energy, and never through the gradient of the
    descriptor, which reverse mode over reverse mode would do at several times the cost. `linearized` holds the same
    configurations with the derivatives of their features, and spares the descriptor altogether.

    The slope is a tree like `weights`. Raises `ValueError` for a negative weight, and for data on another lattice than
    the model.

    Example:
        >>> data = js.sample(field, js.training.random_configurations(lattice, 2, key=jax.random.key(0)))
        >>> scales = js.training.LossScales.of(data)
        >>> def model_of(coupling):
        ...     return js.Exchange(lattice, coupling)
        >>> value, slope = js.training.loss_and_slope(model_of, jnp.asarray(0.9), data, scales, 0.0)
        >>> round(float(value), 3), round(float(slope), 3)
        (0.01, -0.2)
    """

    _check_weight(energy_weight)

    def energies_and_fields(model):
        if linearized is None:
            return _energies_and_fields(model, data)
        each = zip(linearized.configurations, data.filling, data.temperature, strict=True)
        found = [c.energy_and_field(filled_as(model, n, t), linearized.readers) for c, n, t in each]
        return jnp.stack([energy for energy, _ in found]), jnp.stack([field for _, field in found])

    def energies_along(model, directions):
        if linearized is None:
            return jax.vmap(lambda s, d, n, t: _energy_along(filled_as(model, n, t), s, d))(
                data.spins, directions, data.filling, data.temperature
            )
        each = zip(linearized.configurations, directions, data.filling, data.temperature, strict=True)
        found = [c.energy_along(filled_as(model, n, t), d, linearized.members) for c, d, n, t in each]
        return jnp.stack([energy for energy, _ in found]), jnp.stack([slope for _, slope in found])

    energy, field = energies_and_fields(model_of(weights))
    value, (by_energy, by_field) = jax.value_and_grad(_mismatch, argnums=(0, 1))(
        energy, field, data, scales, energy_weight
    )

    def along(w):
        energy, slope = energies_along(model_of(w), by_field)
        return jnp.sum(by_energy * energy - slope)

    return value, jax.grad(along)(weights)


def _check_model(model: Any) -> None:
    """Refuse what has no field of its own, such as what a training returns."""
    if hasattr(model, "field") or isinstance(model, GeneralizedPotential):
        return
    remedy = "give its model, learnt.model" if hasattr(model, "model") else "give a force field or another field"
    raise TypeError(f"model = {told(model)} is no field; {remedy}.")


def _check_weight(energy_weight: float) -> None:
    if not isinstance(energy_weight, jax.Array) and not 0 <= energy_weight < np.inf:
        raise ValueError(f"energy_weight must not be negative, got {energy_weight}; 0 counts fields alone.")


@takes_spins
def energy_and_field(model: AbstractField, spins: Spins) -> tuple[Float[Array, ""], Spins]:
    """Both, the energy NaN for a field without one; of a `GeneralizedPotential` its E."""
    if isinstance(model, AbstractPotential):
        return model.energy_and_field(spins)
    if isinstance(model, GeneralizedPotential):
        return model.potential_and_field(spins)
    return jnp.full((), jnp.nan, spins.dtype), model.field(spins)


def _energies_and_fields(model: AbstractField, data: SpinData) -> tuple[Float[Array, " n"], Spins]:
    """Of every configuration, at once, learnt levels filled with its electrons."""
    return jax.vmap(lambda s, n, t: energy_and_field(filled_as(model, n, t), s))(
        data.spins, data.filling, data.temperature
    )


def _energy_along(
    model: AbstractPotential | GeneralizedPotential, spins: Spins, direction: Spins
) -> tuple[Array, Array]:
    """The energy, and -sum_i direction_i . B_i."""
    if isinstance(model, GeneralizedPotential):
        return model.potential_along(spins, direction)
    return jax.jvp(model.energy, (spins,), (direction,))


def _mismatch(energy, field, data: SpinData, scales: LossScales, energy_weight: float) -> Float[Array, ""]:
    square = _mean_square(data.spins, tangent(data.spins, field - data.field))
    torque_term = jnp.mean(scales.weights(data) * square) / scales.torque**2
    per_site = jnp.where(data.has_energy, energy - jnp.where(data.has_energy, data.energy, 0), 0) / data.lattice.sites
    known = jnp.maximum(jnp.sum(data.has_energy.astype(energy.dtype)), 1)
    return torque_term + energy_weight * jnp.sum(per_site**2) / known / scales.energy**2


@jax.jit
def _mean_square(spins: Array, vectors: Array) -> Float[Array, " n"]:
    """Of each configuration."""
    # a field at a vacancy pushes nothing, and models differ in what they say there
    occupied = jnp.any(spins != 0, axis=-1)
    square = jnp.where(occupied, jnp.sum(vectors**2, axis=-1), 0)
    sites = tuple(range(1, square.ndim))
    return jnp.sum(square, axis=sites) / jnp.maximum(jnp.sum(occupied, axis=sites), 1).astype(square.dtype)


@jax.jit
def _rms(spins: Array, vectors: Array) -> Float[Array, ""]:
    """Of all sites that are occupied."""
    occupied = jnp.sum(jnp.any(spins != 0, axis=-1), axis=tuple(range(1, spins.ndim - 1)))
    return jnp.sqrt(jnp.average(_mean_square(spins, vectors), weights=occupied.astype(vectors.dtype)))


class Errors(eqx.Module):
    """Errors of a model on a data set.

    `torque`: rms error of the tangential field over its rms, the figure to quote. `field`: the same for the full field;
    the parallel part pushes nothing and `train` leaves it out, so that about 1 is normal for a learnt field, however
    good its torques are. `torque_rms`: rms tangential field error in units of the hopping. `energy`: rms error
    of the energy per site, `energy_centered`: the same without the mean offset, that of each filling and temperature
    where there are several, in units of the hopping.

    What `evaluate` returns; a record, without checks of its own.

    Example:
        >>> data = js.sample(field, js.training.random_configurations(lattice, 2, key=jax.random.key(0)))
        >>> errors = js.training.evaluate(0.9 * field, data)
        >>> round(float(errors.torque), 3)
        0.1
    """

    torque: float
    field: float
    torque_rms: float
    energy: float
    energy_centered: float


def evaluate(model: AbstractField, data: SpinData) -> Errors:
    """The errors of `model` on `data`, one configuration at a time.

    A field without energy has NaN for its errors of the energy, and so have data without. Learnt levels are filled with
    the electrons of each configuration, as far as the data know them.

    Raises `ValueError` if no spin feels a torque, since there is nothing to compare with, and for data on another
    lattice than the model; `TypeError` for what is no field (of what `train` returns take `.model`) or no `SpinData`.

    Example:
        >>> data = js.sample(field, js.training.random_configurations(lattice, 2, key=jax.random.key(0)))
        >>> round(float(js.training.evaluate(field, data).torque), 3)
        0.0
    """
    _check_model(model)
    check_data(data)
    if not data.torque_scale > 0:
        raise ValueError("no spin of these data feels a torque; add configurations away from equilibrium.")
    electrons = {"filling": data.filling, "temperature": data.temperature} if fills_levels(model) else {}
    energy, field = predict(model, data.spins, **electrons)
    error = field - data.field
    known = to_host(data.has_energy)
    per_site = (to_host(energy) - to_host(data.energy))[known] / data.lattice.sites
    apart = centered(per_site, to_host(data.filling)[known], to_host(data.temperature)[known])

    def rms(vectors: Array) -> float:
        return float(_rms(data.spins, vectors))

    torque_rms = rms(tangent(data.spins, error))
    return Errors(
        torque=torque_rms / float(data.torque_scale),
        field=rms(error) / rms(data.field),
        torque_rms=torque_rms,
        energy=float(np.sqrt(np.mean(per_site**2))) if per_site.size else float("nan"),
        energy_centered=float(np.std(apart)) if per_site.size else float("nan"),
    )


@takes_spins(batch=True)
def predict(
    model: AbstractField,
    spins: Float[Array, "n *cells sublattices 3"],
    *,
    filling: ArrayLike | None = None,
    temperature: ArrayLike | None = None,
) -> tuple[Float[Array, " n"], Float[Array, "n *cells sublattices 3"]]:
    """Energies (NaN without) and fields of n configurations, one after another: one compilation for any n.

    Both in units of the hopping. Inside `jit` map over the configurations with `jax.vmap(model.field)`. `filling` and
    `temperature`, one number or n, are those of the electrons in learnt levels; None or NaN: the model's own.

    Raises `ValueError` for configurations of another lattice than the model's, or none, and electrons for a model
    without levels; `TypeError` for what is no field.

    Example:
        >>> energies, fields = js.training.predict(field, jnp.stack([spins, -spins]))
        >>> energies.shape, fields.shape
        ((2,), (2, 4, 4, 1, 3))
    """
    _check_model(model)
    if len(spins) == 0:
        raise ValueError("there is no configuration to predict; give at least one.")
    # by number, as an array that lies on several processes cannot be run through
    each = range(len(spins))
    if fills_levels(model):
        n, t = (to_host(x) for x in electrons_of_each(len(spins), spins.dtype, filling, temperature))
        check_filled_in_part(n)
        # both as arguments: one program for all fillings
        both = [_of_electrons(model, spins[k], jnp.asarray(n[k]), jnp.asarray(t[k])) for k in each]
    elif filling is None and temperature is None:
        both = [energy_and_field(model, spins[k]) for k in each]
    else:
        raise ValueError("the model has no levels to fill; leave out filling=... and temperature=...")
    return jnp.stack([energy for energy, _ in both]), jnp.stack([field for _, field in both])


@eqx.filter_jit
def _of_electrons(model: AbstractField, spins: Spins, filling: Array, temperature: Array) -> tuple[Array, Spins]:
    return energy_and_field(filled_as(model, filling, temperature), spins)
