"""`plot(result)`: the figure that suits whatever one has in hand."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxspin.dynamics import Trajectory
from jaxspin.dynamics.relax import Relaxation
from jaxspin.io import BandPath, WannierHamiltonian
from jaxspin.lattice import Lattice
from jaxspin.loading import load
from jaxspin.observables import elementary_triangles, magnetization, scalar_chirality
from jaxspin.observables.distances import DistanceShells
from jaxspin.observables.dynamical import Spectrum
from jaxspin.observables.exchange_couplings import ExchangeCouplings
from jaxspin.observables.exchange_tensors import ExchangeTensors
from jaxspin.observables.spin_waves import SpinWaves
from jaxspin.plotting.bands import plot_bands
from jaxspin.plotting.curves import plot_time_series, plot_training
from jaxspin.plotting.diagrams import plot_sweep
from jaxspin.plotting.frames import Frames, stored_run
from jaxspin.plotting.lattices import plot_lattice
from jaxspin.plotting.maps import plot_map, plot_spins
from jaxspin.plotting.solid import MOST_CONES, plot_spins_3d
from jaxspin.plotting.spectra import plot_curve, plot_distances, plot_exchange, plot_levels, plot_spectrum
from jaxspin.plotting.style import new_figure, styled
from jaxspin.plotting.textures import plot_kymograph, plot_slices, plot_texture
from jaxspin.spins import tangent
from jaxspin.training import Learnt, SpinData
from jaxspin.training.committee import LearntCommittee

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# Arrows of longer lattices are specks.
_ARROWS = 24


@functools.singledispatch
def plot(result: Any, values: Any = None) -> "matplotlib.figure.Figure":
    """The figure that suits what one has in hand.

    - a run (of `simulate`, in memory or in a store): its last frame, and curves in time; of a chain the whole run;
    - the path of anything that jaxspin stores, such as "quench.zarr";
    - `plot(lattice)`: the lattice; `plot(lattice, spins)`: spins, as arrows, colours, cones or planes;
      `plot(lattice, values)`: numbers on sites, triangles or cells; `plot(lattice, relaxed)`: what `relax` found;
      `plot(lattice, spectrum)`: what `dynamical_structure_factor` gives;
    - what a sweep has found; a training, of one model or a committee, or its history; a data set;
    - `plot(energies, density)`: a curve, such as a density of states; spin waves; exchange against distance; a matrix
      `by_distance`; bands (`plot_bands` from the Fermi level).

    The functions of `jaxspin.plotting` draw each of these with choices. `plot.register(Type)` adds a figure for a type
    of your own.

    Raises `TypeError` for a type without one, for values beside what takes none, and for spins without their lattice,
    `ValueError` for a run without spins in memory or in a store, or without a lattice, and for `values` that do not
    fit.

    Example:
        >>> run = js.simulate(field, spins, duration=2.0, step=0.1, save_every=0.5)
        >>> len(js.plot(run).axes) > 0, len(js.plot(lattice, spins).axes) > 0
        (True, True)
    """
    xarray = sys.modules.get("xarray")  # without it there is no data set of it
    if xarray is not None and isinstance(result, xarray.Dataset):
        _refuse_values(result, values)
        return plot_sweep(result) if "sweep" in result.attrs else _run(Frames(result))
    raise TypeError(
        f"no figure is known for {type(result).__name__}; use plot_spins, plot_map or plot_time_series, "
        "or teach plot the type with plot.register."
    )


def _refuse_values(result: Any, values: Any) -> None:
    if values is not None:
        raise TypeError(
            f"a figure of {type(result).__name__} takes no values beside it; leave them out, or give "
            "plot(lattice, values) or plot(energies, density)."
        )


@plot.register(Trajectory)
def _trajectory(result: Trajectory, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    return _run(Frames(result))


@plot.register(str)
@plot.register(os.PathLike)
def _path(result: str | os.PathLike, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    path = Path(result)
    if not path.exists():
        raise FileNotFoundError(f"there is nothing at {path}; give the path of a run, a sweep or a data set.")
    path = stored_run(path)
    try:
        return _run(Frames(path))
    except (FileNotFoundError, ValueError):  # of another kind, or nothing: then this says so
        return plot(load(path))


@plot.register(Learnt)
def _training(result: Learnt, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    return plot_training(result.history)


@plot.register(BandPath)
@plot.register(WannierHamiltonian)
def _bands(result: BandPath | WannierHamiltonian, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    return plot_bands(result)


@plot.register(dict)
def _history(result: dict[str, Any], values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    return plot_training(result)


@plot.register(LearntCommittee)
@styled
def _committee(result: LearntCommittee, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    figure = new_figure(4.2, 2.9)
    ax = figure.subplots()
    for number, member in enumerate(result.members):
        ax.semilogy(member.history["step"], member.history["torque"], marker="o", ms=2.5, label=f"member {number}")
    ax.set(xlabel="step", ylabel="validation error of the torque")
    ax.legend()
    return figure


@plot.register(Relaxation)
def _relaxed(result: Relaxation, values: Any = None) -> "matplotlib.figure.Figure":
    raise TypeError("a relaxed state does not know its lattice; give that first, plot(lattice, relaxed).")


@plot.register(Spectrum)
def _spectrum(result: Spectrum, values: Any = None) -> "matplotlib.figure.Figure":
    raise TypeError("a spectrum does not know its lattice; give that first, plot(lattice, spectrum).")


@plot.register(DistanceShells)
def _distances(result: DistanceShells, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    return plot_distances(result)


@plot.register(ExchangeCouplings)
@plot.register(ExchangeTensors)
def _exchange(result: ExchangeCouplings | ExchangeTensors, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    return plot_exchange(result)


@plot.register(SpinWaves)
def _waves(result: SpinWaves, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
    return plot_levels(np.asarray(result.frequencies), r"frequency  ($t/\hbar$)")


@plot.register(np.ndarray)
@plot.register(jax.Array)
@plot.register(list)
@plot.register(tuple)
def _curve(result: Any, values: Any = None) -> "matplotlib.figure.Figure":
    if values is None:
        raise TypeError(
            f"an array of shape {np.shape(result)} alone says not what it is; give plot(lattice, spins) for spins or "
            "numbers on a lattice, plot(energies, density) for a curve."
        )
    return plot_curve(result, values)


@plot.register(Lattice)
def _on_lattice(result: Lattice, values: Any = None) -> "matplotlib.figure.Figure":
    if values is None:
        return plot_lattice(result)
    if isinstance(values, Spectrum):
        return plot_spectrum(result, values)
    array = np.asarray(values.spins if isinstance(values, Relaxation) else values)
    if array.shape != (*result.shape, 3):
        return plot_map(result, array)
    if result.dimension == 3:
        return (plot_spins_3d if result.sites <= MOST_CONES else plot_slices)(result, array)
    return (plot_texture if result.dimension == 2 and max(result.cells) > _ARROWS else plot_spins)(result, array)


@plot.register(SpinData)
@styled
def _data(result: SpinData, values: Any = None) -> "matplotlib.figure.Figure":
    _refuse_values(result, values)
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
def _run(frames: Frames) -> "matplotlib.figure.Figure":
    """The last frame, its chirality where triangles have one, and both means against time; a chain in time."""
    lattice, last, title = frames.lattice, frames[-1], f"$t$ = {frames.times[-1]:g}"
    chirality = _chirality(lattice)
    measure = {r"$|\mathbf{M}|$": lambda spins: jnp.linalg.norm(magnetization(spins))}
    panels = 2
    if chirality is not None:
        measure["chirality"], panels = lambda spins: jnp.mean(chirality(spins)), 3
    figure = new_figure(3.8 * panels, 2.9)
    layout: Any = figure.get_layout_engine()
    layout.set(wspace=0.06)
    curves = figure.add_subplot(1, panels, panels)
    if lattice.dimension == 3 and lattice.sites <= MOST_CONES:
        plot_spins_3d(lattice, last, title=title, ax=figure.add_subplot(1, panels, 1, projection="3d"))
    else:
        left = figure.add_subplot(1, panels, 1)
        if lattice.dimension == 1 and len(frames) > 1:
            plot_kymograph(lattice, frames.times, np.stack(list(frames)), ax=left)
        elif lattice.dimension == 2 and max(lattice.cells) <= _ARROWS:
            plot_spins(lattice, last, title=title, ax=left)
        else:
            layer = lattice.cells[-1] // 2 if lattice.dimension == 3 else 0
            plot_texture(lattice, last, layer=layer, title=title, ax=left)
    if chirality is not None:
        middle = figure.add_subplot(1, panels, 2)
        plot_map(lattice, np.asarray(chirality(jnp.asarray(last))), "scalar chirality", title=title, ax=middle)
    compiled = jax.jit(lambda spins: {name: function(spins) for name, function in measure.items()})
    rows = [compiled(jnp.asarray(spins)) for spins in frames]
    series = {name: np.array([float(row[name]) for row in rows]) for name in measure}
    plot_time_series(frames.times, series, ax=curves)
    return figure


def _chirality(lattice: Lattice) -> Callable[[jax.Array], jax.Array] | None:
    """The scalar chirality where the lattice has triangles, in another number than its sites."""
    if lattice.dimension != 2:
        return None
    try:
        triangles = elementary_triangles(lattice)
    except ValueError:  # there is no isosceles triangle
        return None
    return None if len(triangles) == lattice.sublattices else functools.partial(scalar_chirality, lattice)
