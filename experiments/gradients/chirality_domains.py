"""What a pulse does to a lattice of the tetrahedral order in which every spin moves by itself."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxspin as js
from experiments.gradients.chirality_cell import EVERY
from experiments.stages import Dynamics
from experiments.stages.figures import PERFECT_CHIRALITY
from experiments.stages.pulses import driven
from jaxspin.io import load_or_make
from jaxspin.observables import scalar_chirality


@dataclasses.dataclass(frozen=True)
class Domains:
    """Runs of the large lattice, from random tilts in a bath."""

    factors: tuple[float, ...] = (1.0, 1.5)
    """Prices in the large lattice, in units of the least price in the cell."""
    starts: int = 2
    """Random starts of each."""
    tilt: float = 0.03
    """Standard deviation of each component by which they differ from the order."""
    bath: float = 2e-4
    """Temperature of the bath of the spins there."""
    rest: float = 100.0
    """Time after the pulse there."""


def domains(
    settings: Domains,
    folder: Path,
    field: js.ExactDiagonalization,
    motion: Dynamics,
    duration: float,
    pulses: dict[str, jax.Array],
    *,
    key: jax.Array,
) -> list[dict[str, Any]]:
    """The chirality in time and at the end, for each pulse, price and start; those in the folder are read back."""
    lattice, order = field.lattice, js.textures.tetrahedral(field.lattice)

    @jax.jit
    def chirality(pulse, start, key):
        run = js.simulate(
            driven(field, pulse, duration),
            start,
            duration=duration + settings.rest,
            step=motion.step,
            damping=motion.damping,
            temperature=settings.bath,
            key=key,
            save=lambda _, spins: scalar_chirality(lattice, spins),
            save_every=EVERY,
            throw=False,
        )
        return run.saved

    def moved(pulse: jax.Array, number: int) -> np.ndarray:
        tilt, bath = jax.random.split(jax.random.fold_in(key, number))
        start = js.normalize(order + settings.tilt * jax.random.normal(tilt, order.shape, order.dtype))
        return np.asarray(chirality(pulse, start, bath), np.float32)

    rows = []
    runs = itertools.product(("shaped", "best simple"), settings.factors, range(settings.starts))
    for name, factor, number in runs:
        path = folder / f"domain_{name.replace(' ', '_')}_{factor:g}_{number}.npy"
        found = load_or_make(path, lambda p=pulses[name] * factor**0.5, n=number: moved(p, n))
        rows.append(
            {
                "pulse": name,
                "price over the least": factor,
                "start": number,
                "chirality": found.mean(axis=(1, 2, 3)),
                "part that switched": float(np.mean(found[-1] < -PERFECT_CHIRALITY / 2)),
                "part that stayed": float(np.mean(found[-1] > PERFECT_CHIRALITY / 2)),
            }
        )
        print(f"{name}, {factor:g}, start {number}: {rows[-1]['part that switched']:.2f} switched", flush=True)
    return rows
