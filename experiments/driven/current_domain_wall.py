"""An easy-axis wall pushed by the current of a driven metal: the torque of the electrons, then Walker's regimes.

    python -m experiments.driven.current_domain_wall       # a minute on one core
    python -m experiments.driven.current_domain_wall --help

First the torque: a ferromagnetic chain between leads holds a wide spiral, and the part of the exact field that changes
sign with the voltage is split into S x (u.grad) S - b (u.grad) S. The velocity u is compared with what the conservation
of angular momentum asks for, half the spin current of the uniform ferromagnet, I_up - I_down. Then that u(V) pushes a
classical wall with a hard axis (`jaxspin.problems.DrivenWall`): it stands still (b = 0), and beyond Walker's threshold
moves, at the mean velocity of the theory.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxspin as js
from experiments.stages import Resumable, Timer, main, open_folder, spins_of
from experiments.stages.channel import Leads
from jaxspin.electrons import WideBandModes
from jaxspin.io import provenance, save_json
from jaxspin.observables import wall_position, wall_velocity
from jaxspin.problems import DrivenWall


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """The metal, the wall and the voltages. Energies in units of the hopping, times in hbar/t."""

    output: Path = Path("runs/current_domain_wall")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    sites: int = 80
    """Of the chain between the leads."""
    coupling: float = 3.8
    """J."""
    leads: Leads = dataclasses.field(default_factory=lambda: Leads(mu=-3.8, bath=0.002))
    """At both ends; mu lies in the middle of the majority band."""
    pitch: float = 40.0
    """Sites of a turn of the spiral."""
    voltages: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4)
    """Between the leads."""
    wall: DrivenWall = dataclasses.field(
        default_factory=lambda: DrivenWall(sites=256, coupling=1.0, easy=0.04, hard=0.01, damping=0.4)
    )
    """The classical wall; its drift and nonadiabaticity are those of the electrons."""
    periods: float = 4.0
    """Of the wall's turning; the velocity is measured after the first."""
    longest: float = 3000.0
    """No run is longer."""
    step: float = 0.25
    """Of the integrator."""

    def __post_init__(self):
        if not self.voltages or min(self.voltages) <= 0:
            raise ValueError(f"voltages must be positive, got {self.voltages}; 0.2 and more.")


def solver_at(config: Config, voltage: float, coupling: float, potential: float = 0.0) -> WideBandModes:
    """The chain between its leads."""
    lattice = js.chain(config.sites, periodic=False)
    model = js.SDModel(lattice, 1.0, coupling, potential=potential)
    return WideBandModes(config.leads.around(model, voltage))


def from_spin_current(config: Config, voltage: float) -> float:
    """u = (I_up - I_down)/2 in the middle of the uniform ferromagnet: an electron carries half a spin, a site one."""
    spins, middle = js.textures.ferromagnet(js.chain(config.sites, periodic=False)), []
    for sign in (-1, 1):
        # without coupling and at its own potential, each kind of spin carries half the current
        out = solver_at(config, voltage, 0.0, sign * config.coupling).solved(spins)[2]
        middle.append(float(out[0] - out[1]) / 2 / 2)
    return (middle[0] - middle[1]) / 2


def from_torque(config: Config, voltage: float) -> tuple[float, float]:
    """(u, b u) of the field on a spiral that is odd in the voltage, averaged over the inner half of the chain."""
    angle = 2 * np.pi * np.arange(config.sites) / config.pitch
    spiral = jnp.asarray(np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)[:, None])
    slope = jnp.asarray(np.stack([-np.sin(angle), np.cos(angle), 0 * angle], axis=-1)[:, None]) * np.sin(
        2 * np.pi / config.pitch
    )
    odd = [solver_at(config, sign * voltage, config.coupling).field(spiral) for sign in (1.0, -1.0)]
    change, inner = (odd[0] - odd[1]) / 2, slice(config.sites // 4, -config.sites // 4)
    square = jnp.sum(slope[inner] ** 2)
    turned = jnp.sum((change * jnp.cross(spiral, slope))[inner]) / square
    return float(turned), -float(jnp.sum((change * slope)[inner]) / square)


def driven(config: Config, drift: float) -> dict[str, float]:
    """The velocity of the classical wall, simulated and by theory."""
    wall = dataclasses.replace(config.wall, drift=drift)
    duration = min(config.longest, config.periods * wall.period)
    start = wall.spins(wall.sites / 4)
    run = js.simulate(
        wall.field, start, duration=duration, step=config.step, damping=wall.damping, save_every=duration / 150
    )
    where = jax.vmap(lambda s: wall_position(wall.lattice, s))(spins_of(run))
    settled = min(wall.period, duration / 2)
    return {"simulated": float(wall_velocity(run.times, where, start=settled)), "theory": float(wall.velocity)}


def run(config: Config) -> dict[str, Any]:
    """A row for each voltage."""
    folder = open_folder(config)
    timer = Timer(folder)
    rows: list[dict[str, float]] = []
    with jax.enable_x64(True), timer("voltages"):
        for voltage in config.voltages:
            u, sideways = from_torque(config, voltage)
            row = {"voltage": voltage, "u": u, "b u": sideways, "u of spin current": from_spin_current(config, voltage)}
            rows.append({**row, **driven(config, u)})
            print(rows[-1], flush=True)
        threshold = config.wall.hard * float(np.sqrt(config.wall.coupling / (2 * config.wall.easy + config.wall.hard)))
    draw(folder / "current_domain_wall.png", config, rows, threshold)
    summary = {"rows": rows, "threshold of u": threshold, "seconds": timer.seconds, "provenance": provenance(config)}
    save_json(folder / "summary.json", summary)
    return summary


def draw(path: Path, config: Config, rows: list[dict[str, float]], threshold: float) -> None:
    """u against the voltage, and the wall's velocity against u."""
    figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.5), layout="constrained")
    volts = [row["voltage"] for row in rows]
    axes[0].plot(volts, [row["u"] for row in rows], "o", label="torque on a spiral")
    axes[0].plot(volts, [row["u of spin current"] for row in rows], "-", label="half the spin current")
    axes[0].plot(volts, [row["b u"] for row in rows], "s", markersize=3, label="$b\\,u$")
    axes[0].set(xlabel="voltage $V$ ($t$)", ylabel=r"$u$ ($a t/\hbar$)")
    drifts = np.linspace(0, 1.05 * max(row["u"] for row in rows), 200)
    theory = [dataclasses.replace(config.wall, drift=float(u)).velocity for u in drifts]
    axes[1].plot(drifts, theory, "-", label="Walker's regimes")
    axes[1].plot([row["u"] for row in rows], [row["simulated"] for row in rows], "o", label="simulated")
    axes[1].axvline(threshold, color="0.7", linestyle=":", label="threshold")
    axes[1].set(xlabel=r"$u$ ($a t/\hbar$)", ylabel=r"velocity of the wall ($a t/\hbar$)")
    for ax in axes:
        ax.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main(Config, run, __doc__)
