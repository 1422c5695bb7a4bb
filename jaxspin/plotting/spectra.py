"""Curves of energies, frequencies and distances: S(q, w) `(n, *cells)`, levels `(n,)`, a density of states `(n,)`."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from jaxspin.io.store import Numbers
from jaxspin.lattice import Lattice
from jaxspin.observables import high_symmetry_points
from jaxspin.observables.distances import DistanceShells
from jaxspin.observables.dynamical import Spectrum
from jaxspin.observables.exchange_couplings import ExchangeCouplings
from jaxspin.observables.exchange_tensors import ExchangeTensors
from jaxspin.observables.nearest_images import images
from jaxspin.plotting.style import axes_or_new, figure_of, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# Below the highest intensity, in powers of ten.
_DECADES = 4
# So many of the lowest frequencies do not count for the scale.
_STATIC = 3


@styled
def plot_density_of_states(
    energies: Numbers,
    density: Numbers,
    *,
    mu: float | None = None,
    title: str = "",
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.figure.Figure":
    """rho(e) `(n,)` per site against `energies` `(n,)` in units of the hopping; filled below the level `mu`.

    `density` is what `jaxspin.observables.density_of_states` gives, or the curves `(sites, n)` of
    `local_density_of_states`. Raises `ValueError` on the shapes.

    Example:
        >>> solver = js.ExactDiagonalization(js.SDModel(lattice, coupling=2.0), filling=0.25, temperature=0.1)
        >>> energies = jnp.linspace(-8.0, 8.0, 161)
        >>> density = js.observables.density_of_states(solver, spins, energies, resolution=0.3)
        >>> js.plotting.plot_density_of_states(energies, density, mu=-3.0).axes[0].get_xlabel()
        'energy  ($t$)'
    """
    x, rows = np.asarray(energies), np.atleast_2d(np.asarray(density))
    figure = plot_curve(x, rows[0], ax=ax)
    ax = figure.axes[-1] if ax is None else ax
    for row in rows[1:]:
        plot_curve(x, row, ax=ax)
    if mu is not None:
        ax.fill_between(x, rows[0], where=list(x <= mu), alpha=0.25, lw=0)
        ax.axvline(mu, color="0.3", lw=0.8, ls="--")
        ax.text(mu, 1.01, r"$\mu$", transform=ax.get_xaxis_transform(), ha="center", va="bottom")
    ax.set(xlabel="energy  ($t$)", ylabel=r"density of states  ($1/t$)", title=title)
    ax.set_ylim(bottom=min(0.0, float(rows.min())))
    return figure


@styled
def plot_curve(x: Numbers, y: Numbers, *, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.figure.Figure":
    """One curve; `ValueError` for rows of different lengths."""
    across, up = np.asarray(x), np.asarray(y)
    if across.ndim != 1 or across.shape != up.shape:
        raise ValueError(f"x of shape {across.shape} and y of shape {up.shape} are no curve; give two rows (n,).")
    ax = axes_or_new(ax, 4.2, 2.8)
    ax.plot(across, up)
    ax.margins(x=0)
    return figure_of(ax)


@styled
def plot_levels(levels: np.ndarray, ylabel: str) -> "matplotlib.figure.Figure":
    """Levels in ascending order."""
    ax = axes_or_new(None, 4.2, 2.8)
    ax.plot(np.arange(1, len(levels) + 1), np.sort(levels), "o", ms=3)
    ax.set(xlabel="mode", ylabel=ylabel)
    return figure_of(ax)


@styled
def plot_distances(found: DistanceShells) -> "matplotlib.figure.Figure":
    """The mean at every distance, and between which values it lies."""
    ax = axes_or_new(None, 4.2, 2.8)
    ax.axhline(0, color="0.7", lw=0.7)
    ax.fill_between(found.distance, found.least, found.greatest, alpha=0.25, lw=0)
    ax.plot(found.distance, found.mean, "o-", ms=3)
    ax.set(xlabel="distance  ($a$)", ylabel="mean, least and greatest")
    return figure_of(ax)


@styled
def plot_exchange(found: ExchangeCouplings | ExchangeTensors) -> "matplotlib.figure.Figure":
    """J of every pair, counted twice, against distance; of tensors the length of D, too."""
    ax = axes_or_new(None, 4.2, 2.8)
    ax.axhline(0, color="0.7", lw=0.7)
    tensors = isinstance(found, ExchangeTensors)
    curves = {"$J$": np.asarray(found.isotropic().couplings if tensors else found.couplings)}
    if tensors:
        curves["$|D|$"] = np.linalg.norm(np.asarray(found.dzyaloshinskii_moriya()), axis=-1)
    pairs, n = images(found.lattice), found.lattice.sublattices
    distance = np.linalg.norm(pairs.vector, axis=-1)
    away = distance > 0
    for label, values in curves.items():
        at = values.reshape(-1, n, n)[pairs.cell, pairs.start, pairs.end]
        # what symmetry makes equal is drawn once
        points = np.unique(np.stack([distance, at], -1)[away].round(9), axis=0)
        ax.plot(*points.T, "o", ms=3, label=label)
    ax.set(xlabel="distance  (unit of the lattice's vectors)", ylabel="exchange  (unit of the energies)")
    if tensors:
        ax.legend()
    return figure_of(ax)


@styled
def plot_spectrum(
    lattice: Lattice, spectrum: Spectrum, *, title: str = "", ax: "matplotlib.axes.Axes | None" = None
) -> "matplotlib.figure.Figure":
    """S(q, w), logarithmic, for w >= 0: of a chain over its whole zone, else along the lines between named points.

    `spectrum` is what `dynamical_structure_factor` gives, on `lattice`, whose grid of wavevectors has one point nearest
    to each place on the way. The way goes through the points that `high_symmetry_points` names, and back to Gamma; of
    a lattice without such names along the first reciprocal vector. The colours show four decades
    below the highest intensity beyond the three lowest frequencies: a static order is brighter than the scale.

    Raises `ValueError` for a spectrum of another lattice.

    Example:
        >>> run = js.simulate(field, spins, duration=4.0, step=0.1, save_every=0.5)
        >>> figure = js.plotting.plot_spectrum(lattice, run.dynamical_structure_factor())
        >>> figure.axes[0].get_ylabel()
        'frequency  ($t/\\\\hbar$)'
    """
    from matplotlib.colors import LogNorm

    intensity, frequencies = np.asarray(spectrum.intensity, float), np.asarray(spectrum.frequencies, float)
    if intensity.shape[1:] != lattice.cells:
        raise ValueError(
            f"the spectrum has {intensity.shape[1:]} wavevectors, the lattice {lattice.cells}; give the lattice of the "
            "run that it was made of."
        )
    rising = frequencies >= -1e-9 * np.abs(frequencies).max()
    cells, along, ticks = _way(lattice)
    table = intensity[(slice(None), *cells.T)][rising]
    # the static part of an order is orders of magnitude above its waves, and a window spreads it over two frequencies
    top = float((table[_STATIC:] if len(table) > 2 * _STATIC else table).max()) or 1.0
    ax = axes_or_new(ax, 4.8, 3.2)
    shown = ax.pcolormesh(
        along,
        frequencies[rising],
        np.maximum(table, top * 10.0**-_DECADES),
        cmap="magma",
        norm=LogNorm(top * 10.0**-_DECADES, top),
        shading="nearest",
        rasterized=True,
    )
    ax.figure.colorbar(shown, ax=ax, label=r"$S(\mathbf{q}, \omega)$")
    ax.set(ylabel=r"frequency  ($t/\hbar$)", title=title)
    if ticks:
        ax.set_xticks([place for place, _ in ticks], [name for _, name in ticks])
        for place, _ in ticks[1:-1]:
            ax.axvline(place, color="w", lw=0.6, ls=":")
    else:
        ax.set(xlabel=r"$q_1$  ($2\pi/a$)")
    return figure_of(ax)


def _way(lattice: Lattice) -> tuple[np.ndarray, np.ndarray, list[tuple[float, str]]]:
    """Cells of the grid `(n, dimension)` along a way, how far each is, and where on it the named points are."""
    sizes = np.array(lattice.cells)
    try:
        names = high_symmetry_points(lattice)
    except ValueError:  # other lattice vectors
        names = {}
    plain = {name: np.asarray(q) for name, q in names.items() if "'" not in name and name not in ("Gamma", "Y")}
    if len(plain) < 2:
        n = np.arange(-(sizes[0] // 2), (sizes[0] - 1) // 2 + 1)
        cells = np.zeros((len(n), lattice.dimension), int)
        cells[:, 0] = np.mod(n, sizes[0])
        return cells, n / sizes[0], []
    center = ("$\\Gamma$", np.zeros(lattice.dimension))
    corners = [center, *((f"${name}$", q) for name, q in plain.items()), center]
    back = np.linalg.inv(lattice.reciprocal())
    cells, along, ticks, length = [], [], [(0.0, corners[0][0])], 0.0
    for (_, start), (name, end) in itertools.pairwise(corners):
        step = float(np.linalg.norm(end - start))
        count = max(2, round(float(np.abs((end - start) @ back * sizes).max())) + 1)
        shares = np.linspace(0, 1, count)[(1 if cells else 0) :]
        for share in shares:
            n = np.rint((start + share * (end - start)) @ back * sizes).astype(int)
            cells.append(np.mod(n, sizes))
            along.append(length + share * step)
        length += step
        ticks.append((length, name))
    return np.array(cells), np.array(along), ticks
