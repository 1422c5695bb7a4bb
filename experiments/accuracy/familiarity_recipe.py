"""The configurations a shipped force field learnt from, made anew by the recipe in its metadata, and others."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import jaxspin as js
from experiments.accuracy.familiarity_measures import States
from experiments.stages import Electrons, Motion, Sampling, textures_on
from experiments.stages.motion import frames_of
from jaxspin.forcefield import pretrained_metadata
from jaxspin.training import distinct, perturbed_configurations, random_configurations


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a force field came to be, as its metadata tell."""

    electrons: Electrons
    sampling: Sampling
    motion: Motion
    model: js.BehlerParrinello

    @staticmethod
    def of(name: str, quenches: int | None) -> "Recipe":
        told = pretrained_metadata(name)["config"]
        plain: dict[str, Any] = {key: tuple(x) if isinstance(x, list) else x for key, x in told["sampling"].items()}
        sampling = Sampling(**plain)
        sampling = sampling if quenches is None else dataclasses.replace(sampling, quenches=quenches)
        electrons = Electrons(**told["electrons"])
        return Recipe(electrons, sampling, Motion(**told["motion"]), js.pretrained(name, electrons.on(sampling.side)))

    def quench(self, number: int, key: jax.Array) -> np.ndarray:
        start_key, noise = jax.random.split(jax.random.fold_in(key, number))
        start = js.random_spins(self.model.lattice, key=start_key)
        length = {"duration": self.sampling.quench_duration, "frames": self.sampling.quench_frames}
        return np.asarray(frames_of(self.model, start, self.motion, spacing=self.sampling.spacing, **length, key=noise))

    def bath(self, temperature: float, frames: int, key: jax.Array) -> np.ndarray:
        (order,) = textures_on(self.model.lattice, self.sampling.hot_textures[:1]).values()
        length = {"duration": self.sampling.hot_duration, "frames": frames}
        return np.asarray(frames_of(self.model, order, self.motion.at(temperature), **length, key=key))

    def orders(self, amplitudes: Any, key: jax.Array) -> States:
        found = textures_on(self.model.lattice, self.sampling.textures)
        keys = jax.random.split(key, len(found))
        return {
            name: np.asarray(perturbed_configurations(texture, amplitudes, key=k))
            for (name, texture), k in zip(found.items(), keys, strict=True)
        }

    def known(self, key: jax.Array) -> np.ndarray:
        """What the force field learnt from, made anew."""
        one, two, three, four = jax.random.split(key, 4)
        sampling, bar = self.sampling, tqdm(total=self.sampling.quenches, desc="known", unit="quench")

        def kept(frames: np.ndarray) -> np.ndarray:
            return frames[distinct(jnp.asarray(frames), overlap=sampling.overlap)]

        parts = []
        for number in range(sampling.quenches):
            parts.append(kept(self.quench(number, one)))
            bar.update()
        for number, temperature in enumerate(sampling.hot_temperatures):
            parts.append(kept(self.bath(temperature, sampling.hot_frames, jax.random.fold_in(two, number))))
        amplitudes = jnp.linspace(*sampling.amplitudes, -(-sampling.ordered // len(sampling.textures)))
        parts += self.orders(amplitudes, three).values()
        parts.append(np.asarray(random_configurations(self.model.lattice, sampling.random, key=four)))
        return np.concatenate(parts)

    def tried(self, displacement: float, temperatures: Sequence[float], key: jax.Array) -> tuple[States, States]:
        """Configurations of the kinds learnt from, and others: hotter baths, and textures displaced a little."""
        one, two, three, four, five = jax.random.split(key, 5)
        lattice, amplitude = self.model.lattice, displacement
        some = np.linspace(0, self.sampling.quench_frames - 1, 6).astype(int)
        near = {f"quench {n}": self.quench(n, one)[some] for n in range(2)}
        near["random"] = np.asarray(random_configurations(lattice, 4, key=two))
        near |= {f"order {name}": found for name, found in self.orders(amplitude * jnp.ones(3), three).items()}
        baths = {
            f"bath {temperature:g}": self.bath(temperature, 3, jax.random.fold_in(four, number))
            for number, temperature in enumerate(temperatures)
        }
        far = {name: t for name, t in baths.items() if float(name.split()[1]) > max(self.sampling.hot_temperatures)}
        near |= {name: found for name, found in baths.items() if name not in far}
        for number, (name, texture) in enumerate(textures_elsewhere(lattice).items()):
            amplitudes = (amplitude, amplitude)
            moved = perturbed_configurations(
                texture.astype(jnp.float32), amplitudes, key=jax.random.fold_in(five, number)
            )
            far[name] = np.asarray(moved)
        return near, far


def textures_elsewhere(lattice: js.Lattice) -> dict[str, jax.Array]:
    """Those of `experiments.accuracy.transfer`, on any even number of cells."""
    side = lattice.cells[0]
    turn = lattice.reciprocal() / side
    half = dataclasses.replace(lattice, cells=(side // 2, side), periodic=(False, True))
    wall = js.textures.domain_wall(half)
    return {
        "spiral, long": js.textures.spiral(lattice, tuple(turn[0])),
        "spiral, short": js.textures.spiral(lattice, tuple(side // 4 * turn[0])),
        "conical spiral": js.textures.spiral(lattice, tuple(side // 6 * turn.sum(axis=0)), cone=0.8),
        "skyrmion": js.textures.skyrmion(lattice, side / 4),
        "pair of domain walls": jnp.concatenate([wall, wall[::-1]]),
    }
