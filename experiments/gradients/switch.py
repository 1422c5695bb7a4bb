"""The cheapest pulse that reverses a nanomagnet: shaped by gradients through the dynamics, against simple pulses.

    python -m experiments.gradients.switch            # minutes on one core, writes runs/switch
    python -m experiments.gradients.switch --smoke    # a minute
    python -m experiments.gradients.switch --help     # every setting

A few exchange-coupled spins with an easy axis (its strength varies from site to site) start along +z. A uniform field
h(t) of three components acts for a given time; its price is the integral of h^2. The simple pulses are rectangular ones
and Gaussians with a linear or rotating carrier, over a grid of widths, directions and frequencies; the shaped one has
a free value at every knot, improved by Adam along the gradient of the final magnetization. The least price that still
reverses is found by bisection for both. Beside them stands the least price for one spin with the mean anisotropy
(`experiments.gradients.least_price`), which is 4 a K for all the time in the world.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.gradients.least_price import least_price
from experiments.gradients.switch_figures import draw
from experiments.gradients.switch_pulses import SimplePulses
from experiments.stages import Dynamics, Resumable, main, open_folder, spins_of
from experiments.stages.checks import check_counts
from experiments.stages.pulse_search import Search, cheapest_shaped, cheapest_simple
from experiments.stages.pulses import Found, driven
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
    simple: SimplePulses = dataclasses.field(default_factory=SimplePulses)
    """The simple pulses."""

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
        simple=SimplePulses(widths=(20.0,), tilts=(2.36,), frequencies=(0.17,)),
    )


def run(config: Config) -> dict[str, Any]:
    """The least prices and the pulses that reach them; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    magnetization, final, slope = compiled(config)
    search, quasistatic = config.search, 4 * config.motion.damping * config.anisotropy
    names, shapes = config.simple.shapes(search.times)
    prices = cheapest_simple(search, final, shapes, quasistatic * np.geomspace(1, 1000, 31))
    best = int(np.argmin(prices))
    print(f"best simple pulse: {names[best]}, price {prices[best]:.4g}", flush=True)
    floor = least_price(config.anisotropy, config.motion.damping, search.duration, search.below)
    key = jax.random.key(config.seed)
    shaped, price = cheapest_shaped(search, slope, shapes[best], 0.1 * floor, float(prices[best]), key=key)
    print(f"shaped pulse: price {price:.4g}", flush=True)
    found = Found(names, shapes, prices, shaped, price)
    pulses = found.pulses(search.duration)
    order = {name: np.asarray(magnetization(pulse))[:, 2] for name, pulse in pulses.items()}
    summary = {
        **found.told(),
        "least price of one spin in this time": floor,
        "least price of one spin without limit of time": quasistatic,
        "prices of simple pulses": dict(zip(names, prices, strict=True)),
        "final S_z": {name: values[-1] for name, values in order.items()},
        "provenance": provenance(config, config.seed),
    }
    draw(folder / "switch.png", search.duration, pulses, order, summary)
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


if __name__ == "__main__":
    main(Config, run, __doc__)
