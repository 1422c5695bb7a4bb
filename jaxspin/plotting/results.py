"""`plot(result)`: the figure that suits a trajectory, a data set or a training."""

import functools
import sys
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxspin.dynamics import Trajectory
from jaxspin.io import BandPath, WannierHamiltonian, lattice_of
from jaxspin.lattice import Lattice
from jaxspin.observables import magnetization, scalar_chirality
from jaxspin.plotting.bands import plot_bands
from jaxspin.plotting.curves import plot_time_series, plot_training
from jaxspin.plotting.maps import plot_map, plot_spins
from jaxspin.plotting.style import new_figure, styled
from jaxspin.spins import tangent
from jaxspin.training import Learnt, SpinData

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray


@functools.singledispatch
def plot(result: Any) -> "matplotlib.figure.Figure":
    """The figure that suits a result: a trajectory (of `simulate`, or loaded), a data set, a training, bands.

    `plot.register(Type)` adds one for a type of your own.

    Raises `TypeError` for a type without one, `ValueError` for a run without spins in memory or without a lattice.

    Example:
        >>> run = js.simulate(field, spins, duration=2.0, step=0.1, save_every=0.5)
        >>> len(js.plot(run).axes) > 0
        True
    """
    xarray = sys.modules.get("xarray")  # without it there is no data set of it
    if xarray is not None and isinstance(result, xarray.Dataset):
        return _stored_trajectory(result)
    raise TypeError(
        f"no figure is known for {type(result).__name__}; use plot_spins, plot_map or plot_time_series, "
        "or teach plot the type with plot.register."
    )


@plot.register(Trajectory)
def _trajectory(result: Trajectory) -> "matplotlib.figure.Figure":
    if result.spins is None or result.lattice is None:
        raise ValueError(
            "the run kept no spins in memory, or no lattice; plot js.load(run.store) where it has a store, or "
            "run.saved with plot_time_series."
        )
    return _overview(result.lattice, np.asarray(result.times), result.spins)


def _stored_trajectory(result: "xarray.Dataset") -> "matplotlib.figure.Figure":
    return _overview(lattice_of(result), result.time.values, jnp.asarray(result.spins.values))


@plot.register(Learnt)
def _training(result: Learnt) -> "matplotlib.figure.Figure":
    return plot_training(result.history)


plot.register(BandPath, plot_bands)
plot.register(WannierHamiltonian, plot_bands)


@plot.register(SpinData)
@styled
def _data(result: SpinData) -> "matplotlib.figure.Figure":
    figure = new_figure(6.8, 2.7)
    left, right = figure.subplots(1, 2)
    torque = np.linalg.norm(np.asarray(tangent(result.spins, result.field)), axis=-1)
    energy, known = np.asarray(result.energy) / result.lattice.sites, np.asarray(result.has_energy)
    for name in result.source_names:
        rows = np.array([source == name for source in result.sources])
        left.hist(torque[rows].ravel(), bins=60, density=True, histtype="step", label=name)
        right.hist(energy[rows & known], bins=30, histtype="step", label=name)
    left.set(xlabel=r"torque $|\mathbf{S}\times\mathbf{B}|$  ($t$)", ylabel="density")
    right.set(xlabel="energy per site  ($t$)", ylabel="configurations")
    left.legend()
    return figure


@styled
def _overview(lattice: Lattice, times: np.ndarray, spins: Float[Array, "..."]) -> "matplotlib.figure.Figure":
    """The last frame, and the magnetization and chirality against time."""
    figure = new_figure(7.2, 2.9)
    left, right = figure.subplots(1, 2)
    curves = {"$|\\mathbf{M}|$": jnp.linalg.norm(jax.lax.map(magnetization, spins), axis=-1)}
    title = f"$t$ = {times[-1]:g}"
    if lattice.dimension == 2:
        curves["chirality"] = jax.lax.map(lambda s: jnp.mean(scalar_chirality(lattice, s)), spins)
        plot_map(lattice, scalar_chirality(lattice, spins[-1]), "scalar chirality", title=title, ax=left)
    else:
        plot_spins(lattice, spins[-1], title=title, ax=left)
    plot_time_series(times, curves, ax=right)
    return figure
