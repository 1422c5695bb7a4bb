"""How much of the torque of a driven channel has no energy: the curl of its field against the bias.

    python -m experiments.driven.torque_decomposition      # minutes on one core, writes runs/torque_decomposition
    python -m experiments.driven.torque_decomposition --help

A channel open along its first axis and periodic across, between two leads in the wide-band limit and with a weak bath,
holds a spin spiral along the current with random tilts. Measured at each bias: the share of the antisymmetric part in
the Jacobian of the tangential field (zero for any energy), the change of the torque since V = 0, and the current.
Only the driven part of the electrons has a curl; it vanishes with the bias, to rounding.
"""

import dataclasses
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.stages import Resumable, Timer, main, open_folder
from experiments.stages.channel import Leads
from jaxspin.io import provenance, save_json
from jaxspin.observables import curl_fraction
from jaxspin.spins import normalize, tangent


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """The channel, its leads and the biases. Energies in units of the hopping."""

    output: Path = Path("runs/torque_decomposition")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    length: int = 6
    """Cells along the current."""
    width: int = 4
    """Cells across, periodic."""
    turns: float = 1.0
    """Of the spiral along the channel."""
    tilt: float = 0.3
    """Standard deviation of the random tilts, in each component of a spin."""
    couplings: tuple[float, ...] = (1.0, 3.8)
    """J, one curve each."""
    leads: Leads = dataclasses.field(default_factory=lambda: Leads(mu=-2.0, temperature=0.05, lead=1.0, bath=0.05))
    """At both ends; mu is measured from -J: that of J = 0 shifted with the lower band."""
    voltages: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
    """Biases; the first must be 0."""
    tolerance: float = 1e-6
    """Of the density matrix."""
    seed: int = 0
    """Of the tilts."""

    def __post_init__(self):
        if not self.voltages or self.voltages[0] != 0 or min(np.diff(self.voltages), default=1) <= 0:
            raise ValueError(f"voltages must begin at 0 and rise, got {self.voltages}; put 0 in front and sort them.")
        if self.length < 2 or self.width < 2:
            raise ValueError("length and width must be at least 2 for spins to turn; see --help for the defaults.")


def texture(config: Config, lattice: js.Lattice) -> jax.Array:
    """A spiral about z along the channel, tilted at random."""
    angle = jnp.asarray(2 * np.pi * config.turns * np.arange(config.length) / config.length)
    spiral = jnp.stack([jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle)], axis=-1)
    whole = jnp.broadcast_to(spiral[:, None, None, :], (*lattice.shape, 3))
    tilts = jax.random.normal(jax.random.key(config.seed), whole.shape, whole.dtype)
    return normalize(whole + config.tilt * tilts)


def solver_at(config: Config, lattice: js.Lattice, coupling: float) -> js.GreensFunction:
    """The channel without bias."""
    model = js.SDModel(lattice, 1.0, coupling)
    return config.leads.around(model, mu=config.leads.mu - coupling, tolerance=config.tolerance)


def run(config: Config) -> dict[str, Any]:
    """A row for each coupling and bias."""
    folder = open_folder(config)
    timer = Timer(folder)
    rows: list[dict[str, float]] = []
    with jax.enable_x64(True), timer("curl"):
        lattice = js.square(config.length, config.width, periodic=(False, True))
        spins = texture(config, lattice)
        bar = tqdm(total=len(config.couplings) * len(config.voltages), desc="biases", unit="bias")
        for coupling in config.couplings:
            still, torque = solver_at(config, lattice, coupling), None
            for voltage in config.voltages:
                driven = eqx.tree_at(lambda s: s.voltage, still, jnp.asarray(voltage, still.voltage.dtype))
                here = tangent(spins, driven.field(spins))
                torque = here if torque is None else torque
                rows.append(
                    {
                        "coupling": coupling,
                        "voltage": voltage,
                        "curl": float(curl_fraction(driven, spins)),
                        "change of the torque": float(jnp.linalg.norm(here - torque) / jnp.linalg.norm(torque)),
                        "current": float(driven.current(spins)),
                    }
                )
                bar.update()
        bar.close()
    draw(folder / "torque_decomposition.png", config, rows)
    summary = {"rows": rows, "seconds": timer.seconds, "provenance": provenance(config, config.seed)}
    save_json(folder / "summary.json", summary)
    return summary


def draw(path: Path, config: Config, rows: list[dict[str, float]]) -> None:
    """The three quantities against the bias, a line for each coupling; zero bias is the rounding at the left."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
    for n, coupling in enumerate(config.couplings):
        part = [row for row in rows if row["coupling"] == coupling]
        voltage = np.array([row["voltage"] for row in part])
        driven = voltage > 0
        curl, change, current = (
            np.array([row[k] for row in part]) for k in ("curl", "change of the torque", "current")
        )
        look = {"color": f"C{n}", "markersize": 4}
        axes[0].loglog(voltage[driven], curl[driven], "o-", label=f"curl, $J = {coupling:g}$", **look)
        axes[0].loglog(voltage[driven], change[driven], "s:", label=f"change of torque, $J = {coupling:g}$", **look)
        axes[1].plot(voltage, current, "o-", label=f"$J = {coupling:g}$", **look)
        axes[0].text(0.98, 0.04 + 0.06 * n, f"$V = 0$, $J = {coupling:g}$: curl {curl[0]:.0e}", ha="right", fontsize=8,
                     transform=axes[0].transAxes)  # fmt: skip
    axes[0].set_xticks(config.voltages[1:], [f"{v:g}" for v in config.voltages[1:]])
    axes[0].minorticks_off()
    axes[0].set(xlabel="bias $V$ ($t$)", ylabel="relative size", title=r"$\|D - D^T\|/2\|D\|$ of the field's Jacobian")
    axes[1].set(xlabel="bias $V$ ($t$)", ylabel=r"current ($t/\hbar$)", title="current out of the left lead")
    for ax in axes:
        ax.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main(Config, run, __doc__)
