"""The figures of `standard_problems`: spin waves, walls, skyrmions."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm

import jaxspin as js
from jaxspin import plotting
from jaxspin.observables import Spectrum, high_symmetry_points
from jaxspin.problems import DrivenWall, IsolatedSkyrmion, SpinWaves


def path_of(lattice: js.Lattice) -> tuple[list[tuple[int, ...]], dict[str, int]]:
    """Grid points of the zone from point to point, and where on the path the named ones lie."""
    n = lattice.cells[0]
    if lattice.dimension == 1:
        return [(k,) for k in range(n // 2 + 1)], {r"$\Gamma$": 0, "X": n // 2}
    points, half = high_symmetry_points(lattice), n // 2
    assert {"X", "M"} <= set(points)
    way = [(k, 0) for k in range(half)] + [(half, k) for k in range(half)] + [(k, k) for k in range(half, -1, -1)]
    return way, {r"$\Gamma$": 0, "X": half, "M": 2 * half, r"$\Gamma$ ": 3 * half}


def draw_waves(path: Path, problems: dict[str, SpinWaves], waves: dict[str, Spectrum]) -> None:
    """S(q, w) in logarithmic colours under the exact dispersion."""
    figure = plotting.new_figure(3.7 * len(waves), 3.2)
    axes = figure.subplots(1, len(waves), squeeze=False)[0]
    for ax, (name, found) in zip(axes, waves.items(), strict=True):
        way, names = path_of(problems[name].lattice)
        exact = problems[name].frequencies()
        frequencies = np.asarray(found.frequencies)
        shown = (frequencies >= 0) & (frequencies <= 1.15 * exact.max())
        index = tuple(np.array(way).T)
        image = np.asarray(found.intensity)[(shown, *(slice(None),) * exact.ndim)][(slice(None), *index)]
        top = image.max()
        mesh = ax.pcolormesh(
            np.arange(len(way)),
            frequencies[shown],
            image / top,
            norm=LogNorm(1e-5, 1),
            cmap="magma",
            shading="nearest",
            rasterized=True,
        )
        ax.plot(np.arange(len(way)), exact[index], "--", color="#6fd3ff", lw=1, label="exact")
        ax.set(title=name, ylabel=r"$\omega$  ($K/\hbar$)", xticks=list(names.values()), xticklabels=list(names))
        ax.set_xlabel("wavevector")
        ax.legend(loc="lower right", fontsize=7, labelcolor="w", frameon=False)
        figure.colorbar(mesh, ax=ax, label=r"$S(q, \omega)$ / maximum")
    plotting.save_figure(figure, path)


Measured = Sequence[tuple[DrivenWall, float]]


def draw_walls(path: Path, tracks: tuple[np.ndarray, np.ndarray], in_field: Measured, in_current: Measured) -> None:
    """Positions in time, velocity against field, velocity against current, beside the analytic curves.

    `tracks` are the times and the positions of the walls in a field; walls come with their measured velocities.
    """
    figure = plotting.new_figure(11.4, 3.3)
    left, middle, right = figure.subplots(1, 3)
    times, paths = tracks
    base, fields = in_field[0][0], [wall.applied / wall.walker_field for wall, _ in in_field]
    for n in sorted({len(fields) // 4, len(fields) // 2, len(fields) - 2}):
        half = times <= times[-1] / 2
        left.plot(times[half], paths[n][half] - paths[n][0], label=rf"$B/B_W = {fields[n]:g}$")
    left.set(xlabel=r"time  ($\hbar/K$)", ylabel="displacement of the wall  ($a$)")
    left.legend(fontsize=7, frameon=False)

    fine = np.linspace(0, 1.05 * max(fields), 400)
    theory = [dataclasses.replace(base, applied=b * base.walker_field).velocity for b in fine]
    middle.plot(fine, theory, color="0.4", lw=1, label="Schryer and Walker")
    middle.plot(fields, [velocity for _, velocity in in_field], "o", ms=4, label="simulated")
    middle.axvline(1, color="0.8", lw=0.8, zorder=0)
    middle.set(xlabel=r"field  $B/B_W$", ylabel=r"mean velocity  ($aK/\hbar$)", ylim=(0, None))
    middle.legend(fontsize=7, frameon=False)

    fine = np.linspace(0, 1.05 * max(wall.drift for wall, _ in in_current), 300)
    curves = itertools.groupby(in_current, key=lambda one: (one[0].nonadiabaticity, one[0].hard))
    for marker, ((b, hard), curve) in zip(itertools.cycle("os^Dv"), curves, strict=False):
        walls, velocities = zip(*curve, strict=True)
        label = rf"$\beta = {b / base.damping:g}\,\alpha$" + ("" if hard else ", no hard axis")
        (points,) = right.plot([wall.drift for wall in walls], velocities, marker, ms=4, label=label)
        theory = [dataclasses.replace(walls[0], drift=u).velocity for u in fine]
        right.plot(fine, theory, color=points.get_color(), lw=0.9)
    right.set(xlabel=r"drift velocity  $u$  ($aK/\hbar$)", ylabel=r"mean velocity of the wall  ($aK/\hbar$)")
    right.legend(fontsize=7, frameon=False)
    plotting.save_figure(figure, path)


def draw_skyrmion(
    path: Path, stretches: Sequence[int], problems: Sequence[IsolatedSkyrmion], relaxed: Sequence[Any]
) -> None:
    """The smallest one, all profiles over the continuum's, and the energies against 1/s^2."""
    figure = plotting.new_figure(11.4, 3.3)
    left, middle, right = figure.subplots(1, 3)
    small, spins = problems[0], relaxed[0].spins
    half = min(9, small.side // 2)
    part = slice(small.side // 2 - half, small.side // 2 + half)
    window = js.square(2 * half, periodic=False)
    plotting.plot_spins(window, spins[part, part], title=f"$D = {small.chirality:g} K$", ax=left)

    continuum = small.continuum()
    middle.plot(continuum.r, np.cos(continuum.theta), color="0.4", lw=1, label="continuum")
    for stretch, problem, found in zip(stretches, problems, relaxed, strict=True):
        away = problem.lattice.positions() - (problem.side - 1) / 2
        r = np.linalg.norm(away, axis=-1).ravel() / stretch
        near = r < 4 * continuum.radius
        heights = np.asarray(found.spins)[..., 2].ravel()
        middle.plot(r[near], heights[near], ".", ms=3, label=f"lattice, $D = {problem.chirality:.3g} K$")
    middle.set(xlabel="distance from the core, over the stretch  ($a$)", ylabel="$S_z$", xlim=(0, 4 * continuum.radius))
    middle.legend(fontsize=7, frameon=False)

    inverse = 1 / np.array(stretches, float) ** 2
    energies = [float(found.energy) - problem.uniform_energy for problem, found in zip(problems, relaxed, strict=True)]
    right.plot(inverse, energies, "o", ms=4, label="lattice, relaxed")
    if len(energies) > 1:
        slope = (energies[-2] - energies[-1]) / (inverse[-2] - inverse[-1])
        ends = np.array([0, inverse[-2]])
        right.plot(ends, energies[-1] + slope * (ends - inverse[-1]), ":", color="0.4", label="through the widest two")
    right.plot(0, continuum.energy, "*", ms=9, color="0.4", label="continuum")
    right.set(xlabel=r"$1/s^2$", ylabel="energy of the skyrmion  ($K$)")
    right.legend(fontsize=7, frameon=False)
    plotting.save_figure(figure, path)
