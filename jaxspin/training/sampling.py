"""Configurations and their labels: what a force field learns from."""

import functools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from tqdm import tqdm

from jaxspin import renamed
from jaxspin.arguments import check_field, told
from jaxspin.couplings import finite_and_not_negative, holds, real
from jaxspin.dynamics import Trajectory
from jaxspin.field import AbstractField, AbstractPotential
from jaxspin.lattice import Lattice
from jaxspin.spins import as_spins, normalize, random_spins, takes_spins
from jaxspin.training.dataset import SpinData
from jaxspin.training.electrons import couplings_of, electrons_of


def sample(
    potential: AbstractField,
    spins: Trajectory | Float[Array, "n *cells sublattices 3"],
    *,
    source: str = "unknown",
    run: int | None = None,
    batch: int = 8,
    progress: bool = False,
) -> SpinData:
    """Label every frame of a trajectory, or every configuration of an array, with the energy and field of `potential`.

    A field without an energy, such as that of driven electrons, gives fields alone. Frames of a trajectory are labelled
    at their times, an array at t = 0. Frames of a trajectory belong to one `run` (0 unless given), so that a split by
    runs keeps them together. `batch` configurations are labelled at once. Energies and fields in units of the hopping.
    A solver of electrons at fixed filling, alone or in a sum, tells the data its filling and temperature, and any its
    hoppings and coupling, which `attributes["params"]` keeps, None for what is not uniform: `jaxspin evaluate` compares
    them with what a force field learnt from.

    Raises `ValueError` if the potential has no lattice, there is no configuration or no `batch`, the spins are of
    another lattice or not of length one, or a label is not finite; `TypeError` for what is no field. For labels made
    elsewhere build `SpinData`.

    Example:
        >>> frames = js.training.random_configurations(lattice, 3, key=jax.random.key(0))
        >>> data = js.sample(field, frames, source="random")
        >>> data.energy.shape, data.field.shape
        ((3,), (3, 4, 4, 1, 3))
    """
    if not isinstance(potential, AbstractField):
        if hasattr(potential, "spectral_bounds"):
            check_field(potential, "potential")
        raise TypeError(f"potential = {told(potential)} is no field; give it first, js.sample(field, configurations).")
    if potential.lattice is None:
        raise ValueError("the potential has no lattice; label with a sum that contains the electrons or an exchange.")
    if isinstance(spins, Trajectory):
        if spins.spins is None:
            raise ValueError("the trajectory kept no spins; simulate without save=..., or pass the spins.")
        frames, run = spins.spins, 0 if run is None else run
        times = jax.device_put(np.asarray(spins.times, frames.dtype))
    else:
        frames = as_spins(spins, potential.lattice, batch=True)
        if frames.ndim == potential.lattice.dimension + 2:
            raise ValueError(f"spins of shape {frames.shape} are one configuration; give several, such as spins[None].")
        times = jax.device_put(np.zeros(len(frames), frames.dtype))
    if batch < 1 or len(frames) == 0:
        raise ValueError(f"{len(frames)} configurations in batches of {batch} make no data; give at least one of each.")
    has_energy = isinstance(potential, AbstractPotential)

    energies, fields = [], []
    starts = range(0, len(frames), batch)
    for first in tqdm(starts, desc=f"labels ({source})", disable=not progress, leave=False):
        # a last batch filled up to full size spares a compilation
        rows = np.minimum(np.arange(first, first + batch), len(frames) - 1)
        energy, field = _labels(potential, frames[rows], times[rows])
        number = min(batch, len(frames) - first)
        energies.append(np.asarray(energy)[:number])
        fields.append(np.asarray(field)[:number])
    filling, temperature = electrons_of(potential)
    params = couplings_of(potential)
    return SpinData(
        potential.lattice,
        frames,
        np.concatenate(fields),
        np.concatenate(energies) if has_energy else None,
        source=source,
        run=None if run is None else np.full(len(frames), run),
        attributes={"params": params} if params else None,
        filling=filling,
        temperature=temperature,
    )


@eqx.filter_jit  # of arguments alone: a function made anew in every call would be compiled anew in every call
def _labels(
    potential: AbstractField, spins: Float[Array, "n *cells sublattices 3"], times: Float[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, "n *cells sublattices 3"]]:
    """Energies (zeros without) and fields, one configuration after another."""

    def one(given):
        s, t = given
        if isinstance(potential, AbstractPotential):
            return potential.energy_and_field(s, t)
        return jnp.zeros((), s.dtype), potential.field(s, t)

    return jax.lax.map(one, (spins, times))


@renamed.keyword("number", "count")
def random_configurations(
    lattice: Lattice, count: int, *, key: PRNGKeyArray, dtype=None
) -> Float[Array, "n *cells sublattices 3"]:
    """`count` independent configurations, every spin uniform on the sphere; an array, as `sample` takes it.

    Raises `ValueError` for a `count` below 1. For one configuration take `jaxspin.random_spins`.

    Example:
        >>> js.training.random_configurations(lattice, 3, key=jax.random.key(0)).shape
        (3, 4, 4, 1, 3)
    """
    if count < 1:
        raise ValueError(f"count = {count} configurations are none; give 1 or more.")
    return _random(lattice, count, key, dtype)


@functools.partial(jax.jit, static_argnums=(1, 3))
def _random(lattice: Lattice, count: int, key: PRNGKeyArray, dtype) -> Array:
    return jax.vmap(lambda k: random_spins(lattice, key=k, dtype=dtype))(jax.random.split(key, count))


@takes_spins(name="texture")
def perturbed_configurations(
    texture: Float[Array, "*cells sublattices 3"], amplitudes: Sequence[float] | Array, *, key: PRNGKeyArray
) -> Float[Array, "n *cells sublattices 3"]:
    """The texture with independent Gaussian displacements of each of the `amplitudes`, normalized again.

    S_i = norm(S_i + amplitude xi_i) with xi of unit variance in each component, one configuration for each amplitude.
    Vacancies stay empty. For states that a temperature makes use `simulate`, for random ones `random_configurations`.

    Raises `ValueError` for a texture without three components, and amplitudes that are no row of finite numbers, zero
    or more.

    Example:
        >>> up = js.textures.ferromagnet(lattice)
        >>> js.training.perturbed_configurations(up, (0.1, 0.2), key=jax.random.key(0)).shape
        (2, 4, 4, 1, 3)
    """
    sizes = real(amplitudes, "amplitudes").astype(texture.dtype)
    if sizes.ndim != 1 or not holds(finite_and_not_negative, sizes):
        raise ValueError(
            f"amplitudes {amplitudes} are no row of numbers, zero or more; give one each, such as (0.1, 0.2)."
        )
    return _perturbed(texture, sizes, key)


@jax.jit
def _perturbed(texture: Array, amplitudes: Array, key: PRNGKeyArray) -> Array:
    shape = (len(amplitudes), *texture.shape)
    noise = jax.random.normal(key, shape, texture.dtype)
    scale = amplitudes.reshape(-1, *(1,) * texture.ndim)
    occupied = jnp.any(texture != 0, axis=-1, keepdims=True)
    return normalize(jnp.where(occupied[None], texture[None] + scale * noise, 0))


@takes_spins(batch=True)
def distinct(spins: Float[Array, "n *cells sublattices 3"], *, overlap: float = 0.99) -> list[int]:
    """The numbers of the configurations to keep so that no two are alike, in order: `data[distinct(data.spins)]`.

    Two are alike when max_R (1/N) sum_i S_i . R S'_i, R any rotation with or without S -> -S, is above `overlap`: they
    would teach the same. The maximum is the sum of the singular values of (1/N) sum_i S_i S'_i^T. Of those alike the
    first stays. Translated copies count as different. Time grows as n^2 N; thin long runs first.

    Raises `ValueError` unless 0 < overlap <= 1, and for spins without three components.

    Source: P. H. Schoenemann, Psychometrika 31, 1 (1966),
    10.1007/BF02289451.

    Example:
        >>> js.training.distinct(jnp.stack([spins, -spins, js.textures.neel(lattice)]))
        [0, 2]
    """
    if not 0 < overlap <= 1:
        raise ValueError(f"overlap must be between 0 and 1, got {overlap}; 0.99 keeps all but near copies.")
    known = np.asarray(spins, np.float64)
    kept: list[int] = []
    for number, configuration in enumerate(known):
        if not np.any(overlaps(known[kept], configuration) > overlap):
            kept.append(number)
    return kept


@takes_spins(batch=True)
def overlaps(
    spins: Float[Array | np.ndarray, "n *cells sublattices 3"],
    other: Float[Array | np.ndarray, "*cells sublattices 3"],
) -> Float[np.ndarray, " n"]:
    """max_R (1/N) sum_i S_i . R S'_i of each configuration with `other`, see `distinct`: 1 for the same state."""
    flat, one = (np.asarray(x, np.float64) for x in (spins, other))
    occupied = max(int(np.sum(np.any(one != 0, axis=-1))), 1)
    # sizes in full, for n = 0 as well
    products = np.einsum("nia,ib->nab", flat.reshape(len(flat), one.size // 3, 3), one.reshape(-1, 3))
    # a copy of itself is not more than alike by rounding
    return np.minimum(np.linalg.svd(products, compute_uv=False).sum(axis=-1) / occupied, 1)
