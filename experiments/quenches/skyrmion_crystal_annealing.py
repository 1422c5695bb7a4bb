"""Random spins of the magnetic cell, cooled in a field by Langevin dynamics and then relaxed."""

import dataclasses
import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.quenches.skyrmion_crystal_relaxed import Metal, relax
from experiments.quenches.skyrmion_crystal_textures import HOPPINGS, magnetic_cell, measured
from experiments.stages.checks import check_counts, check_positive


@dataclasses.dataclass(frozen=True)
class Annealing:
    """Spins that start at random in a bath whose temperature falls to zero."""

    seeds: tuple[int, ...] = ()
    """One run each and field; none leaves the annealing out."""
    fields: tuple[float, ...] = (0.0, 0.005, 0.008)
    """Magnetic fields along z."""
    hot: float = 0.003
    """Bath temperature at the beginning, which falls linearly."""
    duration: float = 2000.0
    """Of the cooling."""
    step: float = 8.0
    """Time step; the largest field on a spin is some 0.2."""
    damping: float = 1.0
    """Gilbert damping."""
    points: int = 6
    """Wavevectors along each axis while the spins cool."""
    kernel_polynomials: int = 0
    """Side of a large lattice that is cooled in their field, in place of one cell; a multiple of 12, 0 for the cell."""
    error: float = 2e-3
    """Rms error of the field of kernel polynomials at a site, which sets colours and moments."""

    def __post_init__(self):
        check_positive(self, "hot", "duration", "step", "damping", "error")
        check_counts(self, "points")
        if self.kernel_polynomials < 0 or self.kernel_polynomials % 12:
            side = max(12, 12 * (self.kernel_polynomials // 12))
            raise ValueError(f"{self.kernel_polynomials} sites do not hold the waves' period; use {side}, 0 for none.")


def annealed(settings: Annealing, metal: Metal, field: float, seed: int, **how: Any) -> dict[str, Any]:
    """What random spins become: of the cell cooled and then relaxed, of a large lattice cooled alone."""
    large = settings.kernel_polynomials
    start = {"start": f"random, seed {seed}"}
    if large:
        lattice = js.triangular(large)
        spins = _cool(settings, on_large(settings, metal), lattice, field, seed)
        return {**start, "field": field, **measured(lattice, spins), "spins": np.asarray(spins, float)}
    spins = _cool(settings, metal.on_cell(settings.points), magnetic_cell(), field, seed)
    return {**start, **relax(metal, spins, field, **how)}


def on_large(settings: Annealing, metal: Metal) -> js.KernelPolynomial:
    """Kernel polynomials of the large lattice, with as many moments as the temperature asks for."""
    lattice = js.triangular(settings.kernel_polynomials)
    model = js.SDModel(lattice, HOPPINGS, metal.coupling)
    mu, temperature = metal.chemical_potential, metal.temperature
    return js.KernelPolynomial(model, chemical_potential=mu, temperature=temperature, tolerance=settings.error)


def cost(settings: Annealing, metal: Metal) -> dict[str, Any]:
    """What the annealing by kernel polynomials takes: moments and colours, and the time of one field, measured."""
    with jax.enable_x64(False):
        solver = on_large(settings, metal)
        spins = js.random_spins(solver.lattice, key=jax.random.key(0))
        solver.field(spins).block_until_ready()  # compiles
        began = time.perf_counter()
        solver.field(spins).block_until_ready()
        seconds = time.perf_counter() - began
    fields = 2 * len(settings.seeds) * len(settings.fields) * math.ceil(settings.duration / settings.step)
    return {"moments": solver.order, "seconds a field": seconds, "fields": fields, "hours": seconds * fields / 3600}


def _cool(settings: Annealing, electrons: js.AbstractPotential, lattice: js.Lattice, field: float, seed: int):
    with jax.enable_x64(False):
        begin, noise = jax.random.split(jax.random.key(seed))
        return js.simulate(
            electrons + js.Zeeman(jnp.asarray([0.0, 0.0, field], jnp.float32)),
            js.random_spins(lattice, key=begin),
            duration=settings.duration,
            step=settings.step,
            damping=settings.damping,
            temperature=js.classical.Ramp(settings.hot, 0.0, settings.duration),
            key=noise,
            save_every=settings.duration,
        ).final
