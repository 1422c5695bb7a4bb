"""What a learnt field of the triangular model is judged by: energies of the ordered states, torques never seen."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.stages import Electrons, Texture, judge, spins_of, textures_on
from jaxspin.training import SpinData, perturbed_configurations

TEXTURES: tuple[Texture, ...] = ("ferromagnet", "one_hundred_twenty", "stripe", "tetrahedral", "double_q")
# Perturbations of the order small enough for its torques to be linear in them.
NEAR = (0.02, 0.1)


def energies(electrons: Electrons, side: int, model: js.BehlerParrinello) -> dict[str, Any]:
    """Free energies per site of the perfect textures by exact diagonalization and by the force field.

    "ordering" says whether the force field puts the textures in the exact order, and "lowest" which one each puts
    lowest.
    """
    exact = electrons.exact(side)
    moved = model.on(exact.lattice)
    textures = textures_on(exact.lattice, TEXTURES)
    found: dict[str, Any] = {
        kind: {name: float(potential.energy(spins)) / exact.lattice.sites for name, spins in textures.items()}
        for kind, potential in (("exact", exact), ("learnt", moved))
    }
    ranks = {kind: sorted(values, key=lambda name: values[name]) for kind, values in found.items()}
    found["lowest"] = {kind: names[0] for kind, names in ranks.items()}
    found["ordering right"] = ranks["exact"] == ranks["learnt"]
    return found


def label_unseen(
    path: Path, exact: js.ExactDiagonalization, order: Texture, exact_run: js.Trajectory, number: int, *, key: jax.Array
) -> SpinData:
    """Exact labels on states training never saw: the exact quench by thirds, and a `number` of them near the order.

    Kept in `path`, and read back where they are there.
    """
    if path.exists():
        return SpinData.load(path)
    perfect = textures_on(exact.lattice, (order,))[order]
    near = perturbed_configurations(perfect, jnp.linspace(*NEAR, number), key=key)
    frames = spins_of(exact_run)[1:]
    thirds = np.array_split(np.arange(len(frames)), min(3, len(frames)))
    names = ("quench, early", "quench, middle", "quench, late")[-len(thirds) :]
    parts = [js.sample(exact, frames[rows], source=name) for name, rows in zip(names, thirds, strict=True)]
    data = SpinData.concatenate([*parts, js.sample(exact, near, source="near order")])
    data.save(path)
    return data


def torque_errors(model: js.AbstractPotential, unseen: SpinData) -> dict[str, dict[str, float]]:
    """Of each kind: mean square error of the tangential field (t^2, all three components together), that of the field
    itself, and the ratio of their roots."""
    found = {}
    for name, errors in judge(model, unseen).items():
        found[name] = {
            "mean square error": errors["torque_rms"] ** 2,
            "mean square torque": (errors["torque_rms"] / errors["torque"]) ** 2,
            "relative error": errors["torque"],
        }
    return found
