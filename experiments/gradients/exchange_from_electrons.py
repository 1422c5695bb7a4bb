"""Exchange and spin waves from the electrons: a Hessian of the exact energy, and the motion it foretells.

    python -m experiments.gradients.exchange_from_electrons          # minutes on one core
    python -m experiments.gradients.exchange_from_electrons --smoke  # a smaller lattice
    python -m experiments.gradients.exchange_from_electrons --help   # every setting

Second derivatives of the free energy of the s-d model with respect to small displacements of an ordered state give the
exchange J(r) that these displacements feel, and the linear spin waves of the texture: for the ferromagnet w(q) =
J(0) - J(q), for noncollinear orders the Bogoliubov frequencies. The dynamics knows nothing of it: an undamped run from
a slightly displaced state is projected on each mode and on plain Fourier frequencies, and the frequencies found there
are set beside the foretold ones. Goldstone modes are not excited: they turn the texture as a whole, and with it the
tangents that displacements are measured along.
"""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages import Electrons, Resumable, Texture, main, open_folder, spins_of, textures_on
from jaxspin import plotting
from jaxspin.io import provenance, save_json
from jaxspin.lattice import Lattice
from jaxspin.observables import SpinWaves, effective_exchange, spin_waves, tangent_hessian
from jaxspin.spins import tangent_frame


class Case(eqx.Module):
    """An order and the electrons that make it."""

    texture: Texture = eqx.field(static=True)
    coupling: float = eqx.field(static=True)
    filling: float = eqx.field(static=True)


CASES = {
    "ferromagnet, J = 4, n = 0.1": Case("ferromagnet", 4.0, 0.1),
    "120 degrees, J = 4, n = 0.5": Case("one_hundred_twenty", 4.0, 0.5),
    "tetrahedral, J = 3, n = 0.25": Case("tetrahedral", 3.0, 0.25),
}


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/exchange_from_electrons")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the displacements."""
    cases: tuple[str, ...] = tuple(CASES)
    """Which orders, by name."""
    side: int = 6
    """Side of the triangular lattice: a multiple of 6 holds every order."""
    temperature: float = 0.05
    """Of the electrons."""
    amplitude: float = 1e-3
    """Rms displacement of a spin at the start: the waves are linear up to its square."""
    periods: float = 6.0
    """Length of the run in periods of the slowest mode that moves, up to `longest` steps."""
    steps_a_period: int = 80
    """Time steps in a period of the fastest mode."""
    longest: int = 6000
    """Most time steps of a run."""

    def __post_init__(self):
        unknown = sorted(set(self.cases) - set(CASES))
        if unknown or not self.cases:
            raise ValueError(f"there is no case {unknown[:1]}; choose among {', '.join(CASES)}.")
        if not 0 < self.amplitude <= 0.02:
            raise ValueError(f"amplitude = {self.amplitude} is not small; use 1e-3.")
        if self.steps_a_period < 10:
            raise ValueError(f"{self.steps_a_period} steps do not resolve a period; use 80.")


def smoke_size(config: Config) -> Config:
    """Four sites."""
    return dataclasses.replace(config, side=3, cases=("ferromagnet, J = 4, n = 0.1",), steps_a_period=40, longest=800)


def run(config: Config) -> dict[str, Any]:
    """Exchange, spin waves and motion of every case; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    found: dict[str, Any] = {}
    with jax.enable_x64(True):
        for name in config.cases:
            print(f"--- {name}", flush=True)
            found[name] = study(config, CASES[name])
            shown = ("Goldstone modes", "stable", "minimum", "largest deviation of a frequency", "resolution")
            print({key: found[name][key] for key in shown}, flush=True)
        draw(folder / "exchange_from_electrons.png", found)
    summary = {"cases": found, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    return summary


def study(config: Config, case: Case) -> dict[str, Any]:
    """One order: J by distance, its spin waves, and their frequencies in the motion."""
    electrons = Electrons("triangular", case.coupling, case.filling, config.temperature)
    exact = electrons.exact(config.side)
    lattice = exact.lattice
    spins = textures_on(lattice, (case.texture,))[case.texture]
    waves = spin_waves(exact, spins)
    hessian = tangent_hessian(exact, spins)
    exchange = effective_exchange(lattice, hessian, spins)
    largest = float(jnp.max(waves.frequencies))
    moving = np.asarray(waves.frequencies) > 1e-4 * largest
    row: dict[str, Any] = {
        "exchange by distance": by_distance(lattice, exchange),
        "frequencies": waves.frequencies,
        "Goldstone modes": int(np.sum(~moving)),
        "largest frequency of a Goldstone mode": float(np.max(np.asarray(waves.frequencies)[~moving], initial=0.0)),
        "stable": waves.stable,
        "minimum": waves.minimum,
        "lowest curvature": float(waves.curvatures[0]),
    }
    if case.texture == "ferromagnet":
        # of a ferromagnet w(q) = J(0) - J(q): the spectrum without a Hessian's eigenvectors
        total = np.asarray(jnp.sum(exchange, axis=1))
        plain = np.linalg.eigvalsh(np.diag(total) - np.asarray(exchange))
        row["deviation from J(0) - J(q)"] = float(np.abs(np.sort(plain) - np.asarray(waves.frequencies)).max())
    if not waves.stable:
        return {**row, "largest deviation of a frequency": None, "resolution": None}
    return {**row, **motion(config, exact, spins, waves, moving)}


def motion(
    config: Config, exact: js.ExactDiagonalization, spins: jax.Array, waves: SpinWaves, moving: np.ndarray
) -> dict[str, Any]:
    """Frequencies of an undamped run: the turning of each mode's amplitude, and the peaks of the Fourier spectrum."""
    frequencies, modes = np.asarray(waves.frequencies), np.asarray(waves.modes)
    step = 2 * np.pi / frequencies.max() / config.steps_a_period
    wanted = config.periods * 2 * np.pi / frequencies[moving].min() / step
    steps = int(min(config.longest, max(wanted, 20 * config.steps_a_period)))
    frames = tangent_frame(spins)
    drawn = np.asarray(jax.random.normal(jax.random.key(config.seed), (2, int(moving.sum()))))
    displaced = np.real(modes[:, moving] @ (drawn[0] + 1j * drawn[1])).reshape(frames.shape[:-1])
    x = jnp.asarray(displaced * config.amplitude / np.sqrt(np.mean(np.sum(displaced**2, axis=-1))))
    start = js.normalize(spins + jnp.sum(x[..., None] * frames, axis=-2))
    every = max(1, config.steps_a_period // 8)
    found = js.simulate(exact, start, duration=steps * step, step=step, damping=0.0, save_every=every * step)
    tangents = jnp.einsum("n...x,...ax->n...a", spins_of(found), frames)
    times, moved = np.asarray(found.times), np.asarray(tangents).reshape(len(found), -1)
    # without the last frame, which may come early
    times, moved = times[:-1], moved[:-1]
    # the symplectic product keeps the modes apart: modes of other frequencies drop out
    turn = np.kron(np.eye(len(frequencies)), np.array([[0.0, 1.0], [-1.0, 0.0]]))
    norms = np.einsum("km,kl,lm->m", np.conj(modes), turn, modes)
    measured = np.full(len(frequencies), np.nan)
    for m in np.flatnonzero(moving):
        amplitude = moved @ (turn.T @ np.conj(modes[:, m])) / norms[m]
        measured[m] = -np.polyfit(times, np.unwrap(np.angle(amplitude)), 1)[0]
    spectrum = np.sum(np.abs(np.fft.rfft(moved * np.hanning(len(moved))[:, None], axis=0)) ** 2, axis=1)
    omega = 2 * np.pi * np.fft.rfftfreq(len(times), times[1] - times[0])
    resolution = 2 * np.pi / (times[-1] - times[0])
    deviation = np.abs(measured - frequencies)[moving]
    drift = np.abs(np.asarray([float(exact.energy(s)) for s in (start, found.final)]))
    return {
        "step": step,
        "steps": steps,
        "measured": measured,
        "resolution": resolution,
        "largest deviation of a frequency": float(deviation.max()),
        "largest relative deviation": float((deviation / frequencies[moving]).max()),
        "share of the spectrum within a resolution of a mode": near(omega, spectrum, frequencies, 2 * resolution),
        "change of the energy": float(drift[1] - drift[0]),
        "spectrum": {"frequency": omega, "power": spectrum / spectrum.max()},
    }


def near(omega: np.ndarray, power: np.ndarray, frequencies: np.ndarray, width: float) -> float:
    """The share of `power` at frequencies no further than `width` from one of `frequencies`."""
    apart = np.abs(omega[:, None] - frequencies[None]).min(axis=1)
    return float(power[apart <= width].sum() / power.sum())


def by_distance(lattice: Lattice, exchange: jax.Array) -> list[dict[str, float]]:
    """Mean, least and greatest J_ij of the pairs at each distance (shortest way around the lattice)."""
    positions = lattice.positions().reshape(-1, lattice.dimension)
    vectors, cells = np.array(lattice.vectors), np.array(lattice.cells)
    apart = positions[:, None] - positions[None]
    wraps = np.array(np.meshgrid(*[(-1, 0, 1)] * lattice.dimension)).reshape(lattice.dimension, -1).T
    images = apart[:, :, None] + (wraps * cells) @ vectors
    length = np.linalg.norm(images, axis=-1).min(axis=-1).round(6)
    j = np.asarray(exchange)
    return [
        {
            "distance": float(d),
            "J": float(j[length == d].mean()),
            "least": float(j[length == d].min()),
            "greatest": float(j[length == d].max()),
        }
        for d in np.unique(length)
        if d > 0
    ]


def draw(path: Path, found: dict[str, Any]) -> None:
    """J against distance, and for each case the spectrum of the motion with the foretold frequencies."""
    figure = plotting.new_figure(3.9 * (1 + len(found)), 3.2)
    first, *others = np.atleast_1d(figure.subplots(1, 1 + len(found)))
    for name, row in found.items():
        shells = row["exchange by distance"]
        first.plot([s["distance"] for s in shells], [s["J"] for s in shells], "o-", markersize=3, label=name)
    first.axhline(0, color="0.7", linewidth=0.7)
    first.set(xlabel="distance  (a)", ylabel="effective exchange J(r)  (t)")
    first.legend(fontsize=7)
    for ax, (name, row) in zip(others, found.items(), strict=True):
        for frequency in np.asarray(row["frequencies"]):
            ax.axvline(frequency, color="C1", linewidth=0.6, alpha=0.7)
        if "spectrum" in row:
            ax.semilogy(row["spectrum"]["frequency"], row["spectrum"]["power"], linewidth=0.8)
            ax.set(ylim=(1e-9, 2), xlim=(0, 1.15 * float(np.max(row["frequencies"]))))
        ax.set(xlabel="frequency  (t)", ylabel="power of the motion", title=name)
    plotting.save_figure(figure, path)


if __name__ == "__main__":
    main(Config, run, __doc__)
