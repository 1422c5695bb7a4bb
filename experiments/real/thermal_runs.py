"""Many thermal runs of a magnet of pairs at once, each with its own step, damping and temperature."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js

FRAMES = 200


@eqx.filter_jit
def sampled(magnet: js.Exchange, starts: Any, runs: dict[str, Any], keys: Any, steps: int) -> tuple[Any, Any]:
    """|m| and the energy a site of every run, `(run, frame)`, with its own step, damping and temperature."""

    def one(start, run, key):
        # in units of the step, so that runs with other steps are one program
        trajectory = js.simulate(
            run["step"] * magnet,
            start,
            duration=float(steps),
            step=1.0,
            damping=run["damping"],
            temperature=run["step"] * run["temperature"],
            key=key,
            save_every=steps / FRAMES,
            save=lambda t, spins: (jnp.linalg.norm(jnp.mean(spins, (0, 1, 2, 3))), magnet.energy(spins)),
        )
        m, energy = trajectory.saved
        return m[1:], energy[1:] / magnet.lattice.sites

    return jax.vmap(one)(starts, runs, keys)


def measured(
    magnet: js.Exchange, runs: dict[str, np.ndarray], steps: float, seed: int, disordered: Any = False
) -> tuple[np.ndarray, np.ndarray]:
    """|m| and energy of every run of about so many steps, after the first quarter, `(run, frame)`.

    `runs` has the `step`, `damping` and `temperature` of each. They start from the ferromagnet, or from random spins
    where `disordered`.
    """
    first, noise = (jax.random.split(key, len(runs["step"])) for key in jax.random.split(jax.random.key(seed)))
    up = js.textures.ferromagnet(magnet.lattice, dtype=jnp.float32)
    random = jax.vmap(lambda key: js.random_spins(magnet.lattice, key=key, dtype=jnp.float32))(first)
    starts = jnp.where(jnp.reshape(disordered, (-1, 1, 1, 1, 1, 1)), random, up)
    arrays = {name: jnp.asarray(values, jnp.float32) for name, values in runs.items()}
    m, energy = sampled(magnet, starts, arrays, noise, max(1, round(steps / FRAMES)) * FRAMES)
    settled = slice(FRAMES // 4, None)
    return np.asarray(m, float)[:, settled], np.asarray(energy, float)[:, settled]


def exchange_on(lattice: js.Lattice, pairs: Any) -> js.Exchange:
    return js.Exchange(lattice, pairs=[(i, j, r, np.float32(x)) for i, j, r, x in pairs])
