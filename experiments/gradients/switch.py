"""The cheapest pulse that reverses a nanomagnet: shaped by gradients through the dynamics, against simple pulses.

    python -m experiments.gradients.switch            # minutes on one core, writes runs/switch
    python -m experiments.gradients.switch --smoke    # a minute
    python -m experiments.gradients.switch --help     # every setting

A few exchange-coupled spins with an easy axis (its strength varies from site to site) start along +z. A uniform field
h(t) of three components acts for a given time; its price is the integral of h^2. The simple pulses are rectangular ones
and Gaussians with a linear or rotating carrier, over a grid of widths, directions and frequencies; the shaped one has
a free value at every knot, improved by Adam along the gradient of the final magnetization. The least price that still
reverses is found by bisection for both. Beside them stands the least price for one spin with the mean anisotropy, from
its equation of motion: a field that always points across the spin turns it at |h|/sqrt(1 + a^2) against the damping
a K sin(2 theta)/(1 + a^2), so that the price is least along a path with theta'^2 = (a K sin(2 theta)/(1 + a^2))^2 + c,
and 4 a K for all the time in the world.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

import jaxspin as js
from experiments.stages import Dynamics, Resumable, main, open_folder, spins_of
from experiments.stages.checks import check_counts
from experiments.stages.pulses import Search, cheapest_shaped, cheapest_simple, driven, gaussian, plot_pulse, scaled
from jaxspin import plotting
from jaxspin.io import provenance, save_json


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the exchange J, times in hbar/J."""

    output: Path = Path("runs/switch")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the anisotropies and the first shape."""
    side: int = 3
    """Side of the square magnet with open edges."""
    anisotropy: float = 0.1
    """Mean strength K of the easy axis, E = -K S_z^2."""
    scatter: float = 0.3
    """Relative spread of K from site to site (uniform, to both sides)."""
    motion: Dynamics = dataclasses.field(default_factory=lambda: Dynamics(damping=0.1, step=0.25))
    """Of the spins."""
    search: Search = dataclasses.field(default_factory=Search)
    """What switches is the mean S_z at the end of the pulse: past the barrier the damping does the rest."""
    widths: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 80.0)
    """Of the simple pulses: lengths of rectangular ones, four standard deviations of Gaussians."""
    tilts: tuple[float, ...] = (1.571, 1.9, 2.36, 2.8, 3.14)
    """Angles to +z of the rectangular pulses."""
    frequencies: tuple[float, ...] = (0.05, 0.08, 0.11, 0.14, 0.17, 0.2)
    """Of the carriers."""

    def __post_init__(self):
        check_counts(self, "side")
        if not (self.anisotropy > 0 and self.motion.damping > 0 and 0 <= self.scatter < 1):
            raise ValueError("an easy axis, damping and a scatter below 1 are needed; use 0.1, 0.1 and 0.3.")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    return dataclasses.replace(
        config,
        side=1,
        motion=dataclasses.replace(config.motion, step=1.0),
        search=dataclasses.replace(config.search, knots=11, duration=40.0, iterations=5, bisections=2),
        widths=(20.0,),
        tilts=(2.36,),
        frequencies=(0.17,),
    )


def run(config: Config) -> dict[str, Any]:
    """The least prices and the pulses that reach them; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    magnetization, final, slope = compiled(config)
    names, shapes = simple_shapes(config)
    search, quasistatic = config.search, 4 * config.motion.damping * config.anisotropy
    prices = cheapest_simple(search, final, shapes, quasistatic * np.geomspace(1, 1000, 31))
    best = int(np.argmin(prices))
    print(f"best simple pulse: {names[best]}, price {prices[best]:.4g}", flush=True)
    floor, key = least_price(config), jax.random.key(config.seed)
    shaped, price = cheapest_shaped(search, slope, shapes[best], 0.1 * floor, float(prices[best]), key=key)
    print(f"shaped pulse: price {price:.4g}", flush=True)
    pulses = {
        "shaped": scaled(shaped, price, config.search.duration),
        "best simple": scaled(shapes[best], prices[best], config.search.duration),
        "best simple, at the price of the shaped one": scaled(shapes[best], price, config.search.duration),
    }
    order = {name: np.asarray(magnetization(pulse))[:, 2] for name, pulse in pulses.items()}
    summary = {
        "price of the shaped pulse": price,
        "price of the best simple pulse": prices[best],
        "shaped over simple": price / prices[best],
        "best simple pulse": names[best],
        "least price of one spin in this time": floor,
        "least price of one spin without limit of time": quasistatic,
        "prices of simple pulses": dict(zip(names, prices, strict=True)),
        "final S_z": {name: values[-1] for name, values in order.items()},
        "provenance": provenance(config, config.seed),
    }
    draw(folder / "switch.png", config, pulses, order, summary)
    save_json(folder / "summary.json", summary)
    return summary


def compiled(config: Config):
    """Mean spin of a pulse `(knots, 3)` against time (as long again after its end), that at its end for many pulses,
    and the gradient of its z component."""
    lattice = js.square(config.side, periodic=False)
    spread = jax.random.uniform(jax.random.key(config.seed), lattice.shape, minval=-1.0, maxval=1.0)
    spread = spread - jnp.mean(spread)
    magnet = js.Exchange(lattice, 1.0) + js.Anisotropy(config.anisotropy * (1 + config.scatter * spread))
    start = js.textures.ferromagnet(lattice)

    def simulated(pulse: jax.Array, duration: float, frames: int) -> js.Trajectory:
        return js.simulate(
            driven(magnet, pulse, config.search.duration),
            start,
            duration=duration,
            step=config.motion.step,
            damping=config.motion.damping,
            save_every=duration / frames,
            throw=False,
        )

    def end(pulse):
        return jnp.mean(simulated(pulse, config.search.duration, 1).final[..., 2])

    def history(pulse):
        spins = spins_of(simulated(pulse, 2 * config.search.duration, 200))
        return jnp.mean(spins, axis=(1, 2, 3))

    return jax.jit(history), jax.jit(jax.vmap(end)), jax.jit(jax.value_and_grad(end))


def simple_shapes(config: Config) -> tuple[list[str], jax.Array]:
    """Rectangular pulses along tilted directions, and Gaussians with a carrier in the plane."""
    t = config.search.times
    found: dict[str, np.ndarray] = {}
    for width in config.widths:
        on = (t <= width).astype(float)
        for tilt in config.tilts:
            direction = np.array([np.sin(tilt), 0, np.cos(tilt)])
            found[f"rectangular, {width:g} long, {np.degrees(tilt):.0f} degrees"] = on[:, None] * direction
        envelope = gaussian(t, width)
        for frequency in config.frequencies:
            turn = frequency * (t - t[-1] / 2)
            for name, y in (("linear", 0.0), ("clockwise", -1.0), ("counter-clockwise", 1.0)):
                carrier = np.stack([np.cos(turn), y * np.sin(turn), np.zeros_like(t)], axis=-1)
                found[f"Gaussian, {width:g} wide, {name}, frequency {frequency:g}"] = envelope[:, None] * carrier
    return list(found), jnp.asarray(np.stack(list(found.values())), jnp.result_type(float))


def least_price(config: Config) -> float:
    """Of one spin with the mean anisotropy, from theta = 0 to S_z = `search.below` in the time of the pulse."""
    one = 1 + config.motion.damping**2
    end = float(np.arccos(config.search.below))

    def drift(theta):
        return config.motion.damping * config.anisotropy * np.sin(2 * theta) / one

    def spent(c):
        return quad(lambda x: 1 / np.sqrt(drift(x) ** 2 + c), 0, end, limit=200)[0]

    root: Any = brentq(lambda x: spent(np.exp(x)) - config.search.duration, np.log(1e-24), np.log(100.0))
    c = float(np.exp(root))

    def rate(theta):
        speed = np.sqrt(drift(theta) ** 2 + c)
        return (speed + drift(theta)) ** 2 / speed

    return float(one * quad(rate, 0, end, limit=200)[0])


def draw(
    path: Path, config: Config, pulses: dict[str, jax.Array], order: dict[str, np.ndarray], summary: dict[str, Any]
) -> None:
    """The pulses, the magnetization, and the prices."""
    figure = plotting.new_figure(12.6, 3.2)
    first, second, third, fourth = figure.subplots(1, 4)
    for ax, name in ((first, "shaped"), (second, "best simple")):
        plot_pulse(ax, pulses[name], config.search.duration)
        ax.set(xlabel=r"time  ($\hbar/J$)", ylabel="field  (J)", title=name)
    first.legend()
    later = np.linspace(0, 2 * config.search.duration, len(order["shaped"]))
    for name, values in order.items():
        third.plot(later, values, label=name)
    third.axvline(config.search.duration, color="0.7", linestyle=":", linewidth=1)
    third.set(xlabel=r"time  ($\hbar/J$)", ylabel=r"mean $S_z$", ylim=(-1.05, 1.05))
    third.legend(fontsize=6, loc="lower left")
    bars = {
        "best simple": summary["price of the best simple pulse"],
        "shaped": summary["price of the shaped pulse"],
        "one spin": summary["least price of one spin in this time"],
        r"$4\alpha K$": summary["least price of one spin without limit of time"],
    }
    fourth.barh(list(bars), list(bars.values()), color=["C0", "C1", "C2", "C5"])
    fourth.set(xlabel=r"least price $\int h^2\,dt$  ($\hbar J$)")
    plotting.save_figure(figure, path)


if __name__ == "__main__":
    main(Config, run, __doc__)
