"""Spin configurations of a small box of iron: random, thermal, spirals, and small tilts of the ferromagnet."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from jaxspin.training import perturbed_configurations, random_configurations

SMALL = "small tilts"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kinds:
    """Which configurations, and how many."""

    per_kind: int = 8
    """Configurations of each kind; half as many small tilts."""
    kelvins: tuple[float, ...] = (300.0, 900.0, 1500.0)
    """Temperatures of the thermal runs."""
    spread: float = 0.2
    """Gaussian turns of the spins of the spirals, radians."""
    tilt: float = 0.03
    """Those of the small tilts."""
    seed: int = 0
    """Of everything that is drawn."""

    def names(self) -> tuple[str, ...]:
        """Of the kinds that fields are fitted to."""
        return ("random", *(f"{kelvin:g} K" for kelvin in self.kelvins), "spirals")


def states(config: Kinds, lattice: js.Lattice, pairs: Any) -> dict[str, jax.Array]:
    """Configurations `(n, *cells, sublattices, 3)` by kind; `pairs` make the thermal ones."""
    keys = iter(jax.random.split(jax.random.key(config.seed), 8 + len(config.kelvins)))
    found = {"random": random_configurations(lattice, config.per_kind, key=next(keys))}
    for kelvin in config.kelvins:
        found[f"{kelvin:g} K"] = thermal(config, lattice, pairs, kelvin, next(keys))
    found["spirals"] = spirals(config, lattice, next(keys))
    up = js.textures.ferromagnet(lattice, dtype=jnp.float32)
    found[SMALL] = perturbed_configurations(up, [config.tilt] * max(1, config.per_kind // 2), key=next(keys))
    return found


def thermal(config: Kinds, lattice: js.Lattice, pairs: Any, kelvin: float, key: jax.Array) -> jax.Array:
    """The ends of independent runs from the ferromagnet."""
    temperature = js.units.Units("eV").temperature(kelvin)
    magnet = js.Exchange(lattice, pairs=[(i, j, r, np.float32(value)) for i, j, r, value in pairs])
    return _ends(magnet, jnp.float32(temperature), jax.random.split(key, config.per_kind))


@eqx.filter_jit
def _ends(magnet: js.Exchange, temperature: jax.Array, keys: jax.Array) -> jax.Array:
    up = js.textures.ferromagnet(magnet.lattice, dtype=jnp.float32)

    def end(key):
        return js.simulate(
            magnet, up, duration=500.0, step=0.5, damping=1.0, temperature=temperature, key=key, save_every=500.0
        ).final

    return jax.vmap(end)(keys)


def spirals(config: Kinds, lattice: js.Lattice, key: jax.Array) -> jax.Array:
    """Cones of random angle about random axes along wavevectors that close in the box, their spins turned a little."""
    waves = js.observables.wavevectors(lattice).reshape(-1, 3)[1:]
    rng = np.random.default_rng(config.seed)
    made = []
    for one in jax.random.split(key, config.per_kind):
        cone = np.arccos(rng.uniform(0, np.cos(np.radians(15))))
        axis = rng.normal(size=3)
        spiral = js.textures.spiral(lattice, waves[rng.integers(len(waves))], axis / np.linalg.norm(axis), cone=cone)
        made.append(perturbed_configurations(spiral.astype(jnp.float32), [config.spread], key=one)[0])
    return jnp.stack(made)
