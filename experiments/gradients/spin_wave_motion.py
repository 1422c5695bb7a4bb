"""The frequencies of small oscillations, read off an undamped run that knows nothing of their theory."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages import spins_of
from jaxspin.observables import SpinWaves
from jaxspin.spins import tangent_frame


@dataclasses.dataclass(frozen=True)
class Undamped:
    """The run."""

    amplitude: float = 1e-3
    """Rms displacement of a spin at the start: the waves are linear up to its square."""
    periods: float = 6.0
    """Length of the run in periods of the slowest mode that moves, up to `longest` steps."""
    steps_a_period: int = 80
    """Time steps in a period of the fastest mode."""
    longest: int = 6000
    """Most time steps of a run."""

    def __post_init__(self):
        if not 0 < self.amplitude <= 0.02:
            raise ValueError(f"amplitude = {self.amplitude} is not small; use 1e-3.")
        if self.steps_a_period < 10:
            raise ValueError(f"{self.steps_a_period} steps do not resolve a period; use 80.")


def motion(
    settings: Undamped,
    exact: js.ExactDiagonalization,
    spins: jax.Array,
    waves: SpinWaves,
    moving: np.ndarray,
    *,
    key: jax.Array,
) -> dict[str, Any]:
    """Frequencies of an undamped run: the turning of each mode's amplitude, and the peaks of the Fourier spectrum."""
    frequencies, modes = np.asarray(waves.frequencies), np.asarray(waves.modes)
    step = 2 * np.pi / frequencies.max() / settings.steps_a_period
    wanted = settings.periods * 2 * np.pi / frequencies[moving].min() / step
    steps = int(min(settings.longest, max(wanted, 20 * settings.steps_a_period)))
    frames = tangent_frame(spins)
    drawn = np.asarray(jax.random.normal(key, (2, int(moving.sum()))))
    displaced = np.real(modes[:, moving] @ (drawn[0] + 1j * drawn[1])).reshape(frames.shape[:-1])
    x = jnp.asarray(displaced * settings.amplitude / np.sqrt(np.mean(np.sum(displaced**2, axis=-1))))
    start = js.normalize(spins + jnp.sum(x[..., None] * frames, axis=-2))
    every = max(1, settings.steps_a_period // 8)
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
