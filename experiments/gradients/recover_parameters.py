"""Couplings from motion: J and filling of an s-d model recovered from a short, noisy trajectory of its spins.

    python -m experiments.gradients.recover_parameters            # minutes on one core, writes runs/recover_parameters
    python -m experiments.gradients.recover_parameters --smoke    # a minute
    python -m experiments.gradients.recover_parameters --help     # every setting

Spins move in the field of the electrons (exact diagonalization) for a few steps and are seen with measurement noise.
Levenberg and Marquardt's method (SciPy) fits J and n to what was seen, with the derivative of every spin at every time
taken through the electrons and the dynamics. Drawn: the misfit around the truth with the paths of several starts, and
the error of the fit against the noise, beside what the derivatives foretell for independent noise (Cramer and Rao).
"""

import dataclasses
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.gradients.recover_parameters_figures import draw
from experiments.gradients.trajectory_fit import Model, fit, misfits
from experiments.stages import Dynamics, Electrons, Resumable, main, open_folder, spins_of
from jaxspin.io import provenance, save_json


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/recover_parameters")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the start of the trajectory and the noise."""
    side: int = 4
    """Side of the lattice."""
    electrons: Electrons = dataclasses.field(default_factory=lambda: Electrons("triangular", 3.0, 0.25, 0.1))
    """With the true J and n; the temperature is known."""
    motion: Dynamics = dataclasses.field(default_factory=lambda: Dynamics(damping=0.1, step=0.5))
    """Known; the spins are seen at every step."""
    steps: int = 20
    """Steps of the trajectory."""
    noise: float = 0.01
    """Standard deviation of each component of an observed spin, for the landscape and the paths."""
    noises: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1)
    """Those of the curve of errors."""
    draws: int = 8
    """Noises drawn for each point of it."""
    starts: tuple[tuple[float, float], ...] = ((1.0, 0.4), (1.5, 0.15), (2.0, 0.35), (4.5, 0.2), (5.0, 0.4), (4.0, 0.1))
    """Where fits begin: J and n."""
    ranges: tuple[float, float, float, float] = (0.7, 5.5, 0.07, 0.47)
    """Of J and n in the landscape."""
    points: int = 25
    """Points of the landscape along each."""

    def __post_init__(self):
        if any(not 0 < n < 1 for _, n in self.starts):
            raise ValueError("fillings count electrons per spin-orbital; give numbers between 0 and 1.")
        if self.steps < 1 or self.draws < 1 or not self.starts:
            raise ValueError("steps, draws and the number of starts must be at least 1; see --help for the defaults.")
        if not self.noise > 0 or any(not x > 0 for x in self.noises):
            raise ValueError("noise must be positive; 0.001 is nearly none.")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    return dataclasses.replace(config, side=2, steps=6, draws=1, noises=(0.01,), starts=((2.5, 0.3),), points=3)


def run(config: Config) -> dict[str, Any]:
    """Fits from every start, the landscape and the curve of errors; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    with jax.enable_x64(True):
        trajectory, slopes = model(config)
        truth = np.array([config.electrons.coupling, config.electrons.filling])
        exact = trajectory(truth)
        rng = np.random.default_rng(config.seed)
        seen = exact + config.noise * rng.standard_normal(exact.shape)
        fits = []
        for start in config.starts:
            fits.append(fit(trajectory, slopes, seen, np.array(start)))
            print(f"from J = {start[0]:g}, n = {start[1]:g}: {fits[-1]['found']}", flush=True)
        landscape = misfits(trajectory, seen, config.ranges, config.points)
        slope = slopes(truth)
        covariance = np.linalg.inv(slope.T @ slope)
        errors = []
        for noise in config.noises:
            found = []
            for _ in range(config.draws):
                noisy = exact + noise * rng.standard_normal(exact.shape)
                found.append(fit(trajectory, slopes, noisy, truth * np.array([1.05, 0.95]))["found"])
            relative = np.sqrt(np.mean((np.array(found) / truth - 1) ** 2, axis=0))
            errors.append(
                {
                    "noise": noise,
                    "relative error of J": relative[0],
                    "relative error of n": relative[1],
                    "foretold of J": noise * np.sqrt(covariance[0, 0]) / truth[0],
                    "foretold of n": noise * np.sqrt(covariance[1, 1]) / truth[1],
                }
            )
    for one in fits:
        one["within 1 %"] = bool(np.all(np.abs(np.array(one["found"]) / truth - 1) < 0.01))
    draw(folder / "recover_parameters.png", truth, landscape, fits, errors)
    summary = {
        "truth": truth,
        "fits": fits,
        "starts that reach 1 %": sum(one["within 1 %"] for one in fits) / len(fits),
        "errors": errors,
        "landscape": landscape,
        "provenance": provenance(config, config.seed),
    }
    save_json(folder / "summary.json", summary)
    return summary


def model(config: Config) -> tuple[Model, Model]:
    """Spins at all observed times `(m,)` as a function of (J, n), and their derivatives `(m, 2)`."""
    lattice = config.electrons.on(config.side)
    start = js.random_spins(lattice, key=jax.random.key(config.seed))

    def trajectory(x):
        electrons = js.SDModel(lattice, 1.0, x[0])
        run = js.simulate(
            js.ExactDiagonalization(electrons, filling=x[1], temperature=config.electrons.temperature),
            start,
            duration=config.steps * config.motion.step,
            step=config.motion.step,
            save_every=config.motion.step,
            damping=config.motion.damping,
            adjoint=diffrax.ForwardMode(),
            throw=False,
        )
        return spins_of(run)[1:].reshape(-1)

    value, slope = jax.jit(trajectory), jax.jit(jax.jacfwd(trajectory))
    return lambda x: np.asarray(value(jnp.asarray(x))), lambda x: np.asarray(slope(jnp.asarray(x)))


if __name__ == "__main__":
    main(Config, run, __doc__)
